"""The report: a verdict per operation, digits per family, and what to do; as text, Markdown, JSON and JUnit XML."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Optional
from xml.etree import ElementTree

from .diagnosis import Finding, Unknown
from .digits import GOLD, PASS, CaseGrade
from .mistakes import RIGHT

FINE = ("gold", "pass", "skipped")
COLOURS = {
    "gold": "32",
    "pass": "32",
    "skipped": "90",
    "convention": "33",
    "diagnosed": "31",
    "unknown": "31",
    "errored": "31",
}


@dataclass(frozen=True)
class Verdict:
    """On one operation. ``status``: gold, pass, convention, diagnosed, unknown, skipped or errored.

    ``passed_as`` is the declared convention under which its cases pass; ``reasons`` says what invalid inputs were accepted.
    """

    operation: str
    status: str
    grades: tuple[CaseGrade, ...]
    findings: tuple[Finding, ...] = ()
    unknown: Optional[Unknown] = None
    passed_as: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether nothing is to be done: passed, skipped, or a convention that was declared."""
        return self.status in FINE or (self.status == "convention" and not self.findings)

    @property
    def title(self) -> str:
        """The status in words."""
        if self.status == "convention":
            return "convention" if self.findings else f"convention (declared: {self.passed_as})"
        return self.status

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The ids named, in the order of how much they explain."""
        return tuple(id for finding in self.findings for id in finding.ids)

    def count(self, status: str) -> int:
        """How many cases were "graded", "skipped", "errored"; or "passed", "gold"."""
        if status in ("passed", "gold"):
            return sum(getattr(grade, status) for grade in self.grades)
        return sum(grade.status == status for grade in self.grades)

    def lines(self) -> Iterator[str]:
        """What there is to say, a sentence or field a line."""
        for finding in self.findings:
            yield from finding_lines(finding, self.operation)
        if self.unknown:
            yield from unknown_lines(self.unknown)
        yield from sorted(set(self.reasons))
        errors = [grade for grade in self.grades if grade.status == "errored"]
        for grade in errors[:3]:
            yield f"{grade.id} errored: {grade.reason}"
        if len(errors) > 3:
            yield f"and {len(errors) - 3} more errored"


@dataclass(frozen=True)
class Report:
    """The grades of all cases and the verdicts on their operations."""

    dtype: str
    verdicts: tuple[Verdict, ...]
    cases: tuple[CaseGrade, ...]

    @property
    def exit_code(self) -> int:
        """0 where every operation is fine, else 1."""
        return int(not all(verdict.fine for verdict in self.verdicts))

    def verdict(self, operation: str) -> Verdict:
        """The verdict on an operation; KeyError where there is none."""
        return {verdict.operation: verdict for verdict in self.verdicts}[operation]

    def families(self) -> dict[str, tuple[int, float, float]]:
        """family -> (cases graded, worst digits, median digits); a case counts with its worst block."""
        parts: dict[str, list[float]] = {}
        for grade in self.cases:
            if grade.status == "graded" and grade.digits:
                parts.setdefault(grade.family, []).append(grade.worst)
        return {family: (len(values), min(values), median(values)) for family, values in parts.items()}

    def summary(self) -> str:
        """One sentence."""
        bad = [verdict.operation for verdict in self.verdicts if not verdict.fine]
        graded = sum(grade.status == "graded" for grade in self.cases)
        passed = sum(grade.passed for grade in self.cases)
        if not graded:
            return "No case was graded."
        whole = f"{passed} of {graded} cases pass in {self.dtype}"
        return f"{whole}; look at {', '.join(bad)}." if bad else f"{whole}; nothing to do."

    def text(self, width: int = 100, colour: bool = False) -> str:
        """For a terminal."""
        wanted, gold = PASS[self.dtype], GOLD[self.dtype]
        head = (
            f"npscore conformance, {self.dtype}: pass from {wanted.value:g} correct digits of a value and "
            f"{wanted.gradient:g} of a gradient, gold from {gold.value:g} and {gold.gradient:g}."
        )
        out = [*textwrap.wrap(head, width), ""]
        name = max([9, *(len(verdict.operation) for verdict in self.verdicts)])
        for verdict in self.verdicts:
            out.append(f"{verdict.operation:<{name}}  {_paint(verdict, colour)}  {_counts(verdict)}".rstrip())
            for line in verdict.lines():
                out += textwrap.wrap(line, width, initial_indent="    ", subsequent_indent="        ")
            out += [""] * (not verdict.fine)
        out += [""] * bool(out[-1]) + [
            f"{'family':<{name}}  cases  worst  median",
            *self._family_lines(name),
            "",
        ]
        return "\n".join([*out, *textwrap.wrap(self.summary(), width)]) + "\n"

    def _family_lines(self, name: int) -> list[str]:
        return [
            f"{family:<{name}}  {count:5d}  {worst:5.1f}  {middle:6.1f}"
            for family, (count, worst, middle) in self.families().items()
        ]

    def markdown(self) -> str:
        """For a pull request or a page."""
        out = [f"# npscore conformance, {self.dtype}", "", self.summary(), ""]
        out += ["| operation | verdict | cases | worst digits | median digits |", "|---|---|---|---|---|"]
        for verdict in self.verdicts:
            worst, middle = digits_of(verdict)
            out.append(f"| {verdict.operation} | {verdict.title} | {_counts(verdict)} | {worst} | {middle} |")
        for verdict in self.verdicts:
            if lines := list(verdict.lines()):
                out += [
                    "",
                    f"## {verdict.operation}: {verdict.title}",
                    "",
                    *(f"- {_escaped(line)}" for line in lines),
                ]
        out += ["", "| family | cases | worst digits | median digits |", "|---|---|---|---|"]
        out += [
            f"| {f} | {n} | {worst:.1f} | {middle:.1f} |" for f, (n, worst, middle) in self.families().items()
        ]
        return "\n".join(out) + "\n"

    def json(self) -> str:
        """For programs: all of it, one case a line."""
        cases = ",\n".join(json.dumps(_case_record(grade), ensure_ascii=False) for grade in self.cases)
        head = {
            "format": "npscore-conformance-report",
            "version": 1,
            "dtype": self.dtype,
            "exit_code": self.exit_code,
            "summary": self.summary(),
            "families": {f: dict(zip(("cases", "worst", "median"), v)) for f, v in self.families().items()},
            "verdicts": [_verdict_record(verdict) for verdict in self.verdicts],
        }
        return json.dumps(head, ensure_ascii=False, indent=1)[:-2] + f',\n "cases": [\n{cases}\n]\n}}\n'

    def junit(self) -> str:
        """For CI: a test suite per operation, a test per case."""
        root = ElementTree.Element("testsuites", name=f"npscore conformance {self.dtype}")
        for verdict in self.verdicts:
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


def finding_lines(finding: Finding, operation: str) -> Iterator[str]:
    """What was named, why, and what to do."""
    first, tag = finding.mistakes[0], right_tag(finding.mistakes[0].equation, operation)
    cases = f"{len(finding.cases)} cases"
    times = f", times {finding.factor} in loss and gradient" if finding.factor else ""
    kind = "convention" if first.kind == "convention" else "mistake"
    yield f"{kind}: {first.title}{times} [{first.id}], explains {cases}"
    yield f"yours:  {first.wrong}" + (f", times {finding.factor}" if finding.factor else "")
    yield f"right:  {RIGHT[tag]}  ({tag[3:]})"
    yield f"effect: {first.effect}"
    yield f"fix:    {first.fix}"
    if first.seen:
        yield f"seen:   {'; '.join(first.seen)}"
    for other in finding.mistakes[1:]:
        yield f"or, not to be told apart by these answers: {other.title} [{other.id}], {other.wrong}"


#: the equation of each loss; entries that concern several name one of them
LOSSES = {"esm": "eq-2.1", "ism": "eq-2.2", "ssm": "eq-7.1", "ssm_vr": "eq-7.2", "dsm": "eq-8.1"}


def right_tag(equation: str, operation: str) -> str:
    """The equation to show: the loss's own where the entry names a loss."""
    return LOSSES.get(operation, equation) if equation in LOSSES.values() else equation


