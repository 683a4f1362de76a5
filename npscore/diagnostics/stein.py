"""Does a score fit a sample: the kernel Stein discrepancy, and a test by it.

For a density p with score s, E_p[(s(x) f(x) + ∇f(x))] = 0 for any smooth f that vanishes at infinity. The discrepancy
is the largest such mean over a sample, f in the unit ball of the kernel's space: 0 for samples of p alone.

Computed in units of c, in which the kernel is (1 + r²)^β with nothing that overflows: rows and scores are brought there
by a power of two, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .._run.borders import (
    Array,
    as_batch,
    as_callable,
    as_flag,
    as_number,
    as_positive,
    as_shaped,
    call_score,
)
from .._run.scale import as_float64, within_range

_BLOCK = 1 << 16  # numbers in one temporary
QUIET = {"over": "ignore", "under": "ignore", "invalid": "ignore"}  # the kernel of rows far apart is 0


class KSDTest(NamedTuple):
    """What ``ksd_test`` returns."""

    statistic: float  # ksd(score, x, c, beta)
    p: float


class Rows(NamedTuple):
    """A sample and its scores in units of 2^exponent, and the kernel's c and β there."""

    x: Array  # (n, d)
    s: Array  # (n, d)
    c: float  # in [1/2, 1)
    beta: float
    exponent: int


def ksd(
    score: Callable[[Array], Any], x: Any, c: float = 1.0, beta: float = -0.5, unbiased: bool = False
) -> float:
    """The squared kernel Stein discrepancy of a sample from the density with this score, by the multiquadric kernel.

    KSD² = (1/n²) Σᵢⱼ u(xᵢ, xⱼ) (a V-statistic, ≥ 0), or without i = j and over n(n − 1) if ``unbiased`` (a
    U-statistic, 0 on average for a sample of p). With k = (c² + ‖r‖²)^β, r = x − y, k₁ and k₂ its derivatives in ‖r‖²,

        u(x, y) = s(x)·s(y) k + 2k₁ (s(y) − s(x))·r − 2d k₁ − 4k₂ ‖r‖².

    ``x`` is (n, d), ``score`` any callable (n, d) -> (n, d), c > 0 in the units of x and −1 < β < 0. This is not the
    root, which other programs return. It has units, (units of x)^(2β−2): two values compare at one c only. It cannot
    see how much lies in each of two separate modes, as no score can. O(n²d) time, O(nd) memory, in float64.

    Raises TypeError or ValueError for a wrong argument, and where the value is beyond the largest float.
    Source: Liu, Lee & Jordan (2016), "A kernelized Stein discrepancy", ICML, eq. 14; Gorham & Mackey (2017), "Measuring
    sample quality with kernels", ICML, for the kernel.
    """
    rows, unbiased = _rows(score, x, c, beta), as_flag(unbiased, "unbiased")
    n = len(rows.x)
    if unbiased and n < 2:
        raise ValueError(f"x must have at least two rows for unbiased=True, got {n}")
    with np.errstate(**QUIET):
        total = sum(float(u.sum()) for _, u in _blocks(rows))
        if unbiased:
            return _finite(_in_units_of_x((total - _diagonal(rows)) / n / (n - 1), rows))
        return _finite(_in_units_of_x(max(total, 0.0) / n / n, rows))  # below 0 by rounding only


