"""A report as text, Markdown, JSON and JUnit XML."""

from __future__ import annotations

import json
import math
import textwrap
from statistics import median
from typing import Any
from xml.etree import ElementTree

from .digits import GOLD, PASS, CaseGrade
from .verdict import Assessment, Verdict

COLOURS = {
    "gold": "32",
    "pass": "32",
    "skipped": "90",
    "convention": "33",
    "diagnosed": "31",
    "unknown": "31",
    "errored": "31",
}


def text(report: Assessment, width: int, colour: bool) -> str:
    """The report for a terminal: thresholds, a line per operation with its explanation, a table of families."""
    wanted, gold = PASS[report.dtype], GOLD[report.dtype]
    head = (
        f"npscore conformance, {report.dtype}: pass from {wanted.value:g} correct digits of a value and "
        f"{wanted.gradient:g} of a gradient, gold from {gold.value:g} and {gold.gradient:g}."
    )
    name = max([9, *(len(verdict.operation) for verdict in report.verdicts)])
    out = [*textwrap.wrap(head, width), ""]
    for verdict in report.verdicts:
        out += _verdict_text(verdict, name, width, colour)
    out += [""] * bool(out[-1]) + [f"{'family':<{name}}  cases  worst  median"]
    out += [
        f"{family:<{name}}  {count:5d}  {worst:5.1f}  {middle:6.1f}"
        for family, (count, worst, middle) in report.families().items()
    ]
    return "\n".join([*out, "", *textwrap.wrap(report.summary(), width)]) + "\n"


def markdown(report: Assessment) -> str:
    """The report for a pull request or a page: two tables, and a list per operation that needs one."""
    out = [f"# npscore conformance, {report.dtype}", "", report.summary(), ""]
    out += ["| operation | verdict | cases | worst digits | median digits |", "|---|---|---|---|---|"]
    for verdict in report.verdicts:
        worst, middle = digits_of(verdict)
        out.append(f"| {verdict.operation} | {verdict.title} | {verdict.counts()} | {worst} | {middle} |")
    for verdict in report.verdicts:
        if lines := list(verdict.lines()):
            out += [
                "",
                f"## {verdict.operation}: {verdict.title}",
                "",
                *(f"- {_escaped(line)}" for line in lines),
            ]
    out += ["", "| family | cases | worst digits | median digits |", "|---|---|---|---|"]
    out += [
        f"| {f} | {n} | {worst:.1f} | {middle:.1f} |" for f, (n, worst, middle) in report.families().items()
    ]
    return "\n".join(out) + "\n"


def as_json(report: Assessment) -> str:
    """The report for programs, with one case a line."""
    cases = ",\n".join(json.dumps(_case_record(grade), ensure_ascii=False) for grade in report.cases)
    head = {
        "format": "npscore-conformance-report",
        "version": 1,
        "dtype": report.dtype,
        "exit_code": report.exit_code,
        "summary": report.summary(),
        "families": {f: dict(zip(("cases", "worst", "median"), v)) for f, v in report.families().items()},
        "verdicts": [_verdict_record(verdict) for verdict in report.verdicts],
    }
    return json.dumps(head, ensure_ascii=False, indent=1)[:-2] + f',\n "cases": [\n{cases}\n]\n}}\n'


def junit(report: Assessment) -> str:
    """The report for CI: a test suite per operation, a test per case."""
    root = ElementTree.Element("testsuites", name=f"npscore conformance {report.dtype}")
    for verdict in report.verdicts:
        bad = [] if verdict.fine else [g for g in verdict.grades if g.status == "graded" and not g.passed]
        counts = {"tests": len(verdict.grades), "failures": len(bad), "errors": verdict.count("errored")}
        attributes = {
            key: str(value) for key, value in {**counts, "skipped": verdict.count("skipped")}.items()
        }
        suite = ElementTree.SubElement(root, "testsuite", name=verdict.operation, **attributes)
        for grade in verdict.grades:
            _junit_case(suite, verdict, grade, grade in bad)
        if lines := list(verdict.lines()):
            ElementTree.SubElement(suite, "system-out").text = _printable("\n".join(lines))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def digits_of(verdict: Verdict) -> tuple[str, str]:
    """The worst and the median digits of an operation's cases, as text; empty where no case has digits."""
    values = [grade.worst for grade in verdict.grades if grade.digits]
    return (f"{min(values):.1f}", f"{median(values):.1f}") if values else ("", "")


def _verdict_text(verdict: Verdict, name: int, width: int, colour: bool) -> list[str]:
    """The line of one operation, its name padded to ``name`` characters, and the explanation below it."""
    title = f"{verdict.title:<10}"
    title = f"\x1b[{COLOURS[verdict.status]}m{title}\x1b[0m" if colour else title
    out = [f"{verdict.operation:<{name}}  {title}  {verdict.counts()}".rstrip()]
    for line in verdict.lines():
        out += textwrap.wrap(line, width, initial_indent="    ", subsequent_indent="        ")
    return out + [""] * (not verdict.fine)


def _escaped(line: str) -> str:
    return line.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


def _printable(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return "".join(c for c in text if c in "\n\t" or (c.isprintable() and ord(c) < 0xFFFE) or ord(c) == 0x20)


def _case_record(grade: CaseGrade) -> dict[str, Any]:
    record = {
        "id": grade.id,
        "operation": grade.operation,
        "status": grade.status,
        "passed": grade.passed,
        "gold": grade.gold,
    }
    digits = {name: round(value, 2) for name, value in grade.digits.items()}
    return {**record, "digits": digits, "wrong": list(grade.wrong), "reason": grade.reason}


def _verdict_record(verdict: Verdict) -> dict[str, Any]:
    unknown = verdict.unknown
    return {
        "operation": verdict.operation,
        "status": verdict.status,
        "fine": verdict.fine,
        "declared": verdict.passed_as,
        "cases": {s: verdict.count(s) for s in ("graded", "passed", "gold", "skipped", "errored")},
        "findings": [
            {"ids": list(f.ids), "factor": f.factor, "cases": list(f.cases), **f.mistakes[0].record()}
            for f in verdict.findings
        ],
        "unknown": None if unknown is None else _finite({**unknown._asdict(), "cases": list(unknown.cases)}),
        "text": list(verdict.lines()),
    }


def _finite(value: Any) -> Any:
    """The value with null in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _junit_case(suite: ElementTree.Element, verdict: Verdict, grade: CaseGrade, failed: bool) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=f"npscore.{verdict.operation}", name=grade.id)
    if grade.status == "skipped":
        ElementTree.SubElement(case, "skipped", message=_printable(grade.reason))
    elif grade.status == "errored":
        ElementTree.SubElement(case, "error", message=_printable(grade.reason))
    elif failed:
        wrong = ", ".join(
            f"{name} {grade.digits[name]:.1f} digits" for name in grade.wrong if name in grade.digits
        )
        names = ", ".join(verdict.mistakes) or verdict.status
        ElementTree.SubElement(case, "failure", message=_printable(f"{names}: {wrong or grade.reason}"))
