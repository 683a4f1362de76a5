"""A multilayer perceptron as a score model, s(x) = W_L φ(… φ(W_1 x + b_1) …) + b_L, of any depth."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any, Optional, Union

import numpy as np

from .. import activations
from .._run.borders import _show, as_count, as_rng, picture
from ..activations import Activation
from ._network.passes import backward, forward, pull_tangents, push_jacobian, push_tangents, score
from ._network.trace import directions, trace
from .base import Array, Pullback
from .layers import Layer, LayeredScore, at_condition


class MLP(LayeredScore):
    """An MLP score model s: R^d -> R^d with hand-derived gradients of score, trace and vᵀ J v.

    ``layers`` is [(W1, b1), …, (W_L, b_L)] with W_l of shape (h_l, h_{l-1}), h_0 = h_L = d, so that a batch
    goes through as ``a @ W.T + b`` (PyTorch's convention); L - 1 hidden layers, L = 1 is affine.
    ``activation`` is a name ("tanh", "softplus(beta=2)", …) or an ``Activation``; the last layer has none.

    With ``condition=c`` the score depends on c further numbers a row, s(x, cond): W_1 has d + c columns, those of x
    first, and the network runs on [x, cond]. Jacobian, trace and vᵀ J v are those in x. ``at(cond)`` is the plain MLP
    with W_c cond added to b_1.

    Everything is computed in the widest type of parameters and input: float32 stays float32.

    Raises ValueError where shapes do not chain, the last width is not d, a value is not finite or
    the activation is unknown or not smooth (ReLU and its kin); TypeError for what is not a number.
    Derivation: chapters 4 and 5.
    """

    def __init__(
        self,
        layers: Sequence[tuple[Any, Any]],
        activation: Union[str, Activation] = "tanh",
        condition: int = 0,
    ):
        if isinstance(layers, (str, bytes, Mapping)) or not isinstance(layers, Sequence):
            raise TypeError(f"layers must be a list of pairs (weight, bias), got {type(layers).__name__}")
        if len(layers) == 0:
            raise ValueError("layers must hold at least one pair (weight, bias), got none")
        super().__init__(layers, as_count(condition, "condition", 0))
        for index, (before, after) in enumerate(zip(self.layers, self.layers[1:])):
            if after.weight.shape[1] != len(before.bias):
                raise ValueError(
                    f"layers[{index + 1}] weight must have {len(before.bias)} columns, one for each row of "
                    f"layers[{index}] weight, got shape {after.weight.shape}"
                )
        outputs = len(self.layers[-1].bias)
        if outputs != self.d:
            beside = f" beside condition = {self.condition}" if self.condition else ""
            raise ValueError(f"layers must end in as many outputs as inputs{beside}, {self.d}, got {outputs}")
        self._activation = activations.get(activation)

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
        rng = as_rng(rng)
        dtype = _checked_dtype(dtype)
        layers = []
        for fan_in, fan_out in zip((sizes[0] + condition, *sizes[1:]), sizes[1:]):
            weight = rng.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)
            bias = rng.standard_normal(fan_out) / np.sqrt(fan_in)
            layers.append((weight.astype(dtype), bias.astype(dtype)))
        return cls(layers, activation, condition)

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
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a mapping of names to arrays, got {type(state).__name__}")
        if not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, got {_show(prefix)}")
        parts: dict[int, dict[str, Any]] = {}
        for key, value in state.items():
            match = re.fullmatch(re.escape(prefix) + r"(0|[1-9]\d*)\.(weight|bias)", str(key))
            if match is None:
                raise ValueError(
                    f"state must have keys like '{prefix}0.weight' and '{prefix}0.bias', got {key!r}"
                )
            parts.setdefault(int(match[1]), {})[match[2]] = value
        for number, part in parts.items():
            for name in {"weight", "bias"} - part.keys():
                raise ValueError(f"state must hold '{prefix}{number}.{name}' beside its partner, got none")
        layers = [(parts[number]["weight"], parts[number]["bias"]) for number in sorted(parts)]
        return cls(layers, activation, condition)

    def to_state_dict(self, prefix: str = "") -> dict[str, Array]:
        """The parameters, copied, under ``nn.Sequential``'s names: {"0.weight": W1, "0.bias": b1, …}."""
        state = {}
        for index, layer in enumerate(self.layers):
            state[f"{prefix}{2 * index}.weight"] = layer.weight.copy()
            state[f"{prefix}{2 * index}.bias"] = layer.bias.copy()
        return state

    @property
    def activation(self) -> Activation:
        """The activation φ between the layers."""
        return self._activation

    @property
    def sizes(self) -> tuple[int, ...]:
        """The widths (d, h_1, …, h_{L-1}, d), without the condition."""
        return (self.d, *(len(bias) for _, bias in self.layers))

    @property
    def config(self) -> dict[str, Any]:
        config = {"sizes": list(self.sizes), "activation": self.activation.spec()}
        return config | {"condition": self.condition} if self.condition else config

    @classmethod
    def from_config(cls, config: dict[str, Any], theta: Array) -> MLP:
        sizes, condition = (
            checked_sizes(config["sizes"]),
            as_count(config.get("condition", 0), "condition", 0),
        )
        shapes = list(zip(sizes[1:], (sizes[0] + condition, *sizes[1:])))
        count = sum(fan_out * (fan_in + 1) for fan_out, fan_in in shapes)
        if theta.shape != (count,):
            raise ValueError(f"theta must have shape {(count,)} for sizes {sizes}, got shape {theta.shape}")
        layers = [(np.zeros(shape), np.zeros(shape[0])) for shape in shapes]
        return cls(layers, config["activation"], condition).with_theta(theta)

    def __repr__(self) -> str:
        widths = "-".join(map(str, self.sizes))
        condition = f", condition={self.condition}" if self.condition else ""
        return f"MLP({widths}{condition}, {self.activation.spec()}, {self.theta.size:,} parameters, {self.dtype})"

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


def beside(x: Array, cond: Array) -> Array:
    """What the network runs on: [x, cond], (n, d + c)."""
    return np.concatenate([x, cond], axis=1)


def checked_sizes(sizes: Any) -> tuple[int, ...]:
    """Widths (d, h_1, …, d) as a tuple of whole numbers >= 1 whose ends agree."""
    listed = isinstance(sizes, Sequence) or (isinstance(sizes, np.ndarray) and sizes.ndim > 0)
    if isinstance(sizes, (str, bytes)) or not listed:
        raise TypeError(f"sizes must be whole numbers like (2, 64, 64, 2), got {_show(sizes)}")
    sizes = tuple(as_count(size, f"sizes[{index}]") for index, size in enumerate(sizes))
    if len(sizes) < 2 or sizes[0] != sizes[-1]:
        raise ValueError(f"sizes must start and end with the same d, like (2, 64, 64, 2), got {sizes}")
    return sizes


def _checked_dtype(dtype: Any) -> np.dtype:
    try:
        checked = np.dtype(dtype)
    except Exception:  # NumPy asks the object for its repr, which may do anything
        raise TypeError(f"dtype must be float32, float64 or longdouble, got {picture(dtype)}") from None
    if checked.kind != "f" or checked == np.float16:
        raise ValueError(f"dtype must be float32, float64 or longdouble, got {checked}")
    return checked


def ravel(gradients: Sequence[Layer], dW: Sequence[Array] = ()) -> Array:
    """One flat gradient from the layers' gradients, those through the Jacobian (weights only) added."""
    parts = []
    for (weight, bias), more in zip_longest(gradients, dW, fillvalue=None):
        if more is not None:
            weight = weight.astype(np.result_type(weight, more), copy=False)
            weight[:, : more.shape[1]] += more  # eq-5.23: of the first weight, the columns of x only
        parts += [weight.ravel(), bias]
    return np.concatenate(parts)
