"""The step of the grid that a column of numbers lies on, if it lies on one.

The idea is Kendall's (1974, "Hunting quanta"): if the values are c + k Δ with whole k, the phases
2π x/Δ agree, and R = |mean exp(2πi x/Δ)| is 1; without a grid they are scattered. Candidates for Δ come from the
gaps between neighbouring values, since a grid that shows has occupied cells side by side.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

Array = np.ndarray

GAP_QUANTILES = (0.0, 0.1, 0.25, 0.5)
MIN_CONCENTRATION = 0.9  # R of values within ± 7 % of a step (one standard deviation) of the grid
MAX_CHANCE = 1e-6


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
