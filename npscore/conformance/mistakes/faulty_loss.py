"""A loss over a network, computed from its formula in s and J, any line of which a mistake may replace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from .base import Answer, Array, Decoded, Predict, changed
from .faulty_network import NO_FAULTS, Faults, Jets, Pass, jets_of

Formula = Callable[["Terms"], Array]
STEP = 1e-150  # of the complex step


@dataclass(frozen=True)
class Terms:
    """The terms of a formula for ℓ: s (n, d) and J (n, d, d), real or complex, and the case's arrays."""

    case: Any
    x: Array  # where the network was evaluated
    s: Array
    J: Array
    arrays: dict[str, Array]

    @property
    def n(self) -> int:
        return self.s.shape[0]

    @property
    def d(self) -> int:
        return self.s.shape[1]

    @property
    def v(self) -> Array:
        """The probes (m, n, d)."""
        return self.arrays["v"]

    @property
    def noise(self) -> Array:
        return self.arrays["noise"]

    @property
    def sigma(self) -> Array:
        """(n, 1), one a row."""
        return np.broadcast_to(self.arrays["sigma"].reshape(-1, 1), (self.n, 1))

    @property
    def target(self) -> Array:
        return self.arrays["target_score"]

    @property
    def square(self) -> Array:
        """‖s‖², (n,)."""
        return (self.s * self.s).sum(axis=1)

    @property
    def trace(self) -> Array:
        return np.trace(self.J, axis1=1, axis2=2)

    @property
    def projected(self) -> Array:
        """vᵀs, (m, n)."""
        return (self.v * self.s).sum(axis=-1)

    @property
    def quadratic(self) -> Array:
        """vᵀJv, (m, n)."""
        return np.einsum("mni,nij,mnj->mn", self.v, self.J, self.v)

    @property
    def first(self) -> Array:
        """The square of ISM, SSM or SSM-VR, ½ included, (n,)."""
        if self.case.operation == "ssm":
            return 0.5 * (self.projected * self.projected).mean(axis=0)
        return 0.5 * self.square

    @property
    def second(self) -> Array:
        """The term with J: the trace or its estimate, (n,)."""
        return self.trace if self.case.operation == "ism" else self.quadratic.mean(axis=0)

    @property
    def sigma2(self) -> Array:
        """The factor on DSM's ℓ: σ² where the case says so, else 1, (n,)."""
        weighted = self.case.convention.get("weighting") == "sigma2"
        return self.sigma[:, 0] ** 2 if weighted else np.ones(self.n)

    def residual(self, target: Array) -> Array:
        """½‖s − target‖², weighted as the case says, (n,)."""
        gap = self.s - target
        factor = self.sigma2 if self.case.operation == "dsm" else 1.0
        return factor * 0.5 * (gap * gap).sum(axis=1)


def right(t: Terms) -> Array:
    """ℓ as the case defines it, (n,)."""
    if t.case.operation == "esm":
        return t.residual(t.target)  # eq-2.1
    if t.case.operation == "dsm":
        return t.residual(-t.noise / t.sigma)  # eq-8.1
    return t.first + t.second  # eq-2.2, eq-7.1, eq-7.2


def evaluation_point(case: Any, arrays: dict[str, Array]) -> Array:
    """x, or x + σε for DSM."""
    if case.operation != "dsm":
        return arrays["x"]
    return arrays["x"] + arrays["sigma"].reshape(-1, 1) * arrays["noise"]


def shares(case: Any, arrays: dict[str, Array]) -> Array:
    """wᵢ, or 1/n each, (n,)."""
    n = len(arrays["x"])
    return arrays["weights"] if "weights" in arrays else np.full(n, 1.0 / n)


def cotangents(formula: Formula, t: Terms) -> tuple[Array, Array]:
    """∂ℓᵢ/∂sᵢ (n, d) and ∂ℓᵢ/∂Jᵢ (n, d, d) by complex step: exact, and no formula needs a derivative by hand."""
    ds, dJ = np.zeros(t.s.shape), np.zeros(t.J.shape)
    for i in range(t.d):
        ds[:, i] = _moved(formula, replace(t, s=_nudged(t.s, i)))
        for j in range(t.d):
            dJ[:, i, j] = _moved(formula, replace(t, J=_nudged(t.J, (i, j))))
    return ds, dJ


