"""Which type a density is evaluated in, and its parameters in that type.

Parameters are kept in longdouble or float64, and cast to the type of the data where they are used. The cast comes
last: differences of locations, squares and inverses of scales are formed before it, and where the type of the
data cannot hold them, a wider one is taken (`narrowest_type`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray


class Rounded(NamedTuple):
    """An array in every type: rounding a longdouble anew takes as long as a small product."""

    single: Array
    double: Array
    exact: Array  # in longdouble

    @classmethod
    def of(cls, exact: Array) -> Rounded:
        """All three, read-only; an entry beyond the range of a narrower type is ±inf or 0 there."""
        with np.errstate(over="ignore", under="ignore"):
            arrays = [exact.astype(dtype) for dtype in (np.float32, np.float64, np.longdouble)]
        for array in arrays:
            array.setflags(write=False)
        return cls(*arrays)

    def like(self, x: Array) -> Array:
        """The array in the real type of x, which may be complex: no copy."""
        return self["fFdDgG".index(x.dtype.char) // 2]


def like(value: Any, x: Array) -> Any:
    """``value``, an array or a number, in the real type of x: parameters follow the data."""
    dtype = x.real.dtype
    return value.astype(dtype) if isinstance(value, np.ndarray) else dtype.type(value)


def narrowest_type(scales: Any, locations: Any = 0.0) -> np.dtype:
    """The narrowest of float32, float64 and longdouble that can evaluate a density of these scales and locations.

    A type can where every scale b has 2^{−m} ≤ b ≤ 2^m with m a seventh of its largest exponent (float32: 2.6e5,
    float64: 9e43), so that products of up to six scales or inverse scales keep all digits, and where rounding
    the locations to it moves them by at most 8 eps of the smallest scale.
    """
    scales, locations = np.asarray(scales, np.longdouble), np.asarray(locations, np.longdouble)
    for dtype in (np.float32, np.float64):
        info = np.finfo(dtype)
        limit = np.longdouble(2.0) ** (info.maxexp // 7)
        with np.errstate(over="ignore", under="ignore"):
            moved = np.abs(locations.astype(dtype) - locations).max()
            if 1 / limit <= scales.min() and scales.max() <= limit and moved <= 8 * info.eps * scales.min():
                return np.dtype(dtype)
    return np.dtype(np.longdouble)


def variance(factor: Any, scale: Any) -> Array:
    """factor · scale² as a ``(1, 1)`` covariance in float64: inf or 0 beyond its range, without a warning."""
    with np.errstate(over="ignore", under="ignore"):
        scale = np.array([[scale]], np.longdouble)
        return (factor * scale * scale).astype(np.float64)
