"""Fitted models as files: architecture, parameters, conventions, and the user's units.

A file names its model's class by a word, and ``load`` looks the word up among npscore's own and those that
``register`` has added: it never imports or runs what a file names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import numpy as np

from ._run.atomic import PathLike
from ._run.npz import FileFormatError, check_depth, read_npz, write_npz
from ._version import __version__
from .datasets.standardise import Standardisation
from .models import MODELS, ScoreModel, registry

FORMAT, VERSION = "npscore-model", 1
CONVENTIONS = {
    "score": "s = +grad_x log p(x)",
    "units": "the model lives in standardised units u = (x - mean) / scale; s_x = s_u / scale",
    "layer": "z = W a + b, W is (fan_out, fan_in); theta is W row-major, then b, layer after layer",
}
#: Characters of JSON that an architecture may take (a network of 30,000 layers): so much a file may ask for.
MOST_CONFIG = 100_000


class StoredModel(NamedTuple):
    """What a model file holds: the model, the standardisation (None: it lives in raw units) and free-form info."""

    model: ScoreModel
    standardisation: Optional[Standardisation]
    info: dict[str, Any]


def register(name: str, cls: type[ScoreModel]) -> None:
    """Let ``save`` and ``load`` take a model class from outside npscore; its files carry ``name``.

    ``cls`` is a subclass of ScoreModel with ``config`` (a property or a method: what JSON can hold, without the
    parameters) and ``cls.from_config(config, theta)``, which rebuilds the model from it and ``theta`` (p,).
    Register the class, under the same name, wherever its files are read. A class defined anew, as by a notebook's
    cell run twice, takes its own place.

    Raises TypeError for a name that is no text or a class that is none, ValueError for a name that is taken.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeError(f"name must be a text like a class's name, got {type(name).__name__} {name!r}")
    if not (isinstance(cls, type) and issubclass(cls, ScoreModel)):
        raise TypeError(f"cls must be a subclass of ScoreModel, got {cls!r}")
    taken = registry.classes().get(name, cls)
    if name in MODELS or (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"name must be one that no class has, got {name!r}, which is {taken.__qualname__}'s")
    registry.REGISTERED[name] = cls


def save(
    path: PathLike,
    model: ScoreModel,
    *,
    standardisation: Optional[Standardisation] = None,
    info: Optional[Mapping[str, Any]] = None,
) -> None:
    """Write a model to exactly ``path`` (one ``.npz``, no pickle), complete or not at all.

    ``standardisation`` carries mean, scale and column names, so that samples can come back in the user's
    units; ``info`` is anything JSON can hold (how it was fitted). An existing file is replaced in one step.
    Raises TypeError for a model or info that cannot be stored, ValueError where the widths differ; a model
    class from outside npscore must have been given to ``register``.
    """
    header = {
        "npscore": __version__,
        **_described(model),
        "mantissa_bits": int(np.finfo(model.dtype).nmant),
        "conventions": CONVENTIONS,
        "info": _checked_info(info),
        "columns": None,
    }
    arrays = {"theta": model.theta}
    if standardisation is not None:
        if not isinstance(standardisation, Standardisation):
            raise TypeError(
                f"standardisation must be a Standardisation, got {type(standardisation).__name__}"
            )
        if len(standardisation.mean) != model.d:
            raise ValueError(f"standardisation must have d = {model.d}, got {len(standardisation.mean)}")
        header["columns"] = list(standardisation.columns)
        arrays |= {"mean": standardisation.mean, "scale": standardisation.scale}
    write_npz(path, FORMAT, VERSION, header, **arrays)


def load(path: PathLike) -> StoredModel:
    """Read a model file written by ``save``.

    Raises FileFormatError, naming the file and what is wrong, for one that is damaged, truncated, foreign,
    pickled, inconsistent or of another version, or whose class must be registered first; OSError where it cannot
    be opened.
    """
    header, arrays = read_npz(path, FORMAT, VERSION)
    try:
        if not arrays.keys() <= {"theta", "mean", "scale"}:
            raise ValueError(f"arrays must be theta, mean and scale, got {', '.join(arrays)}")
        model = _model(header, arrays["theta"])
        standardisation = _standardisation(header["columns"], arrays, model.d)
        if not isinstance(header["info"], dict):
            raise TypeError(f"info must be a dict, got {type(header['info']).__name__}")
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise FileFormatError(f"{path}: an inconsistent model file ({_reason(error)})") from error
    return StoredModel(model, standardisation, header["info"])


def _described(model: Any) -> dict[str, Any]:
    """The model's class and architecture, checked: what is written must be what ``load`` takes."""
    description = registry.described(model)
    if model.dtype.kind != "f":
        raise TypeError(f"model must have real parameters, got {model.dtype}")
    _checked_json(description["config"], "model.config")
    _check_size(description["config"])
    return description


def _check_size(config: Any) -> None:
    size = len(json.dumps(config))
    if size > MOST_CONFIG:
        raise ValueError(
            f"config must be at most {MOST_CONFIG:,} characters of JSON, got {size:,}: a larger network is built in "
            "Python, its parameters set with with_theta"
        )


def _checked_info(info: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    if info is not None and not isinstance(info, Mapping):
        raise TypeError(f"info must be a mapping, got {type(info).__name__}")
    return _checked_json(dict(info or {}), "info")


def _checked_json(value: Any, name: str) -> Any:
    try:
        json.dumps(value, allow_nan=False)
        check_depth(value, deepest=90)  # the header it becomes a part of may be 100 deep
    except (TypeError, ValueError, RecursionError) as error:
        raise type(error)(f"{name} must be what JSON can hold, got {error}") from None
    return value


def _model(header: Mapping[str, Any], theta: np.ndarray) -> ScoreModel:
    if theta.dtype.kind != "f":
        raise ValueError(f"theta must be real, got {theta.dtype}")
    bits = np.finfo(theta.dtype).nmant  # longdouble has one name and several meanings: 52, 63 or 112 bits
    if header["mantissa_bits"] != bits:
        raise ValueError(
            f"theta must have {header['mantissa_bits']!r} mantissa bits, {theta.dtype} has {bits} here"
        )
    _check_size(header["config"])
    return registry.built(header, theta)


def _standardisation(columns: Any, arrays: Mapping[str, np.ndarray], d: int) -> Optional[Standardisation]:
    if "mean" not in arrays and "scale" not in arrays:
        return None
    if arrays["mean"].shape != (d,):
        raise ValueError(f"mean must have shape ({d},), got shape {arrays['mean'].shape}")
    return Standardisation(arrays["mean"], arrays["scale"], columns)


def _reason(error: BaseException) -> str:
    text = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."
