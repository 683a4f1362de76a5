"""Which cases are asked: all, the smoke subset, families or ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional, Union

from .answers import Skipped
from .cases import families, load

Selection = Union[str, Iterable[str]]


def select(cases: Selection = "all") -> tuple[Any, ...]:
    """The cases a selection names, in the order of the files, each once.

    A selection is "all", "smoke" (a subset of a few seconds), a family, an id such as "ism-0007", several of these
    with commas between them, or a sequence of them. The family ``invalid``, input that must be refused, has no
    numbers and is asked only where it is named: "all,invalid". Raises ValueError for a name that is none of these.
    """
    wanted = _names(cases)
    everything = [case for family in families() for case in load(family)]
    chosen = tuple(case for case in everything if wanted & _labels(case))
    unknown = wanted - {label for case in chosen for label in _labels(case)}
    for name in sorted(unknown):
        raise ValueError(f"cases must be all, smoke, ids or families ({', '.join(families())}), got {name!r}")
    return chosen


def operations() -> frozenset[str]:
    """All operations that there are cases for."""
    return frozenset(case.operation for case in select("all,invalid"))


def not_asked(case: Any, dtype: str) -> Optional[Skipped]:
    """Why a case cannot be asked in this type, or None."""
    if dtype == "float32" and "not-float32" in case.flags:
        return Skipped("its numbers lie outside float32's normal range")
    return None


def _labels(case: Any) -> set[str]:
    subsets = set() if case.family == "invalid" else {"all"} | ({"smoke"} & set(case.flags))
    return subsets | {case.family, case.id}


def _names(cases: Selection) -> set[str]:
    if not isinstance(cases, str) and not isinstance(cases, Iterable):
        raise TypeError(f"cases must be a name or a sequence of names, got {type(cases).__name__} {cases!r}")
    parts = [cases] if isinstance(cases, str) else list(cases)
    if not all(isinstance(part, str) for part in parts):
        raise TypeError(f"cases must be names, got {cases!r}")
    names = {name.strip() for part in parts for name in part.split(",") if name.strip()}
    if not names:
        raise ValueError(f"cases must name at least one case, got {cases!r}")
    return names
