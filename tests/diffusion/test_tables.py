"""Every table against its sampler written out from x̂₀, ε̂ and the schedule; identities between samplers."""

import pickle

import numpy as np
import pytest
from support.diffusion_cases import (
    CHURN,
    FORMS,
    PAIR_IDS,
    PAIRS,
    TIMES,
    curved_denoiser,
    forms_at,
    marginals,
    table_of,
)

from npscore import diffusion
from npscore.checks import relative_error
from npscore.diffusion import EDM, VE, VP, Cosine, Discrete, Flow

RNG = np.random.default_rng(7)
STEPS = Discrete(np.linspace(0.01, 0.3, 12))
X = RNG.standard_normal((4, 3))
Z = RNG.standard_normal((12, 4, 3))


class Point:
    """What a published sampler speaks of at x and t: x̂₀, ε̂, the score, α, σ."""

    def __init__(self, schedule, x, t):
        self.x, self.x0 = x, curved_denoiser(x, t)
        self.alpha, self.sigma = marginals(schedule, t)
        self.noise = (x - self.alpha * self.x0) / self.sigma
        self.score = -self.noise / self.sigma


def ancestral(schedule, x, t, s, z, forward=False):
    """The posterior's mean at x̂₀: Ho et al. 2020, eq. 7."""
    p, (alpha_s, sigma_s) = Point(schedule, x, t), marginals(schedule, s)
    r = p.alpha / alpha_s
    w = p.sigma**2 - r**2 * sigma_s**2
    mean = r * sigma_s**2 / p.sigma**2 * x + alpha_s * w / p.sigma**2 * p.x0
    variance = w if forward and sigma_s > 0 else sigma_s**2 * w / p.sigma**2
    return mean + np.sqrt(variance) * z


def ddim(schedule, x, t, s, z, eta):
    """Song, Meng and Ermon 2021, eq. 12 and 16."""
    p, (alpha_s, sigma_s) = Point(schedule, x, t), marginals(schedule, s)
    bar_t, bar_s = (1 / (1 + (b / a) ** 2) for a, b in ((p.alpha, p.sigma), (alpha_s, sigma_s)))
    # In their normalisation, α² + σ² = 1; both sides are scaled by the size of (α_s, σ_s).
    size = np.hypot(alpha_s, sigma_s)
    sd = eta * np.sqrt((1 - bar_s) / (1 - bar_t)) * np.sqrt(1 - bar_t / bar_s)
    return size * (np.sqrt(bar_s) * p.x0 + np.sqrt(1 - bar_s - sd**2) * p.noise + sd * z)


def reverse_sde(schedule, x, t, s, z, last=False):
    p, h = Point(schedule, x, t), t - s
    g = np.sqrt(schedule.g2(t))
    return x - h * (schedule.f(t) * x - g**2 * p.score) + (0 if last else g * np.sqrt(h)) * z


def flow_drift(schedule, x, t):
    return schedule.f(t) * x - 0.5 * schedule.g2(t) * Point(schedule, x, t).score


def heun(schedule, x, t, s, z):
    first = flow_drift(schedule, x, t)
    y = x - (t - s) * first
    if schedule.sigma(s) == 0:
        return y
    return x - (t - s) * 0.5 * (first + flow_drift(schedule, y, s))


