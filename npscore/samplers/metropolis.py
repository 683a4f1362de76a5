"""Metropolis steps that use the score: Hamiltonian Monte Carlo, and MALA, which is that with one leapfrog step.

A proposal that can be undone is accepted with the probability that leaves p invariant: whatever the step size, the
chain has the density p and no other, where unadjusted Langevin has one that is too wide (eq-1.6). The price is that
log p itself must be known, up to a constant: a ratio of densities cannot be had from a score alone, and a
vector field that is no gradient has no density at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array, as_batch, as_callable, as_count, as_positive, as_shaped
from .run import evaluator
from .step import Score

LogProb = Callable[[Array], Any]

QUIET = {"over": "ignore", "under": "ignore", "invalid": "ignore", "divide": "ignore"}
NO_DENSITY = (
    "(n, d) -> (n,), the log density up to a constant: no proposal can be accepted or rejected by a score alone "
    "(langevin needs no density, and has a bias)"
)


class Here(NamedTuple):
    """What is known at a state x (n, d)."""

    log_prob: Array  # (n,)
    score: Array  # (n, d)


class Move(NamedTuple):
    """What a Metropolis step returns."""

    x: Array  # (n, d) the proposal where accepted, else x as it was
    log_ratio: Array  # (n,) log of the acceptance ratio; -inf where that is no number
    accepted: Array  # (n,) bool
    proposal: Array  # (n, d); not finite where its path left the range of floats
    here: Here  # log_prob and score at the new x, for the next step


def hmc_step(
    log_prob: LogProb,
    score: Score,
    x: Any,
    step: float,
    n_leapfrog: int,
    z: Any,
    u: Any,
    here: Optional[Here] = None,
) -> Move:
    """One step of Hamiltonian Monte Carlo: ``n_leapfrog`` leapfrog steps of size h from (x, z), then accept or reject.

    ``x`` and ``z``, the momenta ~ N(0, I), are (n, d); ``u`` (n,) is uniform on [0, 1]; ``step`` is h > 0.
    ``log_prob`` (n, d) -> (n,) is log p up to a constant and ``score`` (n, d) -> (n, d) its gradient +∇log p. With
    (y, p) where the leapfrogs end, at mass and temperature 1,

        log_ratio = log p(y) − log p(x) + ½‖z‖² − ½‖p‖²,  accepted where log u < log_ratio.

    A proposal is rejected, with log_ratio = −inf, where the ratio is no number or log p(y) = +inf. ``here`` is
    the ``Move.here`` of the step before, so that log_prob and score are not computed at x again. The result has the
    floating type of x; complex x passes.

    Raises TypeError or ValueError for a wrong argument, and ValueError where log p or the score at x is not finite:
    a chain cannot start where the density is 0.
    Source: Duane, Kennedy, Pendleton & Roweth (1987), "Hybrid Monte Carlo", Phys. Lett. B 195(2); Neal (2011), "MCMC
    using Hamiltonian dynamics", Handbook of MCMC, chapter 5.
    """
    n_leapfrog = as_count(n_leapfrog, "n_leapfrog")
    step = as_positive(step, "step")
    return _bare_step(log_prob, score, x, step, step, n_leapfrog, z, u, here)


def mala_step(
    log_prob: LogProb, score: Score, x: Any, step: float, z: Any, u: Any, here: Optional[Here] = None
) -> Move:
    """One step of the Metropolis-adjusted Langevin algorithm: ``langevin_step``, then accept or reject.

    The proposal is y = x + α s(x) + √(2α) z, with α = ``step``, and the ratio that of Metropolis & Hastings,
    p(y) q(x|y) / (p(x) q(y|x)), q(y|x) the density N(x + α s(x), 2α I). This is ``hmc_step`` with one leapfrog
    step of h = √(2α), and is computed as that. Everything else is as there.

    Raises TypeError or ValueError for a wrong argument, and ValueError where log p or the score at x is not finite.
    Source: Roberts & Tweedie (1996), "Exponential convergence of Langevin distributions and their discrete
    approximations", Bernoulli 2(4), with h = 2α; Besag (1994), J. R. Stat. Soc. B 56(4), p. 591.
    """
    step = as_positive(step, "step")
    return _bare_step(log_prob, score, x, step, leapfrog_size(step), 1, z, u, here)


def leapfrog_size(alpha: float) -> float:
    """h = √(2α): the leapfrog step that is a Langevin proposal of step α."""
    return math.sqrt(2.0) * math.sqrt(alpha)  # eq-16.6


def _bare_step(
    log_prob: Any, score: Any, x: Any, step: float, h: float, n_leapfrog: int, z: Any, u: Any, here: Any
) -> Move:
    """The step after its arguments are checked."""
    x = as_batch(x, allow_complex=True)
    z = as_beside(x, z, "z", x.shape)  # (n, d)
    u = as_shaped(u, "u", (len(x),))  # (n,)
    if not ((u >= 0.0) & (u <= 1.0)).all():
        raise ValueError(f"u must be within [0, 1], got {u[~((u >= 0.0) & (u <= 1.0))][0]}")
    log_prob, score = evaluators(as_log_prob(log_prob), as_score(score), x)
    here = start_here(log_prob, score, x, "x") if here is None else _as_here(here, x)
    with np.errstate(**QUIET):
        return metropolis(log_prob, score, x, here, step_in(h, x.dtype, step), n_leapfrog, z, u)


# The mathematics, on clean arrays -------------------------------------------------------------------------


def metropolis(
    log_prob: Callable[[Array], Array],
    score: Callable[[Array], Array],
    x: Array,
    here: Here,
    h: Any,
    n_leapfrog: int,
    z: Array,
    u: Array,
) -> Move:
    """`hmc_step` of clean arguments: what a bare step and a run compute."""
    y, p, s = leapfrog(at_finite_rows(score, x), x, z, h, n_leapfrog, here.score)
    log_p = at_finite_rows(log_prob, x)(y)  # (n,)
    log_ratio = log_p - here.log_prob + 0.5 * ((z - p) * (z + p)).sum(axis=1)  # eq-16.5
    log_ratio[np.isnan(log_ratio) | (log_p.real == np.inf)] = -np.inf
    accepted = np.log(u) < log_ratio.real  # (n,)  eq-16.2
    moves = accepted[:, None]
    there = Here(np.where(accepted, log_p, here.log_prob), np.where(moves, s, here.score))
    return Move(np.where(moves, y, x), log_ratio, accepted, y, there)


def leapfrog(
    score: Callable[[Array], Array], x: Array, p: Array, h: Any, n_steps: int, s: Array
) -> tuple[Array, Array, Array]:
    """Where n steps of size h lead from x and momenta p (n, d), and the score there; ``s`` is the score at x.

    Half a kick, then drifts with whole kicks between them, half a kick at the end.
    """
    p = p + 0.5 * h * s  # eq-16.4
    for k in range(n_steps):
        x = x + h * p  # eq-16.4
        s = np.array(score(x))  # a copy: the score's own memory may serve another call
        p = p + (h if k < n_steps - 1 else 0.5 * h) * s  # eq-16.4
    return x, p, s


def at_finite_rows(function: Callable[[Array], Array], x: Array) -> Callable[[Array], Array]:
    """The function, NaN in rows that are not finite: there it is called at the rows of x, which are.

    A path that leaves the range of floats is lost, and no function of the user has to cope with it.
    """

    def evaluate(y: Array) -> Array:
        flat = y.reshape(-1)
        if np.isfinite(flat.dot(flat)):
            return function(y)
        lost = ~np.isfinite(y).all(axis=1)  # (n,)
        values = np.array(function(np.where(lost[:, None], x, y)))
        values[lost] = np.nan
        return values

    return evaluate


# Checks that the runs share ------------------------------------------------------------------------------


def as_log_prob(value: Any) -> LogProb:
    """A callable that is said to return a log density."""
    return as_callable(value, "log_prob", NO_DENSITY)


def as_score(value: Any) -> Score:
    """A callable that is said to return a score."""
    return as_callable(value, "score", "(n, d) -> (n, d)")


def evaluators(
    log_prob: LogProb, score: Score, x: Array
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Both as a step calls them at states of x's shape."""
    return evaluator(log_prob, x, "log_prob(x)", (len(x),)), evaluator(score, x)


