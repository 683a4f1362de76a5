"""Denoising trades bias for variance: both against σ, in closed form and measured, for a linear score."""

from __future__ import annotations

import math

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

S, N = 1.0, 100  # variance of the data, and rows in a data set; the model is s(x) = a x, the truth a = -1/S


def dsm_slopes(x: np.ndarray, noise: np.ndarray, sigma: float) -> np.ndarray:
    """The a that minimises DSM on each data set (repeats, N): least squares of -ε/σ on x + σε."""
    noisy = x + sigma * noise
    return -(noisy * noise).sum(axis=1) / (sigma * (noisy * noisy).sum(axis=1))


def closed_form(sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bias and variance of that a. It has mean -1/(S+σ²) exactly; the residual ε/σ - x̃/(S+σ²), of variance
    S/(σ²(S+σ²)), is independent of x̃, and E[1/Σx̃²] = 1/((N-2)(S+σ²))."""
    smooth = S + sigma**2
    return 1 / S - 1 / smooth, S / ((N - 2) * sigma**2 * smooth**2)


def ism_mse() -> float:
    """Mean square error of ISM's a = -N/Σx² about -1/S, exact."""
    mean, variance = -N / (N - 2) / S, 2 * N**2 / ((N - 2) ** 2 * (N - 4)) / S**2
    return (mean + 1 / S) ** 2 + variance


def check_minimum(x: np.ndarray, noise: np.ndarray, sigma: float) -> float:
    """|dJ_DSM/da| by the library at the a found on one data set: zero but for rounding."""
    a = dsm_slopes(x[None], noise[None], sigma)[0]
    model = ns.LinearScore([[a]], [0.0])
    return float(abs(ns.dsm(model, x[:, None], noise[:, None], sigma).grad[0]))


def main() -> None:
    arguments = options(__doc__)
    repeats, count = (300, 4) if arguments.quick else (20_000, 15)
    sigmas = np.geomspace(0.05, 3.0, count)
    rng = np.random.default_rng(0)
    x = math.sqrt(S) * rng.standard_normal((repeats, N))
    slopes, gradients = [], []
    for sigma in sigmas:
        noise = rng.standard_normal((repeats, N))
        slopes.append(dsm_slopes(x, noise, sigma))
        gradients.append(check_minimum(x[0], noise[0], sigma))
    slopes = np.array(slopes)  # (count, repeats)
    bias, variance = closed_form(sigmas)
    centred = (slopes - (bias - 1 / S)[:, None]) ** 2  # about the exact mean
    z_mean = (slopes.mean(axis=1) + 1 / S - bias) / np.sqrt(variance / repeats)
    z_variance = (centred.mean(axis=1) - variance) / (centred.std(axis=1) / math.sqrt(repeats))
    measured_mse = ((slopes + 1 / S) ** 2).mean(axis=1)
    fine = np.geomspace(0.045, 3.3, 300)
    fine_bias, fine_variance = closed_form(fine)
    best = fine[(fine_bias**2 + fine_variance).argmin()]
    figure = new_figure(8.5, 4.6)
    axes = figure.subplots()
    axes.loglog(fine, fine_bias**2, color=DATA, lw=1.2)
    axes.loglog(
        sigmas, (slopes.mean(axis=1) + 1 / S) ** 2, "o", color=DATA, ms=5, label="bias²: p_σ is not p"
    )
    chance = fine_variance / repeats
    axes.loglog(fine, chance, color=DATA, lw=1, ls=":", label="chance in the measured bias²")
    axes.loglog(fine, fine_variance, color=MODEL, lw=1.2)
    axes.loglog(sigmas, centred.mean(axis=1), "s", color=MODEL, ms=5, label="variance: the target is −ε/σ")
    axes.loglog(
        fine, fine_bias**2 + fine_variance, color="black", lw=1.8, label="their sum, the mean square error"
    )
    axes.axhline(ism_mse(), color=GAUSSIAN, ls="--", label="ISM on the same data (no σ)")
    axes.axvline(best, color=GREY, ls=":", lw=1)
    axes.text(best * 1.04, 2.5e-5, f"best σ = {best:.2f}", fontsize=9)
    axes.set(xlabel="noise σ  (data: N(0, 1), 100 rows)", ylabel="square error of the slope of the score")
    axes.set(ylim=(1e-5, 1e3), xlim=(fine[0], fine[-1]))
    axes.set_title("DSM: small σ costs variance, large σ bias (lines exact, points measured)")
    axes.legend(fontsize=9, loc="upper center", ncol=2)
    z = max(np.abs(z_mean).max(), np.abs(z_variance).max())
    numbers = {
        "claim": f"bias and variance within {z:.1f} standard errors of the closed forms; best sigma {best:.2f}",
        "repeats": repeats,
        "sigma": sigmas.tolist(),
        "bias": bias.tolist(),
        "variance": variance.tolist(),
        "measured_mse": measured_mse.tolist(),
        "z_of_mean": z_mean.tolist(),
        "z_of_variance": z_variance.tolist(),
        "largest_gradient_at_minimum": max(gradients),
        "best_sigma": best,
        "best_mse": (fine_bias**2 + fine_variance).min(),
        "ism_mse": ism_mse(),
    }
    write(figure, numbers, arguments.out, "dsm_sigma")


if __name__ == "__main__":
    main()
