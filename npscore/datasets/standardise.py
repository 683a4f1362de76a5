"""Columns of mean 0 and standard deviation 1, and the way back to the user's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from .._run.borders import as_array, as_batch, as_shaped
from ._columns import as_columns

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Standardisation:
    """The affine map u = (x − mean) / scale, column by column, and what it does to a score.

    ``mean`` and ``scale`` are ``(d,)``, read-only, scale > 0; ``columns`` are d names (``x1, …`` if None).
    Since p_x(x) = p_u(u) / ∏ⱼ scaleⱼ,

    - log p_x(x) = log p_u(u) − ``log_det``, with ``log_det`` = Σⱼ log scaleⱼ;
    - ∇ₓ log p_x(x) = ∇ᵤ log p_u(u) / scale, so a score s(u) is s(u)/scale in the data's units;
    - a loss (ESM, ISM, …) is not merely shifted: its j-th term scales by 1/scaleⱼ². Compare losses of
      models in the same units only.
    """

    mean: Array  # (d,)
    scale: Array  # (d,)
    columns: Optional[tuple[str, ...]] = None

    def __post_init__(self) -> None:
        mean = as_array(self.mean, "mean")
        if mean.ndim != 1 or mean.size == 0:
            raise ValueError(f"mean must have shape (d,), got shape {mean.shape}")
        scale = as_shaped(self.scale, "scale", mean.shape)
        if (scale <= 0).any():
            raise ValueError(f"scale must be > 0, got {scale[scale <= 0][0]} at index {np.argmin(scale > 0)}")
        object.__setattr__(self, "mean", _frozen(mean))
        object.__setattr__(self, "scale", _frozen(scale))
        object.__setattr__(self, "columns", as_columns(self.columns, mean.size))

    @classmethod
    def fit(cls, values: Any, columns: Optional[Sequence[str]] = None) -> Standardisation:
        """The mean and standard deviation of each column of ``values`` ``(n, d)``.

        The deviation divides by n, not n − 1 (maximum likelihood): the Gaussian fitted to standardised
        data then has variances of exactly 1. Sums run in float64 or longdouble.
        Raises ValueError naming a column that is constant or spreads beyond what floats can square.
        """
        values = as_batch(values, "values")
        names = as_columns(columns, values.shape[1])
        values = values.astype(np.result_type(values.dtype, np.float64))  # (n, d)
        for j in np.flatnonzero(values.min(axis=0) == values.max(axis=0)):
            raise ValueError(f"column {names[j]!r} is constant ({values[0, j]:g}): leave it out")
        with np.errstate(over="ignore", invalid="ignore"):
            mean = values.mean(axis=0)  # (d,)
            centred = values - mean  # (n, d)
            largest = np.abs(centred).max(axis=0)  # (d,): squares of centred/largest cannot overflow
            scale = largest * np.sqrt(np.mean((centred / largest) ** 2, axis=0))  # (d,)
        for j in np.flatnonzero(~np.isfinite(scale) | (scale == 0)):
            raise ValueError(f"column {names[j]!r} spreads too widely or too little to be standardised")
        return cls(mean, scale, names)

    @property
    def log_det(self) -> float:
        """Σⱼ log scaleⱼ: log p in standard units minus log p in the data's units."""
        return float(np.log(self.scale).sum())

    def forward(self, x: Any) -> Array:
        """u = (x − mean) / scale, shape and type of x ``(n, d)``; complex x passes through."""
        x = as_batch(x, "x", d=self.mean.size, allow_complex=True)
        return (x - _like(self.mean, x)) / _like(self.scale, x)  # (n, d)

    def inverse(self, u: Any) -> Array:
        """x = mean + scale · u, the inverse of ``forward`` up to rounding."""
        u = as_batch(u, "u", d=self.mean.size, allow_complex=True)
        return _like(self.mean, u) + _like(self.scale, u) * u  # (n, d)

    def score_to_data_units(self, score: Any) -> Array:
        """s / scale: the score in the data's units from s ``(n, d)`` in standard units (chain rule)."""
        score = as_batch(score, "score", d=self.mean.size, allow_complex=True)
        return score / _like(self.scale, score)  # (n, d)


def _like(constant: Array, x: Array) -> Array:
    """``constant`` in the real type of x, so that the result keeps the type of x."""
    return constant.astype(np.finfo(x.dtype).dtype)


def _frozen(array: Array) -> Array:
    array = array.copy()
    array.setflags(write=False)
    return array
