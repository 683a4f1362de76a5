"""Column names: what they may be, and what columns are called that have none."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from .._run.borders import _show, digits_of, picture, shortened

COLUMNS_EXPECTED = "different one-line texts without outer or double spaces"


def default_names(d: int) -> tuple[str, ...]:
    """``x1, …, xd``: the names of columns that came without any."""
    return tuple(f"x{j}" for j in range(1, d + 1))


def as_columns(value: Optional[Sequence[str]], d: int, name: str = "columns") -> tuple[str, ...]:
    """``d`` distinct printable names, or ``x1, …, xd`` where ``value`` is None.

    Raises TypeError where the names are not texts, or in a set, which has no order; ValueError for a wrong
    number of them, an empty, repeated or unprintable one, or one with outer or double spaces.
    """
    if value is None:
        return default_names(d)
    names = _as_texts(value, f"{name} must be {d} {COLUMNS_EXPECTED}")
    if len(names) != d:
        raise ValueError(f"{name} must be {d} {COLUMNS_EXPECTED}, got {len(names)}: {picture(names)}")
    for text in names:
        if not text or text != " ".join(text.split()) or not text.isprintable():
            raise ValueError(f"{name} must be {d} {COLUMNS_EXPECTED}, got {picture(text)}")
    twice = first_repeated(names)
    if twice is not None:
        raise ValueError(f"{name} must be {d} {COLUMNS_EXPECTED}, got {names[twice[1]]!r} more than once")
    return names


def first_repeated(items: Sequence[Any]) -> Optional[tuple[int, int]]:
    """The positions of the first item that has been there before, and of where: (before, again), or None."""
    places: dict[Any, int] = {}
    for again, item in enumerate(items):
        before = places.setdefault(item, again)
        if before != again:
            return before, again
    return None


def _as_texts(value: Any, expected: str) -> tuple[str, ...]:
    try:
        names = tuple(value)
    except TypeError:
        names = (value,)
    if isinstance(value, (str, set, frozenset)) or not all(isinstance(text, str) for text in names):
        raise TypeError(f"{expected}, got {_show(value)}")
    return tuple(str(text) for text in names)


def choose(choice: Any, names: Sequence[str]) -> tuple[int, ...]:
    """The 0-based positions of the chosen columns among ``names``, in the order of the choice.

    Each choice is a name, or a 1-based position as a whole number or its digits (a column that bears
    the digits as its name wins). A single choice need not be wrapped in a list. Raises TypeError or
    ValueError for an empty choice, an unknown column, or the same column twice.
    """
    single = isinstance(choice, (str, numbers.Number))
    listed = isinstance(choice, Sequence) or (isinstance(choice, np.ndarray) and choice.ndim > 0)
    if not single and not listed:
        raise TypeError(f"columns must be names or 1-based positions, in order, got {_show(choice)}")
    items = (choice,) if single else tuple(choice)
    if not items:
        raise ValueError(f"columns must choose at least one of {_listed(names)}, got none")
    places = {name: j for j, name in enumerate(names) if name}
    at = tuple(_position(item, names, places) for item in items)
    twice = first_repeated(at)
    if twice is not None:
        called = _called(names, at[twice[1]])
        raise ValueError(f"columns must be different columns, got {called} more than once")
    return at


def _position(item: Any, names: Sequence[str], places: Mapping[str, int]) -> int:
    if isinstance(item, (bool, np.timedelta64)) or not isinstance(item, (str, numbers.Integral)):
        raise TypeError(f"columns must be names or 1-based positions, got {_show(item)}")
    text = item.strip() if isinstance(item, str) else ""
    if text in places:
        return places[text]
    position = int(text) if text.isdecimal() and len(text) < 20 else item
    if not isinstance(position, str) and 1 <= position <= len(names):
        return int(position) - 1
    raise ValueError(
        f"columns must be among {_listed(names)} or a position 1 to {len(names)}, got {shortened(_plain(item))}"
    )


def _plain(item: Any) -> str:
    return repr(item) if isinstance(item, str) else digits_of(item)


def _called(names: Sequence[str], j: int) -> str:
    """A column as messages call it: its name, or its position where it has none."""
    return repr(names[j]) if names[j] else str(j + 1)


def _listed(names: Sequence[str]) -> str:
    shown = [shortened(text) for text in names if text]
    return ", ".join(shown[:8]) + (f", … ({len(shown)} columns)" if len(shown) > 8 else "")
