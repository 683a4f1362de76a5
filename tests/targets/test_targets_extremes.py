"""Single values at the ends of the range, where squares, inverses, sums or casts used to lose them."""

import math
import pickle
from decimal import Decimal, localcontext

import numpy as np
import pytest
from oracle.functions import erf, pi
from support.target_zoo import ALL

from npscore.targets import (
    Exponential,
    Gaussian,
    GaussianMixture,
    Gumbel,
    Laplace,
    Logistic,
    Product,
    StudentT,
    TruncatedGaussian,
    Uniform,
)
from npscore.targets.quadrature import gauss_legendre, legendre

wide_range = pytest.mark.skipif(
    np.finfo(np.longdouble).maxexp < 2000,
    reason="the ends of float64's range need a longdouble with more exponents",
)
LN2, LN10 = math.log(2), math.log(10)


def f32(value):
    return np.array([[value]], np.float32)


@pytest.mark.parametrize("scale", [1e20, 1e23, 1e-20, 1e-23, 3.0])
def test_the_score_of_a_gaussian_one_deviation_out_in_float32(scale):
    score = Gaussian([0.0], [[scale * scale]]).score(f32(scale))
    assert score.dtype == np.float32
    np.testing.assert_allclose(score, -1 / scale, rtol=3e-7)


@wide_range
def test_a_gaussian_of_subnormal_variance():
    """1e-320 is 2024 of the smallest float exactly; P = 1/1e-320 is beyond the range."""
    target, variance = Gaussian([0.0], [[1e-320]]), 2024 * np.longdouble(2) ** -1074
    assert target.score([[0.0]])[0, 0] == 0
    assert target.score([[1e-320]])[0, 0] == -1
    assert target.log_prob([[0.0]])[0] == pytest.approx(float(-0.5 * np.log(2 * np.pi * variance)), rel=1e-15)
    assert target.score_divergence([[0.0]])[0] == -np.inf and target.precision[0, 0] == np.inf


def test_a_uniform_far_from_zero_and_one_wider_than_float32():
    assert Uniform(1e8, 1e8 + 10).log_prob(f32(1e8))[0] == np.float32(-LN10)
    assert Uniform(0.0, 1e60).log_prob(f32(3.0))[0] == np.float32(-60 * LN10)
    assert Uniform(0.0, 1e-60).log_prob(f32(0.0))[0] == np.float32(60 * LN10)


def test_a_sample_rounded_to_float32_stays_inside():
    """The edges are rounded like the data, in whatever type the density is evaluated."""
    for target in (
        Uniform(1e8 + 1, 1e8 + 11),
        TruncatedGaussian(1e8, 1.0, 1e8 + 1, 1e8 + 3),
        Uniform(1e-60, 3e-60),
    ):
        edges = np.array([[target.low], [target.high]])
        x = np.concatenate([target.sample(50, rng=0), edges]).astype(np.float32)
        assert np.isfinite(target.log_prob(x)).all() and np.isfinite(target.score(x)).all()
        assert np.isnan(target.score(np.nextafter(x[-1:], np.float32(np.inf), dtype=np.float32))).all()


@pytest.mark.parametrize("distance", [1e3, 1e6, 1e8, 1e30, 1e60])
def test_the_divergence_of_an_isotropic_t_in_the_plane(distance):
    """−(ν + d) ν d/(ν + |x|²)², since P (tr P · I − 2P) = 0: at 1e8 the two terms of (1.12) agree to 16 digits."""
    target, x = StudentT([0.0, 0.0], np.eye(2), 3.0), distance * np.array([[1.0, 0.3]])
    expected = -30 / (3 + np.square(x.astype(np.longdouble)).sum()) ** 2
    assert target.score_divergence(x)[0] == pytest.approx(float(expected), rel=2e-15)


def test_the_t_at_the_end_of_the_range():
    """log p = const − ½(ν + 1) log(1 + x²/ν), from lgamma and 2 log x − log ν."""
    target, x = StudentT([0.0], [[1.0]], 0.1), 1.7e308
    constant = math.lgamma(0.55) - math.lgamma(0.05) - 0.5 * math.log(0.1 * math.pi)
    expected = constant - 0.55 * (2 * math.log(x) - math.log(0.1))
    assert (
        target.log_prob([[x]])[0] == pytest.approx(expected, rel=1e-15) == pytest.approx(-783.876, rel=1e-6)
    )
    score = target.score([[x]])[0, 0]
    assert score == target.unchecked_score(np.array([[x]]))[0, 0] == pytest.approx(-1.1 / x, rel=1e-14)


