"""Gradient ascent finds the modes and loses the rest; Langevin's noise restores the density (1.2, 1.3)."""

from __future__ import annotations

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.diagnostics import energy_distance
from npscore.plots import DATA, GREY, MODEL, new_figure

COVS = [[[0.8, 0.3], [0.3, 0.6]], [[0.5, -0.2], [-0.2, 0.9]]]
DENSITY = ns.targets.GaussianMixture([0.35, 0.65], [[-1.4, -0.6], [1.2, 0.5]], COVS)
LIMITS = ((-4.5, 4.0), (-3.6, 4.0))
STEP = 0.05


def distinct(points: np.ndarray) -> np.ndarray:
    """The different rows, two being the same where they agree to three decimals."""
    return np.unique(points.round(3) + 0.0, axis=0)


def main() -> None:
    arguments = options(__doc__)
    n, n_steps = (200, 100) if arguments.quick else (2000, 1500)
    start = 3.0 * np.random.default_rng(0).standard_normal((n, 2))
    ascent = ns.gradient_ascent(DENSITY.score, start, STEP, 20 * n_steps, tol=1e-8)
    chains = ns.langevin(DENSITY.score, start, STEP, n_steps, rng=1)
    exact = DENSITY.sample(n, rng=2)
    figure = new_figure(11, 3.9)
    left, middle, right = figure.subplots(1, 3)
    gx, gy = np.meshgrid(np.linspace(*LIMITS[0], 120), np.linspace(*LIMITS[1], 120))
    log_p = DENSITY.log_prob(np.column_stack([gx.ravel(), gy.ravel()])).reshape(gx.shape)
    levels = log_p.max() - np.array([8.0, 4.0, 2.0, 0.5])
    for axes, points, colour, size in ((left, ascent.x, MODEL, 11), (middle, chains.x, DATA, 2)):
        axes.contour(
            gx, gy, log_p, levels=levels, colors="black", linewidths=0.7, linestyles="solid", zorder=3
        )
        axes.plot(*start[:300].T, ".", color=GREY, ms=3, alpha=0.6, label="start (300 of them)")
        axes.plot(*points.T, ".", color=colour, ms=size, alpha=1 if axes is left else 0.5, label="end")
        axes.set(xlim=LIMITS[0], ylim=LIMITS[1], xlabel="x₁", ylabel="x₂")
        axes.legend(fontsize=8, loc="upper left", markerscale=1 if axes is left else 3)
    modes = distinct(ascent.x)
    left.set_title(f"Ascent: {n:,} chains on {len(modes)} points")
    middle.set_title(f"Langevin, α = {STEP}: the density")
    bins = np.linspace(*LIMITS[0], 50)
    right.hist(chains.x[:, 0], bins, density=True, color=DATA, alpha=0.55, label="Langevin")
    grid = np.linspace(*LIMITS[0], 300)[:, None]
    marginal = ns.targets.GaussianMixture([0.35, 0.65], [[-1.4], [1.2]], [[[0.8]], [[0.5]]])
    right.plot(grid, np.exp(marginal.log_prob(grid)), color="black", lw=1.2, label="truth")
    for mode in modes:
        right.axvline(mode[0], color=MODEL, lw=2)
    right.plot([], [], color=MODEL, lw=2, label="ascent")
    right.set(xlabel="x₁", ylabel="density", title="The first coordinate")
    right.legend(fontsize=8, loc="upper left")
    distances = {
        "ascent": energy_distance(ascent.x, exact, unbiased=True),
        "langevin": energy_distance(chains.x, exact, unbiased=True),
        "exact samples": energy_distance(DENSITY.sample(n, rng=3), exact, unbiased=True),
    }
    numbers = {
        "claim": f"ascent ends in {len(modes)} points; Langevin's energy distance to exact samples is "
        f"{distances['langevin']:.4f}, ascent's {distances['ascent']:.2f}",
        "chains": n,
        "ascent_converged": int(ascent.n_converged),
        "ascent_end_points": modes.tolist(),
        "cov_ascent": np.cov(ascent.x.T).tolist(),
        "cov_langevin": np.cov(chains.x.T).tolist(),
        "cov_truth": np.asarray(DENSITY.cov, dtype=float).tolist(),
        "energy_distance": distances,
    }
    write(figure, numbers, arguments.out, "ascent_and_langevin")


if __name__ == "__main__":
    main()
