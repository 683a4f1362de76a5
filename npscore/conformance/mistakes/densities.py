"""Mistakes of Gaussian and Student densities, smoothed or not: log p, score and divergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import targets
from .base import Answer, Array, Predict, entry, for_density, signed
from .targets import unsmoothed

DENSITIES = ("density", "smoothed_density")
LOG_2PI = float(np.log(2 * np.pi))


def _all(p: targets.Target, x: Array) -> Answer:
    return {"log_prob": p.log_prob(x), "score": p.score(x), "divergence": p.score_divergence(x)}


def _using(
    change: Callable[[dict[str, Array]], dict[str, Array]],
) -> Callable[[Any, dict[str, Array]], Answer]:
    """The outputs of the density with changed parameters; its covariances are smoothed first."""

    def compute(case: Any, arrays: dict[str, Array]) -> Answer:
        if "sigma" in arrays:
            extra = float(arrays["sigma"]) ** 2 * np.eye(arrays["x"].shape[1])
            arrays = {**arrays, **{key: arrays[key] + extra for key in ("cov", "covs") if key in arrays}}
        return _all(unsmoothed(case.model, {**arrays, **change(arrays)}), arrays["x"])

    return compute


def _inverse(name: str) -> Callable[[dict[str, Array]], dict[str, Array]]:
    def change(arrays: dict[str, Array]) -> dict[str, Array]:
        inverse = np.linalg.inv(arrays[name])
        return {name: 0.5 * (inverse + np.swapaxes(inverse, -1, -2))}

    return change


def _diagonal(name: str) -> Callable[[dict[str, Array]], dict[str, Array]]:
    return lambda arrays: {name: arrays[name] * np.eye(arrays[name].shape[-1])}


def _shifted(constant: Callable[[Any, dict[str, Array]], float]) -> Callable[[Any, dict[str, Array]], Answer]:
    """log p with a constant added."""
    return lambda case, arrays: {"log_prob": case.expected()["log_prob"] + constant(case, arrays)}


def _gaussian_cov(case: Any, arrays: dict[str, Array]) -> Array:
    d = len(arrays["cov"])
    return arrays["cov"] + (float(arrays["sigma"]) ** 2 * np.eye(d) if "sigma" in arrays else 0.0)


def _log_det(cov: Array) -> float:
    return float(np.linalg.slogdet(cov)[1])


def _student(power: Callable[[float, int], float], spread: float = 2.0) -> Predict:
    """Student's t with other constants: ``power`` for ν + d, ``spread`` for the 2 in the divergence."""

    def compute(case: Any, a: dict[str, Array]) -> Answer:
        P, y, nu = np.linalg.inv(a["scale_matrix"]), a["x"] - a["loc"], float(a["df"])
        pull = y @ P  # (n, d)
        total = nu + (pull * y).sum(axis=1)  # ν + δ
        c = power(nu, y.shape[1])
        div = -c * (np.trace(P) / total - spread * (pull * pull).sum(axis=1) / total**2)
        answer = {"score": -c * pull / total[:, None], "divergence": div}
        if spread == 2.0:
            kernel = np.log(total / nu)
            answer["log_prob"] = case.expected()["log_prob"] + 0.5 * ((nu + y.shape[1]) - c) * kernel
        return answer

    return for_density(("student_t",), compute)


def _student_gaussian(case: Any, a: dict[str, Array]) -> Answer:
    return _all(targets.Gaussian(a["loc"], a["scale_matrix"]), a["x"])


