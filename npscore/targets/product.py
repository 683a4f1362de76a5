"""A density with independent coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Target, diffused, set_fields
from .quadrature import Quadrature, Rule, as_order, tensor

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Product(Target):
    """p(x) = ∏ⱼ pⱼ(xⱼ): ``factors``, one target with d = 1 for each coordinate.

    log p = Σ log pⱼ;  sⱼ = (log pⱼ)′(xⱼ);  ∇·s = Σ (log pⱼ)″(xⱼ). ``mean`` and ``cov`` (diagonal) exist where
    every factor's do. Raises TypeError for anything but targets, ValueError for one with d ≠ 1 or for none.
    """

    factors: tuple[Target, ...]

    def __post_init__(self) -> None:
        listed = isinstance(self.factors, Iterable) and getattr(self.factors, "ndim", 1) > 0
        if isinstance(self.factors, Target) or not listed:
            raise TypeError(f"factors must be a sequence of targets, got {type(self.factors).__name__}")
        factors = tuple(self.factors)
        if not factors:
            raise ValueError("factors must hold at least one target, got none")
        for j, factor in enumerate(factors):
            if not isinstance(factor, Target):
                raise TypeError(f"factors[{j}] must be a target, got {type(factor).__name__}")
            if factor.d != 1:
                raise ValueError(f"factors[{j}] must have d = 1, got d = {factor.d}")
        set_fields(self, factors=factors)

    def diffused(self, alpha: Any, sigma: Any) -> Any:
        """The density of αx + σz, z ~ N(0, I), where every factor has one; of arrays a tuple, one density each."""
        for j, factor in enumerate(self.factors):
            if not hasattr(factor, "diffused"):
                raise TypeError(
                    f"factors[{j}] must be a density that diffuses in closed form, got {factor!r}"
                )
        return diffused(lambda a, s: Product(tuple(f.diffused(a, s) for f in self.factors)), alpha, sigma)

    @property
    def d(self) -> int:
        """The number of factors."""
        return len(self.factors)

    @property
    def mean(self) -> Array:
        """The factors' means, shape ``(d,)``."""
        return np.concatenate([factor.mean for factor in self.factors])

    @property
    def cov(self) -> Array:
        """The factors' variances on the diagonal, shape ``(d, d)``."""
        return np.diag([factor.cov[0, 0] for factor in self.factors])

    def quadrature(self, order: int) -> Quadrature:
        """The tensor product of the factors' own rules, order**d nodes (2·order for a Laplace coordinate)."""
        as_order(order, self.d)
        rules = [factor.quadrature(order) for factor in self.factors]
        return tensor([Rule(nodes[:, 0], weights) for nodes, weights in rules])

    def _log_prob(self, x: Array) -> Array:
        return sum(factor.log_prob(column) for factor, column in self._columns(x))

    def _score(self, x: Array) -> Array:
        return np.hstack([factor.score(column) for factor, column in self._columns(x)])

    def _score_divergence(self, x: Array) -> Array:
        return sum(factor.score_divergence(column) for factor, column in self._columns(x))

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        return np.hstack([factor.sample(n, rng=rng) for factor in self.factors])

    def _columns(self, x: Array) -> Iterator[tuple[Target, Array]]:
        return ((factor, x[:, [j]]) for j, factor in enumerate(self.factors))
