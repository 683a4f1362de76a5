"""Held-out rows: they judge a model by the loss it was fitted by, or by another one, on a draw that is fixed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from .._run.borders import _show, as_array, as_number, as_shaped
from ..datasets.rounding import dequantise
from ..datasets.splitting import train_validation_split
from ..models.base import Array, ScoreModel
from ..objectives import Objective, as_objective
from .rows import Rows, in_models_type


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows (n, d) with their conditions, what judges a model on them, and where in its stream the draw begins."""

    x: Array
    cond: Optional[Array]
    metric: Objective
    rng: np.random.Generator

    @classmethod
    def drawn(cls, x: Array, cond: Optional[Array], metric: Objective, rng: np.random.Generator) -> HeldOut:
        """Held-out rows whose noise and probes are what ``metric`` draws next from ``rng``, which moves on."""
        start = copy.deepcopy(rng)
        metric.draw(x, rng)
        return cls(x, cond, metric, start)

    def loss(self, model: ScoreModel) -> float:
        """The mean of the metric over the rows; the draw is made again, so that nothing can change it."""
        x, cond = self.x.copy(), None if self.cond is None else self.cond.copy()
        draw = self.metric.draw(x, copy.deepcopy(self.rng))
        values = self.metric.values(model, x, draw, cond)
        return float(as_shaped(values, "the metric's values", (len(x),), finite=False).mean())


def hold_out(
    rows: Rows,
    validation: Any,
    objective: Objective,
    metric: Any,
    model: ScoreModel,
    rng: np.random.Generator,
) -> tuple[Rows, HeldOut]:
    """The rows to train on, and the held-out ones, on which noise and probes are drawn here, once.

    ``validation`` is a fraction of rows in memory, or held-out rows: alone, or with their conditions as a pair
    (rows, cond) where the rows have conditions. ``metric`` is None for the objective itself, a name or an objective.
    """
    metric = objective if metric is None else as_objective(metric)
    if not isinstance(validation, tuple) and as_array(validation, "validation").ndim == 0:
        rows, x, cond = _split(rows, validation, rng)
    else:
        x, cond = _given(rows, validation, model)
    if rows.jitter is not None:
        x = dequantise(x, rows.jitter, rng=rng)
    return rows, HeldOut.drawn(x, cond, metric, rng)


def _split(rows: Rows, fraction: Any, rng: np.random.Generator) -> tuple[Rows, Array, Optional[Array]]:
    """The rows in memory that stay, and the held-out ones with their conditions."""
    if not rows.in_memory:
        raise ValueError(
            "validation must be None or rows (nv, d) with a sharded objective, whose shards are all trained on, "
            f"got {fraction!r}"
        )
    (shard,) = rows.shards
    fraction = as_number(fraction, "validation", above=0.0, below=1.0)
    same_order = copy.deepcopy(rng)
    train, x = train_validation_split(shard.x, fraction, rng=rng)
    if shard.cond is None:
        return replace(rows, shards=(shard._replace(x=train),)), x, None
    train_cond, cond = train_validation_split(shard.cond, fraction, rng=same_order)
    return replace(rows, shards=(shard._replace(x=train, cond=train_cond),)), x, cond


def _given(rows: Rows, validation: Any, model: ScoreModel) -> tuple[Array, Optional[Array]]:
    """Held-out rows, with conditions where the training rows have them, clean and in the model's type."""
    if not rows.conditional:
        if isinstance(validation, tuple) and len(validation) == 2 and np.ndim(validation[0]) == 2:
            raise ValueError(
                f"validation must be rows alone, as the rows have no cond, got a pair {_show(validation)}"
            )
        return in_models_type(validation, None, model, "validation", "validation")
    if not isinstance(validation, tuple) or len(validation) != 2:
        raise TypeError(
            f"validation must be a pair (rows, cond), as the rows have cond, got {_show(validation)}"
        )
    return in_models_type(*validation, model, "validation[0]", "validation[1]")
