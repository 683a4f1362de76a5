"""Langevin on a Gaussian has a known mean and covariance at every step: identities first, then statistics.

Points ±√k eᵢ, 2k of them with equal weight, have mean 0 and covariance I exactly. Taken in the joint space
of (x₀, z₁, …, z_t) they turn the law of an affine recursion into a finite sum: no chance, no tolerance.
"""

import re
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import gaussian_parameters, seeds

import npscore as ns
from npscore.samplers import langevin_law, stationary_covariance

dimensions = st.integers(1, 4)
fractions = st.floats(0.05, 0.95)  # of the stability limit

#: What a sampler gets wrong: factor of the drift α s, and noise scale, as functions of α.
RIGHT = (1.0, lambda a: np.sqrt(2 * a))
WRONG = {
    "noise √α, the √2 missing": (1.0, np.sqrt),
    "noise 2α, no root": (1.0, lambda a: 2 * a),
    "noise √2, no α": (1.0, lambda a: np.sqrt(2.0)),
    "noise 2√α": (1.0, lambda a: 2 * np.sqrt(a)),
    "no noise": (1.0, lambda a: 0.0),
    "drift α/2": (0.5, lambda a: np.sqrt(2 * a)),
    "drift 2α": (2.0, lambda a: np.sqrt(2 * a)),
    "drift downhill": (-1.0, lambda a: np.sqrt(2 * a)),
}


def planted_step(drift, noise):
    """A Langevin step with its factors replaced."""
    return lambda score, x, step, z: x + drift * step * score(x) + noise(step) * z


def sigma_points(k):
    """2k equally weighted points with mean 0 and covariance I, exactly; shape (2k, k)."""
    return np.sqrt(k) * np.concatenate([np.eye(k), -np.eye(k)])


def law_by_points(step_function, p, mean0, root0, step, t):
    """Mean and covariance after t steps as finite sums; C₀ = root0 root0ᵀ."""
    u = sigma_points(p.d * (t + 1)).reshape(-1, t + 1, p.d)
    x = mean0 + u[:, 0] @ root0.T
    for k in range(1, t + 1):
        x = step_function(p.score, x, step, u[:, k])
    centred = x - x.mean(axis=0)
    return x.mean(axis=0), centred.T @ centred / len(x)


def setting(seed, d, fraction):
    """A Gaussian, a start (mean and root of its covariance), and a step as a fraction of 2 λ_min."""
    p = ns.targets.Gaussian(*gaussian_parameters(seed, d))
    rng = np.random.default_rng(seed)
    return p, rng.standard_normal(d), rng.standard_normal((d, d)), fraction * 2 * np.linalg.eigvalsh(p.cov)[0]


def gap(actual, expected):
    return np.abs(actual - expected).max() / max(1.0, np.abs(expected).max())


# Identities -----------------------------------------------------------------------------------------------


@given(seeds, dimensions, fractions, st.integers(0, 6))
def test_the_step_has_the_law_of_eq_1_4_and_1_5_exactly(seed, d, fraction, t):
    p, mean0, root0, step = setting(seed, d, fraction)
    law = langevin_law(p.mean, p.cov, mean0, root0 @ root0.T, step, t)
    mean, cov = law_by_points(ns.langevin_step, p, mean0, root0, step, t)
    assert gap(mean, law.mean) < 1e-13
    assert gap(cov, law.cov) < 1e-13


@pytest.mark.parametrize("name", WRONG)
def test_the_exact_law_rejects_every_wrong_step(name):
    p, mean0, root0, step = setting(3, 3, 0.3)
    law = langevin_law(p.mean, p.cov, mean0, root0 @ root0.T, step, 4)
    right = law_by_points(planted_step(*RIGHT), p, mean0, root0, step, 4)
    wrong = law_by_points(planted_step(*WRONG[name]), p, mean0, root0, step, 4)
    assert max(gap(right[0], law.mean), gap(right[1], law.cov)) < 1e-13
    assert max(gap(wrong[0], law.mean), gap(wrong[1], law.cov)) > 0.05


@given(seeds, dimensions, fractions, st.integers(0, 40))
def test_the_closed_form_is_the_recursion(seed, d, fraction, t):
    p, mean, root0, step = setting(seed, d, fraction)
    law = langevin_law(p.mean, p.cov, mean, root0 @ root0.T, step, t)
    shrink, cov = np.eye(d) - step * np.linalg.inv(p.cov), root0 @ root0.T
    for _ in range(t):
        mean = p.mean + shrink @ (mean - p.mean)  # eq-1.4
        cov = shrink @ cov @ shrink + 2 * step * np.eye(d)  # eq-1.5
    assert gap(law.mean, mean) < 1e-13
    assert gap(law.cov, cov) < 1e-13


