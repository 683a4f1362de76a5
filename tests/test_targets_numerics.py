"""Targets in floating point: far tails, number types, ill-conditioned covariances, and nothing is mutated."""

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from target_zoo import ALL, BOUNDED, SMOOTH, mixture, student_t

from npscore.targets import (
    Gaussian,
    GaussianMixture,
    Gumbel,
    Laplace,
    Logistic,
    Product,
    StudentT,
    TruncatedGaussian,
)

EVALUATIONS = ("log_prob", "score", "score_divergence")
every_target = pytest.mark.parametrize("target", ALL.values(), ids=ALL)
wide_longdouble = np.finfo(np.longdouble).eps < 1e-18

TWINS = GaussianMixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2)] * 2)


@every_target
@pytest.mark.parametrize("dtype", [np.float32, np.longdouble])
def test_a_number_type_is_kept_and_agrees_with_float64(target, dtype):
    x = target.sample(30, rng=0).astype(dtype)
    bound = 3e-5 if dtype is np.float32 else 1e-13
    for name in EVALUATIONS:
        value, reference = getattr(target, name)(x), getattr(target, name)(x.astype(np.float64))
        assert value.dtype == dtype and reference.dtype == np.float64
        np.testing.assert_allclose(value.astype(np.float64), reference, rtol=bound, atol=bound)
        as_complex = getattr(target, name)(x + 0j)
        assert as_complex.dtype == np.result_type(dtype, np.complex64)
        np.testing.assert_allclose(as_complex.real, value, rtol=10 * np.finfo(dtype).eps, atol=bound)


@every_target
def test_integers_become_float64_and_the_input_is_untouched(target):
    x = np.ones((3, target.d), dtype=int) if getattr(target, "high", 2) >= 1 else np.full((3, 1), -1)
    kept = x.copy()
    for name in EVALUATIONS:
        value = getattr(target, name)(x)
        assert value.dtype == np.float64 and not np.shares_memory(value, x)
        np.testing.assert_array_equal(value, getattr(target, name)(x.astype(float)))
        np.testing.assert_array_equal(getattr(target, name)(x.tolist()), value)
    np.testing.assert_array_equal(x, kept)


@every_target
def test_rows_do_not_depend_on_each_other(target):
    """Nor on the order in memory, nor on where a block of rows begins."""
    x = np.resize(target.sample(50, rng=0), (40_000, target.d))
    for name in EVALUATIONS:
        whole, part = getattr(target, name)(x), getattr(target, name)(np.asfortranarray(x[:50]))
        np.testing.assert_allclose(whole, np.resize(part, whole.shape), rtol=1e-12, atol=1e-13)
        assert whole.flags["C_CONTIGUOUS"]


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
    np.testing.assert_allclose(moved[:, 0], np.cosh(x[:, 0]) ** -2 - 1, rtol=1e-12)
    x32 = np.array([[0.3, min(far, 1e30)]], dtype=np.float32)
    np.testing.assert_allclose(TWINS.score(x32)[0, 0], np.tanh(0.3) - 0.3, rtol=1e-5)


@pytest.mark.parametrize("scale", [10.0, 40.0, 50.0, 1e3])
def test_the_two_ways_to_compare_components_agree(scale):
    """Across the distance at which the mixture changes from one to the other (1000 in ‖y‖²)."""
    target = mixture(1, 3)
    x = scale * np.random.default_rng(0).standard_normal((50, 3))
    y = target._whitened(x)
    plain, far = target._log_ratios(x, y), target._far_log_ratios(x, y)
    np.testing.assert_allclose(plain[0], far[0], rtol=1e-12)
    np.testing.assert_allclose(plain[1], far[1], rtol=1e-9, atol=1e-13 * scale**2)


def test_beyond_the_float_range_the_mixture_score_is_finite():
    """‖y‖² overflows; the score still is that of the widest component, or of both on a tie."""
    crossed = GaussianMixture([0.5, 0.5], [[0.0, 0.0]] * 2, [np.diag([1.0, 4.0]), np.diag([4.0, 1.0])])
    x = 1e200 * np.array([[1.0, 0.5], [-0.5, 1.0]])
    np.testing.assert_allclose(crossed.score(x), -x * [[0.25, 1.0], [1.0, 0.25]])
    assert np.isfinite(crossed.score(1e200 * np.ones((1, 2)))).all()
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


@pytest.mark.parametrize("target", BOUNDED.values(), ids=BOUNDED)
def test_the_support_is_closed_and_outside_it_there_is_no_score(target):
    for edge, outward in ((target.low, -1.0), (target.high, 1.0)):
        if math.isfinite(edge):
            on, off = np.array([[edge]]), np.array([[edge + 1e-6 * outward]])
            for dtype in (np.float32, np.float64, np.complex128):
                assert np.isfinite(target.log_prob(on.astype(dtype))).all()
                assert np.isfinite(target.score(on.astype(dtype))).all()
                assert target.log_prob(off.astype(dtype)).real == -np.inf
                assert np.isnan(target.score(off.astype(dtype))).all()
                assert np.isnan(target.score_divergence(off.astype(dtype))).all()
            factor = Product([Gumbel(0.0, 1.0), target])
            pair = np.column_stack([[[0.0]], off])
            assert factor.log_prob(pair) == -np.inf
            np.testing.assert_array_equal(np.isnan(factor.score(pair)), [[False, True]])


