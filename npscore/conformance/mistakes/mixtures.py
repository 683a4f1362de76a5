"""Mistakes of Gaussian mixtures: responsibilities, log-sum-exp, and the divergence's spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import targets
from .base import Answer, Array, Predict, entry, for_density
from .densities import DENSITIES

Parts = dict[str, Array]


def _components(case: Any, arrays: dict[str, Array]) -> Parts:
    """Of a mixture: log densities (K, n), scores (K, n, d), divergences (K, n), weights and responsibilities."""
    covs = arrays["covs"] + (
        float(arrays["sigma"]) ** 2 * np.eye(arrays["means"].shape[1]) if "sigma" in arrays else 0.0
    )
    parts = [targets.Gaussian(mean, cov) for mean, cov in zip(arrays["means"], covs)]
    logs = np.array([p.log_prob(arrays["x"]) for p in parts])
    terms = np.log(arrays["mixture_weights"])[:, None] + logs
    r = np.exp(terms - terms.max(axis=0))
    scores = np.array([p.score(arrays["x"]) for p in parts])
    divergences = np.array([p.score_divergence(arrays["x"]) for p in parts])
    return {
        "log": logs,
        "s": scores,
        "div": divergences,
        "w": arrays["mixture_weights"],
        "r": r / r.sum(axis=0),
    }


def _mixture(formula: Callable[[Parts], Answer]) -> Predict:
    return for_density(("gaussian_mixture",), lambda case, arrays: formula(_components(case, arrays)))


def _averaged(w: Array, p: Parts) -> Answer:
    """Score and divergence with ``w`` (K, n) in place of the responsibilities."""
    s = np.einsum("kn,knd->nd", w, p["s"])
    spread = ((p["s"] - s) ** 2).sum(axis=-1)
    return {"score": s, "divergence": (w * (p["div"] + spread)).sum(axis=0)}


def _nearest(p: Parts) -> Array:
    return (p["r"] == p["r"].max(axis=0)).astype(float)


def _unweighted(p: Parts) -> Array:
    r = np.exp(p["log"] - p["log"].max(axis=0))
    return r / r.sum(axis=0)


def _prior(p: Parts) -> Array:
    return np.broadcast_to(p["w"][:, None], p["r"].shape)


MISTAKES = [
    entry(
        "mixture-hard", DENSITIES, "score of the likeliest component", "s = s_k*, k* = argmax rₖ", "eq-1.9",
        _mixture(lambda p: _averaged(_nearest(p), p)), "The score jumps between modes.",
        "Average with the responsibilities.",
    ),
    entry(
        "mixture-prior", DENSITIES, "scores averaged with the mixture's weights", "s = Σ πₖ sₖ", "eq-1.9",
        _mixture(lambda p: _averaged(_prior(p), p)), "The score of a product of powers: one mode.", "rₖ = πₖ pₖ/p.",
    ),
    entry(
        "mixture-weights-ignored", DENSITIES, "mixture weights left out of the responsibilities", "rₖ ∝ pₖ", "eq-1.9",
        _mixture(lambda p: _averaged(_unweighted(p), p)), "All modes count alike.", "rₖ ∝ πₖ pₖ.",
    ),
    entry(
        "mixture-log-average", DENSITIES, "log densities averaged", "Σ πₖ log pₖ", "eq-1.9",
        _mixture(lambda p: {"log_prob": p["w"] @ p["log"]}), "Too small (Jensen): not a density.",
        "log Σ πₖ pₖ, by log-sum-exp.",
    ),
    entry(
        "mixture-log-unweighted", DENSITIES, "log Σ pₖ without the weights", "log Σ pₖ", "eq-1.9",
        _mixture(lambda p: {"log_prob": np.log(np.exp(p["log"]).sum(axis=0))}), "Integrates to K.", "log Σ πₖ pₖ.",
    ),
    entry(
        "mixture-log-largest", DENSITIES, "the largest term for the sum", "max log πₖ pₖ", "eq-1.9",
        _mixture(lambda p: {"log_prob": (np.log(p["w"])[:, None] + p["log"]).max(axis=0)}),
        "Too small between modes.",
        "log-sum-exp adds log Σ e^{lₖ − max l}.",
    ),
    entry(
        "mixture-divergence-no-spread", DENSITIES, "divergence without the scores' spread", "Σ rₖ ∇·sₖ", "eq-1.10",
        _mixture(lambda p: {"divergence": (p["r"] * p["div"]).sum(axis=0)}),
        "Wrong between modes, where rₖ changes with x.",
        "Add Σ rₖ ‖sₖ − s‖².",
    ),
    entry(
        "mixture-divergence-unsubtracted", DENSITIES, "‖s‖² not subtracted in the divergence",
        "Σ rₖ(∇·sₖ + ‖sₖ‖²)", "eq-1.10",
        _mixture(lambda p: {"divergence": (p["r"] * (p["div"] + (p["s"] ** 2).sum(axis=-1))).sum(axis=0)}),
        "It is Δp/p, not Δ log p.", "Subtract ‖s‖².",
    ),
]  # fmt: skip
