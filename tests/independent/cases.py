"""Random cases, shaped like the shipped ones: inputs exact in float32, outputs computed in long double.

The shipped cases are certified by tests/oracle; these test the diagnosis at many seeds. No two of n, d, m and the
widths are equal and σ is never 1, so that no mistake stays hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import npscore as ns
from npscore import activations
from npscore.conformance.mistakes.targets import target

Array = np.ndarray
SMOOTH = ("tanh", "softplus", "sigmoid", "silu", "gelu", "sin", "erf", "isru")
HIDDEN = {0: (), 1: (7,), 2: (6, 8), 3: (6, 7, 8), 4: (6, 8, 9, 7)}
DEPTHS = (0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4)
SIZES = ((4, 3, 5), (6, 5, 4), (5, 3, 4), (3, 5, 4), (7, 3, 5))  # n, d, m


@dataclass(frozen=True)
class DrawnCase:
    """The interface of ``npscore.conformance.cases.Case``."""

    id: str
    operation: str
    model: dict[str, Any]
    arrays: dict[str, Array]
    outputs: dict[str, Array]
    convention: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    n_steps: int = 0
    terms: float = 0.0  # the sum of the absolute values of the loss's terms
    family: str = "drawn"
    difficulty: str = "plain"
    error: Any = None

    def inputs(self, dtype: str = "float64") -> dict[str, Array]:
        return {name: np.asarray(value, dtype) for name, value in self.arrays.items()}

    def expected(self) -> dict[str, Array]:
        return self.outputs

    def scale(self) -> dict[str, Array]:
        if self.operation == "activation":
            return {name: np.maximum(np.abs(v), 1e-4 * np.abs(v).max()) for name, v in self.outputs.items()}
        scale = {name: np.full(v.shape, np.abs(v).max(initial=1e-300)) for name, v in self.outputs.items()}
        return scale | ({"loss": np.array(self.terms)} if self.terms else {})

    def layers(self, dtype: str = "float64") -> list[tuple[Array, Array]]:
        arrays, count = self.inputs(dtype), len(self.model["sizes"]) - 1
        return [(arrays[f"W{l}"], arrays[f"b{l}"]) for l in range(1, count + 1)]


def dyadic(values: Array) -> Array:
    """Rounded to multiples of 2⁻¹⁶: exact in float32 below 256."""
    return np.round(np.asarray(values, np.float64) * 2**16) / 2**16


def _outputs(values: dict[str, Any]) -> dict[str, Array]:
    return {name: np.asarray(value, np.float64) for name, value in values.items()}


def network_cases(operation: str, seed: int) -> list[DrawnCase]:
    """26 cases over 0 to 4 hidden layers and all activations, with and without weights, σ per row and σ² weighting."""
    return [_network_case(operation, seed, k, hidden) for k, hidden in enumerate(DEPTHS)]


def _network_case(operation: str, seed: int, k: int, hidden: int) -> DrawnCase:
    rng = np.random.default_rng([seed, k, len(operation)])
    n, d, m = SIZES[(k + seed) % len(SIZES)]
    sizes = (d, *HIDDEN[hidden], d)
    name = SMOOTH[(k + seed) % len(SMOOTH)] if hidden else "identity"
    a: dict[str, Array] = {}
    for l, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:]), 1):
        a[f"W{l}"] = dyadic(rng.standard_normal((fan_out, fan_in)) * 1.3 / np.sqrt(fan_in))
        a[f"b{l}"] = dyadic(rng.uniform(-1, 1, fan_out))
    if name == "softplus":
        a["beta"] = dyadic(rng.uniform(1.3, 2.5))
    a["x"] = dyadic(rng.standard_normal((n, d)))
    convention: dict[str, Any] = {"reduction": "mean"}
    if operation == "esm":
        a["target_score"] = dyadic(rng.standard_normal((n, d)))
    if operation == "dsm":
        a["noise"] = dyadic(rng.standard_normal((n, d)))
        a["sigma"] = dyadic(rng.uniform(0.3, 0.8, (n,) if k % 2 else ()))
        convention["weighting"] = "sigma2" if k % 3 == 2 else "none"
    if operation.startswith("ssm"):
        gaussian = rng.standard_normal((m, n, d))
        a["v"] = dyadic(gaussian if k % 2 else np.sign(gaussian))
    if (k // 2) % 3 == 1:
        a["weights"], convention["reduction"] = dyadic(rng.uniform(0.1, 0.6, n)), "weighted-sum"
    model = {"kind": "mlp", "sizes": list(sizes), "activation": name}
    case = DrawnCase(f"{operation}-{seed}{k:03d}", operation, model, a, {}, convention)
    outputs = reference(case, np.longdouble)
    return DrawnCase(case.id, operation, model, a, outputs, convention, terms=_absolute_terms(case, outputs))


def _absolute_terms(case: DrawnCase, outputs: dict[str, Array]) -> float:
    """Σ wᵢ (½‖s‖² + Σ |terms of the trace or of vᵀJv|), as a scale of the implicit losses."""
    a = case.inputs()
    if case.operation in ("esm", "dsm"):
        return float(outputs["loss"])
    name = case.model["activation"]
    activation = activations.softplus(float(a["beta"])) if name == "softplus" else name
    model = ns.MLP(case.layers(), activation=activation)
    s, J = model.score(a["x"]), np.abs(model.jacobian(a["x"]))
    v = np.abs(a.get("v", np.eye(s.shape[1])[:, None] * np.ones((1, len(s), 1))))
    forms = np.einsum("mni,nij,mnj->mn", v, J, v)
    rows = 0.5 * (s * s).sum(axis=1) + (forms.mean(axis=0) if "v" in a else forms.sum(axis=0))
    if case.operation == "ssm":
        rows += 0.5 * ((v * np.abs(s)).sum(axis=-1) ** 2).mean(axis=0)
    return float(a.get("weights", np.full(len(s), 1 / len(s))) @ rows)


def reference(case: DrawnCase, dtype: Any) -> dict[str, Array]:
    """npscore's own answer to a network case, computed in a type."""
    a = case.inputs(dtype)
    name = case.model["activation"]
    activation = activations.softplus(float(a["beta"])) if name == "softplus" else name
    model = ns.MLP(case.layers(dtype), activation=activation)
    w = a.get("weights")
    if case.operation == "esm":
        out = ns.esm(model, a["x"], a["target_score"], w)
    elif case.operation == "ism":
        out = ns.ism(model, a["x"], w)
    elif case.operation == "dsm":
        share = np.full(len(a["x"]), np.asarray(1, dtype) / len(a["x"])) if w is None else w
        factor = a["sigma"] ** 2 if case.convention["weighting"] == "sigma2" else np.asarray(1, dtype)
        out = ns.dsm(model, a["x"], a["noise"], a["sigma"], share * factor)
        out = out._replace(per_sample=out.per_sample * factor)
    else:
        out = getattr(ns, case.operation)(model, a["x"], a["v"], w)
    answer = {"loss": out.loss, "per_sample": out.per_sample}
    for l, (dW, db) in enumerate(model.unravel(out.grad), 1):
        answer[f"grad.W{l}"], answer[f"grad.b{l}"] = dW, db
    return _outputs(answer)


