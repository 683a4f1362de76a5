"""Unadjusted Langevin: the pure step, and a run of it over all chains at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array, as_array, as_batch, as_callable, as_number, as_positive, as_shaped
from .reports import Callback
from .run import evaluator, walk
from .step import Motion, Score, Step, stable_reach


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
    s = +∇log p, which gets a copy of x. With z ~ N(0, I) this is the Euler-Maruyama step of dx = s(x) dt + √2 dW:
    the noise carries √(2α) and the drift a full α, not α/2. The result has the floating type of x; complex x passes,
    so that the derivative I + α J(x) of the step can be had by complex step.

    Raises TypeError or ValueError for a wrong argument, for a score of wrong shape or not finite, and where the
    result is not finite.
    Source: Roberts & Tweedie (1996), "Exponential convergence of Langevin distributions and their discrete
    approximations", Bernoulli 2(4), the "ULA" with h = 2α.
    """
    x = as_batch(x, allow_complex=True)
    is_complex = x.dtype.kind == "c"
    step = as_positive(step, "step")
    z = as_shaped(z, "z", x.shape, allow_complex=is_complex)  # (n, d)
    s = as_callable(score, "score", "(n, d) -> (n, d)")(x.copy())
    s = as_shaped(s, "score(x)", x.shape, allow_complex=is_complex)  # (n, d)
    alpha, sqrt_2_alpha = coefficients(step, x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        s, z = s.astype(x.dtype, copy=False), z.astype(x.dtype, copy=False)
        moved = x + alpha * s + sqrt_2_alpha * z  # eq-1.3
    return as_array(moved, "x + step score(x) + sqrt(2 step) z", allow_complex=is_complex)


@dataclass(frozen=True)
class Langevin(Step):
    """``langevin_step`` in place, tested to give the same bits."""

    score: Score
    step: float
    name = "langevin"

    @property
    def advice(self) -> str:
        """To take a smaller step than this."""
        return smaller_step(self.step)

    def start(self, x: Array) -> tuple[Array]:
        """x alone."""
        return (x,)

    def motion(self, x: Array) -> Motion:
        """x ← x + α s(x) + √(2α) z."""
        score = evaluator(self.score, x)
        alpha, sqrt_2_alpha = map(
            np.asarray, coefficients(self.step, x.dtype)
        )  # arrays: ufuncs convert a scalar at every call
        drift = np.empty_like(x)  # (b, d)

        def move(t: int, z: Array) -> None:
            np.multiply(score(x), alpha, out=drift)
            np.add(x, drift, out=x)
            np.multiply(z, sqrt_2_alpha, out=z)
            np.add(x, z, out=x)  # eq-1.3

        def reach(x0: Array, n_steps: int) -> Array:
            return stable_reach(alpha * score(x0), sqrt_2_alpha, n_steps)

        return Motion(move, reach)


def coefficients(step: float, dtype: np.dtype) -> tuple[np.floating, np.floating]:
    """α and √(2α) in the working precision; ValueError where they are 0 or infinite there."""
    real = np.empty(0, dtype).real.dtype.type
    with np.errstate(over="ignore", under="ignore"):
        alpha, sqrt_2_alpha = real(step), np.sqrt(real(2.0 * step))
    if not (alpha > 0.0 and sqrt_2_alpha < np.inf):
        raise ValueError(f"step must be within the range of {real.__name__}, got {step:g}")
    return alpha, sqrt_2_alpha


def smaller_step(step: float) -> str:
    """What the message of divergence advises."""
    return (
        f"step = {step:g} is probably too large for this score: take a smaller one (a Gaussian of covariance "
        "Σ needs step < 2 λ_min(Σ))"
    )


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

    Blocks: chains are moved in blocks of at most 4,096 rows, fewer for d > 16, each with a random stream of its own:
    ``samplers.langevin_blocks(n, d, rng=rng)`` gives both, and says how. Step t takes the next
    ``block.noise(dtype)`` of each, whatever is recorded, reported or has diverged. A Generator given as ``rng``
    moves on by four 32-bit words a run.

    ``score`` is called on the (b, d) rows of a block and must treat each row by itself; one that looks across rows
    (batch statistics, interacting particles) needs ``langevin_step`` in a loop. It gets a copy of the states, which
    it may write to, and which is filled anew for the next call: it must copy what it wants to keep. The score of an
    npscore model or target does not check its rows anew; where it overflows, the chain diverges.

    ``workers=k`` moves the blocks in k threads, and ``executor`` (as in ``concurrent.futures``: a process pool,
    Dask's ``client.get_executor()``, mpi4py's ``MPIPoolExecutor``) sends them away in at most 1,024 jobs; the
    numbers are those of a plain run. In threads the score must be thread-safe (npscore's are); for other
    processes it must be picklable. With threadpoolctl installed BLAS keeps to one thread during a run, here and
    there, so that bits do not depend on its number of threads, as those of matrix products do.

    Recording: with ``record_every=k`` the trajectory holds the states after steps burn_in + k, burn_in + 2k,
    … ≤ n_steps. ``burn_in`` counts steps out of n_steps, so it never changes the final state; without
    ``record_every`` only that state is kept.

    Divergence: a chain whose state is not finite or leaves max|x| ≤ ``bound`` stops there. Its row is NaN from that
    step on, in ``x`` and in the trajectory; the mask and count are in the result; the score goes on seeing full
    finite blocks, with that chain back at its start. By default the bound is 10⁶ (1 + max|x0|), and for a chain
    started at x0 no less than 10⁶ √(2α) + 2 n_steps α √d max|s(x0)|, which no stable run on a log-concave density
    reaches, however wide it is (`step.stable_reach`); the score is called once more, at the starts, for a block in
    which a chain leaves the first. ``on_divergence``: "warn" gives one RuntimeWarning at the end of the run, "raise" a
    ``DivergenceError`` naming the first such step (within 64 steps of it, or of a job's end), "ignore" leaves it at
    the mask. A block ends early only if all of its chains have diverged.

    ``callback(t, x)`` is called after each step with a read-only array of all chains, which the next step
    overwrites; not with ``executor``. ``progress``: a status line; None means on a terminal only.

    Raises TypeError or ValueError for a wrong argument or a score of wrong shape or type, and what the score
    raises, wherever it ran, as it is.
    Source: as ``langevin_step``.
    """
    kernel = Langevin(as_callable(score, "score", "(n, d) -> (n, d)"), as_number(step, "step", above=0.0))
    run = walk(
        kernel,
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
    trajectory = None if record_every is None else run.trajectory[0]
    n_diverged = int(np.count_nonzero(run.diverged_at))
    return LangevinResult(run.state[0], trajectory, run.diverged_at > 0, n_diverged, run.n_steps)
