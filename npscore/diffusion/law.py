"""The exact law of a sampler's table on Gaussian data: mean and covariance after every row.

If x_t is Gaussian the score s(x, t) = P_t (m_t − x) is affine, and so is everything read off it. A row
x ← A x + B o(x, t) + N z with o(x) = K x + k then maps a Gaussian to a Gaussian:

    m′ = M m + B k,   C′ = M C Mᵀ + N² I,   M = A I + B K,

and rows of two evaluations are two such maps, one after the other. Correct samplers have this law to rounding, whatever
the model is that they are given; wrong coefficients have another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._run.borders import as_array, as_callable, as_shaped
from .forms import factors
from .rows import AnyRow, CorrectorRow, HeunRow
from .schedule import Array
from .tables import SamplerTable


class Law(NamedTuple):
    """Mean (rows, d) and covariance (rows, d, d) after each row, the last row last."""

    mean: Array
    cov: Array


class Affine(NamedTuple):
    """x ↦ K x + k."""

    K: Array
    k: Array


def law(table: SamplerTable, target_at: Callable[[Any], Any], mean: Any, cov: Any) -> Law:
    """Mean and covariance of the chains after every row of a table, for Gaussian data, from N(mean, cov).

    ``target_at(t)`` returns the Gaussian of x_t, as ``lambda t: p.diffused(schedule.alpha(t),
    schedule.sigma(t))`` does; ``mean`` is (d,), ``cov`` (d, d). Computed in float64.
    Raises TypeError or ValueError for a wrong argument, and ValueError
    for ``predictor_corrector``, whose steps depend on the chains: it has no law.
    """
    if not isinstance(table, SamplerTable):
        raise TypeError(
            f"table must be a sampler's table, such as ddim(schedule, times), got {type(table).__name__}"
        )
    as_callable(target_at, "target_at", "(t)")
    if any(isinstance(row, CorrectorRow) for row in table):
        raise ValueError("table must have a law, got predictor_corrector: its steps depend on all chains")
    mean = as_array(mean, "mean").astype(np.float64)
    d = len(mean) if mean.ndim == 1 else -1
    mean, cov = as_shaped(mean, "mean", (d,)), as_shaped(cov, "cov", (d, d)).astype(np.float64)
    output = _outputs(table, target_at)
    means, covs = [], []
    for row in table:
        mean, cov = _after(row, output, mean, cov)
        means.append(mean)
        covs.append(cov)
    return Law(np.array(means), np.array(covs))


def _outputs(table: SamplerTable, target_at: Callable[[Any], Any]) -> Callable[[Any], Affine]:
    """``t -> Affine`` of what the rows multiply, read off the Gaussian of x_t."""

    def output(t: Any) -> Affine:
        p, schedule = target_at(t), table.schedule
        alpha, sigma = np.float64(schedule.alpha(t)), np.float64(schedule.sigma(t))
        precision = np.linalg.inv(p.cov)
        score = Affine(-precision, precision @ p.mean)
        if table.of == "score":
            return score
        if alpha == 0 and table.of != "epsilon":  # x_t tells nothing of x₀: E[x₀ | x] is the data's mean
            x0 = Affine(np.zeros_like(precision), np.asarray(target_at(0).mean, dtype=np.float64))
            noise = Affine(-sigma * score.K, -sigma * score.k)
            mixed = {"x0": (0.0, 1.0), "v": (alpha, -sigma), "flow": (1.0, -1.0)}[table.of]
            return Affine(*(mixed[0] * e + mixed[1] * c for e, c in zip(noise, x0)))
        a, b, _ = factors("score", table.of, alpha, sigma)
        return Affine(a * np.eye(len(precision)) + b * score.K, b * score.k)

    return output


def _after(row: AnyRow, output: Callable[[Any], Affine], mean: Array, cov: Array) -> tuple[Array, Array]:
    """Mean and covariance after one row."""
    identity = np.eye(len(mean))
    o = output(row.t)
    if not isinstance(row, HeunRow):
        return _mapped(row.A * identity + row.B * o.K, row.B * o.k, row.N, mean, cov)
    mean, cov = row.L * mean, row.L**2 * cov + row.N**2 * identity  # y = L x + N z
    M, shift = row.A * identity + row.B * o.K, row.B * o.k  # x′ = M y + shift
    if not row.ends:
        end = output(row.s)
        second = row.E * identity + row.F * end.K
        M, shift = row.C * identity + row.D * o.K + second @ M, row.D * o.k + second @ shift + row.F * end.k
    return _mapped(M, shift, 0.0, mean, cov)


def _mapped(M: Array, shift: Array, noise: float, mean: Array, cov: Array) -> tuple[Array, Array]:
    return M @ mean + shift, M @ cov @ M.T + noise**2 * np.eye(len(mean))  # eq-14.15
