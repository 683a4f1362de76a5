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


# Every type and every magnitude ---------------------------------------------------------------------------

MAGNITUDES = {np.float32: 24, np.float64: 240, np.longdouble: 240}


@pytest.mark.parametrize("dtype", TYPES)
def test_gradients_of_every_magnitude_in_every_type(dtype):
    """c f(θ/s): whatever sizes the loss and the parameters have, the gradient c/s ∇f is right to rounding."""
    most = MAGNITUDES[dtype]
    shape = np.random.default_rng(0).standard_normal(4).astype(dtype)
    for exponent in range(-most, most + 1, most // 6):
        for loss_exponent in range(-most, most + 1, most // 6):
            scale, loss = dtype(10) ** exponent, dtype(10) ** loss_exponent
            theta = shape * scale
            with np.errstate(over="ignore", under="ignore"):
                expected = loss * (gradient(theta / scale) / scale)
            if np.isfinite(expected).all() and np.abs(expected).min() > np.finfo(dtype).tiny:
                actual = complex_step_gradient(lambda t, c=loss, s=scale: c * f(t / s), theta)
                assert relative_error(actual, expected) < 16 * np.finfo(dtype).eps, (exponent, loss_exponent)


def test_float64s_step_would_accuse_a_right_small_gradient_in_float32():
    theta = np.random.default_rng(0).standard_normal(4).astype(np.float32)
    expected = np.float32(1e-12) * gradient(theta)
    assert relative_error(complex_step_gradient(lambda t: np.float32(1e-12) * f(t), theta), expected) < 1e-6
    with np.errstate(under="ignore"):
        accused = complex_step_gradient(lambda t: np.float32(1e-12) * f(t), theta, step=1e-30)
    assert relative_error(accused, expected) > 1e-4


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_small_jacobian_in_float32(scale):
    x = (scale * np.random.default_rng(0).standard_normal((4, 3))).astype(np.float32)
    small = np.float32(1e-14)
    actual = complex_step_jacobian(lambda x: small * np.sin(x / np.float32(scale)), x)
    diagonal = small * np.cos(x / np.float32(scale)) / np.float32(scale)
    assert relative_error(actual, diagonal[:, :, None] * np.eye(3, dtype=np.float32)) < 1e-6


@pytest.mark.parametrize("dtype, slope", [(np.float32, 1e38), (np.float64, 5e307)])
def test_a_derivative_that_the_type_does_not_hold_is_refused(dtype, slope):
    theta = np.full(2, 1e-20, dtype)
    with pytest.raises(
        ValueError, match=r"^f must have derivatives that float.* holds, got inf at index \(0,\)"
    ):
        complex_step_gradient(lambda t: dtype(slope) * (t * dtype(1e20)).sum(), theta)
    with pytest.raises(ValueError, match=r"^f must have derivatives that float.* holds, got inf at index"):
        complex_step_jacobian(lambda x: dtype(slope) * (x * dtype(1e20)), theta[:, None])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("exponent", [-20, 0, 20])
def test_taylor_rates_in_every_type_and_scale(dtype, exponent):
    """f(θ/s) along s δ; the default steps leave float32 digits enough."""
    scale = dtype(10) ** exponent
    rng = np.random.default_rng(3)
    theta, direction = rng.standard_normal((2, 4)).astype(dtype)
    right = gradient(theta) / scale
    arguments = (theta * scale, direction * scale)
    rates = taylor_rates(lambda t: f(t / scale), right, *arguments, steps=(0.04, 0.02, 0.01))
    assert ((rates > 1.8) & (rates < 2.2)).all()
    wrong = taylor_rates(lambda t: f(t / scale), dtype(1.5) * right, *arguments, steps=(0.004, 0.002, 0.001))
    assert ((wrong > 0.9) & (wrong < 1.1)).all()


def test_taylor_rates_at_the_end_of_the_float_range():
    theta, direction = np.ones(2), np.array([1.0, 0.0])
    big = 1.6e308
    rates = taylor_rates(lambda t: big * np.cos(t[0] - 1), np.zeros(2), theta, direction)
    np.testing.assert_allclose(rates, 2, atol=0.01)
    rates = taylor_rates(lambda t: big * np.sin(3 * t[0]), np.zeros(2), theta, direction, steps=(1e-6, 5e-7))
    np.testing.assert_allclose(rates, 1, atol=0.01)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"direction": np.zeros(2)},
            "steps and direction must move theta in float64, got no difference at step 0.01",
        ),
        ({"steps": (1e-20, 1e-21)}, "steps and direction must move theta"),
        (
            {"direction": np.full(2, 1e308), "steps": (10.0, 1.0)},
            "steps and direction must keep theta finite",
        ),
        (
            {"grad": np.full(2, 1e308), "direction": np.full(2, 1e10)},
            "grad and direction must have a finite product",
        ),
        ({"steps": (1.0, 0.0)}, "steps must be at least two falling positive numbers"),
    ],
)
def test_taylor_rates_that_could_show_nothing_are_refused(change, message):
    good = {"grad": np.ones(2), "theta": np.ones(2), "direction": np.ones(2)}
    with pytest.raises(ValueError, match=f"^{message}"):
        taylor_rates(np.sum, **{**good, **change})


def in_place(z):
    """Σ 3 sin z, computed in the memory of its argument."""
    np.sin(z, out=z)
    z *= 3
    return z.sum()


def test_a_function_that_works_in_place_is_right_and_changes_nothing_of_the_caller():
    theta = np.array([0.3, -1.2])
    right = 3 * np.cos(theta)
    np.testing.assert_allclose(complex_step_gradient(in_place, theta), right, rtol=1e-14)
    rates = taylor_rates(in_place, right, theta, np.array([1.0, 0.5]))
    np.testing.assert_allclose(rates, 2, atol=0.05)
    rows = np.array([[0.3, -1.2]])
    np.testing.assert_allclose(complex_step_jacobian(lambda x: np.sin(x, out=x), rows)[0], np.diag(right / 3))
    assert theta.tolist() == [0.3, -1.2] and rows.tolist() == [[0.3, -1.2]]


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-155, 1.0, 1e155, 1e308])
def test_relative_error_at_any_scale(scale):
    exact = np.array([1.0, -1.0, 0.5])
    assert relative_error(scale * exact, scale * exact) == 0.0
    assert relative_error(-scale * exact, scale * exact) == 2.0
    assert relative_error(scale * 1j * exact, scale * exact) == pytest.approx(np.sqrt(2), rel=1e-12)
    assert relative_error(scale * exact, 0 * exact) == scale


def test_a_relative_error_beyond_the_float_range_is_infinite():
    assert relative_error([1e300], [1e-300]) == np.inf
    assert relative_error([1.7e308 * (1 + 1j)], [-1.7e308 * (1 + 1j)]) == pytest.approx(2.0)