@pytest.mark.parametrize("df", [0.01, 0.1])
def test_the_score_of_a_t_on_its_own_draws_in_float32(df):
    target = StudentT([0.0], [[1.0]], df)
    with np.errstate(over="ignore"):
        x = target.sample(2000, rng=0).astype(np.float32)
    x = x[np.isfinite(x)][:, None]
    assert len(x) > 500
    y = x.astype(np.float64)
    expected = np.where(
        np.abs(y) > 1e10, -(df + 1) / y, -(df + 1) * y / (df + np.minimum(np.abs(y), 1e10) ** 2)
    )
    for score in (target.score(x), target.unchecked_score(x)):
        np.testing.assert_allclose(score, expected, rtol=1e-6, atol=1e-44)


@pytest.mark.parametrize("df", [8.5, 8.55, 8.6, 8.65, 8.7])
def test_the_quadrature_of_a_t_has_its_eighth_moment_in_space(df):
    nodes, weights = StudentT(np.zeros(3), np.eye(3), df).quadrature(60)
    moment = np.prod([df * (2 * j - 1) / (df - 2 * j) for j in range(1, 5)])
    for i in range(3):
        assert (weights * nodes[:, i] ** 8).sum() == pytest.approx(moment, rel=1e-10)


@pytest.mark.parametrize("df", [1e-3, 0.3, 1.0, 1.9, 2.5, 6.5, 8.5, 30.0, 1e8])
@pytest.mark.parametrize("d, order", [(1, 60), (2, 60), (3, 41), (4, 21), (5, 11)])
def test_the_nodes_of_a_t_are_finite(d, order, df):
    nodes, weights = StudentT(np.zeros(d), np.eye(d), df).quadrature(order)
    assert np.isfinite(nodes).all() and abs(weights.sum() - 1) < 1e-13
    assert abs((weights[:, None] * np.tanh(nodes)).sum(axis=0)).max() < 1e-13


def tail_mass(a):
    """∫₀^∞ exp(−½t² − at) dt: Laplace's continued fraction, or √(π/2) e^{a²/2} (1 − erf(a/√2)) in 60 digits below 3."""
    if a < 3:
        with localcontext() as context:
            context.prec = 60
            a = Decimal(a)
            return np.longdouble(
                str((pi() / 2).sqrt() * (a * a / 2).exp() * (1 - erf(a / Decimal(2).sqrt())))
            )
    total = np.longdouble(a)
    for k in range(400, 0, -1):
        total = a + k / total
    return 1 / total


@pytest.mark.parametrize("a", [0.0, 0.1, 1.0, 2.9, 5.0, 30.0, 1e3, 1e8, 1e200])
def test_the_mass_of_a_cut_gaussian(a):
    """At the edge a deviations out p = 1/M(a); at a distance t it is exp(−½t² − at)/M(a)."""
    mass = tail_mass(a)
    for target, side in (
        (TruncatedGaussian(0.0, 1.0, a, math.inf), 1),
        (TruncatedGaussian(0.0, 1.0, -math.inf, -a), -1),
    ):
        assert target.log_prob([[side * a]])[0] == pytest.approx(float(-np.log(mass)), rel=2e-16, abs=2e-16)
    half = TruncatedGaussian(0.0, 1.0, a, a + 1) if a < 1e8 else None
    if half is not None:  # what is beyond a + 1 is e^{−a − ½} M(a + 1)
        rest = mass - np.exp(-np.longdouble(a) - 0.5) * tail_mass(a + 1)
        assert half.log_prob([[a]])[0] == pytest.approx(float(-np.log(rest)), rel=4e-16, abs=4e-16)


@wide_range
def test_a_cut_gaussian_whose_edge_is_further_out_than_floats_reach():
    """a = 1e400: p(low) = a/scale = 1e600, and the score there, −1e600, is beyond the range."""
    target = TruncatedGaussian(0.0, 1e-200, 1e200, 2e200)
    assert target.log_prob([[1e200]])[0] == pytest.approx(600 * LN10, rel=1e-15)
    assert target.score([[1e200]])[0, 0] == target.score_divergence([[1e200]])[0] == -np.inf
    assert target.mean[0] == 1e200 and target.cov[0, 0] == 0
    np.testing.assert_array_equal(target.sample(5, rng=0), 1e200)


