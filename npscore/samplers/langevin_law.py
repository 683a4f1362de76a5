"""The exact law of the unadjusted Langevin algorithm on a Gaussian: what a correct sampler must reproduce.

On N(μ, Σ) with P = Σ⁻¹ the score is s(x) = −P (x − μ), so one step is affine in x and in z:

    x' − μ = (I − αP)(x − μ) + √(2α) z.

Taking the mean, and then the covariance with z independent of x and E[z zᵀ] = I:

    m' = μ + (I − αP)(m − μ)                                                                    (1.4)
    C' = (I − αP) C (I − αP) + 2α I                                                              (1.5)

A Gaussian start stays Gaussian, so this is the whole law. In the eigenbasis of Σ = U diag(λ) Uᵀ a step
multiplies coordinate i of the deviation by rᵢ = 1 − α/λᵢ. So t steps multiply the mean deviation by rᵢᵗ and
entry (i, j) of the covariance by rᵢᵗ rⱼᵗ, and add 2α (1 + rᵢ² + … + rᵢ^(2t−2)) to entry (i, i). The sum
converges iff |rᵢ| < 1, that is 0 < α < 2λᵢ for every i (1.7), to 2α / (1 − rᵢ²) = λᵢ / (1 − α/(2λᵢ)):

    C = Σ (I − αP/2)⁻¹                                                                           (1.6)

The stationary covariance is too large by the factor (1 − α/(2λ))⁻¹: the bias of never rejecting.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._run.borders import Array, as_count, as_covariance, as_positive, as_shaped


class LangevinLaw(NamedTuple):
    """Mean and covariance of a chain's state."""

    mean: Array  # (d,)
    cov: Array  # (d, d)


def langevin_law(mean: Any, cov: Any, mean0: Any, cov0: Any, step: float, n_steps: int) -> LangevinLaw:
    """Exact mean and covariance after ``n_steps`` Langevin steps on N(mean, cov) from N(mean0, cov0).

    ``mean``, ``mean0`` are (d,), ``cov`` (d, d) is positive definite, ``cov0`` (d, d) positive semidefinite
    (zero: all chains start at mean0). The recursion (1.4), (1.5) of this module, in closed form by one
    eigendecomposition: any n_steps ≥ 0 costs O(d³). Computed and returned in float64. A step beyond the
    stability limit (1.7) is allowed as long as the law stays finite. The two moments are right for a start
    of any law with mean0 and cov0, Gaussian or not.

    Raises TypeError or ValueError for a wrong argument.
    """
    cov = _as_float64_covariance(cov, "cov")
    d = len(cov)
    mean = as_shaped(mean, "mean", (d,)).astype(np.float64)
    mean0 = as_shaped(mean0, "mean0", (d,)).astype(np.float64)
    cov0 = _as_semidefinite(cov0, "cov0", d)
    step, n_steps = as_positive(step, "step"), as_count(n_steps, "n_steps", minimum=0)
    eigenvalues, u = np.linalg.eigh(cov)  # (d,), (d, d)
    r = 1.0 - step / eigenvalues  # (d,)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        r_t = r**n_steps  # (d,)
        mean_t = mean + u @ (r_t * (u.T @ (mean0 - mean)))  # eq-1.4
        cov_t = (u.T @ cov0 @ u) * np.outer(r_t, r_t)  # (d, d)
        cov_t += np.diag(2.0 * step * _geometric_sum(r * r, n_steps))  # eq-1.5
        cov_t = u @ cov_t @ u.T
    if not (np.isfinite(mean_t).all() and np.isfinite(cov_t).all()):
        raise ValueError(
            f"step must be < 2 lambda_min(cov) = {2 * eigenvalues[0]:.6g} for the law after "
            f"{n_steps} steps to be finite, got {step}"
        )
    return LangevinLaw(mean_t, 0.5 * (cov_t + cov_t.T))


def stationary_covariance(cov: Any, step: float) -> Array:
    """The covariance (d, d) that Langevin with step α settles to on a Gaussian: Σ (I − αΣ⁻¹/2)⁻¹.

    ``cov`` is Σ (d, d), positive definite; it is eq-1.6, derived in this module. Larger than Σ in every
    direction, and equal to it as α → 0. Computed and returned in float64.

    Raises ValueError where step ≥ 2 λ_min(Σ): the chain is then unstable (eq-1.7). TypeError or ValueError
    for a wrong argument.
    """
    cov, step = _as_float64_covariance(cov, "cov"), as_positive(step, "step")
    eigenvalues, u = np.linalg.eigh(cov)  # (d,), (d, d)
    if step >= 2.0 * eigenvalues[0]:  # eq-1.7
        raise ValueError(f"step must be < 2 lambda_min(cov) = {2 * eigenvalues[0]:.6g}, got {step}")
    stationary = (u * (eigenvalues / (1.0 - step / (2.0 * eigenvalues)))) @ u.T  # eq-1.6
    return 0.5 * (stationary + stationary.T)


def _geometric_sum(q: Array, t: int) -> Array:
    """1 + q + … + q^(t−1), elementwise for q ≥ 0, by doubling.

    G_2k = (1 + q^k) G_k and G_(k+1) = G_k + q^k add only positive numbers, so there is no cancellation
    and nothing special at q = 1, where the usual (1 − q^t) / (1 − q) is 0/0.
    """
    total, power = np.zeros_like(q), np.ones_like(q)  # G_k and q^k at k = 0
    for bit in bin(t)[2:]:
        total, power = (1.0 + power) * total, power * power
        if bit == "1":
            total, power = total + power, power * q
    return total


def _as_float64_covariance(value: Any, name: str) -> Array:
    return as_covariance(value, name)[0].astype(np.float64)


def _as_semidefinite(value: Any, name: str, d: int) -> Array:
    """A symmetric positive semidefinite (d, d) matrix, up to rounding."""
    matrix = as_shaped(value, name, (d, d)).astype(np.float64)
    rounding = 1e3 * np.finfo(np.float64).eps * np.abs(matrix).max()
    asymmetry = np.abs(matrix - matrix.T).max()
    if asymmetry > rounding:
        raise ValueError(f"{name} must be symmetric, got {name} - {name}.T of up to {asymmetry:.3g}")
    smallest = np.linalg.eigvalsh(matrix)[0]
    if smallest < -rounding:
        raise ValueError(f"{name} must be positive semidefinite, got smallest eigenvalue {smallest:.3g}")
    return matrix
