"""Explicit score matching: the distance from the true score, where that is known (chapter 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from .._run.borders import as_batch, as_shaped, call_score
from ..models import ScoreModel, dimension, sum_over_rows
from .base import Array, LossGrad, Objective


def esm(
    model: ScoreModel,
    x: Any,
    target_score: Union[Callable[[Array], Any], Any],
    weights: Any = None,
    cond: Any = None,
    *,
    gradient: bool = True,
) -> LossGrad:
    """Explicit score matching: the mean of ½‖s(x) - s*(x)‖², with the ½.

    x is (n, d); ``target_score`` is s*, a callable (n, d) -> (n, d), which gets a copy of x of its own, or its values
    (n, d). ``weights`` (n,) replaces the mean by Σᵢ wᵢ ℓᵢ; ``cond`` is the model's condition, (n, c) or (c,).
    ``gradient=False`` spares the gradient. The lecture note's form without the ½ is twice this, and equals
    2·ISM + const (2.6).
    Raises TypeError or ValueError for mismatched shapes or values that are not finite. Source: Hyvärinen 2005, eq. 2.
    """
    x = as_batch(x, "x", d=dimension(model))
    if callable(target_score):
        target = call_score(target_score, x.copy(), "target_score", finite=True)
    else:
        target = as_shaped(target_score, "target_score", x.shape)

    def terms(rows: slice, s: Array) -> tuple[Array, Array]:
        residual = s - target[rows]  # (n, d)
        return 0.5 * np.einsum("nd,nd->n", residual, residual), residual  # eq-2.1: ℓ, ∂ℓ/∂s

    primitive = ScoreModel.score_vjp
    return LossGrad(*sum_over_rows(model, primitive, terms, x, weights=weights, cond=cond, gradient=gradient))


@dataclass(frozen=True)
class ESM(Objective):
    """``esm`` as an objective: ``target_score`` is a callable (n, d) -> (n, d)."""

    target_score: Callable[[Array], Any]

    def __post_init__(self) -> None:
        if not callable(self.target_score):
            raise TypeError(
                "target_score must be a callable (n, d) -> (n, d), since rows are drawn and shuffled, "
                f"got {type(self.target_score).__name__}"
            )

    def loss(
        self, model: ScoreModel, x: Any, draw: None = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """`esm`."""
        return esm(model, x, self.target_score, weights, cond)

    def values(self, model: ScoreModel, x: Any, draw: None = None, cond: Any = None) -> Array:
        """ℓ (n,) of `esm`, without a gradient."""
        return esm(model, x, self.target_score, cond=cond, gradient=False).per_sample

    def spec(self) -> None:
        """None: one callable cannot be told from another; ``named`` gives this objective a name."""
