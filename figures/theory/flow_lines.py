"""A mixture in one dimension between data and noise: the probability flow, ancestral paths, and the score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore import diffusion
from npscore.plots import MODEL, new_figure

SHARES, MEANS, VARIANCES = (
    np.array([0.25, 0.45, 0.3]),
    np.array([-1.6, 0.1, 1.7]),
    np.array([0.02, 0.06, 0.03]),
)
DENSITY = ns.targets.GaussianMixture(SHARES, MEANS[:, None], VARIANCES[:, None, None])
SCHEDULE, LOW, HIGH = diffusion.EDM(), 0.02, 20.0
SPREAD = float(DENSITY.cov[0, 0])


def score_at(t: float) -> Any:
    """The score of the data with noise t."""
    return DENSITY.diffused(1.0, t).score


def below(x: np.ndarray, t: float) -> np.ndarray:
    """The probability of values below x (n,) at noise t."""
    z = (x[:, None] - MEANS) / np.sqrt(2 * (VARIANCES + t * t))
    return 0.5 * (1 + np.vectorize(math.erf)(z)) @ SHARES


def quantiles(shares: np.ndarray, t: float) -> np.ndarray:
    """Where ``below`` has these values, by bisection."""
    low, high = np.full(len(shares), -10.0 - 6 * t), np.full(len(shares), 10.0 + 6 * t)
    for _ in range(80):
        middle = 0.5 * (low + high)
        under = below(middle, t) < shares
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return low


def scale(t: Any) -> Any:
    """The standard deviation at noise t: the unit of the vertical axis."""
    return np.sqrt(SPREAD + np.square(t))


def draw_density(axes: Any) -> None:
    """log p_t over log t, in units of the standard deviation at t, each column from its own top."""
    levels, y = np.geomspace(LOW, HIGH, 160), np.linspace(-2.6, 2.6, 200)
    columns = [DENSITY.diffused(1.0, t).log_prob(scale(t) * y[:, None]) for t in levels]
    heights = np.stack([column - column.max() for column in columns], axis=1)
    axes.pcolormesh(levels, y, heights, vmin=-6, vmax=2.5, cmap="Blues", shading="auto", rasterized=True)


def draw_arrows(axes: Any) -> None:
    """The sign and size of t s(x, t), at points where there is some probability."""
    levels, y = np.geomspace(1.3 * LOW, HIGH / 1.3, 13), np.linspace(-2.3, 2.3, 18)
    for t in levels:
        p_t = DENSITY.diffused(1.0, t)
        x = scale(t) * y[:, None]
        s = t * p_t.score(x)[:, 0]
        shown = s / (0.5 + np.abs(s))  # long ones shortened
        axes.quiver(np.full(len(y), t), y, 0 * y, shown, color="#333333", scale=30, width=0.0018)


def main() -> None:
    arguments = options(__doc__)
    n, steps = (200, 40) if arguments.quick else (20_000, 400)
    levels = np.geomspace(HIGH, LOW, steps + 1)
    shares = np.linspace(0.02, 0.98, 25)
    start = quantiles(shares, HIGH)
    flow = diffusion.sample(
        score_at, diffusion.edm(SCHEDULE, levels), start[:, None], record_every=1, progress=False
    )
    lines = np.concatenate([start[None], flow.trajectory[:, :, 0]])  # (steps + 1, 25)
    moved = max(
        np.abs(below(x, t) - shares).max() for x, t in zip(lines[:: steps // 20], levels[:: steps // 20])
    )
    table = diffusion.ancestral(SCHEDULE, levels)
    x_T = DENSITY.diffused(1.0, HIGH).sample(n, rng=0)
    chains = diffusion.sample(score_at, table, x_T, rng=1, record_every=1, progress=False)
    paths = np.concatenate([x_T[None, :4, 0], chains.trajectory[:, :4, 0]])
    u = np.sort(below(chains.x[:, 0], LOW))
    ranks = np.arange(1, n + 1) / n
    distance = float(np.maximum(np.abs(u - ranks), np.abs(u - ranks + 1 / n)).max())
    figure = new_figure(9.5, 4.6)
    axes = figure.subplots()
    draw_density(axes)
    draw_arrows(axes)
    unit = scale(levels)[:, None]
    axes.plot(levels, lines / unit, color="black", lw=0.7)
    for j, colour in enumerate((MODEL, "#CC79A7", "#E69F00")):
        axes.plot(levels, paths[:, j] / unit[:, 0], color=colour, lw=1.1)
    axes.set(xscale="log", xlim=(LOW, HIGH), ylim=(-2.6, 2.6))
    axes.set(xlabel="noise σ  (data on the left, noise on the right)", ylabel="x / standard deviation at σ")
    axes.set_title("Lines: the probability flow. Jagged: ancestral paths. Arrows: σ s(x, σ)")
    numbers = {
        "claim": f"each flow line keeps its share of probability to {moved:.1e}; {n:,} ancestral chains end within "
        f"{distance:.3f} of the data's distribution",
        "steps": steps,
        "chains": n,
        "share_below_each_line": shares.tolist(),
        "largest_change_of_a_share": float(moved),
        "kolmogorov_distance_of_the_chains": distance,
        "ends_of_the_lines": lines[-1].tolist(),
        "quantiles_of_the_data": quantiles(shares, LOW).tolist(),
    }
    write(figure, numbers, arguments.out, "flow_lines")


if __name__ == "__main__":
    main()
