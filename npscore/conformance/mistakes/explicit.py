"""Mistakes of the losses with a target: ESM and DSM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Array, Predict, entry
from .faulty_loss import Formula, Terms, objective

TARGETED = ("esm", "dsm")


def target_of(t: Terms) -> Array:
    """s*, or −ε/σ."""
    return t.target if t.case.operation == "esm" else -t.noise / t.sigma


def _toward(target: Callable[[Terms], Any]) -> Predict:
    """The residual to a wrong target."""
    return objective(lambda t: t.residual(target(t)))


def _sigma(change: Callable[[Array], Array], rows: bool = False) -> Predict:
    """σ replaced everywhere by a function of it; ``rows``: only in cases with one σ per row."""

    def inputs(case: Any, arrays: dict[str, Array]) -> Any:
        if rows and arrays["sigma"].ndim == 0:
            return None
        return {**arrays, "sigma": np.broadcast_to(change(arrays["sigma"]), arrays["sigma"].shape)}

    return objective(inputs=inputs)


def _column(arrays: dict[str, Array]) -> Array:
    return arrays["sigma"].reshape(-1, 1)


def _at(move: Callable[[dict[str, Array]], Array]) -> Predict:
    """The network evaluated at x + move(arrays) in place of x + σε."""
    return objective(point=lambda case, arrays: arrays["x"] + move(arrays))


def _weighted(power: float) -> Predict:
    """σ^power in place of the weighting of the case."""

    def formula(t: Terms) -> Array:
        return t.sigma[:, 0] ** power * t.residual(target_of(t)) / t.sigma2

    return objective(formula)


def _unweighted(t: Terms) -> Array:
    return t.residual(target_of(t)) / t.sigma2


def _norm(t: Terms) -> Array:
    gap = t.s - target_of(t)
    factor = t.sigma2 if t.case.operation == "dsm" else 1.0
    return factor * 0.5 * np.sqrt((gap * gap).sum(axis=1))


def _sum_first(t: Terms) -> Array:
    factor = t.sigma2 if t.case.operation == "dsm" else 1.0
    return factor * 0.5 * (t.s - target_of(t)).sum(axis=1) ** 2


def _gap_scaled(c: Callable[[Terms], Any]) -> Formula:
    """s multiplied by c before the target is subtracted."""

    def formula(t: Terms) -> Array:
        gap = c(t) * t.s - target_of(t)
        return t.sigma2 * 0.5 * (gap * gap).sum(axis=1)

    return formula


SIGMA_ROWS = "Rows are trained for a noise level that is not theirs."

MISTAKES = [
    entry(
        "target-sign", TARGETED, "sign of the target, or an energy gradient for the score", "½‖s + target‖²",
        "eq-8.1",
        _toward(lambda t: -target_of(t)), "The model learns −∇log p: an inverted energy; samplers run from the data.",
        "s + ε/σ for DSM, s − s* for ESM; where the network gives ∇E, s = −∇E.",
        seen=("torchebm issue 318 (DSM: ∇E compared with the target of a score)",),
    ),
    entry(
        "norm-unsquared", TARGETED, "norm not squared", "½‖s − target‖", "eq-2.1", objective(_norm),
        "A median-like fit: another minimum than the score, and a kink at 0.", "Square the norm.",
    ),
    entry(
        "sum-before-square", TARGETED, "summed over dimensions before the square", "½(Σₖ (s − target)ₖ)²", "eq-2.1",
        objective(_sum_first), "Errors of opposite sign cancel: only the sum of the coordinates is trained.",
        "Square each entry, then sum.",
    ),
    entry(
        "target-missing", TARGETED, "no target", "½‖s‖²", "eq-2.1", _toward(lambda t: 0.0),
        "The minimum is s = 0.", "Subtract the target.",
    ),
    entry(
        "cross-term-only", TARGETED, "cross term without the squares", "−s·target", "eq-2.1",
        objective(lambda t: -(t.sigma2 if t.case.operation == "dsm" else 1.0) * (t.s * target_of(t)).sum(axis=1)),
        "No minimum: the loss falls without limit.", "Keep ½‖s‖².",
    ),
    entry(
        "target-square-missing", TARGETED, "the target's own square left out", "½‖s‖² − s·target", "eq-2.1",
        objective(
            lambda t: t.residual(target_of(t)) - (t.sigma2 if t.case.operation == "dsm" else 1.0)
            * 0.5 * (target_of(t) * target_of(t)).sum(axis=1)
        ),
        "The gradient is right; the loss is off by a constant, so that it is not 0 at a perfect fit.",
        "Add ½‖target‖² where losses are compared.",
    ),
    entry(
        "target-epsilon", "dsm", "ε for ε/σ", "½‖s + ε‖²", "eq-8.1", _toward(lambda t: -t.noise),
        "The minimum is σ times the score: wrong by a factor that changes with σ.", "Divide the noise by σ.",
        seen=("acids-ircam/diffusion_models issue 5 proposes it as a correction",),
    ),
    entry(
        "target-plus-epsilon", "dsm", "the network compared with ε itself", "½‖s − ε‖²", "eq-8.1",
        _toward(lambda t: t.noise), "It is a noise predictor, not a score: s = −ε̂/σ.", "Convert: s = −ε̂/σ.",
    ),
    entry(
        "target-sigma2", "dsm", "ε/σ² for ε/σ", "½‖s + ε/σ²‖²", "eq-8.1", _toward(lambda t: -t.noise / t.sigma**2),
        "The minimum is the score over σ. The σ² belongs to (x̃ − x)/σ², and x̃ − x = σε.", "−(x̃ − x)/σ² or −ε/σ.",
        seen=("asked for in score_sde_pytorch issue 26 (there the code is right)",),
    ),
    entry(
        "target-sigma2-sign", "dsm", "ε/σ² with the wrong sign", "½‖s − ε/σ²‖²", "eq-8.1",
        _toward(lambda t: t.noise / t.sigma**2), "An inverted score, over σ.", "−(x̃ − x)/σ² or −ε/σ.",
    ),
    entry(
        "target-times-sigma", "dsm", "σε for ε/σ", "½‖s + σε‖²", "eq-8.1", _toward(lambda t: -t.noise * t.sigma),
        "The minimum is σ² times the score: the displacement, not its score.", "Divide the displacement by σ².",
    ),
    entry(
        "target-x", "dsm", "the clean x as target", "½‖s − x‖²", "eq-8.1", _toward(lambda t: t.arrays["x"]),
        "It is a denoiser, not a score: s = (denoised − x̃)/σ² (Tweedie).", "Convert: s = (D(x̃) − x̃)/σ².",
    ),
    entry(
        "target-x-moved", "dsm", "x̃ in place of the noise", "½‖s + x̃/σ²‖²", "eq-8.1",
        _toward(lambda t: -t.x / t.sigma**2), "The score of a Gaussian around 0, not of the data.", "−(x̃ − x)/σ².",
    ),
    entry(
        "clean-x", "dsm", "the network evaluated at the clean x", "½‖s(x) + ε/σ‖²", "eq-8.1",
        _at(lambda a: np.zeros(())),
        "The noise cannot be seen from x: the minimum is s = 0.", "Evaluate at x + σε.",
    ),
    entry(
        "point-unscaled", "dsm", "x + ε for x + σε", "½‖s(x + ε) + ε/σ‖²", "eq-8.1", _at(lambda a: a["noise"]),
        "Trained at noise 1 with the target of noise σ.", "Multiply the noise by σ.",
    ),
    entry(
        "point-sigma2", "dsm", "x + σ²ε for x + σε", "½‖s(x + σ²ε) + ε/σ‖²", "eq-8.1",
        _at(lambda a: _column(a) ** 2 * a["noise"]), "The variance used as a deviation.", "σε has variance σ².",
    ),
    entry(
        "point-root", "dsm", "x + √σ ε for x + σε", "½‖s(x + √σ ε) + ε/σ‖²", "eq-8.1",
        _at(lambda a: np.sqrt(_column(a)) * a["noise"]), "σ taken for a variance where the noise is added.",
        "σ is the deviation.",
    ),
    entry(
        "point-sign", "dsm", "x − σε with the target of x + σε", "½‖s(x − σε) + ε/σ‖²", "eq-8.1",
        _at(lambda a: -_column(a) * a["noise"]), "An inverted score.", "The same sign at both places.",
    ),
    entry(
        "sigma-squared", "dsm", "σ² for σ everywhere", "½‖s(x + σ²ε) + ε/σ²‖²", "eq-8.1", _sigma(lambda s: s * s),
        "A variance passed where a deviation is wanted: consistent, for another noise level.",
        "Pass the standard deviation.",
    ),
    entry(
        "sigma-root", "dsm", "√σ for σ everywhere", "½‖s(x + √σ ε) + ε/√σ‖²", "eq-8.1", _sigma(np.sqrt),
        "σ taken for a variance: consistent, for another noise level.", "σ is the standard deviation.",
    ),
    entry(
        "sigma-ignored", "dsm", "σ = 1", "½‖s(x + ε) + ε‖²", "eq-8.1", _sigma(np.ones_like),
        "Trained for unit noise.", "Use σ at both places.",
    ),
    entry(
        "weighting-sigma", "dsm", "weighted by σ", "σ ℓ", "eq-8.5", _weighted(1.0),
        "With one σ a factor; with several the levels are balanced otherwise than asked for.",
        "σ² where the case says sigma2, else nothing.",
    ),
    entry(
        "weighting-sigma4", "dsm", "weighted by σ⁴", "σ⁴ ℓ", "eq-8.5", _weighted(4.0),
        "σ² applied to the residual before the square: the small noise levels, where the detail is, hardly count.",
        "σ² on the square, or σ on the residual.",
        seen=("dsm of an energy in ermongroup/ncsn: ½‖σ²s + σε‖², with one σ (only a factor there)",),
    ),
    entry(
        "weighting-inverse", "dsm", "divided by σ²", "ℓ/σ²", "eq-8.5", _weighted(-2.0),
        "The smallest noise level has nearly all the weight.", "Multiply by σ².",
    ),
    entry(
        "weighting-ignored", "dsm", "σ² weighting left out", "ℓ for σ² ℓ", "eq-8.5", objective(_unweighted),
        "The smallest noise level dominates the loss.", "Multiply each row's ℓ by its σ².",
    ),
    entry(
        "score-over-sigma", "dsm", "the network's output divided by σ", "½‖s/σ + ε/σ‖²", "eq-8.1",
        objective(_gap_scaled(lambda t: 1 / t.sigma)),
        "The network is a rescaled score, s·σ: right only for whoever divides by σ when sampling.",
        "Compare the network's own output; keep such a parametrisation inside the model.",
    ),
    entry(
        "score-times-sigma", "dsm", "σ on the score but not on the noise", "½‖σ s + ε/σ‖²", "eq-8.1",
        objective(_gap_scaled(lambda t: t.sigma)), "The minimum is the score over σ.", "σ s + ε, or s + ε/σ.",
    ),
    entry(
        "sigma-first-row", "dsm", "the first row's σ for all rows", "σ₁ for σᵢ", "eq-8.1",
        _sigma(lambda s: s.reshape(-1)[:1], rows=True), SIGMA_ROWS, "Reshape σ to (n, 1) before it meets (n, d).",
    ),
    entry(
        "sigma-mean", "dsm", "the mean σ for all rows", "σ̄ for σᵢ", "eq-8.1",
        _sigma(lambda s: s.mean(), rows=True), SIGMA_ROWS, "Reshape σ to (n, 1) before it meets (n, d).",
    ),
    entry(
        "sigma-reversed", "dsm", "the rows' σ in reverse order", "σₙ₋ᵢ for σᵢ", "eq-8.1",
        _sigma(lambda s: s[::-1], rows=True), SIGMA_ROWS, "Keep noise levels and rows in the same order.",
    ),
    entry(
        "sigma-mis-broadcast", "dsm", "σ laid out along the entries, not the rows",
        "σ repeated over x's flat order", "eq-8.1",
        objective(
            lambda t: t.residual(-t.noise / _flat_sigma(t.arrays)), point=lambda case,
            a: a["x"] + _flat_sigma(a) * a["noise"],
            inputs=lambda case, a: a if a["sigma"].ndim else None,
        ),
        "Entries of one row get different noise levels.", "Reshape σ to (n, 1) before it meets (n, d).",
    ),
]  # fmt: skip


def _flat_sigma(arrays: dict[str, Array]) -> Array:
    """(n, d): σ₁ σ₂ … repeated in the flat order of x."""
    return np.resize(arrays["sigma"], arrays["x"].shape)