@pytest.mark.skipif(not wide_longdouble, reason="longdouble is float64 here")
def test_an_ill_conditioned_precision_is_right_to_the_last_digits():
    """The symmetric Pascal matrix has determinant 1 and an inverse of whole numbers; here κ = 4·10⁹."""
    pascal = np.array([[math.comb(i + j, i) for j in range(10)] for i in range(10)], dtype=float)
    signed = np.tril([[(-1.0) ** (i + j) * math.comb(i, j) for j in range(10)] for i in range(10)])
    target = Gaussian(np.zeros(10), pascal)
    np.testing.assert_allclose(target.precision, signed.T @ signed, rtol=1e-12)
    assert target.log_prob(np.zeros((1, 10)))[0] == pytest.approx(-5 * math.log(2 * math.pi), rel=1e-12)
    assert np.abs(np.linalg.inv(pascal) - signed.T @ signed).max() > 1e-9


@pytest.mark.skipif(not wide_longdouble, reason="longdouble is float64 here")
def test_longdouble_is_more_than_float64():
    """log N(0; 0, 1) = −½ log 2π and the t normaliser, to 18 digits (values: Gauss–Legendre's 50-digit constants)."""
    half_log_2pi = np.longdouble("0.918938533204672741780329736405617639861")
    zero = np.zeros((1, 1), dtype=np.longdouble)
    assert abs(Gaussian([0.0], [[1.0]]).log_prob(zero)[0] + half_log_2pi) < 1e-18
    log_pi = np.longdouble("1.144729885849400174143427351353058711647")
    assert abs(StudentT([0.0], [[1.0]], 1.0).log_prob(zero)[0] + log_pi) < 1e-18


@pytest.mark.parametrize("df", [0.3, 1.0, 7.7, 63.0, 1e5])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_normaliser_of_the_t(df, d):
    """eq-1.28 against lgamma where that is accurate."""
    at_centre = StudentT(np.zeros(d), np.eye(d), df).log_prob(np.zeros((1, d)))[0]
    expected = math.lgamma((df + d) / 2) - math.lgamma(df / 2) - d / 2 * math.log(df * math.pi)
    assert at_centre == pytest.approx(expected, rel=1e-13, abs=1e-15 * max(1, df * math.log(df + 1)))


@every_target
def test_targets_are_frozen_and_their_arrays_read_only(target):
    with pytest.raises(FrozenInstanceError):
        target.d_other = 1
    for field in fields(target):
        value = getattr(target, field.name)
        with pytest.raises(FrozenInstanceError):
            setattr(target, field.name, value)
        if isinstance(value, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                value[...] = 0


@every_target
def test_copies_and_pickles_are_the_same_density(target):
    x = target.sample(4, rng=0)
    for twin in (copy.deepcopy(target), pickle.loads(pickle.dumps(target))):
        np.testing.assert_array_equal(twin.log_prob(x), target.log_prob(x))


def test_parameters_are_copied_on_the_way_in():
    mean, cov = np.zeros(2), np.eye(2)
    target, heavy = Gaussian(mean, cov), StudentT(mean, cov, 3.0)
    mean += 1
    cov *= 2
    np.testing.assert_array_equal(target.mean, [0, 0])
    np.testing.assert_array_equal(heavy.scale_matrix, np.eye(2))
    assert mean.flags.writeable and cov.flags.writeable


def test_a_covariance_may_be_narrow_in_type_but_not_in_digits():
    target = Gaussian(np.float32([0.1, 0.2]), np.eye(2, dtype=np.float32))
    assert target.mean.dtype == target.cov.dtype == target.precision.dtype == np.float64
    assert Gaussian([1, 2], [[2, 1], [1, 2]]).sample(2, rng=0).dtype == np.float64
    wide = GaussianMixture(
        np.longdouble([0.5, 0.5]), np.zeros((2, 1), np.longdouble), np.ones((2, 1, 1), np.longdouble)
    )
    assert (
        wide.sample(2, rng=0).dtype
        == wide.quadrature(4).nodes.dtype
        == wide.quadrature(4).weights.dtype
        == float
    )


def test_student_t_moments_exist_where_the_book_says():
    with pytest.raises(ValueError, match=r"df must be > 1 for the mean to exist, got 1\.0"):
        student_t(0, 2, df=1.0).mean  # noqa: B018
    with pytest.raises(ValueError, match=r"df must be > 2 for the covariance to exist, got 2\.0"):
        student_t(0, 2, df=2.0).cov  # noqa: B018