def edm(schedule, x, t, s, z, n, churn=0.0, s_tmin=0.0, s_tmax=np.inf, s_noise=1.0):
    """Karras et al. 2022, algorithm 2, on x/α, with D(x/α; σ/α) = x̂₀."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = marginals(schedule, t), marginals(schedule, s)
    level, after = sigma_t / alpha_t, sigma_s / alpha_s
    gamma = min(churn / n, np.sqrt(2) - 1) if s_tmin <= level <= s_tmax else 0.0
    raised = level * (1 + gamma)
    if gamma:
        t = schedule.from_ratio(raised)
    scaled = x / alpha_t + np.sqrt(raised**2 - level**2) * s_noise * z
    slope = (scaled - curved_denoiser(schedule.alpha(t) * scaled, t)) / raised
    y = scaled + (after - raised) * slope
    if after > 0:
        second = (y - curved_denoiser(alpha_s * y, s)) / after
        y = scaled + (after - raised) * 0.5 * (slope + second)
    return alpha_s * y


def annealed(schedule, x, t, z, step):
    return x + step * Point(schedule, x, t).score + np.sqrt(2 * step) * z


#: (schedule, x, t, s, z, number of steps, is it the last) -> x
WRITTEN = {
    "ancestral": lambda sch, x, t, s, z, n, last: ancestral(sch, x, t, s, z),
    "ancestral forward": lambda sch, x, t, s, z, n, last: ancestral(sch, x, t, s, z, True),
    "ddim": lambda sch, x, t, s, z, n, last: ddim(sch, x, t, s, z, 0.0),
    "ddim 0.6": lambda sch, x, t, s, z, n, last: ddim(sch, x, t, s, z, 0.6),
    "ddim 1": lambda sch, x, t, s, z, n, last: ddim(sch, x, t, s, z, 1.0),
    "reverse_sde": lambda sch, x, t, s, z, n, last: reverse_sde(sch, x, t, s, z),
    "reverse_sde denoise": lambda sch, x, t, s, z, n, last: reverse_sde(sch, x, t, s, z, last),
    "probability_flow": lambda sch, x, t, s, z, n, last: x - (t - s) * flow_drift(sch, x, t),
    "heun": lambda sch, x, t, s, z, n, last: heun(sch, x, t, s, z),
    "edm": lambda sch, x, t, s, z, n, last: edm(sch, x, t, s, z, n),
    "edm churn": lambda sch, x, t, s, z, n, last: edm(sch, x, t, s, z, n, **CHURN),
}


@pytest.mark.parametrize("of", FORMS)
@pytest.mark.parametrize(
    "name, schedule",
    [p for p in PAIRS if p[0] in WRITTEN],
    ids=[i for i, p in zip(PAIR_IDS, PAIRS) if p[0] in WRITTEN],
)
def test_a_table_is_its_sampler_written_out(name, schedule, of):
    table, times = table_of(name, schedule, of), TIMES[schedule]
    output_at, got, want = forms_at(curved_denoiser, schedule, of), X, X
    for i, (t, s) in enumerate(zip(times, times[1:])):
        want = WRITTEN[name](schedule, want, t, s, Z[i], len(table), i == len(table) - 1)
        got = diffusion.step(output_at, got, table[i], Z[i])
        assert relative_error(got, want) < 1e-11
    assert len(table) == len(times) - 1 and [row.s for row in table] == list(times[1:])


@pytest.mark.parametrize("schedule", [EDM(), VE(0.05, 9.0), VE(0.04, 7.0, exact=True)], ids=repr)
@pytest.mark.parametrize("of", FORMS)
def test_annealed_langevin_written_out(schedule, of):
    table, levels = table_of("annealed_langevin", schedule, of), TIMES[schedule][:-1]
    output_at, smallest = forms_at(curved_denoiser, schedule, of), schedule.sigma(levels[-1])
    got = want = X
    for i, t in enumerate(np.repeat(levels, 2)):
        want = annealed(schedule, want, t, Z[i], 0.004 * (schedule.sigma(t) / smallest) ** 2)
        got = diffusion.step(output_at, got, table[i], Z[i])
        assert relative_error(got, want) < 1e-12
    want = want + smallest**2 * Point(schedule, want, levels[-1]).score
    assert relative_error(diffusion.step(output_at, got, table[-1], Z[0]), want) < 1e-12
    assert len(table) == 2 * len(levels) + 1


@pytest.mark.parametrize("schedule", [VP(), EDM(), STEPS], ids=repr)
def test_predictor_corrector_written_out(schedule):
    """The corrector's step is 2 α_c (snr · mean‖z‖/mean‖s‖)², the means over rows of norms."""
    predictor = "ancestral" if isinstance(schedule, Discrete) else "reverse_sde"
    times = [9, 5, 2, 0] if isinstance(schedule, Discrete) else [0.8, 0.5, 0.2, 0.0]
    table = diffusion.predictor_corrector(schedule, times, 0.2, 2, predictor)
    output_at, got, want, i = forms_at(curved_denoiser, schedule, "score"), X, X, 0
    for t, s in zip(times, times[1:]):
        want = (ancestral if predictor == "ancestral" else reverse_sde)(schedule, want, t, s, Z[i])
        got = diffusion.step(output_at, got, table[i], Z[i])
        i += 1
        for _ in range(2 if s > 0 else 0):
            score = Point(schedule, want, s).score
            ratio = np.linalg.norm(Z[i], axis=1).mean() / np.linalg.norm(score, axis=1).mean()
            scale = 1 - schedule.beta[s - 1] if predictor == "ancestral" else 1.0
            want = annealed(schedule, want, s, Z[i], 2 * scale * (0.2 * ratio) ** 2)
            got = diffusion.step(output_at, got, table[i], Z[i])
            i += 1
        assert relative_error(got, want) < 1e-11
    assert i == len(table) == 7
    assert table.of == "score" and table.forms == ("score",)


