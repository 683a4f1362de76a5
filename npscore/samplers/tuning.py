"""The step size of a Metropolis sampler, by dual averaging on the mean acceptance of all chains."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.blas import one_blas_thread
from .._run.borders import Array, as_batch, as_count, as_number, as_positive, as_rng
from .._run.scale import within_range
from .metropolis import (
    QUIET,
    LogProb,
    as_log_prob,
    as_score,
    evaluators,
    leapfrog_size,
    metropolis,
    start_here,
    step_in,
)
from .step import Score

# Hoffman & Gelman (2014), section 3.2.1: how strongly log h follows the error, how much the first steps count, and
# how fast the average forgets them.
GAMMA, T0, KAPPA = 0.05, 10.0, 0.75

# Where MALA moves fastest in high dimension (Roberts & Rosenthal 1998). HMC's optimum, 0.651 (Beskos et al. 2013), is
# near the step at which paths become unstable: 0.8 costs little and is safe (Betancourt, Byrne & Girolami 2014).
MALA_TARGET, HMC_TARGET = 0.574, 0.8


class Tuned(NamedTuple):
    """What ``tune_step`` returns."""

    step: float  # to be used from now on: α for MALA, h for HMC
    x: Array  # (n, d) where the chains are
    acceptance: Array  # (n_steps,) mean acceptance probability of every step
    steps: Array  # (n_steps,) the step sizes that were tried


class DualAveraging(NamedTuple):
    """The state of dual averaging: what is tried next, and the average that is used in the end."""

    start: float  # log h of the first step
    t: int = 0
    error: float = 0.0  # running mean of target - acceptance
    log_h: float = 0.0
    average: float = 0.0

    def update(self, acceptance: float, target: float) -> DualAveraging:
        """The state after a step that accepted with this probability."""
        t = self.t + 1
        error = self.error + (target - acceptance - self.error) / (t + T0)  # eq-16.13
        log_h = self.start + math.log(10.0) - math.sqrt(t) / GAMMA * error  # eq-16.13
        average = self.average + t**-KAPPA * (log_h - self.average)  # eq-16.13
        return DualAveraging(self.start, t, error, log_h, average)


def tune_step(
    log_prob: LogProb,
    score: Score,
    x0: Any,
    step: float,
    n_steps: int = 200,
    *,
    n_leapfrog: Optional[int] = None,
    target: Optional[float] = None,
    rng: Any = None,
) -> Tuned:
    """The step size at which MALA, or HMC with ``n_leapfrog``, accepts a share ``target`` of its proposals.

    All rows of x0 (n, d) are chains of one step size; after each of ``n_steps`` steps the logarithm of h moves by dual
    averaging on the *mean* of min(1, ratio) over them, and what is returned is its average over the steps. Without
    n_leapfrog the sampler is MALA and ``step``, where the search begins, is α; else it is HMC and its h. ``target``
    is 0.574 for MALA and 0.8 for HMC unless given. A chain whose step changes has no exact law: tune first, then
    run with ``step`` fixed, from ``x``. The noise is drawn from ``rng``, z and then u = 1 − rng.random(n) a step.

    Raises TypeError or ValueError for a wrong argument.
    Source: Hoffman & Gelman (2014), "The No-U-Turn sampler", JMLR 15, section 3.2.1.
    """
    log_prob, score, rng, x = as_log_prob(log_prob), as_score(score), as_rng(rng), as_batch(x0, "x0").copy()
    is_mala, n_steps = n_leapfrog is None, as_count(n_steps, "n_steps")
    n_leapfrog = 1 if is_mala else as_count(n_leapfrog, "n_leapfrog")
    h = leapfrog_size(as_positive(step, "step")) if is_mala else as_positive(step, "step")
    target = (MALA_TARGET if is_mala else HMC_TARGET) if target is None else target
    target = as_number(target, "target", above=0.0, below=1.0)
    log_prob, score = evaluators(log_prob, score, x)
    here, search, tried, accepted = start_here(log_prob, score, x, "x0"), DualAveraging(math.log(h)), [], []
    with np.errstate(**QUIET), one_blas_thread():
        for _ in range(n_steps):
            z, u = rng.standard_normal(x.shape).astype(x.dtype), 1.0 - rng.random(len(x))
            move = metropolis(log_prob, score, x, here, step_in(h, x.dtype), n_leapfrog, z, u)
            x, here = move.x, move.here
            tried.append(h)
            accepted.append(float(np.exp(np.minimum(move.log_ratio, 0.0)).mean()))
            search = search.update(accepted[-1], target)
            h = math.exp(search.log_h)
    sizes = np.array([*tried, math.exp(search.average)])
    with within_range("step", "the steps that are tried"):
        sizes = 0.5 * sizes * sizes if is_mala else sizes
    return Tuned(float(sizes[-1]), x, np.array(accepted), sizes[:-1])
