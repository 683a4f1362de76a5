"""Schedules: f and g² are derivatives, transitions compose and do not cancel, posteriors are joint-Gaussian
conditioning."""

from fractions import Fraction

import numpy as np
import pytest

from npscore import diffusion
from npscore.diffusion import EDM, VE, VP, Cosine, Discrete, Flow, SubVP

CONTINUOUS = [
    VP(),
    VP(0.3, 7.0),
    SubVP(),
    VE(),
    VE(0.02, 30.0, exact=True),
    EDM(),
    Cosine(),
    Cosine(0.1),
    Flow(),
]
STEPPED = [Discrete(diffusion.linear_beta(1000)), Discrete([0.1, 0.3, 0.02, 0.5, 0.2])]
TIMES = np.array([0.07, 0.3, 0.61, 0.93])
IDS = [repr(schedule) for schedule in CONTINUOUS]


@pytest.mark.parametrize("schedule", CONTINUOUS, ids=IDS)
def test_drift_and_diffusion_are_derivatives(schedule):
    step = 1e-30
    dlog_alpha = np.log(schedule.alpha(TIMES + 1j * step)).imag / step
    dvariance = (schedule.sigma(TIMES + 1j * step) ** 2).imag / step
    f, g2 = schedule.f(TIMES), schedule.g2(TIMES)
    np.testing.assert_allclose(f, dlog_alpha, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(g2, dvariance - 2 * f * schedule.sigma(TIMES) ** 2, rtol=1e-13)
    dlog_snr = schedule.log_snr(TIMES + 1j * step).imag / step
    np.testing.assert_allclose(g2, -(schedule.sigma(TIMES) ** 2) * dlog_snr, rtol=1e-13)


def test_closed_marginals():
    """What no consistency between σ, f and g² can see: a schedule that is wrong throughout."""
    assert VP().alpha(1.0) == pytest.approx(np.exp(-5.025), rel=1e-14)
    assert SubVP().sigma(1.0) == pytest.approx(1 - np.exp(-10.05), rel=1e-14)
    ve = VE(0.02, 8.0)
    assert ve.sigma(0.5) == pytest.approx(np.sqrt(0.02 * 8.0), rel=1e-14)
    assert (ve.sigma(0), ve.sigma(1)) == (pytest.approx(0.02), pytest.approx(8.0))
    assert VE(0.02, 8.0, exact=True).sigma(0) == 0
    assert Cosine(0).log_snr(0.5) == pytest.approx(0, abs=1e-15)
    assert (EDM().sigma(3.5), Flow().alpha(0.25), Flow().sigma(0.25)) == (3.5, 0.75, 0.25)


@pytest.mark.parametrize("schedule", CONTINUOUS, ids=IDS)
def test_every_schedule_starts_at_the_data_and_only_grows_noisier(schedule):
    assert schedule.alpha(0) == pytest.approx(1, rel=1e-15)
    assert schedule.sigma(0) == (0 if schedule != VE() else 0.01)
    grid = np.linspace(0.001, 0.999, 200)
    assert (np.diff(schedule.log_snr(grid)) < 0).all()
    if type(schedule) in (VP, Cosine):
        np.testing.assert_allclose(schedule.alpha(grid) ** 2 + schedule.sigma(grid) ** 2, 1, rtol=1e-14)


@pytest.mark.parametrize("schedule", CONTINUOUS, ids=IDS)
def test_transitions_are_the_marginals_and_compose(schedule):
    t, m, s = 0.8, 0.55, 0.2
    (r, w), (r1, w1), (r2, w2) = (schedule.transition(*pair) for pair in ((t, s), (m, s), (t, m)))
    assert r == pytest.approx(schedule.alpha(t) / schedule.alpha(s), rel=1e-14)
    assert w == pytest.approx(schedule.sigma(t) ** 2 - r**2 * schedule.sigma(s) ** 2, rel=1e-12)
    assert r == pytest.approx(r1 * r2, rel=1e-14) and w == pytest.approx(w2 + r2**2 * w1, rel=1e-14)
    r0, w0 = schedule.transition(t, 0.0)
    assert r0 == pytest.approx(schedule.alpha(t), rel=1e-14)
    if schedule != VE():  # whose density at 0 is blurred already
        assert w0 == pytest.approx(schedule.sigma(t) ** 2, rel=1e-14)


def exact_w(name, t, s):
    """w between neighbouring times by 40 digits where the schedule is rational in t."""
    t, s = Fraction(float(t)), Fraction(float(s))
    if name == "EDM":
        return float(t * t - s * s)
    return float(t * t - ((1 - t) / (1 - s)) ** 2 * s * s)


@pytest.mark.parametrize("schedule", [EDM(), Flow()])
@pytest.mark.parametrize("dtype, digits", [(np.float32, 3e-7), (np.float64, 3e-16)])
def test_no_digit_of_a_transition_is_lost_between_neighbours(schedule, dtype, digits):
    grid = np.linspace(0.001, 0.95, 1000).astype(dtype)
    got = schedule.transition(grid[1:], grid[:-1]).w
    want = [exact_w(type(schedule).__name__, t, s) for t, s in zip(grid[1:], grid[:-1])]
    # the times themselves are exact numbers here: what is left is the rounding of t - s and a product
    np.testing.assert_allclose(got, want, rtol=4 * digits)
    assert got.dtype == dtype


@pytest.mark.parametrize("schedule", [VP(), SubVP(), VE(), Cosine()])
def test_in_float32_transitions_are_those_of_float64(schedule):
    grid = np.linspace(0.001, 0.95, 1000).astype(np.float32)
    got = schedule.transition(grid[1:], grid[:-1])
    want = schedule.transition(grid[1:].astype(np.float64), grid[:-1].astype(np.float64))
    np.testing.assert_allclose(got.w, want.w, rtol=2e-6)
    np.testing.assert_allclose(got.r, want.r, rtol=1e-6)
    lost = schedule.sigma(grid[1:]) ** 2 - (got.r * schedule.sigma(grid[:-1])) ** 2  # by subtraction
    assert np.abs(lost / want.w - 1).max() > 1e-5


def test_ddpm_in_fractions():
    """ᾱ, the transition and the posterior of five steps, by exact arithmetic."""
    schedule = STEPPED[1]
    keep = [1 - Fraction(float(b)) for b in schedule.beta]
    bar = [Fraction(1)]
    for factor in keep:
        bar.append(bar[-1] * factor)
    for t in range(1, 6):
        assert schedule.alpha(t) ** 2 == pytest.approx(float(bar[t]), rel=1e-15)
        assert schedule.sigma(t) ** 2 == pytest.approx(float(1 - bar[t]), rel=1e-15)
        for s in range(t):
            r2 = bar[t] / bar[s]
            got = schedule.transition(t, s)
            assert got.r**2 == pytest.approx(float(r2), rel=1e-15)
            assert got.w == pytest.approx(float(1 - r2), rel=1e-15)
            if s:
                variance = (1 - bar[s]) * (1 - r2) / (1 - bar[t])
                assert schedule.posterior(t, s).variance == pytest.approx(float(variance), rel=1e-14)


@pytest.mark.parametrize("schedule", [s for s in (*CONTINUOUS, STEPPED[1]) if s != VE()], ids=repr)
def test_the_posterior_is_joint_gaussian_conditioning(schedule):
    """Of (x_s, x_t) given x₀, by the block formula of a joint covariance; and applied to the truth it is unbiased.

    Not for VE(exact=False), whose x_s given x₀ is blurred by σ_min: there it is not one process from a point.
    """
    t, s = (4, 2) if isinstance(schedule, Discrete) else (0.7, 0.3)
    (alpha_t, sigma_t), (alpha_s, sigma_s) = ((schedule.alpha(u), schedule.sigma(u)) for u in (t, s))
    cross = schedule.alpha(t) / schedule.alpha(s) * sigma_s**2  # Cov(x_s, x_t | x₀)
    gain = cross / sigma_t**2
    got = schedule.posterior(t, s)
    assert got.coef_xt == pytest.approx(gain, rel=1e-13)
    assert got.coef_x0 == pytest.approx(alpha_s - gain * alpha_t, rel=1e-12)
    assert got.variance == pytest.approx(sigma_s**2 - gain * cross, rel=1e-12)
    assert alpha_t * got.coef_xt + got.coef_x0 == pytest.approx(alpha_s, rel=1e-14)


def test_discrete_sums_keep_their_digits():
    schedule = STEPPED[0]
    steps = np.arange(1, 1001)
    np.testing.assert_allclose(schedule.transition(steps, steps - 1).w, schedule.beta, rtol=1e-15)
    long = schedule.transition(np.array([[1000, 500], [7, 3]]), np.array([[0, 499], [2, 0]]))
    assert long.w.shape == (2, 2) and long.w[1, 0] == schedule.transition(7, 2).w


@pytest.mark.parametrize(
    "schedule", [s for s in CONTINUOUS if s != VE()], ids=[i for i in IDS if "exact=False" not in i]
)
def test_the_time_of_a_noise_level(schedule):
    ratio = np.array([0.01, 0.3, 1.0, 5.0])
    t = schedule.from_ratio(ratio)
    np.testing.assert_allclose(schedule.sigma(t) / schedule.alpha(t), ratio, rtol=1e-12)


# ---- lists of numbers ----------------------------------------------------------------------------------


def test_beta_schedules_are_the_published_ones():
    np.testing.assert_allclose(diffusion.linear_beta(1000)[[0, -1]], [1e-4, 0.02], rtol=1e-15)
    np.testing.assert_allclose(diffusion.linear_beta(200)[[0, -1]], [5e-4, 0.1], rtol=1e-14)
    np.testing.assert_allclose(diffusion.linear_beta(200, rescale=False)[[0, -1]], [1e-4, 0.02])
    roots = np.sqrt(diffusion.scaled_linear_beta(1000, 0.00085, 0.012))
    np.testing.assert_allclose(np.diff(roots), (np.sqrt(0.012) - np.sqrt(0.00085)) / 999, rtol=1e-10)
    beta = diffusion.cosine_beta(1000)
    assert beta[-1] == 0.999 and (beta[:-1] < 0.999).all()
    grid = np.arange(1, 1000)
    np.testing.assert_allclose(Discrete(beta).alpha(grid), Cosine(0.008).alpha(grid / 1000), rtol=1e-11)


def test_karras_levels():
    levels = diffusion.karras_sigmas(18, 0.002, 80.0)
    assert len(levels) == 19 and levels[0] == 80.0 and levels[-2] == 0.002 and levels[-1] == 0
    np.testing.assert_allclose(
        np.diff(levels[:-1] ** (1 / 7)), (0.002 ** (1 / 7) - 80 ** (1 / 7)) / 17, rtol=1e-9
    )
    assert (np.diff(levels) < 0).all()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: VP().alpha(1.1), ValueError, r"t must be in \[0, 1\] for VP.*, got 1.1"),
        (lambda: VP().alpha(-0.1), ValueError, r"t must be in \[0, 1\]"),
        (lambda: VP().alpha("noon"), TypeError, "t must hold real numbers"),
        (lambda: Flow().f(1.0), ValueError, "t must be < 1 for f and g2"),
        (lambda: Cosine().g2(1.0), ValueError, "t must be < 1 for f and g2"),
        (lambda: VP().transition(0.2, 0.2), ValueError, "t must be > s"),
        (lambda: VP().posterior(0.2, 0.4), ValueError, "t must be > s"),
        (
            lambda: STEPPED[1].alpha(6),
            ValueError,
            r"t must be a whole number from 0 to 5 for Discrete\(T=5\), got 6",
        ),
        (lambda: STEPPED[1].alpha(1.5), ValueError, "t must be a whole number"),
        (lambda: STEPPED[1].f(2), ValueError, "has steps and no f or g2"),
        (lambda: Discrete([0.1, 1.0]), ValueError, r"beta must be in \(0, 1\), got 1.0 at step 2"),
        (lambda: Discrete([[0.1]]), ValueError, r"beta must have shape \(T,\)"),
        (
            lambda: diffusion.linear_beta(20),
            ValueError,
            r"must give β in \(0, 1\), got 0.005 to 1 with T = 20",
        ),
        (lambda: diffusion.linear_beta(0), ValueError, "T must be a whole number >= 1"),
        (lambda: diffusion.karras_sigmas(1, 0.1, 1.0), ValueError, "n must be a whole number >= 2"),
        (lambda: diffusion.karras_sigmas(5, 1.0, 0.1), ValueError, "sigma_max must be a finite number > 1"),
        (lambda: VE(1.0, 0.5), ValueError, "sigma_max must be a finite number > 1"),
        (lambda: VP(2.0, 1.0), ValueError, "beta_max must be a finite number >= 2"),
        (lambda: VE(exact=1), TypeError, "exact must be True or False"),
        (lambda: EDM().from_ratio(-1.0), ValueError, "ratio must be > 0"),
        (lambda: VP().from_ratio(0.0), ValueError, "ratio must be > 0"),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message), np.errstate(divide="ignore", invalid="ignore"):
        call()
