"""The report: a verdict per operation, digits per family, and what to do; as text, Markdown, JSON and JUnit XML."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Optional

from . import formats as forms
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

    ``passed_as`` is the declared convention under which its cases pass; ``reasons`` says which invalid inputs
    were accepted.
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

    def counts(self) -> str:
        """How many cases passed, in words."""
        graded, parts = self.count("graded"), []
        if graded:
            parts.append(f"{self.count('passed')}/{graded} pass, {self.count('gold')} gold")
        parts += [f"{self.count(s)} {s}" for s in ("skipped", "errored") if self.count(s)]
        return ", ".join(parts)

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
            out.append(f"{verdict.operation:<{name}}  {_paint(verdict, colour)}  {verdict.counts()}".rstrip())
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
        return forms.markdown(self)

    def json(self) -> str:
        """For programs: all of it, one case a line."""
        return forms.as_json(self)

    def junit(self) -> str:
        """For CI, JUnit's XML: a test suite per operation, a test per case."""
        return forms.junit(self)


def finding_lines(finding: Finding, operation: str) -> Iterator[str]:
    """What was named, why, and what to do."""
    first, tag = finding.mistakes[0], right_tag(finding.mistakes[0].equation, operation)
    cases = plural(len(finding.cases))
    times = f", times {finding.factor} in loss and gradient" if finding.factor else ""
    if finding.ignoring:
        times += ", and the case's sample weights and weighting ignored"
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


def plural(count: int) -> str:
    """1 case, 2 cases."""
    return f"{count} case" + "s" * (count != 1)


#: the equation of each loss; entries that concern several name one of them
LOSSES = {"esm": "eq-2.1", "ism": "eq-2.2", "ssm": "eq-7.1", "ssm_vr": "eq-7.2", "dsm": "eq-8.1"}


def right_tag(equation: str, operation: str) -> str:
    """The equation to show: the loss's own where the entry names a loss."""
    return LOSSES.get(operation, equation) if equation in LOSSES.values() else equation


def unknown_lines(unknown: Unknown) -> Iterator[str]:
    """What can be said without a name."""
    yield f"{plural(len(unknown.cases))} that nothing in the catalogue explains ({_few(unknown.cases)})"
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


def _paint(verdict: Verdict, colour: bool) -> str:
    padded = f"{verdict.title:<10}"
    return f"\x1b[{COLOURS[verdict.status]}m{padded}\x1b[0m" if colour else padded


def _few(ids: Iterable[str], most: int = 3) -> str:
    ids = list(ids)
    return ", ".join(ids[:most]) + (", …" if len(ids) > most else "")
