"""npscore's own answers to the certified cases, in float64 or float32: what must pass, gold nearly everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

import npscore as ns
from npscore import activations
from npscore.conformance.answers import Errored
from npscore.conformance.mistakes import NETWORK
from npscore.conformance.mistakes.targets import target

Array = np.ndarray


def own_answer(case: Any, dtype: str) -> Any:
    """The outputs of a case that npscore has functions for; a refusal where one of them raised a ValueError."""
    if case.family == "invalid":
        return _refusal(case, dtype)
    values = _compute(case, case.inputs(dtype))
    return {name: np.asarray(value, np.float64) for name, value in values.items()}


def _refusal(case: Any, dtype: str) -> Any:
    try:
        return _compute(case, case.inputs(dtype))
    except (ValueError, TypeError) as error:
        return Errored(str(error), refused=True)


def _compute(case: Any, a: dict[str, Array]) -> dict[str, Any]:
    operation = case.operation
    if operation in NETWORK:
        return _network(case, a)
    if operation == "activation":
        jet = _activation(case, a).jet(a["z"], 3)
        return dict(zip(("phi", "dphi", "d2phi", "d3phi"), jet))
    if operation in ("density", "smoothed_density"):
        p = target(case)
        return {
            "log_prob": p.log_prob(a["x"]),
            "score": p.score(a["x"]),
            "divergence": p.score_divergence(a["x"]),
        }
    if operation in ("gradient_ascent", "langevin"):
        return {"x": _chain(case, a)}
    if operation == "langevin_law":
        law = ns.samplers.langevin_law(
            a["mean"], a["cov"], a["mean0"], a["cov0"], float(a["step"]), case.n_steps
        )
        return law._asdict()
    if operation == "stationary_covariance":
        return {"cov": ns.samplers.stationary_covariance(a["cov"], float(a["step"]))}
    if operation == "theorem_constant":
        return _constant(case)
    model = ns.LinearScore(a["A"], a["b"])
    out = getattr(model, operation)(a["mean"], a["cov"], *([float(a["sigma"])] if "sigma" in a else []))
    dA, db = model.unravel(out.grad)[0]
    return {"loss": out.loss, "grad.A": dA, "grad.b": db}


def _activation(case: Any, a: dict[str, Array]) -> Any:
    name = case.model["activation"]
    return activations.softplus(float(a["beta"])) if name == "softplus" else activations.get(name)


def _network(case: Any, a: dict[str, Array]) -> dict[str, Any]:
    count = len(case.model["sizes"]) - 1
    model = ns.MLP([(a[f"W{l}"], a[f"b{l}"]) for l in range(1, count + 1)], activation=_activation(case, a))
    w, x, out = a.get("weights"), a["x"], {}
    if case.operation == "esm":
        result = ns.esm(model, x, a["target_score"], w)
    elif case.operation == "ism":
        result, out["divergence"] = ns.ism(model, x, w), model.divergence(x)
    elif case.operation == "dsm":
        return _dsm(model, case, a, count)
    else:
        result = getattr(ns, case.operation)(model, x, a["v"], w)
        out["quadratic"] = model.quadratic_form(x, a["v"]) if hasattr(model, "quadratic_form") else None
    out["score"] = s = model.score(x)
    if case.operation != "esm":
        square = ((a["v"] * s).sum(-1) ** 2).mean(0) if case.operation == "ssm" else (s * s).sum(-1)
        out["half_square"] = square / 2
    return _named(model, result, {k: v for k, v in out.items() if v is not None})


def _dsm(model: Any, case: Any, a: dict[str, Array], count: int) -> dict[str, Any]:
    n = len(a["x"])
    kind = a["x"].dtype.type
    share = a.get("weights", np.full(n, kind(1) / kind(n)))
    factor = a["sigma"] ** 2 if case.convention.get("weighting") == "sigma2" else kind(1)
    weighted = "weights" in a or factor is not kind(1)
    result = ns.dsm(model, a["x"], a["noise"], a["sigma"], share * factor if weighted else None)
    result = result._replace(per_sample=result.per_sample * factor)
    moved = a["x"] + a["sigma"].reshape(-1, 1) * a["noise"]
    return _named(model, result, {"score": model.score(moved)})


def _named(model: Any, result: Any, out: dict[str, Any]) -> dict[str, Any]:
    grads = {
        f"grad.{c}{l}": g
        for l, layer in enumerate(model.unravel(result.grad), 1)
        for c, g in zip("Wb", layer)
    }
    return {"loss": result.loss, "per_sample": result.per_sample, **out, **grads}


def _chain(case: Any, a: dict[str, Array]) -> Array:
    score, x, step = target(case).score, a["x0"], float(a["step"])
    if case.operation == "gradient_ascent":
        return ns.gradient_ascent(score, x, step=step, n_steps=case.n_steps, tol=0).x
    for z in a["z"]:
        x = ns.langevin_step(score, x, step, z)
    return x


def _constant(case: Any) -> dict[str, Any]:
    """−½ E‖∇log p‖²: in closed form where there is one, else by quadrature, a factor at a time."""
    return {"constant": -0.5 * _fisher(target(case))}


def _fisher(p: Any) -> Any:
    """E‖∇log p‖²."""
    if isinstance(p, ns.targets.Gaussian):
        return np.trace(p.precision)
    if isinstance(p, ns.targets.StudentT):
        return np.trace(np.linalg.inv(p.scale_matrix)) * (p.df + p.d) / (p.df + p.d + 2)
    if isinstance(p, ns.targets.Product):
        return sum(_fisher(factor) for factor in p.factors)
    nodes, weights = p.quadrature(200 if p.d == 1 else 100)
    return weights @ (p.score(nodes) ** 2).sum(axis=1)
