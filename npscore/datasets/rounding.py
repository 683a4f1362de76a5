"""Rounded data: seeing it, and smoothing it.

On data rounded to a grid, implicit score matching has no minimum. Let the score have a steep downward slope at
every grid point, −c (x − nearest point): ½s² is 0 there, the trace is −c, and J_ISM falls with c for
ever. So a fit must not see the grid. Gaussian noise removes it (Hyvärinen 2005 assumes a smooth density;
noise makes it one): by Poisson summation a comb of step Δ, convolved with N(0, σ²), is flat but for

    Δ Σₖ N(x; kΔ, σ²) = 1 + 2 Σⱼ exp(−2π² j² σ²/Δ²) cos(2π j x/Δ)        (9.11)

whose first ripple is 1.4e-2 at σ = Δ/2 and 3.0e-5 at σ = 3Δ/4. Uniform noise of width Δ would level the comb
too, but to a density with steps, whose score is zero inside a cell and infinite at its edge: outside the theorem.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import as_array, as_batch, as_number, as_positive, as_rng, as_shaped
from ._columns import as_columns
from ._grid import grid_step

Array = np.ndarray

MAX_TIES = 0.05  # a column may repeat values in this fraction of its rows
FINEST = 1e-3  # a step below this many standard deviations is too fine for a network to follow
ENOUGH = 0.5  # noise of this many steps leaves a ripple of 1.4 %: no warning
SUGGESTED = 0.75  # noise of this many steps leaves a ripple of 3e-5


class RoundedDataWarning(UserWarning):
    """The data is visibly rounded or full of ties, and implicit score matching would learn that."""


class ColumnRounding(NamedTuple):
    """What the rounding of one column looks like."""

    column: str
    n_distinct: int
    tie_fraction: float  # share of the rows that repeat an earlier row's value
    resolution: Optional[float]  # the step of the grid the values lie on; None where there is none
    is_rounded: bool  # the verdict: rounded or tied enough to spoil implicit score matching
    suggested_jitter: float  # standard deviation of Gaussian noise that hides it; 0 where not rounded


def rounding_report(values: Any, columns: Optional[Sequence[str]] = None) -> tuple[ColumnRounding, ...]:
    """One ``ColumnRounding`` for each column of ``values`` ``(n, d)``.

    The resolution is found from the gaps between neighbouring values, wherever the grid begins and
    whatever its step, so it follows a change of units; see ``_grid.grid_step``. A column is judged
    rounded if both hold:

    - more than 5 % of its rows, and at least two, repeat an earlier value. Continuous data has no ties;
      data on a grid has them as soon as there are enough rows for the grid to show;
    - the step, if there is one, is at least a thousandth of the column's standard deviation. A network
      would need input weights beyond 2π · 1000 to follow a finer one.

    The suggested jitter is ¾ of the step. Ties without a grid (a heap at zero, resampled rows) are atoms
    that no small noise hides; there it is the normal reference bandwidth 1.06 · sd · n^(−1/5)
    (Silverman 1986, eq. 3.28), which smooths visibly: consider dropping the repeated rows instead.
    """
    values = as_batch(values, "values")
    names = as_columns(columns, values.shape[1])
    precision = float(np.finfo(values.dtype).eps)
    return tuple(
        _column_rounding(column.astype(np.float64), name, precision)
        for column, name in zip(values.T, names, strict=True)
    )


def suggested_jitter(values: Any) -> Array:
    """``(d,)``: for each column of ``values`` the noise that hides its rounding, 0 where none is visible."""
    return np.array([column.suggested_jitter for column in rounding_report(values)])


def warn_if_rounded(
    values: Any, columns: Optional[Sequence[str]] = None, jitter: Any = 0.0, *, stacklevel: int = 2
) -> None:
    """One ``RoundedDataWarning`` naming the columns whose rounding ``jitter`` does not hide.

    ``jitter`` is the standard deviation of the noise that will be added, a float or one for each column,
    in the units of ``values``. It hides a grid if it is at least half its step, and ties without a grid
    if it is positive. ``stacklevel`` is that of ``warnings.warn``.
    """
    values = as_batch(values, "values")
    given = _as_jitter(jitter, values.shape[1])  # (d,)
    report = rounding_report(values, columns)
    found = [_described(column, sd) for column, sd in zip(report, given, strict=True) if _shows(column, sd)]
    if not found:
        return
    more = f"; and {len(found) - 4} more columns" if len(found) > 4 else ""
    warnings.warn(
        "rounded or tied data: "
        + "; ".join(found[:4])
        + more
        + ". Implicit score matching is unbounded below on"
        " such data (the model learns the grid): add noise with jitter=..., or use denoising score matching",
        RoundedDataWarning,
        stacklevel=stacklevel,
    )


def dequantise(x: Any, jitter: Any, *, rng: Any) -> Array:
    """x + jitter · z with z ~ N(0, I): rounded data made smooth, ``(n, d)`` in the type of x.

    ``jitter`` is the standard deviation, a float or ``(d,)``, one for each column, in the units of x; 0
    leaves a column as it is. The result has the law of x convolved with N(0, jitter²), so its variance is
    larger by jitter². Draws from ``rng`` (a Generator or a seed).
    """
    x = as_batch(x, "x")
    sd = _as_jitter(jitter, x.shape[1]).astype(x.dtype)  # (d,)
    return unchecked_dequantise(x, sd, as_rng(rng))  # eq-9.7


def unchecked_dequantise(x: Array, sd: Array, rng: np.random.Generator) -> Array:
    """``dequantise`` of clean (n, d) rows by clean (d,) deviations of their type."""
    return x + sd * rng.standard_normal(x.shape).astype(x.dtype, copy=False)


def comb_ripple(jitter: float, resolution: float) -> float:
    """2 exp(−2π² (σ/Δ)²): the relative ripple that noise σ = ``jitter`` leaves of a grid of step Δ."""
    jitter = as_number(jitter, "jitter", at_least=0.0)
    resolution = as_positive(resolution, "resolution")
    return float(2.0 * np.exp(-2.0 * np.pi**2 * (jitter / resolution) ** 2))  # eq-9.11


def _column_rounding(x: Array, name: str, precision: float) -> ColumnRounding:
    n = x.size
    unit = np.ldexp(1.0, int(np.frexp(np.abs(x).max())[1]) - 1)  # a power of two: scaling by it is exact
    x = x / unit  # (n,), within [-2, 2]: squares neither overflow nor vanish
    n_distinct = np.unique(x).size
    repeats = n - n_distinct
    tied = repeats >= 2 and repeats > MAX_TIES * n
    distinct = _apart(x, precision)  # (m,)
    step = grid_step(distinct)
    if tied and distinct.size == 2:  # yes or no, say: two values are always on a grid
        step = float(distinct[1] - distinct[0])
    sd = float(x.std())
    is_rounded = tied and (step is None or step >= FINEST * sd)
    jitter = 0.0
    if is_rounded:
        jitter = SUGGESTED * step if step else 1.06 * sd * n**-0.2
    resolution = None if step is None else float(step * unit)
    return ColumnRounding(name, n_distinct, repeats / n, resolution, is_rounded, float(jitter * unit))


def _apart(x: Array, precision: float) -> Array:
    """The different values, ascending, without those that differ by rounding only (0.3 and 3 * 0.1)."""
    ordered = np.sort(x)
    far = np.diff(ordered) > 8.0 * precision * max(abs(ordered[0]), abs(ordered[-1]))
    return ordered[np.concatenate([[True], far])]


def _as_jitter(jitter: Any, d: int) -> Array:
    """``(d,)`` standard deviations >= 0 from one number or one for each column."""
    sd = as_array(jitter, "jitter")
    sd = np.full(d, sd) if sd.ndim == 0 else as_shaped(sd, "jitter", (d,))
    if (sd < 0).any():
        raise ValueError(f"jitter must be >= 0, got {sd[sd < 0][0]}")
    return sd


def _shows(column: ColumnRounding, jitter: float) -> bool:
    if column.resolution is None:
        return column.is_rounded and jitter == 0
    return column.is_rounded and jitter < ENOUGH * column.resolution


def _described(column: ColumnRounding, jitter: float) -> str:
    if column.n_distinct == 1:
        return f"column {column.column!r} is constant (leave it out)"
    kind = "no common step" if column.resolution is None else f"steps of {column.resolution:.4g}"
    return (
        f"column {column.column!r} ({kind}, {column.tie_fraction:.0%} of rows repeat a value;"
        f" jitter {jitter:.3g}, suggested {column.suggested_jitter:.3g})"
    )
