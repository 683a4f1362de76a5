"""What every target density offers, and what a new one must provide.

A new target subclasses `Target`, is a frozen dataclass, and provides six things:

- ``d``: the dimension,
- ``_log_prob(x) -> (n,)``, ``_score(x) -> (n, d)``, ``_score_divergence(x) -> (n,)`` on a checked ``(n, d)``
  batch, written so that complex x passes (no ``abs``, ``conj`` or comparison on data; branch on ``x.real``
  and only between analytic pieces), in the type of x (`precision.like` casts a parameter to it),
- ``_sample(n, rng) -> (n, d)`` in float64,
- ``quadrature(order) -> Quadrature(nodes, weights)``,

and, where they exist, ``mean`` (d,) and ``cov`` (d, d). One whose scales may be extreme also sets
``_narrowest``, by `precision.narrowest_type`. The tests then apply to it as they stand: the score is the
complex-step gradient of log_prob, the divergence the complex-step trace of the score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from .._run.borders import as_array, as_batch, as_count, as_rng, unchecked_twin
from .quadrature import Quadrature

Array = np.ndarray

# log 2π in the widest type at hand: np.pi is rounded to float64.
LOG_2PI = np.log(8 * np.arctan(np.longdouble(1)))


class Target(ABC):
    """A density p on R^d that knows its log, its score, the divergence of that score, and how to sample.

    ``x`` is ``(n, d)`` with rows as samples, real or complex, and the result has its type: float32, float64 and
    longdouble are kept, integers become float64. TypeError or ValueError otherwise. The arithmetic is done in
    the type of x where that holds the parameters, their squares and inverses, and in the next wider type that
    does elsewhere; a row whose result is not finite is evaluated once more in longdouble. What is then
    beyond the range of x's type is ±inf or 0, without a warning.
    """

    _narrowest = np.dtype(np.float32)  # the narrowest real type to evaluate in

    @property
    @abstractmethod
    def d(self) -> int:
        """The dimension."""

    @unchecked_twin("unchecked_log_prob")
    def log_prob(self, x: Any) -> Array:
        """log p(x), normalised, shape ``(n,)``; −inf where p is 0 or log p is below the float range."""
        return self._evaluate(self._log_prob, x)

    @unchecked_twin("unchecked_score")
    def score(self, x: Any) -> Array:
        """s(x) = +∇ₓ log p(x), shape ``(n, d)``  (eq-1.1)."""
        return self._evaluate(self._score, x)

    def score_divergence(self, x: Any) -> Array:
        """∇·s(x) = Δ log p(x) = tr ∂s/∂x, shape ``(n,)``."""
        return self._evaluate(self._score_divergence, x)

    def sample(self, n: int, *, rng: Any) -> Array:
        """n independent draws, shape ``(n, d)``, float64 (±inf beyond its range); ``rng`` is a Generator or a seed."""
        n, rng = as_count(n, "n"), as_rng(rng)
        with np.errstate(over="ignore", under="ignore"):
            return self._sample(n, rng)

    @abstractmethod
    def quadrature(self, order: int) -> Quadrature:
        """Nodes ``(m, d)`` and weights ``(m,)``, summing to 1, so that E f ≈ ``(weights * f(nodes)).sum()``.

        ``order`` ≥ 2 is the number of nodes per dimension and per smooth piece of the density. ValueError
        where the grid would exceed `quadrature.MAX_NODES`.
        """

    def unchecked_log_prob(self, x: Array) -> Array:
        """`log_prob` of a clean ``(n, d)`` batch, under the rules of `unchecked_score`."""
        return self._in_working_type(self._log_prob, x)

    def unchecked_score(self, x: Array) -> Array:
        """`score` of a clean ``(n, d)`` batch: nothing is checked, no row is evaluated a second time, and overflow
        is treated as the caller's NumPy settings say.
        """
        return self._in_working_type(self._score, x)

    @abstractmethod
    def _log_prob(self, x: Array) -> Array: ...

    @abstractmethod
    def _score(self, x: Array) -> Array: ...

    @abstractmethod
    def _score_divergence(self, x: Array) -> Array: ...

    @abstractmethod
    def _sample(self, n: int, rng: np.random.Generator) -> Array: ...

    def _evaluate(self, function: Callable[[Array], Array], x: Any) -> Array:
        """``function`` on the checked batch, and again in longdouble on the rows where it is not finite."""
        x = as_batch(x, "x", d=self.d, allow_complex=True)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            value = self._in_working_type(function, x)
            finite = np.isfinite(value)
            if not finite.all():
                rows = ~finite.reshape(len(x), -1).all(axis=1)  # (n,)
                value[rows] = function(self._widened(x[rows], np.longdouble))
        return value

    def _in_working_type(self, function: Callable[[Array], Array], x: Array) -> Array:
        """``function`` of x in a type that is wide enough for the parameters, the result in the type of x."""
        if x.real.dtype.itemsize >= self._narrowest.itemsize:
            return function(x)
        return function(self._widened(x, self._narrowest)).astype(x.dtype)

    def _widened(self, x: Array, real: Any) -> Array:
        """x in a wider real type, or its complex counterpart."""
        return x.astype(np.result_type(x.dtype, real))


def square_norm(y: Array, axis: int = -1) -> Array:
    """Σ y² along an axis, without a modulus, so that complex steps pass."""
    return (y * y).sum(axis=axis)


def diffused(one: Callable[[float, float], Target], alpha: Any, sigma: Any) -> Any:
    """``one(α, σ)`` for two numbers, or a tuple of it for arrays (k,) of them; not both may be 0."""
    alpha, sigma = np.broadcast_arrays(as_array(alpha, "alpha"), as_array(sigma, "sigma"))
    if (alpha < 0).any() or (sigma < 0).any() or ((alpha == 0) & (sigma == 0)).any() or alpha.ndim > 1:
        raise ValueError(
            f"alpha and sigma must be >= 0 and not both 0, numbers or (k,), got {alpha.tolist()} and {sigma.tolist()}"
        )
    if alpha.ndim == 0:
        return one(float(alpha), float(sigma))
    return tuple(map(one, alpha.tolist(), sigma.tolist()))


def as_vector(value: Any, name: str) -> Array:
    """A non-empty ``(d,)`` array."""
    array = as_array(value, name)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must have shape (d,) with d >= 1, got shape {array.shape}")
    return array


def set_fields(target: Target, **fields: Any) -> None:
    """Fill a frozen dataclass once: arrays as read-only copies in float64 or wider."""
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            value = value.astype(np.promote_types(value.dtype, np.float64))
            value.setflags(write=False)
        object.__setattr__(target, name, value)
