"""Densities on the line: Laplace, logistic, Gumbel. Factors for `Product`, or targets of their own."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from .._run.borders import as_number, as_positive
from .base import Target, set_fields
from .precision import like, narrowest_type, variance
from .quadrature import Quadrature, Rule, as_order, gumbel, half_line, logistic, tensor

Array = np.ndarray

LOG_2 = np.log(np.longdouble(2))


class Univariate(Target):
    """A target with d = 1 that works on the column ``x[:, 0]``, shape ``(n,)``.

    It provides ``_log_density``, ``_slope`` (log p)′ and ``_curvature`` (log p)″, each ``(n,) -> (n,)``, and
    ``_draw(n, rng) -> (n,)`` and ``_rule(order) -> Rule``; ``_pieces`` is how many times ``order`` nodes it has.
    """

    _pieces = 1

    @property
    def d(self) -> int:
        """The dimension: 1."""
        return 1

    def quadrature(self, order: int) -> Quadrature:
        """A one-dimensional rule of ``order`` nodes (eq-1.20 to 1.24); Laplace has ``order`` on each side."""
        return tensor([self._rule(as_order(order, 1, self._pieces))])

    def _log_prob(self, x: Array) -> Array:
        return self._log_density(x[:, 0])

    def _score(self, x: Array) -> Array:
        return self._slope(x[:, 0])[:, None]

    def _score_divergence(self, x: Array) -> Array:
        return self._curvature(x[:, 0])

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        return self._draw(n, rng)[:, None]

    @abstractmethod
    def _log_density(self, x: Array) -> Array: ...

    @abstractmethod
    def _slope(self, x: Array) -> Array: ...

    @abstractmethod
    def _curvature(self, x: Array) -> Array: ...

    @abstractmethod
    def _draw(self, n: int, rng: np.random.Generator) -> Array: ...

    @abstractmethod
    def _rule(self, order: int) -> Rule: ...


@dataclass(frozen=True, eq=False)
class _LocationScale(Univariate):
    """p(x) = f(z)/b with z = (x − loc)/b: a standard density f moved by ``loc`` and stretched by ``scale`` b > 0."""

    loc: float
    scale: float

    def __post_init__(self) -> None:
        loc, scale = as_number(self.loc, "loc"), as_positive(self.scale, "scale")
        set_fields(self, loc=loc, scale=scale, _narrowest=narrowest_type(scale, loc))

    def _log_scale(self, x: Array) -> np.floating:
        """log b."""
        return like(np.log(np.longdouble(self.scale)), x)

    def _standardised(self, x: Array) -> Array:
        return (x - like(self.loc, x)) / like(self.scale, x)

    def _rule(self, order: int) -> Rule:
        standard = self._standard_rule(order)
        with np.errstate(over="ignore", under="ignore"):
            return Rule(self.loc + self.scale * standard.nodes, standard.weights)

    @abstractmethod
    def _standard_rule(self, order: int) -> Rule: ...


@dataclass(frozen=True, eq=False)
class Laplace(_LocationScale):
    """p(x) = exp(−|x − loc|/b)/(2b), b = ``scale``: log p = −|z| − log 2b, s = −sign(z)/b (eq-1.13).

    **Not differentiable at loc**, so assumption 1 of the theorem (p differentiable) fails there. The score is
    set to 0 at loc, by symmetry. The divergence is 0 everywhere: it is the pointwise derivative of the score
    and **leaves out the point mass** −(2/b) δ(x − loc) that the jump of the score puts into (log p)″. Whoever
    integrates this divergence against p misses −(2/b) p(loc) = −1/b², which is exactly −E s².
    """

    _pieces = 2

    @property
    def mean(self) -> Array:
        """loc, shape ``(1,)``."""
        return np.array([self.loc])

    @property
    def cov(self) -> Array:
        """2b², shape ``(1, 1)``."""
        return variance(2, self.scale)

    def _log_density(self, x: Array) -> Array:
        z = self._standardised(x)
        return -np.where(z.real < 0, -z, z) - (self._log_scale(x) + like(LOG_2, x))  # eq-1.13

    def _slope(self, x: Array) -> Array:
        side = np.sign(x.real - like(self.loc, x))  # not of z, which may round to 0
        return (-side / like(self.scale, x)).astype(x.dtype)  # eq-1.13

    def _curvature(self, x: Array) -> Array:
        return np.zeros_like(x)  # eq-1.13, away from loc

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        return rng.laplace(self.loc, self.scale, n)

    def _standard_rule(self, order: int) -> Rule:
        u, weights = half_line(order)
        return Rule(np.concatenate([-u[::-1], u]), np.concatenate([weights[::-1], weights]) / 2)


@dataclass(frozen=True, eq=False)
class Logistic(_LocationScale):
    """p(x) = e^{−z}/(b (1 + e^{−z})²), b = ``scale``: s = −tanh(z/2)/b, ∇·s = −2 p(x)/b (eq-1.14)."""

    @property
    def mean(self) -> Array:
        """loc, shape ``(1,)``."""
        return np.array([self.loc])

    @property
    def cov(self) -> Array:
        """π²b²/3, shape ``(1, 1)``."""
        return variance(math.pi**2 / 3, self.scale)

    def _log_density(self, x: Array) -> Array:
        z = self._standardised(x)
        distance = np.where(z.real < 0, -z, z)  # log p is even
        return -distance - 2 * np.log1p(np.exp(-distance)) - self._log_scale(x)  # eq-1.14

    def _slope(self, x: Array) -> Array:
        return -np.tanh(0.5 * self._standardised(x)) / like(self.scale, x)  # eq-1.14

    def _curvature(self, x: Array) -> Array:
        z, scale = self._standardised(x), like(self.scale, x)
        e = np.exp(-np.where(z.real < 0, -z, z))
        return -2 * (e / (1 + e) / (1 + e)) / scale / scale  # eq-1.14

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        return rng.logistic(self.loc, self.scale, n)

    def _standard_rule(self, order: int) -> Rule:
        return logistic(order)


@dataclass(frozen=True, eq=False)
class Gumbel(_LocationScale):
    """p(x) = exp(−z − e^{−z})/b, b = ``scale`` (of a maximum): s = (e^{−z} − 1)/b, ∇·s = −e^{−z}/b² (eq-1.15).

    On the far left e^{−z} exceeds the float range (in float64 from z = −709): log p is then −inf, the score
    +inf and the divergence −inf, which is what the exact values round to.
    """

    @property
    def mean(self) -> Array:
        """loc + γ b with Euler's γ, shape ``(1,)``."""
        return np.array([self.loc + np.euler_gamma * self.scale])

    @property
    def cov(self) -> Array:
        """π²b²/6, shape ``(1, 1)``."""
        return variance(math.pi**2 / 6, self.scale)

    def _log_density(self, x: Array) -> Array:
        z = self._standardised(x)
        return -z - np.exp(-z) - self._log_scale(x)  # eq-1.15

    def _slope(self, x: Array) -> Array:
        return np.expm1(-self._standardised(x)) / like(self.scale, x)  # eq-1.15

    def _curvature(self, x: Array) -> Array:
        scale = like(self.scale, x)
        return -np.exp(-self._standardised(x)) / scale / scale  # eq-1.15

    def _draw(self, n: int, rng: np.random.Generator) -> Array:
        return rng.gumbel(self.loc, self.scale, n)

    def _standard_rule(self, order: int) -> Rule:
        return gumbel(order)
