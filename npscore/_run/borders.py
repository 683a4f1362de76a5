"""Checks of arguments: every public call turns what it is given into clean arrays and numbers here, once.

Each helper takes the value and the *name the caller used for it*, and either returns a clean array or
number or raises one ``TypeError`` (wrong kind of thing) or ``ValueError`` (right kind, wrong value) of
the form "<name> must be <expected>, got <value>". Arrays come back as they are where they already fit:
float32, float64 and longdouble keep their type (complex too, where a complex step may pass); integers
and float16 become float64. Nothing here writes to its argument.
"""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable, Iterable
from typing import Any, Optional

import numpy as np

from .pictures import _show, digits_of, picture, shortened

Array = np.ndarray
MOST = 2**63 - 1
NOT_NUMBERS = (bool, np.bool_, np.timedelta64)  # numbers to Python or NumPy, but never meant as one
WARNS_OF_RAGGED = tuple(map(int, np.__version__.split(".")[:2])) < (1, 24)


class NotFiniteError(ValueError):
    """An array holds NaN or infinity: a kind of its own, so that ``fit`` can tell overflow from misuse."""


def as_array(value: Any, name: str, *, allow_complex: bool = False, finite: bool = True) -> Array:
    """A numeric array of a floating type: TypeError for text, objects, booleans and ragged lists."""
    try:
        array = value if type(value) is np.ndarray else _asarray(value)
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # ragged sequences, or a foreign array that refuses, each library's in its own way
        raise TypeError(f"{name} must be a rectangular array of numbers, got {_show(value)}") from error
    if array.dtype.kind not in ("iufc" if allow_complex else "iuf"):
        raise TypeError(f"{name} must hold real numbers, got {_show(value)} of dtype {array.dtype}")
    if array.dtype.kind in "iu" or array.dtype == np.float16:
        array = array.astype(np.float64)
    if finite and not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise NotFiniteError(f"{name} must be finite, got {array[at]} at index {at if at else '()'}")
    return array


def as_batch(
    value: Any,
    name: str = "x",
    *,
    n: Optional[int] = None,
    d: Optional[int] = None,
    allow_complex: bool = False,
    finite: bool = True,
) -> Array:
    """An ``(n, d)`` array with rows as samples, neither side empty."""
    array = as_array(value, name, allow_complex=allow_complex, finite=finite)
    expected = f"({'n' if n is None else n}, {'d' if d is None else d})"
    if array.ndim != 2:
        hint = f"; one-dimensional data is {name}[:, None]" if array.ndim == 1 else ""
        raise ValueError(f"{name} must have shape {expected}, got shape {array.shape}{hint}")
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one row and one column, got shape {array.shape}")
    if (n is not None and array.shape[0] != n) or (d is not None and array.shape[1] != d):
        raise ValueError(f"{name} must have shape {expected}, got shape {array.shape}")
    return array


def as_shaped(
    value: Any,
    name: str,
    shape: tuple[int, ...],
    *,
    allow_complex: bool = False,
    finite: bool = True,
) -> Array:
    """An array of exactly this shape."""
    array = as_array(value, name, allow_complex=allow_complex, finite=finite)
    if array.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got shape {array.shape}")
    return array


def as_weights(weights: Any, n: int, dtype: Any) -> Array:
    """The per-row factors w of Σᵢ wᵢ ℓᵢ, shape ``(n,)``: 1/n each where ``weights`` is None."""
    if weights is None:
        real = np.dtype(dtype).type  # 1/n divided in its own type: as a double it is no longdouble
        return np.full(n, real(1) / real(n), dtype)
    return as_shaped(weights, "weights", (n,))


def as_condition(value: Any, n: int, c: int, dtype: Any) -> Optional[Array]:
    """A model's condition, one row of c numbers for each of n rows, in ``dtype`` (complex stays): (n, c).

    (c,) is one condition for all rows, also where n = c. For a model without a condition, c = 0, it must be None.
    """
    if c == 0:
        if value is not None:
            raise ValueError(
                f"cond must be None for a model without a condition, got {_show(value)}: a model made with "
                "condition=c takes one"
            )
        return None
    if value is None:
        raise ValueError(
            f"cond must have shape ({n}, {c}), or ({c},) for all rows, got None: the model has a condition "
            "(model.at(cond) is a plain model)"
        )
    cond = as_array(value, "cond", allow_complex=True)
    if cond.shape not in ((c,), (n, c)):
        raise ValueError(f"cond must have shape ({n}, {c}), or ({c},) for all rows, got shape {cond.shape}")
    if cond.dtype != dtype and cond.dtype.kind == "f":
        cond = cond.astype(np.empty(0, dtype).real.dtype)
    return cond if cond.shape == (n, c) else np.broadcast_to(cond, (n, c))


