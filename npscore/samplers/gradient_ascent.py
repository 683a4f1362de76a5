"""Gradient ascent on log p: sampling as optimisation, which finds modes and draws no samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array, as_array, as_batch, as_callable, as_number, as_positive, as_shaped
from .langevin import coefficients, smaller_step
from .reports import Callback
from .run import evaluator, walk
from .step import Motion, Score, Step, stable_reach


class AscentResult(NamedTuple):
    """What ``gradient_ascent`` returns."""

    x: Array  # (n, d) where each chain ended; NaN rows where diverged
    score_norm: Array  # (n,) ‖s(x)‖ at that x; NaN where diverged
    converged: Array  # (n,) bool, ‖s(x)‖ ≤ tol
    n_converged: int
    diverged: Array  # (n,) bool
    n_diverged: int
    n_steps: int  # steps taken before every chain had converged or diverged, at most as asked


def gradient_ascent_step(score: Score, x: Any, step: float) -> Array:
    """One step of gradient ascent on log p: x + α s(x).

    ``x`` and the result are (n, d), ``step`` is α > 0, ``score`` any callable (n, d) -> (n, d) giving
    s = +∇log p: the plus sign climbs log p, which is descent on −log p. The result has the floating type of
    x; complex x passes. Raises TypeError or ValueError for a wrong argument, for a score of wrong shape or
    not finite, and where the result is not finite.
    """
    x = as_batch(x, allow_complex=True)
    alpha, _ = coefficients(as_positive(step, "step"), x.dtype)
    s = as_callable(score, "score", "(n, d) -> (n, d)")(x.copy())
    s = as_shaped(s, "score(x)", x.shape, allow_complex=x.dtype.kind == "c")
    with np.errstate(over="ignore", invalid="ignore"):
        moved = x + alpha * s.astype(x.dtype, copy=False)  # eq-1.2
    return as_array(moved, "x + step score(x)", allow_complex=True)


@dataclass(frozen=True)
class GradientAscent(Step):
    """``gradient_ascent_step`` in place, tested to give the same bits; a chain that has converged stays where it is."""

    score: Score
    step: float
    tol: float
    name, normals, one_block, converges = "gradient_ascent", 0, True, True

    @property
    def advice(self) -> str:
        """To take a smaller step than this."""
        return smaller_step(self.step)

    def start(self, x: Array) -> tuple[Array, Array, Array]:
        """x, the move α s(x) to come, 0 for a chain that has converged, and ‖s(x)‖: (b, d), (b, d) and (b,)."""
        return x, np.zeros_like(x), np.zeros(len(x), x.dtype)

    def motion(self, x: Array, drift: Array, score_norm: Array) -> Motion:
        """x ← x + α s(x). The score is evaluated where the runner asks which chains have converged."""
        score, (alpha, _) = evaluator(self.score, x), coefficients(self.step, x.dtype)
        length = x.dtype.type(unit_of_length(self.step))

        def converged() -> Array:
            s = score(x)  # (b, d)
            scaled = length * s  # has no unit, so that its square is in range
            norm = np.sqrt(np.einsum("nd,nd->n", scaled, scaled))  # (b,)
            np.divide(norm, length, out=score_norm)
            np.multiply(s, alpha, out=drift)
            drift[norm <= self.tol] = 0.0
            return norm <= self.tol

        def move(t: int) -> None:
            np.add(x, drift, out=x)  # eq-1.2

        def reach(x0: Array, n_steps: int) -> Array:
            return stable_reach(alpha * score(x0), 0.0, n_steps)

        return Motion(move, reach, converged)


def unit_of_length(step: float) -> float:
    """ℓ: the number 1, or what is nearest to it between √α and 10³ √α, lengths that follow the scale of p."""
    root = math.sqrt(step)
    return min(max(1.0, root), 1e3 * root)


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
    ℓ ‖s(x)‖ ≤ ``tol``; it then stays where it is, so what a chain does depends on no other. The unit of length ℓ is 1
    for 10⁻⁶ ≤ α ≤ 1, √α for larger steps and 10³ √α for smaller ones: a stable step is the square of a length of
    the density, so that in other units of x, with the step in their square, the same chains converge. The run ends
    when every chain has converged or diverged. Near a mode of Hessian −P the error shrinks by I − αP a step, so that
    α < 2/λ_max(P) is needed, as for Langevin (eq-1.7). A vanishing score is also what saddle points and minima have;
    ascent leaves those unless started exactly there.

    All chains are moved as one block. ``score_norm`` is ‖s(x)‖ at the returned x, which takes one more call of the
    score than steps. Chains that do not converge are counted, not warned about. ``on_divergence``, ``bound``,
    ``callback`` (t from 1), ``progress`` and the array that the score gets are as in ``langevin``.

    Raises TypeError or ValueError for a wrong argument or a score of wrong shape or type, and
    ``DivergenceError`` if asked to.
    """
    kernel = GradientAscent(
        as_callable(score, "score", "(n, d) -> (n, d)"),
        as_positive(step, "step"),
        as_number(tol, "tol", at_least=0),
    )
    run = walk(
        kernel, x0, n_steps, on_divergence=on_divergence, bound=bound, callback=callback, progress=progress
    )
    x, _, score_norm = run.state
    return AscentResult(
        x,
        score_norm,
        run.converged,
        int(np.count_nonzero(run.converged)),
        run.diverged,
        int(np.count_nonzero(run.diverged)),
        run.n_steps,
    )
