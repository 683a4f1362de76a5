"""What every score model is: one flat parameter vector, and three primitives with their pullbacks.

A new model is a new file beside this one: subclass ``ScoreModel``, name its parameters (``super().__init__(d, parts)``
with {name: array}), say how it is rebuilt from a configuration, and write its primitives by hand:

    _score_vjp(x, cond=None)              -> s, pullback                 pullback(ds)       -> flat gradient
    _divergence_vjp(x, cond=None)         -> s, div, pullback            pullback(ds, ddiv) -> flat gradient
    _quadratic_form_vjp(x, v, cond=None)  -> s, q, pullback              pullback(ds, dq)   -> flat gradient
    _jacobian(x, cond=None)               -> J

They receive clean arrays; this class checks what comes from outside and ``rows`` takes large batches in
blocks. Every objective, sampler, check and file format then works for the new model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Optional

import numpy as np

from .._run.borders import NotFiniteError, as_array, as_batch, as_condition, as_shaped, unchecked_twin
from .rows import blocks_of, map_in_blocks, rows_per_block, vjp_in_blocks

Array = np.ndarray
Pullback = Callable[..., Array]


class ScoreModel(ABC):
    """A parametric score s(x; θ), immutable, with θ one flat read-only vector.

    ``theta`` is (p,): the arrays of ``parts``, each in row-major order, one after the other; ``unravel`` names the
    parts of any vector of that layout. ``d`` is the dimension of x and of s, ``dtype`` the floating type of the
    parameters. ``condition`` is c where every method takes ``cond``, (n, c) or (c,) shared by all rows: an input beside
    x that the Jacobian does not see (a noise level, a time, a label), cast to the type that x and the parameters have;
    it is 0 where cond must be None.

    Every method raises TypeError or ValueError for a wrong argument, and ValueError where a value is beyond the range
    of its type.
    """

    #: Attributes that a subclass's ``_set_theta`` makes of views of θ: they are made again, never pickled.
    _VIEWS: tuple[str, ...] = ()

    def __init__(self, d: int, parts: Mapping[str, Array], condition: int = 0):
        self.d, self.condition = d, condition
        ends = np.cumsum([part.size for part in parts.values()]).tolist()
        places = map(slice, [0, *ends], ends)
        self._layout = tuple((name, place, parts[name].shape) for name, place in zip(parts, places))
        self._set_theta(np.concatenate([part.ravel() for part in parts.values()]))

    def _set_theta(self, theta: Array) -> None:
        theta.setflags(write=False)
        self._theta, self.dtype = theta, theta.dtype

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: θ once, without what a subclass made of views of it."""
        return {name: value for name, value in self.__dict__.items() if name not in self._VIEWS}

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
    def parts(self) -> dict[str, Array]:
        """The same parameters by name, {name: read-only view}."""
        return self._split(self._theta)

    def with_theta(self, theta: Any) -> ScoreModel:
        """The same architecture at other parameters: ``theta`` is (p,), copied; complex is let through.

        Raises ValueError for a wrong shape or a value that is not finite, TypeError for non-numbers.
        """
        return self._with_theta(as_shaped(theta, "theta", self._theta.shape, allow_complex=True).copy())

    def _with_theta(self, theta: Array) -> ScoreModel:
        """``with_theta`` of a clean vector, which becomes the model's own: neither checked nor copied."""
        model = object.__new__(type(self))
        model.__dict__.update(self.__dict__)
        model._set_theta(theta)
        return model

    def unravel(self, vector: Any) -> Any:
        """Name the parts of a flat vector laid out as ``theta``: {name: view}.

        A gradient goes in, {name: ∂L/∂part} comes out. Raises ValueError for a wrong shape.
        """
        return self._split(self._vector(vector))

    def _vector(self, vector: Any) -> Array:
        vector = as_array(vector, "vector", allow_complex=True, finite=False)
        if vector.shape != self._theta.shape:
            raise ValueError(f"vector must have shape {self._theta.shape}, got shape {vector.shape}")
        return vector

    def _split(self, vector: Array) -> dict[str, Array]:
        return {name: vector[place].reshape(shape) for name, place, shape in self._layout}

    def at(self, cond: Any) -> ScoreModel:
        """The plain model x ↦ s(x, cond) for one condition (c,): without a condition, with a θ of its own.

        Raises ValueError where the model has no condition or cond is not (c,), TypeError for non-numbers.
        """
        if self.condition == 0:
            raise ValueError(f"at needs a model with a condition, got {self!r}, which has none")
        shape = (self.condition,)
        return self._at(as_shaped(cond, "cond", shape, allow_complex=True).astype(self.dtype, copy=False))

    def _at(self, cond: Array) -> ScoreModel:
        raise NotImplementedError(f"{type(self).__name__} must define _at, since it has a condition")

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The architecture as JSON-ready values: ``type(model).from_config(config, theta)`` rebuilds it."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: dict[str, Any], theta: Array) -> ScoreModel:
        """Rebuild a model from its ``config`` and parameters."""

    # ---- values ----------------------------------------------------------------------------------

    @unchecked_twin("_score")
    def score(self, x: Any, cond: Any = None) -> Array:
        """The score s(x) = +∇ₓ log p(x; θ): x is (n, d), the result (n, d)."""
        return self._values(self._score, self._numbers, x, cond)

    def divergence(self, x: Any, cond: Any = None) -> Array:
        """The trace tr ∂s/∂x of the Jacobian, exact, shape (n,), for x of shape (n, d)."""
        return self._values(self._divergence, self._trace_numbers, x, cond)

    def score_and_divergence(self, x: Any, cond: Any = None) -> tuple[Array, Array]:
        """Score (n, d) and exact trace (n,) together, by one forward pass, for x of shape (n, d)."""
        x, cond = self._inputs(x, cond)
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [
                self._score_and_divergence(x[b], None if cond is None else cond[b])
                for b in blocks_of(len(x), rows_per_block(self._trace_numbers))
            ]
        s, div = zip(*parts)
        s, div = (s[0], div[0]) if len(parts) == 1 else (np.concatenate(s), np.concatenate(div))
        _check_range({"x": x, "cond": cond}, s, div)
        return s, div

    def jacobian(self, x: Any, cond: Any = None) -> Array:
        """The Jacobian J[n, i, j] = ∂sᵢ/∂xⱼ at each row, shape (n, d, d), for x of shape (n, d)."""
        return self._values(self._jacobian, self.d * self._numbers, x, cond)

    # ---- the three primitives --------------------------------------------------------------------

    def score_vjp(self, x: Any, cond: Any = None) -> tuple[Array, Pullback]:
        """The score and its pullback: ``s, pullback = model.score_vjp(x)``.

        x is (n, d); s is (n, d); ``pullback(ds)`` takes ds = ∂L/∂s of shape (n, d) and returns ∂L/∂θ
        as a flat (p,) vector: a plain sum over rows, so any 1/n or weight belongs in ds. cond is a constant.
        """
        x, cond = self._inputs(x, cond)
        return self._primitive(self._score_vjp, {"x": 0, "cond": 0}, (x, cond), {"ds": 0}, self._numbers)

    def divergence_vjp(self, x: Any, cond: Any = None) -> tuple[Array, Array, Pullback]:
        """Score, exact trace and their joint pullback: ``s, div, pullback = model.divergence_vjp(x)``.

        x is (n, d); s is (n, d); div = tr ∂s/∂x is (n,); ``pullback(ds, ddiv)`` returns the flat gradient
        of any L(s, div), both dependencies on θ included.
        """
        axes, cotangents = {"x": 0, "cond": 0}, {"ds": 0, "ddiv": -1}
        return self._primitive(
            self._divergence_vjp, axes, self._inputs(x, cond), cotangents, self._trace_numbers
        )

    def quadratic_form_vjp(self, x: Any, v: Any, cond: Any = None) -> tuple[Array, Array, Pullback]:
        """Score, q = vᵀ J v and their joint pullback: ``s, q, pullback = model.quadratic_form_vjp(x, v)``.

        x is (n, d). v is (n, d) with q of shape (n,), or (m, n, d), m probes a row, with q of shape (m, n).
        ``pullback(ds, dq)`` returns the flat gradient of any L(s, q). v is a constant: nothing is
        differentiated with respect to it.
        """
        x, cond = self._inputs(x, cond)
        v = as_array(v, "v", allow_complex=True)
        if v.ndim not in (2, 3) or v.shape[-2:] != x.shape or v.size == 0:
            raise ValueError(
                f"v must have shape {x.shape} or (m, {x.shape[0]}, {self.d}), got shape {v.shape}"
            )
        numbers = self._numbers * (v.shape[0] if v.ndim == 3 else 1)
        axes, cotangents = {"x": 0, "v": -2, "cond": 0}, {"ds": 0, "dq": -1}
        return self._primitive(self._quadratic_form_vjp, axes, (x, v, cond), cotangents, numbers)

    @abstractmethod
    def _score_vjp(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Pullback]: ...

    @abstractmethod
    def _divergence_vjp(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Array, Pullback]: ...

    @abstractmethod
    def _quadratic_form_vjp(
        self, x: Array, v: Array, cond: Optional[Array] = None
    ) -> tuple[Array, Array, Pullback]: ...

    @abstractmethod
    def _jacobian(self, x: Array, cond: Optional[Array] = None) -> Array: ...

    def _score(self, x: Array, cond: Optional[Array] = None) -> Array:
        return self._score_vjp(x, cond)[0]

    def _divergence(self, x: Array, cond: Optional[Array] = None) -> Array:
        return self._score_and_divergence(x, cond)[1]

    def _score_and_divergence(self, x: Array, cond: Optional[Array] = None) -> tuple[Array, Array]:
        return self._divergence_vjp(x, cond)[:2]

    @cached_property
    def _numbers(self) -> int:
        """About how many numbers a row of a primitive with one direction holds at once."""
        return 4 * (self.d + max((shape[0] for *_, shape in self._layout if shape), default=1))

    @cached_property
    def _trace_numbers(self) -> int:
        """The same for a row of ``_divergence_vjp``: here, for d directions together."""
        return self.d * self._numbers

    # ---- the border ------------------------------------------------------------------------------

    def _inputs(self, x: Any, cond: Any) -> tuple[Array, Optional[Array]]:
        """Clean x (n, d) and cond (n, c) or None."""
        x = as_batch(x, "x", d=self.d, allow_complex=True)
        return x, self._conditioned(cond, x)

    def _conditioned(self, cond: Any, x: Array) -> Optional[Array]:
        """A clean condition for the rows x, (n, c) in the type that x and the parameters have; None without one."""
        dtype = x.dtype if x.dtype == self.dtype else np.result_type(x.dtype, self.dtype)
        return as_condition(cond, len(x), self.condition, dtype)

    def _values(self, function: Callable[..., Array], numbers: int, x: Any, cond: Any) -> Array:
        """``function(x, cond)`` of clean arguments, over blocks of rows; NotFiniteError where it overflows."""
        x, cond = self._inputs(x, cond)
        with np.errstate(over="ignore", invalid="ignore"):
            values = map_in_blocks(function, x, cond, rows_per_block(numbers))
        _check_range({"x": x, "cond": cond}, values)
        return values

    def _primitive(
        self,
        primitive: Callable[..., tuple[Any, ...]],
        axes: dict[str, int],
        inputs: tuple[Optional[Array], ...],
        cotangents: dict[str, int],
        numbers: int,
    ) -> tuple[Any, ...]:
        """A primitive over blocks of rows; its pullback checks the cotangents, {name: axis of samples}."""
        inputs = [None if a is None else a.copy() for a in inputs]  # the pullback reads them later
        with np.errstate(over="ignore", invalid="ignore"):
            *outputs, pull = vjp_in_blocks(
                primitive, inputs, tuple(axes.values()), tuple(cotangents.values()), rows_per_block(numbers)
            )
        _check_range(dict(zip(axes, inputs)), *outputs)

        def pullback(*given: Any) -> Array:
            if len(given) != len(outputs):
                raise TypeError(f"pullback takes ({', '.join(cotangents)}), got {len(given)} arguments")
            named = zip(given, cotangents, outputs)
            return pull(*[as_shaped(c, name, out.shape, allow_complex=True) for c, name, out in named])

        return (*outputs, pullback)


def _check_range(inputs: Mapping[str, Optional[Array]], *values: Array) -> None:
    """NotFiniteError where a model's values at these inputs are beyond the range of their type."""
    for value in values:
        if not np.isfinite(value).all():
            given = {name: array for name, array in inputs.items() if array is not None}
            sizes = ", ".join(f"{name} up to {np.abs(array).max():.3g}" for name, array in given.items())
            raise NotFiniteError(
                f"{', '.join(given)} and the parameters must be of sizes at which the model's values can be computed "
                f"in {value.dtype}, got {sizes}"
            )
