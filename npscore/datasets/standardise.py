"""Columns of mean 0 and standard deviation 1, and the way back to the user's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from .._run.borders import as_array, as_batch, as_shaped
from .._run.scale import exponents, in_units
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
        data then has variances of exactly 1. Sums run in float64 or longdouble, at any scale of the data.
        Raises ValueError naming a column that is constant, or whose deviation is below the smallest normal number.
        """
        values = as_batch(values, "values")
        names = as_columns(columns, values.shape[1])
        values = values.astype(np.result_type(values.dtype, np.float64))  # (n, d)
        for j in np.flatnonzero(values.min(axis=0) == values.max(axis=0)):
            raise ValueError(f"column {names[j]!r} is constant ({values[0, j]:g}): leave it out")
        exponent = exponents(values, axis=0)  # (d,)
        values = in_units(values, exponent)  # (n, d), within [-1, 1]: sums cannot overflow
        with np.errstate(under="ignore"):
            mean = values.mean(axis=0)  # (d,)
            centred = values - mean  # (n, d)
            largest = np.abs(centred).max(axis=0)  # (d,): squares of centred/largest cannot vanish
            scale = largest * np.sqrt(np.mean((centred / largest) ** 2, axis=0))  # (d,)
            mean, scale = np.ldexp(mean, exponent), np.ldexp(scale, exponent)
        for j in np.flatnonzero(scale < np.finfo(scale.dtype).tiny):
            raise ValueError(f"column {names[j]!r} spreads too little to be standardised ({scale[j]:g})")
        return cls(mean, scale, names)

    @property
    def log_det(self) -> float:
        """Σⱼ log scaleⱼ: log p in standard units minus log p in the data's units."""
        return float(np.log(self.scale).sum())

    def forward(self, x: Any) -> Array:
        """u = (x − mean) / scale, shape and type of x ``(n, d)``; complex x passes through.

        In float64 at least, then rounded to the type of x. Raises ValueError where u is beyond that type.
        """
        x = as_batch(x, "x", d=self.mean.size, allow_complex=True)
        with np.errstate(over="ignore", under="ignore"):
            u = (_wide(x) - self.mean) / self.scale  # (n, d)
        return _like(u, x, "x")

    def inverse(self, u: Any) -> Array:
        """x = mean + scale · u, the inverse of ``forward`` up to rounding; raises as it does."""
        u = as_batch(u, "u", d=self.mean.size, allow_complex=True)
        with np.errstate(over="ignore", under="ignore"):
            x = self.mean + self.scale * _wide(u)  # (n, d)
        return _like(x, u, "u")

    def score_to_data_units(self, score: Any) -> Array:
        """s / scale: the score in the data's units from s ``(n, d)`` in standard units (chain rule)."""
        score = as_batch(score, "score", d=self.mean.size, allow_complex=True)
        with np.errstate(over="ignore", under="ignore"):
            in_data_units = _wide(score) / self.scale  # (n, d)
        return _like(in_data_units, score, "score")


def _wide(x: Array) -> Array:
    """x in double precision at least: a mean or scale in float32 would lose digits, or be 0 or inf."""
    return x.astype(np.result_type(x.dtype, np.float64), copy=False)


def _like(result: Array, x: Array, name: str) -> Array:
    """``result`` in the type of x, where it must be finite."""
    with np.errstate(over="ignore", under="ignore"):
        result = result.astype(x.dtype, copy=False)
    if not np.isfinite(result).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise ValueError(f"{name} must be finite in the other units, in {x.dtype}, got {x[at]} at index {at}")
    return result


def _frozen(array: Array) -> Array:
    array = array.copy()
    array.setflags(write=False)
    return array
