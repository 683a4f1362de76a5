"""Column names: what they may be, and what columns are called that have none."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

COLUMNS_EXPECTED = "different one-line texts without outer or double spaces"


def default_names(d: int) -> tuple[str, ...]:
    """``x1, …, xd``: the names of columns that came without any."""
    return tuple(f"x{j}" for j in range(1, d + 1))


def as_columns(value: Optional[Sequence[str]], d: int, name: str = "columns") -> tuple[str, ...]:
    """``d`` distinct printable names, or ``x1, …, xd`` where ``value`` is None.

    Raises TypeError where the names are not texts; ValueError for a wrong number of them, an empty,
    repeated or unprintable one, or one with outer or double spaces.
    """
    if value is None:
        return default_names(d)
    names = _as_texts(value, f"{name} must be {d} {COLUMNS_EXPECTED}")
    if len(names) != d:
        raise ValueError(f"{name} must be {d} {COLUMNS_EXPECTED}, got {len(names)}: {names!r}")
    for text in names:
        if not text or text != " ".join(text.split()) or not text.isprintable():
            raise ValueError(f"{name} must be {d} {COLUMNS_EXPECTED}, got {text!r}")
    if len(set(names)) < d:
        twice = next(text for text in names if names.count(text) > 1)
        raise ValueError(f"{name} must be {d} {COLUMNS_EXPECTED}, got {twice!r} more than once")
    return names


def _as_texts(value: Any, expected: str) -> tuple[str, ...]:
    try:
        names = tuple(value)
    except TypeError:
        names = (value,)
    if isinstance(value, str) or not all(isinstance(text, str) for text in names):
        raise TypeError(f"{expected}, got {type(value).__name__} {value!r}")
    return tuple(str(text) for text in names)


def choose(choice: Any, names: Sequence[str]) -> tuple[int, ...]:
    """The 0-based positions of the chosen columns among ``names``, in the order of the choice.

    Each choice is a name, or a 1-based position as a whole number or its digits (a column that bears
    the digits as its name wins). A single choice need not be wrapped in a list. Raises TypeError or
    ValueError for an empty choice, an unknown column, or the same column twice.
    """
    single = isinstance(choice, (str, numbers.Number))
    if not single and not isinstance(choice, (Sequence, np.ndarray)):
        raise TypeError(f"columns must be names or 1-based positions, got {type(choice).__name__} {choice!r}")
    items = (choice,) if single else tuple(choice)
    if not items:
        raise ValueError(f"columns must choose at least one of {_listed(names)}, got none")
    at = tuple(_position(item, names) for item in items)
    if len(set(at)) < len(at):
        twice = next(j for j in at if at.count(j) > 1)
        raise ValueError(f"columns must be different columns, got {_called(names, twice)} more than once")
    return at


def _position(item: Any, names: Sequence[str]) -> int:
    if isinstance(item, bool) or not isinstance(item, (str, numbers.Integral)):
        raise TypeError(f"columns must be names or 1-based positions, got {type(item).__name__} {item!r}")
    text = str(item).strip()
    if isinstance(item, str) and text and text in names:
        return list(names).index(text)
    if text.isdecimal() and 1 <= int(text) <= len(names):
        return int(text) - 1
    raise ValueError(f"columns must be among {_listed(names)} or a position 1 to {len(names)}, got {item!r}")


def _called(names: Sequence[str], j: int) -> str:
    """A column as messages call it: its name, or its position where it has none."""
    return repr(names[j]) if names[j] else str(j + 1)


def _listed(names: Sequence[str]) -> str:
    shown = [text for text in names if text]
    return ", ".join(shown[:8]) + (f", … ({len(shown)} columns)" if len(shown) > 8 else "")
