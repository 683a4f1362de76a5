"""Rounded data: seeing it, and smoothing it.

On data rounded to a grid, implicit score matching has no minimum. Let the score have a steep downward slope at
every grid point, −c (x − nearest point): ½s² is 0 there, the trace is −c, and J_ISM falls with c for
ever. So a fit must not see the grid. Gaussian noise removes it (Hyvärinen 2005 assumes a smooth density;
noise makes it one): by Poisson summation a comb of step Δ, convolved with N(0, σ²), is flat but for

    Δ Σₖ N(x; kΔ, σ²) = 1 + 2 Σⱼ exp(−2π² j² σ²/Δ²) cos(2π j x/Δ)        (9.11)

whose first ripple r = 2 exp(−2π²σ²/Δ²) is 1.4e-2 at σ = Δ/2 and 3.0e-5 at σ = 3Δ/4. Score matching sees the
score, where a ripple r of the density is one of height 2πr/Δ. A model that adds this sine to a Gaussian's score
−(x − m)/s² lowers J_ISM by half its mean square, ¼(2πr/Δ)², and the Gaussian itself by 1/(2s²). Their quotient,

    ½ (2πr)² (s/Δ)²,

is the Fisher information that the grid adds, relative to the Gaussian's 1/s². It decides what noise is enough. At
s = 50 Δ it is 10 for σ = Δ/2, where the density's ripple is no more than 1.4 %: the sine is worth ten Gaussians.
For σ = 3Δ/4 it is 4.5e-5, and 0.018 at s = 1000 Δ, the finest grid that is looked for.

Uniform noise of width Δ would level the comb too, but to a density with steps, whose score is zero inside a cell
and infinite at its edge: outside the theorem.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import as_array, as_batch, as_number, as_positive, as_rng, as_shaped
from .._run.scale import exponents, in_units
from ._columns import as_columns
from ._grid import apart, coarsest_step, grid_step, spread, ties_beyond_chance

Array = np.ndarray

MAX_TIES = 0.05  # a column may repeat values in this fraction of its rows
MAX_ATOMS = 0.1  # share of repeated rows, beyond those that a fine grid has by chance
FINEST = 1e-3  # a step below this many standard deviations is too fine for a network to follow
ENOUGH = 0.02  # noise is enough if the grid adds no more than this to the Gaussian's Fisher information
SUGGESTED = 0.75  # steps: at the finest step that counts the grid then adds 0.018


class RoundedDataWarning(UserWarning):
    """The data is visibly rounded or full of ties, and implicit score matching would learn that."""


class ColumnRounding(NamedTuple):
    """What the rounding of one column looks like."""

    column: str
    n_distinct: int
    tie_fraction: float  # share of the rows that repeat an earlier row's value
    resolution: Optional[float]  # the coarsest step that more than 5 % of the rows hold; None: no grid
    is_rounded: bool  # the verdict: rounded or tied enough to spoil implicit score matching
    suggested_jitter: float  # standard deviation of Gaussian noise that hides it; 0 where not rounded


def rounding_report(values: Any, columns: Optional[Sequence[str]] = None) -> tuple[ColumnRounding, ...]:
    """One ``ColumnRounding`` for each column of ``values`` ``(n, d)``.

    The resolution is found from the gaps between neighbouring values, wherever the grid begins and
    whatever its step, so it follows a change of units; see ``_grid``. Where a column holds several grids (one or two
    significant digits, some rows rounded more coarsely than others) it is the coarsest step that more than
    5 % of the rows hold, as far as they stand out from the rows between them. A column is judged rounded if
    both hold:

    - more than 5 % of its rows, and at least two, repeat an earlier value. Continuous data has no ties;
      data on a grid has them as soon as there are enough rows for the grid to show;
    - the step, if there is one, is at least a thousandth of the column's spread: its standard deviation, or
      the width of the shortest interval with a quarter of its different values, 0.64 standard deviations of a Gaussian,
      if that says less (a few rows of −9999 widen the first only). A network would need input weights beyond
      2π · 1000 to follow a finer grid. With a finer one a column is rounded only if 10 % of the rows repeat values
      that chance does not explain; these ties have no grid.

    The suggested jitter is ¾ of the step. Ties without a grid (a heap at zero, resampled rows) are atoms
    that no small noise hides; there it is the normal reference bandwidth 1.06 · sd · n^(−1/5)
    (Silverman 1986, eq. 3.28), which smooths visibly: consider dropping the repeated rows instead.
    Raises TypeError or ValueError for a wrong argument.
    """
    values = as_batch(values, "values")
    names = as_columns(columns, values.shape[1])
    with np.errstate(under="ignore"):
        return tuple(_column_rounding(column, name) for column, name in zip(values.T, names, strict=True))


def suggested_jitter(values: Any) -> Array:
    """``(d,)``: for each column of ``values`` the noise that hides its rounding, 0 where none is visible.

    ¾ of the coarsest step that more than 5 % of the rows hold; see ``rounding_report``.
    """
    return np.array([column.suggested_jitter for column in rounding_report(values)])


def warn_if_rounded(
    values: Any, columns: Optional[Sequence[str]] = None, jitter: Any = 0.0, *, stacklevel: int = 2
) -> None:
    """One ``RoundedDataWarning`` naming the columns whose rounding ``jitter`` does not hide.

    ``jitter`` is the standard deviation of the noise that will be added, a float or one for each column,
    in the units of ``values``. It hides a grid if what the grid adds to the Gaussian's Fisher information,
    ``comb_information`` at the column's standard deviation (or a thousand steps, if that is less), is at most
    2 %: half a step for the coarsest, three quarters for the finest. It hides ties without a grid if it is positive.
    ``stacklevel`` is that of ``warnings.warn``.
    """
    values = as_batch(values, "values")
    given = _as_jitter(jitter, values.shape[1])  # (d,)
    if columns is not None:
        as_columns(columns, values.shape[1])
    if values.dtype.itemsize <= 8 and not _tied(values).any():
        return
    report = rounding_report(values, columns)
    found = [
        _described(column, sd)
        for column, sd, x in zip(report, given, values.T, strict=True)
        if _shows(column, float(sd), x)
    ]
    if not found:
        return
    more = f"; and {len(found) - 4} more columns" if len(found) > 4 else ""
    warnings.warn(
        "rounded or tied data: "
        + "; ".join(found[:4])
        + more
        + ". Implicit score matching learns such a grid, and without noise it is unbounded below:"
        " add noise with jitter=..., or use denoising score matching",
        RoundedDataWarning,
        stacklevel=stacklevel,
    )


def dequantise(x: Any, jitter: Any, *, rng: Any) -> Array:
    """x + jitter · z with z ~ N(0, I): rounded data made smooth, ``(n, d)`` in the type of x.

    ``jitter`` is the standard deviation, a float or ``(d,)``, one for each column, in the units of x; 0
    leaves a column as it is. The result has the law of x convolved with N(0, jitter²), so its variance is
    larger by jitter². Draws from ``rng`` (a Generator or a seed).
    Raises TypeError or ValueError for a wrong argument, and where jitter or the result is no number of x's type.
    """
    x = as_batch(x, "x")
    given = _as_jitter(jitter, x.shape[1])  # (d,)
    with np.errstate(over="ignore", under="ignore"):
        sd = given.astype(x.dtype)  # (d,)
        noisy = unchecked_dequantise(x, sd, as_rng(rng))  # eq-9.7
    if not (np.isfinite(sd) & ((sd > 0) == (given > 0))).all():
        raise ValueError(f"jitter must be 0 or a number that {x.dtype} holds, got {jitter!r}")
    if not np.isfinite(noisy).all():
        raise ValueError(
            f"x and jitter must have finite sums in {x.dtype},"
            f" got x up to {np.abs(x).max():g} and jitter up to {sd.max():g}"
        )
    return noisy


def unchecked_dequantise(x: Array, sd: Array, rng: np.random.Generator) -> Array:
    """``dequantise`` of clean (n, d) rows by clean (d,) deviations of their type."""
    return x + sd * rng.standard_normal(x.shape).astype(x.dtype, copy=False)


def comb_ripple(jitter: float, resolution: float) -> float:
    """2 exp(−2π² (σ/Δ)²): the relative ripple that noise σ = ``jitter`` leaves of a grid of step Δ."""
    jitter = as_number(jitter, "jitter", at_least=0.0)
    resolution = as_positive(resolution, "resolution")
    steps = min(jitter / resolution, 1e3)  # long before, the ripple is 0
    return 2.0 * math.exp(-2.0 * math.pi**2 * steps**2)  # eq-9.11


def comb_information(jitter: float, resolution: float, deviation: float) -> float:
    """½ (2πr)² (s/Δ)², r = ``comb_ripple``: the Fisher information that a grid adds, relative to a Gaussian's 1/s².

    Δ = ``resolution``, σ = ``jitter``, s = ``deviation``, the standard deviation of the data. It is what a sine in the
    score can lower J_ISM by, relative to what the Gaussian does; see this module. For σ of half a step and more;
    below, further terms of the comb add to it. Raises ValueError where it is beyond the largest float.
    """
    ripple, resolution = comb_ripple(jitter, resolution), as_positive(resolution, "resolution")
    steps = as_positive(deviation, "deviation") / resolution
    height = 2.0 * np.pi * ripple * steps
    if not height < 1e154:
        raise ValueError(
            f"deviation and resolution must have a quotient with a finite square, got {deviation}/{resolution}"
        )
    return 0.5 * height * height  # eq-9.15


def _column_rounding(x: Array, name: str) -> ColumnRounding:
    n, n_distinct, precision = x.size, np.unique(x).size, float(np.finfo(x.dtype).eps)
    x, exponent = _in_own_units(x)  # (n,), within [-1, 1]: squares neither overflow nor vanish
    repeats, tied = n - n_distinct, bool(_tied(x[:, None])[0])
    distinct, counts = apart(x, precision)  # (m,), (m,)
    step = coarsest_step(distinct, counts) if tied else grid_step(distinct)
    if tied and distinct.size == 2:  # yes or no, say: two values are always on a grid
        step = float(distinct[1] - distinct[0])
    is_rounded = tied and (step is None or step >= FINEST * spread(x, distinct))
    if tied and not is_rounded and ties_beyond_chance(distinct, counts, step) > MAX_ATOMS:
        step, is_rounded = None, True  # atoms, on a grid that is too fine to be seen
    jitter = 0.0
    if is_rounded:
        jitter = SUGGESTED * step if step else 1.06 * float(x.std()) * n**-0.2
    resolution = None if step is None else _in_units_of_the_data(step, exponent)
    jitter = _in_units_of_the_data(jitter, exponent)
    return ColumnRounding(name, n_distinct, repeats / n, resolution, is_rounded, jitter)


def _tied(values: Array) -> Array:
    """Whether a column of (n, d) repeats an earlier value in more than 5 % of its rows, at least two of them: (d,)."""
    n = len(values)
    ascending = np.sort(values, axis=0)
    repeats = (ascending[1:] == ascending[:-1]).sum(axis=0)
    return (repeats >= 2) & (repeats > MAX_TIES * n)


def _in_own_units(x: Array) -> tuple[Array, int]:
    """x/2^e within [-1, 1], in float64, and e: scaling by a power of two is exact. ValueError beyond float64."""
    exponent = int(exponents(x))
    if exponent > 1024:
        raise ValueError(f"values must be within the range of float64, got one near 2**{exponent}")
    return in_units(x, exponent).astype(np.float64), exponent


def _in_units_of_the_data(length: float, exponent: int) -> float:
    try:
        return math.ldexp(length, exponent)
    except OverflowError:
        raise ValueError(
            "values must be near enough for their step to be a float, got one beyond 1.8e308"
        ) from None


def _as_jitter(jitter: Any, d: int) -> Array:
    """``(d,)`` standard deviations >= 0 from one number or one for each column."""
    sd = as_array(jitter, "jitter")
    sd = np.full(d, sd) if sd.ndim == 0 else as_shaped(sd, "jitter", (d,))
    if (sd < 0).any():
        raise ValueError(f"jitter must be >= 0, got {sd[sd < 0][0]}")
    return sd


def _shows(column: ColumnRounding, jitter: float, values: Array) -> bool:
    """Whether the rounding of a column's ``values`` (n,) is still visible behind noise of this size."""
    if column.resolution is None or not column.is_rounded:
        return column.is_rounded and jitter == 0
    with np.errstate(under="ignore"):
        x, exponent = _in_own_units(values)
        sd = float(x.std())
    steps = min(max(sd / math.ldexp(column.resolution, -exponent), 1.0), 1.0 / FINEST)
    return comb_information(min(jitter / column.resolution, 1e3), 1.0, steps) > ENOUGH


def _described(column: ColumnRounding, jitter: float) -> str:
    if column.n_distinct == 1:
        return f"column {column.column!r} is constant (leave it out)"
    kind = "no common step" if column.resolution is None else f"steps of {column.resolution:.4g}"
    return (
        f"column {column.column!r} ({kind}, {column.tie_fraction:.0%} of rows repeat a value;"
        f" jitter {jitter:.3g}, suggested {column.suggested_jitter:.3g})"
    )
