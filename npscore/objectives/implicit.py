"""Implicit score matching: what can be computed without the true score, by the trace of the Jacobian (chapter 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models import ScoreModel, sum_over_rows
from .base import Array, LossGrad, Objective


def ism(
    model: ScoreModel, x: Any, weights: Any = None, cond: Any = None, *, gradient: bool = True
) -> LossGrad:
    """Implicit score matching: the mean of ½‖s(x)‖² + tr ∂s/∂x, the trace exact.

    x is (n, d); ``weights`` (n,) replaces the mean by Σᵢ wᵢ ℓᵢ; ``cond`` is the model's condition, (n, c) or (c,).
    Equals ESM (with the ½) minus ½E‖∇log p‖² in expectation, under the theorem's assumptions.
    Can be negative, and is unbounded below on rounded data. ``gradient=False`` spares the gradient.
    Raises TypeError or ValueError naming a wrong argument, NotFiniteError (a ValueError) where a loss overflows.
    Source: Hyvärinen 2005, eq. 4.
    """

    def terms(rows: slice, s: Array, div: Array) -> tuple[Array, Array, float]:
        return 0.5 * np.einsum("nd,nd->n", s, s) + div, s, 1.0  # eq-2.2: ℓ, ∂ℓ/∂s, ∂ℓ/∂div

    primitive = ScoreModel.divergence_vjp
    return LossGrad(*sum_over_rows(model, primitive, terms, x, weights=weights, cond=cond, gradient=gradient))


@dataclass(frozen=True)
class ISM(Objective):
    """``ism`` as an objective; nothing in it is random."""

    def loss(
        self, model: ScoreModel, x: Any, draw: None = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """`ism`."""
        return ism(model, x, weights, cond)

    def values(self, model: ScoreModel, x: Any, draw: None = None, cond: Any = None) -> Array:
        """ℓ (n,) of `ism`, without a gradient."""
        return ism(model, x, cond=cond, gradient=False).per_sample

    def spec(self) -> dict[str, Any]:
        """Its name."""
        return {"objective": "ism"}
