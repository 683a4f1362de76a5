"""Runs of Metropolis steps over chains: MALA and Hamiltonian Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array, as_count, as_positive
from .metropolis import (
    Here,
    LogProb,
    as_log_prob,
    as_score,
    evaluators,
    leapfrog_size,
    metropolis,
    start_here,
    step_in,
)
from .reports import Callback
from .run import walk
from .step import Motion, Score, Step, stable_reach


class MetropolisResult(NamedTuple):
    """What ``mala`` and ``hmc`` return."""

    x: Array  # (n, d) states after the last step; NaN rows where diverged
    trajectory: Optional[Array]  # (k, n, d) recorded states, or None
    diverged: Array  # (n,) bool
    n_diverged: int
    n_steps: int  # steps taken: as asked, or fewer where every chain has diverged
    acceptance: Array  # (n,) share of all steps, burn-in included, that were accepted; NaN where diverged


@dataclass(frozen=True)
class Metropolis(Step):
    """``hmc_step`` of size h in a run: the same mathematics, with log p and the score at x kept from step to step."""

    log_prob: LogProb
    score: Score
    step: float  # as the user gave it
    h: float
    n_leapfrog: int
    name: str

    uniforms = 1
    advice = (
        "no Metropolis step is unstable: the density may have no finite integral, or be wider than the bound "
        "(bound=)"
    )

    def start(self, x: Array) -> tuple[Array, ...]:
        """x, log p and score there, and how many proposals each chain has accepted."""
        here = start_here(*evaluators(self.log_prob, self.score, x), x, "x0")
        return (x, *here, np.zeros(len(x), np.int64))

    def motion(self, x: Array, log_p: Array, s: Array, n_accepted: Array) -> Motion:
        """x ← the proposal, where accepted."""
        log_prob, score = evaluators(self.log_prob, self.score, x)
        h = step_in(self.h, x.dtype, self.step)

        def move(t: int, z: Array, u: Array) -> None:
            moved = metropolis(log_prob, score, x, Here(log_p, s), h, self.n_leapfrog, z, u)
            x[...], log_p[...], s[...] = moved.x, *moved.here
            n_accepted[...] += moved.accepted

        def reach(x0: Array, n_steps: int) -> Array:
            length = self.n_leapfrog * h
            return stable_reach(0.5 * length * length * score(x0), length, n_steps)

        return Motion(move, reach)


def hmc(
    log_prob: LogProb,
    score: Score,
    x0: Any,
    step: float,
    n_leapfrog: int,
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
) -> MetropolisResult:
    """Runs ``hmc_step`` on every row of x0, a chain each, with fresh z ~ N(0, I) and uniform u: exact at any step size.

    ``x0`` is (n, d); ``step`` is h, the size of a leapfrog step, ``n_leapfrog`` how many of them make a proposal,
    ``n_steps`` how many proposals. log_prob (up to a constant) and score are called once a leapfrog step and once a
    step, on the (b, d) rows of a block, under the rules of ``langevin``, whose options these are. Every step
    takes the next (b, d) normal numbers z of the block's stream, then u = 1 − ``Generator.random(b)``.

    A start where the density is 0, or its score not finite, is an error. A path that leaves the range of floats is a
    rejection. What can diverge is a chain on a "density" that has no finite integral: see ``bound`` in ``langevin``.

    Raises TypeError or ValueError for a wrong argument, ``DivergenceError`` if asked to, and what log_prob and score
    raise. ``tune_step`` finds a step size.
    Source: as ``hmc_step``.
    """
    step, n_leapfrog = as_positive(step, "step"), as_count(n_leapfrog, "n_leapfrog")
    walked = walk(
        Metropolis(as_log_prob(log_prob), as_score(score), step, step, n_leapfrog, "hmc"),
        x0,
        n_steps,
        rng=rng,
        burn_in=burn_in,
        record_every=record_every,
        on_divergence=on_divergence,
        bound=bound,
        callback=callback,
        progress=progress,
        workers=workers,
        executor=executor,
    )
    return _result(walked, record_every)


def mala(
    log_prob: LogProb,
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
) -> MetropolisResult:
    """Runs ``mala_step`` on every row of x0, a chain each: Langevin without its bias, exact at any step size.

    ``step`` is α, as in ``langevin``: the proposals are its steps. log_prob (up to a constant) and score are called
    once a step. Otherwise this is ``hmc`` with one leapfrog step of h = √(2α), options, noise and errors too.

    Raises TypeError or ValueError for a wrong argument, ``DivergenceError`` if asked to, and what log_prob and score
    raise. ``tune_step`` finds a step size.
    Source: as ``mala_step``.
    """
    step = as_positive(step, "step")
    walked = walk(
        Metropolis(as_log_prob(log_prob), as_score(score), step, leapfrog_size(step), 1, "mala"),
        x0,
        n_steps,
        rng=rng,
        burn_in=burn_in,
        record_every=record_every,
        on_divergence=on_divergence,
        bound=bound,
        callback=callback,
        progress=progress,
        workers=workers,
        executor=executor,
    )
    return _result(walked, record_every)


def _result(walked: Any, record_every: Any) -> MetropolisResult:
    trajectory = None if record_every is None else walked.trajectory[0]
    acceptance = np.where(walked.diverged, np.nan, walked.state[3] / walked.n_steps)
    n_diverged = int(np.count_nonzero(walked.diverged))
    return MetropolisResult(
        walked.state[0], trajectory, walked.diverged, n_diverged, walked.n_steps, acceptance
    )
