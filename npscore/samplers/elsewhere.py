"""Blocks of chains in threads of our own or on the caller's executor: jobs sent and gathered in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array
from .._run.executors import as_executor, submit_all
from .._run.progress import Progress
from .blocks import Block
from .reports import Run, Walked

# A job is one block, or several neighbours where there are more blocks than this. So many jobs keep a thousand workers
# busy, and what an executor adds to each, about a millisecond and sending the score, stays small beside the work.
MOST_JOBS = 1024


class Job(NamedTuple):
    """Neighbouring blocks to be walked elsewhere; all of it can be pickled if the run's step can."""

    run: Run
    rows: slice  # of the whole run
    start: tuple[Array, ...]  # these rows of x0 and of what is carried beside it
    blocks: list[Block]  # their rows counted from the job's first


def as_run_executor(executor: Any, workers: int, callback: Optional[Callable[..., Any]]) -> Any:
    """An executor that is not asked for what only this process can do."""
    executor = as_executor(executor)
    if workers != 1:
        raise ValueError(f"workers must be 1 where an executor is given, which has its own, got {workers}")
    if callback is not None:
        raise ValueError(
            "callback must be None with an executor: its jobs take all their steps elsewhere, one after another; "
            "use record_every, or workers"
        )
    return executor


def advance_all(pool: Executor, moving: list[Any], t_end: int) -> None:
    """Move all blocks up to a step in the threads of a pool; an error or Ctrl-C stops the others at their next step."""

    def advance(chains: Any) -> None:
        try:
            chains.advance(t_end)
        except BaseException:
            stop_all()
            raise

    def stop_all() -> None:
        for chains in moving:
            chains.stopped = True

    try:
        for _ in submit_all(pool, advance, moving):
            pass
    except BaseException:
        stop_all()
        raise


def walk_elsewhere(
    walk_job: Callable[[Job], Walked],
    run: Run,
    start: tuple[Array, ...],
    blocks: list[Block],
    executor: Any,
    line: Progress,
) -> Walked:
    """What ``walk_job`` makes of each job, wherever the executor runs it, put together again."""
    n, jobs = len(start[0]), make_jobs(run, start, blocks)
    names = [f"{run.step.name}: chains {job.rows.start} to {job.rows.stop - 1}" for job in jobs]
    results = submit_all(executor, walk_job, jobs, names=names, sent=vars(run.step))
    whole = None
    for job, part in zip(jobs, results):
        whole = _room_for(n, part) if whole is None else whole
        for all_rows, rows in zip(_by_chain(whole), _by_chain(part)):
            all_rows[job.rows] = rows
        whole = whole._replace(n_steps=max(whole.n_steps, part.n_steps))
        n_diverged = np.count_nonzero(whole.diverged_at)
        text = f"{n_diverged:,} diverged" if n_diverged else ""
        line.update(run.n_steps * job.rows.stop // n, text)
    return whole


def make_jobs(run: Run, start: tuple[Array, ...], blocks: list[Block], most: int = MOST_JOBS) -> list[Job]:
    """The blocks of a run in at most ``most`` groups of neighbours, as even as whole blocks allow."""
    k = min(len(blocks), most)
    cuts = [i * len(blocks) // k for i in range(k + 1)]
    return [_make_job(run, start, blocks[i:j]) for i, j in zip(cuts, cuts[1:])]


def _make_job(run: Run, start: tuple[Array, ...], blocks: list[Block]) -> Job:
    first, rows = blocks[0].rows.start, slice(blocks[0].rows.start, blocks[-1].rows.stop)
    moved = [replace(b, rows=slice(b.rows.start - first, b.rows.stop - first)) for b in blocks]
    return Job(run, rows, tuple(array[rows] for array in start), moved)


def _room_for(n: int, part: Walked) -> Walked:
    """Empty arrays for all n chains, otherwise as in this part of a run."""
    records, k, _, d = part.trajectory.shape
    state = tuple(np.empty((n, *array.shape[1:]), array.dtype) for array in part.state)
    trajectory = np.empty((records, k, n, d), part.trajectory.dtype)
    return Walked(state, trajectory, np.zeros(n, np.int64), np.zeros(n, bool), 0)


def _by_chain(walked: Walked) -> tuple[Array, ...]:
    """Views of all arrays with the chains along the first axis."""
    return (*walked.state, np.moveaxis(walked.trajectory, 2, 0), walked.diverged_at, walked.converged)
