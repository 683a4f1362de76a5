"""The files of certified cases as JSON, and exact arithmetic on their numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

V1 = Path(__file__).resolve().parents[2] / "npscore" / "conformance" / "v1"
NETWORK = ("esm", "ism", "ssm", "ssm_vr", "dsm")
MANIFEST = json.loads((V1 / "manifest.json").read_text("utf-8"))
DOCUMENT = {e["family"]: json.loads((V1 / e["file"]).read_text("utf-8")) for e in MANIFEST["files"]}
RECORDS = [record for document in DOCUMENT.values() for record in document["cases"]]
ORDINARY = [record for record in RECORDS if record["family"] not in ("edge", "invalid")]


def exact(array):
    """The values of an input, flat, as fractions; NaN and infinities as floats."""
    values = [Fraction(k) * Fraction(2) ** array["exponent"] for k in array["integers"]]
    for index, text in array.get("special", ()):
        values[index] = float(text)
    return values


def decimals(record, name):
    return [Decimal(text) for text in record["output"][name]["decimal"]]


def rows(values, length):
    return [values[i : i + length] for i in range(0, len(values), length)]


def agree(left, right, size, digits=37):
    """Two decimals equal to so many digits of the size."""
    assert abs(left - right) <= abs(Decimal(size)) * Decimal(10) ** -digits, (left, right)