# ---- identities between samplers ------------------------------------------------------------------------


def same_rows(one, other, rtol):
    for a, b in zip(one, other):
        np.testing.assert_allclose(a[2:], b[2:], rtol=rtol, atol=1e-15)


@pytest.mark.parametrize("schedule", TIMES, ids=repr)
def test_ddim_1_is_ancestral(schedule):
    same_rows(table_of("ddim 1", schedule, "x0"), table_of("ancestral", schedule, "x0"), 1e-13)
    same_rows(table_of("ddim 1", schedule), table_of("ancestral", schedule), 1e-10)


def test_no_digit_of_ddim_1_is_lost_over_a_long_step():
    one = diffusion.ddim(EDM(), [1e8, 1.0], 1.0, "x0")[0]
    other = diffusion.ancestral(EDM(), [1e8, 1.0], of="x0")[0]
    np.testing.assert_allclose(one[2:], other[2:], rtol=1e-14)


@pytest.mark.parametrize("schedule", TIMES, ids=repr)
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_is_euler_ancestral_on_x_over_alpha(schedule, eta):
    """k-diffusion's step: x̃ + ε̂ (σ_down − σ) + σ_up z, σ_up = min(σ′, η √(σ′²(σ² − σ′²)/σ²))."""
    table, times = diffusion.ddim(schedule, TIMES[schedule], eta, "epsilon"), TIMES[schedule]
    output_at = forms_at(curved_denoiser, schedule, "epsilon")
    for i, (t, s) in enumerate(zip(times, times[1:])):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = marginals(schedule, t), marginals(schedule, s)
        level, after = sigma_t / alpha_t, sigma_s / alpha_s
        up = min(after, eta * np.sqrt(after**2 * (level**2 - after**2) / level**2))
        down = np.sqrt(after**2 - up**2)
        want = alpha_s * (X / alpha_t + Point(schedule, X, t).noise * (down - level) + up * Z[i])
        assert relative_error(diffusion.step(output_at, X, table[i], Z[i]), want) < 1e-12


def test_ddim_is_euler_in_the_noise_level():
    times = np.array(TIMES[EDM()])
    same_rows(diffusion.ddim(EDM(), times), diffusion.probability_flow(EDM(), times), 1e-12)


@pytest.mark.parametrize("schedule", [Flow(), Cosine()], ids=repr)
def test_at_the_end_rows_in_the_own_output_are_finite(schedule):
    for make in (diffusion.ddim, diffusion.ancestral, diffusion.probability_flow, diffusion.heun):
        for of in ("x0", "v", "flow"):
            assert np.isfinite([row[2:] for row in make(schedule, [1.0, 0.6, 0.0], of=of)]).all()
        with pytest.raises(ValueError, match="of must be a form that is finite at t = 1"):
            list(make(schedule, [1.0, 0.6, 0.0]))


def test_flow_s_euler_step_is_minus_h_times_the_velocity():
    for row, h in zip(diffusion.probability_flow(Flow(), [1.0, 0.7, 0.2, 0.0], of="flow"), (0.3, 0.5, 0.2)):
        np.testing.assert_allclose(row[2:], (1.0, -h, 0.0), rtol=1e-14)


# ---- a table is a sequence -----------------------------------------------------------------------------


@pytest.mark.parametrize("name, schedule", PAIRS, ids=PAIR_IDS)
def test_a_table_is_a_sequence_that_pickles_and_reads_other_forms(name, schedule):
    table = table_of(name, schedule)
    again = pickle.loads(pickle.dumps(table))
    assert list(again) == list(table) == [table[i] for i in range(len(table))]
    for of in FORMS:
        assert list(table.reading(of)) == list(table_of(name, schedule, of))
    for row in table:
        assert all(type(number) in (float, bool) for number in row[2:])
        assert type(row.t) is (int if isinstance(schedule, Discrete) else float)


def test_times_may_be_a_list_whole_numbers_or_float32():
    want = list(diffusion.ddim(EDM(), np.array([4.0, 1.0, 0.0])))
    for times in ([4, 1, 0], (4.0, 1.0, 0.0), np.array([4, 1, 0]), np.array([4, 1, 0], np.float32)):
        assert list(diffusion.ddim(EDM(), times)) == want
    want = list(diffusion.ddim(STEPS, [12, 3, 0]))
    for times in (
        np.array([12.0, 3.0, 0.0]),
        np.array([12, 3, 0], np.float32),
        np.array([12, 3, 0], np.int8),
    ):
        assert list(diffusion.ddim(STEPS, times)) == want
