"""Mistakes of densities: log p, score and divergence, smoothed or not, and of expectations under a Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import targets
from .base import Answer, Array, Predict, changed, entry
from .targets import FACTORS, factor, target, unsmoothed

DENSITIES = ("density", "smoothed_density")
Parts = dict[str, Array]
LOG_2PI = float(np.log(2 * np.pi))


def _all(p: targets.Target, x: Array) -> Answer:
    return {"log_prob": p.log_prob(x), "score": p.score(x), "divergence": p.score_divergence(x)}


def _of(names: tuple[str, ...], compute: Callable[[Any, dict[str, Array]], Answer]) -> Predict:
    """A prediction for densities of these names only."""

    def predict(case: Any) -> Answer:
        if case.model["density"] not in names:
            return {}
        return changed(case, compute(case, case.inputs("float64")), digits=11)

    return predict


def _signs(**signs: float) -> Predict:
    """The certified blocks, some of them times a constant."""
    return lambda case: changed(case, {name: c * case.expected()[name] for name, c in signs.items()})


def _with(
    change: Callable[[dict[str, Array]], dict[str, Array]],
) -> Callable[[Any, dict[str, Array]], Answer]:
    """The density with other parameters; the covariances are smoothed first."""

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
    """log p plus a constant."""
    return lambda case, arrays: {"log_prob": case.expected()["log_prob"] + constant(case, arrays)}


def _gaussian_cov(case: Any, arrays: dict[str, Array]) -> Array:
    d = len(arrays["cov"])
    return arrays["cov"] + (float(arrays["sigma"]) ** 2 * np.eye(d) if "sigma" in arrays else 0.0)


def _log_det(cov: Array) -> float:
    return float(np.linalg.slogdet(cov)[1])


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
    return _of(("gaussian_mixture",), lambda case, arrays: formula(_components(case, arrays)))


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


def _student(power: Callable[[float, int], float], spread: float = 2.0) -> Predict:
    """t with other constants: ``power`` for ν + d, ``spread`` for the 2 of the divergence."""

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

    return _of(("student_t",), compute)


def _student_gaussian(case: Any, a: dict[str, Array]) -> Answer:
    return _all(targets.Gaussian(a["loc"], a["scale_matrix"]), a["x"])


def _product(change: Callable[[str, dict[str, float], Array], Parts]) -> Predict:
    """Factors of a product with some functions replaced; ``change`` gives log_prob, score, divergence."""

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
        # only the blocks that came out different are predicted
        return {name: value for name, value in whole.items() if changed(case, {name: value}, digits=11)}

    return _of(("product",), compute)


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


def _population(formula: Callable[[Parts], Parts]) -> Predict:
    """Expectations of a linear score: ``formula`` gives loss, grad.A and grad.b from A, b, m, S and R = E s."""

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
        "score-negated", DENSITIES, "gradient of the energy for the score", "−∇log p", "eq-1.8",
        _signs(score=-1.0, divergence=-1.0), "Samplers run away from the data.", "s = +∇log p = −∇E.",
    ),
    entry(
        "divergence-sign", DENSITIES, "sign of the divergence", "+tr P", "eq-1.8", _signs(divergence=-1.0),
        "ISM with the trace's sign wrong.", "∇·s = Δ log p, negative at a mode.",
    ),
    entry(
        "density-covariance-inverted", DENSITIES, "covariance used as precision", "(x − μ)ᵀΣ(x − μ)", "eq-1.8",
        _of(("gaussian",), _with(_inverse("cov"))), "Wide directions become narrow ones.", "P = Σ⁻¹.",
    ),
    entry(
        "mixture-covariance-inverted", DENSITIES, "the components' covariances used as precisions",
        "Σₖ for Σₖ⁻¹", "eq-1.9",
        _of(("gaussian_mixture",), _with(_inverse("covs"))), "Wide directions become narrow ones.", "Pₖ = Σₖ⁻¹.",
    ),
    entry(
        "student-scale-inverted", "density", "scale matrix used as precision", "δ = (x − μ)ᵀΣ(x − μ)", "eq-1.11",
        _of(("student_t",), _with(_inverse("scale_matrix"))), "Wide directions become narrow ones.", "P = Σ⁻¹.",
    ),
    entry(
        "covariance-diagonal", DENSITIES, "only the diagonal of the covariance", "diag Σ", "eq-1.8",
        _of(("gaussian",), _with(_diagonal("cov"))), "Dependence is lost.", "Use the whole matrix.",
    ),
    entry(
        "mixture-covariance-diagonal", DENSITIES, "only the diagonals of the components' covariances",
        "diag Σₖ", "eq-1.9",
        _of(("gaussian_mixture",), _with(_diagonal("covs"))), "Dependence is lost.", "Use the whole matrices.",
    ),
    entry(
        "covariance-squared", DENSITIES, "covariance squared: taken for a deviation", "Σ² for Σ", "eq-1.8",
        _of(("gaussian",), _with(lambda a: {"cov": a["cov"] @ a["cov"]})), "Too wide or too narrow.",
        "Σ is the covariance.",
    ),
    entry(
        "normaliser-missing", DENSITIES, "normaliser left out", "log p = −½ (x − μ)ᵀP(x − μ)", "eq-1.8",
        _of(("gaussian",), _shifted(lambda c, a: 0.5 * (_log_det(_gaussian_cov(c, a)) + len(a["mean"]) * LOG_2PI))),
        "The score is right; log p is not a log density.", "Subtract ½ log det 2πΣ.",
    ),
    entry(
        "two-pi-once", DENSITIES, "log 2π counted once instead of d times", "½ log 2π", "eq-1.8",
        _of(("gaussian",), _shifted(lambda c, a: 0.5 * (len(a["mean"]) - 1) * LOG_2PI)),
        "log p off by a constant that grows with d.", "(d/2) log 2π.",
    ),
    entry(
        "two-pi-missing", DENSITIES, "2π left out", "½ log det Σ", "eq-1.8",
        _of(("gaussian",), _shifted(lambda c, a: 0.5 * len(a["mean"]) * LOG_2PI)), "log p off by (d/2) log 2π.",
        "½ log det 2πΣ.",
    ),
    entry(
        "log-det-unhalved", DENSITIES, "log det without its ½", "log det Σ", "eq-1.8",
        _of(("gaussian",), _shifted(lambda c, a: -0.5 * _log_det(_gaussian_cov(c, a)))),
        "log p off by a constant.", "½ log det Σ.",
    ),
    entry(
        "log-det-sign", DENSITIES, "sign of the log det", "+½ log det Σ", "eq-1.8",
        _of(("gaussian",), _shifted(lambda c, a: _log_det(_gaussian_cov(c, a)))), "log p off by a constant.",
        "−½ log det Σ.",
    ),
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
    entry(
        "smoothing-ignored", "smoothed_density", "score of the density before smoothing", "Σ for Σ + σ²I", "eq-1.17",
        _of(("gaussian", "gaussian_mixture"), lambda c, a: _all(unsmoothed(c.model, a), a["x"])),
        "DSM's target is the smoothed score: the two differ by O(σ²).", "Add σ²I to each covariance.",
    ),
    entry(
        "smoothing-sigma", "smoothed_density", "σ added to the covariance", "Σ + σI", "eq-1.17",
        _of(("gaussian", "gaussian_mixture"), lambda c,
        a: _all(unsmoothed(c.model, a).smoothed(float(a["sigma"]) ** 0.5), a["x"])),
        "A deviation added to a variance.", "Add σ²I.",
    ),
    entry(
        "smoothing-halved", "smoothed_density", "half of σ² added", "Σ + ½σ²I", "eq-1.17",
        _of(("gaussian", "gaussian_mixture"), lambda c,
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
        _of(("student_t",), _student_gaussian), "Light tails.", "Use df.",
    ),
    entry(
        "student-divergence", "density", "1 for 2 in the divergence", "tr P/(ν + δ) − ‖P(x − μ)‖²/(ν + δ)²",
        "eq-1.12",
        _student(lambda nu, d: nu + d, 1.0), "Wrong in the tails.", "Differentiate 1/(ν + δ): δ′ = 2P(x − μ).",
    ),
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
        _signs(constant=-1.0), "J_ESM = J_ISM − C.", "J_ISM = J_ESM + C with C = −½ E‖∇log p‖².",
    ),
]  # fmt: skip

__all__ = ["MISTAKES", "target"]
