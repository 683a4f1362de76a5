"""The report that ``grade`` and ``check`` return: all verdicts and grades, and the four forms they are written in."""

from __future__ import annotations

from dataclasses import dataclass

from . import formats
from .verdict import Assessment


@dataclass(frozen=True)
class Report(Assessment):
    """The grades of all cases and the verdicts on their operations, with the ways to write them down."""

    def text(self, width: int = 100, colour: bool = False) -> str:
        """For a terminal: lines of at most ``width`` characters, the verdicts coloured where ``colour`` is set."""
        return formats.text(self, width, colour)

    def markdown(self) -> str:
        """For a pull request or a page."""
        return formats.markdown(self)

    def json(self) -> str:
        """For programs: everything in the report, with one case a line."""
        return formats.as_json(self)

    def junit(self) -> str:
        """For CI, in JUnit's XML: a test suite per operation, a test per case."""
        return formats.junit(self)
