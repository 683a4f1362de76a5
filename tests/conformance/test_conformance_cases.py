"""The files of certified cases have the format that GUIDE.md describes."""

import hashlib
import itertools
import json
import math
import re
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.conformance_records import DOCUMENT, NETWORK, RECORDS, V1, agree, exact
from support.schema_checker import complaints

from npscore.conformance import cases
from npscore.conformance.cases import decode_input, decode_output, families, load, manifest

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((V1 / "schema.json").read_text("utf-8"))


# ---- the files ---------------------------------------------------------------------------------------


def test_the_manifest_is_of_these_files_and_they_are_as_many_as_promised():
    entries = manifest()["files"]
    assert {f"{e['family']}.json" for e in entries} | {"schema.json", "manifest.json", "mistakes.json"} == {
        path.name for path in V1.glob("*.json")
    }
    for entry in entries:
        raw = (V1 / entry["file"]).read_bytes()
        records = DOCUMENT[entry["family"]]["cases"]
        numbers = sum(len(block["decimal"]) for r in records for block in r.get("output", {}).values())
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (entry["bytes"], entry["sha256"])
        assert (len(records), numbers) == (entry["cases"], entry["numbers"])
    totals = {name: sum(entry[name] for entry in entries) for name in ("cases", "numbers", "bytes")}
    assert totals == {name: manifest()[name] for name in totals}
    assert totals["cases"] >= 500 and totals["numbers"] >= 50_000
    installed = [
        path for path in V1.parent.rglob("*") if path.suffix in (".json", ".md", ".py", ".cpp", ".mjs")
    ]
    assert sum(path.stat().st_size for path in installed) < 12e6


@pytest.mark.parametrize("family", list(DOCUMENT))
def test_every_family_fits_the_schema(family):
    assert not list(itertools.islice(complaints(DOCUMENT[family], SCHEMA, SCHEMA), 5))


def test_the_schema_means_what_a_validator_makes_of_it():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for family in ("edge", "laws", "invalid"):
        jsonschema.Draft202012Validator(SCHEMA).validate(DOCUMENT[family])


