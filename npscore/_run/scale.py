"""The range of floats: powers of two as units, so that squares stay within it, and the way into float64."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray


def exponents(x: Array, axis: Any = None) -> Any:
    """The whole e with 2^(e−1) ≤ max |x| < 2^e along ``axis``, and 0 where all is 0; of finite real x.

    ``np.ldexp(x, -e)`` is then x in units of its own size, at most 1 in absolute value. It is exact (but for what
    is below 2^−1022 of the largest), so a result that follows the units of x has the same digits at every scale.
    """
    return np.frexp(np.abs(x).max(axis=axis, initial=0.0))[1]


def as_float64(x: Array, name: str) -> Array:
    """The real array x in float64, itself if it is; ValueError where a longdouble is beyond that range."""
    with np.errstate(over="ignore", under="ignore"):
        double = x.astype(np.float64, copy=False)
    if not np.isfinite(double).all():
        raise ValueError(f"{name} must be within the range of float64, got {x[~np.isfinite(double)].flat[0]}")
    return double