def spd(rng: np.random.Generator, d: int, size: float = 1.0) -> Array:
    """A symmetric positive definite matrix of multiples of 2⁻⁸, far from diagonal."""
    root = rng.uniform(-1, 1, (d, d))
    cov = np.round((root @ root.T + 0.6 * np.eye(d)) * size * 2**8) / 2**8
    return 0.5 * (cov + cov.T)


def density_arrays(name: str, d: int, rng: np.random.Generator) -> dict[str, Array]:
    """Parameters of a gaussian, gaussian_mixture or student_t."""
    if name == "gaussian":
        return {"mean": dyadic(rng.standard_normal(d)), "cov": spd(rng, d)}
    if name == "student_t":
        return {
            "loc": dyadic(rng.standard_normal(d)),
            "scale_matrix": spd(rng, d),
            "df": dyadic(rng.uniform(2.2, 6)),
        }
    weights = np.array([10.0, 17.0, 37.0]) / 64
    return {
        "mixture_weights": weights,
        "means": dyadic(rng.standard_normal((3, d)) * 1.2),
        "covs": np.stack([spd(rng, d, size) for size in (0.8, 1.3, 1.9)]),
    }


def _product_arrays(rng: np.random.Generator, factors: tuple[str, ...]) -> dict[str, Array]:
    a: dict[str, Array] = {}
    for j, name in enumerate(factors, 1):
        low = {"loc": -1.0, "scale": 0.4, "rate": 1.3, "low": -1.6, "high": 2.2}
        high = {"loc": 1.0, "scale": 0.8, "rate": 2.4, "low": -1.2, "high": 3.1}
        names = {"exponential": ("rate",), "truncated_gaussian": ("loc", "scale", "low", "high")}
        for key in names.get(name, ("loc", "scale")):
            a[f"{key}{j}"] = dyadic(rng.uniform(low[key], high[key]))
    return a


