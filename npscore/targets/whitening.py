"""A covariance, factored once and for all in extended precision.

The score P(μ − x) can be no better than P = Σ⁻¹. In float64, P of a covariance with condition number κ is
wrong by about κ·10⁻¹⁶; in longdouble (64 bits of mantissa on x86) by 2000 times less. LAPACK stops at
float64, hence the loops; they run once per target, d vectorised steps each, O(d³) in all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .precision import Rounded

Array = np.ndarray


class Whitening(NamedTuple):
    """Σ = L Lᵀ: ``factor`` L, ``inverse`` W = L⁻¹, ``precision`` P = WᵀW, and ``log_det`` of Σ in longdouble.

    ``scales`` (2d,) are the deviations √Σᵢᵢ of the coordinates and those given all others, 1/√Pᵢᵢ.
    """

    factor: Rounded
    inverse: Rounded
    precision: Rounded
    log_det: np.longdouble
    scales: Array


def whitening(cov: Array, name: str) -> Whitening:
    """The Cholesky factor of a symmetric ``(d, d)`` matrix and what follows from it; ValueError if not > 0."""
    cov = cov.astype(np.longdouble)
    factor = _cholesky(cov, name)
    transposed = _invert_lower(factor)  # (d, d), W^T
    precision = transposed @ transposed.T
    scales = np.sqrt(np.concatenate([np.diag(cov), 1 / np.diag(precision)]))
    matrices = map(Rounded.of, (factor, transposed.T, precision))
    return Whitening(*matrices, 2 * np.log(np.diag(factor)).sum(), scales)


def condition_number(cov: Array) -> float:
    """λ_max/λ_min of a symmetric positive definite ``(d, d)`` matrix; ∞ where it is none in float64."""
    eigenvalues = np.linalg.eigvalsh((cov / np.abs(cov).max()).astype(np.float64))  # (d,), ascending
    return float(eigenvalues[-1] / eigenvalues[0]) if eigenvalues[0] > 0 else np.inf


def _cholesky(cov: Array, name: str) -> Array:
    factor = np.zeros_like(cov)  # (d, d)
    for j in range(len(cov)):
        column = cov[j:, j] - factor[j:, :j] @ factor[j, :j]  # (d - j,)
        if not column[0] > 0:
            raise ValueError(f"{name} must be positive definite, got pivot {float(column[0]):.3g} in row {j}")
        factor[j:, j] = column / np.sqrt(column[0])
    return factor


def _invert_lower(factor: Array) -> Array:
    """(L⁻¹)ᵀ, a column at a time: every product then runs along rows of memory."""
    transposed = np.eye(len(factor), dtype=factor.dtype)  # (d, d)
    for i in range(len(factor)):
        column = transposed[:, i] - transposed[:, :i] @ factor[i, :i]  # (d,)
        transposed[:, i] = column / factor[i, i]
    return transposed