def start_here(
    log_prob: Callable[[Array], Array], score: Callable[[Array], Array], x: Array, name: str
) -> Here:
    """log p and score at the start; ValueError in a row where either is not finite."""
    with np.errstate(**QUIET):  # npscore's own functions; a user's function has the caller's settings
        log_p, s = np.array(log_prob(x)), np.array(score(x))  # (n,), (n, d)
    if not np.isfinite(log_p).all():
        row = int(np.flatnonzero(~np.isfinite(log_p))[0])
        raise ValueError(
            f"{name} must have a density > 0 in every row, where a chain can start, got log_prob = {log_p[row]} "
            f"at {x[row].tolist()}"
        )
    if not np.isfinite(s).all():
        row = int(np.flatnonzero(~np.isfinite(s).all(axis=1))[0])
        raise ValueError(
            f"{name} must have a finite score in every row, got {s[row].tolist()} at {x[row].tolist()}"
        )
    return Here(log_p, s)


def step_in(h: float, dtype: np.dtype, step: Optional[float] = None) -> Any:
    """h in the type of the chains; ValueError where it is 0 or infinite there, of the ``step`` that the user gave."""
    real = np.empty(0, dtype).real.dtype.type
    with np.errstate(over="ignore", under="ignore"):
        size = real(h)
    if not 0.0 < size < np.inf:
        given = h if step is None else step
        raise ValueError(f"step must be within the range of {real.__name__}, got {given:g}")
    return size


def _as_here(here: Any, x: Array) -> Here:
    if not isinstance(here, tuple) or len(here) != 2:
        raise TypeError(f"here must be the Move.here of the step before, got {type(here).__name__}")
    return Here(
        as_beside(x, here[0], "here.log_prob", (len(x),)), as_beside(x, here[1], "here.score", x.shape)
    )


def as_beside(x: Array, value: Any, name: str, shape: tuple[int, ...]) -> Array:
    """An array of this shape in the type of x; ValueError where that cannot hold it."""
    array = as_shaped(value, name, shape, allow_complex=x.dtype.kind == "c")
    with np.errstate(over="ignore", under="ignore"):
        cast = array.astype(x.dtype, copy=False)
    if cast is not array and not np.isfinite(cast).all():
        raise ValueError(f"{name} must be within the range of {x.dtype}, got {array[~np.isfinite(cast)][0]}")
    return cast
