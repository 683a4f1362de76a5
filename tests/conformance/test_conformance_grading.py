"""Correct digits, verdicts, declared conventions and the four forms of the report."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from independent.cases import DrawnCase, density_cases, network_cases
from independent.network_mistakes import PLANTED
from independent.scores import answer

from npscore.conformance.answers import Errored, Skipped
from npscore.conformance.digits import CAP, GOLD, PASS, correct_digits
from npscore.conformance.grading import grade, grade_case
from npscore.conformance.report import Report

CASES = network_cases("ism", 0)[:14]
RIGHT = {case.id: answer(case) for case in CASES}


def digits(yours, certified, scale, dtype="float64"):
    return float(correct_digits(yours, certified, scale, dtype))


def test_digits_are_of_the_error_over_the_scale():
    assert digits(1.0 + 1e-7, 1.0, 1.0) == pytest.approx(7, abs=1e-6)
    assert digits(1e-3 + 1e-9, 1e-3, 1.0) == pytest.approx(
        9, abs=1e-6
    )  # a sum that cancels: its terms are of size 1
    assert digits(1e-3 + 1e-9, 1e-3, 1e-3) == pytest.approx(6, abs=1e-6)  # one that does not
    assert digits(-5.0, 5.0, 5.0) == 0 and digits(1e30, 5.0, 5.0) == 0


def test_digits_are_capped_at_what_the_type_holds():
    for dtype, cap in CAP.items():
        assert digits(2.0, 2.0, 2.0, dtype) == cap
        assert digits(2.0 * (1 + 2**-52), 2.0, 2.0, dtype) == pytest.approx(min(cap, 15.65), abs=0.01)


def test_nan_and_infinity_have_no_correct_digits():
    for wrong in (np.nan, np.inf, -np.inf):
        assert digits(wrong, 1.0, 1.0) == 0
    assert digits(-np.inf, -np.inf, np.inf) == CAP["float64"]
    assert digits(np.inf, -np.inf, np.inf) == 0


def test_a_structural_zero_must_be_zero():
    assert digits(0.0, 0.0, 0.0) == digits(-0.0, 0.0, 0.0) == CAP["float64"]
    assert digits(1e-300, 0.0, 0.0) == 0


def test_a_small_entry_is_not_excused_by_large_neighbours():
    block = correct_digits([1.0, 1e-9], [1.0, 1.1e-9], [1.0, 1.1e-9], "float64")
    assert block[0] == 16 and block[1] == pytest.approx(np.log10(11), abs=1e-9)


@pytest.mark.parametrize(("block", "at"), [("loss", 12.0), ("grad.W1", 13.0)])
def test_the_thresholds_divide_pass_from_fail(block, at):
    case = CASES[3]
    scale = case.scale()[block].max()
    for factor, passed in ((0.5, True), (2.0, False)):
        moved = case.expected()[block] + 10.0**-at * factor * scale
        grade_ = grade_case(case, {block: moved})
        assert grade_.passed is passed and grade_.wrong == (() if passed else (block,)) and not grade_.gold


def test_gold_is_above_pass():
    for dtype in PASS:
        assert GOLD[dtype].value > PASS[dtype].value and GOLD[dtype].gradient > PASS[dtype].gradient
    assert grade_case(CASES[0], RIGHT[CASES[0].id]).gold


def test_any_part_of_the_outputs_is_graded_and_unknown_ones_are_errors():
    case = CASES[0]
    part = grade_case(case, {"loss": case.expected()["loss"]})
    assert part.status == "graded" and set(part.digits) == {"loss"} and part.passed
    for bad, said in (
        ({"los": 1.0}, "'los' is no output"),
        ({"loss": np.ones(2)}, "must have shape ()"),
        ({}, "no output"),
    ):
        grade_ = grade_case(case, bad)
        assert grade_.status == "errored" and said in grade_.reason


def test_skipped_and_errored_are_kept_apart():
    report = grade({CASES[0].id: Skipped("no ISM"), CASES[1].id: Errored("ValueError: boom")}, cases=CASES)
    assert [g.status for g in report.cases] == ["skipped", "errored"] and report.exit_code == 1
    assert grade({CASES[0].id: Skipped("no ISM")}, cases=CASES).exit_code == 0
    assert grade({CASES[0].id: Skipped("no ISM")}, cases=CASES).verdicts[0].status == "skipped"


def test_right_numbers_are_gold_and_one_wrong_case_is_not():
    report = grade(RIGHT, cases=CASES)
    assert report.exit_code == 0 and report.verdicts[0].status == "gold"
    one = {**RIGHT, CASES[5].id: {"loss": np.array(99.0)}}
    report = grade(one, cases=CASES)
    assert report.exit_code == 1 and report.verdicts[0].status == "unknown"
    assert report.verdicts[0].unknown.cases == (CASES[5].id,)


def invalid(kind="not-positive", argument="sigma"):
    return DrawnCase(
        "invalid-0001", "dsm", {}, {}, {}, family="invalid", error={"kind": kind, "argument": argument}
    )


def test_invalid_input_must_be_refused():
    case = invalid()
    refused, crashed = Errored("sigma must be > 0", refused=True), Errored("time limit")
    assert grade({case.id: refused}, cases=[case]).verdicts[0].status == "gold"
    assert grade({case.id: crashed}, cases=[case]).verdicts[0].status == "errored"
    report = grade({case.id: {"loss": np.array(1.0)}}, cases=[case])
    assert report.exit_code == 1 and report.verdicts[0].operation == "invalid"
    assert "accepted: sigma is not positive" in report.text()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="dtype must be one of float64, float32, got 'float16'"):
        grade({}, "float16", cases=CASES)
    with pytest.raises(ValueError, match=r"declared must name conventions \(twice.*got 'trace-sign'"):
        grade({}, cases=CASES, declared={"ism": "trace-sign"})
    with pytest.raises(ValueError, match="answers must be of known cases, got id 'nope'"):
        grade({"nope": Skipped("")}, cases=CASES)


# ---- the report ------------------------------------------------------------------------------------------


def wrong_report() -> Report:
    """One operation right, one diagnosed, one unknown, one skipped."""
    cases = [*CASES, *(densities := density_cases("density", 0)), *(sliced := network_cases("ssm", 0)[:12])]
    answers = {case.id: answer(case, plan=PLANTED["trace-sign"]) for case in CASES}
    answers |= {case.id: {"score": case.expected()["score"]} for case in densities}
    answers |= {case.id: {"loss": case.expected()["loss"] ** 3 + 1.0} for case in sliced}
    answers[sliced[-1].id] = Errored("Segmentation fault <|> _x_")
    return grade(answers, cases=cases)


REPORT = wrong_report()


def test_the_text_names_the_mistake_its_equation_and_its_fix():
    text = REPORT.text(width=100)
    assert max(map(len, text.splitlines())) <= 100
    for said in (
        "[trace-sign]",
        "½‖s‖² − tr J",
        "½‖s‖² + tr J",
        "(2.2)",
        "effect:",
        "fix:",
        "Add the trace",
        "family",
        "errored",
    ):
        assert said in text, said
    assert "\x1b[" not in text and "\x1b[31mdiagnosed" in REPORT.text(colour=True)
    assert text.endswith("look at ism, ssm.\n")


def test_every_width_keeps_to_its_lines():
    for width in (60, 80, 140):
        body = REPORT.text(width=width).splitlines()[1:]
        assert max(len(line) for line in body) <= width


def test_the_markdown_has_a_row_per_operation_and_escapes():
    lines = REPORT.markdown().splitlines()
    assert sum(line.startswith(("| ism |", "| ssm |", "| density |")) for line in lines) == 3
    assert any("Segmentation fault &lt;\\|> \\_x\\_" in line for line in lines)


def test_the_json_holds_every_case_and_every_verdict():
    data = json.loads(REPORT.json(), parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))
    assert len(data["cases"]) == len(REPORT.cases) and data["exit_code"] == 1
    verdicts = {verdict["operation"]: verdict for verdict in data["verdicts"]}
    assert verdicts["ism"]["findings"][0]["id"] == "trace-sign"
    assert verdicts["ism"]["findings"][0]["ids"] == ["trace-sign"]
    assert verdicts["density"]["status"] == "gold" and verdicts["ssm"]["unknown"]["wrong"] == {"loss": 11}


def test_the_junit_xml_counts_what_failed():
    suites = {suite.get("name"): suite for suite in ElementTree.fromstring(REPORT.junit())}
    assert suites["ism"].get("failures") == str(len(suites["ism"].findall("testcase/failure"))) == "14"
    assert suites["ssm"].get("errors") == str(len(suites["ssm"].findall("testcase/error"))) == "1"
    assert suites["density"].get("failures") == "0"
    assert "trace-sign" in suites["ism"].find("testcase/failure").get("message")


def test_junit_survives_control_characters():
    report = grade({CASES[0].id: Errored("bell \x07 and \x00 nul")}, cases=CASES)
    assert r"bell \x07 and \x00 nul" in ElementTree.fromstring(report.junit())[0][0][0].get("message")


def test_an_empty_report_says_so():
    assert grade({}, cases=CASES).summary() == "No case was graded."
    assert grade({}, cases=CASES).text() and grade({}, cases=CASES).exit_code == 0


def test_wild_answers_are_graded_without_a_warning():
    wild = (np.nan, np.inf, 1e308, 0.0, 5e-324)
    cases = CASES[: len(wild)]
    answers = {c.id: {k: np.full(v.shape, w) for k, v in c.expected().items()} for c, w in zip(cases, wild)}
    report = grade(answers, cases=cases)
    assert report.verdicts[0].status == "unknown" and sum(grade_.passed for grade_ in report.cases) == 0
    for text in (report.text(), report.markdown(), report.junit(), report.json()):
        assert "nan times" not in text
    json.loads(report.json(), parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))
