"""Separate modes: Langevin with the score of the data keeps the shares it started with, a diffusion learns them."""

from __future__ import annotations

from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore import diffusion
from npscore.plots import DATA, GREY, MODEL, new_figure

SHARES = np.array([0.1, 0.3, 0.6])
MEANS = np.array([[-4.0, -2.5], [4.0, -2.5], [0.0, 4.5]])
COVS = [[[0.5, 0.2], [0.2, 0.3]], [[0.3, 0.0], [0.0, 0.6]], [[0.8, -0.3], [-0.3, 0.4]]]
DENSITY = ns.targets.GaussianMixture(SHARES, MEANS, COVS)
SIGMA_DATA = float(np.sqrt(np.trace(DENSITY.cov) / 2))


def shares(x: np.ndarray) -> np.ndarray:
    """The share of the rows that is nearest to each mode, (3,)."""
    nearest = ((x[:, None] - MEANS) ** 2).sum(axis=2).argmin(axis=1)
    return np.bincount(nearest, minlength=3) / len(x)


def trained(x: np.ndarray, steps: int, hidden: int) -> diffusion.DiffusionScore:
    """One network for every noise level, in EDM's form, fitted to rows."""
    schedule = diffusion.EDM()
    net = ns.MLP.init((2, hidden, hidden, 2), "silu", condition=1, rng=1)
    model = diffusion.DiffusionScore(net, schedule, "edm", sigma_data=SIGMA_DATA)
    levels = diffusion.LogNormal(0.0, 1.5)
    objective = diffusion.Denoising(schedule, "edm", levels, sigma_data=SIGMA_DATA)
    run = ns.fit(model, x, objective, steps=steps, batch_size=256, learning_rate=5e-3, rng=2, progress=False)
    return run.model


def draw(axes: Any, x: np.ndarray, colour: str, title: str) -> None:
    """Rows, and at each mode its share in them."""
    axes.plot(*x[:1500].T, ".", color=colour, ms=2, alpha=0.5)
    for mean, share in zip(MEANS, shares(x)):
        axes.text(mean[0], mean[1] - 2.6, f"{share:.0%}", ha="center", fontsize=11)
    axes.set(title=title, xlim=(-8, 8), ylim=(-7, 8), xlabel="x₁", aspect="equal")


def main() -> None:
    arguments = options(__doc__)
    n, steps, hidden, moves = (500, 150, 16, 200) if arguments.quick else (10_000, 6000, 64, 4000)
    levels_down = 8 if arguments.quick else 60
    x, start = DENSITY.sample(n, rng=0), 5.0 * np.random.default_rng(3).standard_normal((n, 2))
    langevin = ns.langevin(DENSITY.score, start, 0.05, moves, rng=4, progress=False).x
    model = trained(DENSITY.sample(10 * n, rng=5), steps, hidden)
    levels = diffusion.karras_sigmas(19, 0.01, 40.0)
    x_T = diffusion.prior_sample(model.schedule, levels[0], n, 2, rng=6)
    heun = diffusion.sample(model, diffusion.edm(model.schedule, levels), x_T, rng=7, progress=False).x
    anneal = diffusion.annealed_langevin(
        model.schedule, np.geomspace(40.0, 0.1, levels_down), 1e-3, n_each=20
    )
    annealed = diffusion.sample(model, anneal, x_T, rng=8, progress=False).x
    found = {
        "Langevin, exact score of the data": langevin,
        "Annealed Langevin, one network": annealed,
        "18 Heun steps, the same network": heun,
    }
    figure = new_figure(11.5, 3.5)
    panels = figure.subplots(1, 4, sharey=True)
    draw(panels[0], x, GREY, "Data")
    for axes, (name, rows), colour in zip(panels[1:], found.items(), (DATA, MODEL, MODEL)):
        draw(axes, rows, colour, name.replace(", ", ",\n"))
    panels[0].set_ylabel("x₂")
    fresh = DENSITY.sample(n, rng=9)
    numbers = {
        "claim": "",
        "samples": n,
        "true_shares": SHARES.tolist(),
        "shares": {name: shares(rows).tolist() for name, rows in found.items()},
        "shares_of_the_start": shares(start).tolist(),
        "energy_distance": {
            name: ns.diagnostics.energy_distance(rows[:2000], fresh[:2000]) for name, rows in found.items()
        },
    }
    off = {name: np.abs(np.array(found) - SHARES).max() for name, found in numbers["shares"].items()}
    first, *_, last = off.values()
    numbers["claim"] = f"shares off by up to {first:.0%} with Langevin, {last:.1%} with the diffusion"
    write(figure, numbers, arguments.out, "separate_modes")


if __name__ == "__main__":
    main()
