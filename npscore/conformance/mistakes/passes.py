"""Mistakes of the forward and the backward pass, which any loss over a network can have."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from ... import activations
from .base import IMPLICIT, NETWORK, Array, Mistake, Predict, entry
from .faulty_loss import objective
from .faulty_network import Faults, Jets

ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth"}


def _hidden(case: Any) -> int:
    return len(case.model["sizes"]) - 2


def _column_major(case: Any) -> list[tuple[Array, Array]]:
    """Each weight's flat numbers read down the columns."""
    return [(W.ravel().reshape(W.shape, order="F"), b) for W, b in case.layers("float64")]


def _to_row_major(gradient: Array, name: str) -> Array:
    return gradient.ravel(order="F").reshape(gradient.shape)


def _gradient_column_major(gradient: Array, name: str) -> Array:
    return gradient.ravel(order="F").reshape(gradient.shape) if name == "W" else gradient


def _no_bias(case: Any) -> list[tuple[Array, Array]]:
    return [(W, 0 * b) for W, b in case.layers("float64")]


def _zero_bias(gradient: Array, name: str) -> Array:
    return 0 * gradient if name == "b" else gradient


def other_activation(of: str, jets: Jets) -> Predict:
    """Another φ in networks whose activation is ``of``."""
    predict = objective(jets=lambda case, arrays: jets)
    return lambda case: predict(case) if case.model["activation"] == of and _hidden(case) else {}


def gelu_tanh(z: Array) -> tuple[Array, Array, Array]:
    """½z(1 + tanh(√(2/π)(z + 0.044715z³))), ′, ″ (Hendrycks and Gimpel 2016)."""
    c, k = np.sqrt(2 / np.pi), 0.044715
    t = np.tanh(c * (z + k * z**3))
    u1, u2, s = c * (1 + 3 * k * z * z), c * 6 * k * z, 1 - t * t
    t1, t2 = s * u1, s * u2 - 2 * t * s * u1 * u1
    return 0.5 * z * (1 + t), 0.5 * (1 + t) + 0.5 * z * t1, t1 + 0.5 * z * t2


def quick_gelu(z: Array) -> tuple[Array, Array, Array]:
    """zσ(1.702z), ′, ″ (Hendrycks and Gimpel 2016)."""
    phi, slope, curvature = activations.get("silu").jet(1.702 * z, 2)
    return phi / 1.702, slope, 1.702 * curvature


def _named(name: str) -> Jets:
    return lambda z: activations.get(name).jet(z, 2)


def _without_hidden(predict: Predict, at_least: int) -> Predict:
    return lambda case: predict(case) if _hidden(case) >= at_least else {}


def _dropped(name: str, layers: Optional[int]) -> Predict:
    """φ″ or φ′ dropped at one hidden layer, or at all of them (None)."""
    numbers = (1, 2, 3, 4) if layers is None else (layers,)
    predict = objective(faults=Faults(**{name: numbers}))
    return _without_hidden(predict, layers or 1)


def _curvature(l: Optional[int]) -> Mistake:
    where = f"in the {ORDINALS[l]} hidden layer" if l else "in every hidden layer"
    return entry(
        f"curvature-dropped-{l or 'everywhere'}", IMPLICIT, f"φ″ dropped {where}", "dz without φ″(z) ∘ (u ∘ dt)",
        "eq-5.10", _dropped("no_curvature", l),
        "The gradient treats the slopes as constants: 15 % off at weights of order one, and hidden by small ones.",
        "Where J goes through φ′(z), z gets a gradient through φ″(z); with autograd, differentiate twice "
        "without detaching.",
        gradient_only=True,
    )  # fmt: skip


def _slope(l: int) -> Mistake:
    return entry(
        f"slope-dropped-{l}", NETWORK, f"φ′ dropped in the backward pass of the {ORDINALS[l]} hidden layer",
        "dz = da",
        "eq-4.8", _dropped("no_slope", l),
        "The gradient of that layer and of those before it is too large, unevenly.",
        "Multiply by φ′(z) on the way back.", gradient_only=True,
    )  # fmt: skip


