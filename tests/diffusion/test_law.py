"""The exact law of every table on Gaussian data: against unit kicks, and in closed form per eigenvalue."""

import numpy as np
import pytest
from support.diffusion_cases import (
    CHURN,
    COV,
    FORMS,
    MEAN,
    PAIR_IDS,
    PAIRS,
    TIMES,
    D,
    diffused,
    forms_at,
    gaussian_denoiser,
    kicked,
    marginals,
    table_of,
)

from npscore import diffusion
from npscore.checks import relative_error
from npscore.diffusion import EDM, VE, VP, Cosine, Discrete, Flow
from npscore.samplers import langevin_law
from npscore.targets import Gaussian

LAMBDA, BASIS = np.linalg.eigh(COV)
START = np.array([0.4, -1.0, 0.2]), np.array([[1.5, 0.3, 0.1], [0.3, 0.8, -0.2], [0.1, -0.2, 2.0]])


@pytest.mark.parametrize("of", FORMS)
@pytest.mark.parametrize("name, schedule", PAIRS, ids=PAIR_IDS)
def test_law_is_unit_kicks_row_after_row(name, schedule, of):
    """The mean and covariance after every row, through ``step`` at 0 and at unit vectors of x and of z."""
    table = table_of(name, schedule, of)
    output_at = forms_at(gaussian_denoiser(schedule), schedule, of)
    got = diffusion.law(table, diffused(schedule), *START)
    mean, cov = START
    assert got.mean.shape == (len(table), D) and got.cov.shape == (len(table), D, D)
    for i, row in enumerate(table):
        mean, cov = kicked(lambda x, z, row=row: diffusion.step(output_at, x, row, z), mean, cov)
        assert relative_error(got.mean[i], mean) < 1e-11, i
        assert relative_error(got.cov[i], cov) < 1e-11, i


@pytest.mark.parametrize("of", ["x0", "v", "flow"])
@pytest.mark.parametrize("schedule", [Flow(), Cosine()], ids=repr)
@pytest.mark.parametrize("name", ["ancestral", "ddim", "ddim 0.6", "probability_flow", "heun"])
def test_law_from_the_very_end_where_alpha_is_0(name, schedule, of):
    times = np.array([1.0, 0.8, 0.3, 0.0])
    makers = {
        "ancestral": lambda: diffusion.ancestral(schedule, times, of=of),
        "ddim": lambda: diffusion.ddim(schedule, times, of=of),
        "ddim 0.6": lambda: diffusion.ddim(schedule, times, 0.6, of),
        "probability_flow": lambda: diffusion.probability_flow(schedule, times, of),
        "heun": lambda: diffusion.heun(schedule, times, of),
    }
    table = makers[name]()
    output_at = forms_at(gaussian_denoiser(schedule), schedule, of)
    got = diffusion.law(table, diffused(schedule), np.zeros(D), np.eye(D))
    mean, cov = np.zeros(D), np.eye(D)
    for i, row in enumerate(table):
        mean, cov = kicked(lambda x, z, row=row: diffusion.step(output_at, x, row, z), mean, cov)
        assert relative_error(got.mean[i], mean) < 1e-12 and relative_error(got.cov[i], cov) < 1e-12


# ---- one row from the exact density of x_t, an eigenvalue at a time ---------------------------------------


class Level:
    """The numbers of two times and of every eigenvalue λ of the data's covariance."""

    def __init__(self, schedule, t, s):
        (self.alpha_t, self.sigma_t), (self.alpha_s, self.sigma_s) = (marginals(schedule, u) for u in (t, s))
        self.r = self.alpha_t / self.alpha_s
        self.w = self.sigma_t**2 - self.r**2 * self.sigma_s**2
        self.v_t, self.v_s = (a**2 * LAMBDA + b**2 for a, b in zip(*self.alphas_sigmas()))
        self.h = t - s
        if not isinstance(schedule, Discrete):
            self.rates_t = float(schedule.f(t)), float(schedule.g2(t))
            self.rates_s = float(schedule.f(s)), float(schedule.g2(s))

    def alphas_sigmas(self):
        return (self.alpha_t, self.alpha_s), (self.sigma_t, self.sigma_s)

    def angle(self):
        """θ_t − θ_s, θ = arctan(σ/(α √λ))."""
        t, s = (np.arctan2(b, a * np.sqrt(LAMBDA)) for a, b in zip(*self.alphas_sigmas()))
        return t - s


def flow_rate(rates, v):
    return rates[0] + rates[1] / (2 * v)


#: Variance after one row from v_t, per eigenvalue.
CLOSED = {
    "ancestral": lambda e: (
        e.v_s - LAMBDA * e.alpha_s**2 * e.w**2 / (e.v_t * e.sigma_t**2)
        if e.sigma_s > 0
        else e.v_s * (1 - e.w / e.v_t)
    ),
    "ancestral forward": lambda e: (
        e.v_s + e.w * (1 - e.v_s / e.v_t) if e.sigma_s > 0 else e.v_s * (1 - e.w / e.v_t)
    ),
    "ddim": lambda e: e.v_s * np.cos(e.angle()) ** 2,
    "probability_flow": lambda e: e.v_t * (1 - e.h * flow_rate(e.rates_t, e.v_t)) ** 2,
    "reverse_sde": lambda e: (
        e.v_t * (1 - e.h * (e.rates_t[0] + e.rates_t[1] / e.v_t)) ** 2 + e.rates_t[1] * e.h
    ),
    "heun": lambda e: e.v_t * heun_factor(e) ** 2,
}


