"""Networks that are a chain of affine layers with one activation between them: how they are checked, drawn and read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np

from .. import activations
from .._run.borders import _show, as_count, as_rng, picture
from ..activations import Activation
from .base import Array
from .layers import LayeredScore

Pairs = list[tuple[Array, Array]]


class FeedForward(LayeredScore):
    """Layers [(W1, b1), …, (W_L, b_L)] that chain, W_l of shape (h_l, h_{l-1}), and an activation between them.

    Raises ValueError where shapes do not chain, a value is not finite or the activation is unknown or not smooth;
    TypeError for what is not a number.
    """

    def __init__(self, layers: Sequence[tuple[Any, Any]], activation: Union[str, Activation], condition: int):
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
        self._activation = activations.get(activation)

    @property
    def activation(self) -> Activation:
        """The activation φ between the layers."""
        return self._activation

    @property
    def sizes(self) -> tuple[int, ...]:
        """The widths (d, h_1, …, h_L), without the condition."""
        return (self.d, *(len(bias) for _, bias in self.layers))

    @property
    def config(self) -> dict[str, Any]:
        config = {"sizes": list(self.sizes), "activation": self.activation.spec()}
        return config | {"condition": self.condition} if self.condition else config

    def __repr__(self) -> str:
        widths = "-".join(map(str, self.sizes))
        condition = f", condition={self.condition}" if self.condition else ""
        return (
            f"{type(self).__name__}({widths}{condition}{self._more()}, {self.activation.spec()}, "
            f"{self.theta.size:,} parameters, {self.dtype})"
        )

    def _more(self) -> str:
        """What else a subclass is made of, for ``repr``."""
        return ""

    def to_state_dict(self, prefix: str = "") -> dict[str, Array]:
        """The parameters, copied, under ``nn.Sequential``'s names: {"0.weight": W1, "0.bias": b1, …}."""
        state = {}
        for index, layer in enumerate(self.layers):
            state[f"{prefix}{2 * index}.weight"] = layer.weight.copy()
            state[f"{prefix}{2 * index}.bias"] = layer.bias.copy()
        return state


def as_sizes(sizes: Any, example: str) -> tuple[int, ...]:
    """Widths as a tuple of whole numbers >= 1; TypeError for anything else, ValueError for a number below 1."""
    listed = isinstance(sizes, Sequence) or (isinstance(sizes, np.ndarray) and sizes.ndim > 0)
    if isinstance(sizes, (str, bytes)) or not listed:
        raise TypeError(f"sizes must be whole numbers like {example}, got {_show(sizes)}")
    return tuple(as_count(size, f"sizes[{index}]") for index, size in enumerate(sizes))


def random_layers(sizes: tuple[int, ...], condition: int, rng: Any, dtype: Any) -> Pairs:
    """Weights and biases from N(0, 1/fan_in), drawn in float64 and rounded to ``dtype``."""
    rng, dtype = as_rng(rng), _checked_dtype(dtype)
    layers = []
    for fan_in, fan_out in zip((sizes[0] + condition, *sizes[1:]), sizes[1:]):
        weight = rng.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)
        bias = rng.standard_normal(fan_out) / np.sqrt(fan_in)
        layers.append((weight.astype(dtype), bias.astype(dtype)))
    return layers


def zero_layers(sizes: tuple[int, ...], condition: int, theta: Array) -> Pairs:
    """Layers of these widths, all zeros, for ``theta`` to take the place of; ValueError where it does not fit."""
    shapes = list(zip(sizes[1:], (sizes[0] + condition, *sizes[1:])))
    count = sum(fan_out * (fan_in + 1) for fan_out, fan_in in shapes)
    if theta.shape != (count,):
        raise ValueError(f"theta must have shape {(count,)} for sizes {sizes}, got shape {theta.shape}")
    return [(np.zeros(shape), np.zeros(shape[0])) for shape in shapes]


def state_layers(state: Any, prefix: Any) -> Pairs:
    """The layers of an ``nn.Sequential``'s state dict, in the order of their numbers; errors name what is wrong."""
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
    return [(parts[number]["weight"], parts[number]["bias"]) for number in sorted(parts)]


def _checked_dtype(dtype: Any) -> np.dtype:
    try:
        checked = np.dtype(dtype)
    except Exception:  # NumPy asks the object for its repr, which may do anything
        raise TypeError(f"dtype must be float32, float64 or longdouble, got {picture(dtype)}") from None
    if checked.kind != "f" or checked == np.float16:
        raise ValueError(f"dtype must be float32, float64 or longdouble, got {checked}")
    return checked
