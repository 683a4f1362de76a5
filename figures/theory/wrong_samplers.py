"""Four wrong samplers of N(0, 1) and the right one: histograms of chains on the exact densities that they have."""

from __future__ import annotations

from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore import diffusion
from npscore.plots import DATA, GREY, MODEL, new_figure

SCHEDULE = diffusion.VE(0.01, 5.0, exact=True)
DENSITY = ns.targets.Gaussian([0.0], [[1.0]])
RATIO = float(1 + SCHEDULE.sigma(1.0) ** 2)  # v_T/λ, with λ = 1
#: Factors on the score and on the noise of the reverse SDE's rows, and the final variance over λ for small steps.
MISTAKES = {
    "the reverse SDE, right": (1.0, 1.0, 1.0),
    "noise √2 too large": (1.0, np.sqrt(2.0), 2 - 1 / RATIO),
    "score halved, noise kept": (0.5, 1.0, 1 + np.log(RATIO)),
    "score 1.5 times too large": (1.5, 1.0, 0.5 + 0.5 / RATIO**2),
    "noise left out": (1.0, 0.0, 1 / RATIO),
}


def score_at(t: float) -> Any:
    """The score at time t."""
    return DENSITY.diffused(1.0, SCHEDULE.sigma(t)).score


def spoilt(table: Any, on_score: float, on_noise: float) -> list[diffusion.Row]:
    """The rows of a table with two of their numbers multiplied."""
    return [row._replace(B=on_score * row.B, N=on_noise * row.N) for row in table]


def chains(rows: list[diffusion.Row], x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The states (n, 1) after all rows."""
    for row in rows:
        x = diffusion.step(score_at, x, row, rng.standard_normal(x.shape))
    return x


def final_variance(rows: list[diffusion.Row]) -> float:
    """The exact variance after all rows (eq. 14.15), from p_T."""
    variance = RATIO
    for row in rows:
        variance = (row.A - row.B / (1 + SCHEDULE.sigma(row.t) ** 2)) ** 2 * variance + row.N**2
    return float(variance)


def normal(x: np.ndarray, variance: float) -> np.ndarray:
    """The density of N(0, variance)."""
    return np.exp(-0.5 * x**2 / variance) / np.sqrt(2 * np.pi * variance)


def main() -> None:
    arguments = options(__doc__)
    n, steps = (500, 60) if arguments.quick else (40_000, 1000)
    table = diffusion.reverse_sde(SCHEDULE, np.linspace(1, 0, steps + 1))
    rng = np.random.default_rng(0)
    figure = new_figure(12, 2.9)
    panels = figure.subplots(1, 5, sharey=True)
    rows_shown, grid = {}, np.linspace(-5.5, 5.5, 400)
    for axes, (name, (on_score, on_noise, limit)) in zip(panels, MISTAKES.items()):
        rows = spoilt(table, on_score, on_noise)
        x = chains(rows, np.sqrt(RATIO) * rng.standard_normal((n, 1)), rng)
        exact, found = final_variance(rows), float((x**2).mean())
        axes.hist(x[:, 0], bins=np.linspace(-5.5, 5.5, 67), density=True, color=GREY, alpha=0.5)
        axes.plot(grid, normal(grid, exact), color=MODEL, lw=1.5, label="exact law of these steps")
        axes.plot(grid, normal(grid, 1.0), color=DATA, lw=1.2, ls="--", label="N(0, 1)")
        axes.set_title(f"{name}\nvariance {found:.3f}, law {exact:.3f}", fontsize=9)
        axes.set(xlabel="x", ylim=(0, 1.0))
        rows_shown[name] = {"exact": exact, "measured": found, "small_steps": float(limit)}
    panels[0].legend(fontsize=7, loc="upper right")
    z = [(row["measured"] / row["exact"] - 1) / np.sqrt(2 / n) for row in rows_shown.values()]
    numbers = {
        "claim": f"all five within {np.abs(z).max():.1f} standard errors of their exact laws, "
        f"variances from {min(row['exact'] for row in rows_shown.values()):.3f} to "
        f"{max(row['exact'] for row in rows_shown.values()):.2f} where 1 is right",
        "chains": n,
        "steps": steps,
        "start_over_end": RATIO,
        "samplers": rows_shown,
        "z": [float(value) for value in z],
    }
    write(figure, numbers, arguments.out, "wrong_samplers")


if __name__ == "__main__":
    main()