def as_number(
    value: Any,
    name: str,
    *,
    above: Optional[float] = None,
    at_least: Optional[float] = None,
    at_most: Optional[float] = None,
    below: Optional[float] = None,
) -> float:
    """One finite real number within the stated bounds, as a Python float."""
    expected = functools.partial(_bounds, "a finite number", above, at_least, below, at_most)
    if isinstance(value, (bool, np.bool_)) or not _is_real_scalar(value):
        raise TypeError(f"{name} must be {expected()}, got {_show(value)}")
    try:
        number = float(value)
    except OverflowError:  # a whole number or fraction beyond the largest float
        raise ValueError(f"{name} must be {expected()}, got one beyond the range of floats") from None
    inside = (
        np.isfinite(number)
        and (above is None or number > above)
        and (at_least is None or number >= at_least)
        and (below is None or number < below)
        and (at_most is None or number <= at_most)
    )
    if not inside:
        raise ValueError(f"{name} must be {expected()}, got {number!r}")
    return number


def as_positive(value: Any, name: str) -> float:
    """One finite number > 0."""
    return as_number(value, name, above=0.0)


def as_count(value: Any, name: str, minimum: int = 1) -> int:
    """A whole number, at least ``minimum`` and at most 2⁶³ − 1, what an index can be."""
    expected = f"a whole number >= {minimum}"
    if not _is_whole(value):
        raise TypeError(f"{name} must be {expected}, got {_show(value)}")
    if value < minimum:
        raise ValueError(f"{name} must be {expected}, got {shortened(digits_of(value))}")
    if value > MOST:
        raise ValueError(f"{name} must be {expected} and <= {MOST}, got {shortened(digits_of(value))}")
    return int(value)


def as_choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """One of a set of names."""
    choices = list(choices)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(choices)}, got {_show(value)}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {picture(value)}")
    return value


def as_flag(value: Any, name: str) -> bool:
    """True or False, and nothing else: not 0 or 1, not a text."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {_show(value)}")
    return bool(value)


def as_rng(rng: Any) -> np.random.Generator:
    """A Generator from a seed, a SeedSequence, a Generator (used as it is) or None (fresh entropy)."""
    seeds = (np.random.Generator, np.random.SeedSequence, np.random.BitGenerator)
    whole = _is_whole(rng)
    if rng is not None and not whole and not isinstance(rng, seeds):
        raise TypeError(f"rng must be a numpy Generator or a whole-number seed, got {_show(rng)}")
    if whole and rng < 0:
        raise ValueError(f"rng must be a seed >= 0, got {shortened(digits_of(rng))}")
    return np.random.default_rng(rng)


def draw_entropy(rng: np.random.Generator) -> tuple[int, ...]:
    """Four 32-bit words that seed all streams of a run: any Generator will do, and its next run differs."""
    return tuple(rng.integers(0, 2**32, size=4, dtype=np.uint32).tolist())


def as_callable(value: Any, name: str, signature: str) -> Callable[..., Any]:
    """Something that can be called; ``signature`` says how it will be."""
    if not callable(value):
        raise TypeError(f"{name} must be a callable {signature}, got {_show(value)}")
    return value


def call_score(
    score: Callable[[Array], Any], x: Array, name: str = "score", *, finite: bool = False
) -> Array:
    """``score(x)``, checked to be an array of x's shape (and finite where asked); complex for complex x only."""
    s = as_array(score(x), f"{name}(x)", allow_complex=x.dtype.kind == "c", finite=finite)
    if s.shape != x.shape:
        raise ValueError(f"{name}(x) must have the shape of x, {x.shape}, got shape {s.shape}")
    return s


def unchecked_twin(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a method that checks an (n, d) batch and then calls its twin ``name``, which takes a clean one as it is."""

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        method.unchecked_twin = name
        return method

    return mark


def past_border(function: Any, d: int) -> Optional[Callable[[Array], Array]]:
    """The bound twin of a marked method whose owner has dimension d, or None for any other callable.

    A loop that keeps its (n, d) states clean calls this once and spares a check of every row at every step. A subclass
    that overrides the marked method is called as it is.
    """
    owner = getattr(function, "__self__", None)
    name = getattr(getattr(function, "__func__", None), "unchecked_twin", None)
    if name is None or owner.d != d or getattr(owner, "condition", 0):
        return None
    return getattr(owner, name)


def _asarray(value: Any) -> Array:
    """``np.asarray``, refusing what it would hide: masked entries, and ragged sequences on NumPy < 1.24."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError("masked entries have no value")
    if WARNS_OF_RAGGED and isinstance(value, (list, tuple)) and _is_ragged(value):
        raise ValueError("rows of different lengths")
    return np.asarray(value)


def _is_ragged(value: Any) -> bool:
    """Whether sequences are left among the entries of the deepest array that ``value`` makes.

    Where NumPy only warns of it, the warning cannot be used: filters belong to the whole process, and turning one into
    an error for a moment loses those that other threads set meanwhile.
    """
    entries = np.array(value, dtype=object).flat
    return any(isinstance(entry, (list, tuple, range)) or getattr(entry, "shape", ()) for entry in entries)


def _is_real_scalar(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf" and not np.ma.is_masked(value)
    return isinstance(value, numbers.Real) and not isinstance(value, NOT_NUMBERS)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, NOT_NUMBERS)


def _bounds(noun: str, above: Any, at_least: Any, below: Any, at_most: Any) -> str:
    parts = []
    for sign, bound in ((">", above), (">=", at_least), ("<", below), ("<=", at_most)):
        if bound is not None:
            parts.append(f"{sign} {bound:g}")
    return " ".join([noun, " and ".join(parts)]).strip()
