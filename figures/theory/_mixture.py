"""The mixture of three hills that two figures show, and how far a score is from its own."""

from __future__ import annotations

from typing import Any

import numpy as np

import npscore as ns

WEIGHTS = [0.3, 0.4, 0.3]
MEANS = [[-2.0, -1.0], [0.4, 1.6], [1.8, -1.4]]
COVS = [[[0.5, 0.2], [0.2, 0.4]], [[0.8, -0.2], [-0.2, 0.3]], [[0.4, 0.0], [0.0, 0.6]]]
DENSITY = ns.targets.GaussianMixture(WEIGHTS, MEANS, COVS)
LIMITS = ((-4.2, 4.2), (-3.6, 3.6))


def grid(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(size, size) coordinates and the (size², 2) points."""
    gx, gy = np.meshgrid(np.linspace(*LIMITS[0], size), np.linspace(*LIMITS[1], size))
    return gx, gy, np.column_stack([gx.ravel(), gy.ravel()])


def relative_loss(score: Any) -> float:
    """E|ŝ - s|² / E|s|², by quadrature: 0 is the truth, 1 is the model s = 0."""
    x, w = DENSITY.quadrature(60)
    s = DENSITY.score(x)
    return float(w @ ((score(x) - s) ** 2).sum(axis=1) / (w @ (s * s).sum(axis=1)))


def draw_contours(axes: Any, colour: str, size: int = 120) -> None:
    gx, gy, points = grid(size)
    log_p = DENSITY.log_prob(points).reshape(size, size)
    axes.contour(
        gx,
        gy,
        log_p,
        levels=log_p.max() - np.array([8, 4, 2, 0.5]),
        colors=colour,
        linewidths=0.6,
        linestyles="solid",
    )
