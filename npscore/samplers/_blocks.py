"""Langevin in blocks of chains: a block fits the cache, owns its random stream, and can be run anywhere.

Which rows a block holds depends on the shape of x0 alone, and its noise on its own stream alone. So a run is the
same, bit for bit, whether its blocks are taken one after another, by threads, or by processes on other machines of
the same kind (another CPU or another BLAS rounds differently).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .._run.blas import one_blas_thread
from .._run.borders import Array, past_border
from ._chains import Chains, Score, states_from
from ._noise import Block, block_rows, fill_standard_normal, make_block

# Numbers drawn at a time where a step of a block takes fewer. Threads hand Python's lock over at every call of NumPy,
# so that calls should be long: measured, 2**18 is as fast as 2**14 on one core or faster, and by a fifth with threads.
NOISE_AHEAD = 2**18

QUIET = {"over": "ignore", "under": "ignore", "invalid": "ignore"}  # in a step: `Chains` tells what diverged

# A job is a run of neighbouring blocks. One each, until there are this many: a thousand workers are busy, and
# the engine's own cost per job (a millisecond) and the score, sent with each, stay small beside the work.
MOST_JOBS = 1024


class Plan(NamedTuple):
    """What all blocks of a run are told."""

    score: Score
    step: float
    n_steps: int
    bound: float
    recorded: range  # step numbers
    stop_at_divergence: bool
    floating_point_errors: dict[str, str]  # numpy.geterr() of the caller, for the score


def inner_score(plan: Plan, d: int) -> Score:
    """The score as a step calls it: npscore's own past its border, another under the caller's settings for errors.

    A step of a small block takes 15 µs, and a fifth of that went into looking at rows that are clean.
    """
    if (inner := past_border(plan.score, d)) is not None:
        return inner

    def score(x: Array) -> Any:
        with np.errstate(**plan.floating_point_errors):
            return plan.score(x)

    return score


class States(NamedTuple):
    """What a run fills in: its own or a job's rows."""

    x: Array  # (n, d)
    gone: Array  # (n,) step at which a chain diverged, or 0
    trajectory: Array  # (k, n, d)

    def part(self, rows: slice) -> States:
        """Views of some rows."""
        return States(self.x[rows], self.gone[rows], self.trajectory[:, rows])


def empty_states(x: Array, plan: Plan) -> States:
    """Nobody gone and nothing recorded at x, which is moved in place."""
    trajectory = np.full((len(plan.recorded), *x.shape), np.nan, x.dtype)  # (k, n, d)
    return States(x, np.zeros(len(x), dtype=np.int64), trajectory)


class Walk:
    """A block on its way: its states, moved in place, its stream, and the number of steps taken."""

    def __init__(self, plan: Plan, start: Array, states: States, block: Block):
        self.plan, self.start, self.states, self.rng = plan, start, states, block.rng
        self.alpha, self.sqrt_2_alpha = coefficients(plan.step, states.x.dtype)
        self.t = 0
        self.stopped = False  # also set from outside, to be seen at the next step

    def advance(self, t_end: int) -> None:
        """Take the steps up to number ``t_end``, or fewer where all chains, or one that must not, diverge."""
        plan, (x, gone, trajectory) = self.plan, self.states
        with np.errstate(**{**plan.floating_point_errors, **QUIET}):
            chains = Chains(inner_score(plan, x.shape[1]), self.start, x, gone, plan.bound)
            for z in self._noise(t_end):  # (b, d)
                if self.stopped:
                    return
                self.t += 1
                self._step(chains, z)
                if self.t in plan.recorded:
                    trajectory[plan.recorded.index(self.t)] = x

    def _step(self, chains: Chains, z: Array) -> None:
        """x + α s + √(2α) z in place, ``z`` scaled already; the score's type is cast to the chains' first."""
        x, s = chains.x, chains.score()  # (b, d) each
        np.multiply(s, self.alpha, out=chains.scratch, dtype=x.dtype, casting="same_kind")
        x += chains.scratch
        x += z  # eq-1.3
        if chains.watch(self.t):
            self.stopped = self.plan.stop_at_divergence or chains.n_diverged == len(x)

    def _noise(self, t_end: int) -> Iterator[Array]:
        """√(2α) z for every step up to t_end, drawn some steps ahead."""
        x = self.states.x
        ahead = max(1, NOISE_AHEAD // x.size)
        z = np.empty((min(ahead, t_end - self.t), *x.shape), x.dtype)  # (ahead, b, d)
        for t in range(self.t, t_end, ahead):
            some = z[: t_end - t]
            fill_standard_normal(self.rng, some)
            some *= self.sqrt_2_alpha
            yield from some


def coefficients(step: float, dtype: np.dtype) -> tuple[np.floating, np.floating]:
    """α and √(2α) in the working precision."""
    real = np.empty(0, dtype).real.dtype.type
    return real(step), np.sqrt(real(2.0 * step))


class Job(NamedTuple):
    """Neighbouring blocks to be run elsewhere; all of it can be pickled if the score can."""

    plan: Plan
    x0: Array  # (m, d), the rows of its blocks
    rows: list[slice]  # of the whole run
    words: tuple[int, ...]
    first: int  # number of its first block

    @property
    def span(self) -> slice:
        """All its rows."""
        return slice(self.rows[0].start, self.rows[-1].stop)


def make_jobs(plan: Plan, x0: Array, words: tuple[int, ...], most: int = MOST_JOBS) -> list[Job]:
    """The blocks of a run in at most ``most`` groups of neighbours, as even as whole blocks allow."""
    rows = block_rows(*x0.shape)
    k = min(len(rows), most)
    cuts = [i * len(rows) // k for i in range(k + 1)]
    groups = [(first, rows[first:stop]) for first, stop in zip(cuts, cuts[1:])]
    return [Job(plan, x0[group[0].start : group[-1].stop], group, words, first) for first, group in groups]


def run_job(job: Job) -> States:
    """The states after all steps, of the job's rows."""
    states = empty_states(states_from(job.x0), job.plan)
    with one_blas_thread():
        for walk in make_walks(job, states):
            walk.advance(job.plan.n_steps)
    return states


def make_walks(job: Job, states: States) -> Iterator[Walk]:
    """The blocks of a job, at the start of their walks."""
    offset = job.span.start
    for i, rows in enumerate(job.rows, start=job.first):
        own = slice(rows.start - offset, rows.stop - offset)
        block = make_block(rows, job.x0.shape[1], job.words, i)
        yield Walk(job.plan, job.x0[own], states.part(own), block)
