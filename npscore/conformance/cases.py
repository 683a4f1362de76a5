"""The certified cases of v1/*.json: inputs, exact in any floating type, and certified outputs.

v1/GUIDE.md says what every entry means; tests/oracle generates them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Optional

import numpy as np

from .._run.borders import as_choice

Array = np.ndarray
DIRECTORY = resources.files(__package__) / "v1"
#: The keys of a case that hold its answer, or would give it away.
ANSWER_KEYS = ("output", "error", "certified")


@dataclass(frozen=True, eq=False)
class Case:
    """One case: what to compute, from which inputs, and the certified outputs.

    ``inputs()``, ``expected()`` and ``scale()`` make new arrays at each call, so that a caller may write to them. The
    fields are those of the file; ``error`` is None except in family ``invalid``, which has no outputs.
    """

    id: str
    family: str
    operation: str
    title: str
    model: Mapping[str, Any]
    convention: Mapping[str, Any]
    difficulty: str
    equations: tuple[str, ...]
    flags: tuple[str, ...]
    n_steps: int
    error: Optional[Mapping[str, str]]
    record: Mapping[str, Any]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Case:
        """The case that a record of the files describes."""
        names = ("id", "family", "operation", "title", "model", "convention", "difficulty")
        return cls(
            **{name: record[name] for name in names},
            equations=tuple(record["equations"]),
            flags=tuple(record["flags"]),
            n_steps=record.get("n_steps", 0),
            error=record.get("error"),
            record=record,
        )

    def to_json(self, with_output: bool = False) -> dict[str, Any]:
        """The record of the file; its expected output, error and certificate only where asked for."""
        hidden = () if with_output else ANSWER_KEYS
        return {name: value for name, value in self.record.items() if name not in hidden}

    def inputs(self, dtype: Any = np.float64) -> dict[str, Array]:
        """Every input as an array of this floating type, without rounding."""
        return {name: decode_input(array, dtype) for name, array in self.record["input"].items()}

    def expected(self, dtype: Any = np.float64) -> dict[str, Array]:
        """Every certified output, rounded to this floating type."""
        return {name: decode_output(block, dtype) for name, block in self.record.get("output", {}).items()}

    def scale(self) -> dict[str, Array]:
        """For every output the size that an error is to be measured against, float64."""
        blocks = self.record.get("output", {}).items()
        return {name: np.array(block["scale"], np.float64).reshape(block["shape"]) for name, block in blocks}

    def layers(self, dtype: Any = np.float64) -> list[tuple[Array, Array]]:
        """The network of the case as [(W1, b1), (W2, b2), …]; [] where it has none."""
        arrays, count = self.inputs(dtype), len(self.model.get("sizes", (0,))) - 1
        return [(arrays[f"W{l}"], arrays[f"b{l}"]) for l in range(1, count + 1)]

    def __getitem__(self, name: str) -> Array:
        """The input of this name, float64."""
        return decode_input(self.record["input"][name])


def families() -> tuple[str, ...]:
    """The names of the families, in the order of the manifest."""
    return tuple(entry["family"] for entry in manifest()["files"])


@cache
def load(family: str) -> tuple[Case, ...]:
    """All cases of a family; ValueError for an unknown one."""
    name = as_choice(family, "family", families())
    text = (DIRECTORY / f"{name}.json").read_text("utf-8")
    return tuple(Case.from_json(record) for record in json.loads(text)["cases"])


@cache
def manifest() -> dict[str, Any]:
    """v1/manifest.json: cases, numbers, bytes and SHA-256 of every file, and their totals."""
    return json.loads((DIRECTORY / "manifest.json").read_text("utf-8"))


def decode_input(array: Mapping[str, Any], dtype: Any = np.float64) -> Array:
    """integers · 2^exponent, exact in every type from float32 up; ``special`` entries are nan or ±inf."""
    values = np.ldexp(np.array(array["integers"], dtype), array["exponent"])
    for index, text in array.get("special", ()):
        values[index] = float(text)
    return values.reshape(array["shape"])


def decode_output(block: Mapping[str, Any], dtype: Any = np.float64) -> Array:
    """The certified numbers in this type: float64 from the hexadecimal form, wider ones from the decimal."""
    if np.finfo(dtype).bits <= 64:
        values = np.array([float.fromhex(text) for text in block["hex"]], dtype)
    else:
        values = np.array([np.dtype(dtype).type(text) for text in block["decimal"]], dtype)
    return values.reshape(block["shape"])
