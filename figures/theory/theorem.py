"""The theorem: over many networks, implicit against explicit score matching is a line of slope one (2.3)."""

from __future__ import annotations

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.cli.verify import theorem_identities
from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

COVS = [[[0.4, 0.1], [0.1, 0.3]], [[0.5, -0.2], [-0.2, 0.4]]]
DENSITIES = {  # name: density, quadrature nodes a dimension, colour, marker
    "Gaussian": (ns.targets.Gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 1.5]]), 160, DATA, "o"),
    "mixture": (ns.targets.GaussianMixture([0.4, 0.6], [[-1.5, 0.0], [1.2, 0.8]], COVS), 120, MODEL, "s"),
    "Student t, ν = 9": (ns.targets.StudentT([0.0, 0.5], [[4.0, 1.0], [1.0, 3.0]], 9.0), 320, GAUSSIAN, "^"),
}


def networks(count: int) -> list[ns.MLP]:
    """Random networks with one, two and three hidden layers, the last one growing so that losses differ."""
    shapes = [(2, 8, 2), (2, 6, 5, 2), (2, 5, 4, 5, 2)]
    models = []
    for seed, scale in enumerate(np.linspace(0.5, 5.0, count)):
        *inner, (weight, bias) = ns.MLP.init(shapes[seed % 3], rng=seed).layers
        inner = [(0.6 * W, b) for W, b in inner]  # gentle slopes: the quadrature then has digits to spare
        models.append(ns.MLP([*inner, (scale * weight, scale * bias)]))
    return models


def main() -> None:
    arguments = options(__doc__)
    count = 3 if arguments.quick else 24
    figure = new_figure(10, 4.2)
    losses, gaps = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.15, 1]})
    numbers = {"claim": "", "networks": count}
    for name, (density, order, colour, marker) in DENSITIES.items():
        rows = theorem_identities(density, networks(count), 30 if arguments.quick else order)
        explicit, implicit = np.array([[row.esm, row.ism] for row in rows]).T  # (count,) each
        constant = rows[0].constant
        slope, intercept = np.polyfit(explicit, implicit, 1)
        ends = np.array([0.0, explicit.max() * 1.05])
        losses.plot(ends, ends + constant, color=GREY, lw=0.9, zorder=1)
        losses.plot(explicit, implicit, marker, color=colour, ms=4.5, label=f"{name}, C = {constant:.3f}")
        gap = np.array([row.gap for row in rows])
        gaps.semilogy(explicit, np.maximum(gap, 1e-17), marker, color=colour, ms=4.5)
        numbers[name] = {
            "slope": slope,
            "intercept": intercept,
            "constant": constant,
            "largest_gap": gap.max(),
            "largest_gradient_gap": max(row.gradient_gap for row in rows),
            "esm": explicit.tolist(),
            "ism": implicit.tolist(),
        }
    losses.set(xlabel="J_ESM  (needs the true score)", ylabel="J_ISM  (needs only the model)")
    losses.set_title("J_ISM = J_ESM + C: slope one (grey)")
    losses.legend(fontsize=9, loc="upper left")
    gaps.axhline(np.finfo(float).eps, color="black", ls=":", lw=1)
    gaps.text(0.98, 0.93, "(0 is drawn at 1e−17)", transform=gaps.transAxes, ha="right", fontsize=9)
    gaps.set(xlabel="J_ESM", ylabel="|J_ISM − J_ESM − C|", ylim=(5e-18, 1e-8))
    widest = max(numbers[name]["largest_gap"] for name in DENSITIES)
    gaps.set_title(f"… to {widest:.0e} (dotted: machine epsilon)")
    worst = max(abs(numbers[name]["slope"] - 1) for name in DENSITIES)
    numbers["claim"] = f"{count} networks, three densities: the slope is 1 to {worst:.0e}"
    write(figure, numbers, arguments.out, "theorem")


if __name__ == "__main__":
    main()
