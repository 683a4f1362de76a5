"""The exact law of kinetic Langevin on a Gaussian: what a correct scheme must reproduce, whatever its letters.

On N(μ, Σ) the score is −Σ⁻¹(x − μ), and every letter of a scheme maps (x − μ, p) linearly, O with noise added. In the
eigenbasis of Σ the pairs (xᵢ − μᵢ, pᵢ) do not know of each other: a letter is a (2, 2) matrix M and the covariance Q of
what it adds,

    A: M = [[1, t], [0, 1]],   B: M = [[1, 0], [−t/λ, 1]],   O: M = [[1, 0], [0, c]], Q = diag(0, 1 − c²),

and one after the other are M₂M₁ and Q₂ + M₂Q₁M₂ᵀ, so that n steps are had by squaring. A step may be tiny and n
huge: then M = I + D is kept as D, and (I + D)² = I + (2D + D²) loses nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._run.borders import Array, as_count, as_positive, as_shaped
from .._run.scale import as_float64
from .kinetic import Letter, as_friction, as_letters
from .langevin_law import as_semidefinite, spectrum


class KineticLaw(NamedTuple):
    """Mean and covariance of a chain's (x, p), the d coordinates of x first."""

    mean: Array  # (2d,)
    cov: Array  # (2d, 2d)


class AffineMap(NamedTuple):
    """y ← (I + D) y + noise of covariance Q, for each eigenvalue."""

    D: Array  # (d, 2, 2)
    Q: Array  # (d, 2, 2)


def kinetic_law(
    mean: Any,
    cov: Any,
    mean0: Any,
    cov0: Any,
    step: float,
    friction: float,
    n_steps: int,
    scheme: str = "BAOAB",
) -> KineticLaw:
    """Exact mean and covariance of (x, p) after ``n_steps`` kinetic Langevin steps on N(mean, cov).

    ``mean`` (d,) and ``cov`` (d, d), positive definite, are those of the density. ``mean0`` (2d,) and ``cov0``
    (2d, 2d), positive semidefinite, are those of the start (x, p), the d coordinates of x first. ``step``,
    ``friction`` and ``scheme`` are as in ``kinetic_step``. Any n_steps ≥ 0 costs O(d³ + d log n_steps). Right for a
    start of any law with these moments. Computed and returned in float64.

    Raises TypeError or ValueError for a wrong argument, and where the law is beyond the largest float: the usual
    schemes are stable for step < 2 √λ_min(cov).
    """
    eigenvalues, u = spectrum(cov)  # (d,), (d, d)
    d = len(eigenvalues)
    mean = as_float64(as_shaped(mean, "mean", (d,)), "mean")
    mean0 = as_float64(as_shaped(mean0, "mean0", (2 * d,)), "mean0")
    cov0 = as_semidefinite(cov0, "cov0", 2 * d)
    letters = as_letters(scheme, as_positive(step, "step"), as_friction(friction), np.dtype(np.float64))
    n_steps = as_count(n_steps, "n_steps", minimum=0)
    centre, basis = np.append(mean, np.zeros(d)), np.kron(np.eye(2), u)  # (2d,), (2d, 2d)
    with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
        D, Q = map(_as_matrix, after(n_steps, one_step(letters, eigenvalues)))  # (2d, 2d)
        deviation, start = basis.T @ (mean0 - centre), basis.T @ cov0 @ basis
        mean_t = mean0 + basis @ (D @ deviation)  # eq-16.11
        moved = start + D @ start
        cov_t = basis @ (moved + moved @ D.T + Q) @ basis.T  # eq-16.11
        cov_t = 0.5 * cov_t + 0.5 * cov_t.T
    if not (np.isfinite(mean_t).all() and np.isfinite(cov_t).all()):
        raise ValueError(
            f"step must keep the law after {n_steps} steps finite, got {step}: the usual schemes are stable below "
            f"2 sqrt(lambda_min(cov)) = {2 * np.sqrt(eigenvalues[0]):.6g}"
        )
    return KineticLaw(mean_t, cov_t)


def one_step(letters: list[Letter], eigenvalues: Array) -> AffineMap:
    """A whole scheme as one map, the first letter first."""
    step = _identity(len(eigenvalues))
    for letter in letters:
        step = _then(step, _of_letter(letter, eigenvalues))
    return step


def after(n_steps: int, step: AffineMap) -> AffineMap:
    """``n_steps`` times the same map, by squaring."""
    result = _identity(len(step.D))
    for bit in bin(n_steps)[2:]:
        result = _then(result, result)
        if bit == "1":
            result = _then(result, step)
    return result


def _of_letter(letter: Letter, eigenvalues: Array) -> AffineMap:
    D, Q = _identity(len(eigenvalues))
    if letter.name == "A":
        D[:, 0, 1] = letter.factor
    elif letter.name == "B":
        D[:, 1, 0] = -letter.factor / eigenvalues
    else:
        D[:, 1, 1], Q[:, 1, 1] = letter.less, letter.noise**2
    return AffineMap(D, Q)  # eq-16.10


def _then(first: AffineMap, second: AffineMap) -> AffineMap:
    """One map after another."""
    moved = first.Q + second.D @ first.Q
    Q = moved + moved @ second.D.swapaxes(1, 2) + second.Q
    return AffineMap(first.D + second.D + second.D @ first.D, Q)


def _identity(d: int) -> AffineMap:
    return AffineMap(np.zeros((d, 2, 2)), np.zeros((d, 2, 2)))


def _as_matrix(blocks: Array) -> Array:
    """(d, 2, 2) as one (2d, 2d) matrix, its first half the positions."""
    d = len(blocks)
    matrix = np.zeros((2, d, 2, d))
    matrix[:, range(d), :, range(d)] = blocks
    return matrix.reshape(2 * d, 2 * d)