def unknown_lines(unknown: Unknown) -> Iterator[str]:
    """What can be said without a name."""
    yield f"{len(unknown.cases)} cases that nothing in the catalogue explains ({_few(unknown.cases)})"
    low, high = unknown.spread
    if unknown.residual < 1e-3 and math.isclose(low, high, rel_tol=1e-2):
        yield f"all are {unknown.scale:.6g} times the certified numbers: no constant that is known here"
    elif unknown.residual < 1e-3:
        yield f"each is a multiple of the certified numbers, from {low:.4g} to {high:.4g}: a factor of the case"
    elif math.isfinite(unknown.scale) and math.isnan(unknown.residual):
        yield f"ratios to the certified numbers from {low:.4g} to {high:.4g}"
    elif math.isfinite(unknown.scale):
        yield f"best scale {unknown.scale:.4g}, after which {100 * unknown.residual:.2g} % remain"
    yield "wrong: " + ", ".join(f"{block} ({count})" for block, count in unknown.wrong.items())
    if unknown.right:
        yield "right: " + ", ".join(unknown.right)
    if len(unknown.difficulties) == 1 and (only := next(iter(unknown.difficulties))) in (
        "tail",
        "cancelling",
    ):
        yield f"all of difficulty {only}: " + (
            "saturated units; forms such as 1 − tanh² cancel there, thresholds cut off"
            if only == "tail"
            else "digits are lost in a sum"
        )


def digits_of(verdict: Verdict) -> tuple[str, str]:
    """Worst and median digits of an operation's cases, as text."""
    values = [grade.worst for grade in verdict.grades if grade.digits]
    return (f"{min(values):.1f}", f"{median(values):.1f}") if values else ("", "")


def _counts(verdict: Verdict) -> str:
    graded, parts = verdict.count("graded"), []
    if graded:
        parts.append(f"{verdict.count('passed')}/{graded} pass, {verdict.count('gold')} gold")
    parts += [f"{verdict.count(s)} {s}" for s in ("skipped", "errored") if verdict.count(s)]
    return ", ".join(parts)


def _paint(verdict: Verdict, colour: bool) -> str:
    padded = f"{verdict.title:<10}"
    return f"\x1b[{COLOURS[verdict.status]}m{padded}\x1b[0m" if colour else padded


def _few(ids: Iterable[str], most: int = 3) -> str:
    ids = list(ids)
    return ", ".join(ids[:most]) + (", …" if len(ids) > most else "")


def _escaped(line: str) -> str:
    return line.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


def _printable(text: str) -> str:
    """Without the control characters that XML has no way to write."""
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
    """JSON has no NaN: null instead."""
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
