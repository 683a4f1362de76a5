"""Targets in the far tails: the right asymptotics, no warnings, no NaN, and no digits lost to a cancellation."""

import math

import numpy as np
import pytest
from support.target_zoo import SMOOTH, mixture

from npscore.targets import GaussianMixture, Gumbel, Laplace, Logistic, StudentT, TruncatedGaussian

TWINS = GaussianMixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2)] * 2)


@pytest.mark.parametrize("distance", [1e8, -1e8])
@pytest.mark.parametrize("name", [name for name in SMOOTH if "Gumbel" not in name and name != "Product"])
def test_far_tails_are_finite_and_asymptotically_right(name, distance):
    """At |x| = 10⁸: P (μ − x), the widest component's for a mixture; −(ν + d) P y/(yᵀ P y) for a t; ∓1/b."""
    target = SMOOTH[name]
    x = distance * np.linspace(0.5, 1.0, target.d)[None]
    score = target.score(x)[0]
    if isinstance(target, StudentT):
        pull = np.linalg.solve(target.scale_matrix, x[0])
        expected = -(target.df + target.d) * pull / (x[0] @ pull)
    elif isinstance(target, Logistic):
        expected = [-np.sign(distance) / target.scale]
    elif isinstance(target, GaussianMixture):
        pulls = [np.linalg.solve(cov, x[0]) for cov in target.covs]
        expected = -min(pulls, key=lambda pull: x[0] @ pull)
    else:
        expected = -np.linalg.solve(target.cov, x[0])
    np.testing.assert_allclose(score, expected, rtol=3e-7)
    assert np.isfinite(target.log_prob(x)).all() and np.isfinite(target.score_divergence(x)).all()


