"""npscore passes all of its own cases, nearly all of them with digits to spare, and refuses what must be refused."""

import pytest
from support.conformance_npscore import FUNCTIONS

from npscore.conformance import check
from npscore.conformance.selection import select

GOLD = 0.95


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_npscore_passes_all_cases_and_is_gold_on_nearly_all(dtype):
    report = check(FUNCTIONS, dtype)
    assert report.exit_code == 0, report.text()
    graded = [case for case in report.cases if case.status == "graded"]
    assert sum(case.gold for case in graded) >= GOLD * len(graded), report.text()
    left = {case.operation for case in report.cases} - {case.operation for case in graded}
    assert not left and len(graded) >= 0.9 * len(select("all"))


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
