"""The checkers checked: right to the last digits on known functions, and not fooled by planted wrong ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import seeds

from npscore.checks import complex_step_gradient, complex_step_jacobian, relative_error, taylor_rates

TYPES = (np.float32, np.float64, np.longdouble)


def f(theta):
    """A function with every kind of term: f = Σ θⱼ e^{sin θⱼ} + Π over neighbours."""
    return (theta * np.exp(np.sin(theta))).sum() + (theta[1:] * theta[:-1] ** 2).sum()


def gradient(theta):
    own = np.exp(np.sin(theta)) * (1 + theta * np.cos(theta))
    own[1:] += theta[:-1] ** 2
    own[:-1] += 2 * theta[1:] * theta[:-1]
    return own


@given(seed=seeds, size=st.integers(2, 8), dtype=st.sampled_from(TYPES))
def test_complex_step_gradient_is_right_to_rounding_in_every_type(seed, size, dtype):  # eq-9.1
    theta = np.random.default_rng(seed).standard_normal(size).astype(dtype)
    actual = complex_step_gradient(f, theta)
    assert actual.dtype == dtype
    assert relative_error(actual, gradient(theta)) < 16 * np.finfo(dtype).eps


def test_complex_step_leaves_theta_alone():
    theta = np.array([1.0, 2.0])
    theta.setflags(write=False)
    complex_step_gradient(f, theta)


@given(seed=seeds, n=st.integers(1, 4), d=st.integers(1, 5))
def test_complex_step_jacobian_of_a_quadratic_map(seed, n, d):
    rng = np.random.default_rng(seed)
    tensor, x = rng.standard_normal((d + 1, d, d)), rng.standard_normal((n, d))
    actual = complex_step_jacobian(lambda x: np.einsum("kij,ni,nj->nk", tensor, x, x), x)
    expected = np.einsum("kij,nj->nki", tensor + tensor.transpose(0, 2, 1), x)
    assert actual.shape == (n, d + 1, d)
    assert relative_error(actual, expected) < 1e-14


def test_complex_step_jacobian_of_a_scalar_per_row_is_its_gradient():
    x = np.random.default_rng(0).standard_normal((4, 3))
    np.testing.assert_allclose(complex_step_jacobian(lambda x: (x**3).sum(axis=1), x), 3 * x**2, rtol=1e-15)


@pytest.mark.parametrize("drops", [np.real, lambda z: np.abs(z) + 0.0, lambda z: float(np.sum(z.real))])
def test_a_function_that_drops_the_imaginary_part_is_refused(drops):
    with pytest.raises(TypeError, match="f must return a complex number for a complex theta"):
        complex_step_gradient(lambda theta: np.sum(drops(theta)), np.ones(2))
    with pytest.raises(TypeError, match="f must return complex values for complex x"):
        complex_step_jacobian(drops, np.ones((1, 2)))


@pytest.mark.parametrize("value", [np.ones(2) * 1j, complex("nan"), complex(0, np.inf)])
def test_a_function_must_return_one_finite_number(value):
    with pytest.raises(ValueError, match="f must return one finite number"):
        complex_step_gradient(lambda theta: value, np.ones(2))


@given(seed=seeds, size=st.integers(2, 8))
def test_taylor_rates_are_two_for_the_gradient(seed, size):  # eq-9.2
    theta, direction = np.random.default_rng(seed).standard_normal((2, size))
    direction /= np.sqrt(direction @ direction)
    rates = taylor_rates(f, gradient(theta), theta, direction, steps=(1e-4, 5e-5, 2.5e-5))
    curvature = complex_step_gradient(lambda t: gradient(t) @ direction, theta) @ direction
    if abs(curvature) > 0.1:  # otherwise the cubic term decides the rate
        assert ((rates > 1.9) & (rates < 2.1)).all()


@given(seed=seeds, factor=st.sampled_from([0.0, 0.5, 0.99, 1.01, 2.001, -1.0]))
def test_taylor_rates_are_one_for_a_gradient_that_is_off(seed, factor):
    theta = np.random.default_rng(seed).standard_normal(4)
    grad = gradient(theta)
    rates = taylor_rates(f, factor * grad, theta, grad / np.sqrt(grad @ grad), steps=(1e-5, 5e-6, 2.5e-6))
    assert ((rates > 0.9) & (rates < 1.1)).all()


def test_taylor_rates_of_an_affine_function_are_infinite_when_right_and_one_when_wrong():
    slope, theta, direction = np.random.default_rng(0).standard_normal((3, 5))
    assert (taylor_rates(lambda t: slope @ t + 1, slope, theta, direction) == np.inf).all()
    wrong = taylor_rates(lambda t: slope @ t + 1, 2 * slope, theta, direction)
    np.testing.assert_allclose(wrong, 1, atol=1e-9)


def test_relative_error_is_on_the_scale_of_the_largest_entry():
    assert relative_error([1.0, 1e-9 + 1e-12], [1.0, 1e-9]) == pytest.approx(1e-12)
    assert relative_error([2.0, 3.0], [0.0, 0.0]) == 3.0
    assert relative_error(1 + 1e-3j, 1.0) == pytest.approx(1e-3)
    assert relative_error(np.zeros(0), np.zeros(0)) == 0.0