MISTAKES = [
    *[_curvature(l) for l in (1, 2, 3, 4, None)],
    *[_slope(l) for l in (1, 2)],
    entry(
        "slope-at-output", NETWORK, "φ′ taken at a = φ(z) instead of z", "dz = φ′(a) ∘ da", "eq-4.8",
        _without_hidden(objective(faults=Faults(slope_at_output=True)), 1),
        "Right only for rules written in terms of the output (tanh′ = 1 − a²): others get a wrong gradient.",
        "Keep z, or use the rule in terms of a.", gradient_only=True,
    ),
    entry(
        "bias-gradient-missing", NETWORK, "no gradient of the biases", "db = 0", "eq-4.6",
        objective(faults=Faults(bias=0.0)), "Biases stay where they were initialised.", "db = Σ dz over rows.",
        gradient_only=True,
    ),
    entry(
        "bias-gradient-mean", NETWORK, "bias gradient divided by n once more", "db = mean dz", "eq-4.6",
        objective(faults=Faults(bias_mean=True)), "Biases learn n times too slowly.",
        "The 1/n is in dz already: sum over rows.", gradient_only=True,
    ),
    entry(
        "output-bias-gradient-missing", NETWORK, "no gradient of the last bias", "db_L = 0", "eq-4.6",
        objective(faults=Faults(output_bias=0.0)), "The mean of the score is never trained.",
        "db_L = Σ ds over rows.",
        gradient_only=True,
    ),
    entry(
        "weights-column-major", NETWORK, "weights read column by column", "W[i, j] = flat[i + fan_out·j]", "eq-4.1",
        objective(layers=_column_major, restore=_to_row_major), "Another network.",
        "The file is row-major: flat[i·fan_in + j]. Julia, Fortran, MATLAB and R need a transpose.",
    ),
    entry(
        "gradient-column-major", NETWORK, "weight gradients written column by column",
        "flat(dW) in column order", "eq-4.5",
        objective(restore=_gradient_column_major), "The right numbers in the wrong places.", "Write dW row by row.",
        gradient_only=True,
    ),
    entry(
        "bias-ignored", NETWORK, "biases left out", "z = W a", "eq-4.1",
        objective(layers=_no_bias, restore=_zero_bias),
        "Another network, symmetric about 0.", "Add b.",
    ),
    entry(
        "activation-after-last", NETWORK, "φ after the last layer too", "s = φ(W a + b)", "eq-4.2",
        _without_hidden(objective(last_active=True), 1), "The score is bounded where φ is: tails cannot be fitted.",
        "The last layer is affine.",
    ),
    entry(
        "activation-missing", NETWORK, "no activation", "a = z", "eq-4.2",
        _without_hidden(objective(jets=lambda case, arrays: _named("identity")), 1), "The network is affine.",
        "a = φ(z).",
    ),
    entry(
        "network-gelu-tanh", NETWORK, "GELU by its tanh approximation", "½z(1 + tanh(√(2/π)(z + 0.044715 z³)))",
        "eq-6.5",
        other_activation("gelu", gelu_tanh), "Off by 1e-3: harmless in training, but not the exact GELU.",
        'The exact form, with erf: GELU(approximate="none") in PyTorch, gelu(approximate=False) in JAX.',
        seen=("the default of jax.nn.gelu is approximate=True",),
    ),
    entry(
        "network-silu-for-gelu", NETWORK, "SiLU for GELU", "zσ(z) for zΦ(z)", "eq-6.5",
        other_activation("gelu", _named("silu")),
        "Another network.", "Φ is the normal distribution function, σ the logistic one.",
    ),
    entry(
        "network-gelu-for-silu", NETWORK, "GELU for SiLU", "zΦ(z) for zσ(z)", "eq-6.4",
        other_activation("silu", _named("gelu")),
        "Another network.", "σ is the logistic function, Φ the normal distribution function.",
    ),
    entry(
        "network-tanh-for-sigmoid", NETWORK, "tanh for the logistic sigmoid", "tanh z for σ(z)", "eq-6.3",
        other_activation("sigmoid", _named("tanh")), "Another network.", "σ(z) = (1 + tanh(z/2))/2.",
    ),
    entry(
        "network-softplus-beta", NETWORK, "softplus without its β", "log(1 + e^z) for log(1 + e^{βz})/β", "eq-6.2",
        other_activation("softplus", _named("softplus")), "Another network: rounder at the corner.",
        "Pass the case's beta.",
    ),
]  # fmt: skip
