"""Implicit score matching finds the score of a mixture from samples alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.plots import draw_score_field, new_figure

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


def main() -> None:
    arguments = options(__doc__)
    n, steps, hidden = (300, 60, 16) if arguments.quick else (40_000, 3000, 40)
    x = DENSITY.sample(n, rng=0)
    model = ns.MLP.init((2, hidden, hidden, 2), rng=1)
    run = ns.fit(model, x, "ism", steps=steps, batch_size=256, learning_rate=4e-3, validation=0.1, rng=2)
    gaussian = ns.LinearScore.fit(x)
    figure = new_figure(11, 3.9)
    truth, learned, error = figure.subplots(1, 3, sharey=True)
    draw_score_field(truth, DENSITY.score, *LIMITS, arrows=17)
    draw_score_field(learned, run.model.score, *LIMITS, arrows=17)
    gx, gy, points = grid(60)
    distance = np.sqrt(((run.model.score(points) - DENSITY.score(points)) ** 2).sum(axis=1))
    image = error.pcolormesh(
        gx, gy, distance.reshape(gx.shape), vmin=0, vmax=3, cmap="cividis", shading="auto"
    )
    figure.colorbar(image, ax=error, label="|learned − true|", extend="max")
    titles = ("The true score", f"Learned by ISM from {n:,} samples", "It errs where data is rare")
    for axes, title in zip((truth, learned, error), titles):
        draw_contours(axes, "white" if axes is error else "black")
        axes.set(xlabel="x₁", title=title, xlim=LIMITS[0], ylim=LIMITS[1])
    truth.set_ylabel("x₂  (contours: log p, 0.5, 2, 4, 8 below the top)", fontsize=8)
    numbers = {
        "claim": "",
        "samples": n,
        "relative_loss_network": relative_loss(run.model.score),
        "relative_loss_gaussian": relative_loss(gaussian.score),
    }
    share, linear = numbers["relative_loss_network"], numbers["relative_loss_gaussian"]
    numbers["claim"] = f"E|learned - true|^2 / E|true|^2 = {share:.1%} (best Gaussian: {linear:.0%})"
    write(figure, numbers, arguments.out, "mixture_score")


if __name__ == "__main__":
    main()