def _nudged(array: Array, index: Any) -> Array:
    moved = array.astype(complex)
    moved[(slice(None), *np.atleast_1d(index))] += 1j * STEP
    return moved


def _moved(formula: Formula, t: Terms) -> Array:
    return np.imag(formula(t)) / STEP


class Unweighted(Decoded):
    """A case without its sample weights and its σ² weighting, with the outputs that follow."""

    def __init__(self, case: Decoded):
        self.case, self._scale = case.case, case.scale()
        self._inputs = {name: array for name, array in case.inputs().items() if name != "weights"}
        self._layers = case.layers()
        self.convention = {**case.convention, "reduction": "mean", "weighting": "none"}
        self._expected = {name: value for name, value in answer_to(self).items() if name in case.expected()}

    @staticmethod
    def differs(case: Decoded) -> bool:
        """Whether the case has sample weights or σ² weighting."""
        return "weights" in case.inputs() or case.convention.get("weighting") == "sigma2"


def answer_to(case: Any) -> Answer:
    """The right loss, scores and gradient of a network case."""
    arrays = case.inputs("float64")
    net = Pass(case.layers("float64"), jets_of(case, arrays), evaluation_point(case, arrays))
    t, w = Terms(case, net.x, net.s, net.J, arrays), shares(case, arrays)
    ds, dJ = cotangents(right, t)
    grads = net.pullback(w[:, None] * ds, w[:, None, None] * dJ, NO_FAULTS)
    answer = {"loss": w @ right(t), "per_sample": right(t), "score": t.s}
    for l, (dW, db) in enumerate(grads, 1):
        answer[f"grad.W{l}"], answer[f"grad.b{l}"] = dW, db
    return answer


def objective(
    formula: Formula = right,
    *,
    gradient_of: Optional[Formula] = None,
    loss_of: Optional[Formula] = None,
    inputs: Optional[Callable[[Any, dict[str, Array]], Optional[dict[str, Array]]]] = None,
    point: Callable[[Any, dict[str, Array]], Array] = evaluation_point,
    share: Callable[[Any, dict[str, Array]], Array] = shares,
    gradient_share: Optional[Callable[[Any, dict[str, Array]], Array]] = None,
    layers: Optional[Callable[[Any], list[tuple[Array, Array]]]] = None,
    restore: Callable[[Array, str], Array] = lambda gradient, name: gradient,
    jets: Callable[[Any, dict[str, Array]], Jets] = jets_of,
    last_active: bool = False,
    faults: Faults = NO_FAULTS,
) -> Predict:
    """A prediction in which one or more lines are replaced: the formula of ℓ, the point of evaluation, the sum over
    rows, the network's weights and activation, the backward pass.

    ``gradient_of`` is a formula for the gradient alone (part of the loss was detached), ``loss_of`` for the loss alone.
    """

    def predict(case: Any) -> Answer:
        arrays = case.inputs("float64")
        arrays = inputs(case, arrays) if inputs else arrays
        if arrays is None:
            return {}
        net = Pass(
            layers(case) if layers else case.layers("float64"),
            jets(case, arrays),
            point(case, arrays),
            last_active,
        )
        t = Terms(case, net.x, net.s, net.J, arrays)
        w = share(case, arrays)
        per_sample = (loss_of or formula)(t)
        ds, dJ = cotangents(gradient_of or formula, t)
        gw = (gradient_share or share)(case, arrays)
        grads = net.pullback(gw[:, None] * ds, gw[:, None, None] * dJ, faults)
        answer = {"loss": w @ per_sample, "per_sample": per_sample, "score": t.s}
        for l, (dW, db) in enumerate(grads, 1):
            answer[f"grad.W{l}"], answer[f"grad.b{l}"] = restore(dW, "W"), restore(db, "b")
        return changed(case, answer)

    return predict
