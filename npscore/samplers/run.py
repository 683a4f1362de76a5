"""The runner: it walks any `Step` over chains, in blocks that own their random streams, and watches for divergence.

A chain diverges when its state stops being finite or leaves the box max|x| <= bound. What is returned, recorded and
shown to a callback is NaN in its row from that step on. In the state that the step goes on moving, a diverged chain
is put back to its start after every step: blocks keep their shape, the score sees finite states, and a chain that has
diverged cannot disturb the others.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter, itemgetter
from typing import Any, Optional

import numpy as np

from .._run.blas import one_blas_thread
from .._run.borders import (
    Array,
    as_batch,
    as_callable,
    as_choice,
    as_count,
    as_flag,
    as_number,
    as_rng,
    as_shaped,
    draw_entropy,
    past_border,
)
from .._run.memory import keep_freed_memory
from .._run.progress import Progress
from .blocks import Block, draw_steps, make_blocks
from .elsewhere import Job, advance_all, as_run_executor, walk_elsewhere
from .reports import Callback, Run, Walked, report
from .step import FAR, Reach, Step

ON_DIVERGENCE = ("warn", "raise", "ignore")
REPORT_EVERY = (
    64  # steps of all blocks between two reports of what has diverged, to the error and the status line
)
QUIET = {"over": "ignore", "under": "ignore", "invalid": "ignore"}  # in a step: `Chains` finds what diverged
LARGEST = float(np.finfo(np.float64).max)


def walk(
    step: Step,
    x0: Any,
    n_steps: Any,
    *,
    carried: tuple[Array, ...] = (),
    rng: Any = None,
    burn_in: Any = 0,
    record_every: Any = None,
    on_divergence: Any = "warn",
    bound: Any = None,
    callback: Any = None,
    progress: Any = None,
    workers: Any = 1,
    executor: Any = None,
) -> Walked:
    """Take ``n_steps`` steps with every row of x0, a chain each. The options are those of ``langevin``, checked here.

    ``carried`` are clean arrays with the chains along their first axis, which ``step.start`` gets beside x. A
    sampler's public function calls this directly: the warning of divergence points at that function's caller.
    """
    rng, x0, n_steps = as_rng(rng), as_batch(x0, "x0"), as_count(n_steps, "n_steps")
    recorded, workers = recorded_steps(n_steps, burn_in, record_every), as_count(workers, "workers")
    as_choice(on_divergence, "on_divergence", ON_DIVERGENCE)
    callback = None if callback is None else as_callable(callback, "callback", "(step number, x)")
    progress = None if progress is None else as_flag(progress, "progress")
    executor = None if executor is None else as_run_executor(executor, workers, callback)
    stops, box = on_divergence == "raise", box_around(x0, bound)
    run = Run(step, n_steps, recorded, box, bound is None, stops, np.geterr())
    start, blocks = (x0, *carried), make_blocks(*x0.shape, draw_entropy(rng), step.one_block)
    with Progress(step.name.replace("_", " "), n_steps, enabled=progress) as line:
        if executor is None:
            walked = walk_blocks(run, start, blocks, callback, line, workers)
        else:
            walked = walk_elsewhere(run_job, run, start, blocks, executor, line)
    if on_divergence != "ignore" and walked.diverged_at.any():
        run.check(walked.diverged_at)
        warnings.warn(run.message(walked.diverged_at) + "; their rows are NaN", RuntimeWarning, stacklevel=3)
    return walked


def recorded_steps(n_steps: int, burn_in: Any, record_every: Any) -> range:
    """The step numbers whose states are kept: burn_in + k, burn_in + 2k, … ≤ n_steps."""
    burn_in = as_count(burn_in, "burn_in", minimum=0)
    if burn_in >= n_steps:
        raise ValueError(f"burn_in must be < n_steps = {n_steps}, of which it is a part, got {burn_in}")
    if record_every is None:
        return range(0)
    every = as_count(record_every, "record_every")
    if every > n_steps - burn_in:
        raise ValueError(f"record_every must be <= n_steps - burn_in = {n_steps - burn_in}, got {every}")
    return range(burn_in + every, n_steps + 1, every)


def box_around(x0: Array, bound: Any) -> float:
    """The bound on max|x|: as given, or 10⁶ (1 + max|x0|); within the range of x0's type."""
    largest = float(np.finfo(np.float32).max) if x0.dtype == np.float32 else LARGEST
    reach = float(np.abs(x0).max())
    if bound is None:
        return min(FAR * (1.0 + reach), largest)
    return min(as_number(bound, "bound", above=reach), largest)


def walk_blocks(
    run: Run,
    start: tuple[Array, ...],
    blocks: list[Block],
    callback: Optional[Callback] = None,
    line: Optional[Progress] = None,
    workers: int = 1,
) -> Walked:
    """Move blocks to the end in this thread, or in a pool of ``workers``; a few steps at a time where reported."""
    keep_freed_memory()
    n, d = start[0].shape
    x = np.array(start[0], start[0].dtype.newbyteorder("="), order="C")  # (n, d)
    trajectory = np.full((run.step.records, len(run.recorded), n, d), np.nan, x.dtype)
    walked = Walked((x,), trajectory, np.zeros(n, np.int64), np.zeros(n, bool), 0)
    reported = callback is not None or (line is not None and (line.enabled or run.stops))
    every = 1 if callback is not None else REPORT_EVERY if reported else run.n_steps
    workers = min(workers, len(blocks))
    with one_blas_thread(), ThreadPoolExecutor(workers) if workers > 1 else contextlib.nullcontext() as pool:
        moving = []
        for block in blocks:
            moving.append(Chains(run, block, start, walked))
        for t_end in (*range(every, run.n_steps, every), run.n_steps):
            if pool is not None:
                advance_all(pool, moving, t_end)
            else:
                for chains in moving:
                    chains.advance(t_end)
            walked = walked._replace(n_steps=max(map(attrgetter("t"), moving)))
            if reported:
                report(run, walked, callback, line)
            if all(map(attrgetter("stopped"), moving)):
                break
    walked = walked._replace(state=(x, *map(np.concatenate, zip(*map(attrgetter("carried"), moving)))))
    for array in walked.state:
        if array.dtype.kind == "f":
            array[walked.diverged_at > 0] = np.nan
    return walked


