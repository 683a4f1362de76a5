"""A fit under way: what is fitted to what, the state after every step, and what follows a step of any optimiser."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import NotFiniteError
from .._run.progress import Progress
from ..models.base import Array, ScoreModel
from ..objectives import Objective
from .held_out import HeldOut
from .result import FitResult, History, NonFiniteLossError
from .rows import Rows, as_loss_grad

Callback = Optional[Callable[[int, float, ScoreModel], Any]]


@dataclass(frozen=True, eq=False)
class Problem:
    """What is fitted to what, and for how long. ``seed`` is the generator's state before anything was drawn."""

    model: ScoreModel
    rows: Rows
    objective: Objective
    held_out: Optional[HeldOut]
    steps: int
    batch_size: int
    validate_every: Optional[int]
    patience: Optional[int]
    seed: dict[str, Any]

    @property
    def validation_interval(self) -> int:
        """Steps between two held-out losses: ``validate_every``, or a hundredth of all steps."""
        return self.validate_every or max(1, self.steps // 100)


class State(NamedTuple):
    """Everything the next step depends on; ``memory`` is the optimiser's own.

    ``average`` is θ itself without ``ema``. ``step`` and ``validations`` count the lines of the history, so that one
    assignment of a state commits all of it.
    """

    step: int
    theta: Array
    average: Array
    memory: Any
    validations: int
    best_step: int
    best_theta: Array
    best_loss: float


class Diverged(Exception):
    """Something is no longer finite; ``args`` are the step and a phrase that says what."""


class Optimizer(ABC):
    """Minimises the loss of a run: ``Adam(…)``, ``LBFGS(…)``, or a frozen dataclass of one's own.

    ``minimise`` takes a step after another, each by ``run.evaluate`` (or ``run.problem.rows.evaluate`` inside it)
    and ``run.take``, as long as ``run.reason_to_stop()`` is None. The fields are part of a checkpoint's fingerprint.
    """

    minibatches = False  # whether it needs rows by their numbers, which shards do not give

    @abstractmethod
    def first_memory(self, problem: Problem, rng: np.random.Generator) -> Any:
        """What the optimiser remembers from step to step, before the first."""

    @abstractmethod
    def minimise(self, run: Run) -> str:
        """Take steps until there is a reason to stop, and return it."""

    def packed(self, memory: Any) -> tuple[dict[str, Any], dict[str, Array]]:
        """The memory as JSON-ready values and arrays, for a checkpoint."""
        return {}, {}

    def unpacked(self, header: Mapping[str, Any], arrays: Mapping[str, Array], run: Run) -> Any:
        """The memory of a checkpoint; raises KeyError, TypeError or ValueError where it is damaged."""
        return None


class Run:
    """A fit under way: its state and history, and what follows every step of whatever optimiser."""

    def __init__(self, problem: Problem, optimizer: Optimizer, rng: np.random.Generator, callback: Callback):
        self.problem, self.optimizer, self.rng, self.callback = problem, optimizer, rng, callback
        theta = problem.model.theta
        self.state = State(0, theta, theta, optimizer.first_memory(problem, rng), 0, 0, theta, float("inf"))
        self.model = problem.model  # at the θ of the last evaluation
        # The history is only appended to: the state's counts say how much of it is valid.
        self.steps: list[tuple[int, float, float, float]] = []
        self.validations: list[tuple[int, float]] = []
        self.told_to_stop = False
        self.line: Any = None  # the progress line
        self.file: Any = None  # the checkpoint, written every ``save_every`` steps
        self.save_every = problem.steps

    def carry_out(self, progress: Optional[bool]) -> FitResult:
        """Minimise to the end, to Ctrl-C or to an overflow."""
        try:
            with Progress("fit", self.problem.steps, enabled=progress) as self.line:
                self.state = self.judged(self.state)
                stopped = self.optimizer.minimise(self)
        except KeyboardInterrupt:
            stopped = "interrupted"
        except Diverged as error:
            raise NonFiniteLossError(*error.args, self.result("not finite")) from None
        if self.file is not None:
            self.file.save_or_warn(self)
        return self.result(stopped)

    def evaluate(self, loss_of: Callable[[ScoreModel], Any], theta: Array) -> tuple[float, Array, float]:
        """Loss at θ, its gradient (p,) in θ's type, and the gradient's norm; raises Diverged.

        θ is finite, and becomes the model's own: it is not written to from here on.
        """
        if theta is not self.model.theta:
            self.model = self.model._with_theta(theta)
        step = self.state.step + 1
        try:
            loss, grad = as_loss_grad(loss_of(self.model), theta.shape)
        except NotFiniteError as error:
            raise Diverged(step, str(error)) from None
        loss, grad = float(loss), grad.astype(theta.dtype, copy=False)
        if not np.isfinite(loss):
            raise Diverged(step, f"loss became {loss}")
        norm = float(np.sqrt(grad @ grad))
        if not np.isfinite(norm):
            raise Diverged(step, f"the gradient's norm became {norm}")
        return loss, grad, norm

    def take(self, state: State, loss: float, norm: float, rate: float) -> None:
        """Take a step: history, held-out rows, progress, checkpoint, callback."""
        self.steps.append((state.step, loss, norm, rate))
        self.state = self.judged(state)
        if self.line.enabled:
            self.line.update(state.step, self._remark(loss))
        if self.file is not None and state.step % self.save_every == 0:
            self.file.save_or_warn(self)
        if self.callback is not None:
            model = self.model._with_theta(state.theta)
            self.told_to_stop = bool(self.callback(state.step, loss, model))

    def reason_to_stop(self) -> Optional[str]:
        """Why no further step is to be taken; None where one is."""
        problem, state = self.problem, self.state
        if self.told_to_stop:
            return "callback"
        if state.step >= problem.steps:
            return "steps"
        if problem.patience is None:
            return None
        worse_for = state.step - state.best_step
        return "patience" if worse_for >= problem.patience * problem.validation_interval else None

    def judged(self, state: State, *, now: bool = False) -> State:
        """The state after the held-out rows have judged it, where that is due; without any, the latest is the best.

        It is due every so many steps, at the last one, and ``now``, but once a step. Raises Diverged.
        """
        problem, step = self.problem, state.step
        if problem.held_out is None:
            return state._replace(best_step=step, best_theta=state.average)
        due = now or step % problem.validation_interval == 0 or step == problem.steps
        if not due or (state.validations and self.validations[state.validations - 1][0] == step):
            return state
        loss = self._held_out_loss(state)
        self.validations.append((step, loss))
        state = state._replace(validations=state.validations + 1)
        if loss < state.best_loss:
            state = state._replace(best_step=step, best_theta=state.average, best_loss=loss)
        return state

    def _held_out_loss(self, state: State) -> float:
        try:
            loss = self.problem.held_out.loss(self.model._with_theta(state.average))
        except NotFiniteError as error:
            raise Diverged(state.step, f"held-out loss: {error}") from None
        if not np.isfinite(loss):
            raise Diverged(state.step, f"held-out loss became {loss}")
        return loss

    def _remark(self, loss: float) -> str:
        held_out = f"  held-out loss {self.validations[-1][1]:.4f}" if self.validations else ""
        return f"loss {loss:.4f}{held_out}"

    def history(self) -> History:
        """The steps and held-out losses that the state counts, as arrays."""
        steps = self.steps[: self.state.step] or np.empty((0, 4))
        validations = self.validations[: self.state.validations] or np.empty((0, 2))
        columns = [*np.array(steps).T, *np.array(validations).T]
        columns[0], columns[4] = columns[0].astype(int), columns[4].astype(int)
        return History(*columns)

    def result(self, stopped: str) -> FitResult:
        """The outcome so far."""
        state = self.state
        return FitResult(
            model=self.model._with_theta(state.best_theta),
            final_model=self.model._with_theta(state.average),
            history=self.history(),
            best_step=state.best_step,
            validation_loss=state.best_loss if state.validations else None,
            stopped=stopped,
        )
