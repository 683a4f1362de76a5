"""A network with one output as an energy: s(x) = −∇E(x), so that the score is the gradient of something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Optional, Union

import numpy as np

from .._run.borders import as_count, as_positive
from ..activations import Activation
from ._network.energy import curvature, descend, pull, pull_directions, push, push_jacobian, unit_curvatures
from ._network.laplacian import directions, divergence_vjp, laplacian
from ._network.passes import Forward, forward, ravel, score
from .base import Array, Pullback
from .feedforward import FeedForward, as_sizes, random_layers, state_layers, zero_layers
from .layers import Layer, at_condition, beside
from .with_energy import WithEnergy

#: Confinements beyond these have a 1/τ² that float32 cannot hold.
NARROWEST, WIDEST = 1e-18, 1e18


class EnergyMLP(WithEnergy, FeedForward):
    """An energy E: R^d -> R as an MLP, and its score s = −∇E, with hand-derived gradients of s, tr J and vᵀ J v.

        E(x) = w·φ(… φ(W_1 x + b_1) …) + b + ‖x‖²/(2τ²)          s = −∇E          J = −∇²E, symmetric

    ``layers`` is [(W1, b1), …, (w, b)] with W_l of shape (h_l, h_{l-1}), h_0 = d, and w (1, h_H): at least one hidden
    layer. b moves E by a constant, so no score or loss depends on it and its gradient is 0; it is kept so that
    energies and state dicts are those of the same network elsewhere. ``activation`` is a name or an ``Activation``.

    ``confinement`` is τ > 0, or None for no such term. e^(−E) of a network is in general not integrable (a bounded
    activation has a bounded E); with τ and an activation that grows at most linearly it is. It is the wrapper
    s = a x + b F(c x) with a = −1/τ², b = c = 1.

    With ``condition=c`` E depends on c further numbers a row, E(x, cond), whose columns of W_1 stand after those of x;
    ∇, J and Laplacian are those in x. ``at(cond)`` is the plain energy with W_c cond added to b_1.

    A score that is a gradient has no circulation, a symmetric Jacobian, and a density up to a constant,
    ``log_density`` = −E, which Metropolis needs. One hidden layer costs no factor d; from two on, min(d, h_1)
    directions are carried through the layers.

    Everything is computed in the widest type of parameters and input: float32 stays float32.

    Raises ValueError where shapes do not chain, the last width is not 1, there is no hidden layer, a value is not
    finite or the activation is unknown or not smooth; TypeError for what is not a number. Derivation: chapter 15.
    """

    def __init__(
        self,
        layers: Sequence[tuple[Any, Any]],
        activation: Union[str, Activation] = "tanh",
        condition: int = 0,
        confinement: Optional[float] = None,
    ):
        super().__init__(layers, activation, condition)
        outputs = len(self.layers[-1].bias)
        if outputs != 1 or len(self.layers) < 2:
            raise ValueError(
                "layers must be at least one hidden layer and a last one with one output, the energy, got "
                f"{len(self.layers)} layers and {outputs} outputs"
            )
        self._confinement = None if confinement is None else as_positive(confinement, "confinement")
        if confinement is not None and not NARROWEST <= self._confinement <= WIDEST:
            raise ValueError(
                f"confinement must be between {NARROWEST:g} and {WIDEST:g}, got {confinement!r}: scale the data"
            )

    @classmethod
    def init(
        cls,
        sizes: Sequence[int],
        activation: Union[str, Activation] = "tanh",
        *,
        rng: Any = None,
        dtype: Any = np.float64,
        condition: int = 0,
        confinement: Optional[float] = None,
    ) -> EnergyMLP:
        """A random energy: ``EnergyMLP.init((2, 64, 64, 1), activation="tanh", rng=0)``.

        ``sizes`` are the widths as MLP has them, (d, h_1, …, h_H, 1), without the ``condition``. Weights and biases
        are drawn as for ``MLP.init``.
        """
        sizes, condition = checked_sizes(sizes), as_count(condition, "condition", 0)
        return cls(random_layers(sizes, condition, rng, dtype), activation, condition, confinement)

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Any],
        activation: Union[str, Activation] = "tanh",
        *,
        prefix: str = "",
        condition: int = 0,
        confinement: Optional[float] = None,
    ) -> EnergyMLP:
        """An energy from the parameters of a PyTorch ``nn.Sequential`` that ends in ``Linear(h, 1)``; see MLP's."""
        return cls(state_layers(state, prefix), activation, condition, confinement)

    @property
    def confinement(self) -> Optional[float]:
        """τ of the term ‖x‖²/(2τ²), or None."""
        return self._confinement

    @property
    def config(self) -> dict[str, Any]:
        more = {} if self.confinement is None else {"confinement": self.confinement}
        return super().config | more

    @classmethod
    def from_config(cls, config: dict[str, Any], theta: Array) -> EnergyMLP:
        sizes, condition = (
            checked_sizes(config["sizes"]),
            as_count(config.get("condition", 0), "condition", 0),
        )
        layers = zero_layers(sizes, condition, theta)
        return cls(layers, config["activation"], condition, config.get("confinement")).with_theta(theta)

    def _more(self) -> str:
        return "" if self.confinement is None else f", confinement={self.confinement:g}"

    def _at(self, cond: Array) -> EnergyMLP:
        layers = at_condition(self.layers, self.d, cond)
        return EnergyMLP(layers, self.activation, confinement=self.confinement)

    # ---- the energy ----------------------------------------------------------------------------------

    def _energy(self, x: Array, cond: Optional[Array] = None) -> Array:
        E = score(self._layers, self._activation, x if cond is None else beside(x, cond))[:, 0]
        if self._confinement is None:
            return E
        return E - 0.5 * self._a(E) * np.einsum("nd,nd->n", x, x)  # eq-15.12

    # ---- the primitives: chapter 15 --------------------------------------------------------------------

    def _score(self, x: Array, cond: Optional[Array] = None) -> Array:
        return self._confined(x, descend(*self._run(x, cond, order=1)).s)

    def _score_vjp(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Pullback]:
        layers, run = self._run(x, cond, order=2)
        down = descend(layers, run)
        return self._confined(x, down.s), lambda ds: ravel(*pull(layers, run, down, ds))

    def _score_and_divergence(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Array]:
        layers, run = self._run(x, cond, order=2)
        down = descend(layers, run)
        div, _ = laplacian(layers, run, down)
        return self._confined(x, down.s), div + self.d * self._a(div)

    def _divergence_vjp(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Array, Pullback]:
        s, div, pullback = divergence_vjp(*self._run(x, cond, order=3))
        return self._confined(x, s), div + self.d * self._a(div), lambda ds, ddiv: ravel(*pullback(ds, ddiv))

    def _quadratic_form_vjp(
        self, x: Array, v: Array, cond: Optional[Array] = None
    ) -> tuple[Array, Array, Pullback]:
        layers, run = self._run(x, cond, order=3)
        down = descend(layers, run)
        probes = v.reshape(-1, *x.shape)  # (k, n, d)
        t, u = push(layers, run, probes)
        curvatures = unit_curvatures(run, down)
        q = curvature(curvatures, u).reshape(v.shape[:-1])

        def pullback(ds: Array, dq: Array) -> Array:
            second = pull_directions(layers, run, curvatures, t, u, dq.reshape(len(probes), -1))
            return ravel(*pull(layers, run, down, ds, second))

        return self._confined(x, down.s), q + self._a(q) * np.einsum("...d,...d->...", v, v), pullback

    def _jacobian(self, x: Array, cond: Optional[Array] = None) -> Array:
        J = push_jacobian(*self._run(x, cond, order=2))
        return J + self._a(J) * np.eye(self.d, dtype=J.dtype)

    def _run(self, x: Array, cond: Optional[Array], order: int) -> tuple[Sequence[Layer], Forward]:
        """The forward pass, and the layers of x in its type."""
        run = forward(self._layers, self._activation, x if cond is None else beside(x, cond), order)
        if self.dtype == run.s.dtype:
            return self._x_layers, run
        return [Layer(weight.astype(run.s.dtype), bias) for weight, bias in self._x_layers], run

    def _a(self, like: Array) -> Any:
        """The wrapper's a = −1/τ² in the real type of ``like``; 0 without a confinement."""
        return like.real.dtype.type(0.0 if self._confinement is None else -1.0 / self._confinement**2)

    def _confined(self, x: Array, s: Array) -> Array:
        return s if self._confinement is None else s + self._a(s) * x  # eq-15.12

    @cached_property
    def _numbers(self) -> int:
        return 4 * (self.d + self.condition) + 12 * sum(self.sizes[1:])

    @cached_property
    def _trace_numbers(self) -> int:
        return self._numbers + 3 * directions(self.sizes) * sum(self.sizes[2:-1])


def checked_sizes(sizes: Any) -> tuple[int, ...]:
    """Widths (d, h_1, …, h_H, 1) as a tuple of whole numbers >= 1, with at least one hidden layer."""
    sizes = as_sizes(sizes, "(2, 64, 64, 1)")
    if len(sizes) < 3 or sizes[-1] != 1:
        raise ValueError(
            f"sizes must be d, at least one hidden width, and 1, like (2, 64, 64, 1), got {sizes}"
        )
    return sizes
