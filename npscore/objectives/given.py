"""Objectives as users give them: by a name, as an object, or as a callable of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from .._run.borders import _show, as_callable, as_choice, as_shaped, picture
from ..models import ScoreModel
from .base import Array, LossGrad, Objective
from .denoising import DSM, dsm
from .explicit import esm
from .implicit import ISM, ism
from .sliced import SSM, SSMVR, ssm, ssm_vr

#: What ``fit`` and the command line can name. ESM needs the true score: ``ESM(target_score)``.
BY_NAME: dict[str, type[Objective]] = {"ism": ISM, "ssm": SSM, "ssm-vr": SSMVR, "dsm": DSM}
OBJECTIVES = tuple(BY_NAME)
#: What ``fit`` takes as a keyword for one of them: their fields.
FIELDS = tuple(
    dict.fromkeys(field.name for objective in BY_NAME.values() for field in dataclasses.fields(objective))
)
PURE = (esm, ism, ssm, ssm_vr, dsm)

Loss = Callable[[ScoreModel, Array, np.random.Generator], LossGrad]


@dataclass(frozen=True)
class FromCallable(Objective):
    """A callable (model, batch, rng) -> LossGrad as an objective: its draw is a seed, so that it can be used again.

    The callable gets a generator from that seed and a copy of the rows of its own; with a condition it is called with
    ``cond=`` too. It has no weights: its loss is the mean over its rows.
    """

    function: Loss

    def draw(self, x: Array, rng: np.random.Generator) -> int:
        """The seed of the generator that the callable gets."""
        return int(rng.integers(2**63))

    def loss(
        self, model: ScoreModel, x: Any, draw: Any = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """What the callable returns: its loss and gradient are checked for type and shape."""
        if weights is not None:
            raise ValueError(
                "weights must be None with a callable objective, whose loss is the mean over its rows"
            )
        more = {} if cond is None else {"cond": cond.copy()}
        result = self.function(model, x.copy(), np.random.default_rng(draw), **more)
        if not isinstance(result, tuple) or len(result) < 2:
            raise TypeError(f"objective must return a LossGrad (loss, grad, …), got {type(result).__name__}")
        loss, grad, *rest = result
        loss = as_shaped(loss, "the objective's loss", (), allow_complex=True, finite=False)
        grad = as_shaped(grad, "the objective's grad", model.theta.shape, allow_complex=True)
        return LossGrad(loss, grad, rest[0] if rest else None)

    def values(self, model: ScoreModel, x: Any, draw: Any = None, cond: Any = None) -> Array:
        """The per-sample losses that the callable returns, or its loss for every row where it returns none."""
        loss, _, per_sample = self.loss(model, x, draw, cond=cond)
        return np.full(len(x), loss) if per_sample is None else per_sample

    def spec(self) -> None:
        """None: one callable cannot be told from another; ``named`` gives it a name."""


@dataclass(frozen=True)
class Named(Objective):
    """An objective under a name of the user's, which is what a checkpoint compares."""

    name: str
    objective: Objective

    @property
    def smooths(self) -> bool:
        """The objective's own."""
        return self.objective.smooths

    def draw(self, x: Array, rng: np.random.Generator) -> Any:
        """The objective's own."""
        return self.objective.draw(x, rng)

    def loss(
        self, model: ScoreModel, x: Any, draw: Any = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """The objective's own."""
        return self.objective.loss(model, x, draw, weights, cond)

    def values(self, model: ScoreModel, x: Any, draw: Any = None, cond: Any = None) -> Array:
        """The objective's own."""
        return self.objective.values(model, x, draw, cond)

    def spec(self) -> dict[str, Any]:
        """The name."""
        return {"objective": "named", "name": self.name}


def named(name: str, objective: Union[Loss, Objective]) -> Objective:
    """A callable (model, batch, rng) -> LossGrad, or an objective, under a name: ``named("my loss", f)``.

    A run with a checkpoint is continued only by an objective of the same name; that the name stands for the same
    mathematics is the user's word. Raises TypeError or ValueError for a wrong argument.
    """
    if not isinstance(name, str) or not name.strip():
        raise TypeError(f"name must be a text that is not empty, got {_show(name)}")
    return Named(name, as_objective(objective))


def as_objective(objective: Any, rows: str = "batch", **fields: Any) -> Objective:
    """The objective of a name ("ism", "ssm", "ssm-vr", "dsm"), an ``Objective`` as it is, or one around a callable.

    ``fields`` are those of the named objective (``sigma``; ``n_probes``, ``probe``), None standing for one that was not
    given. ``rows`` is what the message calls the callable's second argument.
    Raises TypeError for anything else, npscore's pure functions among them, and ValueError for an unknown name or a
    field that the objective does not have.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if isinstance(objective, str):
        return named_objective(objective, **given)
    signature = f"(model, {rows}, rng) -> LossGrad, an npscore.objectives.Objective, or a name"
    if any(objective is own for own in PURE):
        name = objective.__name__
        instead = "objectives.ESM(target_score)" if objective is esm else repr(name.replace("_", "-"))
        raise TypeError(
            f"objective must be a callable {signature}, got npscore's {name}, which takes no rng: use {instead}"
        )
    if given:
        name, value = next(iter(given.items()))
        needed = "'dsm'" if name == "sigma" else "'ssm' or 'ssm-vr'"
        raise ValueError(
            f"{name} must be None unless objective is {needed}, got {picture(value)} with {_kind(objective)}"
        )
    if isinstance(objective, Objective):
        return objective
    if isinstance(objective, type) and issubclass(objective, Objective):
        raise TypeError(f"objective must be an objective, got the class {objective.__name__}: make one of it")
    return FromCallable(as_callable(objective, "objective", signature))


def _kind(objective: Any) -> str:
    return type(objective).__name__ if isinstance(objective, Objective) else "a callable"


def named_objective(name: str, *, sigma: Optional[float] = None, **fields: Any) -> Objective:
    """The objective of a name: "ism", "ssm", "ssm-vr" (``n_probes``, ``probe``) or "dsm" (``sigma``).

    ``n_probes`` and ``probe`` play no part in "ism" and "dsm" but are checked. Raises TypeError or ValueError naming
    the argument.
    """
    as_choice(name, "objective", OBJECTIVES)
    objective = BY_NAME[name]
    own = [field.name for field in dataclasses.fields(objective)]
    if "sigma" in own:
        fields["sigma"] = sigma
    elif sigma is not None:
        raise ValueError(f"sigma must be None unless objective is 'dsm', got {picture(sigma)} with {name!r}")
    foreign = {key: value for key, value in fields.items() if key not in own}
    if foreign:
        SSM(**foreign)
    return objective(**{key: value for key, value in fields.items() if key in own})
