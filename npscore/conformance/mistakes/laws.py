"""Mistakes of the exact law of Langevin on a Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...samplers.langevin_law import langevin_law, stationary_covariance
from .base import Answer, Array, Predict, changed, entry
from .samplers import steps_of


def _law(change: Callable[[dict[str, Array], int], dict[str, Array]]) -> Predict:
    def predict(case: Any) -> Answer:
        arrays = case.inputs("float64")
        return changed(case, change(arrays, steps_of(case)), digits=11)

    return predict


def _recursion(
    noise: float, square: bool = True, drift: float = 1.0
) -> Callable[[dict[str, Array], int], dict[str, Array]]:
    """The mean and covariance by the recursion, with other constants in it."""

    def run(a: dict[str, Array], n_steps: int) -> dict[str, Array]:
        step, d = float(a["step"]), len(a["cov"])
        r = np.eye(d) - drift * step * np.linalg.inv(a["cov"])
        mean, cov = a["mean0"], a["cov0"]
        for _ in range(n_steps):
            mean = a["mean"] + r @ (mean - a["mean"])
            cov = r @ cov @ (r.T if square else np.eye(d)) + noise * step * np.eye(d)
        return {"mean": mean, "cov": cov}

    return run


def _inverted(a: dict[str, Array], n_steps: int) -> dict[str, Array]:
    law = langevin_law(a["mean"], np.linalg.inv(a["cov"]), a["mean0"], a["cov0"], float(a["step"]), n_steps)
    return {"mean": law.mean, "cov": law.cov}


def _steps(change: Callable[[int], int]) -> Callable[[dict[str, Array], int], dict[str, Array]]:
    def run(a: dict[str, Array], n_steps: int) -> dict[str, Array]:
        law = langevin_law(a["mean"], a["cov"], a["mean0"], a["cov0"], float(a["step"]), change(n_steps))
        return {"mean": law.mean, "cov": law.cov}

    return run


def _widened(sign: float, share: float) -> Callable[[dict[str, Array], int], dict[str, Array]]:
    """Σ (I + sign·share·αΣ⁻¹)⁻¹."""

    def run(a: dict[str, Array], n_steps: int) -> dict[str, Array]:
        d = len(a["cov"])
        return {
            "cov": a["cov"]
            @ np.linalg.inv(np.eye(d) + sign * share * float(a["step"]) * np.linalg.inv(a["cov"]))
        }

    return run


MISTAKES = [
    entry(
        "law-noise-alpha", "langevin_law", "α I for 2α I", "C ← (I − αP) C (I − αP) + α I", "eq-1.5",
        _law(_recursion(1.0)),
        "The covariance of √α noise: about half.", "The noise √(2α) z has covariance 2α I.",
    ),
    entry(
        "law-contracted-once", "langevin_law", "C contracted on one side", "C ← (I − αP) C + 2α I", "eq-1.5",
        _law(_recursion(2.0, square=False)), "The memory of the start fades too slowly.", "A C Aᵀ: both sides.",
    ),
    entry(
        "law-drift-halved", "langevin_law", "α/2 in the drift", "I − (α/2)P", "eq-1.4",
        _law(_recursion(2.0, drift=0.5)),
        "Temperature 2.", "I − αP.",
    ),
    entry(
        "law-covariance-inverted", "langevin_law", "precision and covariance mixed up", "I − αΣ", "eq-1.4",
        _law(_inverted),
        "The law on another Gaussian.", "P = Σ⁻¹.",
    ),
    entry(
        "law-step-missing", "langevin_law", "one step too few", "t < n_steps − 1", "eq-1.4",
        _law(_steps(lambda t: t - 1)),
        "One step behind.", "n_steps recursions.",
    ),
    entry(
        "law-step-extra", "langevin_law", "one step too many", "t ≤ n_steps", "eq-1.4", _law(_steps(lambda t: t + 1)),
        "One step ahead.", "n_steps recursions.",
    ),
    entry(
        "stationary-unbiased", "stationary_covariance", "the target's covariance", "C = Σ", "eq-1.6",
        _law(_widened(1.0, 0.0)),
        "True for α → 0 only: the bias of never rejecting is left out.", "Divide by I − αP/2.",
    ),
    entry(
        "stationary-sign", "stationary_covariance", "sign of the bias", "Σ (I + αP/2)⁻¹", "eq-1.6",
        _law(_widened(1.0, 0.5)),
        "Too narrow; the chain is too wide.", "I − αP/2.",
    ),
    entry(
        "stationary-unhalved", "stationary_covariance", "αP for αP/2", "Σ (I − αP)⁻¹", "eq-1.6",
        _law(_widened(-1.0, 1.0)),
        "Twice the bias.", "I − αP/2.",
    ),
    entry(
        "stationary-quarter", "stationary_covariance", "αP/4 for αP/2", "Σ (I − αP/4)⁻¹", "eq-1.6",
        _law(_widened(-1.0, 0.25)),
        "Half the bias: the law of (α/2) s with √α z.", "I − αP/2.",
    ),
    entry(
        "stationary-inverted", "stationary_covariance", "the inverse returned", "(I − αP/2) P", "eq-1.6",
        _law(lambda a, t: {"cov": np.linalg.inv(stationary_covariance(a["cov"], float(a["step"])))}),
        "A precision for a covariance.", "Invert it.",
    ),
]  # fmt: skip
