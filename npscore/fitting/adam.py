"""The minibatch loop: Adam over shuffled epochs, as a pure step from one state to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import numpy as np

from .._run.progress import Progress
from .optimizers import adam_step, clip_by_norm, ema_update
from .problem import Callback, Diverged, Problem, State, evaluate, out_of_patience, to_result, validate
from .result import FitResult, NonFiniteLossError, Recorder

Array = np.ndarray


def next_batch(problem: Problem, state: State, rng: np.random.Generator) -> tuple[Array, Array, int]:
    """The next rows of the epoch, perturbed; a fresh shuffle when fewer than a batch are left."""
    n, size = len(problem.train), min(problem.settings.batch_size, len(problem.train))
    order, cursor = state.order, state.cursor
    if cursor + size > n:
        order, cursor = rng.permutation(n), 0
    rows = order[cursor : cursor + size]
    return problem.perturb(problem.train[rows], rng), order, cursor + size


def train_step(problem: Problem, state: State, rng: np.random.Generator, record: Recorder) -> State:
    """One gradient step; raises Diverged where loss, gradient or the new parameters are not finite."""
    settings, step = problem.settings, state.step + 1
    batch, order, cursor = next_batch(problem, state, rng)
    loss, grad, norm = evaluate(problem, state.theta, batch, rng, step)
    if settings.clip_norm is not None:
        grad = clip_by_norm(grad, settings.clip_norm)
    rate = settings.rate(state.step)
    theta, adam = adam_step(state.adam, state.theta, grad, rate, weight_decay=settings.weight_decay)
    if not np.isfinite(theta).all():
        raise Diverged(step, "the parameters overflowed")
    average = theta if settings.ema is None else ema_update(state.average, theta, settings.ema, step)
    record.step(step, loss, norm, rate)
    return state._replace(
        step=step,
        theta=theta,
        adam=adam,
        average=average,
        order=order,
        cursor=cursor,
        rng=rng.bit_generator.state,
    )


def run_adam(
    problem: Problem,
    state: State,
    record: Recorder,
    rng: np.random.Generator,
    *,
    callback: Callback,
    save: Callable[[State, Recorder], None],
    save_every: int,
    progress: Optional[bool],
) -> FitResult:
    """Step until the steps, the patience or the person run out; ``save`` is called every ``save_every`` steps.

    ``rng`` stands where ``state.rng`` says.
    """
    stopped = "steps"
    try:
        with Progress("fit", problem.settings.steps, enabled=progress) as line, np.errstate(all="ignore"):
            if state.looks == 0:
                state = validate(problem, state, record)
            while state.step < problem.settings.steps:
                if out_of_patience(problem, state):
                    stopped = "patience"
                    break
                state = validate(problem, train_step(problem, state, rng, record), record)
                if line.enabled:
                    line.update(state.step, _remark(record))
                if state.step % save_every == 0:
                    save(state, record)
                if callback is not None and callback(
                    state.step, record.last_loss, problem.model.with_theta(state.theta)
                ):
                    stopped = "callback"
                    break
    except KeyboardInterrupt:
        stopped = "interrupted"
    except Diverged as error:
        raise NonFiniteLossError(*error.args, to_result(problem, state, record, "not finite")) from None
    save(state, record)
    return to_result(problem, state, record, stopped)


def _remark(record: Recorder) -> str:
    held_out = record.last_validation_loss
    remark = f"loss {record.last_loss:.4f}"
    return remark if held_out is None else f"{remark}  held-out ISM {held_out:.4f}"
