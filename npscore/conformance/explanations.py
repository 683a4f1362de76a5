"""The explanation of a verdict, line by line: the mistake and its fix, or a description of an unknown one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from .diagnosis import Finding, Unknown
from .mistakes import RIGHT


def finding_lines(finding: Finding, operation: str) -> Iterator[str]:
    """The lines on a finding: what is wrong, what is right, its effect and its fix."""
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


#: The equation of each loss. An entry that concerns several losses names one of them.
LOSSES = {"esm": "eq-2.1", "ism": "eq-2.2", "ssm": "eq-7.1", "ssm_vr": "eq-7.2", "dsm": "eq-8.1"}


def right_tag(equation: str, operation: str) -> str:
    """The equation to show: the loss's own where the entry names a loss."""
    return LOSSES.get(operation, equation) if equation in LOSSES.values() else equation


def unknown_lines(unknown: Unknown) -> Iterator[str]:
    """The lines on failures that no entry explains: which, and how the numbers differ."""
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


def _few(ids: Iterable[str], most: int = 3) -> str:
    ids = list(ids)
    return ", ".join(ids[:most]) + (", …" if len(ids) > most else "")
