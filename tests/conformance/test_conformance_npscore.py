"""npscore passes all of its own cases, nearly all of them with digits to spare, and refuses what must be refused."""

import re

import numpy as np
import pytest
from support.conformance_npscore import FUNCTIONS, density_of
from support.conformance_records import V1

from npscore.conformance import check
from npscore.conformance.cases import load
from npscore.conformance.selection import select

GOLD = 0.95


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_npscore_passes_all_cases_and_is_gold_on_nearly_all(dtype):
    report = check(FUNCTIONS, dtype)
    assert report.exit_code == 0, report.text()
    graded = [case for case in report.cases if case.status == "graded"]
    assert sum(case.gold for case in graded) >= GOLD * len(graded), report.text()
    left = {case.operation for case in report.cases} - {case.operation for case in graded}
    asked = [case for case in select("all") if dtype == "float64" or "not-float32" not in case.flags]
    assert not left and len(graded) == len(asked)


def test_npscore_refuses_every_invalid_input():
    report = check(FUNCTIONS, cases="invalid")
    assert report.exit_code == 0 and all(case.passed for case in report.cases), report.text()


def test_the_smallest_change_of_one_number_is_seen():
    """A millionth of a millionth in one entry of one gradient: the case fails, and only that case."""

    def slightly_wrong(case):
        result = FUNCTIONS["esm"](case)
        grad = result["grad"].copy()
        if case.id == "esm-0010":
            grad[3] += 1e-11
        return {**result, "grad": grad}

    report = check({"esm": slightly_wrong}, cases="esm")
    assert [case.id for case in report.cases if not case.passed] == ["esm-0010"] and report.exit_code == 1


def test_the_guide_names_the_constants_that_are_not_the_whole_of_ism_minus_esm():
    """E[ŝ·s + div ŝ], by which ISM − ESM differs from the constant, for ŝ = tanh(x + 0.3): eq-2.5, eq-2.7."""
    row = next(
        line for line in (V1 / "GUIDE.md").read_text("utf-8").splitlines() if "`theorem_constant`" in line
    )
    listed = {f"population-{number}" for number in re.findall(r"-(\d{4})", row)}
    products = [
        case
        for case in load("population")
        if case.operation == "theorem_constant" and "factors" in case.model
    ]
    for case in products:
        terms = []
        for factor in density_of(case).factors:
            x, w = factor.quadrature(200)
            s_hat = np.tanh(x + 0.3)
            terms.append(w @ (s_hat * factor.score(x) + 1 - s_hat**2)[:, 0])
        assert (abs(sum(terms)) > 1e-3) == (case.id in listed) and (max(map(abs, terms)) > 1e-10) == (
            case.id in listed
        )
    assert listed <= {case.id for case in products} and len(listed) == 6
