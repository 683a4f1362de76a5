"""Densities with an edge: exponential and uniform, the theorem's boundary cases.

The theorem integrates ∇·(p ŝ) and drops the boundary. Here p does not vanish at the edge of its support, so
what is dropped is not zero: E[½s² + s′] differs from −½E s² by the jump of p s at the edges, and E s = ∫ p′
is the jump of p instead of 0.

The support is closed, with its edges rounded to the type of x. Outside it p = 0: ``log_prob`` is −inf, and ``score``
and ``score_divergence`` **are NaN**, because the gradient of log 0 is not defined; a sampler that steps outside
diverges at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._run.borders import as_number, as_positive
from .base import set_fields
from .precision import like, narrowest_type, variance
from .quadrature import Rule, gauss_legendre, half_line
from .univariate import Univariate

Array = np.ndarray


class Bounded(Univariate):
    """A density on the closed interval [``low``, ``high``], either of which may be infinite.

    A subclass provides ``low``, ``high`` and the smooth formulas on the inside, ``_log_density_inside``,
    ``_slope_inside`` and ``_curvature_inside``.
    """

    def _log_density(self, x: Array) -> Array:
        return self._where_inside(x, self._log_density_inside(x), -np.inf)  # eq-1.16

    def _slope(self, x: Array) -> Array:
        return self._where_inside(x, self._slope_inside(x), np.nan)  # eq-1.16

    def _curvature(self, x: Array) -> Array:
        return self._where_inside(x, self._curvature_inside(x), np.nan)  # eq-1.16

    def _widened(self, x: Array, real: Any) -> Array:
        """x in a wider type, and on the edge where it is beyond by the rounding of the edge to the type of x."""
        wide = super()._widened(x, real)
        rounded_inside = (like(self.low, x) <= x.real) & (x.real <= like(self.high, x))
        edges = wide.real.dtype.type(self.low), wide.real.dtype.type(self.high)
        wide.real = np.where(rounded_inside, np.clip(wide.real, *edges), wide.real)
        return wide

    def _where_inside(self, x: Array, value: Array, outside: float) -> Array:
        inside = (like(self.low, x) <= x.real) & (x.real <= like(self.high, x))
        return np.where(inside, value, x.dtype.type(outside))


@dataclass(frozen=True, eq=False)
class Exponential(Bounded):
    """p(x) = λ e^{−λx} on [0, ∞), λ = ``rate`` > 0: s = −λ, ∇·s = 0 inside; NaN outside (eq-1.16)."""

    rate: float

    low = 0.0
    high = math.inf

    def __post_init__(self) -> None:
        rate = as_positive(self.rate, "rate")
        set_fields(self, rate=rate, _narrowest=narrowest_type(rate))

    @property
    def mean(self) -> Array:
        """1/λ, shape ``(1,)``."""
        return np.array([1 / self.rate])

    @property
    def cov(self) -> Array:
        """1/λ², shape ``(1, 1)``."""
        return variance(1, 1 / np.longdouble(self.rate))

    def _log_density_inside(self, x: Array) -> Array:
        return like(np.log(np.longdouble(self.rate)), x) - like(self.rate, x) * x

    def _slope_inside(self, x: Array) -> Array:
        return np.full_like(x, -like(self.rate, x))

    def _curvature_inside(self, x: Array) -> Array:
        return np.zeros_like(x)

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        return rng.exponential(1 / self.rate, n)

    def _rule(self, order: int) -> Rule:
        u, weights = half_line(order)
        with np.errstate(over="ignore", under="ignore"):
            return Rule(u / self.rate, weights)


@dataclass(frozen=True, eq=False)
class Uniform(Bounded):
    """p(x) = 1/(high − low) on [low, high]: s = 0 and ∇·s = 0 inside; NaN outside (eq-1.16)."""

    low: float
    high: float

    def __post_init__(self) -> None:
        low = as_number(self.low, "low")
        set_fields(self, low=low, high=as_number(self.high, "high", above=low))
        if not math.isfinite(self.high - self.low):
            raise ValueError(f"high - low must be finite, got high={self.high!r} and low={self.low!r}")
        set_fields(self, _narrowest=narrowest_type(self.high - low, [low, self.high]))

    @property
    def mean(self) -> Array:
        """The midpoint, shape ``(1,)``."""
        return np.array([self.low + 0.5 * (self.high - self.low)])

    @property
    def cov(self) -> Array:
        """(high − low)²/12, shape ``(1, 1)``."""
        return variance(1 / np.longdouble(12), self._width)

    @property
    def _width(self) -> np.longdouble:
        return np.longdouble(self.high) - np.longdouble(self.low)

    def _log_density_inside(self, x: Array) -> Array:
        return np.full_like(x, -like(np.log(self._width), x))

    def _slope_inside(self, x: Array) -> Array:
        return np.zeros_like(x)

    def _curvature_inside(self, x: Array) -> Array:
        return np.zeros_like(x)

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, n)

    def _rule(self, order: int) -> Rule:
        u, weights = gauss_legendre(order)
        return Rule(self.low * (0.5 * (1 - u)) + self.high * (0.5 * (1 + u)), weights)  # eq-1.24
