"""The catalogue of known mistakes in score matching, each with the numbers it gives, its effect and its fix.

``CATALOGUE`` maps ids to entries; ``for_operation(name)`` gives those that concern an operation. The same
entries, without their functions, are v1/mistakes.json.
"""

from __future__ import annotations

import json

from . import (
    activations,
    conventions,
    densities,
    expectations,
    explicit,
    implicit,
    laws,
    mixtures,
    passes,
    products,
    reductions,
    samplers,
)
from .base import NETWORK, RIGHT, Answer, Decoded, Mistake, size
from .faulty_loss import Unweighted

#: in the order of v1/mistakes.json
_MODULES = (
    implicit,
    explicit,
    passes,
    reductions,
    samplers,
    laws,
    densities,
    products,
    mixtures,
    expectations,
    activations,
)
ENTRIES: tuple[Mistake, ...] = (
    *conventions.CONVENTIONS,
    *(mistake for module in _MODULES for mistake in module.MISTAKES),
)
CATALOGUE: dict[str, Mistake] = {entry.id: entry for entry in ENTRIES}


def for_operation(operation: str) -> tuple[Mistake, ...]:
    """The entries that concern an operation, conventions first."""
    return tuple(entry for entry in ENTRIES if operation in entry.operations)


def catalogue_json() -> str:
    """The text of v1/mistakes.json."""
    about = "What people get wrong in score matching: the wrong line, the right one, its effect and its fix."
    entries = ",\n".join(json.dumps(entry.record(), ensure_ascii=False) for entry in ENTRIES)
    head = json.dumps(
        {"format": "npscore-conformance-mistakes", "version": 1, "about": about}, ensure_ascii=False
    )
    return f'{head[:-1]}, "mistakes": [\n{entries}\n]}}\n'


__all__ = [
    "CATALOGUE",
    "ENTRIES",
    "NETWORK",
    "RIGHT",
    "Answer",
    "Decoded",
    "Mistake",
    "Unweighted",
    "catalogue_json",
    "for_operation",
    "size",
]
