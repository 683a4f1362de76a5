"""Models whose parameters are affine layers z = W a + b: how those lie in θ, and what checks them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .._run.borders import as_batch, as_shaped
from .base import Array, ScoreModel


class Layer(NamedTuple):
    """One affine map z = W a + b: ``weight`` is (fan_out, fan_in), ``bias`` is (fan_out,)."""

    weight: Array
    bias: Array


class LayeredScore(ScoreModel):
    """A score model made of affine layers: θ is each layer's weight in row-major order, then its bias, layer by layer.

    The first layer has d + c columns, those of x first: c belong to the condition.
    """

    _VIEWS = ("_layers", "_x_layers")

    def __init__(self, layers: Sequence[tuple[Any, Any]], condition: int = 0):
        parts = {}
        for index, layer in enumerate(layers):
            weight, bias = _checked_layer(layer, index)
            parts |= dict(zip(self._names(index + 1), (weight, bias)))
        columns = next(iter(parts.values())).shape[1]
        if columns <= condition:
            raise ValueError(
                f"layers[0] weight must have d + condition columns, condition = {condition} and d >= 1, got {columns}"
            )
        super().__init__(columns - condition, parts, condition)

    @staticmethod
    def _names(l: int) -> tuple[str, str]:
        """What the parts of layer l = 1, 2, … are called."""
        return f"W{l}", f"b{l}"

    def _set_theta(self, theta: Array) -> None:
        super()._set_theta(theta)
        self._layers = self._pairs(theta)
        (weight, bias), *rest = self._layers
        # What the Jacobian in x is made of: of the first weight, the columns of x (eq-5.22).
        self._x_layers = (Layer(weight[:, : self.d], bias), *rest) if self.condition else self._layers

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The parameters as read-only views ((W1, b1), (W2, b2), …)."""
        return self._layers

    def unravel(self, vector: Any) -> tuple[Layer, ...]:
        """Name the parts of a flat vector laid out as ``theta``: ((W1, b1), …), views of it.

        A gradient goes in, ((∂L/∂W1, ∂L/∂b1), …) comes out. Raises ValueError for a wrong shape.
        """
        return self._pairs(self._vector(vector))

    def _pairs(self, vector: Array) -> tuple[Layer, ...]:
        arrays = [vector[place].reshape(shape) for _, place, shape in self._layout]
        return tuple(map(Layer, arrays[::2], arrays[1::2]))

    @cached_property
    def _numbers(self) -> int:
        return 4 * (self.d + self.condition + sum(len(bias) for _, bias in self._layers))


def at_condition(layers: Sequence[Layer], d: int, cond: Array) -> list[Layer]:
    """The layers with the condition in the first bias: W₁[x, cond] + b₁ = W_x x + (b₁ + W_c cond)."""
    (weight, bias), *rest = layers
    return [Layer(np.ascontiguousarray(weight[:, :d]), bias + weight[:, d:] @ cond), *rest]  # eq-4.9


def beside(x: Array, cond: Array) -> Array:
    """What the network runs on: [x, cond], (n, d + c)."""
    return np.concatenate([x, cond], axis=1)


def _checked_layer(layer: Any, index: int) -> tuple[Array, Array]:
    try:
        weight, bias = layer
    except (TypeError, ValueError):
        raise TypeError(
            f"layers[{index}] must be a pair (weight, bias), got {type(layer).__name__}"
        ) from None
    weight = as_batch(weight, f"layers[{index}] weight", allow_complex=True)
    bias = as_shaped(bias, f"layers[{index}] bias", (weight.shape[0],), allow_complex=True)
    return weight, bias
