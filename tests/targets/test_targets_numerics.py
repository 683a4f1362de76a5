"""Targets in floating point: number types, the edges of a support, ill-conditioned covariances; nothing is mutated."""

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from support.target_zoo import ALL, BOUNDED, student_t

from npscore.checks import relative_error
from npscore.targets import Gaussian, GaussianMixture, Gumbel, Product, StudentT

EVALUATIONS = ("log_prob", "score", "score_divergence")
every_target = pytest.mark.parametrize("target", ALL.values(), ids=ALL)
wide_longdouble = np.finfo(np.longdouble).eps < 1e-18


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
def test_an_ill_conditioned_precision_has_the_digits_of_longdouble():
    """Σ = A Aᵀ with A of whole numbers and determinant 1: Σ⁻¹ is whole too, and κ is 4·10⁷."""
    rng = np.random.default_rng(1)
    lower, upper = (np.tril(rng.integers(-2, 3, (6, 6)), -1) + np.eye(6) for _ in range(2))
    root = lower @ upper.T  # (6, 6)
    inverse = np.rint(np.linalg.inv(root))
    np.testing.assert_array_equal(root @ inverse, np.eye(6))  # whole numbers: no rounding in this product
    cov, precision = root @ root.T, inverse.T @ inverse
    assert np.linalg.cond(cov) > 4e7
    target = Gaussian(np.zeros(6), cov)
    assert relative_error(target.precision, precision) < 2e-13
    assert target.log_prob(np.zeros((1, 6)))[0] == pytest.approx(-3 * math.log(2 * math.pi), rel=1e-13)
    assert relative_error(np.linalg.inv(cov), precision) > 2e-12


@pytest.mark.skipif(not wide_longdouble, reason="longdouble is float64 here")
def test_a_covariance_that_is_singular_below_float64_rounding_is_refused():
    """The determinant of this one is −2.6·10⁻¹⁷ exactly; LAPACK's Cholesky may round it to a positive pivot."""
    cov = np.array([[0.646, 0.757], [0.757, 0.8870727554179566]])
    with pytest.raises(ValueError, match=r"cov must be positive definite, got (pivot|smallest)"):
        Gaussian([0.0, 0.0], cov)


@pytest.mark.skipif(not wide_longdouble, reason="longdouble is float64 here")
def test_longdouble_is_more_than_float64():
    """log N(0; 0, 1) = −½ log 2π and the Cauchy log 1/π, against their digits."""
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
