"""Two routes become published numbers where they agree, and a case becomes text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from .draws import Exact
from .numbers import Sized

REQUIRED = 50
_PUBLISHED = Context(prec=40, Emin=-(10**6), Emax=10**6)
_WORKING = Context(prec=70, Emin=-(10**6), Emax=10**6)
_SCALE = Context(prec=3, rounding=ROUND_CEILING, Emin=-(10**6), Emax=10**6)
FLOAT32 = (Decimal("1.18E-38"), Decimal("3.40E+38"))


class Disagreement(AssertionError):
    """The two routes differ before the fiftieth digit."""


def digits(first: Mapping[str, Sequence[Sized]], second: Mapping[str, Sequence[Decimal]]) -> int:
    """The whole digits that all numbers of both routes share, at most 60; `Disagreement` below 50.

    A 0 of route 1 must be 0 in route 2 to 50 digits of the largest size in its block.
    """
    worst = Decimal(60)
    for name, sized in first.items():
        if len(sized) != len(second[name]):
            raise Disagreement(f"{name}: {len(sized)} numbers and {len(second[name])}")
        largest = max(number.size for number in sized) or Decimal(1)
        for number, other in zip(sized, second[name]):
            value = _decimal(number.value)
            gap = _WORKING.abs(_WORKING.subtract(value, other))
            if gap:
                worst = min(worst, -_WORKING.log10(_WORKING.divide(gap, abs(value) or largest)))
            if worst < REQUIRED:
                raise Disagreement(f"{name}: {value} and {other}, {worst:.1f} digits")
    return int(worst)


def block(numbers: Sequence[Sized], shape: Sequence[int], exact: bool = False) -> dict[str, Any]:
    """An output array as it is written."""
    values = [_decimal(number.value) for number in numbers]
    record = {
        "shape": list(shape),
        "decimal": [_text(value) for value in values],
        "hex": [float(number.value or 0).hex() for number in numbers],
        "scale": [float(_SCALE.plus(max(number.size, abs(v)))) for number, v in zip(numbers, values)],
    }
    if exact:
        record["fraction"] = [f"{number.value.numerator}/{number.value.denominator}" for number in numbers]
    return record


def case(
    *,
    id: str,
    operation: str,
    title: str,
    model: dict[str, Any],
    convention: dict[str, Any],
    difficulty: str,
    equations: Sequence[str],
    flags: Sequence[str],
    inputs: Mapping[str, Exact],
    shapes: Mapping[str, tuple[int, ...]],
    first: Mapping[str, Sequence[Sized]],
    second: Mapping[str, Sequence[Decimal]],
    routes: Sequence[str],
    **more: Any,
) -> dict[str, Any]:
    """The record of a certified case."""
    agreed = digits(first, second)
    exact = difficulty == "exact" and all(len(str(n.value)) < 90 for part in first.values() for n in part)
    sizes = [abs(_decimal(n.value)) for part in first.values() for n in part]
    beyond = any(size and not FLOAT32[0] < size < FLOAT32[1] for size in sizes)
    return {
        "id": id,
        "family": id.rsplit("-", 1)[0],
        "operation": operation,
        "title": title,
        "model": model,
        **more,
        "convention": convention,
        "difficulty": difficulty,
        "equations": list(equations),
        "flags": [*flags, *["not-float32"] * beyond],
        "certified": {"routes": list(routes), "digits": agreed},
        "input": {name: array.record() for name, array in inputs.items()},
        "output": {name: block(first[name], shape, exact) for name, shape in shapes.items()},
    }


def text(record: Mapping[str, Any]) -> str:
    """A case as JSON, a line for its head and one for every array."""
    head = {name: value for name, value in record.items() if name not in ("input", "output")}
    parts = [_json(head)[:-1]]
    for name in ("input", "output"):
        if name in record:
            arrays = ",\n".join(f"  {_json(key)}:{_json(array)}" for key, array in record[name].items())
            parts.append(f"{_json(name)}:{{\n{arrays}}}")
    return ",\n ".join(parts) + "}"


def family_text(family: str, about: str, records: Sequence[Mapping[str, Any]]) -> str:
    """The whole file."""
    if any(not a["id"] < b["id"] for a, b in pairwise(records)):
        raise ValueError("ids must rise")
    head = {"format": "npscore-conformance", "version": 1, "family": family, "about": about}
    return _json(head)[:-1] + ',"cases":[\n' + ",\n".join(text(record) for record in records) + "\n]}\n"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _decimal(value: Any) -> Decimal:
    return _WORKING.divide(value.numerator, value.denominator) if isinstance(value, Fraction) else value


def _text(value: Decimal) -> str:
    """To 40 digits, without a sign or an exponent where it is 0, without padding where it is short."""
    rounded = _PUBLISHED.plus(value)
    return str(_PUBLISHED.normalize(rounded)) if rounded else "0"
