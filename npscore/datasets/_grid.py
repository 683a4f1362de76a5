"""The step of the grid that a column of numbers lies on, if it lies on one; of several grids, the coarsest.

The idea is Kendall's (1974, "Hunting quanta"): if the values are c + k Δ with whole k, the phases
2π x/Δ agree, and R = |mean exp(2πi x/Δ)| is 1; without a grid they are scattered. Candidates for Δ come from the
gaps between neighbouring values, since a grid that shows has occupied cells side by side.

A column may hold several grids: one or two significant digits (steps of 0.1 below 10, of 1 above), or some
rows rounded more coarsely than others. A value of the coarser grid then stands alone: the next value that is
repeated about as often is a coarse step away, whatever lies between. ``coarsest_step`` looks for a grid among these.
"""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

Array = np.ndarray

QUARTER = 0.6373  # the width of the middle quarter of a Gaussian, in standard deviations
NEIGHBOURS = 8  # different values on either side
FULL = 0.98  # share of occupied cells
GAP_QUANTILES = (0.0, 0.1, 0.25, 0.5)
MIN_CONCENTRATION = 0.9  # R of values within ± 7 % of a step (one standard deviation) of the grid
MAX_CHANCE = 1e-6
MIN_HEAPS = 6  # values of a coarser grid: a few round numbers (bounds, zero) are no grid
MIN_ROWS = 0.05  # share of the rows that a coarser grid holds
SHARES = (MIN_ROWS, 0.1, 0.2, 0.4)  # of the rows: those that stand most alone are tried for a grid
FEW_LEVELS, MANY_LEVELS = (
    1,
    4,
)  # of frequency in an octave: "about as often" is at least 1/2 to 1/4, or 0.7 to 0.84


def apart(x: Array, precision: float) -> tuple[Array, Array]:
    """The different values, ascending, and how often each occurs: (m,), (m,).

    Those that differ by rounding only (0.3 and 3 * 0.1) are one.
    """
    ordered = np.sort(x)
    far = np.diff(ordered) > 8.0 * precision * max(abs(ordered[0]), abs(ordered[-1]))
    first = np.flatnonzero(np.concatenate([[True], far]))
    return ordered[first], np.diff(first, append=x.size)


def spread(x: Array, distinct: Array) -> float:
    """The standard deviation of ``x`` (n,), or less where the middle of its different values says less.

    The shortest interval with a quarter of the different values is 0.64 standard deviations of a Gaussian
    long; a few far values, such as −9999 for a missing one, widen the standard deviation alone.
    """
    quarter = distinct.size // 4
    if quarter == 0:
        return float(x.std())
    return min(float(x.std()), float((distinct[quarter:] - distinct[:-quarter]).min()) / QUARTER)


def grid_step(distinct: Array) -> Optional[float]:
    """The largest step Δ on whose multiples (plus an offset) the ascending ``distinct`` ``(m,)`` lie, or None.

    "Lie" means R >= 0.9, so that stray values, or a grid printed to too few digits (1/60 as 0.017), do
    not hide it. With φ = √(2(1 − R)), the typical phase in radians, a step and an offset to choose, m − 2
    phases are free; were they uniform, so small a φ would have a chance below φ^(m−2) (the volume of a
    ball within a cube). A grid is believed if that is below 1e-6.
    """
    m = distinct.size
    if m < 3:
        return None
    starts = np.unique(np.quantile(np.diff(distinct), GAP_QUANTILES, method="lower"))
    for start in starts[::-1]:
        step = _refine(distinct, float(start))
        concentration = min(_concentration(distinct, step), 1.0)
        phase = np.sqrt(2.0 * (1.0 - concentration))
        if concentration >= MIN_CONCENTRATION and float(phase) ** (m - 2) < MAX_CHANCE:
            return step
    return None


def coarsest_step(distinct: Array, counts: Array) -> Optional[float]:
    """The largest step of a grid that holds more than 5 % of the rows; None where there is none.

    ``distinct`` (m,) are the different values, ascending, ``counts`` (m,) the rows that hold them. Without a
    coarser grid among the repeated values it is that of all values, ``grid_step``.
    """
    fine = grid_step(distinct)
    repeated = np.flatnonzero(counts > 1)
    if repeated.size < MIN_HEAPS:
        return fine
    values, frequency = distinct[repeated], counts[repeated]  # (h,), (h,)
    base = grid_step(values) if fine is None else fine
    steps = [base]
    for levels in (FEW_LEVELS, MANY_LEVELS):
        reach = _reach(values, frequency, levels)  # (h,)
        for least in _thresholds(reach, frequency / counts.sum()):
            steps.append(_coarser(values[reach >= least], base))
    return max((step for step in steps if step is not None), default=None)


