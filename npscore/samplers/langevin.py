"""Unadjusted Langevin: the bare update, and a run of it over all chains at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.blas import one_blas_thread
from .._run.borders import (
    Array,
    as_batch,
    as_callable,
    as_count,
    as_positive,
    as_rng,
    as_shaped,
    draw_entropy,
)
from .._run.executors import as_executor, submit_all
from .._run.progress import Progress
from ._blocks import Job, Plan, States, Walk, coefficients, empty_states, make_jobs, make_walks, run_job
from ._chains import (
    Callback,
    Score,
    Setting,
    checked_setting,
    optional_callback,
    optional_progress,
    read_only,
    states_from,
)

LOOK_EVERY = 64  # steps of all blocks between two looks at what has diverged and at the progress line


class LangevinResult(NamedTuple):
    """What ``langevin`` returns."""

    x: Array  # (n, d) states after the last step; NaN rows where diverged
    trajectory: Optional[Array]  # (k, n, d) recorded states, or None
    diverged: Array  # (n,) bool
    n_diverged: int
    n_steps: int  # steps taken: as asked, or fewer where every chain has diverged


def langevin_step(score: Score, x: Any, step: float, z: Any) -> Array:
    """One step of the unadjusted Langevin algorithm: x + α s(x) + √(2α) z.

    ``x``, ``z`` and the result are (n, d), ``step`` is α > 0, ``score`` any callable (n, d) -> (n, d) giving
    s = +∇log p. With z ~ N(0, I) this is the Euler-Maruyama step of dx = s(x) dt + √2 dW: the noise carries
    √(2α) and the drift a full α, not α/2. The result has the floating type of x; complex x passes, so that
    the derivative I + α J(x) of the step can be had by complex step.

    Raises TypeError or ValueError for a wrong argument and for a score of wrong shape or not finite.
    Source: Roberts & Tweedie (1996), "Exponential convergence of Langevin distributions and their discrete
    approximations", Bernoulli 2(4), the "ULA" with h = 2α.
    """
    x = as_batch(x, allow_complex=True)
    is_complex = x.dtype.kind == "c"
    step = as_positive(step, "step")
    z = as_shaped(z, "z", x.shape, allow_complex=is_complex).astype(x.dtype, copy=False)  # (n, d)
    s = as_callable(score, "score", "(n, d) -> (n, d)")(x)
    s = as_shaped(s, "score(x)", x.shape, allow_complex=is_complex).astype(x.dtype, copy=False)  # (n, d)
    alpha, sqrt_2_alpha = coefficients(step, x.dtype)
    return x + alpha * s + sqrt_2_alpha * z  # eq-1.3


def langevin(
    score: Score,
    x0: Any,
    step: float,
    n_steps: int,
    *,
    rng: Any = None,
    burn_in: int = 0,
    record_every: Optional[int] = None,
    on_divergence: str = "warn",
    bound: Optional[float] = None,
    callback: Optional[Callback] = None,
    progress: Optional[bool] = None,
    workers: int = 1,
    executor: Any = None,
) -> LangevinResult:
    """Runs ``langevin_step`` on every row of x0, a chain each, with independent z ~ N(0, I).

    x_t = x_{t-1} + α s(x_{t-1}) + √(2α) z_t for t = 1 … n_steps, bit for bit the iterated ``langevin_step``.
    ``x0`` is (n, d); its floating type (float32, float64, longdouble) is kept whatever the score returns.

    Blocks: chains are walked through in blocks of at most 4,096 rows, fewer for d > 16, each with a random
    stream of its own: ``samplers.langevin_blocks(n, d, rng=rng)`` gives both, and says how. Step t takes the next
    ``block.noise(dtype)`` of each, whatever is recorded, reported or has diverged. A Generator given as ``rng``
    moves on by four 32-bit words a run.

    ``score`` is called on the (b, d) rows of a block and must treat each row by itself; one that looks
    across rows (batch statistics, interacting particles) needs ``langevin_step`` in a loop. It gets a scratch
    array that is overwritten once it has returned: it must copy what it wants to keep. The score of
    a model or target of npscore's is not asked to check its rows anew, and its overflow is told as divergence.

    ``workers=k`` takes the blocks in k threads, and ``executor`` (as in ``concurrent.futures``: a process pool,
    Dask's ``client.get_executor()``, mpi4py's ``MPIPoolExecutor``) sends them away in at most 1,024 jobs; the
    numbers are those of a plain run. In threads the score must be thread-safe (npscore's are); for other
    processes it must be picklable. With threadpoolctl installed BLAS keeps to one thread during a run, here and
    there, so that bits do not depend on its number of threads, as those of matrix products do.

    Recording: with ``record_every=k`` the trajectory holds the states after steps burn_in + k, burn_in + 2k,
    … ≤ n_steps. ``burn_in`` counts steps out of n_steps, so it never changes the final state; without
    ``record_every`` only that state is kept.

    Divergence: a chain whose state is not finite or leaves max|x| ≤ ``bound`` (default 1e6 (1 + max|x0|))
    stops there. Its row is NaN from that step on, in ``x`` and in the trajectory; the mask and count are in
    the result; the score goes on seeing full finite blocks, with that chain back at its start.
    ``on_divergence``: "warn" gives one RuntimeWarning at the end of the run, "raise" a ``DivergenceError``
    naming the first such step (within 64 steps of it, or of a job's end), "ignore" leaves it at the mask. A
    block ends early only if none of its chains is left.

    ``callback(t, x)`` is called after each step with a read-only view of all chains, which the next step
    overwrites; not with ``executor``. ``progress``: a status line; None means on a terminal only.

    Raises TypeError or ValueError for a wrong argument or a score of wrong shape or type, and what the score
    raises, wherever it ran, as it is.
    Source: as ``langevin_step``.
    """
    rng, callback, progress = as_rng(rng), optional_callback(callback), optional_progress(progress)
    run = checked_setting("langevin", score, x0, step, n_steps, bound, on_divergence)
    recorded = _recorded_steps(run.n_steps, burn_in, record_every)
    workers, executor = _engine(workers, executor, callback)
    plan = Plan(run.score, run.step, run.n_steps, run.bound, recorded, on_divergence == "raise", np.geterr())
    states, words = empty_states(states_from(run.x0), plan), draw_entropy(rng)
    with Progress("langevin", run.n_steps, enabled=progress) as line:
        if executor is None:
            _run_here(run, make_jobs(plan, run.x0, words, 1)[0], states, workers, callback, line)
        else:
            _run_there(run, make_jobs(plan, run.x0, words), states, executor, line)
    x, gone, trajectory = states
    run.report(gone)
    taken = int(gone.max()) if gone.all() else run.n_steps
    diverged = gone > 0
    return LangevinResult(
        x, None if record_every is None else trajectory, diverged, int(np.count_nonzero(diverged)), taken
    )


def _run_here(
    run: Setting, job: Job, states: States, workers: int, callback: Optional[Callback], line: Progress
) -> None:
    """All blocks, some steps at a time where somebody looks on, in this thread or in a pool of our own."""
    walks = list(make_walks(job, states))
    at_once = 1 if callback else LOOK_EVERY if line.enabled or job.plan.stop_at_divergence else run.n_steps
    with one_blas_thread(), _threads(min(workers, len(walks))) as pool, _ended_together(walks):
        for t in (*range(at_once, run.n_steps, at_once), run.n_steps):
            for _ in submit_all(pool, lambda walk, t=t: _advance(walk, t, walks), walks):
                pass
            run.check(states.gone)
            all_gone = bool(states.gone.all())
            t = min(t, int(states.gone.max())) if all_gone else t
            if callback is not None:
                callback(t, read_only(states.x))
            line.update(t, _lost(states))
            if all_gone:
                break


def _advance(walk: Walk, t: int, walks: list[Walk]) -> None:
    with _ended_together(walks):
        walk.advance(t)


@contextlib.contextmanager
def _ended_together(walks: list[Walk]) -> Iterator[None]:
    """An error or Ctrl-C in here ends, at its next step, what other threads still run."""
    try:
        yield
    except BaseException:
        for walk in walks:
            walk.stopped = True
        raise


def _run_there(run: Setting, jobs: list[Job], states: States, executor: Any, line: Progress) -> None:
    """Whole runs of groups of blocks, gathered in order."""
    names = [f"langevin: chains {job.span.start} to {job.span.stop - 1}" for job in jobs]
    results = submit_all(executor, run_job, jobs, names=names, sent={"score": run.score})
    for job, result in zip(jobs, results):
        for whole, part in zip(states.part(job.span), result):
            whole[...] = part
        line.update(run.n_steps * job.span.stop // len(states.x), _lost(states))
    run.check(states.gone)


def _lost(states: States) -> str:
    n_diverged = np.count_nonzero(states.gone)
    return f"{n_diverged:,} diverged" if n_diverged else ""


def _threads(workers: int) -> Any:
    return ThreadPoolExecutor(workers, "langevin") if workers > 1 else contextlib.nullcontext()


def _engine(workers: Any, executor: Any, callback: Optional[Callback]) -> tuple[int, Any]:
    """How many threads of our own, or whose executor."""
    workers, executor = as_count(workers, "workers"), as_executor(executor)
    if executor is not None and workers != 1:
        raise ValueError(f"workers must be 1 where an executor is given, which has its own, got {workers}")
    if executor is not None and callback is not None:
        raise ValueError(
            "callback must be None with an executor: its jobs take all their steps elsewhere, one after another; "
            "use record_every, or workers"
        )
    return workers, executor


def _recorded_steps(n_steps: int, burn_in: Any, record_every: Any) -> range:
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
