"""Mistakes of expectations under a Gaussian: the population losses of an affine score, and the theorem's constant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Answer, Array, Predict, changed, entry, signed

Parts = dict[str, Array]


def _population(formula: Callable[[Parts], Parts]) -> Predict:
    """Expectations of an affine score: ``formula`` gives loss, grad.A and grad.b from A, b, mean, cov and E s."""

    def predict(case: Any) -> Answer:
        a = case.inputs("float64")
        d = len(a["b"])
        sigma = float(a["sigma"]) if "sigma" in a else 0.0
        a = {**a, "eye": np.eye(d), "centre": a["A"] @ a["mean"] + a["b"], "sigma2": np.array(sigma**2)}
        return changed(case, formula(a), digits=11)

    return predict


def _second_moment(a: Parts, cov: Array, trace: float, extra: float = 0.0) -> Parts:
    loss = (
        0.5 * np.trace(a["A"] @ cov @ a["A"].T)
        + 0.5 * a["centre"] @ a["centre"]
        + trace * np.trace(a["A"])
        + extra
    )
    grad = a["A"] @ cov + np.outer(a["centre"], a["mean"]) + trace * a["eye"]
    return {"loss": np.asarray(loss), "grad.A": grad, "grad.b": a["centre"]}


def _population_sigma(power: float, extra: float) -> Predict:
    """DSM with σ^power added to the covariance and ``extra`` · d/σ² to the loss."""

    def formula(a: Parts) -> Parts:
        cov = a["cov"] + float(a["sigma2"]) ** (power / 2) * a["eye"] * (power > 0)
        return _second_moment(a, cov, 1.0, extra * len(a["b"]) / float(a["sigma2"]))

    return _population(formula)


def _mean_dropped(a: Parts) -> Parts:
    return _second_moment({**a, "mean": 0 * a["mean"], "centre": a["b"]}, a["cov"], 1.0)


MISTAKES = [
    entry(
        "population-trace-missing", "population_ism", "no trace", "½ E‖s‖²", "eq-3.1",
        _population(lambda a: _second_moment(a, a["cov"], 0.0)), "The minimum is s = 0.", "Add tr A.",
    ),
    entry(
        "population-trace-sign", "population_ism", "trace subtracted", "½ E‖s‖² − tr A", "eq-3.1",
        _population(lambda a: _second_moment(a, a["cov"], -1.0)), "The minimum is −∇log p.", "Add tr A.",
    ),
    entry(
        "population-trace-doubled", "population_ism", "trace doubled", "½ E‖s‖² + 2 tr A", "eq-3.1",
        _population(lambda a: _second_moment(a, a["cov"], 2.0)), "The minimum is twice the score.", "Add tr A once.",
    ),
    entry(
        "population-mean-dropped", "population_ism", "mean taken to be 0", "E s = b", "eq-3.1",
        _population(_mean_dropped),
        "Right for centred data only.", "E s = A m + b.",
    ),
    entry(
        "population-sigma-missing", "population_dsm", "covariance not widened", "S for S + σ²I", "eq-3.5",
        _population_sigma(0.0, 0.5), "The score before smoothing.", "S + σ²I.",
    ),
    entry(
        "population-sigma-once", "population_dsm", "σ for σ² in the covariance", "S + σI", "eq-3.5",
        _population_sigma(1.0, 0.5),
        "A deviation added to a variance.", "S + σ²I.",
    ),
    entry(
        "population-constant-missing", "population_dsm", "d/(2σ²) left out",
        "population ISM of the smoothed density", "eq-3.5",
        _population_sigma(2.0, 0.0), "The gradient is right, the loss can be negative.", "½E‖ε/σ‖² = d/(2σ²).",
    ),
    entry(
        "population-constant-doubled", "population_dsm", "d/σ² for d/(2σ²)", "+ d/σ²", "eq-3.5",
        _population_sigma(2.0, 1.0),
        "The gradient is right, the loss is not.", "½E‖ε/σ‖² = d/(2σ²).",
    ),
    entry(
        "constant-sign", "theorem_constant", "sign of the constant", "+½ E‖∇log p‖²", "eq-2.6",
        signed(constant=-1.0), "J_ESM = J_ISM − C.", "J_ISM = J_ESM + C with C = −½ E‖∇log p‖².",
    ),
]  # fmt: skip