@pytest.mark.parametrize("far", [1e2, 1e8, 1e16, 1e100, 1e250])
def test_components_of_equal_covariance_are_told_apart_at_any_distance(far):
    """N(±e₁, I) mixed: s₁ = tanh x₁ − x₁ and ∇·s = sech² x₁ − 2 exactly, however large x₂ is.

    The difference of two log-densities of size 10¹⁶ knows nothing of x₁ any more.
    """
    x = np.array([[0.3, far], [-0.7, -far], [1e-3, far]])
    expected = np.column_stack([np.tanh(x[:, 0]) - x[:, 0], -x[:, 1]])
    np.testing.assert_allclose(TWINS.score(x), expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(TWINS.score_divergence(x), np.cosh(x[:, 0]) ** -2 - 2, rtol=1e-13)
    moved = TWINS.score(x + 1e-30j * np.array([1, 0])).imag / 1e-30
    np.testing.assert_allclose(moved[:, 0], np.cosh(x[:, 0]) ** -2 - 1, rtol=1e-12, atol=1e-15)
    x32 = np.array([[0.3, min(far, 1e30)]], dtype=np.float32)
    np.testing.assert_allclose(TWINS.score(x32)[0, 0], np.tanh(0.3) - 0.3, rtol=1e-5)


@pytest.mark.parametrize("scale", [10.0, 40.0, 50.0, 1e3])
def test_the_two_ways_to_compare_components_agree(scale):
    """Across the distance at which the mixture changes from one to the other (1000 in ‖y‖²)."""
    target = mixture(1, 3)
    x = scale * np.random.default_rng(0).standard_normal((50, 3))
    y = target._whitened(x)
    plain, far = target._log_ratios(x, (y * y).sum(axis=1), y), target._far_log_ratios(x, y)
    np.testing.assert_allclose(plain[0], far[0], rtol=1e-12)
    np.testing.assert_allclose(plain[1], far[1], rtol=1e-9, atol=1e-13 * scale**2)


def test_beyond_the_float_range_the_mixture_score_is_finite():
    """‖y‖² overflows; the score still is that of the widest component, or of both on a tie."""
    crossed = GaussianMixture([0.5, 0.5], [[0.0, 0.0]] * 2, [np.diag([1.0, 4.0]), np.diag([4.0, 1.0])])
    x = 1e200 * np.array([[1.0, 0.5], [-0.5, 1.0]])
    np.testing.assert_allclose(crossed.score(x), -x * [[0.25, 1.0], [1.0, 0.25]])
    for q in (1.5, 3.0, 7.0):  # on a tie in exact arithmetic, either component or both may win in floats
        tied = GaussianMixture([0.5, 0.5], [[0.0, 0.0]] * 2, [np.diag([1.0, q]), np.diag([q, 1.0])])
        score = tied.score(1e200 * np.array([[1.0, 1.0], [-3.0, 3.0]]))
        np.testing.assert_allclose(score.sum(axis=1)[0], -1e200 * (1 + 1 / q))
        assert np.isfinite(score).all()
    assert (crossed.log_prob(x) == -np.inf).all()


def test_gumbel_overflows_on_the_left_only_and_to_the_right_infinity():
    target, x = Gumbel(0.0, 1.0), np.array([[-700.0], [-800.0], [800.0]])
    np.testing.assert_allclose(target.log_prob(x), [700 - math.exp(700), -np.inf, -800])
    np.testing.assert_allclose(target.score(x)[:, 0], [math.exp(700) - 1, np.inf, -1])
    np.testing.assert_allclose(target.score_divergence(x), [-math.exp(700), -np.inf, 0])


def test_heavy_and_exponential_tails_beyond_where_squares_overflow():
    """t: s → −(ν + 1)/x and ∇·s → (ν + 1)/x²; log p = log of c |x|^{−ν−1}; logistic ∇·s does not cancel."""
    heavy, x = StudentT([0.0], [[1.0]], 3.0), np.array([[1e200], [-1e100]])
    np.testing.assert_allclose(heavy.score(x), -4 / x, rtol=1e-14)
    np.testing.assert_allclose(heavy.score_divergence(x[1:]), [4e-200], rtol=1e-14)
    log_c = math.log(2 / math.pi / 3**0.5) + 2 * math.log(3)
    np.testing.assert_allclose(heavy.log_prob(x), log_c - 4 * np.log(np.abs(x[:, 0])), rtol=1e-14)
    edge = np.array([[50.0], [-50.0]])
    np.testing.assert_allclose(Logistic(0.0, 1.0).score_divergence(edge), -2 * math.exp(-50), rtol=1e-14)
    np.testing.assert_allclose(Laplace(0.0, 1.0).score([[1e300], [-1e300]]), [[-1], [1]])


@pytest.mark.parametrize("edge", [-10.0, 0.0, 10.0, 1e3, 1e8])
def test_a_gaussian_truncated_far_out_is_an_exponential(edge):
    """With a = edge: the mean excess is the Mills ratio's, (1/a)(1 − 2/a² + 10/a⁴ …) for large a."""
    target = TruncatedGaussian(0.0, 1.0, edge, math.inf)
    excess = target.mean[0] - edge if edge < 1e3 else target._deviations(128)[1] @ target._deviations(128)[0]
    if edge <= 10:
        expected = math.exp(-0.5 * edge**2) / math.sqrt(math.pi / 2) / math.erfc(edge / math.sqrt(2)) - edge
        assert excess == pytest.approx(expected, rel=1e-12)
    else:
        assert excess == pytest.approx((1 - 2 / edge**2 + 10 / edge**4) / edge, rel=1e-11)
    at_edge = math.exp(target.log_prob([[edge]])[0])
    assert at_edge == pytest.approx(edge + excess, rel=1e-12)  # E s = −p(edge) = −E x
    samples = target.sample(1000, rng=0)
    assert (samples >= edge).all()


def test_a_narrow_truncation_is_uniform():
    target = TruncatedGaussian(0.0, 1.0, 3.0, 3.0 + 1e-9)
    width = target.high - target.low
    assert target.log_prob([[3.0]])[0] == pytest.approx(-math.log(width), rel=1e-9)
    assert target.cov[0, 0] == pytest.approx(width**2 / 12, rel=1e-6)
