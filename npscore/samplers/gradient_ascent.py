"""Gradient ascent on log p: sampling as optimisation, which finds modes and draws no samples."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array, as_batch, as_callable, as_number, as_positive, as_shaped
from .._run.progress import Progress
from ._chains import (
    Callback,
    Chains,
    Score,
    checked_setting,
    optional_callback,
    optional_progress,
    read_only,
    states_from,
)


class AscentResult(NamedTuple):
    """What ``gradient_ascent`` returns."""

    x: Array  # (n, d) where each chain ended; NaN rows where diverged
    score_norm: Array  # (n,) ‖s(x)‖ at that x; NaN where diverged
    converged: Array  # (n,) bool, ‖s(x)‖ ≤ tol
    n_converged: int
    diverged: Array  # (n,) bool
    n_diverged: int
    n_steps: int  # steps taken before every chain was settled, at most as asked


def gradient_ascent_step(score: Score, x: Any, step: float) -> Array:
    """One step of gradient ascent on log p: x + α s(x).

    ``x`` and the result are (n, d), ``step`` is α > 0, ``score`` any callable (n, d) -> (n, d) giving
    s = +∇log p: the plus sign climbs log p, which is descent on −log p. The result has the floating type of
    x; complex x passes. Raises TypeError or ValueError for a wrong argument and for a score of wrong shape or
    not finite.
    """
    x = as_batch(x, allow_complex=True)
    alpha = x.real.dtype.type(as_positive(step, "step"))
    s = as_callable(score, "score", "(n, d) -> (n, d)")(x)
    s = as_shaped(s, "score(x)", x.shape, allow_complex=x.dtype.kind == "c").astype(x.dtype, copy=False)
    return x + alpha * s  # eq-1.2


def gradient_ascent(
    score: Score,
    x0: Any,
    step: float,
    n_steps: int,
    *,
    tol: float = 1e-6,
    on_divergence: str = "warn",
    bound: Optional[float] = None,
    callback: Optional[Callback] = None,
    progress: Optional[bool] = None,
) -> AscentResult:
    """Runs ``gradient_ascent_step`` on every row of x0 until its score vanishes: x* = argmax log p, locally.

    x_t = x_{t-1} + α s(x_{t-1}), at most ``n_steps`` times. A chain has converged when the Euclidean norm
    ‖s(x)‖ ≤ ``tol``, an absolute tolerance; it then stays where it is, so what a chain does depends on no
    other. The run ends when every chain has converged or diverged. Near a mode of Hessian −P the error
    shrinks by I − αP a step, so that α < 2/λ_max(P) is needed, as for Langevin (eq-1.7). A vanishing score
    is also what saddle points and minima have; ascent leaves those unless started exactly there.

    ``score_norm`` is measured at the returned x, which takes one more call of the score than steps. Chains
    that do not converge are counted, not warned about. ``on_divergence``, ``bound``, ``callback`` (t from 1),
    ``progress`` and the scratch array that the score gets are as in ``langevin``.

    Raises TypeError or ValueError for a wrong argument or a score of wrong shape or type, and
    ``DivergenceError`` if asked to.
    """
    tol = as_number(tol, "tol", at_least=0)
    callback, progress = optional_callback(callback), optional_progress(progress)
    run = checked_setting("gradient_ascent", score, x0, step, n_steps, bound, on_divergence)
    x, gone = states_from(run.x0), np.zeros(len(run.x0), dtype=np.int64)  # (n, d), (n,)
    chains, alpha = Chains(run.score, run.x0, x, gone, run.bound), x.dtype.type(run.step)
    with Progress("gradient ascent", run.n_steps, enabled=progress) as line:
        for t in range(run.n_steps + 1):
            s = chains.score()  # (n, d)
            score_norm = _row_norms(s, x.dtype)  # (n,)
            converged = (score_norm <= tol) & ~chains.diverged  # (n,)
            settled = converged | chains.diverged  # (n,)
            n_converged = int(np.count_nonzero(converged))
            line.update(t, f"{n_converged:,} of {len(x):,} converged")
            if t == run.n_steps or settled.all():
                break
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                np.multiply(s, alpha, out=chains.scratch, dtype=x.dtype, casting="same_kind")
                chains.scratch[settled] = 0.0
                x += chains.scratch  # eq-1.2
                chains.watch(t + 1)
            run.check(gone)
            if callback is not None:
                callback(t + 1, read_only(x))
    run.report(gone)
    score_norm[chains.diverged] = np.nan
    return AscentResult(x, score_norm, converged, n_converged, chains.diverged, chains.n_diverged, t)


def _row_norms(s: Array, dtype: np.dtype) -> Array:
    """Euclidean norms of the rows, (n,); inf or NaN where a score is not finite."""
    s = s.astype(dtype, copy=False)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.sqrt(np.einsum("nd,nd->n", s, s))
