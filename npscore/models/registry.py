"""Model classes by the names that files have for them, and models by name and configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import Array, ScoreModel

#: npscore's own classes, and those that ``npscore.storage.register`` has added.
MODELS: dict[str, type[ScoreModel]] = {}
REGISTERED: dict[str, type[ScoreModel]] = {}


def classes() -> dict[str, type[ScoreModel]]:
    """Every model class that a file can name."""
    return {**MODELS, **REGISTERED}


def described(model: Any) -> dict[str, Any]:
    """A model without its parameters, as JSON-ready values: {"model": name, "config": …}; TypeError for others."""
    name = next((name for name, cls in classes().items() if cls is type(model)), None)
    if name is None:
        raise TypeError(
            f"model must be one of {', '.join(classes())}, got {type(model).__name__}; "
            "npscore.storage.register adds a class of your own"
        )
    return {"model": name, "config": model.config() if callable(model.config) else model.config}


def built(description: Mapping[str, Any], theta: Array) -> ScoreModel:
    """The model of a description and its parameters (p,); ValueError for a name that no class has."""
    known, name = classes(), description["model"]
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f"model must be one of {', '.join(known)}, got {name!r}; npscore.storage.register adds a class of your own"
        )
    return known[name].from_config(description["config"], theta)
