"""A covariance as an argument: its Cholesky factor, at every scale, and errors that say what is wrong."""

import numpy as np
import pytest

from npscore._run.covariance import as_covariance


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_covariance_comes_with_its_cholesky_factor(dtype):
    root = np.random.default_rng(0).standard_normal((4, 4))
    cov = (root @ root.T + np.eye(4)).astype(dtype)
    kept, factor = as_covariance(cov, "cov", 4)
    assert kept.dtype == dtype
    np.testing.assert_array_equal(kept, kept.T)
    np.testing.assert_allclose(
        factor @ factor.T, cov.astype(float), rtol=0, atol=20 * np.finfo(factor.dtype).eps
    )
    np.testing.assert_array_equal(factor, np.tril(factor))


@pytest.mark.parametrize(
    "cov, message",
    [
        (np.eye(3), r"cov must have shape \(2, 2\), got shape \(3, 3\)"),
        (np.ones(2), r"cov must have shape \(d, d\), got shape \(2,\)"),
        (np.ones((2, 3)), r"cov must have shape \(d, d\), got shape \(2, 3\)"),
        ([[1.0, 0.5], [0.4, 1.0]], r"cov must be symmetric, got cov - cov.T of up to 0.1"),
        ([[1.0, 2.0], [2.0, 1.0]], r"cov must be positive definite, got smallest eigenvalue -1"),
        ([[1.0, 0.0], [0.0, 0.0]], r"cov must be positive definite, got smallest eigenvalue 0"),
    ],
)
def test_what_is_no_covariance_is_named(cov, message):
    with pytest.raises(ValueError, match=message):
        as_covariance(cov, "cov", 2)


def test_asymmetry_of_rounding_error_is_forgiven():
    cov, _ = as_covariance(np.array([[1.0, 0.5], [0.5 + 1e-15, 1.0]]), "cov")
    np.testing.assert_array_equal(cov, cov.T)


@pytest.mark.parametrize("dtype, scale", [(np.float64, 1e308), (np.float64, 1e-300), (np.float32, 1.7e38)])
def test_neither_the_mean_with_the_transpose_nor_the_factor_leaves_the_range(dtype, scale):
    unit = np.array([[1.0, 0.25], [0.25, 1.0]], dtype)
    cov, factor = as_covariance(unit * dtype(scale), "cov")
    np.testing.assert_array_equal(cov, unit * dtype(scale))
    root = factor / np.sqrt(dtype(scale))
    np.testing.assert_allclose(root @ root.T, unit, rtol=10 * np.finfo(dtype).eps)
