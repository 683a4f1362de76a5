"""A covariance as an argument: symmetric and positive definite, at every scale that its type holds."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from .borders import Array, as_array


def as_covariance(value: Any, name: str, d: Optional[int] = None) -> tuple[Array, Array]:
    """A symmetric positive definite ``(d, d)`` matrix and its lower Cholesky factor."""
    array = as_array(value, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.shape[0] == 0:
        raise ValueError(f"{name} must have shape (d, d), got shape {array.shape}")
    if d is not None and array.shape[0] != d:
        raise ValueError(f"{name} must have shape {(d, d)}, got shape {array.shape}")
    scale = np.abs(array).max()
    asymmetry = np.abs(0.5 * array - 0.5 * array.T).max()  # halved first: a sum may overflow
    if asymmetry > 500 * np.finfo(array.dtype).eps * scale:
        difference = 2 * float(asymmetry)
        raise ValueError(f"{name} must be symmetric, got {name} - {name}.T of up to {difference:.3g}")
    array = np.where(array == array.T, array, 0.5 * array + 0.5 * array.T)
    return array, _cholesky(array, name)


def _cholesky(array: Array, name: str) -> Array:
    """The lower Cholesky factor of a symmetric matrix, in float32 or float64, which are all that LAPACK knows.

    Row and column i are first divided by a power of two near √aᵢᵢ, exactly: no product on the way leaves the range.
    """
    exponent = np.frexp(np.abs(np.diag(array)))[1] // 2  # (d,)
    if np.abs(exponent).max() > 540:
        raise ValueError(f"{name} must be within the range of float64, got {np.abs(array).max()} at most")
    try:
        with np.errstate(over="raise", under="ignore"):
            unit = np.ldexp(array, -(exponent[:, None] + exponent))  # (d, d)
        factor = np.linalg.cholesky(unit if array.dtype == np.float32 else unit.astype(np.float64))
    except (np.linalg.LinAlgError, FloatingPointError) as error:
        scale = np.abs(array).max() or 1.0
        smallest = float(np.linalg.eigvalsh((array / scale).astype(np.float64))[0]) * float(scale)
        raise ValueError(
            f"{name} must be positive definite, got smallest eigenvalue {smallest:.3g}"
        ) from error
    return np.ldexp(factor, exponent[:, None])
