"""Mistakes of activation functions and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import activations
from .base import Answer, Array, Predict, changed, entry
from .passes import gelu_tanh, quick_gelu

NAMES = ("phi", "dphi", "d2phi", "d3phi")
Blocks = dict[str, Array]


def _for(name: str, compute: Callable[..., Blocks], digits: int = 11) -> Predict:
    """A prediction for one activation: the blocks of ``compute(z, jet, beta)`` that differ from the certified ones."""

    def predict(case: Any) -> Answer:
        if case.model["activation"] != name:
            return {}
        arrays = case.inputs("float64")
        expected = case.expected()
        jet = [expected[block] for block in NAMES]
        blocks = compute(arrays["z"], jet, float(arrays.get("beta", 1.0)))
        return {key: value for key, value in blocks.items() if changed(case, {key: value}, digits)}

    return predict


def _jet(name: str, z: Array, **params: float) -> Blocks:
    activation = activations.Activation(name, tuple(params.items()))
    return dict(zip(NAMES, activation.jet(z, 3)))


def _chained(name: str, c: float, out: float) -> Callable[..., Blocks]:
    """out · φ(c z) and its derivatives."""
    return lambda z, jet, beta: {
        key: out * c**k * value for k, (key, value) in enumerate(_jet(name, c * z).items())
    }


def _sigma(z: Array) -> Array:
    return activations.get("sigmoid")(z)


def _softplus_outside(z: Array, jet: list[Array], beta: float) -> Blocks:
    return {key: beta * value for key, value in zip(NAMES, jet)}


def _softplus_inside(z: Array, jet: list[Array], beta: float) -> Blocks:
    plain = _jet("softplus", z)
    return {key: value / beta for key, value in plain.items()}


def _softplus_threshold(z: Array, jet: list[Array], beta: float) -> Blocks:
    line = (z, np.ones_like(z), np.zeros_like(z), np.zeros_like(z))
    return {key: np.where(beta * z > 20, far, near) for key, far, near in zip(NAMES, line, jet)}


def _sign(block: str, k: int) -> Callable[..., Blocks]:
    return lambda z, jet, beta: {block: -jet[k]}


MISTAKES = [
    entry(
        "tanh-slope-linear", "activation", "tanh′ = 1 − tanh", "1 − t", "eq-6.1",
        _for("tanh", lambda z, jet, beta: {"dphi": 1 - jet[0]}), "Not even; 2 at −∞.", "1 − t².",
    ),
    entry(
        "tanh-slope-of-slope", "activation", "tanh's rule applied to its own slope", "1 − (1 − t²)²", "eq-6.1",
        _for("tanh", lambda z, jet, beta: {"dphi": 1 - (1 - jet[0] ** 2) ** 2}), "0 at the centre.", "1 − t².",
    ),
    entry(
        "tanh-slope-sigmoid", "activation", "the sigmoid's rule for tanh", "t(1 − t)", "eq-6.1",
        _for("tanh", lambda z, jet, beta: {"dphi": jet[0] * (1 - jet[0])}), "0 at the centre.", "1 − t².",
    ),
    entry(
        "tanh-curvature-sign", "activation", "sign of tanh″", "+2 t t′", "eq-6.1", _for("tanh", _sign("d2phi", 2)),
        "The gradient of the trace is inverted.", "−2 t t′.",
    ),
    entry(
        "tanh-curvature-halved", "activation", "tanh″ without its 2", "−t t′", "eq-6.1",
        _for("tanh", lambda z, jet, beta: {"d2phi": 0.5 * jet[2]}), "Half the gradient of the trace.", "−2 t t′.",
    ),
    entry(
        "sigmoid-slope-missing-factor", "activation", "σ for σ(1 − σ)", "σ′ = σ", "eq-6.3",
        _for("sigmoid", lambda z, jet, beta: {"dphi": jet[0]}), "Right in the left tail only.", "σ(1 − σ).",
    ),
    entry(
        "sigmoid-slope-one-minus", "activation", "1 − σ for σ(1 − σ)", "σ′ = 1 − σ", "eq-6.3",
        _for("sigmoid", lambda z, jet, beta: {"dphi": 1 - jet[0]}), "Right in the right tail only.", "σ(1 − σ).",
    ),
    entry(
        "sigmoid-slope-tanh", "activation", "tanh's rule for the sigmoid", "1 − σ²", "eq-6.3",
        _for("sigmoid", lambda z, jet, beta: {"dphi": 1 - jet[0] ** 2}), "1 in the left tail.", "σ(1 − σ).",
    ),
    entry(
        "sigmoid-curvature-sign", "activation", "sign of σ″", "σ′(2σ − 1)", "eq-6.3",
        _for("sigmoid", _sign("d2phi", 2)),
        "The gradient of the trace is inverted.", "σ′(1 − 2σ).",
    ),
    entry(
        "softplus-beta-ignored", "activation", "softplus without β", "log(1 + e^z)", "eq-6.2",
        _for("softplus", lambda z, jet, beta: _jet("softplus", z)), "Rounder at the corner.", "log(1 + e^{βz})/β.",
    ),
    entry(
        "softplus-undivided", "activation", "not divided by β", "log(1 + e^{βz})", "eq-6.2",
        _for("softplus", _softplus_outside),
        "Slope β at infinity.", "log(1 + e^{βz})/β.",
    ),
    entry(
        "softplus-beta-outside", "activation", "β only outside", "log(1 + e^z)/β", "eq-6.2",
        _for("softplus", _softplus_inside),
        "Slope 1/β at infinity.", "log(1 + e^{βz})/β.",
    ),
    entry(
        "softplus-slope-beta", "activation", "σ(z) for σ(βz)", "σ(z)", "eq-6.2",
        _for("softplus", lambda z, jet, beta: {"dphi": _sigma(z)}), "Right for β = 1 only.", "σ(βz).",
    ),
    entry(
        "softplus-curvature-beta", "activation", "φ″ without its β", "σ(βz)(1 − σ(βz))", "eq-6.2",
        _for("softplus", lambda z, jet, beta: {"d2phi": jet[2] / beta}), "Too small by β.", "β σ(βz)(1 − σ(βz)).",
    ),
    entry(
        "softplus-threshold", "activation", "a straight line from βz = 20 on", "z where βz > 20", "eq-6.2",
        _for("softplus", _softplus_threshold, digits=13),
        "φ is off by 2e-9/β at most, but φ″ is 0: such a unit has no part in the gradient of the trace.",
        "max(z, 0) + log(1 + e^{−β|z|})/β, or a threshold beyond the digits of the type.",
        seen=("the default of torch.nn.functional.softplus is threshold=20",),
    ),
    entry(
        "silu-slope", "activation", "σ for silu′", "σ(z)", "eq-6.4",
        _for("silu", lambda z, jet, beta: {"dphi": _sigma(z)}), "The product rule's second term is missing.",
        "σ + zσ(1 − σ).",
    ),
    entry(
        "silu-gelu", "activation", "GELU for SiLU", "zΦ(z)", "eq-6.4",
        _for("silu", lambda z, jet, beta: _jet("gelu", z)), "Another function.", "zσ(z).",
    ),
    entry(
        "gelu-tanh", "activation", "GELU by its tanh approximation", "½z(1 + tanh(√(2/π)(z + 0.044715 z³)))",
        "eq-6.5",
        _for("gelu", lambda z, jet, beta: dict(zip(NAMES, gelu_tanh(z)))), "Off by 1e-3, and in φ″ by more.",
        "zΦ(z), with erf.",
        seen=("the default of jax.nn.gelu is approximate=True",),
    ),
    entry(
        "gelu-quick", "activation", "GELU by a sigmoid", "zσ(1.702z)", "eq-6.5",
        _for("gelu", lambda z, jet, beta: dict(zip(NAMES, quick_gelu(z)))), "Off by 2e-2.", "zΦ(z), with erf.",
    ),
    entry(
        "gelu-silu", "activation", "SiLU for GELU", "zσ(z)", "eq-6.5",
        _for("gelu", lambda z, jet, beta: _jet("silu", z)), "Another function.", "zΦ(z).",
    ),
    entry(
        "gelu-unscaled", "activation", "erf(z) for erf(z/√2)", "½z(1 + erf z)", "eq-6.5",
        _for("gelu", _chained("gelu", float(np.sqrt(2)), float(np.sqrt(0.5)))), "A steeper corner.",
        "Φ(z) = ½(1 + erf(z/√2)).",
    ),
    entry(
        "gelu-slope", "activation", "Φ for gelu′", "Φ(z)", "eq-6.5",
        _for("gelu", lambda z, jet, beta: {"dphi": 0.5 * (1 + activations.get("erf")(z / np.sqrt(2)))}),
        "The product rule's second term is missing.", "Φ + zn.",
    ),
    entry(
        "erf-slope", "activation", "erf′ without 2/√π", "e^{−z²}", "eq-6.7",
        _for("erf", lambda z, jet, beta: {"dphi": np.exp(-z * z)}), "Too small by 0.886.", "(2/√π) e^{−z²}.",
    ),
    entry(
        "erf-gaussian", "activation", "erf(z/√2)", "2Φ(z) − 1", "eq-6.7",
        _for("erf", _chained("erf", float(np.sqrt(0.5)), 1.0)),
        "Flatter.", "erf z = 2Φ(√2 z) − 1.",
    ),
    entry(
        "sin-slope-sign", "activation", "sin′ = −cos", "−cos z", "eq-6.6", _for("sin", _sign("dphi", 1)),
        "An inverted slope.", "cos z.",
    ),
    entry(
        "sin-curvature-sign", "activation", "sin″ = +sin", "sin z", "eq-6.6", _for("sin", _sign("d2phi", 2)),
        "The gradient of the trace is inverted.", "−sin z.",
    ),
    entry(
        "isru-slope", "activation", "isru′ with exponent −½", "(1 + z²)^{−1/2}", "eq-6.8",
        _for("isru", lambda z, jet, beta: {"dphi": 1 / np.sqrt(1 + z * z)}), "Decays too slowly.", "(1 + z²)^{−3/2}.",
    ),
    entry(
        "softsign-for-isru", "activation", "softsign for isru", "z/(1 + |z|)", "eq-6.8",
        _for("isru", lambda z, jet, beta: {"phi": z / (1 + np.abs(z)), "dphi": (1 + np.abs(z)) ** -2.0}),
        "A kink at 0.", "z/√(1 + z²).",
    ),
]  # fmt: skip