SPOILT = {
    "a key too many": lambda r: r.update(seed=0),
    "a key too few": lambda r: r.pop("convention"),
    "an integer of 25 bits": lambda r: r["input"]["x"]["integers"].__setitem__(0, 2**24),
    "a number for text": lambda r: r["output"]["loss"].update(decimal=[1.5]),
    "a negative scale": lambda r: r["output"]["loss"].update(scale=[-1.0]),
    "49 digits": lambda r: r["certified"].update(digits=49),
    "no output": lambda r: r.pop("output"),
    "an unknown operation": lambda r: r.update(operation="fisher"),
    "a model without sizes": lambda r: r["model"].pop("sizes"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_the_schema_refuses(name):
    document = {**DOCUMENT["ism"], "cases": json.loads(json.dumps(DOCUMENT["ism"]["cases"][:1]))}
    assert not list(complaints(document, SCHEMA, SCHEMA))
    SPOILT[name](document["cases"][0])
    assert list(complaints(document, SCHEMA, SCHEMA))


def test_ids_rise_within_their_family_and_titles_tell_cases_apart():
    for family, document in DOCUMENT.items():
        ids = [record["id"] for record in document["cases"]]
        assert ids == [f"{family}-{number:04d}" for number in range(1, len(ids) + 1)]
        assert {record["family"] for record in document["cases"]} == {family} == {document["family"]}


def test_equations_are_in_the_derivations():
    chapters = "".join(chapter.read_text("utf-8") for chapter in (ROOT / "derivations").glob("*.md"))
    known = set(re.findall(r'<a id="(eq-[\d.]+)"></a>', chapters))
    assert {tag for record in RECORDS for tag in record["equations"]} <= known
    assert all(record["equations"] for record in RECORDS if record["family"] != "invalid")


# ---- arrays ------------------------------------------------------------------------------------------


def test_inputs_are_the_same_numbers_in_float32():
    for record in RECORDS:
        for name, array in record["input"].items():
            assert len(array["integers"]) == np.prod(array["shape"], dtype=int), (record["id"], name)
            wide, narrow = decode_input(array), decode_input(array, np.float32)
            assert narrow.dtype == np.float32 and wide.shape == tuple(array["shape"])
            np.testing.assert_array_equal(narrow.astype(np.float64), wide)
            np.testing.assert_array_equal([float(v) for v in exact(array)], wide.ravel())


def test_decimal_hexadecimal_fraction_and_scale_are_of_one_number():
    for record in RECORDS:
        for name, block in record.get("output", {}).items():
            lengths = {len(block[key]) for key in block if key != "shape"}
            assert lengths == {np.prod(block["shape"], dtype=int)}, (record["id"], name)
            for text, form, scale in zip(block["decimal"], block["hex"], block["scale"]):
                gap = abs(
                    Decimal(text) - Decimal(float.fromhex(form))
                )  # at a tie the 40 digits may fall on either side
                assert gap <= Decimal(math.ulp(float(text))) * Decimal("0.5000000000000001")
                assert len(re.sub(r"E.*|[-.]", "", text).lstrip("0")) <= 40
                assert scale >= abs(float(text)) and (scale == 0 or float(f"{scale:.3g}") == scale)
            for text, fraction in zip(block["decimal"], block.get("fraction", ())):
                with localcontext() as context:
                    context.prec = 60
                    ratio = Fraction(fraction)
                    agree(Decimal(ratio.numerator) / ratio.denominator, Decimal(text), text, 39)


def test_longdouble_has_more_digits_than_float64():
    block = DOCUMENT["ism"]["cases"][10]["output"]["grad.W1"]
    wide = decode_output(block, np.longdouble)
    np.testing.assert_array_equal(wide.astype(np.float64), decode_output(block))
    if np.finfo(np.longdouble).bits > 64:
        assert (wide != decode_output(block)).all()


def test_every_block_has_the_shape_that_the_guide_says():
    for case in [case for family in families() for case in load(family) if case.family != "invalid"]:
        arrays, shapes = case.inputs(), {name: value.shape for name, value in case.expected().items()}
        n, d = (
            arrays["x"].shape
            if "x" in arrays
            else arrays["x0"].shape
            if "x0" in arrays
            else (0, case.model.get("d"))
        )
        wanted = {
            "loss": (),
            "per_sample": (n,),
            "score": (n, d),
            "half_square": (n,),
            "divergence": (n,),
            "log_prob": (n,),
        }
        wanted |= {"quadratic": arrays["v"].shape[:2]} if "v" in arrays else {}
        wanted |= {"mean": (d,), "cov": (d, d), "constant": (), "x": (n, d)}
        wanted |= {f"grad.{name}": value.shape for name, value in arrays.items()}
        wanted |= dict.fromkeys(("phi", "dphi", "d2phi", "d3phi"), arrays["z"].shape) if "z" in arrays else {}
        assert shapes == {name: wanted[name] for name in shapes}, case.id
        gradients = {f"grad.{name}" for name in arrays if re.fullmatch(r"[Wb]\d", name)}
        assert case.operation not in NETWORK or gradients == {
            name for name in shapes if name.startswith("grad.")
        }


def test_smoke_holds_every_operation_and_stays_small():
    smoke = [record for record in RECORDS if "smoke" in record["flags"]]
    everything = {record["operation"] for record in RECORDS if record["family"] != "invalid"}
    assert {record["operation"] for record in smoke} == everything and len(smoke) < len(RECORDS) / 4


def test_unknown_families_are_refused_by_name():
    with pytest.raises(ValueError, match=r"family must be one of activations, .*, got 'fisher'"):
        cases.load("fisher")
