"""What every objective is: something that draws what is random in it, and then computes a loss and its gradient.

The mathematics of an objective is a pure function with its noise as an argument (``esm``, ``ism``, ``ssm``, ``ssm_vr``,
``dsm``). The object around it draws that noise, judges held-out rows, and describes itself for a checkpoint, so that
``fit``, ``sharded`` and the command line need to know nothing else. A new objective is a new file beside this one:
subclass ``Objective`` and define ``loss``, ``spec`` and, where something is random, ``draw``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Optional

import numpy as np

from .._run.borders import as_batch, as_rng
from ..models import ScoreModel

Array = np.ndarray


class LossGrad(NamedTuple):
    """A loss, its gradient in θ and what each row contributed.

    ``loss`` is Σᵢ wᵢ ℓᵢ; ``grad`` is (p,), laid out as ``model.theta`` (None where it was not asked for);
    ``per_sample`` is ℓ, (n,), unweighted.
    """

    loss: Any
    grad: Array
    per_sample: Array


class Objective(ABC):
    """A loss that is a mean over rows of ℓ(row; draw), and how to draw what is random in it.

    ``smooths`` says that the draw adds noise to the rows, so that rounding in them does no harm.
    """

    smooths: ClassVar[bool] = False

    def __call__(
        self, model: ScoreModel, x: Any, rng: Any = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """A fresh draw from ``rng`` (a Generator, moved on, or a seed), and the loss for it; x is (n, d)."""
        x = as_batch(x, "x")
        return self.loss(model, x, self.draw(x, as_rng(rng)), weights, cond)

    def draw(self, x: Array, rng: np.random.Generator) -> Any:
        """All that is random for the rows x (n, d): noise, probes, noise levels; None where nothing is."""
        return None

    @abstractmethod
    def loss(
        self, model: ScoreModel, x: Array, draw: Any = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """Loss, gradient and per-sample losses at given rows, for a given draw: the same ones whenever asked.

        ``weights`` (n,) replaces the mean by Σᵢ wᵢ ℓᵢ; ``cond`` is the model's condition, (n, c) or (c,).
        """

    def values(self, model: ScoreModel, x: Array, draw: Any = None, cond: Any = None) -> Array:
        """The per-sample losses (n,) alone, which judge held-out rows; override it where a gradient can be spared."""
        return self.loss(model, x, draw, cond=cond).per_sample

    @abstractmethod
    def spec(self) -> Optional[dict[str, Any]]:
        """What tells this objective from others, as JSON-ready values: a checkpoint compares it.

        None where that cannot be said, as of a bare callable: ``objectives.named`` gives it a name.
        """
