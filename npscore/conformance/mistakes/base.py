"""An entry of the catalogue: a known mistake, or a convention that differs from npscore's, and the numbers it gives.

An entry *predicts*: from a case's inputs it computes, in float64, what an implementation with that one line wrong
would answer. It predicts only the blocks that it changes; {} where it changes nothing in the case (no second hidden
layer, no weights …).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from ..answers import Answer, Array

Predict = Callable[[Any], Answer]

NETWORK = ("esm", "ism", "ssm", "ssm_vr", "dsm")
IMPLICIT = ("ism", "ssm", "ssm_vr")
SLICED = ("ssm", "ssm_vr")

#: The right line by equation, printed beside the wrong one.
RIGHT = {
    "eq-1.2": "x ← x + α s(x)",
    "eq-1.3": "x ← x + α s(x) + √(2α) z",
    "eq-1.4": "m ← μ + (I − αP)(m − μ)",
    "eq-1.5": "C ← (I − αP) C (I − αP) + 2α I",
    "eq-1.6": "C = Σ (I − αP/2)⁻¹, P = Σ⁻¹",
    "eq-1.8": "log p = −½ (x − μ)ᵀP(x − μ) − ½ log det 2πΣ, s = P(μ − x), ∇·s = −tr P",
    "eq-1.9": "s = Σₖ rₖ sₖ, rₖ = πₖ pₖ/Σ πⱼ pⱼ",
    "eq-1.10": "∇·s = Σₖ rₖ (∇·sₖ + ‖sₖ − s‖²)",
    "eq-1.11": "s = −(ν + d) P(x − μ)/(ν + δ), δ = (x − μ)ᵀP(x − μ)",
    "eq-1.12": "∇·s = −(ν + d) (tr P/(ν + δ) − 2‖P(x − μ)‖²/(ν + δ)²)",
    "eq-1.15": "s = (e^{−z} − 1)/b, z = (x − loc)/b",
    "eq-1.16": "p is the density before truncation over its mass on [low, high]",
    "eq-1.17": "p * N(0, σ²I): every covariance grows by σ²I",
    "eq-2.1": "ℓ = ½‖s − s*‖²",
    "eq-2.2": "ℓ = ½‖s‖² + tr J",
    "eq-2.6": "C = −½ E‖∇log p‖²",
    "eq-3.1": "½ tr(A S Aᵀ) + ½‖A m + b‖² + tr A",
    "eq-3.5": "population DSM = population ISM of N(m, S + σ²I) + d/(2σ²)",
    "eq-4.1": "z = W a + b, W of shape (fan_out, fan_in), row-major",
    "eq-4.2": "a = φ(z), the last layer without φ",
    "eq-4.4": "the backward pass starts from ∂loss/∂s: s or s − target, times the weight of the row",
    "eq-4.5": "dW = dzᵀ a, summed over rows",
    "eq-4.6": "db = Σ dz over rows",
    "eq-4.8": "dz = φ′(z) ∘ da",
    "eq-5.5": "tr J = Σₖ eₖᵀ J eₖ",
    "eq-5.1": "J = W_L D W_{L−1} … D W_1, D = diag φ′(z)",
    "eq-5.10": "dz gets φ″(z) ∘ (u ∘ dt) where J went through φ′",
    "eq-6.1": "tanh′ = 1 − tanh², tanh″ = −2 tanh tanh′",
    "eq-6.2": "softplus = log(1 + e^{βz})/β, ′ = σ(βz), ″ = β σ(βz)(1 − σ(βz))",
    "eq-6.3": "σ′ = σ(1 − σ), σ″ = σ′(1 − 2σ)",
    "eq-6.4": "silu = zσ(z), ′ = σ + zσ(1 − σ)",
    "eq-6.5": "gelu = zΦ(z), ′ = Φ + zn, ″ = (2 − z²)n",
    "eq-6.6": "sin′ = cos, sin″ = −sin, sin‴ = −cos",
    "eq-6.7": "erf′ = (2/√π) e^{−z²}",
    "eq-6.8": "isru = z/√(1 + z²), ′ = (1 + z²)^{−3/2}",
    "eq-7.1": "ℓ = ½(vᵀs)² + vᵀJv, averaged over probes",
    "eq-7.2": "ℓ = ½‖s‖² + vᵀJv, averaged over probes",
    "eq-7.3": "tr J = E vᵀJv where E vvᵀ = I: the mean over probes",
    "eq-8.1": "ℓ = ½‖s(x + σε) + ε/σ‖²",
    "eq-8.5": "ℓ = σ²·½‖s(x + σε) + ε/σ‖²",
}


class Decoded:
    """A case whose arrays are decoded once. They are shared, and must not be written to."""

    def __init__(self, case: Any):
        self.case = case
        self._expected, self._scale = case.expected(), case.scale()
        self._inputs, self._layers = case.inputs("float64"), None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.case, name)

    def expected(self) -> Answer:
        return self._expected

    def scale(self) -> Answer:
        return self._scale

    def inputs(self, dtype: Any = "float64") -> Answer:
        """The inputs in float64, in which all predictions are made; ``dtype`` is ignored."""
        return dict(self._inputs)

    def layers(self, dtype: Any = "float64") -> list[tuple[Array, Array]]:
        if self._layers is None:
            self._layers = self.case.layers("float64")
        return self._layers


@dataclass(frozen=True)
class Mistake:
    """One entry. ``wrong`` is the line as it was written, ``equation`` the tag of the right one.

    ``kind`` is "mistake", or "convention" for a difference that trains the same model in other units.
    ``seen`` names public places where it occurred, each looked up. ``gradient_only``: the loss is right.
    """

    id: str
    operations: tuple[str, ...]
    title: str
    wrong: str
    equation: str
    effect: str
    fix: str
    predict: Predict
    seen: tuple[str, ...] = ()
    kind: str = "mistake"
    gradient_only: bool = False

    def answer(self, case: Any) -> Answer:
        """The wrong numbers for a case, float64; {} where the entry changes nothing or does not apply."""
        if case.operation not in self.operations:
            return {}
        with np.errstate(all="ignore"):
            return {name: np.asarray(value, np.float64) for name, value in self.predict(case).items()}

    def record(self) -> dict[str, Any]:
        """The entry without its function, as it stands in mistakes.json."""
        return {
            "id": self.id,
            "kind": self.kind,
            "operations": list(self.operations),
            "title": self.title,
            "wrong": self.wrong,
            "right": RIGHT[self.equation],
            "equation": self.equation,
            "effect": self.effect,
            "fix": self.fix,
            "seen": list(self.seen),
            "gradient_only": self.gradient_only,
        }


def entry(
    id: str,
    operations: Union[str, Iterable[str]],
    title: str,
    wrong: str,
    equation: str,
    predict: Predict,
    effect: str,
    fix: str,
    **more: Any,
) -> Mistake:
    """A `Mistake`; ``operations`` may be the name of a single one."""
    operations = (operations,) if isinstance(operations, str) else tuple(operations)
    return Mistake(id, operations, title, wrong, equation, effect, fix, predict, **more)


def changed(case: Any, answer: Answer, digits: float = 13.0) -> Answer:
    """``answer`` where some number of it differs from the certified one by more than rounding, else {}."""
    certified, scale = case.expected(), case.scale()
    answer = {name: value for name, value in answer.items() if name in certified}
    for name, value in answer.items():
        bound = 10.0**-digits * (scale[name] + np.abs(value))
        if not (np.abs(value - certified[name]) <= bound).all():
            return answer
    return {}


def size(case: Any) -> tuple[Optional[int], int]:
    """(n, d) of a case: rows and coordinates; n is None where there are no rows."""
    inputs = case.inputs("float64")
    for name in ("x", "x0"):
        if name in inputs:
            return inputs[name].shape[0], inputs[name].shape[-1]
    return None, int(case.model.get("d", 1))


def signed(**signs: float) -> Predict:
    """A prediction that multiplies certified blocks by constants."""
    return lambda case: changed(case, {name: c * case.expected()[name] for name, c in signs.items()})


def for_density(names: tuple[str, ...], compute: Callable[[Any, Answer], Answer]) -> Predict:
    """A prediction for densities of these names only."""

    def predict(case: Any) -> Answer:
        if case.model["density"] not in names:
            return {}
        return changed(case, compute(case, case.inputs("float64")), digits=11)

    return predict
