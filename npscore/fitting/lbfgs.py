"""Full-batch fitting by L-BFGS (SciPy's): every evaluation is over all rows, here or in shards elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from .._run.borders import as_count, as_number, draw_entropy
from ..models.base import Array, ScoreModel
from ..objectives import LossGrad
from .run import Optimizer, Problem, Run

#: SciPy's status: 0 the gradient is zero or the loss the same; 1 out of evaluations; 2 the line search failed.
_STOPPED = ("converged", "steps", "line search")


class _Stop(Exception):
    """Raised out of SciPy's callback to leave early; ``args[0]`` is the reason."""


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """L-BFGS on all rows at once: ``fit(…, optimizer=LBFGS())``, in the memory of the last ``memory`` steps.

    It has converged where an iteration lowers the loss by at most ``tolerance`` times its absolute value, by default
    the precision of the model's floating type: a ratio, in which the units of the data play no part. A line search
    needs one fixed function: noise, probes and jitter are drawn again from the same streams at every evaluation.
    Raises ValueError or TypeError naming the field.
    Source: Liu and Nocedal 1989; Zhu, Byrd, Lu and Nocedal 1997 for L-BFGS-B, the code behind SciPy.
    """

    memory: int = 20
    tolerance: Optional[float] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", as_count(self.memory, "memory"))
        if self.tolerance is not None:
            object.__setattr__(self, "tolerance", as_number(self.tolerance, "tolerance", at_least=0.0))

    def first_memory(self, problem: Problem, rng: np.random.Generator) -> None:
        """None: SciPy's own memory cannot be had, so that a run goes on from θ alone.

        SciPy is loaded here, before any work, and before BLAS is limited to one thread: it brings a BLAS of its own.
        """
        import scipy.optimize  # noqa: F401

    def minimise(self, run: Run) -> str:
        """At most as many iterations as there are steps left; the point it ends with is judged too."""
        reason = run.reason_to_stop()
        if reason is None:
            reason = self._minimise(run)
        if reason in _STOPPED:
            run.state = run.judged(run.state, now=True)
        return reason

    def _minimise(self, run: Run) -> str:
        """SciPy's minimiser with its own tests of convergence off, since they have units.

        It works in float64; a model of another type is rounded to its own at every evaluation.
        """
        from scipy.optimize import minimize

        steps = run.problem.steps - run.state.step
        functions = _Functions(run, self._tolerance(run.problem.model))
        options = {"maxiter": steps, "maxfun": 20 * steps, "maxcor": self.memory, "ftol": 0.0, "gtol": 0.0}
        try:
            found = minimize(
                functions.loss_and_gradient,
                run.state.theta.astype(np.float64),
                jac=True,
                method="L-BFGS-B",
                callback=functions.after_iteration,
                options=options,
            )
        except _Stop as stop:
            return stop.args[0]
        return _STOPPED[found.status]

    def _tolerance(self, model: ScoreModel) -> float:
        return float(np.finfo(model.dtype).eps) if self.tolerance is None else self.tolerance


class _Functions:
    """The two functions SciPy asks for: loss and gradient at θ, and what follows an iteration."""

    def __init__(self, run: Run, tolerance: float):
        self.run, self.tolerance = run, tolerance
        seed = int(run.rng.integers(2**63))
        self.entropy = draw_entropy(np.random.default_rng(seed))
        self.last: tuple[float, float] = (float("nan"), float("nan"))  # loss and gradient's norm
        self.loss: Optional[float] = None  # of the last iterate

    def loss_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """The loss and its gradient at θ, in float64, on the same draw of noise every time."""
        loss, grad, norm = self.run.evaluate(self._loss, theta.astype(self.run.problem.model.dtype))
        self.last = loss, norm
        if self.loss is None:
            self.loss = loss
        return loss, grad.astype(np.float64)

    def _loss(self, model: ScoreModel) -> LossGrad:
        problem = self.run.problem
        return problem.rows.evaluate(problem.objective, model, self.entropy)

    def after_iteration(self, theta: Array) -> None:
        """Take the iterate that was accepted as a step; SciPy calls back right after evaluating it."""
        run, (loss, norm), before = self.run, self.last, self.loss
        theta = theta.astype(run.problem.model.dtype)
        if np.array_equal(theta, run.state.theta):
            raise _Stop("line search")
        state = run.state._replace(step=run.state.step + 1, theta=theta, average=theta)
        run.take(state, loss, norm, float("nan"))  # L-BFGS has no learning rate
        self.loss = loss
        reason = run.reason_to_stop()
        if reason is None and before - loss <= self.tolerance * max(abs(before), abs(loss)):
            reason = "converged"
        if reason is not None:
            raise _Stop(reason)
