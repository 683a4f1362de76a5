"""The conformance suite: certified numbers to check other implementations against, and a diagnosis of what is wrong.

    from npscore.conformance import check

    report = check({"ism": fn, "dsm": fn2}, dtype="float32")  # fn(case) -> {"loss": …, "grad": …}
    print(report.text())

v1/GUIDE.md says how to check another language and what the files hold.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

HOMES = {
    "answers": ("AnswerError", "Errored", "Skipped", "answer_of"),
    "cases": ("Case", "families", "load", "manifest"),
    "callables": ("Question", "Skip", "check", "parametrize", "questions"),
    "grading": ("Report", "Verdict", "grade", "grade_case", "grade_operation"),
}
_HOME = {name: home for home, names in HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, whose module is imported when it is first asked for."""
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
