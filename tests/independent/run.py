"""The full test of the diagnosis: every planted mistake is named, and no correct implementation raises an alarm.


    PYTHONPATH=tests python -m independent.run    # 4 seeds, both types, all cores; exits 1 if a bound is missed

tests/conformance/test_conformance_diagnosis.py runs a part of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

from independent import activation_mistakes, density_mistakes, network_mistakes
from independent import cases as draw
from independent import scores as independent_scores
from independent.variants import VARIANTS, variant

from npscore.conformance.grading import grade
from npscore.conformance.matching import Predictions
from npscore.conformance.mistakes import NETWORK, Mistake, for_operation
from npscore.conformance.verdict import Verdict

DTYPES = ("float64", "float32")
SEEDS = range(4)
NAMED = 0.99  # share of planted mistakes named rightly, and alone
MAKERS: dict[str, Callable[[str, int], list[draw.DrawnCase]]] = {
    **dict.fromkeys(NETWORK, draw.network_cases),
    **dict.fromkeys(("density", "smoothed_density"), draw.density_cases),
    **dict.fromkeys(("gradient_ascent", "langevin"), draw.sampler_cases),
    **dict.fromkeys(("langevin_law", "stationary_covariance"), draw.law_cases),
    **dict.fromkeys(
        ("population_esm", "population_ism", "population_dsm", "theorem_constant"), draw.population_cases
    ),
    "activation": draw.activation_cases,
}


class Outcome(NamedTuple):
    """What the diagnosis said of one planted mistake."""

    planted: str
    operation: str
    seed: int
    dtype: str
    detected: bool
    named: bool
    verdict: Verdict


def planted_answer(mistake: str, case: Any, dtype: str) -> dict[str, Any]:
    """The independent implementation's answer with one line wrong."""
    if case.operation in NETWORK:
        return independent_scores.answer(case, dtype, network_mistakes.PLANTED[mistake])
    source = activation_mistakes if case.operation == "activation" else density_mistakes
    return source.PLANTED[mistake](case, dtype)


def right_answer(case: Any, dtype: str) -> dict[str, Any]:
    """The independent implementation's answer outside networks."""
    if case.operation == "activation":
        return activation_mistakes.right(case, dtype)
    return density_mistakes.RIGHT[case.operation](case, dtype)


def verdict_on(cases: Sequence[Any], answers: Any, dtype: str, predictions: Predictions) -> Verdict:
    report = grade({case.id: answers(case) for case in cases}, dtype, cases=cases, predictions=predictions)
    return report.verdicts[0]


def named_rightly(verdict: Verdict, mistake: Mistake) -> bool:
    """Whether the verdict names the planted mistake and no other, explains all cases, and has the right status."""
    status = "convention" if mistake.kind == "convention" else "diagnosed"
    factors = [finding.factor for finding in verdict.findings]
    return (
        verdict.mistakes == (mistake.id,)
        and verdict.unknown is None
        and verdict.status == status
        and factors == [""]
    )


def plant(operation: str, seed: int, dtypes: Callable[[int], Iterable[str]]) -> list[Outcome]:
    """Plant every mistake of an operation; ``dtypes`` gives the types to plant the k-th one in."""
    cases, predictions, outcomes = MAKERS[operation](operation, seed), Predictions(), []
    for k, mistake in enumerate(for_operation(operation)):
        for dtype in dtypes(k):
            verdict = verdict_on(
                cases, lambda c, m=mistake.id, t=dtype: planted_answer(m, c, t), dtype, predictions
            )
            named = named_rightly(verdict, mistake)
            outcomes.append(Outcome(mistake.id, operation, seed, dtype, not verdict.fine, named, verdict))
    return outcomes


def correct(operation: str, seed: int, dtypes: Sequence[str] = DTYPES) -> dict[tuple[str, str], Verdict]:
    """(variant, dtype) -> verdict on a correct implementation."""
    cases, predictions, out = MAKERS[operation](operation, seed), Predictions(), {}
    for dtype in dtypes:
        if operation not in NETWORK:
            out["right", dtype] = verdict_on(cases, lambda c, t=dtype: right_answer(c, t), dtype, predictions)
            continue
        for name in VARIANTS:
            answers = lambda c, name=name, t=dtype: variant(name, c, t, seed)  # noqa: E731
            out[name, dtype] = verdict_on(cases, answers, dtype, predictions)
    return out


class Tally(NamedTuple):
    """One operation at one seed: how many were planted, and what went wrong."""

    operation: str
    planted: int
    undetected: list[str]
    misnamed: list[str]
    correct: int
    alarms: list[str]


def tally(operation: str, seed: int) -> Tally:
    """Every mistake and every correct variant of an operation, in both types."""
    outcomes, quiet = plant(operation, seed, lambda k: DTYPES), correct(operation, seed)
    lost = [f"{o.planted} ({operation}, {o.dtype}, seed {seed})" for o in outcomes if not o.detected]
    misnamed = [
        f"{o.planted} ({operation}, {o.dtype}, seed {seed}): {o.verdict.mistakes}"
        for o in outcomes
        if not o.named
    ]
    alarms = [
        f"{key} ({operation}, seed {seed})" for key, v in quiet.items() if v.status not in ("pass", "gold")
    ]
    return Tally(operation, len(outcomes), lost, misnamed, len(quiet), alarms)


def main() -> int:
    with ProcessPoolExecutor() as pool:
        parts = [pool.submit(tally, operation, seed) for operation in MAKERS for seed in SEEDS]
        tallies = [part.result() for part in parts]
    planted, count = sum(t.planted for t in tallies), sum(t.correct for t in tallies)
    undetected, misnamed, alarms = ([line for t in tallies for line in t[k]] for k in (2, 3, 5))
    for said, lines in (("not detected", undetected), ("not named", misnamed), ("false alarm", alarms)):
        for line in lines:
            print(f"{said}: {line}")
    named = 1 - len(misnamed) / planted
    print(f"{planted} planted: {planted - len(undetected)} detected, {named:.2%} named rightly; "
          f"{count} correct: {len(alarms)} false alarms")  # fmt: skip
    return int(bool(undetected) or named < NAMED or bool(alarms))


if __name__ == "__main__":
    sys.exit(main())
