"""From answers to a report: the grade of every case and a verdict per operation.

    report = grade({case.id: answer for …}, dtype="float64")
    print(report.text())

Verdicts, per operation: *gold* and *pass*; *convention*: right but for a recognised constant or weighting, named;
*diagnosed*: wrong, and the catalogue names the mistake; *unknown*: wrong in a way it does not know; *errored*;
*skipped*. A convention passes only where it was declared, and the report says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np

from .answers import Answer, Outcome
from .cases import load
from .diagnosis import Finding, Unknown, describe_unknown, diagnose
from .digits import GOLD, PASS, CaseGrade, as_dtype, block_digits, grade_case
from .matching import Failure, Predictions
from .mistakes import CATALOGUE
from .report import Report
from .verdict import Verdict

Graded = tuple[Any, Outcome, CaseGrade]
Declared = Mapping[str, Union[str, Iterable[str]]]

GOLD_SHARE = 0.95  # of the cases of an operation must be gold for the verdict


def grade(
    answers: Mapping[str, Outcome],
    dtype: Any = "float64",
    declared: Optional[Declared] = None,
    *,
    cases: Optional[Iterable[Any]] = None,
    predictions: Optional[Predictions] = None,
) -> Report:
    """The report on answers by case id.

    ``declared`` maps an operation, or "*", to the ids of conventions that it follows on purpose ("twice", "sum" …):
    those pass, by name. ``cases`` are the cases themselves, where they are not the shipped ones. Raises ValueError
    for an unknown case id, convention or dtype.
    """
    dtype, declared = as_dtype(dtype), _declared(declared or {})
    known = _cases(answers, cases)
    graded = [(known[id], answer, grade_case(known[id], answer, dtype)) for id, answer in answers.items()]
    predictions = predictions or Predictions()
    groups: dict[str, list[Graded]] = {}
    for part in graded:
        groups.setdefault("invalid" if part[0].family == "invalid" else part[0].operation, []).append(part)
    verdicts = tuple(
        grade_operation(operation, group, dtype, declared, predictions) for operation, group in groups.items()
    )
    return Report(dtype, verdicts, tuple(part[2] for part in graded))


def grade_operation(
    operation: str,
    graded: Sequence[Graded],
    dtype: Any = "float64",
    declared: Optional[Declared] = None,
    predictions: Optional[Predictions] = None,
) -> Verdict:
    """The verdict on one operation ("invalid" for the refusals) from its cases, answers and grades."""
    dtype, declared = as_dtype(dtype), _declared(declared or {})
    predictions = predictions or Predictions()
    grades = [grade for _, _, grade in graded]
    failures = [Failure(*part) for part in graded if part[2].status == "graded" and not part[2].passed]
    passed_as = ""
    if operation != "invalid" and failures:
        passed_as, failures = _as_declared(operation, failures, dtype, declared, predictions)
    findings: tuple[Finding, ...] = ()
    left: tuple[Failure, ...] = ()
    if failures and operation != "invalid":
        findings, left = diagnose(operation, failures, dtype, predictions)
    unknown = describe_unknown(left) if left else None
    return Verdict(
        operation,
        _status(operation, grades, failures, findings, unknown, passed_as),
        tuple(grades),
        findings,
        unknown,
        passed_as,
        tuple(f.grade.reason for f in failures) if operation == "invalid" else (),
    )


def _status(
    operation: str,
    grades: Sequence[CaseGrade],
    failures: Sequence[Failure],
    findings: Sequence[Finding],
    unknown: Optional[Unknown],
    passed_as: str,
) -> str:
    if failures and operation == "invalid":
        return "diagnosed"
    if failures:
        if any(not finding.convention or finding.factor for finding in findings):
            return "diagnosed"
        return "unknown" if unknown else "convention"
    if any(grade.status == "errored" for grade in grades):
        return "errored"
    done = [grade for grade in grades if grade.status == "graded"]
    if not done:
        return "skipped"
    if passed_as:
        return "convention"
    return "gold" if sum(grade.gold for grade in done) >= GOLD_SHARE * len(done) else "pass"


def _as_declared(
    operation: str, failures: Sequence[Failure], dtype: str, declared: Declared, predictions: Predictions
) -> tuple[str, list[Failure]]:
    """The declared convention that most failures follow to all the digits wanted, and the failures that do not."""
    best, rest = "", list(failures)
    for name in (*declared.get(operation, ()), *declared.get("*", ())):
        left = [f for f in failures if not _follows(f, predictions(CATALOGUE[name], f.case), dtype)]
        if len(left) < len(rest):
            best, rest = name, left
    return best, rest


def _follows(failure: Failure, predicted: Answer, dtype: str) -> bool:
    """Whether the wrong blocks agree with a convention's prediction to all the digits wanted."""
    case, scale = failure.case, failure.case.scale()
    for block in failure.grade.wrong:
        if block not in predicted:
            return False
        wider = np.maximum(scale[block], scale[block] * _ratio(predicted[block], case.expected()[block]))
        if block_digits(failure.answer[block], predicted[block], wider, dtype) < PASS[dtype].of(block):
            return False
    return True


def _ratio(predicted: Any, certified: Any) -> float:
    size = np.max(np.abs(certified), initial=0.0)
    return float(np.max(np.abs(predicted), initial=0.0) / size) if size > 0 else 1.0


def _declared(declared: Declared) -> dict[str, tuple[str, ...]]:
    """Operation -> ids of conventions, checked."""
    whole = {key: (names,) if isinstance(names, str) else tuple(names) for key, names in declared.items()}
    known = [mistake.id for mistake in CATALOGUE.values() if mistake.kind == "convention"]
    for names in whole.values():
        for name in names:
            if name not in known:
                raise ValueError(f"declared must name conventions ({', '.join(known)}), got {name!r}")
    return whole


def _cases(answers: Mapping[str, Outcome], cases: Optional[Iterable[Any]]) -> dict[str, Any]:
    """The cases that were answered, by id."""
    if cases is None:
        families = dict.fromkeys(id.rpartition("-")[0] for id in answers)
        cases = [case for family in families for case in _family(family)]
    known = {case.id: case for case in cases}
    for id in answers:
        if id not in known:
            raise ValueError(f"answers must be of known cases, got id {id!r}")
    return known


def _family(family: str) -> Sequence[Any]:
    try:
        return load(family)
    except ValueError as error:
        raise ValueError(f"answers must be of known cases, got one of family {family!r}") from error


__all__ = [
    "GOLD",
    "PASS",
    "CaseGrade",
    "Predictions",
    "Report",
    "Verdict",
    "grade",
    "grade_case",
    "grade_operation",
]
