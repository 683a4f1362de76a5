"""Fitted models as files: architecture, parameters, conventions, and the user's units."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import numpy as np

from ._run.atomic import PathLike
from ._run.npz import FileFormatError, read_npz, write_npz
from ._version import __version__
from .datasets.standardise import Standardisation
from .models import MODELS, ScoreModel

FORMAT, VERSION = "npscore-model", 1
CONVENTIONS = {
    "score": "s = +grad_x log p(x)",
    "units": "the model lives in standardised units u = (x - mean) / scale; s_x = s_u / scale",
    "layer": "z = W a + b, W is (fan_out, fan_in); theta is W row-major, then b, layer after layer",
}


class StoredModel(NamedTuple):
    """What a model file holds: the model, the standardisation (None: it lives in raw units) and free-form info."""

    model: ScoreModel
    standardisation: Optional[Standardisation]
    info: dict[str, Any]


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
    Raises TypeError for a model or info that cannot be stored, ValueError where the widths differ.
    """
    kind = type(model).__name__
    if MODELS.get(kind) is not type(model):
        raise TypeError(f"model must be one of {', '.join(MODELS)}, got {kind}")
    if model.dtype.kind != "f":
        raise TypeError(f"model must have real parameters, got {model.dtype}")
    header = {
        "npscore": __version__,
        "model": kind,
        "config": model.config,
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
    pickled, inconsistent or of another version; OSError where it cannot be opened.
    """
    header, arrays = read_npz(path, FORMAT, VERSION)
    try:
        model = _model(header, arrays["theta"])
        standardisation = _standardisation(header["columns"], arrays, model.d)
        if not isinstance(header["info"], dict):
            raise TypeError(f"info must be a dict, got {type(header['info']).__name__}")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise FileFormatError(f"{path}: an inconsistent model file ({_reason(error)})") from error
    return StoredModel(model, standardisation, header["info"])


def _checked_info(info: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    if info is not None and not isinstance(info, Mapping):
        raise TypeError(f"info must be a mapping, got {type(info).__name__}")
    info = dict(info or {})
    try:
        json.dumps(info, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise type(error)(f"info must be what JSON can hold, got {error}") from None
    return info


def _model(header: Mapping[str, Any], theta: np.ndarray) -> ScoreModel:
    if header["model"] not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {header['model']!r}")
    if theta.dtype.kind != "f":
        raise ValueError(f"theta must be real, got {theta.dtype}")
    bits = np.finfo(theta.dtype).nmant  # longdouble has one name and several meanings: 52, 63 or 112 bits
    if header["mantissa_bits"] != bits:
        raise ValueError(
            f"theta must have {header['mantissa_bits']!r} mantissa bits, {theta.dtype} has {bits} here"
        )
    return MODELS[header["model"]].from_config(header["config"], theta)


def _standardisation(columns: Any, arrays: Mapping[str, np.ndarray], d: int) -> Optional[Standardisation]:
    if "mean" not in arrays and "scale" not in arrays:
        return None
    if arrays["mean"].shape != (d,):
        raise ValueError(f"mean must have shape ({d},), got shape {arrays['mean'].shape}")
    return Standardisation(arrays["mean"], arrays["scale"], columns)


def _reason(error: BaseException) -> str:
    return f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
