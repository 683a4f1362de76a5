"""Correct digits, block by block, and how many are enough.

An entry has −log₁₀(|yours − certified|/scale) correct digits. The scale is published with it: the size of the terms of
its sums, added in the square, so that rounding errors which cancellation enlarges cost no digits. A block has as many
as its worst entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np

from .._run.borders import as_choice
from .answers import Answer, Array, Errored, Skipped

#: The most digits that count: those that the type holds.
CAP = {"float64": 16.0, "float32": 7.2}


@dataclass(frozen=True)
class Thresholds:
    """How many digits values (loss, score, x, …) and gradients must have."""

    value: float
    gradient: float

    def of(self, block: str) -> float:
        return self.gradient if block.startswith("grad.") else self.value


PASS = {"float64": Thresholds(12.0, 13.0), "float32": Thresholds(4.5, 5.0)}
GOLD = {"float64": Thresholds(14.0, 14.0), "float32": Thresholds(5.8, 5.8)}


@dataclass(frozen=True)
class CaseGrade:
    """The grade of one case: ``status`` "graded", "skipped" or "errored", and digits per block where graded.

    ``wrong`` names the blocks below the threshold; a case of family ``invalid`` has no blocks and passes by being
    refused.
    """

    id: str
    family: str
    operation: str
    status: str
    reason: str = ""
    digits: dict[str, float] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    passed: bool = False
    gold: bool = False

    @property
    def worst(self) -> float:
        """Digits of the worst block; NaN where there is none."""
        return min(self.digits.values(), default=float("nan"))


def as_dtype(dtype: Any) -> str:
    """ "float64" or "float32", from the name, a NumPy dtype, or a framework's (``torch.float32``)."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", str(dtype))
    return as_choice(name.rpartition(".")[2], "dtype", tuple(CAP))


def correct_digits(yours: Any, certified: Any, scale: Any, dtype: str) -> Array:
    """Correct digits of every entry, 0 to ``CAP[dtype]``: none for NaN. A certified 0 of scale 0 must be exactly 0."""
    yours, certified, scale = (np.asarray(value, np.float64) for value in (yours, certified, scale))
    with np.errstate(all="ignore"):
        error = np.abs(yours - certified)
        digits = -np.log10(error / scale)
    digits = np.where(
        np.isnan(error) | np.isnan(digits), 0.0, digits
    )  # where 0/0 or inf − inf is an exact match, the next line says so
    digits = np.where(yours == certified, np.inf, digits)
    return np.clip(digits, 0.0, CAP[dtype])


def block_digits(yours: Any, certified: Any, scale: Any, dtype: str) -> float:
    """Correct digits of the worst entry; an empty block has all."""
    return float(correct_digits(yours, certified, scale, dtype).min(initial=CAP[dtype]))


def grade_case(case: Any, answer: Union[Answer, Skipped, Errored], dtype: Any = "float64") -> CaseGrade:
    """The grade of one case: the digits of each block that was answered.

    A block that the case does not know makes the case errored. In family ``invalid`` the right answer is to
    refuse: ``Errored`` with ``refused`` set.
    """
    dtype = as_dtype(dtype)
    head = (case.id, case.family, case.operation)
    if isinstance(answer, Skipped):
        return CaseGrade(*head, "skipped", answer.reason)
    if case.family == "invalid":
        return _grade_invalid(case, answer, head)
    if isinstance(answer, Errored):
        return CaseGrade(*head, "errored", answer.reason)
    expected, scale = case.expected(), case.scale()
    if problem := _problem(answer, expected):
        return CaseGrade(*head, "errored", problem)
    digits = {
        name: block_digits(answer[name], expected[name], scale[name], dtype)
        for name in expected
        if name in answer
    }
    wrong = tuple(name for name, value in digits.items() if value < PASS[dtype].of(name))
    gold = all(value >= GOLD[dtype].of(name) for name, value in digits.items())
    return CaseGrade(*head, "graded", digits=digits, wrong=wrong, passed=not wrong, gold=gold)


def _grade_invalid(case: Any, answer: Union[Answer, Errored], head: tuple[str, str, str]) -> CaseGrade:
    if not isinstance(answer, Errored):
        what = f"{case.error['argument']} is {KINDS.get(case.error['kind'], case.error['kind'])}"
        return CaseGrade(*head, "graded", f"accepted: {what}", wrong=("error",))
    if answer.refused:
        return CaseGrade(*head, "graded", passed=True, gold=True)
    return CaseGrade(*head, "errored", answer.reason)


#: What is wrong with invalid input, by its kind in the files.
KINDS = {
    "shape": "of a shape that does not fit",
    "not-finite": "not finite",
    "not-positive": "not positive",
    "not-positive-definite": "not positive definite",
    "not-symmetric": "not symmetric",
    "unstable": "too large for a stable chain",
    "not-probabilities": "not probabilities",
    "empty-interval": "an empty interval",
}


def _problem(answer: Answer, expected: Answer) -> str:
    """What is wrong with the names and shapes of an answer, or ""."""
    if not answer:
        return "the answer holds no output"
    for name, value in answer.items():
        if name not in expected:
            return f"{name!r} is no output of this case: {', '.join(expected)}"
        if np.shape(value) != np.shape(expected[name]):
            return f"{name} must have shape {np.shape(expected[name])}, got shape {np.shape(value)}"
    return ""
