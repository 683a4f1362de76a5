"""The variational bound is not the likelihood: what each step costs the bound, beside the samplers' likelihoods."""

from __future__ import annotations

from typing import Any

import numpy as np

from figures.common import options, write
from npscore import diffusion
from npscore.plots import DATA, GAUSSIAN, MODEL, new_figure

VARIANCES = np.array([0.25, 1.0, 4.0])  # λ, of Gaussian data whose exact score is used
ENTROPY = 0.5 * float(np.log(2 * np.pi * np.e * VARIANCES).sum())


def cost(ratio: np.ndarray) -> np.ndarray:
    """Nats of a step whose true variance is ``ratio`` times the model's (eq. 13.13)."""
    return 0.5 * (ratio - 1 - np.log(ratio))


def accounts(T: int) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, float], dict[str, float]]:
    """t, the gap of each step (T, 3), and nats above the entropy: of the bounds and of the samplers' likelihoods."""
    schedule = diffusion.Discrete(diffusion.linear_beta(T))
    t = np.arange(T, 0, -1)
    r, w = schedule.transition(t, t - 1)
    v_t, v_s = (
        np.multiply.outer(schedule.alpha(at) ** 2, VARIANCES) + schedule.sigma(at)[:, None] ** 2
        for at in (t, t - 1)
    )
    posterior = schedule.posterior(t[:-1], t[:-1] - 1).variance
    prior = float(cost(v_t[0]).sum())
    gaps, bounds, likelihoods = {}, {}, {}
    for name, steps in (("τ² = w", w[:-1]), ("τ² = β̃", posterior)):
        for decoder, last in (("τ₁² = β₁", w[-1]), ("τ₁² = β̃₂", posterior[-1])):
            tau2 = np.append(steps, last)[:, None]
            gap = cost(w[:, None] * v_s / v_t / tau2)  # eq. 13.13
            end = np.ones(3)
            for k in range(T):
                end = (r[k] * v_s[k] / v_t[k]) ** 2 * end + tau2[k]
            key = f"{name}, {decoder}"
            gaps[key], bounds[key] = gap, prior + float(gap.sum())
            nll = 0.5 * float((np.log(2 * np.pi * end) + VARIANCES / end).sum())
            likelihoods[key] = nll - ENTROPY
    return t, gaps, bounds, likelihoods


def draw_gaps(axes: Any, t: np.ndarray, gap: np.ndarray, title: str) -> None:
    """Nats of each step against t, one line an eigenvalue and their sum."""
    for j, colour in enumerate((DATA, GAUSSIAN, MODEL)):
        axes.plot(t, np.maximum(gap[:, j], 1e-300), color=colour, lw=1.3, label=f"λ = {VARIANCES[j]:g}")
    axes.plot(t, gap.sum(axis=1), color="black", lw=0.9, ls="--", label="sum")
    axes.set(xscale="log", yscale="log", ylim=(1e-14, 3), xlabel="t", title=title)


def main() -> None:
    arguments = options(__doc__)
    T = 100 if arguments.quick else 1000
    t, gaps, bounds, likelihoods = accounts(T)
    figure = new_figure(11.5, 3.9)
    forward, posterior, bars = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 1.25]})
    draw_gaps(forward, t, gaps["τ² = w, τ₁² = β₁"], "Gap of each step, τ² = w (forward)")
    draw_gaps(posterior, t, gaps["τ² = β̃, τ₁² = β₁"], "… τ² = β̃ (posterior)")
    forward.set_ylabel("nats")
    forward.legend(fontsize=8, loc="upper right")
    names, rows = list(bounds), np.arange(len(bounds))
    bars.barh(rows - 0.18, list(bounds.values()), 0.34, color=MODEL, label="the bound")
    bars.barh(
        rows + 0.18, list(likelihoods.values()), 0.34, color=DATA, label="the sampler's −log-likelihood"
    )
    for row, name in enumerate(names):
        bars.text(1.3 * bounds[name], row - 0.18, f"{bounds[name]:.4g}", va="center", fontsize=8)
        bars.text(1.3 * likelihoods[name], row + 0.18, f"{likelihoods[name]:.1e}", va="center", fontsize=8)
    bars.set(xscale="log", xlim=(1e-6, 60), xlabel="nats above the entropy of the data")
    bars.set_yticks(rows, names)
    bars.invert_yaxis()
    bars.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    first, last = "τ² = w, τ₁² = β₁", "τ² = β̃, τ₁² = β₁"
    numbers = {
        "claim": f"the posterior's variance costs {bounds[last] - bounds[first]:.2f} nats of bound and "
        f"{likelihoods[last] - likelihoods[first]:.0e} of likelihood",
        "T": T,
        "variances": VARIANCES.tolist(),
        "entropy": ENTROPY,
        "bound_above_entropy": bounds,
        "likelihood_above_entropy": likelihoods,
        "last_steps": {name: gap[-6:].sum(axis=1).tolist() for name, gap in gaps.items()},
    }
    write(figure, numbers, arguments.out, "bound_gap")


if __name__ == "__main__":
    main()
