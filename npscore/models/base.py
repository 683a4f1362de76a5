"""What every score model is: one flat parameter vector, and three primitives with their pullbacks.

A new model is a new file beside this one: subclass ``ScoreModel``, say how its parameters are laid out
(``layers``) and how it is rebuilt from a configuration, and write its primitives by hand:

    _score_vjp(x)              -> s, pullback                 pullback(ds)       -> flat gradient
    _divergence_vjp(x)         -> s, div, pullback            pullback(ds, ddiv) -> flat gradient
    _quadratic_form_vjp(x, v)  -> s, q, pullback              pullback(ds, dq)   -> flat gradient
    _jacobian(x)               -> J

They receive clean arrays; this class checks what comes from outside and walks through large batches in
blocks of rows. Every objective, sampler, check and file format then works for the new model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .._run.borders import as_array, as_batch, as_shaped, unchecked_twin
from ._blocks import map_blocks, vjp_blocks

Array = np.ndarray
Pullback = Callable[..., Array]

#: Numbers that the intermediates of one block of rows hold (2**22 float64 are 32 MB), or up to four times as many
#: where that were fewer than ``FEW_ROWS``: a block's gradient is worth adding only for so many rows.
BLOCK_NUMBERS, FEW_ROWS = 2**22, 1024


class Layer(NamedTuple):
    """One affine map z = W a + b: ``weight`` is (fan_out, fan_in), ``bias`` is (fan_out,)."""

    weight: Array
    bias: Array


class ScoreModel(ABC):
    """A parametric score s(x; θ), immutable, with θ one flat read-only vector.

    ``theta`` is (p,): each layer's weight in row-major order, then its bias, layer after layer.
    ``layers`` are views of it, ``unravel`` names the parts of any vector of that layout.
    """

    def __init__(self, layers: Sequence[tuple[Any, Any]]):
        layers = [Layer(*_checked_layer(layer, index)) for index, layer in enumerate(layers)]
        self._shapes = tuple(layer.weight.shape for layer in layers)
        self._set_theta(np.concatenate([part.ravel() for layer in layers for part in layer]))

    def _set_theta(self, theta: Array) -> None:
        theta.setflags(write=False)
        self._theta = theta
        self._layers = _split(theta, self._shapes)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: θ once, without the layers, which are views of it."""
        return {name: value for name, value in self.__dict__.items() if name != "_layers"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # A buffer that came over a network may start at any byte, and of such an array NumPy multiplies a copy in
        # another order of memory: right, but not the same bits.
        self._set_theta(np.require(self._theta, requirements="A"))

    # ---- parameters ------------------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """All parameters as one read-only vector, shape (p,)."""
        return self._theta

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The same parameters as read-only views ((W1, b1), (W2, b2), …)."""
        return self._layers

    @property
    def d(self) -> int:
        """The dimension of a sample, and of its score."""
        return self._shapes[0][1]

    @property
    def dtype(self) -> np.dtype:
        """The floating type of the parameters."""
        return self._theta.dtype

    def with_theta(self, theta: Any) -> ScoreModel:
        """The same architecture at other parameters: ``theta`` is (p,), copied; complex is let through.

        Raises ValueError for a wrong shape or a value that is not finite, TypeError for non-numbers.
        """
        return self.unchecked_with_theta(
            as_shaped(theta, "theta", self._theta.shape, allow_complex=True).copy()
        )

    def unchecked_with_theta(self, theta: Array) -> ScoreModel:
        """``with_theta`` of a clean vector, which becomes the model's own: neither checked nor copied."""
        model = object.__new__(type(self))
        model.__dict__.update(self.__dict__)
        model._set_theta(theta)
        return model

    def unravel(self, vector: Any) -> tuple[Layer, ...]:
        """Name the parts of a flat vector laid out as ``theta``: ((W1, b1), …), views of it.

        A gradient goes in, ((∂L/∂W1, ∂L/∂b1), …) comes out. Raises ValueError for a wrong shape.
        """
        vector = as_array(vector, "vector", allow_complex=True, finite=False)
        if vector.shape != self._theta.shape:
            raise ValueError(f"vector must have shape {self._theta.shape}, got shape {vector.shape}")
        return _split(vector, self._shapes)

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The architecture as JSON-ready values: ``type(model).from_config(config, theta)`` rebuilds it."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: dict[str, Any], theta: Array) -> ScoreModel:
        """Rebuild a model from its ``config`` and parameters."""

    # ---- values ----------------------------------------------------------------------------------

    @unchecked_twin("unchecked_score")
    def score(self, x: Any) -> Array:
        """The score s(x) = +∇ₓ log p(x; θ): x is (n, d), the result (n, d)."""
        return self.unchecked_score(self._input(x))

    def unchecked_score(self, x: Array) -> Array:
        """`score` past its border: of a clean ``(n, d)`` batch."""
        return map_blocks(self._score, x, self._rows_per_block(self._numbers))

    def divergence(self, x: Any) -> Array:
        """The trace tr ∂s/∂x of the Jacobian, exact, shape (n,), for x of shape (n, d)."""
        return map_blocks(self._divergence, self._input(x), self._rows_per_block(self._trace_numbers))

    def jacobian(self, x: Any) -> Array:
        """The Jacobian J[n, i, j] = ∂sᵢ/∂xⱼ at each row, shape (n, d, d), for x of shape (n, d)."""
        return map_blocks(self._jacobian, self._input(x), self._rows_per_block(self.d * self._numbers))

    # ---- the three primitives --------------------------------------------------------------------

    def score_vjp(self, x: Any) -> tuple[Array, Pullback]:
        """The score and its pullback: ``s, pullback = model.score_vjp(x)``.

        x is (n, d); s is (n, d); ``pullback(ds)`` takes ds = ∂L/∂s of shape (n, d) and returns ∂L/∂θ
        as a flat (p,) vector: a plain sum over rows, so any 1/n or weight belongs in ds.
        """
        return self._primitive(self._score_vjp, (self._input(x),), (0,), {"ds": 0}, self._numbers)

    def divergence_vjp(self, x: Any) -> tuple[Array, Array, Pullback]:
        """Score, exact trace and their joint pullback: ``s, div, pullback = model.divergence_vjp(x)``.

        x is (n, d); s is (n, d); div = tr ∂s/∂x is (n,); ``pullback(ds, ddiv)`` returns the flat gradient
        of any L(s, div), both dependencies on θ included.
        """
        return self._primitive(
            self._divergence_vjp, (self._input(x),), (0,), {"ds": 0, "ddiv": -1}, self._trace_numbers
        )

    def quadratic_form_vjp(self, x: Any, v: Any) -> tuple[Array, Array, Pullback]:
        """Score, q = vᵀ J v and their joint pullback: ``s, q, pullback = model.quadratic_form_vjp(x, v)``.

        x is (n, d). v is (n, d) with q of shape (n,), or (m, n, d), m probes a row, with q of shape (m, n).
        ``pullback(ds, dq)`` returns the flat gradient of any L(s, q). v is a constant: nothing is
        differentiated with respect to it.
        """
        x = self._input(x)
        v = as_array(v, "v", allow_complex=True)
        if v.ndim not in (2, 3) or v.shape[-2:] != x.shape or v.size == 0:
            raise ValueError(
                f"v must have shape {x.shape} or (m, {x.shape[0]}, {self.d}), got shape {v.shape}"
            )
        numbers = self._numbers * (v.shape[0] if v.ndim == 3 else 1)
        return self._primitive(self._quadratic_form_vjp, (x, v), (0, -2), {"ds": 0, "dq": -1}, numbers)

    @abstractmethod
    def _score_vjp(self, x: Array) -> tuple[Array, Pullback]: ...

    @abstractmethod
    def _divergence_vjp(self, x: Array) -> tuple[Array, Array, Pullback]: ...

    @abstractmethod
    def _quadratic_form_vjp(self, x: Array, v: Array) -> tuple[Array, Array, Pullback]: ...

    @abstractmethod
    def _jacobian(self, x: Array) -> Array: ...

    def _score(self, x: Array) -> Array:
        return self._score_vjp(x)[0]

    def _divergence(self, x: Array) -> Array:
        return self._divergence_vjp(x)[1]

    @cached_property
    def _numbers(self) -> int:
        """About how many numbers a row of a primitive with one direction holds at once."""
        return 4 * (self.d + sum(fan_out for fan_out, _ in self._shapes))

    @cached_property
    def _trace_numbers(self) -> int:
        """The same for a row of ``_divergence_vjp``: here, for d directions together."""
        return self.d * self._numbers

    def rows_at_once(self, primitive: str, probes: int = 1) -> int:
        """How many rows ``score_vjp``, ``divergence_vjp`` or ``quadratic_form_vjp`` works on at a time.

        ``primitive`` is that name without "_vjp". A sum over more rows is best taken in blocks of so many: asked for
        all at once, a primitive walks through such blocks too, but its pullback must run each forward again.
        """
        numbers = self._trace_numbers if primitive == "divergence" else probes * self._numbers
        return self._rows_per_block(numbers)

    def unchecked(self, primitive: str) -> Callable[..., tuple[Any, ...]]:
        """A primitive by name without the border: for clean arrays of ``rows_at_once`` rows that nobody changes."""
        return getattr(self, f"_{primitive}_vjp")

    # ---- the border and the blocks ---------------------------------------------------------------

    def _input(self, x: Any) -> Array:
        return as_batch(x, "x", d=self.d, allow_complex=True)

    def _rows_per_block(self, numbers: int) -> int:
        """How many rows of so many numbers each to work on at a time."""
        return max(1, BLOCK_NUMBERS // numbers, min(FEW_ROWS, 4 * BLOCK_NUMBERS // numbers))

    def _primitive(
        self,
        primitive: Callable[..., tuple[Any, ...]],
        inputs: Sequence[Array],
        in_axes: tuple[int, ...],
        cotangents: dict[str, int],
        numbers: int,
    ) -> tuple[Any, ...]:
        """A primitive over blocks of rows; its pullback checks the cotangents, {name: axis of samples}."""
        inputs = [a.copy() for a in inputs]  # the pullback reads them later: the caller may reuse his
        rows = self._rows_per_block(numbers)
        out_axes = tuple(cotangents.values())
        *outputs, pull = vjp_blocks(primitive, inputs, in_axes, out_axes, rows)

        def pullback(*given: Any) -> Array:
            if len(given) != len(outputs):
                raise TypeError(f"pullback takes ({', '.join(cotangents)}), got {len(given)} arguments")
            named = zip(given, cotangents, outputs)
            return pull(*[as_shaped(c, name, out.shape, allow_complex=True) for c, name, out in named])

        return (*outputs, pullback)


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


def _split(vector: Array, shapes: Sequence[tuple[int, int]]) -> tuple[Layer, ...]:
    """Views of the flat vector as ((W1, b1), (W2, b2), …)."""
    layers, start = [], 0
    for fan_out, fan_in in shapes:
        middle, end = start + fan_out * fan_in, start + fan_out * (fan_in + 1)
        layers.append(Layer(vector[start:middle].reshape(fan_out, fan_in), vector[middle:end]))
        start = end
    return tuple(layers)
