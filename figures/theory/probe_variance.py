"""Variance of the sliced losses against the number of probes, for three laws: closed form (7.5)–(7.7) over m."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.objectives import draw_probes
from npscore.plots import DATA, GAUSSIAN, MODEL, new_figure

LAWS = {"gaussian": (DATA, "o"), "spherical": (GAUSSIAN, "^"), "rademacher": (MODEL, "s")}
D = 6


def example() -> tuple[ns.LinearScore, np.ndarray]:
    """The score of a Gaussian whose coordinates are correlated and differ in scale, and one point of it."""
    scale = np.linspace(0.6, 1.5, D)
    density = ns.targets.Gaussian(np.zeros(D), np.outer(scale, scale) * (0.3 + 0.7 * np.eye(D)))
    return ns.LinearScore.from_gaussian(density.mean, density.cov), density.sample(1, rng=4)


def closed_form(matrix: np.ndarray, law: str) -> float:
    """Variance of vᵀ B v with one probe, B the symmetric part of the matrix."""
    B = 0.5 * (matrix + matrix.T)
    square, trace = (B * B).sum(), np.trace(B)
    if law == "gaussian":
        return 2 * square  # eq-7.5
    if law == "rademacher":
        return 2 * (square - (np.diag(B) ** 2).sum())  # eq-7.6
    return 2 * D / (D + 2) * (square - trace**2 / D)  # eq-7.7


def main() -> None:
    arguments = options(__doc__)
    repeats, counts = (500, (1, 4)) if arguments.quick else (10_000, (1, 2, 4, 8, 16, 32, 64))
    model, point = example()
    s, J = model.score(point)[0], model.jacobian(point)[0]
    exact = ns.ism(model, point).loss
    rows = np.repeat(point, repeats, axis=0)  # every row gets probes of its own
    estimators = {
        "SSM-VR (Hutchinson's trace)": (ns.ssm_vr, J),
        "SSM": (ns.ssm, J + 0.5 * np.outer(s, s)),
    }
    rng = np.random.default_rng(5)
    figure = new_figure(10, 4.2)
    panels = figure.subplots(1, 2, sharey=True)
    numbers: dict[str, Any] = {
        "claim": "",
        "repeats": repeats,
        "probes": list(counts),
        "exact_ism": float(exact),
    }
    worst = 0.0
    for axes, (name, (loss, matrix)) in zip(panels, estimators.items()):
        numbers[name] = {}
        for law, (colour, marker) in LAWS.items():
            expected = closed_form(matrix, law) / np.array(counts)
            estimates = [draw_and_estimate(loss, model, rows, m, law, rng) for m in counts]
            measured = np.array([((e - exact) ** 2).mean() for e in estimates])  # about the exact mean
            error = np.array([((e - exact) ** 2).std() for e in estimates]) / math.sqrt(repeats)
            bias = [(e.mean() - exact) / math.sqrt(v / repeats) for e, v in zip(estimates, expected)]
            z = (measured - expected) / error
            worst = max(worst, np.abs(z).max(), np.abs(bias).max())
            axes.loglog(counts, expected, color=colour, lw=1.2)
            axes.loglog(counts, measured, marker, color=colour, ms=5, label=f"{law}: {expected[0]:.2f}/m")
            numbers[name][law] = {
                "closed_form_one_probe": closed_form(matrix, law),
                "measured": measured.tolist(),
                "z_of_variance": z.tolist(),
                "z_of_mean": np.array(bias).tolist(),
            }
        axes.set_xticks(counts, [str(m) for m in counts])
        axes.minorticks_off()
        axes.set_xlabel("probes m")
        axes.set_title(name + ": variance falls as 1/m")
        axes.legend(fontsize=9, title="law of the probe: closed form (lines)", title_fontsize=9)
    panels[0].set_ylabel("variance of the loss at one point")
    numbers["claim"] = f"all means and variances within {worst:.1f} standard errors of the closed forms"
    numbers["largest_z"] = worst
    write(figure, numbers, arguments.out, "probe_variance")


def draw_and_estimate(loss: Any, model: Any, rows: np.ndarray, m: int, law: str, rng: Any) -> np.ndarray:
    """(repeats,) independent estimates of ISM at the one point, each with m probes; in blocks, for memory."""
    blocks = []
    for block in np.array_split(rows, max(1, len(rows) * m // 20_000)):
        blocks.append(loss(model, block, draw_probes((m, *block.shape), law, rng)).per_sample)
    return np.concatenate(blocks)


if __name__ == "__main__":
    main()