FACTOR_SETS = (
    ("laplace", "gumbel", "exponential"),
    ("logistic", "truncated_gaussian", "gumbel"),
    ("truncated_gaussian", "exponential", "gumbel"),
    ("exponential", "laplace", "truncated_gaussian"),
    ("gumbel", "truncated_gaussian", "logistic"),
)


def density_cases(operation: str, seed: int) -> list[DrawnCase]:
    """Cases of ``density`` or ``smoothed_density``: five of each kind."""
    names = ("gaussian", "gaussian_mixture") + (("student_t", "product") if operation == "density" else ())
    return [_density_case(operation, name, seed, k) for name in names for k in range(5)]


def _density_case(operation: str, name: str, seed: int, k: int) -> DrawnCase:
    rng = np.random.default_rng([seed, k, len(name), 7])
    d, n = (3, 5, 3, 5, 7)[k], (5, 4, 6, 7, 4)[k]
    model: dict[str, Any] = {"kind": "density", "density": name, "d": d}
    if name == "product":
        model |= {"factors": list(FACTOR_SETS[k]), "d": 3}
        a = _product_arrays(rng, FACTOR_SETS[k]) | {"x": dyadic(rng.uniform(0.1, 2.0, (n, 3)))}
    else:
        a = density_arrays(name, d, rng) | {"x": dyadic(rng.standard_normal((n, d)) * 1.5)}
    if operation == "smoothed_density":
        a["sigma"] = dyadic(rng.uniform(0.4, 0.8))
    case = DrawnCase(f"{operation}-{name}-{seed}{k}", operation, model, a, {})
    p, x = target(case), a["x"].astype(np.longdouble)
    outputs = {"log_prob": p.log_prob(x), "score": p.score(x), "divergence": p.score_divergence(x)}
    return DrawnCase(case.id, operation, model, a, _outputs(outputs))


