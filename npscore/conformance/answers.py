"""What an implementation answered to a case, as one flat dictionary of float64 arrays.

An *answer* is {"loss": (), "per_sample": (n,), "score": (n, d), "grad.W1": (h, d), …}: any part of the case's
outputs, named and shaped as in the case files. Where there is none, ``Skipped`` or ``Errored`` says why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from .untrusted import printable, shown

Array = np.ndarray
Answer = dict[str, Array]
Shapes = dict[str, tuple[int, ...]]
HEX = re.compile(r"[+-]?0x", re.IGNORECASE)
#: What the conversion to an array raises: Warning for rows of unequal length before NumPy 1.24, RuntimeError for a list
#: that contains itself and for tensors without numbers.
NOT_NUMBERS = (TypeError, ValueError, OverflowError, RuntimeError, Warning)


@dataclass(frozen=True)
class Skipped:
    """The implementation said that it does not do this case. ``reason`` is made printable."""

    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", printable(self.reason))


@dataclass(frozen=True)
class Errored:
    """There is no usable answer. ``refused``: the implementation itself reported an error (right for invalid input).

    Not refused are a crash, an exceeded time limit, and an answer of the wrong names or shapes. ``reason`` is made
    printable.
    """

    reason: str
    refused: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", printable(self.reason))


Outcome = Union[Answer, Skipped, Errored]


class AnswerError(ValueError):
    """An answer whose names, shapes or values cannot be what the case asks for."""


def answer_of(case: Any, result: Any) -> Answer:
    """The answer in ``result``: a mapping of names to arrays or numbers, checked against the case's outputs.

    ``result`` may be a mapping or a NamedTuple (such as ``LossGrad``), or one number or array where the case has
    a ``loss`` or a single output. ``grad`` may be a mapping {"W1": …}, a sequence of pairs (W, b), or one flat
    vector W1, b1, W2, b2, …; "grad.W1" works too. Arrays may be NumPy's, PyTorch's or JAX's, nested lists,
    or flat lists of as many numbers; numbers may be text: decimal, hexadecimal ("0x1.8p+0"), "nan", "inf".
    NaN and infinities are accepted here and have no correct digits later. Entries that are None are left out.

    Raises AnswerError for an unknown name, a wrong shape, or what is not a real number.
    """
    shapes = output_shapes(case)
    if not shapes:
        return {}  # a case of the family ``invalid``: there is nothing that would be right
    answer: Answer = {}
    for name, value in _named(result, shapes).items():
        if value is None:
            continue
        parts = _gradient(value, shapes) if name == "grad" else {name: value}
        for part, numbers in parts.items():
            if part not in shapes:
                raise AnswerError(f"{shown(part)} is no output of {case.operation}: {', '.join(shapes)}")
            if part in answer:
                raise AnswerError(f"{part} is given twice")
            answer[part] = as_shape(numbers, part, shapes[part])
    if not answer:
        raise AnswerError(f"the answer holds none of the outputs of {case.operation}: {', '.join(shapes)}")
    return answer


def output_shapes(case: Any) -> Shapes:
    """The name and shape of each output of a case; none for a case of the family ``invalid``."""
    return {name: np.shape(value) for name, value in case.expected().items()}


def as_shape(value: Any, name: str, shape: tuple[int, ...]) -> Array:
    """Numbers as a float64 array of this shape: nested like it, or a flat list of as many."""
    array = as_numbers(value, name)
    flat = array.ndim == 1 and array.size == math.prod(shape)
    if array.shape != shape and not flat:
        raise AnswerError(f"{name} must have shape {shape}, got shape {array.shape}")
    return array.reshape(shape)


def as_numbers(value: Any, name: str) -> Array:
    """A float64 array from anything with real numbers in it, text and foreign tensors included."""
    try:
        array = np.asarray(_numbers_of_text(value) if isinstance(value, (list, str)) else _to_host(value))
        if array.dtype.kind in "bcmMSUO":
            raise TypeError(f"dtype {array.dtype}")
        return array.astype(np.float64)
    except NOT_NUMBERS as error:
        why = printable(str(error), 200)
        got = f"{type(value).__name__} {shown(value)}"
        raise AnswerError(f"{name} must be an array of real numbers, got {got} ({why})") from error


def _named(result: Any, shapes: Shapes) -> Mapping[str, Any]:
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, Mapping):
        return result
    name = "loss" if "loss" in shapes else next(iter(shapes), None)
    if name is None or (name != "loss" and len(shapes) > 1):
        raise AnswerError(f"an answer must be a mapping of names to arrays, got {shown(result)}")
    return {name: result}


def _gradient(grad: Any, shapes: Shapes) -> dict[str, Any]:
    """The parts "grad.W1", … of a gradient given as a mapping, as pairs (W, b) or as one flat vector."""
    names = [name for name in shapes if name.startswith("grad.")]
    if hasattr(grad, "_asdict"):
        grad = grad._asdict()
    if isinstance(grad, Mapping):
        return {f"grad.{name}": value for name, value in grad.items() if value is not None}
    if isinstance(grad, Sequence) and grad and not _is_number(grad[0]):
        pairs = all(isinstance(layer, (tuple, list)) and len(layer) == 2 for layer in grad)
        parts = [part for layer in grad for part in layer] if pairs else list(grad)
        if len(parts) == len(names):
            return dict(zip(names, parts))
        raise AnswerError(f"grad must have {len(names)} arrays, {', '.join(names)}, got {len(parts)}")
    return _split(as_numbers(grad, "grad"), names, shapes)


def _split(flat: Array, names: list[str], shapes: Shapes) -> Answer:
    sizes = [math.prod(shapes[name]) for name in names]
    if flat.shape != (sum(sizes),):
        raise AnswerError(f"grad must have shape {(sum(sizes),)} in one vector, got shape {flat.shape}")
    return dict(zip(names, np.split(flat, np.cumsum(sizes)[:-1])))


def _is_number(value: Any) -> bool:
    return isinstance(value, (str, int, float)) or getattr(value, "ndim", 1) == 0


def _to_host(value: Any) -> Any:
    """A tensor of another framework as something NumPy takes: detached from its graph and on the host."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        return value.double().numpy() if value.is_floating_point() else value.numpy()
    return value


def _numbers_of_text(value: Any) -> Any:
    """A number, or nested lists of them, with text turned into floats; True, None and objects are refused."""
    if isinstance(value, (list, tuple)):
        return [_numbers_of_text(entry) for entry in value]
    if isinstance(value, str):
        return float.fromhex(value) if HEX.match(value.strip()) else float(value)
    if isinstance(value, bool) or value is None or isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no number")
    return float(value) if isinstance(value, int) else _to_host(value)
