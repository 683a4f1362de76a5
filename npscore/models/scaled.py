"""A score built around one network: s(x) = a x + b F(c x; e), with three numbers and an embedding a row.

Every parameterisation of a score (score, ε, x₀, v, flow, EDM's preconditioning) is a choice of a, b, c. What the chain
rule asks for is the same for all of them, with J_F the Jacobian of F in its own input:

    J = a I + b c J_F                                            s = a x + b F(c x; e)
    div s = d a + b c div F                                      vᵀ J v = a ‖v‖² + b c vᵀ J_F v
    pull(ds) = F.pull(b ds)                                      pull(ds, dq) = F.pull(b ds, b c dq)

Where F = −∇E_F is the gradient of an energy, so is the score: s = −∇E with E(x) = −½ a ‖x‖² + (b/c) E_F(c x; e).
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import as_number
from .base import Array, Pullback, ScoreModel
from .registry import built, described
from .with_energy import WithEnergy


class Scaling(NamedTuple):
    """a, b, c and what F is conditioned on: each (n, 1), or one number for all rows; e is (n, c_F) or None."""

    a: Any
    b: Any
    c: Any
    e: Optional[Array]


class ScaledScore(WithEnergy, ScoreModel):
    """s(x, cond) = a x + b F(c x; e) around a network F, whose θ is the model's; a subclass gives a, b, c and e.

    ``energy`` and ``log_density`` are those of this score where F is one with an energy (``EnergyMLP``); TypeError
    elsewhere.
    """

    _VIEWS = ("_network",)

    def __init__(self, network: ScoreModel, condition: int = 0):
        if not isinstance(network, ScoreModel):
            raise TypeError(f"network must be an npscore model, got {type(network).__name__}")
        self.d, self.condition = network.d, condition
        self._network, self._layout = network, network._layout
        super()._set_theta(network.theta)  # the network's own, not a copy

    def _set_theta(self, theta: Array) -> None:
        super()._set_theta(theta)
        self._network = self._network._with_theta(theta)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: θ once, and of the network only how it is built."""
        return super().__getstate__() | {"_architecture": (type(self._network), self._network.config)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kind, config = state.pop("_architecture")
        self._network = kind.from_config(config, state["_theta"])
        super().__setstate__(state)

    @property
    def network(self) -> ScoreModel:
        """F, with the same θ."""
        return self._network

    def unravel(self, vector: Any) -> Any:
        """The parts of a vector laid out as ``theta``, named as the network names them."""
        return self._network.unravel(vector)

    @abstractmethod
    def _scaling(self, cond: Optional[Array], like: Array) -> Scaling:
        """a, b, c, e for a clean condition, in the floating type of ``like``."""

    def _energy(self, x: Array, cond: Optional[Array] = None) -> Array:
        if not isinstance(self._network, WithEnergy):
            raise TypeError(f"network must have an energy, as EnergyMLP has, got {self._network!r}")
        a, b, c, e = self._scaling(cond, self._typed(x))
        if not np.all(c):
            raise ValueError("c must not be 0 for an energy, which is (b/c) E(c x) beside the square")
        square = np.einsum("nd,nd->n", x, x)
        return _flat(b / c) * self._network._energy(c * x, e) - 0.5 * _flat(a) * square  # eq-15.12

    # ---- the primitives --------------------------------------------------------------------------

    def _score(self, x: Array, cond: Optional[Array] = None) -> Array:
        a, b, c, e = self._scaling(cond, self._typed(x))
        return a * x + b * self._network._score(c * x, e)

    def _score_vjp(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Pullback]:
        a, b, c, e = self._scaling(cond, self._typed(x))
        F, pull = self._network._score_vjp(c * x, e)
        return a * x + b * F, lambda ds: pull(b * ds)  # eq-12.19

    def _divergence_vjp(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Array, Pullback]:
        a, b, c, e = self._scaling(cond, self._typed(x))
        F, div, pull = self._network._divergence_vjp(c * x, e)
        bc = _flat(b * c)
        s, trace = a * x + b * F, self.d * _flat(a) + bc * div  # eq-12.18
        return s, trace, lambda ds, ddiv: pull(b * ds, bc * ddiv)  # eq-12.19

    def _score_and_divergence(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Array]:
        a, b, c, e = self._scaling(cond, self._typed(x))
        F, div = self._network._score_and_divergence(c * x, e)
        return a * x + b * F, self.d * _flat(a) + _flat(b * c) * div  # eq-12.18

    def _quadratic_form_vjp(
        self, x: Array, v: Array, cond: Optional[Array] = None
    ) -> tuple[Array, Array, Pullback]:
        a, b, c, e = self._scaling(cond, self._typed(x))
        F, q, pull = self._network._quadratic_form_vjp(c * x, v, e)
        bc = _flat(b * c)
        square = np.einsum("...d,...d->...", v, v)  # (n,) or (m, n)
        s, form = a * x + b * F, _flat(a) * square + bc * q  # eq-12.18
        return s, form, lambda ds, dq: pull(b * ds, bc * dq)  # eq-12.19

    def _jacobian(self, x: Array, cond: Optional[Array] = None) -> Array:
        a, b, c, e = self._scaling(cond, self._typed(x))
        J = self._network._jacobian(c * x, e)
        identity = np.eye(self.d, dtype=J.dtype)
        return np.multiply.outer(np.broadcast_to(_flat(a), len(x)), identity) + (
            np.broadcast_to(_flat(b * c), len(x))[:, None, None] * J
        )

    @cached_property
    def _numbers(self) -> int:
        return self._network._numbers + 4 * self.d

    @cached_property
    def _trace_numbers(self) -> int:
        return self._network._trace_numbers + 4 * self.d

    def _typed(self, x: Array) -> Array:
        """An empty array of the real type that x and the parameters have together."""
        return np.empty(0, np.result_type(x.dtype, self.dtype)).real


class FixedScaling(ScaledScore):
    """s(x) = a x + b F(c x) with a, b, c three numbers and F a plain model: what a condition leaves when it is fixed.

    Raises TypeError or ValueError for a network with a condition and for numbers that are not finite.
    """

    def __init__(self, network: ScoreModel, a: float, b: float, c: float):
        super().__init__(network)
        if network.condition:
            raise ValueError(f"network must have no condition, got {network!r}: fix it by network.at(cond)")
        self.a, self.b, self.c = as_number(a, "a"), as_number(b, "b"), as_number(c, "c")

    def _scaling(self, cond: Optional[Array], like: Array) -> Scaling:
        return Scaling(*(like.dtype.type(number) for number in (self.a, self.b, self.c)), None)

    @property
    def config(self) -> dict[str, Any]:
        return {"a": self.a, "b": self.b, "c": self.c, "network": described(self._network)}

    @classmethod
    def from_config(cls, config: dict[str, Any], theta: Array) -> FixedScaling:
        return cls(built(config["network"], theta), config["a"], config["b"], config["c"])

    def __repr__(self) -> str:
        return f"FixedScaling({self._network!r}, a={self.a:g}, b={self.b:g}, c={self.c:g})"


def _flat(number: Any) -> Any:
    """(n,) of (n, 1); a number as it is."""
    return number[:, 0] if np.ndim(number) else number
