"""``npscore.conformance.check``: functions of this process, what they may return, and one test per case."""

import math
from fractions import Fraction

import numpy as np
import pytest

import npscore as ns
from npscore.conformance import AnswerError, Skip, answer_of, check, parametrize, questions
from npscore.conformance.answers import Errored, Skipped
from npscore.conformance.selection import select

CASES = "dsm-0001,dsm-0004,dsm-0007,dsm-0010,dsm-0013,dsm-0019"  # different n, d and depth, σ one and a row
(CASE,) = select("dsm-0007")
RIGHT = CASE.expected()


def model_of(case):
    name = case.model["activation"]
    name = f"softplus(beta={float(case['beta'])!r})" if name == "softplus" else name
    return ns.MLP(case.layers(), name)


def dsm(case):
    """npscore's own, as somebody would plug it in."""
    n, sigma = len(case["x"]), case["sigma"]
    share = case.get("weights", np.full(n, 1 / n, case["x"].dtype))
    if case.convention["weighting"] == "sigma2":
        share = share * sigma**2
    sigma = sigma if sigma.ndim else float(sigma)
    return {
        "loss": (result := ns.dsm(model_of(case), case["x"], case["noise"], sigma, share)).loss,
        "grad": result.grad,
    }


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_is_right_passes_in_the_type_that_was_asked_for(dtype):
    seen = []

    def watched(case):
        seen.append(case)
        return dsm(case)

    report = check({"dsm": watched}, dtype, cases=CASES)
    assert [case.id for case in seen] == CASES.split(",") and report.exit_code == 0
    assert report.verdict("dsm").status in ("pass", "gold")
    for case in seen:
        arrays = [*case.inputs.values(), *(part for layer in case.layers() for part in layer)]
        assert {array.dtype for array in arrays} == {np.dtype(dtype)} == {case["x"].dtype}


def test_inputs_are_exact_and_the_callers_own():
    (record,) = [case.to_json() for case in select("dsm-0007")]
    (narrow,), (wide,) = (questions("dsm", dtype=dtype, cases="dsm-0007") for dtype in ("float32", "float64"))
    for name, array in record["input"].items():
        exact = [Fraction(k) * Fraction(2) ** array["exponent"] for k in array["integers"]]
        for question in (narrow, wide):
            assert [Fraction(float(value)) for value in question[name].ravel()] == exact
            assert question[name].shape == tuple(array["shape"])
    wide["x"][:] = 0
    assert questions(cases="dsm-0007")[0]["x"].any()
    for question in (narrow, wide):
        assert not {"expected", "output", "scale"} & set(dir(question))


def test_a_missing_half_is_named_and_the_exit_code_says_so():
    report = check(
        {"dsm": lambda case: {name: 2 * np.asarray(value) for name, value in dsm(case).items()}}, cases=CASES
    )
    assert report.exit_code == 1 and report.verdict("dsm").status == "convention"
    declared = check(
        {"dsm": lambda case: {name: 2 * np.asarray(value) for name, value in dsm(case).items()}},
        cases=CASES,
        declared={"dsm": "twice"},
    )
    assert declared.exit_code == 0


def test_a_part_of_the_answer_is_enough():
    report = check({"dsm": lambda case: {"loss": dsm(case)["loss"], "grad": None}}, cases=CASES)
    assert report.exit_code == 0 and all(set(grade.digits) == {"loss"} for grade in report.cases)
    report = check({"dsm": lambda case: dsm(case)["loss"]}, cases=CASES)  # a bare number is the loss
    assert report.exit_code == 0 and all(set(grade.digits) == {"loss"} for grade in report.cases)


def test_skips_errors_and_bad_answers_are_told_apart():
    def moody(case):
        number = CASES.split(",").index(case.id)
        if number == 0:
            raise Skip("not today")
        if number == 1:
            raise NotImplementedError("no such σ")
        if number == 2:
            return None
        if number == 3:
            raise ZeroDivisionError("σ was 0")
        return dsm(case) if number == 4 else {"los": 1.0}

    report = check({"dsm": moody}, cases=CASES)
    grades = [(grade.status, grade.reason) for grade in report.cases]
    assert grades[:3] == [
        ("skipped", "not today"),
        ("skipped", "no such σ"),
        ("skipped", "the function returned None"),
    ]
    assert grades[3] == ("errored", "ZeroDivisionError: σ was 0") and grades[4] == ("graded", "")
    assert grades[5][0] == "errored" and "'los' is no output of dsm" in grades[5][1]
    assert report.exit_code == 1


