"""Checks of gradients that do not depend on a tolerance chosen to pass: complex step and Taylor rates.

f is any function of a vector; nothing here knows of score matching. What these checks cannot see is a wrong *loss*
with a matching gradient: for that, compare with ``npscore.objectives`` and with certified numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Optional

import numpy as np

from ._run.borders import as_array, as_batch, as_callable, as_positive, as_shaped
from ._run.scale import exponents, in_units

Array = np.ndarray

STEP_EXPONENT = -100  # the step is 2^-100 (8e-31) beside numbers of size 1 in float64 and longdouble,
STEP_EXPONENT_FLOAT32 = -32  # and 2^-32 in float32, whose smallest normal number is 2^-126


def complex_step_gradient(f: Callable[[Array], Any], theta: Any, step: Optional[float] = None) -> Array:
    """The gradient of a real-analytic f at θ by complex step, ∂f/∂θⱼ = Im f(θ + i h eⱼ)/h, shape (p,).

    No subtraction takes place, so h can be tiny and the result is right to rounding error. f takes a
    complex (p,) vector of its own (it may write to it) and returns a complex scalar; p calls. ``theta`` is (p,).

    ``step`` is h. By default it follows the type and the size S = max|θ|: 2⁻¹⁰⁰ in float64 and longdouble, 2⁻³² in
    float32, times S where S < 1 and √S where it is larger. In float32 this is right for an f that is smooth over
    lengths of S/10⁵ (√S/10⁵ if S > 1) with derivatives above 10⁻²⁸/S: where it is not, a step that suits f must be
    given.

    Raises TypeError where f drops the imaginary part (it returned a real number), ValueError where it
    returns anything but one finite number, or its derivative is too large for the type of θ.
    Source: Squire and Trapp 1998; derivation (9.1).
    """
    as_callable(f, "f", "(p,) -> scalar")
    theta = _vector(theta, "theta")
    step = _step(step, theta)
    gradient = np.empty_like(theta)
    for j in range(theta.size):
        moved = theta.astype(np.result_type(theta.dtype, np.complex64))
        moved[j] += 1j * step
        value = _complex_scalar(f(moved))
        with np.errstate(over="ignore"):
            gradient[j] = value.imag / step  # eq-9.1
    return _held(gradient)


def complex_step_jacobian(f: Callable[[Array], Any], x: Any, step: Optional[float] = None) -> Array:
    """The Jacobian of a row-wise map by complex step, J[n, i, j] = Im fᵢ(xₙ + i h eⱼ)/h, shape (n, k, d).

    f takes a complex (n, d) array of its own and returns complex (n, k), or (n,) for a scalar per row (then the
    result is (n, d): a score from a log-density); each output row may depend on its own input row only. d calls.
    ``step`` is h: by default as in ``complex_step_gradient``, with S the largest |x|.

    Raises TypeError where f drops the imaginary part, ValueError where it returns anything but finite rows, or
    its derivative is too large for the type of x. Derivation: (9.1).
    """
    as_callable(f, "f", "(n, d) -> (n, k)")
    x = as_batch(x, "x")
    step = _step(step, x)
    columns = []
    for j in range(x.shape[1]):
        moved = x.astype(np.result_type(x.dtype, np.complex64))
        moved[:, j] += 1j * step
        rows = _complex_rows(f(moved), len(x))
        with np.errstate(over="ignore"):
            columns.append(rows.imag / step)  # eq-9.1
    return _held(np.stack(columns, axis=-1))


def taylor_rates(
    f: Callable[[Array], Any],
    grad: Any,
    theta: Any,
    direction: Any,
    steps: Sequence[float] = (1e-2, 5e-3, 2.5e-3, 1.25e-3),
) -> Array:
    """How fast the first-order Taylor remainder of f falls: near 2 where ``grad`` is right, 1 where it is not.

    R(h) = |f(θ + h δ) - f(θ) - h gradᵀδ| along ``direction`` δ; the rate between successive steps is
    log(R(h)/R(h′))/log(h/h′), shape (len(steps) - 1,). Where R has sunk into rounding error (f is affine
    along δ and grad right) the rate is inf. ``grad``, ``theta`` and ``direction`` are (p,); f gets a vector of its
    own, of the type of θ. The h δ of R is the difference that θ + h δ makes in that type.

    Raises ValueError for mismatched shapes, steps that do not fall or do not move θ, numbers too large for
    the type of θ, or an f that is not one finite number.
    Source: Farrell, Ham, Funke and Rognes 2013, §4; derivation (9.2).
    """
    as_callable(f, "f", "(p,) -> scalar")
    theta = _vector(theta, "theta")
    grad = as_shaped(grad, "grad", theta.shape)
    direction = as_shaped(direction, "direction", theta.shape)
    h = _falling(steps)
    wide = np.result_type(theta, grad, np.float64)
    points = [_moved(theta, step, direction) for step in h]
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        slopes = np.array([(point.astype(wide) - theta) @ grad for point in points])  # h gradᵀδ
    if not np.isfinite(slopes).all():
        raise ValueError(
            f"grad and direction must have a finite product, got {slopes[~np.isfinite(slopes)][0]}"
        )
    origin = _real_scalar(f(theta.copy()))
    values = np.array([_real_scalar(f(point)) for point in points])
    values = values.astype(np.result_type(values, origin, wide), copy=False)
    remainder, floor = _remainders(values, origin, slopes, np.finfo(theta.dtype).eps)
    measurable = (remainder > floor)[1:]
    ratio = remainder[:-1] / np.where(measurable, remainder[1:], 1)
    with np.errstate(divide="ignore"):
        return np.where(measurable, np.log(ratio) / np.log(h[:-1] / h[1:]), np.inf)  # eq-9.2


def relative_error(actual: Any, expected: Any) -> float:
    """max|actual - expected| / max|expected|: one number for two arrays, judged on the scale of the largest.

    Both the same shape, of any scale. Where ``expected`` is all zero the largest |actual| is returned; inf
    where the quotient is beyond the largest float.
    Raises ValueError for different shapes or values that are not finite.
    """
    expected = as_array(expected, "expected", allow_complex=True)
    actual = as_shaped(actual, "actual", expected.shape, allow_complex=True)
    relative = expected.any()
    exponent = int(exponents(np.append(_parts(actual), _parts(expected))))
    actual, expected = _scaled(actual, exponent), _scaled(expected, exponent)
    error = np.abs(actual - expected).max(initial=0.0)
    scale = np.abs(expected).max(initial=0.0)
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        return float(error / scale if relative else np.ldexp(error, exponent))


def _vector(value: Any, name: str) -> Array:
    vector = as_array(value, name)
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {vector.shape}")
    return vector


def _step(step: Optional[float], like: Array) -> Any:
    """The step > 0 in the type of what it is added to: as given, or by the type and the size of ``like``."""
    kind = np.finfo(like.dtype)
    if step is None:
        size = int(exponents(like))  # log₂ of it, rounded up
        exponent = STEP_EXPONENT_FLOAT32 if like.dtype == np.float32 else STEP_EXPONENT
        exponent += size if size < 0 else size // 2
        return np.ldexp(like.dtype.type(1), max(exponent, kind.minexp + 2))
    positive = as_positive(step, "step")
    if not kind.tiny <= positive <= kind.max:
        raise ValueError(f"step must be a normal number in {like.dtype}, got {step!r}")
    return like.dtype.type(positive)


def _held(derivative: Array) -> Array:
    """``derivative``, all finite."""
    if not np.isfinite(derivative).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(derivative))[0])
        raise ValueError(
            f"f must have derivatives that {derivative.dtype} holds, got {derivative[at]} at index {at}"
        )
    return derivative


def _falling(steps: Any) -> Array:
    h = as_array(steps, "steps")
    if h.ndim != 1 or h.size < 2 or not (h[1:] < h[:-1]).all() or h[-1] <= 0:
        raise ValueError(f"steps must be at least two falling positive numbers, got {steps!r}")
    return h


def _moved(theta: Array, step: Any, direction: Array) -> Array:
    """θ + h δ in the type of θ, which must be finite and not θ itself."""
    with np.errstate(over="ignore", under="ignore"):
        moved = (theta + step * direction).astype(theta.dtype)
    if not np.isfinite(moved).all():
        raise ValueError(f"steps and direction must keep theta finite, got {moved} at step {step}")
    if (moved == theta).all():
        raise ValueError(
            f"steps and direction must move theta in {theta.dtype}, got no difference at step {step}"
        )
    return moved


def _remainders(values: Array, origin: Any, slopes: Array, eps: Any) -> tuple[Array, Array]:
    """R for each value, and the rounding error in it, in units of the largest number that goes in."""
    exponent = int(exponents(np.concatenate([values, slopes, [origin]])))
    values, slopes, origin = (in_units(part, exponent) for part in (values, slopes, origin))
    remainder = np.abs(values - origin - slopes)
    return remainder, 8 * eps * (np.abs(values) + abs(origin) + np.abs(slopes))


def _parts(x: Array) -> Array:
    """Real and imaginary parts, side by side."""
    return np.append(x.real, x.imag)


def _scaled(x: Array, exponent: int) -> Array:
    """x/2^exponent, real or complex, whatever the exponent."""
    if x.dtype.kind == "c":
        return in_units(x.real, exponent) + 1j * in_units(x.imag, exponent)
    return in_units(x, exponent)


def _complex_scalar(value: Any) -> Any:
    value = as_array(value, "f(theta)", allow_complex=True, finite=False)
    if value.dtype.kind != "c":
        raise TypeError(f"f must return a complex number for a complex theta, got dtype {value.dtype}")
    if value.shape != () or not np.isfinite(value):
        raise ValueError(f"f must return one finite number, got {value}")
    return value[()]


def _complex_rows(value: Any, n: int) -> Array:
    rows = as_array(value, "f(x)", allow_complex=True, finite=False)
    if rows.dtype.kind != "c":
        raise TypeError(f"f must return complex values for complex x, got dtype {rows.dtype}")
    if rows.ndim not in (1, 2) or len(rows) != n:
        raise ValueError(
            f"f must return shape ({n}, k) or ({n},), a row for each of x, got shape {rows.shape}"
        )
    return as_array(rows, "f(x)", allow_complex=True)


def _real_scalar(value: Any) -> Any:
    number = as_array(value, "f(theta)", finite=False)
    if number.shape != () or not np.isfinite(number):
        raise ValueError(f"f must return one finite number, got {number}")
    return number[()]