@pytest.mark.parametrize("order", [2, 3, 10, 127, 128, 500, 2000])
def test_gauss_legendre_has_all_digits_at_its_ends(order):
    """Exact to degree 2N − 1, and the outermost weight is 2/((1 − x²) P_N′(x)²) at N, whose limit law is Bessel's.

    numpy.polynomial loses four digits of that weight at order 128 and seven at 500.
    """
    nodes, weights = legendre(order)
    eps = float(np.finfo(np.longdouble).eps)
    for power in (0, 2, order - order % 2, 2 * order - 2):
        assert abs((weights * nodes**power).sum() * (power + 1) - 1) < 100 * eps * max(1, order / 10)
    assert (np.diff(nodes) > 0).all() and (nodes == -nodes[::-1]).all() and (weights == weights[::-1]).all()
    if (
        order >= 100
    ):  # θ₁ → j/(N + ½) and w₁ → θ₁²/(j J₁(j))²/2 · …, both to O(N⁻²), with j the first zero of J₀
        j, bessel = 2.404825557695773, 0.5191474972894669
        theta = 2 * np.arcsin(np.sqrt(0.5 * (1 - nodes[-1])))
        assert float(theta) * (order + 0.5) == pytest.approx(j, rel=1 / order**2)
        assert float(weights[-1]) * (order + 0.5) ** 2 * bessel**2 == pytest.approx(1, rel=2 / order**2)
    rounded = gauss_legendre(order)
    assert rounded.nodes.dtype == rounded.weights.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("mean, x", [(5e5, 7e-7), (1e3, 7e-4), (1e3, -2e-3), (1e8, 1e-9), (1e8, 1e-12)])
def test_a_mixture_near_the_midpoint_of_means_far_apart(mean, x, dtype):
    """s = μ tanh(μx) − x and ∇·s = μ²/cosh²(μx) − 1, for N(±μ, 1)."""
    target, x = GaussianMixture([0.5, 0.5], [[-mean], [mean]], np.ones((2, 1, 1))), np.array([[x]], dtype)
    at = x[0, 0].astype(np.longdouble)
    score, divergence = mean * np.tanh(mean * at) - at, mean**2 / np.cosh(mean * at) ** 2 - 1
    assert abs(target.score(x)[0, 0] - score) < 10 * np.finfo(dtype).eps * mean
    assert abs(target.score_divergence(x)[0] / divergence - 1) < 10 * np.finfo(dtype).eps


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="longdouble is float64 here")
@pytest.mark.parametrize("distance, bound", [(1e3, 1e-15), (1e6, 1e-13), (1e9, 1e-10)])
def test_a_mixture_far_off_the_axis_of_its_means(distance, bound):
    """N(±(1, 1), I) at (R, −R + c): ∇·s = −2 + 2/cosh²(c), wrong by R eps of longdouble, where float64 has 1e-16 R."""
    target = GaussianMixture([0.5, 0.5], [[-1.0, -1.0], [1.0, 1.0]], [np.eye(2)] * 2)
    x = distance * np.array([[1.0, -1.0], [1.1, -1.1], [1.7, -1.7]]) + [[0.0, 0.0], [0.25, 0.0], [0.0, 0.3]]
    exact = -2 + 2 / np.cosh(x.astype(np.longdouble).sum(axis=1)) ** 2
    assert np.abs(target.score_divergence(x) - exact).max() < bound


@pytest.mark.parametrize("dtype, largest", [(np.float32, 3e38), (np.float64, 1.7e308)])
def test_a_covariance_at_the_end_of_the_range(dtype, largest):
    cov = np.array([[1.0, 0.5], [0.5, 1.0]], dtype) * dtype(largest)
    normal, heavy = Gaussian([0.0, 0.0], cov), StudentT([0.0, 0.0], cov, 5.0)
    np.testing.assert_array_equal(normal.cov, cov.astype(np.float64))
    z = np.array([[0.3, -0.2]])
    pull = z @ [[4 / 3, -2 / 3], [-2 / 3, 4 / 3]]
    for target in (normal, GaussianMixture([1.0], [[0.0, 0.0]], [cov])):
        np.testing.assert_allclose(target.score(z * largest**0.5), -pull / largest**0.5, rtol=1e-6)
    factor = 7 / (5 + (pull * z).sum())
    np.testing.assert_allclose(heavy.score(z * largest**0.5), -factor * pull / largest**0.5, rtol=1e-6)


def test_variances_of_very_different_sizes_are_a_covariance():
    target = Gaussian([0.0, 0.0], np.diag([1e-300, 1e300]))
    np.testing.assert_allclose(target.score([[1e-150, 1e150]]), [[-1e150, -1e-150]], rtol=1e-14)


def test_weights_from_a_softmax_in_float32_are_weights():
    rng = np.random.default_rng(0)
    for _ in range(200):
        e = np.exp(rng.standard_normal(8).astype(np.float32) * 3)
        weights = GaussianMixture(e / e.sum(), np.zeros((8, 1)), np.ones((8, 1, 1))).weights
        assert abs(weights.sum() - 1) < 1e-15
    with pytest.raises(ValueError, match="weights must sum to 1"):
        GaussianMixture(np.float32([0.5, 0.4999]), np.zeros((2, 1)), np.ones((2, 1, 1)))


