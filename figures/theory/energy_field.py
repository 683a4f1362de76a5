"""A free field against an energy on the same data: what a network with d outputs cannot promise is no circulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from figures.theory._mixture import DENSITY, LIMITS, draw_contours, grid, relative_loss
from npscore.plots import DATA, MODEL, new_figure

CENTRE = np.array([-0.4, 0.2])  # of the loops, between the three hills
RADII = np.linspace(0.1, 3.0, 30)


def circulation(score: Callable[[Any], Any], radius: float, steps: int = 720) -> float:
    """∮ s·dx around a circle, by the trapezoid rule."""
    angle = 2 * np.pi * np.arange(steps) / steps
    normal = np.column_stack([np.cos(angle), np.sin(angle)])
    tangent = np.column_stack([-normal[:, 1], normal[:, 0]])
    return float(2 * np.pi * radius / steps * (score(CENTRE + radius * normal) * tangent).sum())  # eq-15.14


def curl(model: Any, x: np.ndarray) -> np.ndarray:
    """∂s₂/∂x₁ − ∂s₁/∂x₂, (n,)."""
    J = model.jacobian(x)
    return J[:, 1, 0] - J[:, 0, 1]


def flux(model: Any, radius: float, order: int) -> float:
    """The integral of the curl over the disc: what Stokes says the circulation is."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    r, w = 0.5 * radius * (nodes + 1), 0.5 * radius * weights
    angle = 2 * np.pi * np.arange(2 * order) / (2 * order)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    x = CENTRE + (r[:, None, None] * circle).reshape(-1, 2)
    return float(np.repeat(w * r, 2 * order) @ curl(model, x) * np.pi / order)  # eq-15.15


def fitted(model: Any, x: np.ndarray, steps: int) -> Any:
    run = ns.fit(model, x, "ism", steps=steps, batch_size=256, learning_rate=4e-3, validation=0.1, rng=2)
    return run.model


def draw_curl(axes: Any, model: Any, title: str, size: int) -> Any:
    gx, gy, points = grid(size)
    image = axes.pcolormesh(
        gx, gy, curl(model, points).reshape(gx.shape), vmin=-1, vmax=1, cmap="PuOr", shading="auto"
    )
    draw_contours(axes, "black")
    for radius in (1.0, 2.0, 3.0):
        angle = np.linspace(0, 2 * np.pi, 200)
        axes.plot(CENTRE[0] + radius * np.cos(angle), CENTRE[1] + radius * np.sin(angle), ":k", lw=0.8)
    axes.set(xlabel="x₁", title=title, xlim=LIMITS[0], ylim=LIMITS[1])
    return image


def main() -> None:
    arguments = options(__doc__)
    n, steps, hidden, size = (300, 40, 12, 30) if arguments.quick else (20_000, 3000, 40, 90)
    x = DENSITY.sample(n, rng=0)
    models = {
        "MLP, two outputs": fitted(ns.MLP.init((2, hidden, hidden, 2), rng=1), x, steps),
        "EnergyMLP": fitted(ns.EnergyMLP.init((2, hidden, hidden, 1), rng=1, confinement=4.0), x, steps),
    }
    figure = new_figure(12, 3.9)
    panels = figure.subplots(1, 3, width_ratios=(1, 1, 1.1))
    numbers: dict[str, Any] = {"claim": "", "samples": n, "radii": RADII.tolist()}
    for axes, colour, (name, model) in zip(panels, (MODEL, DATA), models.items()):
        image = draw_curl(axes, model, f"{name}: ∂s₂/∂x₁ − ∂s₁/∂x₂", size)
        around = [circulation(model.score, radius) for radius in RADII]
        numbers[name] = {
            "relative_loss": relative_loss(model.score),
            "circulation": around,
            "flux_of_curl": [flux(model, radius, 120) for radius in RADII],
            "largest_curl": float(np.abs(curl(model, grid(size)[2])).max()),
        }
        panels[2].semilogy(RADII, np.maximum(np.abs(around), 1e-18), "o-", ms=3, color=colour, label=name)
    panels[0].set_ylabel("x₂  (contours: the true log p)", fontsize=8)
    figure.colorbar(image, ax=panels[:2], extend="both", shrink=0.8)
    panels[2].set(
        xlabel="radius of the loop (dotted: 1, 2, 3)",
        ylabel="|∮ s·dx|",
        title="Around a loop",
        ylim=(1e-18, 10),
    )
    panels[2].legend(loc="center right", fontsize=9)
    free, bound = (np.abs(numbers[name]["circulation"]).max() for name in models)
    losses = " and ".join(f"{numbers[name]['relative_loss']:.2%}" for name in models)
    numbers["claim"] = (
        f"largest circulation {free:.2g} for the free field, {bound:.0e} for the energy; E|error|^2 is {losses}"
    )
    write(figure, numbers, arguments.out, "energy_field")


if __name__ == "__main__":
    main()
