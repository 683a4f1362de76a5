"""How near a prediction is to an answer that failed: the arithmetic of ``diagnosis``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .answers import Answer, Array
from .digits import CAP, PASS, CaseGrade
from .mistakes import Decoded, Mistake, Unweighted, size

BETTER = 2.0  # digits by which an entry must be better than any other
SLACK = 1.0  # digits that an agreement may lie below the threshold for passing


class Failure(NamedTuple):
    """A failing case, its answer and its grade."""

    case: Any
    answer: Answer
    grade: CaseGrade


class Predictions:
    """The predictions of entries for cases, each computed once, when it is first needed."""

    def __init__(self) -> None:
        self._cases: dict[int, Decoded] = {}
        self._unweighted: dict[int, Unweighted] = {}
        self._kept: dict[tuple[str, int, bool], Answer] = {}

    def decoded(self, case: Any) -> Decoded:
        """The case with its arrays decoded once."""
        if isinstance(case, Decoded):
            return case
        if id(case) not in self._cases:
            self._cases[id(case)] = Decoded(case)  # keeps the case alive: no other object gets its id()
        return self._cases[id(case)]

    def __call__(self, mistake: Mistake, case: Any, ignoring: bool = False) -> Answer:
        """The entry's prediction; with ``ignoring``, of an implementation that ignores weights and weighting too."""
        case = self.decoded(case)
        key = mistake.id, id(case.case), ignoring
        if key not in self._kept:
            self._kept[key] = self._ignoring(mistake, case) if ignoring else mistake.answer(case)
        return self._kept[key]

    def _ignoring(self, mistake: Mistake, case: Decoded) -> Answer:
        if not Unweighted.differs(case):
            return {}
        if id(case) not in self._unweighted:
            self._unweighted[id(case)] = Unweighted(case)
        return mistake.answer(self._unweighted[id(case)])


def judged(answer: Answer) -> tuple[str, ...]:
    """The blocks that a diagnosis judges: loss and gradient where there are any, else all."""
    chief = tuple(name for name in answer if name == "loss" or name.startswith("grad."))
    return chief or tuple(answer)


@dataclass(frozen=True)
class Criterion:
    """What a prediction must agree with in one failing case: the judged blocks, and their sizes."""

    failure: Failure
    blocks: tuple[str, ...]
    wrong: frozenset[str]
    sizes: dict[str, float]
    whole: bool  # every wrong block must be predicted: loss and gradient belong together

    @classmethod
    def of(cls, failure: Failure) -> Criterion:
        blocks, scale = judged(failure.answer), failure.case.scale()
        wrong = frozenset(name for name in blocks if name in failure.grade.wrong)
        sizes = {name: float(np.max(scale[name], initial=0.0)) for name in blocks}
        return cls(failure, blocks, wrong, sizes, blocks[0] == "loss" or blocks[0].startswith("grad."))

    @property
    def units(self) -> tuple[str, ...]:
        """What an entry explains or not: each wrong block, or "" for all of them as one."""
        return ("",) if self.whole else tuple(sorted(self.wrong))

    def agreement(self, predicted: Answer, dtype: str, factor: float = 1.0) -> float:
        """Digits above the threshold to which the answer is ``factor`` times a prediction, in the worst block.

        The error of a block is its largest, relative to the block's size. −inf where a wrong block is not predicted.
        A block that is far off ends the comparison.
        """
        blocks = [name for name in self.blocks if name in predicted]
        if self.wrong.isdisjoint(blocks) or (self.whole and not self.wrong.issubset(blocks)):
            return -np.inf
        worst = np.inf
        for name in blocks:
            yours, size = self.failure.answer[name], abs(factor) * self.sizes[name]
            gap = _norm_digits(yours, factor * predicted[name], size, dtype)
            worst = min(worst, gap - PASS[dtype].of(name))
            if worst < -SLACK - BETTER:
                break
        return worst


def _norm_digits(yours: Array, predicted: Array, size: float, dtype: str) -> float:
    lost = ~np.isfinite(predicted)
    if lost.any():  # a chain that diverged in both
        yours, predicted = (np.where(lost & ~np.isfinite(part), 0.0, part) for part in (yours, predicted))
    error = float(np.abs(yours - predicted).max()) if yours.size else 0.0
    if error == 0:
        return CAP[dtype]
    size = max(size, float(np.abs(predicted).max()))
    return min(CAP[dtype], -math.log10(error / size)) if math.isfinite(error) and size > 0 else -math.inf


def size_of(case: Any) -> tuple[int, int]:
    """(n, d); n is 1 where there are no rows."""
    n, d = size(case)
    return n or 1, d


@np.errstate(all="ignore")
def best_scale(yours: Answer, certified: Answer) -> tuple[float, float]:
    """(c, residual): yours ≈ c · certified by least squares over the judged blocks, each in units of its own size."""
    blocks = [name for name in judged(yours) if name in certified and np.isfinite(yours[name]).all()]
    sizes = {name: np.linalg.norm(certified[name]) for name in blocks}
    pairs = [(yours[b].ravel() / sizes[b], certified[b].ravel() / sizes[b]) for b in blocks if sizes[b] > 0]
    if not pairs:
        return float("nan"), float("nan")
    a, b = np.concatenate([p for p, _ in pairs]), np.concatenate([q for _, q in pairs])
    c = float(a @ b / (b @ b))
    if a.size == 1:
        return c, float("nan")  # one number is a multiple of any other
    return c, float(np.linalg.norm(a - c * b) / max(np.linalg.norm(a), np.finfo(float).tiny))