def ties_beyond_chance(distinct: Array, counts: Array, step: float) -> float:
    """The share of rows that repeat a value, less the share that would on a grid of ``step`` by chance.

    Among the 2·8 nearest different values a share o of the cells is occupied. If rows fall into cells at a
    rate λ, o = 1 − exp(−λ), and an occupied cell holds λ/o rows on average. Full cells count as chance.
    """
    i = np.arange(distinct.size)  # (m,)
    low, high = np.maximum(i - NEIGHBOURS, 0), np.minimum(i + NEIGHBOURS, distinct.size - 1)  # (m,)
    cells = (distinct[high] - distinct[low]) / step  # (m,)
    occupied = np.clip((high - low) / np.maximum(cells, 1.0), 1e-300, FULL)  # (m,)
    expected = np.where(occupied < FULL, -np.log1p(-occupied) / occupied, counts)  # (m,)
    return float((counts - expected).sum() / counts.sum())


def _reach(values: Array, frequency: Array, levels: int) -> Array:
    """(h,): how far each value is from the next one that is about as frequent or more so, on either side.

    Frequencies are compared in ``levels`` levels an octave; the level just below counts as about as frequent.
    """
    level = np.floor(levels * np.log2(frequency) + 1e-9).astype(int)  # (h,)
    reach = np.empty(values.size)
    for one in np.unique(level):
        rivals = np.flatnonzero(level >= one - 1)
        gaps = np.diff(values[rivals], prepend=-np.inf, append=np.inf)
        nearest = np.minimum(gaps[:-1], gaps[1:])
        chosen = level[rivals] == one
        reach[rivals[chosen]] = nearest[chosen]
    return reach


def _thresholds(reach: Array, share: Array) -> list[float]:
    """The reaches that more than 5, 10, 20 and 40 % of the rows attain, less rounding."""
    order = np.argsort(-reach, kind="stable")
    held = np.cumsum(share[order])  # (h,)
    at = np.searchsorted(held, SHARES, side="right")
    return sorted({float(reach[order[i]]) * (1 - 1e-9) for i in at if i < order.size})


def _coarser(heaps: Array, base: Optional[float]) -> Optional[float]:
    """The step of the grid of ``heaps``, a whole multiple of ``base``, unless chance may have put them there.

    Of values on a grid of step ``base``, each is on a grid K times as coarse with a chance of 1/K. The
    offset is free, and a value beside the coarser grid speaks against it as one on it speaks for it.
    """
    step = grid_step(heaps) if heaps.size >= MIN_HEAPS else None
    if step is None or base is None:
        return step
    multiple = round(step / base)
    on = int(_on_grid(heaps, step).sum())
    if multiple < 2 or on < MIN_HEAPS:
        return None
    return multiple * base if (heaps.size + 1 - 2 * on) * math.log(multiple) < math.log(MAX_CHANCE) else None


def _on_grid(x: Array, step: float) -> Array:
    """Which values are within a tenth of a step of the grid, (m,)."""
    phase = (x - x[0]) / step  # (m,)
    offset = np.angle(np.exp(2j * np.pi * phase).mean()) / (2 * np.pi)
    return np.abs(phase - offset - np.rint(phase - offset)) < 0.1


def _concentration(x: Array, step: float) -> float:
    return float(np.abs(np.exp(2j * np.pi * ((x - x[0]) / step)).mean()))


def _refine(distinct: Array, step: float) -> float:
    """A better ``step`` from ever longer spans, each a whole number k of steps: least squares of span = k Δ.

    Spans of a few steps leave no doubt about k even if ``step`` is a few per cent off; each fit makes it
    accurate enough for spans twice as long. Stops early where spans are not near whole numbers of steps.
    """
    reach = 2.0  # steps
    while True:
        farthest = np.searchsorted(distinct, distinct + (reach + 0.5) * step, side="right") - 1  # (m,)
        span = distinct[farthest] - distinct  # (m,)
        k = np.rint(span / step)  # (m,)
        off = np.sqrt(np.mean((span / step - k)[farthest > np.arange(k.size)] ** 2))
        if off > 0.2:  # 0.289 if there is no grid at all
            return step
        step = float(k @ span / (k @ k))
        reach *= 2.0
        if reach * step >= distinct[-1] - distinct[0]:
            return step