def test_invalid_input_is_asked_where_it_is_named_and_must_be_refused():
    operations = {case.operation for case in select("invalid")}
    asked = []

    def refuses(case):
        asked.append(case.family)
        raise ValueError("x must be finite")

    assert check(dict.fromkeys(operations, refuses), cases="invalid").exit_code == 0
    assert set(asked) == {"invalid"} and len(asked) == len(select("invalid"))
    assert check(dict.fromkeys(operations, lambda case: {"loss": 0.0}), cases="invalid").exit_code == 1
    assert not [case for name in ("all", "smoke") for case in select(name) if case.family == "invalid"]


def test_cases_outside_float32_are_not_asked_in_it():
    narrow, wide = ({case.id for case in select("all") if "not-float32" not in case.flags}, select("all"))
    assert {question.id for question in questions(dtype="float32")} == narrow < {case.id for case in wide}


# ---- the forms of an answer --------------------------------------------------------------------------------


def layers(names=("grad.W", "grad.b")):
    depth = sum(name.startswith("grad.W") for name in RIGHT)
    return [tuple(RIGHT[f"{name}{l}"] for name in names) for l in range(1, depth + 1)]


FORMS = {
    "as in the files": lambda: dict(RIGHT),
    "pairs": lambda: {"loss": RIGHT["loss"], "grad": layers()},
    "pairs in a tuple of lists": lambda: {"grad": tuple(list(pair) for pair in layers())},
    "nested lists of pairs": lambda: {"grad": [[part.tolist() for part in pair] for pair in layers()]},
    "arrays": lambda: {"grad": [part for pair in layers() for part in pair]},
    "mapping": lambda: {
        "grad": {name[5:]: value for name, value in RIGHT.items() if name.startswith("grad.")}
    },
    "flat": lambda: {"grad": np.concatenate([part.ravel() for pair in layers() for part in pair])},
    "flat list": lambda: {
        "grad": np.concatenate([part.ravel() for pair in layers() for part in pair]).tolist()
    },
    "nested": lambda: {name: value.tolist() for name, value in RIGHT.items()},
    "every array flat": lambda: {name: value.ravel().tolist() for name, value in RIGHT.items()},
    "decimal text": lambda: {
        name: [repr(v) for v in value.ravel().tolist()] for name, value in RIGHT.items()
    },
    "40 digits": lambda: {
        name: block["decimal"] for name, block in CASE.to_json(with_output=True)["output"].items()
    },
    "hexadecimal": lambda: {name: [v.hex() for v in value.ravel().tolist()] for name, value in RIGHT.items()},
    "C's hexadecimal": lambda: {"loss": (float(RIGHT["loss"]).hex()).upper()},
    "LossGrad": lambda: ns.LossGrad(RIGHT["loss"], FORMS["flat"]()["grad"], RIGHT["per_sample"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_an_answer(form):
    answer = answer_of(CASE, FORMS[form]())
    assert answer
    for name, value in answer.items():
        assert value.dtype == np.float64 and value.shape == RIGHT[name].shape
        np.testing.assert_array_equal(value, RIGHT[name], err_msg=name)


def test_numbers_that_are_none_are_wrong_digits_not_a_wrong_form():
    n = RIGHT["per_sample"].size
    answer = answer_of(
        CASE, {"loss": "nan", "per_sample": ["inf", "-Infinity", "NaN", *[math.nan] * (n - 3)]}
    )
    assert math.isnan(answer["loss"]) and answer["per_sample"][:2].tolist() == [math.inf, -math.inf]
    assert check({"dsm": lambda case: {"loss": math.nan}}, cases=CASES).exit_code == 1


BAD_ANSWERS = {
    "name": ({"los": 1.0}, "'los' is no output of dsm"),
    "input": ({"loss": 1.0, "x": CASE.inputs("float64")["x"]}, "'x' is no output"),
    "shape": ({"loss": [1.0, 2.0]}, r"loss must have shape \(\), got shape \(2,\)"),
    "transposed": ({"grad.W1": RIGHT["grad.W1"].T}, "grad.W1 must have shape"),
    "flat of another size": ({"grad": [1.0, 2.0]}, r"grad must have shape \(\d+,\) in one vector"),
    "a layer too few": ({"grad": layers()[1:]}, "grad must have"),
    "no such layer": ({"grad": {"W9": [1.0]}}, "'grad.W9' is no output"),
    "twice": ({"grad.b1": RIGHT["grad.b1"], "grad": {"b1": RIGHT["grad.b1"]}}, "grad.b1 is given twice"),
    "text": ({"loss": "large"}, "loss must be an array of real numbers"),
    "true": ({"loss": True}, "loss must be an array of real numbers"),
    "true in a list": ({"loss": [True]}, "loss must be an array of real numbers"),
    "hole": ({"per_sample": [None] * RIGHT["per_sample"].size}, "per_sample must be an array"),
    "object": ({"loss": {"value": 1}}, "loss must be an array"),
    "ragged": ({"score": [[1.0], [1.0, 2.0]]}, "score must be an array"),
    "complex": ({"loss": 1j}, "loss must be an array of real numbers"),
    "empty": ({}, "none of the outputs"),
    "nothing given": ({"loss": None}, "none of the outputs"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answers_are_named(name):
    result, words = BAD_ANSWERS[name]
    with pytest.raises(AnswerError, match=words):
        answer_of(CASE, result)


class WithoutNumbers:
    """A tensor that cannot be converted, such as PyTorch's on the device "meta"."""

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no numbers here")


def test_answers_of_objects_that_are_no_numbers_are_errors_of_their_case():
    endless = []
    endless.append(endless)
    losses = [endless, WithoutNumbers(), [[[1.0]] * 3], "\x1b[2J" * 1000]

    def moody(case):
        number = CASES.split(",").index(case.id)
        return {"loss": losses[number]} if number < 4 else dsm(case)

    report = check({"dsm": moody}, cases=CASES)
    assert [case.status for case in report.cases] == ["errored"] * 4 + ["graded"] * 2
    assert all(case.reason.isprintable() and len(case.reason) <= 500 for case in report.cases)


BAD_CALLS = {
    "operation": (lambda: check({"dms": dsm}), ValueError, "operation must be one of .*'dms'"),
    "no functions": (lambda: check({}), ValueError, "functions must name at least one"),
    "a function alone": (lambda: check(dsm), TypeError, "functions must be a mapping"),
    "no function": (lambda: check({"dsm": 3}), TypeError, r"functions\['dsm'\] must be a callable"),
    "dtype": (lambda: check({"dsm": dsm}, "float16"), ValueError, "dtype must be one of float64, float32"),
    "cases": (lambda: check({"dsm": dsm}, cases="some"), ValueError, "cases must be .*'some'"),
    "cases as number": (lambda: check({"dsm": dsm}, cases=3), TypeError, "cases must be a name"),
    "another family": (
        lambda: check({"dsm": dsm}, cases="laws"),
        ValueError,
        "cases must hold some of operation dsm",
    ),
    "declared": (
        lambda: check({"dsm": dsm}, cases=CASES, declared={"dsm": "odd"}),
        ValueError,
        "declared must name",
    ),
    "parametrize": (lambda: parametrize("dms"), ValueError, "operation must be one of"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_are_named(name):
    call, kind, words = BAD_CALLS[name]
    with pytest.raises(kind, match=words):
        call()


# ---- one test per case ----------------------------------------------------------------------------------


@parametrize("dsm", dtype="float32", cases=CASES)
def test_as_somebody_would_write_it(case):
    case.check(dsm(case))


def test_parametrize_names_tests_by_case():
    mark = parametrize("dsm", cases=CASES).mark
    assert mark.args[0] == "case" and mark.kwargs["ids"] == CASES.split(",")


def test_the_assertion_says_which_part_where_and_what_was_certified():
    (question,) = questions(cases="dsm-0007")
    wrong = RIGHT["grad.W1"].copy()
    wrong[2, 1] *= 1 + 1e-6
    with pytest.raises(AssertionError) as raised:
        question.check({"loss": RIGHT["loss"], "grad.W1": wrong})
    text = str(raised.value)
    assert text.startswith("dsm-0007 (") and "float64: 1 of 2 parts are wrong" in text
    ok, bad = (next(line for line in text.splitlines() if name in line) for name in ("loss ", "grad.W1 "))
    assert ok.endswith("correct digits  ok") and "WRONG, 13 wanted at (2, 1)" in bad
    assert f"yours {wrong[2, 1]!s}, certified {RIGHT['grad.W1'][2, 1]!s}" in bad
    assert "eq-8.1" in text and "target -noise/sigma" in text
    with pytest.raises(AnswerError, match="no output of dsm"):
        question.check({"los": 1.0})


def test_invalid_input_that_was_answered_fails_its_test():
    question = questions(cases="invalid")[0]
    with pytest.raises(AssertionError, match=f"{question.id} is invalid input .* was not refused"):
        question.check({"loss": 1.0})


def test_outcomes_are_values():
    assert Skipped("a") == Skipped("a") and Errored("a") != Errored("a", refused=True)