@given(seeds, dimensions, fractions, st.integers(0, 20), st.integers(0, 20))
def test_t_steps_and_then_u_steps_are_t_plus_u_steps(seed, d, fraction, t, u):
    p, mean0, root0, step = setting(seed, d, fraction)
    half_way = langevin_law(p.mean, p.cov, mean0, root0 @ root0.T, step, t)
    there = langevin_law(p.mean, p.cov, *half_way, step, u)
    at_once = langevin_law(p.mean, p.cov, mean0, root0 @ root0.T, step, t + u)
    assert gap(there.mean, at_once.mean) < 1e-13
    assert gap(there.cov, at_once.cov) < 1e-13


@given(seeds, dimensions, fractions)
def test_the_stationary_covariance_is_the_fixed_point_and_the_limit(seed, d, fraction):
    p, mean0, root0, step = setting(seed, d, fraction)
    stationary = stationary_covariance(p.cov, step)
    identity, precision = np.eye(d), np.linalg.inv(p.cov)
    shrink = identity - step * precision
    assert gap(stationary, p.cov @ np.linalg.inv(identity - step * precision / 2)) < 1e-12  # eq-1.6
    assert gap(shrink @ stationary @ shrink + 2 * step * identity, stationary) < 1e-12  # eq-1.5
    limit = langevin_law(p.mean, p.cov, mean0, root0 @ root0.T, step, 10**9)
    assert gap(limit.mean, p.mean) < 1e-13
    assert gap(limit.cov, stationary) < 1e-12


def test_the_bias_of_the_stationary_covariance_is_of_first_order_in_the_step():
    cov = gaussian_parameters(0, 3)[1]
    bias = [np.abs(stationary_covariance(cov, a) - cov - a / 2 * np.eye(3)).max() for a in (1e-3, 5e-4)]
    assert bias[0] < 1e-6  # Σ (I − αP/2)⁻¹ = Σ + α/2 I + O(α²)
    assert bias[0] / bias[1] == pytest.approx(4, rel=1e-2)


@pytest.mark.parametrize("t", [1, 2, 7, 1000])
def test_at_the_stability_limit_the_covariance_grows_by_two_alpha_a_step(t):
    law = langevin_law([0.0, 0], 0.5 * np.eye(2), [1.0, -2], np.zeros((2, 2)), 1.0, t)  # r = −1: q = 1
    np.testing.assert_allclose(law.mean, [(-1) ** t, -2 * (-1) ** t], rtol=1e-14)
    np.testing.assert_allclose(law.cov, 2.0 * t * np.eye(2), rtol=1e-14)


def exact_law(step, n_steps, mean0=1, cov0=0.0):
    """Mean and variance on N(0, 1) from N(mean0, cov0), and |t log r|: what multiplies a rounding of the exponent."""
    with localcontext(Context(prec=700, Emin=-(10**9), Emax=10**9)):
        r = 1 - Decimal(step)
        exponent = n_steps * abs(r).ln() if r else Decimal(-(10**5)) * n_steps
        r_t = exponent.exp() * (-1 if r < 0 and n_steps % 2 else 1)
        total = Decimal(n_steps) if abs(r) == 1 else (1 - r_t * r_t) / (1 - r * r)
        mean, var = r_t * mean0, r_t * r_t * Decimal(cov0) + 2 * Decimal(step) * total
        return float(mean), float(var), float(abs(exponent)) if r else 0.0


STEPS = (
    1e-300,
    1e-18,
    1e-16,
    3e-9,
    1e-3,
    0.3,
    0.75,
    1 - 2**-30,
    1.0,
    1 + 2**-30,
    1.7,
    2 - 2**-40,
    2.0,
    2 + 2**-40,
    3.0,
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "n_steps", [0, 1, 2, 3, 40, 10**6 + 1, 10**18, 10**18 + 1, 2**63 - 1], ids="{:.3g}".format
)
def test_tiny_steps_and_huge_numbers_of_them_to_rounding(step, n_steps):
    """Alternating signs (α > 1), the limit α = 2 and what is beyond it included."""
    if n_steps * abs(float(np.log1p(step - 2 if step > 1 else -min(step, 0.999)))) > 300 and step > 2:
        return  # no float
    mean, var, rounding = exact_law(step, n_steps, cov0=0.25)
    law = langevin_law([0.0], [[1.0]], [1.0], [[0.25]], step, n_steps)
    error = 4e-16 * (2 + rounding)  # a rounding of the exponent is multiplied by it
    assert law.mean[0] == pytest.approx(mean, rel=error, abs=1e-300)
    assert law.cov[0, 0] == pytest.approx(var, rel=min(error, 1e-12), abs=0)


