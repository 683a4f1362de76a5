"""The verdict on an operation, and all verdicts and grades together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Optional

from .diagnosis import Finding, Unknown
from .digits import CaseGrade
from .explanations import finding_lines, unknown_lines

FINE = ("gold", "pass", "skipped")


@dataclass(frozen=True)
class Verdict:
    """The verdict on one operation. ``status``: gold, pass, convention, diagnosed, unknown, skipped or errored.

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
        """Whether nothing needs a fix: passed, skipped, or a convention that was declared."""
        return self.status in FINE or (self.status == "convention" and not self.findings)

    @property
    def title(self) -> str:
        """The status as the report shows it."""
        if self.status == "convention":
            return "convention" if self.findings else f"convention (declared: {self.passed_as})"
        return self.status

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The ids of the mistakes that were named, those first that explain most."""
        return tuple(id for finding in self.findings for id in finding.ids)

    def count(self, status: str) -> int:
        """How many cases were "graded", "skipped", "errored"; or "passed", "gold"."""
        if status in ("passed", "gold"):
            return sum(getattr(grade, status) for grade in self.grades)
        return sum(grade.status == status for grade in self.grades)

    def counts(self) -> str:
        """How many cases passed, as the report shows it."""
        graded, parts = self.count("graded"), []
        if graded:
            parts.append(f"{self.count('passed')}/{graded} pass, {self.count('gold')} gold")
        parts += [f"{self.count(s)} {s}" for s in ("skipped", "errored") if self.count(s)]
        return ", ".join(parts)

    def lines(self) -> Iterator[str]:
        """The explanation, line by line."""
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
class Assessment:
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
        """How many cases pass, and which operations need a fix, in one sentence."""
        bad = [verdict.operation for verdict in self.verdicts if not verdict.fine]
        graded = sum(grade.status == "graded" for grade in self.cases)
        passed = sum(grade.passed for grade in self.cases)
        if not graded:
            return "No case was graded."
        whole = f"{passed} of {graded} cases pass in {self.dtype}"
        return f"{whole}; look at {', '.join(bad)}." if bad else f"{whole}; nothing to do."
