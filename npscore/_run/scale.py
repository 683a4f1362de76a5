"""Powers of two as units: numbers are scaled before they are squared, without a rounding error."""

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