def ksd_test(
    score: Callable[[Array], Any], x: Any, signs: Any, c: float = 1.0, beta: float = -0.5
) -> KSDTest:
    """Is x a sample of the density with this score? The discrepancy, and its p-value by random signs.

    ``signs`` (B, n) are ±1 with probability ½ each, independent. With S_b = (1/n²) Σᵢⱼ εᵢεⱼ u(xᵢ, xⱼ), which is
    distributed as S = KSD² nearly if x is such a sample of independent rows,

        p = (1 + #{b: S_b ≥ S}) / (B + 1).

    Rows must be independent: thin chains first. The score must not have been fitted to these rows: on those it was
    fitted to the test never rejects. Other arguments as in ``ksd``. p does not depend on the units of x where c follows
    them; the statistic may be 0 or inf there.

    Raises TypeError or ValueError for a wrong argument, and where c times a score is beyond the largest float.
    Source: Liu, Lee & Jordan (2016), section 3.2; Chwialkowski, Strathmann & Gretton (2016), "A kernel test of goodness
    of fit", ICML.
    """
    rows = _rows(score, x, c, beta)
    n = len(rows.x)
    signs = as_batch(signs, "signs")
    signs = as_float64(as_shaped(signs, "signs", (len(signs), n)), "signs")
    if not (np.abs(signs) == 1).all():
        raise ValueError(f"signs must all be 1 or -1, got {signs[np.abs(signs) != 1][0]}")
    everywhere = np.concatenate([np.ones((1, n)), signs])  # (B + 1, n): the statistic first
    totals = np.zeros(len(everywhere))  # (B + 1,)
    with np.errstate(**QUIET):
        for start, u in _blocks(rows):
            totals += np.einsum("bi,bi->b", everywhere[:, start : start + len(u)], everywhere @ u.T)
        statistic = _in_units_of_x(max(_finite(float(totals[0])), 0.0) / n / n, rows)
    rounding = 8 * np.finfo(np.float64).eps * abs(totals[0])  # signs that are all alike are no smaller
    p = (1 + np.count_nonzero(totals[1:] >= totals[0] - rounding)) / len(totals)  # eq-9.21
    return KSDTest(statistic, float(p))


def _rows(score: Any, x: Any, c: Any, beta: Any) -> Rows:
    x = as_float64(as_batch(x, "x"), "x")
    score = as_callable(score, "score", "(n, d) -> (n, d)")
    c, beta = as_positive(c, "c"), as_number(beta, "beta", above=-1.0, below=0.0)
    s = as_float64(call_score(score, x.copy(), finite=True), "score(x)")
    mantissa, exponent = math.frexp(c)
    with within_range("x", "x/c and c times the score"), np.errstate(under="ignore"):
        return Rows(np.ldexp(x, -exponent), np.ldexp(s, exponent), mantissa, beta, exponent)


def _blocks(rows: Rows) -> Iterator[tuple[int, Array]]:
    """u(xᵢ, xⱼ) for some rows i and all j, (b, n), with the first i."""
    n = len(rows.x)
    step = max(1, _BLOCK // n)
    columns = np.ascontiguousarray(rows.x.T), np.ascontiguousarray(rows.s.T)  # (d, n) each
    for start in range(0, n, step):
        some = slice(start, start + step)
        squared, cross = np.zeros((2, *rows.x[some, :1].shape[:1], n))  # (b, n) each
        for x, s in zip(*columns):
            r = x[some, None] - x  # (b, n)
            squared += r * r
            r *= s - s[some, None]
            cross += r
        yield start, _stein_kernel(squared, cross, rows.s[some] @ rows.s.T, rows)


def _stein_kernel(squared: Array, cross: Array, product: Array, rows: Rows) -> Array:
    """u from ‖r‖², (s(y) − s(x))·r and s(x)·s(y), all of one shape."""
    beta, d = rows.beta, rows.x.shape[1]
    q = squared + rows.c**2  # at least 1/4
    k = q**beta
    k1 = beta * k / q
    k2_squared = (beta - 1) * k1 * (1 - rows.c**2 / q)  # k₂‖r‖²
    return product * k + 2 * k1 * cross - 2 * d * k1 - 4 * k2_squared  # eq-9.20


def _diagonal(rows: Rows) -> float:
    """Σ u(xᵢ, xᵢ)."""
    product = np.einsum("nd,nd->n", rows.s, rows.s)  # (n,)
    zero = np.zeros_like(product)
    return float(_stein_kernel(zero, zero, product, rows).sum())


def _in_units_of_x(value: float, rows: Rows) -> float:
    """The value in the units of x, (2^exponent)^(2β−2) times as large; inf beyond the largest float."""
    power = rows.exponent * (2 * rows.beta - 2)
    whole = math.floor(power)
    try:
        return math.ldexp(value * 2.0 ** (power - whole), whole)
    except OverflowError:
        return math.inf


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(
            f"x must be of a size at which the discrepancy can be computed in floats, got {value}: rescale"
        )
    return value