def test_log_prob_at_the_centre_of_the_widest_scales():
    for scale, expected in ((1e308, 308.0), (1e-308, -308.0)):
        assert Laplace(0.0, scale).log_prob([[0.0]])[0] == pytest.approx(-LN2 - expected * LN10, rel=1e-15)
        assert Logistic(0.0, scale).log_prob([[0.0]])[0] == pytest.approx(
            -2 * LN2 - expected * LN10, rel=1e-15
        )
        assert Gumbel(0.0, scale).log_prob([[0.0]])[0] == pytest.approx(-1 - expected * LN10, rel=1e-15)


def test_a_kink_is_only_at_its_place():
    """(x − loc)/b rounds to 0 where x is not loc."""
    assert Laplace(0.0, 1e300).score([[1e-300]])[0, 0] == -1e-300


@wide_range
@pytest.mark.parametrize("scale", [1e200, 1e155, 1e153, 1.0, 1e-153, 1e-160, 1e-200])
def test_moments_beyond_the_range_are_inf_or_zero_without_a_warning(scale):
    third = np.longdouble(1) / 3
    squares = {
        Laplace(0.0, scale): 2,
        Logistic(0.0, scale): math.pi**2 / 3,
        Gumbel(0.0, scale): math.pi**2 / 6,
        Exponential(1 / scale): 1,
        Uniform(0.0, 2 * scale): third,
        TruncatedGaussian(0.0, scale, 0.0, math.inf): 1 - 2 / np.longdouble(np.pi),
        GaussianMixture([0.5, 0.5], [[-scale], [scale]], [[[1e-300]], [[1e-300]]]): 1,
    }
    with np.errstate(over="ignore", under="ignore"):
        for target, factor in squares.items():
            expected = np.float64(factor * np.longdouble(scale) ** 2)
            variance = target.cov[0, 0]
            rounded = 1e-300 if isinstance(target, GaussianMixture) else 0.0
            assert variance == pytest.approx(expected + rounded, rel=1e-14, abs=0), target


def test_noise_whose_variance_is_beyond_the_range():
    normal = Gaussian([0.0], [[1.0]])
    np.testing.assert_array_equal(normal.smoothed(1e-200).cov, normal.cov)
    assert normal.smoothed(1e150).cov[0, 0] == pytest.approx(1e300, rel=1e-15)
    for target in (normal, GaussianMixture([1.0], [[0.0]], [[[1.0]]])):
        with pytest.raises(ValueError, match="sigma must be a finite number > 0 with cov"):
            target.smoothed(1e200)


@wide_range
def test_draws_and_nodes_at_the_ends_of_the_range_are_silent():
    for scale in (1e-300, 1e-150, 1e150, 1e300):
        targets = [Laplace(0.0, scale), Logistic(0.0, scale), Gumbel(0.0, scale), Exponential(1 / scale)]
        targets += [Uniform(-scale, scale), TruncatedGaussian(0.0, scale, -scale, math.inf)]
        if 1e-200 < scale < 1e200:
            cov = [[scale**2]]
            targets += [
                Gaussian([0.0], cov),
                StudentT([0.0], cov, 3.0),
                GaussianMixture([1.0], [[0.0]], [cov]),
            ]
        for target in targets:
            x = target.sample(200, rng=0)
            assert 0.05 < np.median(np.abs(x / scale)) < 20
            nodes, weights = target.quadrature(30)
            assert 0.05 < (weights * np.abs(nodes[:, 0] / scale)).sum() < 20
            assert np.isfinite(target.log_prob(x)).all()


def test_factors_whose_curvatures_cancel_beyond_the_range():
    """+∞ of a t's tail and −∞ of a Gaussian are a finite sum or one of the two, never NaN."""
    factors = [StudentT([0.0], [[1e-312]], 1.0), Gaussian([0.0], [[1e-312]])]
    assert Product(factors).score_divergence([[1e-155, 0.0]])[0] == -np.inf


@pytest.mark.parametrize("name", ALL)
def test_a_pickle_does_not_grow_with_use(name):
    target = ALL[name]
    fresh = pickle.loads(pickle.dumps(target))
    before = len(pickle.dumps(fresh))
    for dtype in (np.float32, np.float64, np.longdouble, np.complex128):
        x = target.sample(20, rng=0).astype(dtype)
        for function in (fresh.log_prob, fresh.score, fresh.score_divergence, fresh.unchecked_score):
            function(x)
    fresh.quadrature(4)
    assert len(pickle.dumps(fresh)) == before