def heun_factor(e):
    first = flow_rate(e.rates_t, e.v_t)
    if e.sigma_s == 0:
        return 1 - e.h * first
    return 1 - 0.5 * e.h * (first + flow_rate(e.rates_s, e.v_s) * (1 - e.h * first))


def one_row(table, schedule, i):
    """Mean and eigenvalues of the covariance after row i, from the exact density of x_t."""
    row = table[i]
    before = diffused(schedule)(table.times[i])
    only = diffusion.SamplerTable("one", schedule, table.times[i : i + 2], table.of, lambda *_: [row])
    law = diffusion.law(only, diffused(schedule), before.mean, before.cov)
    turned = BASIS.T @ law.cov[0] @ BASIS
    assert relative_error(turned, np.diag(np.diag(turned))) < 1e-11
    return law.mean[0], np.diag(turned)


@pytest.mark.parametrize(
    "name, schedule",
    [p for p in PAIRS if p[0] in CLOSED],
    ids=[i for i, p in zip(PAIR_IDS, PAIRS) if p[0] in CLOSED],
)
def test_variances_in_closed_form(name, schedule):
    table, times = table_of(name, schedule), TIMES[schedule]
    for i, (t, s) in enumerate(zip(times, times[1:])):
        mean, variances = one_row(table, schedule, i)
        np.testing.assert_allclose(variances, CLOSED[name](Level(schedule, t, s)), rtol=1e-9)
        if name in ("ancestral", "ancestral forward", "ddim"):
            np.testing.assert_allclose(mean, schedule.alpha(s) * MEAN, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("schedule", TIMES, ids=repr)
def test_which_variance_of_a_step_is_right_for_which_data(schedule):
    """N² = w v_s/v_t is exact: so β̃ is right for a point, and w for N(0, I) where α² + σ² = 1."""
    table, times = table_of("ancestral", schedule), TIMES[schedule]
    forward = table_of("ancestral forward", schedule)
    for i, (t, s) in enumerate(zip(times, times[1:])):
        e = Level(schedule, t, s)
        if e.sigma_s == 0:
            continue
        _, variances = one_row(table, schedule, i)
        np.testing.assert_allclose(variances - table[i].N ** 2 + e.w * e.v_s / e.v_t, e.v_s, rtol=1e-10)
        point = schedule.sigma(s) ** 2 / schedule.sigma(t) ** 2 * e.w
        assert pytest.approx(point, rel=1e-12) == table[i].N ** 2
        assert pytest.approx(e.w, rel=1e-12) == forward[i].N ** 2


def test_ddim_keeps_the_product_of_squared_cosines():
    """Of the variance λ, N steps keep ∏ cos² Δθ, from p_T on; and of all grids the one with equal angles most."""
    schedule, lam = Cosine(0.0), 1.0
    data = Gaussian([0.0], [[lam]])

    def kept(times):
        start = data.diffused(schedule.alpha(times[0]), schedule.sigma(times[0]))
        table = diffusion.ddim(schedule, times)
        return diffusion.law(table, diffused(schedule, data), start.mean, start.cov).cov[-1, 0, 0] / lam

    even = np.linspace(0.98, 0.0, 8)
    angles = np.arctan2(schedule.sigma(even), schedule.alpha(even))
    assert kept(even) == pytest.approx(np.prod(np.cos(np.diff(angles)) ** 2), rel=1e-12)
    for seed in range(5):
        other = even.copy()
        other[1:-1] += np.random.default_rng(seed).uniform(-0.03, 0.03, 6)
        assert kept(other) < kept(even)


def test_churn_in_closed_form():
    """EDM's algorithm 2 on x/α: noise to σ̂, then Heun with slopes σ̂/(λ + σ̂²) and σ′/(λ + σ′²)."""
    for schedule in (EDM(), VP(0.3, 11.0), Flow()):
        table, times = table_of("edm churn", schedule), TIMES[schedule]
        levels = [b / a for a, b in (marginals(schedule, t) for t in times)]
        touched = 0
        for i, (level, after) in enumerate(zip(levels, levels[1:])):
            most = min(CHURN["churn"] / (len(times) - 1), np.sqrt(2) - 1)
            gamma = most if CHURN["s_tmin"] <= level <= CHURN["s_tmax"] else 0.0
            raised = level * (1 + gamma)
            touched += gamma > 0
            variance = LAMBDA + level**2 + CHURN["s_noise"] ** 2 * (raised**2 - level**2)
            slope, step = raised / (LAMBDA + raised**2), after - raised
            factor = 1 + step * slope
            if after > 0:
                factor = 1 + 0.5 * step * (slope + after / (LAMBDA + after**2) * factor)
            want = marginals(schedule, times[i + 1])[0] ** 2 * variance * factor**2
            np.testing.assert_allclose(one_row(table, schedule, i)[1], want, rtol=1e-10)
        assert 0 < touched < len(table)


@pytest.mark.parametrize("schedule", [EDM(), VE(0.05, 9.0), VE(0.04, 7.0, exact=True)], ids=repr)
@pytest.mark.parametrize("n_each", [1, 3])
def test_annealed_langevin_is_langevin_after_langevin(schedule, n_each):
    levels = np.array(TIMES[schedule][:-1])
    table = diffusion.annealed_langevin(schedule, levels, 0.003, n_each)
    got = diffusion.law(table, diffused(schedule), *START)
    (mean, cov), smallest = START, schedule.sigma(levels[-1])
    for i, t in enumerate(levels):
        p, step = diffused(schedule)(t), 0.003 * (schedule.sigma(t) / smallest) ** 2
        mean, cov = langevin_law(p.mean, p.cov, mean, cov, step, n_each)
        assert relative_error(got.mean[(i + 1) * n_each - 1], mean) < 1e-12
        assert relative_error(got.cov[(i + 1) * n_each - 1], cov) < 1e-12
    M = np.eye(D) - smallest**2 * np.linalg.inv(p.cov)  # and the denoising step at the end
    assert relative_error(got.mean[-1], p.mean + M @ (mean - p.mean)) < 1e-12
    assert relative_error(got.cov[-1], M @ cov @ M.T) < 1e-12


@pytest.mark.parametrize("schedule", [VP(), EDM(), Cosine(), Flow()], ids=repr)
def test_orders_of_one_step_of_the_flow(schedule):
    """Against the exact flow √(v_s/v_t): Euler's and DDIM's error is of second order in h, Heun's of third."""

    def error(make, h):
        table = make(schedule, [0.5, 0.5 - h])
        before, after = (diffused(schedule)(t) for t in table.times)
        law = diffusion.law(table, diffused(schedule), before.mean, before.cov)
        return np.abs(law.cov[-1] - after.cov).max()

    for make, order in (
        (diffusion.probability_flow, 2),
        (diffusion.ddim, 2),
        (diffusion.heun, 3),
        (diffusion.edm, 3),
    ):
        assert np.log2(error(make, 0.02) / error(make, 0.01)) == pytest.approx(order, abs=0.15), make


# ---- wrong samplers have other laws ------------------------------------------------------------------------

LAM, END = 0.7, VE(0.05, 5.0, exact=True)
V_T = LAM + END.sigma(1.0) ** 2


def final_variance(make, change, start, n):
    """Variance over λ after n steps of a table whose rows are changed."""
    table = make(END, np.linspace(1.0, 0.0, n + 1))
    wrong = diffusion.SamplerTable(
        "w", END, table.times, "score", lambda *_: [change(row) for row in table.rows]
    )
    target_at = diffused(END, Gaussian([0.0], [[LAM]]))
    return diffusion.law(wrong, target_at, [0.0], [[start]]).cov[-1, 0, 0] / LAM


def scaled(k):
    """What the score times k leaves of the variance, by the reverse SDE."""
    q = 1 / (2 * k - 1)
    return q + (1 - q) * (LAM / V_T) ** (2 * k - 1)


@pytest.mark.parametrize(
    "make, change, start, limit",
    [
        (diffusion.reverse_sde, lambda row: row, V_T, 1.0),
        (diffusion.probability_flow, lambda row: row, V_T, 1.0),
        (diffusion.probability_flow, lambda row: row._replace(B=2 * row.B), V_T, LAM / V_T),
        (diffusion.reverse_sde, lambda row: row._replace(N=0.0), V_T, LAM / V_T),
        (diffusion.reverse_sde, lambda row: row._replace(B=0.5 * row.B), V_T, 1 + np.log(V_T / LAM)),
        (diffusion.reverse_sde, lambda row: row._replace(N=np.sqrt(2) * row.N), V_T, 2 - LAM / V_T),
        (diffusion.reverse_sde, lambda row: row._replace(B=1.5 * row.B), V_T, scaled(1.5)),
        (diffusion.probability_flow, lambda row: row, 1.0, 1 / V_T),
        (diffusion.reverse_sde, lambda row: row, 1.0, 1 - (V_T - 1) * LAM / V_T**2),
    ],
    ids=[
        "sde",
        "flow",
        "no half",
        "no noise",
        "half the score",
        "noise √2",
        "score 1.5",
        "flow N(0,1)",
        "N(0,1)",
    ],
)
def test_wrong_samplers_have_the_wrong_laws_that_theory_says(make, change, start, limit):
    """In the limit of small steps, by extrapolation from 400 and 800 of them."""
    coarse, fine, finer = (final_variance(make, change, start, n) for n in (400, 800, 1600))
    extrapolated = (8 * finer - 6 * fine + coarse) / 3  # without the errors in h and in h²
    assert extrapolated == pytest.approx(limit, rel=3e-5)
