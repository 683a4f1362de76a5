"""Langevin's bias: the stationary variance against the step, and the exact curve λ/(1 − α/2λ) of (1.6)."""

from __future__ import annotations

import math

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.plots import DATA, GREY, MODEL, new_figure
from npscore.samplers import stationary_covariance

VARIANCES = np.array([2.0, 0.5])  # λ of the two directions; stable below 2 λ_min = 1
DENSITY = ns.targets.Gaussian([0.0, 0.0], np.diag(VARIANCES))


def steps_to_forget(alpha: float) -> int:
    """Steps until r²ᵗ < 1e-4 in the slower direction, r = 1 - α/λ: the start is then forgotten."""
    r_squared = ((1 - alpha / VARIANCES) ** 2).max()
    return max(1, math.ceil(math.log(1e-4) / math.log(r_squared)))


def main() -> None:
    arguments = options(__doc__)
    n = 500 if arguments.quick else 160_000
    alphas = np.array([0.3, 0.6]) if arguments.quick else np.linspace(0.05, 0.8, 16)
    measured, rng = [], np.random.default_rng(0)
    for alpha in alphas:
        x0 = DENSITY.sample(n, rng=rng)
        chains = ns.langevin(DENSITY.score, x0, alpha, steps_to_forget(alpha), rng=rng, progress=False)
        measured.append((chains.x**2).mean(axis=0))  # the mean is known to be 0
    measured = np.array(measured)  # (len(alphas), 2)
    exact = np.array([np.diag(stationary_covariance(DENSITY.cov, alpha)) for alpha in alphas])
    standard_errors = exact * math.sqrt(2 / n)
    scores = (measured - exact) / standard_errors
    naive = (measured - VARIANCES) / (VARIANCES * math.sqrt(2 / n))
    fine = np.linspace(0.0, 0.97, 300)
    figure = new_figure(10, 4)
    bias, errors = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.3, 1]})
    for j, (variance, colour, marker) in enumerate(zip(VARIANCES, (DATA, MODEL), "os")):
        curve = variance / (1 - fine / (2 * variance)) - variance  # eq-1.6
        bias.plot(fine, curve, color=colour, lw=1.2)
        bias.plot(alphas, measured[:, j] - variance, marker, color=colour, ms=5, label=f"λ = {variance:g}")
        errors.plot(alphas, scores[:, j], marker, color=colour, ms=5)
    bias.plot(fine, fine / 2, color=GREY, ls="--", lw=1, label="α/2, first order")
    bias.axvline(1.0, color="black", ls=":", lw=1)
    bias.text(0.985, 2.05, "no limit beyond 2 λ_min", rotation=90, ha="right", va="top", fontsize=9)
    bias.set(xlabel="step α", ylabel="variance of the chain − λ", ylim=(-0.05, 2.15), xlim=(0, 1.04))
    bias.set_title("Too wide by about α/2 (lines: exact, eq. 1.6)")
    bias.legend(fontsize=9, loc="upper left")
    errors.axhspan(-2, 2, color=GREY, alpha=0.2, lw=0)
    errors.axhline(0, color="black", lw=0.8)
    errors.set(xlabel="step α", ylabel="(measured − exact) / standard error", ylim=(-4.5, 4.5))
    errors.set_title(f"… to within chance, {n:,} chains")
    numbers = {
        "claim": f"within {np.abs(scores).max():.1f} standard errors of eq. 1.6; 'no bias' is off by up to "
        f"{np.abs(naive).max():.0f} of them",
        "chains": n,
        "alpha": alphas.tolist(),
        "variances": VARIANCES.tolist(),
        "measured": measured.tolist(),
        "exact": exact.tolist(),
        "largest_z": np.abs(scores).max(),
        "largest_z_if_unbiased": np.abs(naive).max(),
        "mean_square_z": (scores**2).mean(),
    }
    write(figure, numbers, arguments.out, "langevin_bias")


if __name__ == "__main__":
    main()
