"""Activations and their first two derivatives, from ``independent.scores``, right or with one mistake."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from independent.scores import PHI, Array, _softplus
from scipy.special import erf, expit

BLOCKS = ("phi", "dphi", "d2phi")


def right(case: Any, dtype: str) -> dict[str, Array]:
    """φ, φ′, φ″ of a case."""
    name = case.model["activation"]
    return _values(
        _softplus(float(case.inputs(dtype)["beta"])) if name == "softplus" else PHI[name], case, dtype
    )


def _values(functions: Any, case: Any, dtype: str) -> dict[str, Array]:
    z = case.inputs(dtype)["z"]
    return {block: np.asarray(f(z), dtype).astype(np.float64) for block, f in zip(BLOCKS, functions)}


def _planted(name: str, **wrong: Callable[[Array, float], Any]) -> Callable[[Any, str], dict[str, Array]]:
    """Blocks of one activation replaced by functions of (z, β)."""

    def answer(case: Any, dtype: str) -> dict[str, Array]:
        out, a = right(case, dtype), case.inputs(dtype)
        if case.model["activation"] == name:
            beta = float(a.get("beta", 1))
            out |= {key: np.asarray(f(a["z"], beta), dtype).astype(np.float64) for key, f in wrong.items()}
        return out

    return answer


def _other(name: str, functions: Callable[[float], Any]) -> Callable[[Any, str], dict[str, Array]]:
    """Another activation in place of the one named."""

    def answer(case: Any, dtype: str) -> dict[str, Array]:
        if case.model["activation"] != name:
            return right(case, dtype)
        return _values(functions(float(case.inputs(dtype).get("beta", 1))), case, dtype)

    return answer


def _stretched(functions: Any, c: float, out: float) -> Any:
    """out · φ(c z) and derivatives."""
    return tuple(
        lambda z, f=f, k=k: out * c**k * f(np.asarray(c, z.dtype) * z) for k, f in enumerate(functions)
    )


def _joined(beta: float, near: Any, far: Any) -> Callable[[Array], Array]:
    """``near`` up to βz = 20, ``far`` beyond."""
    return lambda z: np.where(z > 20 / beta, far(z), near(z))


LINE = (lambda z: z, np.ones_like, np.zeros_like)


def _tanh1(z: Array) -> Array:
    return 1 / np.cosh(z) ** 2


def _sigma1(z: Array) -> Array:
    return expit(z) * expit(-z)


PLANTED = {
    "tanh-slope-linear": _planted("tanh", dphi=lambda z, b: 1 - np.tanh(z)),
    "tanh-slope-of-slope": _planted("tanh", dphi=lambda z, b: 1 - _tanh1(z) ** 2),
    "tanh-slope-sigmoid": _planted("tanh", dphi=lambda z, b: np.tanh(z) - np.tanh(z) ** 2),
    "tanh-curvature-sign": _planted("tanh", d2phi=lambda z, b: 2 * np.tanh(z) * _tanh1(z)),
    "tanh-curvature-halved": _planted("tanh", d2phi=lambda z, b: -np.tanh(z) * _tanh1(z)),
    "sigmoid-slope-missing-factor": _planted("sigmoid", dphi=lambda z, b: expit(z)),
    "sigmoid-slope-one-minus": _planted("sigmoid", dphi=lambda z, b: expit(-z)),
    "sigmoid-slope-tanh": _planted("sigmoid", dphi=lambda z, b: 1 - expit(z) ** 2),
    "sigmoid-curvature-sign": _planted("sigmoid", d2phi=lambda z, b: _sigma1(z) * (expit(z) - expit(-z))),
    "softplus-beta-ignored": _other("softplus", lambda b: _softplus(1.0)),
    "softplus-undivided": _other("softplus", lambda b: _stretched(_softplus(b), 1.0, b)),
    "softplus-beta-outside": _other("softplus", lambda b: _stretched(_softplus(1.0), 1.0, 1 / b)),
    "softplus-slope-beta": _planted("softplus", dphi=lambda z, b: expit(z)),
    "softplus-curvature-beta": _planted("softplus", d2phi=lambda z, b: _sigma1(b * z)),
    "softplus-threshold": _other("softplus", lambda b: tuple(map(partial(_joined, b), _softplus(b), LINE))),
    "silu-slope": _planted("silu", dphi=lambda z, b: expit(z)),
    "silu-gelu": _other("silu", lambda b: PHI["gelu"]),
    "gelu-tanh": _other("gelu", lambda b: PHI["gelu-tanh"]),
    "gelu-quick": _other("gelu", lambda b: _stretched(PHI["silu"], 1.702, 1 / 1.702)),
    "gelu-silu": _other("gelu", lambda b: PHI["silu"]),
    "gelu-unscaled": _other(
        "gelu",
        lambda b: (
            lambda z: z * (1 + erf(z)) / 2,
            lambda z: (1 + erf(z)) / 2 + z * np.exp(-z * z) / np.sqrt(np.pi).astype(z.dtype),
            lambda z: (2 - 2 * z * z) * np.exp(-z * z) / np.sqrt(np.pi).astype(z.dtype),
        ),
    ),
    "gelu-slope": _planted("gelu", dphi=lambda z, b: (1 + erf(z / np.sqrt(2).astype(z.dtype))) / 2),
    "erf-slope": _planted("erf", dphi=lambda z, b: np.exp(-z * z)),
    "erf-gaussian": _other("erf", lambda b: _stretched(PHI["erf"], float(np.sqrt(0.5)), 1.0)),
    "sin-slope-sign": _planted("sin", dphi=lambda z, b: -np.cos(z)),
    "sin-curvature-sign": _planted("sin", d2phi=lambda z, b: np.sin(z)),
    "isru-slope": _planted("isru", dphi=lambda z, b: (1 + z * z) ** -0.5),
    "softsign-for-isru": _planted(
        "isru", phi=lambda z, b: z / (1 + abs(z)), dphi=lambda z, b: (1 + abs(z)) ** -2
    ),
}
