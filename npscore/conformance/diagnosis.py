"""The diagnosis: which known mistake explains the wrong numbers.

Every entry of the catalogue predicts, for each failing case, the answer of an implementation with that mistake. An
entry *explains* a case where its prediction agrees with the answer to the digits wanted. It is named where it explains
at least three cases two digits better than any other; entries that the answers cannot tell apart are named together.
The diagnosis continues with the cases that no named entry explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional

import numpy as np

from .answers import Answer, Array
from .digits import CaseGrade
from .matching import BETTER, SLACK, Criterion, Failure, Predictions, best_scale, judged, size_of
from .mistakes import NETWORK, Mistake, for_operation

CASES = 3  # an entry must explain at least so many

Factor = Callable[[int, int], float]
#: The constants that are recognised, as functions of n and d.
FACTORS: dict[str, Factor] = {
    "2": lambda n, d: 2.0,
    "1/2": lambda n, d: 0.5,
    "-1": lambda n, d: -1.0,
    "-2": lambda n, d: -2.0,
    "-1/2": lambda n, d: -0.5,
    "d": lambda n, d: d,
    "1/d": lambda n, d: 1 / d,
    "2/d": lambda n, d: 2 / d,
    "2d": lambda n, d: 2 * d,
    "n": lambda n, d: n,
    "1/n": lambda n, d: 1 / n,
    "2n": lambda n, d: 2 * n,
    "2/n": lambda n, d: 2 / n,
    "nd": lambda n, d: n * d,
    "1/(nd)": lambda n, d: 1 / (n * d),
    "2/(nd)": lambda n, d: 2 / (n * d),
}


@dataclass(frozen=True)
class Finding:
    """A diagnosis: one entry, or several that agree on all answers; ``factor`` is a constant that multiplies them."""

    mistakes: tuple[Mistake, ...]
    cases: tuple[str, ...]
    digits: float  # the worst agreement over those cases
    factor: str = ""
    ignoring: bool = False  # whether sample weights and σ² weighting are ignored as well

    @property
    def convention(self) -> bool:
        """Whether all its entries are conventions, not mistakes."""
        return not self.ignoring and all(mistake.kind == "convention" for mistake in self.mistakes)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(mistake.id for mistake in self.mistakes)


class Unknown(NamedTuple):
    """A description of failures that no entry explains."""

    cases: tuple[str, ...]
    scale: float  # of least squares: yours ≈ scale · certified
    residual: float  # ‖yours − scale · certified‖/‖yours‖
    wrong: dict[str, int]  # block -> failing cases
    right: tuple[str, ...]  # blocks right in all of those cases
    spread: tuple[float, float]  # smallest and largest best scale of a case
    difficulties: dict[str, int]


def diagnose(
    operation: str, failures: Sequence[Failure], dtype: str, predictions: Optional[Predictions] = None
) -> tuple[tuple[Finding, ...], tuple[Failure, ...]]:
    """(findings, failures that none of them explains).

    First entries alone are tried, then (for losses) entries times a constant, then both with the case's sample weights
    and weighting ignored.

    """
    predictions = predictions or Predictions()
    candidates = for_operation(operation)
    failures = [failure._replace(case=predictions.decoded(failure.case)) for failure in failures]
    findings: list[Finding] = []
    for ignoring, scaled in ((False, False), (False, True), (True, False), (True, True)):
        if (scaled or ignoring) and not (failures and Criterion.of(failures[0]).whole):
            break
        while len(failures) >= CASES and (operation in NETWORK or not ignoring):
            finding = _best(_table(candidates, failures, dtype, predictions, scaled, ignoring), failures)
            if finding is None:
                break
            findings.append(replace(finding, ignoring=ignoring))
            finding = findings[-1]
            failures = [_rest(failure, finding, predictions) for failure in failures]
            failures = [
                failure for failure in failures if set(failure.grade.wrong) & set(judged(failure.answer))
            ]
    return tuple(findings), tuple(failures)


def _rest(failure: Failure, finding: Finding, predictions: Predictions) -> Failure:
    """The failure without the blocks that a finding explains (where they are judged one by one)."""
    if failure.case.id not in finding.cases:
        return failure
    if "loss" in failure.answer or any(name.startswith("grad.") for name in failure.answer):
        return failure._replace(grade=_without(failure.grade, set(failure.grade.wrong)))
    return failure._replace(
        grade=_without(failure.grade, set(predictions(finding.mistakes[0], failure.case)))
    )


def _without(grade: CaseGrade, blocks: set[str]) -> CaseGrade:
    kept = {name: value for name, value in grade.__dict__.items() if name != "wrong"}
    return CaseGrade(**kept, wrong=tuple(name for name in grade.wrong if name not in blocks))


Key = tuple[Mistake, str]
Table = dict[Key, Array]


def _table(
    candidates: Iterable[Mistake],
    failures: Sequence[Failure],
    dtype: str,
    predictions: Predictions,
    scaled: bool,
    ignoring: bool,
) -> Table:
    """The agreement of every entry (and constant) with the wrong blocks: (cases, blocks), −inf where none is predicted.

    Only entries that explain enough cases are in it. Loss and gradient count as one block.
    """
    table: Table = {}
    criteria = [Criterion.of(failure) for failure in failures]
    names = tuple(dict.fromkeys(name for criterion in criteria for name in criterion.units))
    for mistake in candidates:
        predicted = [predictions(mistake, failure.case, ignoring) for failure in failures]
        if not any(predicted):
            continue
        factors = _recognised(failures, predicted) if scaled else {"": None}
        for text, factor in factors.items():
            constants = [factor(*size_of(f.case)) if factor else 1.0 for f in failures]
            row = [
                t.agreement(p, dtype, c) if p else -np.inf for t, p, c in zip(criteria, predicted, constants)
            ]
            if sum(value >= -SLACK for value in row) >= CASES and _varied(mistake, text, failures, row):
                named = [
                    [t.whole or (name in t.units and name in p) for name in names]
                    for t, p in zip(criteria, predicted)
                ]
                table[mistake, text] = np.where(named, np.array(row)[:, None], -np.inf)
    return table


def _varied(mistake: Mistake, factor: str, failures: Sequence[Failure], row: Sequence[float]) -> bool:
    """Whether a constant holds for three different (n, d), as it must where the cases have rows."""
    if mistake.kind != "convention" and not factor:
        return True
    sizes = {size_of(f.case) for f, value in zip(failures, row) if value >= -SLACK}
    return len(sizes) >= CASES or all(n == 1 for n, _ in sizes)


def _recognised(failures: Sequence[Failure], predicted: Sequence[Answer]) -> dict[str, Factor]:
    """The constants c(n, d) ≠ 1 that carry a prediction near at least three answers, by least squares."""
    found: dict[str, int] = dict.fromkeys(FACTORS, 0)
    for failure, answer in zip(failures, predicted):
        ratio = best_scale(failure.answer, answer)[0] if answer else np.nan
        for name, factor in FACTORS.items():
            c = factor(*size_of(failure.case))
            found[name] += bool(abs(ratio - c) < 1e-3 * abs(c))
    return {name: FACTORS[name] for name, count in found.items() if count >= CASES}


def _best(table: Table, failures: Sequence[Failure]) -> Optional[Finding]:
    """The entry that explains most cases, together with those that fit the answers as well."""
    if not table:
        return None
    explained = {key: (row >= -SLACK) for key, row in table.items()}
    best = max(
        table, key=lambda key: (explained[key].sum(), -len(key[1]), np.sort(table[key].max(axis=1))[-CASES])
    )
    ties = [key[0] for key in table if key[1] == best[1] and not _beats(table[best], table[key])]
    hit = explained[best].any(axis=1)
    ids = tuple(f.case.id for f, h in zip(failures, hit) if h)
    worst = float(table[best].max(axis=1)[hit].min())
    return Finding(tuple(dict.fromkeys([best[0], *ties])), ids, worst, best[1])


def _beats(row: Array, other: Array) -> bool:
    """Whether one row is two digits better than another in at least three cases that it explains."""
    better = (row >= -SLACK) & (row >= other + BETTER)
    return int(better.any(axis=1).sum()) >= CASES


def describe_unknown(failures: Sequence[Failure]) -> Unknown:
    """The best scale, the residual and the wrong blocks of failures that no entry explains."""
    pairs = [best_scale(f.answer, f.case.expected()) for f in failures]
    scales = np.array([c for c, _ in pairs if np.isfinite(c)] or [np.nan])
    residuals = np.array([r for _, r in pairs if np.isfinite(r)] or [np.nan])
    wrong: dict[str, int] = {}
    difficulties: dict[str, int] = {}
    for failure in failures:
        for block in failure.grade.wrong:
            wrong[block] = wrong.get(block, 0) + 1
        difficulties[failure.case.difficulty] = difficulties.get(failure.case.difficulty, 0) + 1
    seen = dict.fromkeys(name for f in failures for name in f.grade.digits)
    right = tuple(name for name in seen if name not in wrong)
    ids = tuple(f.case.id for f in failures)
    spread = (float(scales.min()), float(scales.max()))
    return Unknown(
        ids, float(np.median(scales)), float(np.median(residuals)), wrong, right, spread, difficulties
    )
