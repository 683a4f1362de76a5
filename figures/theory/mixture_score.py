"""Implicit score matching finds the score of a mixture from samples alone."""

from __future__ import annotations

import numpy as np

import npscore as ns
from figures.common import options, write
from figures.theory._mixture import DENSITY, LIMITS, draw_contours, grid, relative_loss
from npscore.plots import draw_score_field, new_figure


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
