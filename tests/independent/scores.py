"""An independent implementation of the losses, right or with one mistake: no model of npscore, no backward pass.

Every gradient is a complex step: axis 0 runs over the p entries of θ, and copy k of θ has ih added to its entry k. The
imaginary part of a result is its derivative; ``stopped`` removes it, as a framework's detach does. float32 works in
complex64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np
from scipy.special import erf, erfc, expit

Array = np.ndarray
Loss = Callable[["Setting"], Array]
ROOT_2PI = float(np.sqrt(2 * np.pi))


def _normal(z: Array) -> Array:
    return np.exp(-z * z / 2) / ROOT_2PI


def _softplus(beta: float) -> tuple[Callable[[Array], Array], ...]:
    return (
        lambda z: np.logaddexp(0, beta * z) / beta,
        lambda z: expit(beta * z),
        lambda z: beta * expit(beta * z) * expit(-beta * z),
    )


def _gelu_tanh_inside(z: Array) -> Array:
    return 0.7978845608028654 * (z + 0.044715 * z**3)


def _gelu_tanh_slope(z: Array) -> Array:
    u, du = _gelu_tanh_inside(z), 0.7978845608028654 * (1 + 0.134145 * z**2)
    return 0.5 + 0.5 * np.tanh(u) + 0.5 * z * du / np.cosh(u) ** 2


def _gelu_tanh_curvature(z: Array) -> Array:
    u, du, ddu = (
        _gelu_tanh_inside(z),
        0.7978845608028654 * (1 + 0.134145 * z**2),
        0.7978845608028654 * 0.26829 * z,
    )
    sech2 = 1 / np.cosh(u) ** 2
    return sech2 * du + 0.5 * z * (sech2 * ddu - 2 * np.tanh(u) * sech2 * du**2)


#: φ, φ′, φ″ as in textbooks
PHI: dict[str, tuple[Callable[[Array], Array], ...]] = {
    "identity": (lambda z: z, np.ones_like, np.zeros_like),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2, lambda z: -2 * np.tanh(z) / np.cosh(z) ** 2),
    "sigmoid": (
        expit,
        lambda z: expit(z) * expit(-z),
        lambda z: -expit(z) * expit(-z) * np.tanh(z / 2),
    ),
    "silu": (
        lambda z: z * expit(z),
        lambda z: expit(z) * (1 + z * expit(-z)),
        lambda z: expit(z) * expit(-z) * (2 - z * np.tanh(z / 2)),
    ),
    "gelu": (
        lambda z: z * 0.5 * erfc(-z / np.sqrt(2).astype(z.dtype)),
        lambda z: 0.5 * erfc(-z / np.sqrt(2).astype(z.dtype)) + z * _normal(z),
        lambda z: (2 - z * z) * _normal(z),
    ),
    "gelu-tanh": (
        lambda z: 0.5 * z * (1 + np.tanh(_gelu_tanh_inside(z))),
        _gelu_tanh_slope,
        _gelu_tanh_curvature,
    ),
    "sin": (np.sin, np.cos, lambda z: -np.sin(z)),
    "erf": (
        erf,
        lambda z: 2 / float(np.sqrt(np.pi)) * np.exp(-z * z),
        lambda z: -4 / float(np.sqrt(np.pi)) * z * np.exp(-z * z),
    ),
    "isru": (
        lambda z: z / np.sqrt(1 + z * z),
        lambda z: (1 + z * z) ** -1.5,
        lambda z: -3 * z * (1 + z * z) ** -2.5,
    ),
    "square": (lambda z: z * z, lambda z: 2 * z, lambda z: np.full_like(z, 2)),
    "cube": (lambda z: z**3, lambda z: 3 * z * z, lambda z: 6 * z),
}


@dataclass(frozen=True)
class Setting:
    """The terms of a loss: the arrays of the case, s (p, n, d) and J (p, n, d, d)."""

    case: Any
    a: dict[str, Array]
    s: Array
    J: Array
    x: Array  # where s was evaluated

    @property
    def op(self) -> str:
        return self.case.operation

    @property
    def sigma(self) -> Array:
        """(n, 1)."""
        return np.ones((len(self.a["x"]), 1), self.a["x"].dtype) * np.reshape(self.a["sigma"], (-1, 1))

    @property
    def weighted(self) -> bool:
        return self.case.convention.get("weighting") == "sigma2"


def stopped(value: Array) -> Array:
    """The value without its derivatives."""
    return value.real.astype(value.dtype)


def half_square(q: Setting) -> Array:
    """½‖s‖², or for SSM ½(vᵀs)² averaged over the probes: (p, n)."""
    if q.op != "ssm":
        return sum(q.s[..., k] ** 2 for k in range(q.s.shape[-1])) / 2
    return sum(np.einsum("nk,pnk->pn", v, q.s) ** 2 for v in q.a["v"]) / (2 * len(q.a["v"]))


def diagonal(q: Setting) -> Array:
    """Σₖ Jₖₖ, one k after the other: (p, n)."""
    return sum(q.J[..., k, k] for k in range(q.J.shape[-1]))


def probed(q: Setting) -> Array:
    """vᵀJv averaged over the probes: (p, n)."""
    return sum(np.einsum("ni,pnij,nj->pn", v, q.J, v) for v in q.a["v"]) / len(q.a["v"])


def trace(q: Setting) -> Array:
    """The exact trace for ISM, else its estimate."""
    return diagonal(q) if q.op == "ism" else probed(q)


def weight(q: Setting) -> Array:
    """σ² where the case says so, else 1: (n,)."""
    return q.sigma[:, 0] ** 2 if q.weighted else np.ones(len(q.x), q.a["x"].dtype)


def aim(q: Setting) -> Array:
    return q.a["target_score"] if q.op == "esm" else -q.a["noise"] / q.sigma


def to(q: Setting, target: Any) -> Array:
    """½‖s − target‖², (p, n)."""
    return (weight(q) if q.op == "dsm" else 1) * np.einsum("pnk,pnk->pn", q.s - target, q.s - target) / 2


def correct(q: Setting) -> Array:
    """ℓ of every row, (p, n)."""
    return to(q, aim(q)) if q.op in ("esm", "dsm") else half_square(q) + trace(q)


def row_weights(case: Any, a: dict[str, Array]) -> Array:
    return a["weights"] if "weights" in a else np.full(len(a["x"]), 1 / len(a["x"]), a["x"].dtype)


def where(case: Any, a: dict[str, Array]) -> Array:
    """x, or x + σε."""
    return a["x"] + np.reshape(a["sigma"], (-1, 1)) * a["noise"] if case.operation == "dsm" else a["x"]


@dataclass(frozen=True)
class Plan:
    """The lines of the implementation; a mistake replaces one."""

    loss: Loss = correct
    gradient: Optional[Loss] = None  # where it is not the loss's own
    arrays: Callable[[Any, dict[str, Array]], dict[str, Array]] = lambda case, a: a
    where: Callable[[Any, dict[str, Array]], Array] = where
    rows: Callable[[Any, dict[str, Array]], Array] = row_weights
    gradient_rows: Optional[Callable[[Any, dict[str, Array]], Array]] = None
    weights: Callable[[Array], Array] = lambda W: W
    biases: Callable[[Array], Array] = lambda b: b
    phi: Callable[[str], str] = lambda name: name
    beta: Callable[[float], float] = lambda beta: beta
    last: bool = False  # φ after the last layer
    frozen: Callable[[int], bool] = lambda l: False  # φ′ has no derivative in hidden layer l
    straight: Callable[[int], bool] = lambda l: False  # φ passes derivatives on unchanged
    at_output: bool = False  # … or times φ′(φ(z))
    finish: Callable[[Any, dict[str, Array]], dict[str, Array]] = lambda case, answer: answer


def answer(case: Any, dtype: str = "float64", plan: Plan = Plan()) -> dict[str, Array]:
    """Loss and gradient of a network case, computed in ``dtype``."""
    a = plan.arrays(case, case.inputs(dtype))
    layers, names = _nudged(case.layers(dtype), dtype)
    h = 1e-15 if dtype == "float32" else 1e-100
    x = plan.where(case, a)
    s, J = _forward(layers, x, _activation(case, a, plan), plan)
    q = Setting(case, a, s, J, x)
    rows = plan.loss(q)
    loss = (plan.rows(case, a) @ rows.real[0]).astype(dtype)
    graded = (plan.gradient or plan.loss)(q)
    flat = (graded.imag @ (plan.gradient_rows or plan.rows)(case, a)) / np.asarray(h, dtype)  # (p,)
    out = {"loss": np.asarray(loss, np.float64)}
    start = 0
    for name, shape in names:
        size = int(np.prod(shape))
        out[f"grad.{name}"] = flat[start : start + size].reshape(shape).astype(np.float64)
        start += size
    return plan.finish(case, out)


def _nudged(layers: Any, dtype: str) -> tuple[list[tuple[Array, Array]], list[tuple[str, tuple[int, ...]]]]:
    """The layers p times over, entry k moved by ih in copy k; and the names and shapes of the parts of θ."""
    parts = [part for layer in layers for part in layer]
    p, kind = sum(part.size for part in parts), "complex64" if dtype == "float32" else "complex128"
    h, start, out = 1e-15 if dtype == "float32" else 1e-100, 0, []
    for part in parts:
        copies = np.repeat(part.astype(kind)[None], p, axis=0)
        flat = copies.reshape(p, -1)
        for k in range(part.size):
            flat[start + k, k] += 1j * h
        start += part.size
        out.append(copies)
    names = [
        (f"{letter}{l}", part.shape) for l, layer in enumerate(layers, 1) for letter, part in zip("Wb", layer)
    ]
    return list(zip(out[::2], out[1::2])), names


def _activation(case: Any, a: dict[str, Array], plan: Plan) -> tuple[Callable[[Array], Array], ...]:
    name = plan.phi(case.model["activation"])
    return _softplus(plan.beta(float(a.get("beta", 1.0)))) if name == "softplus" else PHI[name]


def _lift(f: Callable[[Array], Array], slope: Array, z: Array) -> Array:
    """f at complex z to first order in its imaginary part."""
    return (f(z.real) + 1j * (slope * z.imag)).astype(z.dtype)


def _forward(layers: Any, x: Array, phi: Any, plan: Plan) -> tuple[Array, Array]:
    f, df, ddf = phi
    p, kind = len(layers[0][0]), layers[0][0].dtype
    a = np.repeat(x.astype(kind)[None], p, axis=0)  # (p, n, h)
    T = np.broadcast_to(np.eye(x.shape[1], dtype=kind), (p, *x.shape, x.shape[1]))  # (p, n, h, d)
    for l, (W, b) in enumerate(layers, 1):
        W = plan.weights(W)
        z = a @ np.swapaxes(W, 1, 2) + plan.biases(b)[:, None]
        T = W[:, None] @ T
        if l == len(layers) and not plan.last:
            return z, T
        slope = df(z.real)
        carried = np.ones_like(slope) if plan.straight(l) else df(f(z.real)) if plan.at_output else slope
        a = _lift(f, carried, z)
        bend = np.zeros_like(slope) if plan.frozen(l) else ddf(z.real)
        T = _lift(df, bend, z)[..., None] * T
    return a, T


def changed(plan: Plan, **lines: Any) -> Plan:
    return replace(plan, **lines)
