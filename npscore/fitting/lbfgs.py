"""Full-batch fitting by L-BFGS (SciPy's): all rows are seen at every step, here or in shards elsewhere."""

from __future__ import annotations

from typing import Optional

import numpy as np

from .._run.progress import Progress
from .problem import (
    Callback,
    Diverged,
    Problem,
    due,
    evaluate,
    first_state,
    look,
    out_of_patience,
    to_result,
    validate,
)
from .result import FitResult, NonFiniteLossError, Recorder

Array = np.ndarray

#: SciPy's warning flag: 0 converged; 1 out of iterations; 2 the line search found nothing lower.
_STOPPED = ("converged", "steps", "line search")


class _Stop(Exception):
    """Raised out of SciPy's callback to leave early; ``args[0]`` is the reason."""


class _FullBatch:
    """The two functions SciPy asks for: loss and gradient at θ, and what to do after an iteration.

    A line search needs one fixed function, so noise, probes and jitter are drawn once: every evaluation gets
    a generator with the same seed (common random numbers).
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, callback: Callback, line: Progress):
        self.problem, self.callback, self.line = problem, callback, line
        self.record, self.state = Recorder(), first_state(problem, rng)
        self.seed = int(rng.integers(2**63))
        self.last = (float("nan"), float("nan"))

    def loss_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """The loss and its gradient at θ, in float64, on the same draw of noise every time."""
        frozen = np.random.default_rng(self.seed)
        batch = self.problem.train
        if batch is not None:
            batch = self.problem.perturb(batch, frozen)
        theta = theta.astype(self.problem.model.dtype)
        loss, grad, norm = evaluate(self.problem, theta, batch, frozen, self.state.step + 1)
        self.last = (loss, norm)
        return loss, grad.astype(np.float64)

    def after_iteration(self, theta: Array) -> None:
        """Book the iterate that was accepted: history, held-out rows, patience, the caller's callback."""
        theta, step = theta.astype(self.problem.model.dtype), self.state.step + 1
        loss, norm = self.last  # SciPy calls back right after evaluating the iterate it accepts
        self.record.step(step, loss, norm, float("nan"))  # L-BFGS has no learning rate
        state = self.state._replace(step=step, theta=theta, average=theta)
        self.state = validate(self.problem, state, self.record)
        self.line.update(step, f"loss {loss:.4f}")
        if out_of_patience(self.problem, self.state):
            raise _Stop("patience")
        if self.callback is not None and self.callback(step, loss, self.problem.model.with_theta(theta)):
            raise _Stop("callback")

    def last_look(self) -> None:
        """Judge the iterate it ended with, where that was not a step to look at."""
        if self.problem.validation is not None and not due(self.problem, self.state):
            self.state = look(self.problem, self.state, self.record)

    def result(self, stopped: str) -> FitResult:
        """The outcome so far."""
        return to_result(self.problem, self.state, self.record, stopped)


def run_lbfgs(
    problem: Problem, rng: np.random.Generator, *, callback: Callback, progress: Optional[bool]
) -> FitResult:
    """At most ``steps`` iterations of L-BFGS-B on the whole training set, to the precision of the model's type.

    SciPy works in float64; a model of another type is rounded to its own at every evaluation.
    Source: Liu and Nocedal 1989; Zhu, Byrd, Lu and Nocedal 1997 for the code behind SciPy.
    """
    from scipy.optimize import minimize

    steps = problem.settings.steps
    precision = float(np.finfo(problem.model.dtype).eps)
    options = {
        "maxiter": steps,
        "maxfun": 20 * steps,
        "maxcor": 20,
        "ftol": precision,
        "gtol": precision**0.5,
    }
    with Progress("fit", steps, enabled=progress) as line, np.errstate(all="ignore"):
        run = _FullBatch(problem, rng, callback, line)
        try:
            run.state = validate(problem, run.state, run.record)
            found = minimize(
                run.loss_and_gradient,
                problem.model.theta.astype(np.float64),
                jac=True,
                method="L-BFGS-B",
                callback=run.after_iteration,
                options=options,
            )
            run.last_look()
            return run.result(_STOPPED[found.status])
        except _Stop as stop:
            return run.result(stop.args[0])
        except KeyboardInterrupt:
            return run.result("interrupted")
        except Diverged as error:
            raise NonFiniteLossError(*error.args, run.result("not finite")) from None