def run_job(job: Job) -> Walked:
    """The blocks of a job, in this thread."""
    return walk_blocks(job.run, job.start, job.blocks)


class Chains:
    """A block of chains on its way: their state, which is moved in place, and which of them have diverged.

    ``t`` is the number of steps taken. ``stopped`` is set where no step is left to take, and may be set by other
    threads, to be seen at the next step.
    """

    def __init__(self, run: Run, block: Block, start: tuple[Array, ...], walked: Walked):
        rows = block.rows
        x, self.trajectory = walked.state[0][rows], walked.trajectory[:, :, rows]
        self.diverged_at, self.converged = walked.diverged_at[rows], walked.converged[rows]
        self.run, self.rng, self.t, self.stopped = run, block.rng, 0, False
        self.start = list(map(itemgetter(rows), start))  # what a diverged chain is put back to
        with np.errstate(**run.floating_point_errors):
            self.state = run.step.start(x, *map(np.array, self.start[1:]))
        self.carried = self.state[1:]
        self.start.extend(map(np.array, self.state[len(start) :]))
        self._flat = x.reshape(-1)  # (b d,)
        self._lost = np.flatnonzero(self.diverged_at)  # rows
        self._bound: Any = run.bound  # for all chains, or (b,)
        self._safe = min(0.5 * run.bound * run.bound, LARGEST)

    def advance(self, t_end: int) -> None:
        """Take the steps up to number ``t_end``, or fewer where the block has stopped."""
        run, step = self.run, self.run.step
        with np.errstate(**run.floating_point_errors):
            move, reach, converged = step.motion(*self.state)
        with np.errstate(**{**run.floating_point_errors, **QUIET}):
            if converged is not None and self.t == 0:
                self._note_converged(converged())
            for noise in draw_steps(self.rng, self.state[0], step.normals, step.uniforms, t_end - self.t):
                if self.stopped:
                    return
                self.t += 1
                move(self.t, *noise)
                self._watch(reach)
                if converged is not None:
                    self._note_converged(converged())
        self.stopped |= self.t == run.n_steps

    def _watch(self, reach: Reach) -> None:
        """After a step: set aside the chains that diverged in it, and record the others."""
        if self._lost.size:
            self._put_back()
        # One product over the block: x·x <= bound²/2 keeps every |x| below the bound, and a NaN fails it.
        # Single entries are looked at only where this fails.
        if not float(self._flat.dot(self._flat)) <= self._safe:
            self._find_diverged(reach)
        if self.t in self.run.recorded:
            k = self.run.recorded.index(self.t)
            for kept, array in zip(self.trajectory[:, k], self.state):
                kept[...] = array
                kept[self._lost] = np.nan

    def _find_diverged(self, reach: Reach) -> None:
        if self.run.widens and self._bound is self.run.bound:
            self._widen(reach)
        bad = ~(np.abs(self.state[0]).max(axis=1) <= self._bound)  # (b,)
        if bad.any():
            self.diverged_at[bad] = self.t
            self._lost = np.flatnonzero(self.diverged_at)
            self._put_back()
            self.stopped |= self.run.stops or self._lost.size == len(bad)

    def _put_back(self) -> None:
        for array, start in zip(self.state, self.start):
            array[self._lost] = start[self._lost]

    def _note_converged(self, converged: Array) -> None:
        diverged = self.diverged_at > 0  # (b,)
        self.converged[...] = converged & ~diverged
        self.stopped |= bool((self.converged | diverged).all())

    def _widen(self, reach: Reach) -> None:
        """The first time that a chain is beyond the default bound: give each as much room as a stable run may take."""
        x, room = self.state[0], np.zeros(len(self.state[0]))
        if reach is not None:
            room = reach(self.start[0].astype(x.dtype, order="C"), self.run.n_steps)
        self._bound = np.fmin(
            np.fmax(room, self.run.bound), float(np.finfo(x.dtype).max)
        )  # (b,); NaN is no room
        least = float(self._bound.min())
        self._safe = min(0.5 * least * least, LARGEST)


def evaluator(
    function: Callable[[Array], Any],
    x: Array,
    name: str = "score(x)",
    shape: Optional[tuple[int, ...]] = None,
) -> Callable[[Array], Array]:
    """A user's function as a step calls it, at clean states of x's shape (b, d).

    What it returns has the given shape, or else x's, and x's type; it is only to be read, and only until the next
    call. The score of a model or target of npscore's sees the working array, past its border. Anything from outside
    sees a private copy, which it may write to, under the floating-point settings in force where this was called.
    """
    inner, shape, settings = past_border(function, x.shape[1]), shape or x.shape, np.geterr()
    allow_complex = x.dtype.kind == "c"
    ours = inner is not None and type(function.__self__).__module__.startswith("npscore.")
    copy = None if ours else np.empty_like(x)

    def evaluate(y: Array) -> Array:
        if ours:
            values = inner(y)
        else:
            np.copyto(copy, y)
            with np.errstate(**settings):
                values = function(copy)
        if type(values) is np.ndarray and values.dtype == x.dtype and values.shape == shape:
            return values
        values = as_shaped(values, name, shape, allow_complex=allow_complex, finite=False)
        return values.astype(x.dtype, copy=False)

    return evaluate
