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

A step may be tiny and the number of steps huge, so rᵗ is exp(t log1p(−α/λ)) and the geometric sum is a quotient of
two expm1: 10¹⁸ steps of 10⁻¹⁸ are time 1 of the diffusion that Langevin approximates, to rounding.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .._run.borders import Array, as_count, as_positive, as_shaped
from .._run.covariance import as_covariance
from .._run.scale import as_float64, exponents, in_units


class LangevinLaw(NamedTuple):
    """Mean and covariance of a chain's state."""

    mean: Array  # (d,)
    cov: Array  # (d, d)


def langevin_law(mean: Any, cov: Any, mean0: Any, cov0: Any, step: float, n_steps: int) -> LangevinLaw:
    """Exact mean and covariance after ``n_steps`` Langevin steps on N(mean, cov) from N(mean0, cov0).

    ``mean``, ``mean0`` are (d,), ``cov`` (d, d) is positive definite, ``cov0`` (d, d) positive semidefinite
    (zero: all chains start at mean0). The recursion (1.4), (1.5) of this module, in closed form by one
    eigendecomposition: any n_steps ≥ 0 costs O(d³). Computed and returned in float64. A step beyond
    the stability limit (1.7) is allowed as long as the law stays finite. The two moments are right for a start
    of any law with mean0 and cov0, Gaussian or not.

    Raises TypeError or ValueError for a wrong argument.
    """
    eigenvalues, u = spectrum(cov)  # (d,), (d, d)
    d = len(eigenvalues)
    mean = as_float64(as_shaped(mean, "mean", (d,)), "mean")
    mean0 = as_float64(as_shaped(mean0, "mean0", (d,)), "mean0")
    cov0 = as_semidefinite(cov0, "cov0", d)
    step, n_steps = as_positive(step, "step"), as_count(n_steps, "n_steps", minimum=0)
    if n_steps == 0:
        return LangevinLaw(mean0.copy(), 0.5 * cov0 + 0.5 * cov0.T)
    with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
        t, log_r = float(n_steps), _log_factor(step / eigenvalues)  # (d,)  log |r|
        r_t = np.where(step > eigenvalues, (-1.0) ** (n_steps % 2), 1.0) * np.exp(t * log_r)  # (d,)
        mean_t = mean + u @ (r_t * (u.T @ (mean0 - mean)))  # eq-1.4
        cov_t = (u.T @ cov0 @ u) * np.outer(r_t, r_t)  # (d, d)
        cov_t += np.diag(2.0 * step * _geometric_sum(2.0 * log_r, t))  # eq-1.5
        cov_t = u @ cov_t @ u.T
        cov_t = 0.5 * cov_t + 0.5 * cov_t.T
    if not (np.isfinite(mean_t).all() and np.isfinite(cov_t).all()):
        raise ValueError(_why_not_finite(step, n_steps, eigenvalues))
    return LangevinLaw(mean_t, cov_t)


def stationary_covariance(cov: Any, step: float) -> Array:
    """The covariance (d, d) that Langevin with step α settles to on a Gaussian: Σ (I − αΣ⁻¹/2)⁻¹.

    ``cov`` is Σ (d, d), positive definite; it is eq-1.6, derived in this module. Larger than Σ in every
    direction, and equal to it as α → 0. Computed and returned in float64.

    Raises ValueError where step ≥ 2 λ_min(Σ): the chain is then unstable (eq-1.7). TypeError or ValueError
    for a wrong argument.
    """
    (eigenvalues, u), step = spectrum(cov), as_positive(step, "step")  # (d,), (d, d)
    if step / 2.0 >= eigenvalues[0]:  # eq-1.7
        raise ValueError(f"step must be < {_limit(eigenvalues)}, got {step}")
    with np.errstate(over="ignore", under="ignore"):
        stationary = (u * (eigenvalues / (1.0 - step / eigenvalues / 2.0))) @ u.T  # eq-1.6
    if not np.isfinite(stationary).all():
        raise ValueError(
            f"step must leave the stationary covariance finite; it is beyond 1.8e308, got {step}"
        )
    return 0.5 * stationary + 0.5 * stationary.T


def _log_factor(a: Array) -> Array:
    """log |1 − a|, elementwise for a = α/λ > 0: right to rounding for tiny a, where 1 − a would be 1, and near 2."""
    return np.log1p(np.where(a > 1.0, a - 2.0, -a))


def _geometric_sum(log_q: Array, t: float) -> Array:
    """1 + q + … + q^(t−1) = (q^t − 1)/(q − 1), elementwise for q ≥ 0 given as its logarithm, t ≥ 1.

    Both differences are expm1, so nothing cancels as q → 1; where t log q is below rounding the sum is t.
    """
    exponent = t * log_q
    return np.where(np.abs(exponent) < 1e-20, t, np.expm1(exponent) / np.expm1(log_q))


def _limit(eigenvalues: Array) -> str:
    return f"2 lambda_min(cov) = {2 * float(eigenvalues[0]):.6g}"


def _why_not_finite(step: float, n_steps: int, eigenvalues: Array) -> str:
    if step / 2.0 >= eigenvalues[0]:
        return (
            f"step must be < {_limit(eigenvalues)} for the law after {n_steps} steps to be finite, got {step}"
        )
    return "mean, mean0, cov and cov0 must be small enough for the law to be finite, got one beyond 1.8e308"


def spectrum(cov: Any) -> tuple[Array, Array]:
    """Eigenvalues (d,), ascending, and eigenvectors (d, d) of a positive definite covariance, in float64."""
    eigenvalues, u = np.linalg.eigh(as_float64(as_covariance(cov, "cov")[0], "cov"))
    if not eigenvalues[0] > 0:  # so near to singular that rounding decides
        raise ValueError(f"cov must be positive definite, got smallest eigenvalue {eigenvalues[0]:.3g}")
    return eigenvalues, u


def as_semidefinite(value: Any, name: str, d: int) -> Array:
    """A symmetric positive semidefinite (d, d) matrix, up to rounding."""
    matrix = as_float64(as_shaped(value, name, (d, d)), name)
    exponent = exponents(matrix)
    unit = in_units(matrix, exponent)  # within [-1, 1]: what follows cannot overflow
    rounding = 1e3 * np.finfo(np.float64).eps * np.abs(unit).max()
    asymmetry = np.abs(unit - unit.T).max()
    if asymmetry > rounding:
        gap = math.ldexp(asymmetry, min(int(exponent), 1000))
        raise ValueError(f"{name} must be symmetric, got {name} - {name}.T of up to {gap:.3g}")
    smallest = np.linalg.eigvalsh(unit)[0]
    if smallest < -rounding:
        smallest = math.ldexp(smallest, min(int(exponent), 1000))
        raise ValueError(f"{name} must be positive semidefinite, got smallest eigenvalue {smallest:.3g}")
    return matrix