def sampler_cases(operation: str, seed: int) -> list[DrawnCase]:
    """Chains on Gaussians and mixtures, 1 and 5 steps."""
    cases = []
    for k in range(8):
        rng = np.random.default_rng([seed, k, 11])
        name, d, n = ("gaussian", "gaussian_mixture")[k % 2], (3, 5)[k // 2 % 2], (4, 6, 7)[k % 3]
        n_steps = 1 if k < 3 else 5
        a = density_arrays(name, d, rng) | {"x0": dyadic(rng.standard_normal((n, d)) * 1.5)}
        a["step"] = dyadic(rng.uniform(0.03, 0.08))
        if operation == "langevin":
            a["z"] = dyadic(rng.standard_normal((n_steps, n, d)))
        model = {"kind": "density", "density": name, "d": d}
        case = DrawnCase(f"{operation}-{seed}{k}", operation, model, a, {}, n_steps=n_steps)
        x, step, score = a["x0"].astype(np.longdouble), a["step"].astype(np.longdouble), target(case).score
        for t in range(n_steps):
            x = x + step * score(x) + (np.sqrt(2 * step) * a["z"][t] if "z" in a else 0)
        cases.append(DrawnCase(case.id, operation, model, a, _outputs({"x": x}), n_steps=n_steps))
    return cases


def law_cases(operation: str, seed: int) -> list[DrawnCase]:
    """Laws of Langevin on Gaussians after some steps, and at rest."""
    cases = []
    for k in range(6):
        rng = np.random.default_rng([seed, k, 13])
        d = (3, 5, 7)[k % 3]
        a = {"cov": spd(rng, d), "step": dyadic(rng.uniform(0.1, 0.25))}
        if operation == "langevin_law":
            a |= {
                "mean": dyadic(rng.standard_normal(d)),
                "mean0": dyadic(rng.standard_normal(d)),
                "cov0": spd(rng, d),
            }
            n_steps = (2, 3, 5)[k % 3]
            law = ns.samplers.langevin_law(
                a["mean"], a["cov"], a["mean0"], a["cov0"], float(a["step"]), n_steps
            )
            outputs = {"mean": law.mean, "cov": law.cov}
        else:
            n_steps = 0
            outputs = {"cov": ns.samplers.stationary_covariance(a["cov"], float(a["step"]))}
        model = {"kind": "density", "density": "gaussian", "d": d}
        cases.append(
            DrawnCase(f"{operation}-{seed}{k}", operation, model, a, _outputs(outputs), n_steps=n_steps)
        )
    return cases


def population_cases(operation: str, seed: int) -> list[DrawnCase]:
    """Expectations of an affine score, and the theorem's constant of Gaussians."""
    cases = []
    for k in range(6):
        rng = np.random.default_rng([seed, k, 17])
        d = (3, 5, 7)[k % 3]
        a = {"mean": dyadic(rng.standard_normal(d)), "cov": spd(rng, d)}
        model: dict[str, Any] = {"kind": "linear", "d": d}
        if operation == "theorem_constant":
            model = {"kind": "density", "density": "gaussian", "d": d}
            outputs = {"constant": -0.5 * np.trace(np.linalg.inv(a["cov"]))}
        else:
            a |= {"A": dyadic(rng.standard_normal((d, d)) - np.eye(d)), "b": dyadic(rng.standard_normal(d))}
            sigma = (
                (a.setdefault("sigma", dyadic(rng.uniform(0.4, 0.8))),)
                if operation == "population_dsm"
                else ()
            )
            linear = ns.LinearScore(a["A"], a["b"])
            loss, grad = getattr(linear, operation)(a["mean"], a["cov"], *map(float, sigma))
            outputs = {"loss": loss, "grad.A": grad[: d * d].reshape(d, d), "grad.b": grad[d * d :]}
        cases.append(DrawnCase(f"{operation}-{seed}{k}", operation, model, a, _outputs(outputs)))
    return cases


def activation_cases(operation: str, seed: int) -> list[DrawnCase]:
    """Four ranges of every smooth activation: near 0, the middle, one side, both; of softplus three far right, too."""
    cases = []
    for name in SMOOTH:
        far = ((16, 24),) * 3 if name == "softplus" else ()
        for k, (low, high) in enumerate(((-0.5, 0.5), (-3, 3), (0.5, 4), (-4, 4), *far)):
            rng = np.random.default_rng([seed, k, SMOOTH.index(name)])
            a = {"z": dyadic(rng.uniform(low, high, 9))}
            if name == "softplus":
                a["beta"] = dyadic(rng.uniform(1.3, 2.5))
            activation = (
                activations.softplus(float(a["beta"])) if name == "softplus" else activations.get(name)
            )
            jet = activation.jet(a["z"].astype(np.longdouble), 3)
            outputs = _outputs(dict(zip(("phi", "dphi", "d2phi", "d3phi"), jet)))
            model = {"kind": "activation", "activation": name}
            cases.append(DrawnCase(f"activation-{name}-{seed}{k}", operation, model, a, outputs))
    return cases
