"""Unadjusted Langevin: the bare update, and a run of it over all chains at once."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import numpy as np

from .._progress import Progress
from .._validation import Array, as_batch, as_callable, as_count, as_positive, as_rng, as_shaped
from ._chains import Callback, Chains, Score, optional_callback, optional_progress


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
    alpha, sqrt_2_alpha = _coefficients(step, x.dtype)
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
) -> LangevinResult:
    """Runs ``langevin_step`` on every row of x0, a chain each, with independent z ~ N(0, I).

    x_t = x_{t-1} + α s(x_{t-1}) + √(2α) z_t for t = 1 … n_steps, bit for bit the iterated ``langevin_step``.
    ``x0`` is (n, d); its floating type (float32, float64, longdouble) is kept whatever the score returns.

    Random numbers: step t takes the next (n, d) block of ``rng.standard_normal`` in row order (drawn in
    float32 for float32 chains, in float64 otherwise), whatever is recorded, reported or has diverged.

    Recording: with ``record_every=k`` the trajectory holds the states after steps burn_in + k, burn_in + 2k,
    … ≤ n_steps. ``burn_in`` counts steps out of n_steps, so it never changes the final state; without
    ``record_every`` only that state is kept.

    Divergence: a chain whose state is not finite or leaves max|x| ≤ ``bound`` (default 1e6 (1 + max|x0|))
    stops there. Its row is NaN from that step on, in ``x`` and in the trajectory; the mask and count are in
    the result; the score goes on seeing a full finite batch, with that chain back at its start.
    ``on_divergence``: "warn" gives one RuntimeWarning at the end of the run, "raise" a ``DivergenceError``
    at once, "ignore" leaves it at the mask. The run ends early only if no chain is left.

    ``score`` gets a scratch array that is overwritten once it has returned: it must copy what it wants to
    keep. ``callback(t, x)`` is called after each step with a read-only view under the same rule.
    ``progress``: a status line; None means on a terminal only.

    Raises TypeError or ValueError for a wrong argument or a score of wrong shape or type.
    Source: as ``langevin_step``.
    """
    rng, callback, progress = as_rng(rng), optional_callback(callback), optional_progress(progress)
    chains = Chains("langevin", score, x0, step, n_steps, bound, on_divergence)
    recorded = _recorded_steps(chains.n_steps, burn_in, record_every)
    x, scratch, z = chains.x, chains.scratch, np.empty_like(chains.x)  # (n, d) each
    trajectory = None if record_every is None else np.full((len(recorded), *x.shape), np.nan, x.dtype)
    alpha, sqrt_2_alpha = _coefficients(chains.step, x.dtype)
    with Progress("langevin", chains.n_steps, enabled=progress) as line:
        for t in range(1, chains.n_steps + 1):
            s = chains.score()  # (n, d)
            _fill_standard_normal(rng, z)
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                # x + α s + √(2α) z in place; the score's type is cast to the chains' type first.
                np.multiply(s, alpha, out=scratch, dtype=x.dtype, casting="same_kind")
                z *= sqrt_2_alpha
                x += scratch
                x += z  # eq-1.3
                chains.watch(t)
            if t in recorded:
                trajectory[recorded.index(t)] = x
            if callback is not None:
                callback(t, chains.view)
            line.update(t, f"{chains.n_diverged:,} diverged" if chains.n_diverged else "")
            if chains.n_diverged == len(x):
                break
    chains.report()
    return LangevinResult(x, trajectory, chains.diverged, chains.n_diverged, t)


def _coefficients(step: float, dtype: np.dtype) -> tuple[np.floating, np.floating]:
    """α and √(2α) in the working precision."""
    real = np.empty(0, dtype).real.dtype.type
    return real(step), np.sqrt(real(2.0 * step))


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


def _fill_standard_normal(rng: np.random.Generator, z: Array) -> None:
    """Fresh N(0, 1) numbers into z, with no temporary where the generator knows z's type."""
    if z.dtype in (np.float32, np.float64):
        rng.standard_normal(out=z, dtype=z.dtype)
    else:
        z[...] = rng.standard_normal(z.shape)