def test_a_million_million_million_steps_are_the_diffusion_at_time_one():
    law = langevin_law([0.0], [[1.0]], [1.0], [[0.0]], 1e-18, 10**18)
    assert law.mean[0] == pytest.approx(np.exp(-1), rel=1e-15)
    assert law.cov[0, 0] == pytest.approx(-np.expm1(-2), rel=1e-15)


@given(seeds, dimensions, fractions, st.integers(0, 40), st.integers(-300, 300))
def test_the_law_follows_the_units_of_length(seed, d, fraction, t, exponent):
    """Lengths in units of 2^k: means scale by 2^k, covariances and the step by 4^k."""
    p, mean0, root0, step = setting(seed, d, fraction)
    start = (p.mean, p.cov, mean0, root0 @ root0.T, step)
    law, scale = langevin_law(*start, t), 2.0**exponent
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        there = langevin_law(*(a * scale**power for a, power in zip(start, (1, 2, 1, 2, 2))), t)
        stationary = stationary_covariance(scale**2 * p.cov, scale**2 * step)
    tiny = 1e-12 * scale  # LAPACK scales matrices of extreme size itself, by no power of two
    np.testing.assert_allclose(there.mean, scale * law.mean, rtol=1e-12, atol=tiny)
    np.testing.assert_allclose(there.cov, scale**2 * law.cov, rtol=1e-11, atol=tiny * scale)
    np.testing.assert_allclose(stationary, scale**2 * stationary_covariance(p.cov, step), rtol=1e-11)


def test_what_no_float_holds_is_refused():
    huge = [[8e307]]
    with pytest.raises(ValueError, match=r"^mean, mean0, cov and cov0 must be small enough"):
        langevin_law([1.7e308], huge, [-1.7e308], huge, 1.0, 3)
    with pytest.raises(ValueError, match=r"^step must leave the stationary covariance finite"):
        stationary_covariance(huge, 1.6e308 * (1 - 1e-15))
    with pytest.raises(ValueError, match=r"^n_steps must be a whole number >= 0"):
        langevin_law([0.0], [[1.0]], [0.0], [[1.0]], 0.1, 10**400)
    law = langevin_law([0.0], huge, [1e308], huge, 8e306, 2)
    assert law.mean[0] == pytest.approx(0.81e308) and np.isfinite(law.cov).all()
    assert langevin_law([0.0], [[1e-308]], [0.0], [[0.0]], 1e-308, 1).cov[0, 0] == pytest.approx(2e-308)


def test_one_step_of_size_lambda_forgets_the_start():
    law = langevin_law([5.0], [[0.25]], [-3.0], [[7.0]], 0.25, 1)  # r = 0
    np.testing.assert_array_equal(law.mean, [5.0])
    np.testing.assert_array_equal(law.cov, [[0.5]])


@given(seeds, dimensions, st.floats(1.05, 2.0))
def test_beyond_eq_1_7_the_covariance_grows_and_there_is_no_stationary_one(seed, d, fraction):
    p, mean0, root0, step = setting(seed, d, fraction)
    start = (p.mean, p.cov, mean0, root0 @ root0.T, step)
    traces = [np.trace(langevin_law(*start, t).cov) for t in (40, 80, 160)]
    assert traces[0] < traces[1] < traces[2]
    with pytest.raises(ValueError, match=r"^step must be < 2 lambda_min"):
        stationary_covariance(p.cov, step)
    with pytest.raises(ValueError, match=r"^step must be < 2 lambda_min.* after 1000000 steps to be finite"):
        langevin_law(*start, 10**6)


def test_the_limit_itself_is_unstable_and_just_below_it_is_not():
    with pytest.raises(ValueError, match=re.escape("step must be < 2 lambda_min(cov) = 0.5, got 0.5")):
        stationary_covariance(np.diag([1.0, 0.25]), 0.5)
    below = stationary_covariance(np.diag([1.0, 0.25]), 0.5 * (1 - 1e-9))
    assert below[1, 1] == pytest.approx(0.25e9, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.longdouble, np.int64])
