"""On rounded data the ISM loss has no floor: the model learns the grid. Noise of about a grid step cures it."""

from __future__ import annotations

import warnings

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.plots import DATA, GAUSSIAN, MODEL, new_figure

CASES = {"no jitter": (0.0, MODEL), "jitter 0.25 steps": (0.25, DATA), "jitter 0.75 steps": (0.75, GAUSSIAN)}


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    return np.convolve(values, np.ones(width) / width, mode="valid")


def main() -> None:
    arguments = options(__doc__)
    steps = 100 if arguments.quick else 4000
    rng = np.random.default_rng(0)
    waiting = np.rint(60 + 4 * rng.standard_normal((2000, 1)))  # minutes, rounded to whole ones
    mean, scale = waiting.mean(), waiting.std()
    x, grid = (waiting - mean) / scale, 1 / scale
    figure = new_figure(10, 4)
    losses, scores = figure.subplots(1, 2)
    at = np.linspace(56, 64, 801)[:, None]
    numbers = {}
    for name, (share, colour) in CASES.items():
        model = ns.MLP.init((1, 64, 64, 1), rng=1)
        first = model.layers[0].weight
        theta = model.theta.copy()
        theta[: first.size] *= 10  # wide input weights, so that a minute is not too fine to see
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ns.datasets.RoundedDataWarning)
            run = ns.fit(
                model.with_theta(theta),
                x,
                steps=steps,
                batch_size=256,
                learning_rate=3e-3,
                jitter=share * grid,
                rng=2,
            )
        width = max(1, steps // 100)
        losses.plot(run.history.step[width - 1 :], smooth(run.history.loss, width), color=colour, label=name)
        score = run.model.score((at - mean) / scale) / scale
        scores.plot(at, score, color=colour, label=name)
        numbers[name] = {
            "loss_at_quarter": float(run.history.loss[steps // 4 - width : steps // 4].mean()),
            "loss_at_end": float(run.history.loss[-width:].mean()),
            "largest_score": float(np.abs(score).max()),
        }
    losses.set(
        xlabel="step",
        ylabel="training ISM",
        title="Without noise the loss has no floor (only the rate runs out)",
    )
    losses.set_yscale("symlog")
    losses.legend(fontsize=8)
    scores.plot(at, -(at - mean) / scale**2, color="black", ls=":", lw=1, label="truth, Gaussian")
    scores.set(
        xlabel="minutes (data: whole minutes)",
        ylabel="learned score (1/min)",
        title="… because the score learns the grid",
    )
    scores.set_yscale("symlog")
    scores.legend(fontsize=8)
    numbers["claim"] = "training ISM at the end: " + ", ".join(
        f"{name} {numbers[name]['loss_at_end']:.2f}" for name in CASES
    )
    write(figure, numbers, arguments.out, "rounded_data")


if __name__ == "__main__":
    main()
