"""Python functions checked against the certified cases: all at once, or as one test per case under pytest.

    report = check({"dsm": my_dsm}, dtype="float32")      # my_dsm(case) -> {"loss": …, "grad": …}
    print(report.text())

A function is given a ``Question``: the inputs, exact in the dtype asked for, and nothing of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional

import numpy as np

from .._run.borders import as_callable
from .._run.progress import Progress
from .answers import AnswerError, Array, Errored, Outcome, Skipped, answer_of
from .cases import Case
from .digits import PASS, CaseGrade, as_dtype, correct_digits, grade_case
from .grading import Report, grade
from .selection import Selection, not_asked, operations, select

Function = Callable[["Question"], Any]


class Skip(Exception):
    """A function under test raises it for a case that it does not do; the message says why."""


class Question:
    """One case without its answer: ``case["x"]`` is an input array in the dtype asked for.

    ``id``, ``family``, ``operation``, ``title``, ``model``, ``convention``, ``flags`` and ``dtype`` say what it is;
    GUIDE.md lists the inputs of each operation. Every array is a copy that may be written to.
    """

    def __init__(self, case: Case, dtype: str):
        self._case, self.dtype = case, dtype
        self.id, self.family, self.operation = case.id, case.family, case.operation
        self.title, self.model, self.convention = case.title, dict(case.model), dict(case.convention)
        self.flags, self.inputs = case.flags, case.inputs(dtype)

    def __getitem__(self, name: str) -> Array:
        return self.inputs[name]

    def __contains__(self, name: object) -> bool:
        return name in self.inputs

    def get(self, name: str, default: Any = None) -> Any:
        """The input of this name, or the default where the case has none: ``case.get("weights")``."""
        return self.inputs.get(name, default)

    def __repr__(self) -> str:
        return f"<{self.id}: {self.operation}, {self.title}>"

    @property
    def n_steps(self) -> int:
        """How many steps a sampler takes (families ``samplers`` and ``laws``)."""
        return self._case.n_steps

    def layers(self) -> list[tuple[Array, Array]]:
        """The network as [(W1, b1), (W2, b2), …], W of shape (fan_out, fan_in)."""
        return self._case.layers(self.dtype)

    def check(self, result: Any) -> None:
        """Assert that ``result``, anything a function under test may return, has enough correct digits.

        Raises AssertionError naming each wrong part with its digits and its worst entry; AnswerError for a
        result of the wrong names or shapes. Input that must be refused has no right result: use ``pytest.raises``.
        """
        if self.family == "invalid":
            raise AssertionError(f"{self.id} is invalid input ({self.title}) and was not refused")
        answer = answer_of(self._case, result)
        grade = grade_case(self._case, answer, self.dtype)
        if not grade.passed:
            raise AssertionError(_complaint(self._case, answer, grade, self.dtype))


def check(
    functions: Mapping[str, Function],
    dtype: Any = "float64",
    *,
    cases: Selection = "all",
    declared: Optional[Mapping[str, Any]] = None,
    progress: Optional[bool] = None,
) -> Report:
    """Call each function with the certified cases of its operation, and grade the answers.

    ``functions`` maps operations ("esm", "ism", "ssm", "ssm_vr", "dsm", "langevin", …) to functions of a ``Question``;
    each returns any part of the case's outputs: {"loss": …, "grad": …}, see ``answer_of`` for the forms. None, ``Skip``
    and NotImplementedError skip a case, any other exception is that case's error. ``dtype`` is "float64" or "float32":
    inputs come in it, and thresholds follow it. ``cases`` selects: "all", "smoke", families, ids; invalid input, which
    must be refused by an exception, is asked only where it is named ("all,invalid").
    ``declared`` maps operations, or "*", to conventions that differ on purpose: {"dsm": "twice"}. Returns a ``Report``.

    Raises ValueError for an unknown operation, dtype or case, TypeError for functions that are not callable.
    """
    dtype = as_dtype(dtype)
    chosen = select(cases)
    functions = _checked(functions)
    asked = [case for case in chosen if case.operation in functions]
    if not asked:
        raise ValueError(f"cases must hold some of operation {', '.join(sorted(functions))}, got {cases!r}")
    answers = {}
    with Progress("check", len(asked), enabled=progress) as line:
        for done, case in enumerate(asked, 1):
            answers[case.id] = not_asked(case, dtype) or _ask(functions[case.operation], case, dtype)
            line.update(done, case.id)
    return grade(answers, dtype, declared or {})


def questions(*names: str, dtype: Any = "float64", cases: Selection = "all") -> list[Question]:
    """The cases of some operations (all where none is named) that can be asked in this dtype."""
    dtype = as_dtype(dtype)
    _known(names)
    chosen = [case for case in select(cases) if not names or case.operation in names]
    return [Question(case, dtype) for case in chosen if not not_asked(case, dtype)]


def parametrize(*names: str, dtype: Any = "float64", cases: Selection = "all") -> Any:
    """A pytest decorator: a test per case of these operations, named by its id, its ``Question`` the argument ``case``.

        @parametrize("dsm", dtype="float32")
        def test_dsm(case):
            case.check(my_dsm(case))

    Raises ValueError for an unknown operation, dtype or case.
    """
    import pytest

    asked = questions(*names, dtype=dtype, cases=cases)
    return pytest.mark.parametrize("case", asked, ids=[question.id for question in asked])


def _ask(function: Function, case: Case, dtype: str) -> Outcome:
    try:
        result = function(Question(case, dtype))
    except (Skip, NotImplementedError) as reason:
        return Skipped(str(reason) or "the function skipped it")
    except Exception as error:  # an exception of any kind is an error of this case only
        return Errored(f"{type(error).__name__}: {error}", refused=True)
    if result is None:
        return Skipped("the function returned None")
    try:
        return answer_of(case, result)
    except AnswerError as error:
        return Errored(str(error))


def _checked(functions: Any) -> dict[str, Function]:
    if not isinstance(functions, Mapping):
        raise TypeError(f'functions must be a mapping like {{"ism": fn}}, got {type(functions).__name__}')
    if not functions:
        raise ValueError("functions must name at least one operation, got none")
    _known(functions)
    return {name: as_callable(fn, f"functions[{name!r}]", "case -> answer") for name, fn in functions.items()}


def _known(names: Iterable[str]) -> None:
    known = sorted(operations())
    for name in names:
        if name not in known:
            raise ValueError(f"operation must be one of {', '.join(known)}, got {name!r}")


def _complaint(case: Case, answer: dict[str, Array], grade: CaseGrade, dtype: str) -> str:
    """The message of a failed assertion: the case, then one line for each block of the answer."""
    about = ", ".join(f"{key} {value}" for key, value in case.convention.items())
    return "\n".join(
        [
            f"{case.id} ({case.title}), {dtype}: {len(grade.wrong)} of {len(grade.digits)} parts are wrong",
            *(_part(case, name, answer[name], grade, dtype) for name in grade.digits),
            f"  {case.operation} here: {about} (derivations.md: {', '.join(case.equations)})",
            "  npscore.conformance.check names the mistake, given several cases",
        ]
    )


def _part(case: Case, name: str, yours: Array, grade: CaseGrade, dtype: str) -> str:
    digits = f"  {name:<12} {grade.digits[name]:5.1f} correct digits"
    if name not in grade.wrong:
        return digits + "  ok"
    certified, scale = case.expected()[name], case.scale()[name]
    at = np.unravel_index(int(np.argmin(correct_digits(yours, certified, scale, dtype))), certified.shape)
    place = f" at {tuple(map(int, at))}" if at else ""
    wanted = f"{PASS[dtype].of(name):g} wanted{place}"
    return f"{digits}  WRONG, {wanted}: yours {yours[at]!s}, certified {certified[at]!s}"
