"""Where the variance goes: N(0, 1) sampled on EDM's grid by its exact score; lines are exact laws, dots are chains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator

import npscore as ns
from figures.common import options, write
from npscore import diffusion
from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

SCHEDULE, DENSITY = diffusion.EDM(), ns.targets.Gaussian([0.0], [[1.0]])
SAMPLERS: dict[str, Callable[[Any], Any]] = {
    "ancestral, N² = w": lambda levels: diffusion.ancestral(SCHEDULE, levels, "forward"),
    "ancestral, N² = β̃": lambda levels: diffusion.ancestral(SCHEDULE, levels, "posterior"),
    "reverse SDE": lambda levels: diffusion.reverse_sde(SCHEDULE, levels, denoise=True),
    "Euler = DDIM": lambda levels: diffusion.ddim(SCHEDULE, levels),
    "Heun": lambda levels: diffusion.edm(SCHEDULE, levels),
}
COLOURS = ("#CC79A7", MODEL, GREY, DATA, GAUSSIAN)
STEPS = np.array([8, 12, 18, 27, 40, 60, 90, 135, 200])


def target_at(t: float) -> ns.targets.Gaussian:
    """The density of x_t."""
    return DENSITY.diffused(1.0, t)


def score_at(t: float) -> Callable[[np.ndarray], np.ndarray]:
    """Its score."""
    return target_at(t).score


def levels_of(steps: int) -> np.ndarray:
    """EDM's noise levels from 80 down to 0.002, and 0."""
    return diffusion.karras_sigmas(steps, 0.002, 80.0)


def exact(make: Callable[[Any], Any], steps: int) -> float:
    """The final variance, by the law of the table."""
    start = target_at(80.0)
    return float(diffusion.law(make(levels_of(steps)), target_at, start.mean, start.cov).cov[-1, 0, 0])


def measured(make: Callable[[Any], Any], steps: int, n: int, seed: int) -> float:
    """The final variance of n chains, whose mean is known to be 0."""
    x_T = target_at(80.0).sample(n, rng=seed)
    x = diffusion.sample(score_at, make(levels_of(steps)), x_T, rng=seed + 1, progress=False).x
    return float((x**2).mean())


def draw_arc(axes: Any, steps: int) -> float:
    """DDIM as projections onto directions of equal angles; the share of the variance that is kept."""
    angle = np.linspace(np.pi / 2, 0.0, steps + 1)
    radius = np.cos(angle[0] - angle[1]) ** np.arange(steps + 1)
    fine = np.linspace(0, np.pi / 2, 200)
    axes.plot(np.cos(fine), np.sin(fine), color="black", lw=1.2, label="the exact flow")
    axes.plot(radius * np.cos(angle), radius * np.sin(angle), "o-", color=DATA, ms=4, lw=1.2, label="DDIM")
    for a in angle:
        axes.plot([0, np.cos(a)], [0, np.sin(a)], color=GREY, lw=0.4)
    axes.annotate(
        f"√{radius[-1] ** 2:.2f}",
        (radius[-1], 0),
        (radius[-1] - 0.02, 0.06),
        ha="right",
        fontsize=10,
        color=DATA,
    )
    axes.set(aspect="equal", xlim=(0, 1.05), ylim=(0, 1.05), xlabel="signal α√λ / √v", ylabel="noise σ / √v")
    axes.set_title(f"{steps} steps of DDIM: each keeps cos² Δθ")
    axes.legend(fontsize=8, loc="upper right")
    return float(radius[-1] ** 2)


def main() -> None:
    arguments = options(__doc__)
    n, steps = (2000, STEPS[:3]) if arguments.quick else (100_000, STEPS)
    figure = new_figure(11, 4.3)
    errors, arc = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.5, 1]})
    curves, chains, largest = {}, {}, 0.0
    for (name, make), colour in zip(SAMPLERS.items(), COLOURS):
        variance = np.array([exact(make, k) for k in steps])
        found = np.array([measured(make, k, n, 10 * k) for k in steps[::2]])
        scores = (found / variance[::2] - 1) / np.sqrt(2 / n)
        largest = max(largest, float(np.abs(scores).max()))
        errors.plot(steps, 100 * (variance - 1), color=colour, lw=1.3, label=name)
        errors.plot(steps[::2], 100 * (found - 1), "o", color=colour, ms=4)
        curves[name], chains[name] = variance.tolist(), {"variance": found.tolist(), "z": scores.tolist()}
    errors.axhline(0, color="black", lw=0.8)
    errors.axhspan(
        *(100 * np.sqrt(2 / n) * np.array([-2, 2])), color=GREY, alpha=0.2, lw=0, label="chance (± 2 s.e.)"
    )
    errors.set_xscale("log")
    errors.set_yscale("symlog", linthresh=1.0)
    errors.set(xlabel="steps", ylabel="error of the final variance, %", ylim=(-100, 4000))
    errors.set_xticks(steps, [str(k) for k in steps], minor=False)
    errors.xaxis.set_minor_locator(NullLocator())
    errors.set_yticks([-50, -10, -1, 0, 1, 10, 100], ["−50", "−10", "−1", "0", "1", "10", "100"])
    errors.set_title(f"Lines: exact laws. Dots: {n:,} chains")
    errors.legend(fontsize=8, loc="upper right", ncols=3)
    kept = draw_arc(arc, 8)
    at_18 = {name: curves[name][2] - 1 for name in curves}
    numbers = {
        "claim": "18 steps change the variance by "
        + ", ".join(f"{100 * error:+.0f} % ({name})" for name, error in at_18.items()),
        "chains": n,
        "steps": steps.tolist(),
        "exact": curves,
        "measured": chains,
        "largest_z": largest,
        "kept_by_8_equal_angles": kept,
    }
    write(figure, numbers, arguments.out, "final_variance")


if __name__ == "__main__":
    main()
