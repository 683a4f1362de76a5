"""Adam over shuffled minibatches, as a pure step from one state to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import as_choice, as_count, as_number, as_positive, as_shaped
from ..models.base import Array
from .generators import jsonable, restore
from .optimizers import Moments, adam_init, adam_step, clip_by_norm, ema_update, learning_rate_at
from .run import Diverged, Optimizer, Problem, Run

SCHEDULES = ("cosine", "constant")


class Memory(NamedTuple):
    """What Adam remembers beside θ: moments, the epoch's permutation and how far it is used up, the generator."""

    moments: Moments
    order: Array
    cursor: int
    rng: dict[str, Any]


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam over minibatches: ``fit(…, optimizer=Adam(learning_rate=1e-3))``.

    ``learning_rate`` under a "cosine" or "constant" ``schedule`` (9.9), gradients cut to the norm ``clip_norm``,
    ``weight_decay`` decoupled from the gradient (9.8), and the ``ema`` decay of the averaged weights (9.10), which
    are then what is judged and returned. Raises ValueError or TypeError naming the field.
    Source: Kingma and Ba 2015; Loshchilov and Hutter 2017, 2019.
    """

    minibatches = True

    learning_rate: float = 3e-3
    schedule: str = "cosine"
    clip_norm: Optional[float] = None
    weight_decay: float = 0.0
    ema: Optional[float] = None

    def __post_init__(self) -> None:
        as_choice(self.schedule, "schedule", SCHEDULES)
        self._convert("learning_rate", as_positive)
        self._convert("weight_decay", as_number, at_least=0.0)
        if self.clip_norm is not None:
            self._convert("clip_norm", as_positive)
        if self.ema is not None:
            self._convert("ema", as_number, above=0.0, below=1.0)

    def _convert(self, name: str, check: Callable[..., float], **bounds: float) -> None:
        """Turn a field into Python's own number, which has no floating type to impose on a float32 model."""
        object.__setattr__(self, name, check(getattr(self, name), name, **bounds))

    def first_memory(self, problem: Problem, rng: np.random.Generator) -> Memory:
        """Moments of zero and the first epoch's permutation."""
        order = rng.permutation(len(problem.rows.shards[0].x))
        return Memory(adam_init(problem.model.theta), order, 0, rng.bit_generator.state)

    def minimise(self, run: Run) -> str:
        """Steps until they, the patience or the callback end it."""
        while (reason := run.reason_to_stop()) is None:
            self._step(run)
        return reason

    def _step(self, run: Run) -> None:
        """One gradient step; raises Diverged where loss, gradient or the new parameters are not finite."""
        problem, state, rng = run.problem, run.state, run.rng
        x, cond, order, cursor = next_batch(problem, state.memory, rng)
        draw = problem.objective.draw(x, rng)
        loss_of = partial(problem.objective.loss, x=x, draw=draw, cond=cond)
        loss, grad, norm = run.evaluate(loss_of, state.theta)
        if self.clip_norm is not None:
            grad = clip_by_norm(grad, self.clip_norm)
        step = state.step + 1
        rate = learning_rate_at(state.step, problem.steps, self.learning_rate, self.schedule)
        theta, moments = adam_step(
            state.memory.moments, state.theta, grad, rate, weight_decay=self.weight_decay
        )
        if not np.isfinite(theta).all():
            raise Diverged(step, "the parameters overflowed")
        average = theta if self.ema is None else ema_update(state.average, theta, self.ema, step)
        memory = Memory(moments, order, cursor, rng.bit_generator.state)
        run.take(state._replace(step=step, theta=theta, average=average, memory=memory), loss, norm, rate)

    def packed(self, memory: Memory) -> tuple[dict[str, Any], dict[str, Array]]:
        """For a checkpoint."""
        header = {"cursor": memory.cursor, "rng": jsonable(memory.rng)}
        return header, {"order": memory.order, "adam_m": memory.moments.m, "adam_v": memory.moments.v}

    def unpacked(self, header: Mapping[str, Any], arrays: Mapping[str, Array], run: Run) -> Memory:
        """From a checkpoint, whose history says the number of steps; the run's generator is put where it was."""
        theta, n = run.problem.model.theta, run.problem.rows.n
        m, v = (
            as_shaped(arrays[name], name, theta.shape).astype(theta.dtype) for name in ("adam_m", "adam_v")
        )
        order, cursor = arrays["order"], as_count(header["cursor"], "cursor", minimum=0)
        if order.dtype.kind != "i" or not np.array_equal(np.sort(order), np.arange(n)):
            raise ValueError(f"order must be a permutation of {n} rows")
        if (v < 0).any() or cursor > n:
            raise ValueError("adam_v must be >= 0 and cursor at most the number of rows")
        restore(run.rng, header["rng"])
        t = len(arrays["history_step"])
        return Memory(Moments(t, m, v), order, cursor, run.rng.bit_generator.state)


def next_batch(
    problem: Problem, memory: Memory, rng: np.random.Generator
) -> tuple[Array, Optional[Array], Array, int]:
    """The next rows of the epoch with fresh noise, and their conditions; shuffled anew when too few are left."""
    order, cursor = memory.order, memory.cursor
    n = len(order)
    size = min(problem.batch_size, n)
    if cursor + size > n:
        order, cursor = rng.permutation(n), 0
    x, cond = problem.rows.batch(order[cursor : cursor + size], rng)
    return x, cond, order, cursor + size
