"""What both optimisers share: the problem, the state that a checkpoint can hold, the looks at held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import NotFiniteError, as_shaped
from ..models.base import ScoreModel
from ..objectives import Objective, ism
from .optimizers import Adam, adam_init
from .result import FitResult, Recorder
from .settings import Settings

Array = np.ndarray
Callback = Optional[Callable[[int, float, ScoreModel], Any]]


@dataclass(frozen=True)
class Problem:
    """What is fitted to what: the model, the rows (None: the objective's own), the held-out rows (or None) and how.

    ``perturb(batch, rng)`` dequantises a batch; ``validation`` rows are already perturbed, once. ``seed`` is the
    generator's state before anything was drawn.
    """

    model: ScoreModel
    train: Optional[Array]
    validation: Optional[Array]
    objective: Objective
    perturb: Callable[[Array, np.random.Generator], Array]
    settings: Settings
    seed: dict[str, Any]

    def held_out_ism(self, theta: Array) -> float:
        """The mean of ½‖s‖² + tr J over the held-out rows."""
        return float(ism(self.model.with_theta(theta), self.validation, gradient=False).per_sample.mean())


class State(NamedTuple):
    """Everything the next step depends on. ``average`` is θ itself without ``ema``.

    ``order`` and ``cursor``: the epoch's permutation and how far it is used up. ``rng`` is the generator's state.
    ``step`` and ``looks`` count the lines of the history, so that one assignment of a state commits all of it.
    """

    step: int
    theta: Array
    adam: Adam
    average: Array
    order: Array
    cursor: int
    rng: dict[str, Any]
    looks: int
    best_step: int
    best_theta: Array
    best_loss: float


def _loss(objective: Any, model: ScoreModel, batch: Optional[Array], rng: np.random.Generator) -> Any:
    if isinstance(objective, Objective):
        return objective.loss(model, batch, objective.draw(batch, rng))
    return objective(model, batch, rng)


class Diverged(Exception):
    """Something is no longer finite; ``args`` are the step and a phrase that says what."""


def first_state(problem: Problem, rng: np.random.Generator) -> State:
    """The state before the first step."""
    theta = problem.model.theta
    order = rng.permutation(0 if problem.train is None else len(problem.train))
    return State(
        0, theta, adam_init(theta), theta, order, 0, rng.bit_generator.state, 0, 0, theta, float("inf")
    )


def evaluate(
    problem: Problem, theta: Array, batch: Optional[Array], rng: np.random.Generator, step: int
) -> tuple[float, Array, float]:
    """The loss at θ, its gradient (p,) in θ's type, and the gradient's norm; raises Diverged.

    θ is finite, and nobody's to write to from here on.
    """
    try:
        loss, grad, _ = _loss(problem.objective, problem.model._with_theta(theta), batch, rng)
        loss = as_shaped(loss, "the objective's loss", (), finite=False)
        grad = as_shaped(grad, "the objective's grad", theta.shape)
        loss, grad = float(loss), grad.astype(theta.dtype, copy=False)
    except NotFiniteError as error:
        raise Diverged(step, str(error)) from None
    if not np.isfinite(loss):
        raise Diverged(step, f"loss became {loss}")
    norm = float(np.sqrt(grad @ grad))
    if not np.isfinite(norm):
        raise Diverged(step, f"the gradient's norm became {norm}")
    return loss, grad, norm


def validate(problem: Problem, state: State, record: Recorder) -> State:
    """Look at the held-out rows where it is time to; without any, the latest parameters are the best."""
    if problem.validation is None:
        return state._replace(best_step=state.step, best_theta=state.average)
    return look(problem, state, record) if due(problem, state) else state


def due(problem: Problem, state: State) -> bool:
    """Time for a look: every so many steps, and at the last."""
    settings = problem.settings
    return state.step % settings.validation_interval == 0 or state.step == settings.steps


def look(problem: Problem, state: State, record: Recorder) -> State:
    """Judge the parameters by the held-out rows, and keep them if they are the best seen; raises Diverged."""
    try:
        loss = problem.held_out_ism(state.average)
    except NotFiniteError as error:
        raise Diverged(state.step, str(error)) from None
    if not np.isfinite(loss):
        raise Diverged(state.step, f"held-out ISM became {loss}")
    record.validation(state.step, loss)
    state = state._replace(looks=state.looks + 1)
    if loss < state.best_loss:
        state = state._replace(best_step=state.step, best_theta=state.average, best_loss=loss)
    return state


def out_of_patience(problem: Problem, state: State) -> bool:
    """No better held-out ISM for ``patience`` looks."""
    settings = problem.settings
    if settings.patience is None:
        return False
    return state.step - state.best_step >= settings.patience * settings.validation_interval


def to_result(problem: Problem, state: State, record: Recorder, stopped: str) -> FitResult:
    """The outcome at a state."""
    return FitResult(
        model=problem.model.with_theta(state.best_theta),
        final_model=problem.model.with_theta(state.average),
        history=record.history(state.step, state.looks),
        best_step=state.best_step,
        validation_loss=state.best_loss if state.looks else None,
        stopped=stopped,
    )
