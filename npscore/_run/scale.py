"""The range of floats: powers of two as units, so that squares stay within it, and one error where it is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Array = np.ndarray


def exponents(x: Array, axis: Any = None) -> Any:
    """The whole e with 2^(e−1) ≤ max |x| < 2^e along ``axis``, and 0 where all is 0; of finite real x.

    ``in_units(x, e)`` is then x in units of its own size, at most 1 in absolute value.
    """
    return np.frexp(np.abs(x).max(axis=axis, initial=0.0))[1]


def in_units(x: Array, e: Any) -> Array:
    """x/2^e. It is exact, but for what is below 2^−1022 of a unit, which counts for nothing beside 1.

    So a result that follows the units of x has the same digits at every scale.
    """
    with np.errstate(under="ignore"):
        return np.ldexp(x, -e)


def as_float64(x: Array, name: str) -> Array:
    """The real array x in float64, itself if it is; ValueError where a longdouble is beyond that range."""
    with np.errstate(over="ignore", under="ignore"):
        double = x.astype(np.float64, copy=False)
    if not np.isfinite(double).all():
        raise ValueError(f"{name} must be within the range of float64, got {x[~np.isfinite(double)].flat[0]}")
    return double


@contextmanager
def within_range(name: str, results: str) -> Iterator[None]:
    """What is computed in this block from good arguments may still leave the range of floats: one ValueError then.

    ``name`` is the argument that is to blame, ``results`` what has no number. Also a decorator. NumPy's own
    handling of such errors is left as it is outside.
    """
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            yield
    except (FloatingPointError, OverflowError, ZeroDivisionError) as error:
        raise ValueError(
            f"{name} must be of a size at which {results} can be computed in floats, got {error}: rescale"
        ) from error
