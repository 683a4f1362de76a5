"""Which bug is this covariance: a MALA with a mistake in its ratio settles on a Gaussian, each at its own curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from figures.common import options, write
from npscore.plots import GREY, new_figure

Array = np.ndarray


def log_q(y: Array, x: Array, alpha: float, s: Array, factor: float = 1.0) -> Array:
    """log of the proposal's density from x, with ``factor`` times its drift and variance, up to a constant."""
    return -((y - x - factor * alpha * s) ** 2) / (4 * factor * alpha)


def correction(x: Array, y: Array, alpha: float, sign: float = 1.0, factor: float = 1.0) -> Array:
    """The q terms, on N(0, 1), where the score is −x."""
    return log_q(x, y, alpha, -sign * y, factor) - log_q(y, x, alpha, -sign * x, factor)


def gap(x: Array, y: Array) -> Array:
    """log p(y) − log p(x)."""
    return 0.5 * (x * x - y * y)


#: The log ratio (x, y, α) with each mistake, and the precision it leads to on N(0, 1).
MISTAKES: dict[str, tuple[Callable[..., Array], Callable[[Array], Array]]] = {
    "none": (lambda x, y, a: gap(x, y) + correction(x, y, a), lambda a: 1 + 0 * a),
    "always accepts (Langevin)": (lambda x, y, a: 0 * x, lambda a: 1 - a / 2),
    "whole ratio inverted": (lambda x, y, a: -gap(x, y) - correction(x, y, a), lambda a: 1 - a),
    "twice drift and variance in q": (
        lambda x, y, a: gap(x, y) + correction(x, y, a, factor=2.0),
        lambda a: 1 + a / 2,
    ),
    "no q terms": (lambda x, y, a: gap(x, y), lambda a: 2 - a / 2),
    "q ratio inverted": (lambda x, y, a: gap(x, y) - correction(x, y, a), lambda a: 3 - a),
    "score's sign flipped in q": (
        lambda x, y, a: gap(x, y) + correction(x, y, a, sign=-1.0),
        lambda a: 3 + 0 * a,
    ),
}


def settled(name: str, alpha: float, n: int, rng: np.random.Generator) -> float:
    """The mean square of n chains after they have forgotten where they began."""
    log_ratio, _ = MISTAKES[name]
    x = rng.standard_normal(n)
    for _ in range(int(60 / alpha)):
        y = x - alpha * x + np.sqrt(2 * alpha) * rng.standard_normal(n)
        x = np.where(np.log(1 - rng.random(n)) < log_ratio(x, y, alpha), y, x)
    return float((x * x).mean())


def main() -> None:
    arguments = options(__doc__)
    n = 500 if arguments.quick else 40_000
    alphas = np.array([0.3, 0.6]) if arguments.quick else np.linspace(0.1, 0.6, 6)
    rng = np.random.default_rng(0)
    measured = {name: [settled(name, alpha, n, rng) for alpha in alphas] for name in MISTAKES}
    exact = {name: 1 / precision(alphas) for name, (_, precision) in MISTAKES.items()}
    scores = {name: (measured[name] - exact[name]) / (exact[name] * np.sqrt(2 / n)) for name in MISTAKES}
    fine = np.linspace(0.0, 0.65, 200)
    figure = new_figure(10.5, 4)
    curves, errors = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.5, 1]})
    for k, (name, (_, precision)) in enumerate(MISTAKES.items()):
        colour, marker = f"C{k}", "os^vD<>"[k]
        curves.plot(fine, 1 / precision(fine), color=colour, lw=1.2)
        curves.plot(alphas, measured[name], marker, color=colour, ms=5, label=name)
        errors.plot(alphas, scores[name], marker, color=colour, ms=5)
    curves.set(xlabel="step α", ylabel="variance of the chain, true: 1", yscale="log", ylim=(0.25, 5))
    curves.set_yticks([0.3, 0.5, 1, 2], ["0.3", "0.5", "1", "2"])
    curves.minorticks_off()
    curves.set_title("Each mistake has a curve of its own (lines: exact)")
    curves.legend(fontsize=8, loc="upper left")
    errors.axhspan(-2, 2, color=GREY, alpha=0.2, lw=0)
    errors.axhline(0, color="black", lw=0.8)
    errors.set(xlabel="step α", ylabel="(measured − exact) / standard error", ylim=(-4.5, 4.5))
    errors.set_title(f"… to within chance, {n:,} chains")
    largest = max(np.abs(z).max() for z in scores.values())
    numbers = {
        "claim": f"{len(MISTAKES)} ratios, each within {largest:.1f} standard errors of its own curve",
        "chains": n,
        "alpha": alphas.tolist(),
        "measured": measured,
        "exact": {name: variances.tolist() for name, variances in exact.items()},
        "largest_z": largest,
        "mean_square_z": float(np.mean([z**2 for z in scores.values()])),
    }
    write(figure, numbers, arguments.out, "which_bug")


if __name__ == "__main__":
    main()