MISTAKES = [
    entry(
        "score-negated", DENSITIES, "gradient of the energy for the score", "−∇log p", "eq-1.8",
        signed(score=-1.0, divergence=-1.0), "Samplers run away from the data.", "s = +∇log p = −∇E.",
    ),
    entry(
        "divergence-sign", DENSITIES, "sign of the divergence", "+tr P", "eq-1.8", signed(divergence=-1.0),
        "ISM with the trace's sign wrong.", "∇·s = Δ log p, negative at a mode.",
    ),
    entry(
        "density-covariance-inverted", DENSITIES, "covariance used as precision", "(x − μ)ᵀΣ(x − μ)", "eq-1.8",
        for_density(("gaussian",), _using(_inverse("cov"))), "Wide directions become narrow ones.", "P = Σ⁻¹.",
    ),
    entry(
        "mixture-covariance-inverted", DENSITIES, "the components' covariances used as precisions",
        "Σₖ for Σₖ⁻¹", "eq-1.9",
        for_density(("gaussian_mixture",), _using(_inverse("covs"))),
        "Wide directions become narrow ones.", "Pₖ = Σₖ⁻¹.",
    ),
    entry(
        "student-scale-inverted", "density", "scale matrix used as precision", "δ = (x − μ)ᵀΣ(x − μ)", "eq-1.11",
        for_density(("student_t",), _using(_inverse("scale_matrix"))), "Wide directions become narrow ones.",
        "P = Σ⁻¹.",
    ),
    entry(
        "covariance-diagonal", DENSITIES, "only the diagonal of the covariance", "diag Σ", "eq-1.8",
        for_density(("gaussian",), _using(_diagonal("cov"))), "Dependence is lost.", "Use the whole matrix.",
    ),
    entry(
        "mixture-covariance-diagonal", DENSITIES, "only the diagonals of the components' covariances",
        "diag Σₖ", "eq-1.9",
        for_density(("gaussian_mixture",), _using(_diagonal("covs"))), "Dependence is lost.", "Use the whole matrices.",
    ),
    entry(
        "covariance-squared", DENSITIES, "covariance squared: taken for a deviation", "Σ² for Σ", "eq-1.8",
        for_density(("gaussian",), _using(lambda a: {"cov": a["cov"] @ a["cov"]})), "Too wide or too narrow.",
        "Σ is the covariance.",
    ),
    entry(
        "normaliser-missing", DENSITIES, "normaliser left out", "log p = −½ (x − μ)ᵀP(x − μ)", "eq-1.8",
        for_density(
            ("gaussian",), _shifted(lambda c, a: 0.5 * (_log_det(_gaussian_cov(c, a)) + len(a["mean"]) * LOG_2PI))
        ),
        "The score is right; log p is not a log density.", "Subtract ½ log det 2πΣ.",
    ),
    entry(
        "two-pi-once", DENSITIES, "log 2π counted once instead of d times", "½ log 2π", "eq-1.8",
        for_density(("gaussian",), _shifted(lambda c, a: 0.5 * (len(a["mean"]) - 1) * LOG_2PI)),
        "log p off by a constant that grows with d.", "(d/2) log 2π.",
    ),
    entry(
        "two-pi-missing", DENSITIES, "2π left out", "½ log det Σ", "eq-1.8",
        for_density(("gaussian",), _shifted(lambda c, a: 0.5 * len(a["mean"]) * LOG_2PI)), "log p off by (d/2) log 2π.",
        "½ log det 2πΣ.",
    ),
    entry(
        "log-det-unhalved", DENSITIES, "log det without its ½", "log det Σ", "eq-1.8",
        for_density(("gaussian",), _shifted(lambda c, a: -0.5 * _log_det(_gaussian_cov(c, a)))),
        "log p off by a constant.", "½ log det Σ.",
    ),
    entry(
        "log-det-sign", DENSITIES, "sign of the log det", "+½ log det Σ", "eq-1.8",
        for_density(("gaussian",), _shifted(lambda c, a: _log_det(_gaussian_cov(c, a)))), "log p off by a constant.",
        "−½ log det Σ.",
    ),
    entry(
        "smoothing-ignored", "smoothed_density", "score of the density before smoothing", "Σ for Σ + σ²I", "eq-1.17",
        for_density(("gaussian", "gaussian_mixture"), lambda c, a: _all(unsmoothed(c.model, a), a["x"])),
        "DSM's target is the smoothed score: the two differ by O(σ²).", "Add σ²I to each covariance.",
    ),
    entry(
        "smoothing-sigma", "smoothed_density", "σ added to the covariance", "Σ + σI", "eq-1.17",
        for_density(("gaussian", "gaussian_mixture"), lambda c,
        a: _all(unsmoothed(c.model, a).smoothed(float(a["sigma"]) ** 0.5), a["x"])),
        "A deviation added to a variance.", "Add σ²I.",
    ),
    entry(
        "smoothing-halved", "smoothed_density", "half of σ² added", "Σ + ½σ²I", "eq-1.17",
        for_density(("gaussian", "gaussian_mixture"), lambda c,
        a: _all(unsmoothed(c.model, a).smoothed(float(a["sigma"]) * 0.5**0.5), a["x"])),
        "Half the noise.", "Add σ²I.",
    ),
    entry(
        "student-nu", "density", "ν for ν + d", "−ν P(x − μ)/(ν + δ)", "eq-1.11", _student(lambda nu, d: nu),
        "Tails too heavy.", "The exponent is (ν + d)/2.",
    ),
    entry(
        "student-one-dimensional", "density", "ν + 1 for ν + d", "−(ν + 1) P(x − μ)/(ν + δ)", "eq-1.11",
        _student(lambda nu, d: nu + 1), "Right for d = 1 only.", "The exponent is (ν + d)/2.",
    ),
    entry(
        "student-gaussian", "density", "the Gaussian of that scale matrix", "ν = ∞", "eq-1.11",
        for_density(("student_t",), _student_gaussian), "Light tails.", "Use df.",
    ),
    entry(
        "student-divergence", "density", "1 for 2 in the divergence", "tr P/(ν + δ) − ‖P(x − μ)‖²/(ν + δ)²",
        "eq-1.12",
        _student(lambda nu, d: nu + d, 1.0), "Wrong in the tails.", "Differentiate 1/(ν + δ): δ′ = 2P(x − μ).",
    ),
]  # fmt: skip
