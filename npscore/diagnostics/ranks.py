"""Draws replaced by what has every moment: their normal scores, and whether they are below a quantile."""

from __future__ import annotations

import numpy as np

from .._run.borders import Array


def normal_scores(draws: Array) -> Array:
    """Φ⁻¹((r − 3/8)/(N + 1/4)), r the rank of a draw among all N of its coordinate; (t, n_chains, d) as given."""
    from scipy.special import ndtri  # here, so that the rest needs NumPy alone

    ranks = np.stack([_ranks(column) for column in draws.reshape(-1, draws.shape[2]).T], axis=-1)  # (N, d)
    return ndtri((ranks - 0.375) / (len(ranks) + 0.25)).reshape(draws.shape)  # eq-9.18


def folded(draws: Array) -> Array:
    """|x − median|, coordinate by coordinate."""
    return np.abs(draws - np.median(draws, axis=(0, 1)))


def below(draws: Array, probability: float) -> Array:
    """1 where a draw is at most the quantile of all draws of its coordinate, else 0."""
    return (draws <= np.quantile(draws, probability, axis=(0, 1))).astype(np.float64)


def _ranks(values: Array) -> Array:
    """1 … N from the smallest up; equal values share the mean of their ranks."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # the rank of the last of each
    return (last - 0.5 * (counts - 1))[position.reshape(-1)]
