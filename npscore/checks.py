"""Checks of gradients that do not depend on a tolerance chosen to pass: complex step and Taylor rates.

Public, because checking is what users come for. They know nothing of score matching: f is any function
of a vector. What they cannot see is a wrong *loss* with a matching gradient; that is what comparing with
``npscore.objectives`` (and certified numbers) is for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._run.borders import as_array, as_batch, as_callable, as_positive, as_shaped

Array = np.ndarray


def complex_step_gradient(f: Callable[[Array], Any], theta: Any, step: float = 1e-30) -> Array:
    """The gradient of a real-analytic f at θ by complex step, ∂f/∂θⱼ = Im f(θ + i h eⱼ)/h, shape (p,).

    No subtraction takes place, so h can be tiny and the result is right to rounding error. f takes a
    complex (p,) vector and returns a complex scalar; p calls. ``theta`` is (p,).
    Raises TypeError where f drops the imaginary part (it returned a real number), ValueError where it
    returns anything but one finite number. Source: Squire and Trapp 1998; derivation (9.1).
    """
    as_callable(f, "f", "(p,) -> scalar")
    theta = _vector(theta, "theta")
    step = _representable(step, theta)
    gradient = np.empty_like(theta)
    for j in range(theta.size):
        moved = theta.astype(np.result_type(theta.dtype, np.complex64))
        moved[j] += 1j * step
        gradient[j] = _complex_scalar(f(moved)).imag / step  # eq-9.1
    return gradient


def complex_step_jacobian(f: Callable[[Array], Any], x: Any, step: float = 1e-30) -> Array:
    """The Jacobian of a row-wise map by complex step, J[n, i, j] = Im fᵢ(xₙ + i h eⱼ)/h, shape (n, k, d).

    f takes complex (n, d) and returns complex (n, k), or (n,) for a scalar per row (then the result is
    (n, d): a score from a log-density); each output row may depend on its own input row only. d calls.
    Raises TypeError where f drops the imaginary part, ValueError where it returns anything but finite rows.
    Derivation: (9.1).
    """
    as_callable(f, "f", "(n, d) -> (n, k)")
    x = as_batch(x, "x")
    step = _representable(step, x)
    columns = []
    for j in range(x.shape[1]):
        moved = x.astype(np.result_type(x.dtype, np.complex64))
        moved[:, j] += 1j * step
        columns.append(_complex_rows(f(moved), len(x)).imag / step)  # eq-9.1
    return np.stack(columns, axis=-1)


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
    along δ and grad right) the rate is inf. ``grad``, ``theta`` and ``direction`` are (p,).
    Raises ValueError for mismatched shapes, steps that do not fall, or an f that is not one finite number.
    Source: Farrell, Ham, Funke and Rognes 2013, §4; derivation (9.2).
    """
    as_callable(f, "f", "(p,) -> scalar")
    theta = _vector(theta, "theta")
    grad = as_shaped(grad, "grad", theta.shape)
    direction = as_shaped(direction, "direction", theta.shape)
    h = as_array(steps, "steps")
    if h.ndim != 1 or h.size < 2 or not (np.diff(h) < 0).all() or h[-1] <= 0:
        raise ValueError(f"steps must be at least two falling positive numbers, got {steps!r}")
    origin, slope = _real_scalar(f(theta)), grad @ direction
    values = np.array([_real_scalar(f(theta + step * direction)) for step in h])
    remainder = np.abs(values - origin - h * slope)
    floor = 8 * np.finfo(theta.dtype).eps * (np.abs(values) + abs(origin) + h * abs(slope))
    measurable = (remainder > floor)[1:]
    ratio = remainder[:-1] / np.where(measurable, remainder[1:], 1)
    with np.errstate(divide="ignore"):
        return np.where(measurable, np.log(ratio) / np.log(h[:-1] / h[1:]), np.inf)  # eq-9.2


def relative_error(actual: Any, expected: Any) -> float:
    """max|actual - expected| / max|expected|: one number for two arrays, judged on the scale of the largest.

    Both the same shape. Where ``expected`` is all zero the largest |actual| is returned.
    Raises ValueError for different shapes or values that are not finite.
    """
    expected = as_array(expected, "expected", allow_complex=True)
    actual = as_shaped(actual, "actual", expected.shape, allow_complex=True)
    scale = np.abs(expected).max(initial=0.0)
    return float(np.abs(actual - expected).max(initial=0.0) / (scale if scale > 0 else 1.0))


def _vector(value: Any, name: str) -> Array:
    vector = as_array(value, name)
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {vector.shape}")
    return vector


def _representable(step: Any, like: Array) -> Any:
    """A step > 0 in the type of what it is added to, where 1e-50 would be 0 in float32."""
    positive = like.dtype.type(as_positive(step, "step"))
    if positive < np.finfo(like.dtype).tiny:
        raise ValueError(f"step must be a normal number in {like.dtype}, got {step!r}")
    return positive


def _complex_scalar(value: Any) -> Any:
    value = np.asarray(value)
    if value.dtype.kind != "c":
        raise TypeError(f"f must return a complex number for a complex theta, got dtype {value.dtype}")
    if value.shape != () or not np.isfinite(value):
        raise ValueError(f"f must return one finite number, got {value}")
    return value[()]


def _complex_rows(value: Any, n: int) -> Array:
    rows = np.asarray(value)
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
