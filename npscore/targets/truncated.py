"""The truncated Gaussian, wherever its edges are: far beyond the mass of the Gaussian, or far out in one tail."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._run.borders import as_number, as_positive
from .base import set_fields
from .bounded import Bounded
from .precision import like, narrowest_type, variance
from .quadrature import Rule, legendre

Array = np.ndarray

MOMENT_ORDER = 128  # Gauss–Legendre nodes for the normaliser, mean and variance: exact to rounding


@dataclass(frozen=True, eq=False)
class TruncatedGaussian(Bounded):
    """N(loc, scale²) restricted to the closed interval [low, high], either of which may be infinite.

    Inside: s = −(x − loc)/scale², ∇·s = −1/scale²; outside: log p = −inf, s and ∇·s are NaN (eq-1.16).
    ``loc`` and ``scale`` are the mean and deviation *before* truncation; ``mean`` and ``cov`` those after.

    All is computed from the mode, the point of [low, high] nearest to loc, at distance a = |mode − loc|/scale:
    t deviations to either side of it the density is ∝ exp(−½t² − at). Nothing overflows or cancels, however
    far out or narrow the interval, where a difference of normal distribution functions would (eq-1.25).
    """

    loc: float
    scale: float
    low: float
    high: float
    _mode: float = field(init=False, repr=False)
    _tilt: np.longdouble = field(init=False, repr=False)  # a
    _widths: tuple[np.longdouble, np.longdouble] = field(
        init=False, repr=False
    )  # from the mode to low and high, over scale
    _masses: tuple[np.longdouble, np.longdouble] = field(
        init=False, repr=False
    )  # ∫₀^width exp(−½t² − at) dt on either side

    def __post_init__(self) -> None:
        loc, scale = as_number(self.loc, "loc"), as_positive(self.scale, "scale")
        low, high = _as_bound(self.low, "low"), _as_bound(self.high, "high")
        if not low < high:
            raise ValueError(f"high must be > low, got low={low!r} and high={high!r}")
        mode, wide = min(max(loc, low), high), np.longdouble
        tilt, widths = (
            abs(wide(mode) - wide(loc)) / wide(scale),
            ((wide(mode) - wide(low)) / wide(scale), (wide(high) - wide(mode)) / wide(scale)),
        )
        masses = tuple(_mass(tilt, width) for width in widths)
        set_fields(self, loc=loc, scale=scale, low=low, high=high)
        set_fields(self, _mode=mode, _tilt=tilt, _widths=widths, _masses=masses)
        set_fields(self, _narrowest=narrowest_type(scale, [loc, mode]))

    @property
    def mean(self) -> Array:
        """The mean after truncation, shape ``(1,)``."""
        t, weights = self._deviations(MOMENT_ORDER)
        return np.array([self._mode + self.scale * (weights * t).sum()], np.float64)

    @property
    def cov(self) -> Array:
        """The variance after truncation, shape ``(1, 1)``; inf or 0 beyond the float range."""
        t, weights = self._deviations(MOMENT_ORDER)
        return variance((weights * (t - (weights * t).sum()) ** 2).sum(), self.scale)

    def _log_density_inside(self, x: Array) -> Array:
        t = (x - like(self._mode, x)) / like(self.scale, x)
        outward = t * like(math.copysign(1.0, self._mode - self.loc) * self._tilt, x)
        log_mass = like(np.log(np.longdouble(self.scale)) + np.log(sum(self._masses)), x)
        return -0.5 * t * t - outward - log_mass  # eq-1.25

    def _slope_inside(self, x: Array) -> Array:
        scale = like(self.scale, x)
        return -(x - like(self.loc, x)) / scale / scale

    def _curvature_inside(self, x: Array) -> Array:
        scale = like(self.scale, x)
        return np.full_like(x, -1 / scale / scale)

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        left, right = self._masses
        side = np.where(rng.random(n) * float(left + right) < float(left), -1.0, 1.0)  # (n,)
        width = np.where(side < 0, *map(float, self._widths))
        x = self._mode + self.scale * side * _draw_side(float(self._tilt), width, rng)
        return np.clip(x, self.low, self.high)  # against rounding only

    def _rule(self, order: int) -> Rule:
        t, weights = self._deviations(order)
        return Rule((self._mode + self.scale * t).astype(np.float64), weights.astype(np.float64))

    def _deviations(self, order: int) -> Rule:
        """Gauss–Legendre in t, signed deviations from the mode, on what of [low, high] carries mass (eq-1.24)."""
        left, right = (min(width, _reach(self._tilt)) for width in self._widths)
        u, weights = legendre(order)
        t = -left * (0.5 * (1 - u)) + right * (0.5 * (1 + u))  # (order,)
        with np.errstate(under="ignore"):
            weights = weights * np.exp(-0.5 * t * t - self._tilt * np.abs(t))
        return Rule(t, weights / weights.sum())


def _reach(tilt: np.longdouble) -> np.longdouble:
    """The t at which exp(−½t² − at) has fallen to e^{−48}: √(a² + 96) − a, without the cancellation."""
    return 96 / (np.hypot(tilt, np.sqrt(np.longdouble(96))) + tilt)


def _mass(tilt: np.longdouble, width: np.longdouble) -> np.longdouble:
    """∫₀^width exp(−½t² − at) dt."""
    width = min(width, _reach(tilt))
    u, weights = legendre(MOMENT_ORDER)
    t = 0.5 * width * (1 + u)  # (order,)
    with np.errstate(under="ignore"):
        return width * (weights * np.exp(-0.5 * t * t - tilt * t)).sum()


def _draw_side(tilt: float, width: Array, rng: np.random.Generator) -> Array:
    """t ∝ exp(−½t² − at) on [0, width], one for each width ``(n,)``, by rejection (Robert 1995, eq-1.26).

    The proposal is the exponential of rate λ = (a + √(a² + 4))/2 on the same interval. Density over proposal
    is ∝ exp(−½(t − g)²) with g = λ − a ≤ 1, so that at least e^{−1/2} = 61 % are accepted, three in four for
    width = ∞.
    """
    gap = 2 / (math.hypot(tilt, 2) + tilt)  # g = λ − a, without the cancellation
    rate = tilt + gap
    t, pending = np.empty_like(width), np.arange(width.size)
    while pending.size:
        u, v = rng.random((2, pending.size))
        proposal = -np.log1p(u * np.expm1(-rate * width[pending])) / rate
        accepted = np.log1p(-v) <= -0.5 * (proposal - gap) ** 2  # 1 − v is in (0, 1]; eq-1.26
        t[pending[accepted]] = proposal[accepted]
        pending = pending[~accepted]
    return t


def _as_bound(value: Any, name: str) -> float:
    """A number or ±inf."""
    if isinstance(value, (float, np.floating)) and math.isinf(value):
        return float(value)
    try:
        return as_number(value, name)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("a finite number", "a finite number or ±inf")) from None
