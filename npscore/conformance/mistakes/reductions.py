"""Mistakes in how a loss over a network sums its rows and in the constants before loss and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import NETWORK, Answer, Array, Predict, changed, entry
from .faulty_loss import objective, shares


def _scaled_part(
    loss: Callable[[int, int], float], grad: Callable[[int, int], float], rows: bool = False
) -> Predict:
    """The certified loss and the certified gradient, each by a factor of its own."""

    def predict(case: Any) -> Answer:
        if rows and case.convention.get("reduction") == "weighted-sum":
            return {}
        n, d = case.inputs("float64")["x"].shape
        expected = case.expected()
        answer = {name: grad(n, d) * value for name, value in expected.items() if name.startswith("grad.")}
        return changed(case, {"loss": loss(n, d) * expected["loss"], **answer})

    return predict


def _one(n: int, d: int) -> float:
    return 1.0


def _if_weighted(change: Callable[[Array], Array]) -> Callable[[Any, dict[str, Array]], Array]:
    return lambda case, arrays: change(arrays["weights"]) if "weights" in arrays else shares(case, arrays)


def _uniform(w: Array) -> Array:
    return np.full(len(w), 1.0 / len(w))


BOTH = "Loss and gradient belong to different functions: line searches and reported losses mislead."

MISTAKES = [
    entry(
        "sample-weights-ignored", NETWORK, "sample weights ignored", "mean ℓ for Σ wᵢ ℓᵢ", "eq-2.1",
        objective(share=_if_weighted(_uniform)), "All rows count alike.", "Σ wᵢ ℓᵢ.",
    ),
    entry(
        "sample-weights-normalised", NETWORK, "sample weights divided by their sum", "Σ wᵢ ℓᵢ / Σ wᵢ", "eq-2.1",
        objective(share=_if_weighted(lambda w: w / w.sum())),
        "A weighted mean: other units where the weights do not sum to 1.",
        "Use the weights as they are.",
    ),
    entry(
        "sample-weights-averaged", NETWORK, "weighted losses averaged", "Σ wᵢ ℓᵢ / n", "eq-2.1",
        objective(share=_if_weighted(lambda w: w / len(w))), "Too small by n.", "The weights replace the 1/n.",
    ),
    entry(
        "sample-weights-squared", NETWORK, "sample weights applied before the square", "Σ wᵢ² ℓᵢ", "eq-2.1",
        objective(share=_if_weighted(lambda w: w * w)), "Light rows hardly count.", "Weight ℓᵢ, not the residual.",
    ),
    entry(
        "sample-weights-in-loss-only", NETWORK, "sample weights in the loss but not in the gradient",
        "∇ mean ℓ", "eq-4.4",
        objective(gradient_share=_if_weighted(_uniform)), BOTH, "The cotangent of row i carries wᵢ.",
        gradient_only=True,
    ),
    entry(
        "gradient-doubled", NETWORK, "gradient twice too large", "2 ∇ℓ", "eq-4.4",
        _scaled_part(_one, lambda n, d: 2.0), BOTH,
        "d(½‖r‖²) = r dr: the ½ cancels the 2.", gradient_only=True,
    ),
    entry(
        "gradient-halved", NETWORK, "gradient twice too small", "½ ∇ℓ", "eq-4.4",
        _scaled_part(_one, lambda n, d: 0.5), BOTH,
        "d(½‖r‖²) = r dr: the ½ is used up.", gradient_only=True,
    ),
    entry(
        "gradient-negated", NETWORK, "gradient with the wrong sign", "−∇ℓ", "eq-4.4",
        _scaled_part(_one, lambda n, d: -1.0),
        "Descent climbs.", "Return ∇ℓ, not the descent direction.", gradient_only=True,
    ),
    entry(
        "gradient-summed", NETWORK, "gradient summed over rows, loss averaged", "n ∇ℓ", "eq-4.4",
        _scaled_part(_one, lambda n, d: n, rows=True), BOTH, "Divide ds by n.", gradient_only=True,
    ),
    entry(
        "gradient-averaged-twice", NETWORK, "gradient divided by n twice", "∇ℓ/n", "eq-4.4",
        _scaled_part(_one, lambda n, d: 1 / n, rows=True), BOTH, "Divide by n once.", gradient_only=True,
    ),
    entry(
        "gradient-over-d", NETWORK, "gradient divided by d", "∇ℓ/d", "eq-4.4",
        _scaled_part(_one, lambda n, d: 1 / d), BOTH,
        "Sum over dimensions in both.", gradient_only=True,
    ),
    entry(
        "loss-doubled", NETWORK, "loss without the ½, gradient with it", "2ℓ, ∇ℓ", "eq-2.1",
        _scaled_part(lambda n, d: 2.0, _one), BOTH, "The ½ belongs to the loss too.",
    ),
    entry(
        "loss-over-d", NETWORK, "loss averaged over dimensions, gradient not", "ℓ/d, ∇ℓ", "eq-2.1",
        _scaled_part(lambda n, d: 1 / d, _one), BOTH, "Sum over dimensions in both.",
    ),
    entry(
        "loss-summed", NETWORK, "loss summed over rows, gradient averaged", "n ℓ, ∇ℓ", "eq-2.1",
        _scaled_part(lambda n, d: n, _one, rows=True), BOTH, "Average both.",
    ),
    entry(
        "all-negated", NETWORK, "loss and gradient negated", "−ℓ", "eq-2.1",
        _scaled_part(lambda n, d: -1.0, lambda n, d: -1.0),
        "Descent maximises it.", "The losses are minimised.",
    ),
]  # fmt: skip
