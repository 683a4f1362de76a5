"""Mistakes of densities whose coordinates are independent: one factor's log p, score or divergence is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import targets
from .base import Answer, Array, Predict, changed, entry, for_density
from .densities import LOG_2PI
from .targets import FACTORS, factor

Parts = dict[str, Array]


def _product(change: Callable[[str, dict[str, float], Array], Parts]) -> Predict:
    """A product with some functions of its factors replaced: ``change`` gives those of one factor."""

    def compute(case: Any, arrays: dict[str, Array]) -> Answer:
        out: dict[str, list[Array]] = {"log_prob": [], "score": [], "divergence": []}
        for j, name in enumerate(case.model["factors"], 1):
            column = arrays["x"][:, [j - 1]]
            p = factor(name, arrays, str(j))
            parts = {
                "log_prob": p.log_prob(column),
                "score": p.score(column)[:, 0],
                "divergence": p.score_divergence(column),
            }
            parts |= change(
                name, {key: float(arrays[key + str(j)]) for key in FACTORS[name][1]}, column[:, 0]
            )
            for block, value in parts.items():
                out[block].append(value)
        log_prob, divergence = np.sum(out["log_prob"], axis=0), np.sum(out["divergence"], axis=0)
        whole = {"log_prob": log_prob, "score": np.array(out["score"]).T, "divergence": divergence}
        # only the blocks that differ are predicted
        return {name: value for name, value in whole.items() if changed(case, {name: value}, digits=11)}

    return for_density(("product",), compute)


def _in_factors(names: tuple[str, ...], formula: Callable[[dict[str, float], Array, Any], Parts]) -> Predict:
    def change(name: str, p: dict[str, float], x: Array) -> Parts:
        return formula(p, x, FACTORS[name][0](*p.values())) if name in names else {}

    return _product(change)


def _scale_missing(p: dict[str, float], x: Array, law: Any) -> Parts:
    b = p["scale"]
    return {"score": b * law.score(x[:, None])[:, 0], "divergence": b * b * law.score_divergence(x[:, None])}


def _truncated_log(p: dict[str, float], x: Array, law: Any) -> Parts:
    z = (x - p["loc"]) / p["scale"]
    return {"log_prob": -0.5 * z * z - np.log(p["scale"]) - 0.5 * LOG_2PI}


def _gumbel_minimum(p: dict[str, float], x: Array, law: Any) -> Parts:
    mirrored = targets.Gumbel(-p["loc"], p["scale"])
    column = -x[:, None]
    return {
        "log_prob": mirrored.log_prob(column),
        "score": -mirrored.score(column)[:, 0],
        "divergence": mirrored.score_divergence(column),
    }


def _rate_as_scale(p: dict[str, float], x: Array, law: Any) -> Parts:
    inverse = 1.0 / p["rate"]
    return {"log_prob": np.log(inverse) - inverse * x, "score": np.full_like(x, -inverse)}


MISTAKES = [
    entry(
        "factor-scale-missing", "density", "score not divided by the scale", "f′(z)/f(z)", "eq-1.15",
        _in_factors(("laplace", "logistic", "gumbel"), _scale_missing), "Right for scale 1 only.",
        "d/dx = (1/b) d/dz.",
    ),
    entry(
        "factor-log-scale-missing", "density", "log p without −log b", "log f(z)", "eq-1.15",
        _in_factors(
            ("laplace", "logistic", "gumbel"), lambda p, x,
            law: {"log_prob": law.log_prob(x[:, None]) + np.log(p["scale"])}
        ),
        "Does not integrate to 1.", "p(x) = f(z)/b.",
    ),
    entry(
        "gumbel-minimum", "density", "Gumbel of a minimum", "z − e^z", "eq-1.15",
        _in_factors(("gumbel",), _gumbel_minimum),
        "The mirror image.", "−z − e^{−z}.",
    ),
    entry(
        "truncation-ignored", "density", "mass of the interval left out", "log p of the whole Gaussian", "eq-1.16",
        _in_factors(("truncated_gaussian",), _truncated_log), "Does not integrate to 1; the score is right.",
        "Divide by the mass on [low, high].",
    ),
    entry(
        "rate-as-scale", "density", "exponential's rate taken for its scale", "e^{−x/λ}/λ", "eq-1.16",
        _in_factors(("exponential",), _rate_as_scale), "Another density.", "λ e^{−λx}.",
    ),
]  # fmt: skip