def test_the_law_is_computed_in_float64_whatever_it_is_given(dtype):
    mean, cov = np.array([1, 2]).astype(dtype), np.array([[2, 1], [1, 3]]).astype(dtype)
    expected = langevin_law([1.0, 2], [[2.0, 1], [1, 3]], [0.0, 0], np.zeros((2, 2)), 0.25, 5)
    law = langevin_law(mean, cov, np.zeros(2, dtype), np.zeros((2, 2), dtype), 0.25, 5)
    assert law.mean.dtype == law.cov.dtype == np.float64
    np.testing.assert_array_equal(law.mean, expected.mean)
    np.testing.assert_array_equal(law.cov, expected.cov)


# Statistics -----------------------------------------------------------------------------------------------

CHAINS, ACCEPT, REJECT = 20_000, 4.5, 15.0  # chains; standard errors


def standard_errors_off(x, law):
    """The largest deviation of the sample mean and covariance from the law, in standard errors.

    Whitened by the exact law, w = L⁻¹(x − m) has mean 0 and covariance I: the mean of wᵢ has standard error
    1/√n, that of wᵢwⱼ √((1 + δᵢⱼ)/n) for Gaussian w.
    """
    n, d = x.shape
    w = np.linalg.solve(np.linalg.cholesky(law.cov), (x - law.mean).T)  # (d, n)
    mean_error = w.mean(axis=1) * np.sqrt(n)
    cov_error = (w @ w.T / n - np.eye(d)) * np.sqrt(n / (1 + np.eye(d)))
    return max(np.abs(mean_error).max(), np.abs(cov_error).max())


def statistical_setting(seed, t):
    """A Gaussian, the start of all chains, a step, and the exact law after t steps."""
    p, mean0, root0, step = setting(seed, 3, 0.4)
    x0 = mean0 + np.random.default_rng(seed + 1).standard_normal((CHAINS, 3)) @ root0.T
    return p, x0, step, langevin_law(p.mean, p.cov, mean0, root0 @ root0.T, step, t)


@pytest.mark.parametrize("t", [1, 5, 60])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chains_follow_the_law_within_standard_errors(seed, t):
    p, x0, step, law = statistical_setting(seed, t)
    assert standard_errors_off(ns.langevin(p.score, x0, step, t, rng=seed).x, law) < ACCEPT


def test_after_many_steps_chains_have_the_stationary_covariance_and_not_that_of_the_target():
    p, x0, step, _ = statistical_setting(4, 0)
    x = ns.langevin(p.score, x0, step, 150, rng=5).x
    stationary = ns.samplers.LangevinLaw(p.mean, stationary_covariance(p.cov, step))
    assert standard_errors_off(x, stationary) < ACCEPT
    assert standard_errors_off(x, ns.samplers.LangevinLaw(p.mean, p.cov)) > REJECT


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("t", [5, 60])
def test_the_statistical_test_rejects_every_wrong_sampler(name, t):
    p, x, step, law = statistical_setting(1, t)
    rng, wrong_step = np.random.default_rng(1), planted_step(*WRONG[name])
    for _ in range(t):
        x = wrong_step(p.score, x, step, rng.standard_normal(x.shape))
    assert standard_errors_off(x, law) > REJECT


# Bad input ------------------------------------------------------------------------------------------------

GOOD = {
    "mean": [0.0, 0],
    "cov": np.eye(2),
    "mean0": [1.0, 1],
    "cov0": np.zeros((2, 2)),
    "step": 0.1,
    "n_steps": 3,
}


@pytest.mark.parametrize(
    "argument, value, error",
    [
        ("mean", [0.0], ValueError),
        ("mean", [0.0, np.nan], ValueError),
        ("mean", "ab", TypeError),
        ("cov", [[1.0, 2], [2, 1]], ValueError),
        ("cov", [[1.0, 0.5], [0, 1]], ValueError),
        ("cov", np.ones(2), ValueError),
        ("cov", np.zeros((2, 2)), ValueError),
        ("mean0", [[0.0, 0]], ValueError),
        ("cov0", np.eye(3), ValueError),
        ("cov0", [[1.0, 0.5], [0, 1]], ValueError),
        ("cov0", -np.eye(2), ValueError),
        ("step", 0, ValueError),
        ("step", "0.1", TypeError),
        ("n_steps", -1, ValueError),
        ("n_steps", 1.5, TypeError),
    ],
)
def test_a_wrong_argument_is_named(argument, value, error):
    with pytest.raises(error, match=f"^{argument} must "):
        langevin_law(**{**GOOD, argument: value})


@pytest.mark.parametrize("argument, value", [("cov", -np.eye(2)), ("step", -1.0)])
def test_the_stationary_covariance_names_a_wrong_argument(argument, value):
    with pytest.raises(ValueError, match=f"^{argument} must be "):
        stationary_covariance(**{"cov": np.eye(2), "step": 0.1, argument: value})
