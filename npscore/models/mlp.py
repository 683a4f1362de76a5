"""A multilayer perceptron as a score model, s(x) = W_L φ(… φ(W_1 x + b_1) …) + b_L, of any depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Optional, Union

import numpy as np

from .._run.borders import as_count
from ..activations import Activation
from ._network.passes import backward, forward, pull_tangents, push_jacobian, push_tangents, ravel, score
from ._network.trace import directions, trace
from .base import Array, Pullback
from .feedforward import FeedForward, as_sizes, random_layers, state_layers, zero_layers
from .layers import at_condition, beside


class MLP(FeedForward):
    """An MLP score model s: R^d -> R^d with hand-derived gradients of score, trace and vᵀ J v.

    ``layers`` is [(W1, b1), …, (W_L, b_L)] with W_l of shape (h_l, h_{l-1}), h_0 = h_L = d, so that a batch
    goes through as ``a @ W.T + b`` (PyTorch's convention); L - 1 hidden layers, L = 1 is affine.
    ``activation`` is a name ("tanh", "softplus(beta=2)", …) or an ``Activation``; the last layer has none.

    With ``condition=c`` the score depends on c further numbers a row, s(x, cond): W_1 has d + c columns, those of x
    first, and the network runs on [x, cond]. Jacobian, trace and vᵀ J v are those in x. ``at(cond)`` is the plain MLP
    with W_c cond added to b_1.

    Everything is computed in the widest type of parameters and input: float32 stays float32.

    Raises ValueError where shapes do not chain, the last width is not d, a value is not finite or
    the activation is unknown or not smooth (ReLU and the like); TypeError for what is not a number.
    Derivation: chapters 4 and 5.
    """

    def __init__(
        self,
        layers: Sequence[tuple[Any, Any]],
        activation: Union[str, Activation] = "tanh",
        condition: int = 0,
    ):
        super().__init__(layers, activation, condition)
        outputs = len(self.layers[-1].bias)
        if outputs != self.d:
            beside = f" beside condition = {self.condition}" if self.condition else ""
            raise ValueError(f"layers must end in as many outputs as inputs{beside}, {self.d}, got {outputs}")

    @classmethod
    def init(
        cls,
        sizes: Sequence[int],
        activation: Union[str, Activation] = "tanh",
        *,
        rng: Any = None,
        dtype: Any = np.float64,
        condition: int = 0,
    ) -> MLP:
        """A random network: ``MLP.init((2, 64, 64, 2), activation="tanh", rng=0)``.

        ``sizes`` are (d, h_1, …, h_{L-1}, d), without the ``condition``. Weights and biases are
        N(0, 1/fan_in) (LeCun et al. 1998, §4.6, for the weights; biases too, so that the units of a layer do not all
        bend at the origin).
        ``rng`` is a Generator or a seed; the numbers are drawn in float64 and rounded to ``dtype``.
        """
        sizes, condition = checked_sizes(sizes), as_count(condition, "condition", 0)
        return cls(random_layers(sizes, condition, rng, dtype), activation, condition)

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Any],
        activation: Union[str, Activation] = "tanh",
        *,
        prefix: str = "",
        condition: int = 0,
    ) -> MLP:
        """An MLP from the parameters of a PyTorch ``nn.Sequential`` of Linear layers and one activation.

        ``state`` maps "0.weight", "0.bias", "2.weight", … to arrays (anything ``np.asarray`` takes, CPU
        tensors included); ``prefix`` is what stands before the numbers. Layers come in the order of their
        numbers. Neither the activation nor the ``condition``, whose columns stand after those of x, is part of a state
        dict: name them.
        Raises ValueError for a key of another form, a missing weight or bias, or shapes that do not chain.
        """
        return cls(state_layers(state, prefix), activation, condition)

    @classmethod
    def from_config(cls, config: dict[str, Any], theta: Array) -> MLP:
        sizes, condition = (
            checked_sizes(config["sizes"]),
            as_count(config.get("condition", 0), "condition", 0),
        )
        return cls(zero_layers(sizes, condition, theta), config["activation"], condition).with_theta(theta)

    def _at(self, cond: Array) -> MLP:
        return MLP(at_condition(self.layers, self.d, cond), self.activation)

    # ---- the primitives: chapters 4 and 5 ----------------------------------------------------------

    def _score(self, x: Array, cond: Optional[Array] = None) -> Array:
        return score(self._layers, self._activation, x if cond is None else beside(x, cond))

    def _score_vjp(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Pullback]:
        run = forward(self._layers, self._activation, x if cond is None else beside(x, cond), order=1)

        def pullback(ds: Array) -> Array:
            return ravel(backward(self._layers, run, ds))

        return run.s, pullback

    def _score_and_divergence(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Array]:
        run = forward(self._layers, self._activation, x if cond is None else beside(x, cond), order=1)
        return run.s, trace(self._x_layers, run)[0]

    def _divergence_vjp(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Array, Pullback]:
        run = forward(self._layers, self._activation, x if cond is None else beside(x, cond), order=2)
        div, pull_trace = trace(self._x_layers, run)

        def pullback(ds: Array, ddiv: Array) -> Array:
            dW, dz = pull_trace(ddiv)
            return ravel(backward(self._layers, run, ds, dz), dW)

        return run.s, div, pullback

    def _quadratic_form_vjp(
        self, x: Array, v: Array, cond: Optional[Array] = None
    ) -> tuple[Array, Array, Pullback]:
        run = forward(self._layers, self._activation, x if cond is None else beside(x, cond), order=2)
        probes = v.reshape(-1, *x.shape)  # (k, n, d)
        q, tangents = push_tangents(self._x_layers, run, probes)

        def pullback(ds: Array, dq: Array) -> Array:
            dW, dz = pull_tangents(self._x_layers, run, tangents, dq.reshape(len(probes), -1))
            return ravel(backward(self._layers, run, ds, dz), dW)

        return run.s, q.reshape(v.shape[:-1]), pullback

    def _jacobian(self, x: Array, cond: Optional[Array] = None) -> Array:
        run = forward(self._layers, self._activation, x if cond is None else beside(x, cond), order=1)
        return push_jacobian(self._x_layers, run)

    @cached_property
    def _trace_numbers(self) -> int:
        return self._numbers + 2 * directions(self.sizes) * sum(self.sizes[1:-1])


def checked_sizes(sizes: Any) -> tuple[int, ...]:
    """Widths (d, h_1, …, d) as a tuple of whole numbers >= 1 whose ends agree."""
    sizes = as_sizes(sizes, "(2, 64, 64, 2)")
    if len(sizes) < 2 or sizes[0] != sizes[-1]:
        raise ValueError(f"sizes must start and end with the same d, like (2, 64, 64, 2), got {sizes}")
    return sizes
