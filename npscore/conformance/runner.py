"""A program in any language is asked every case: ``npscore conform run --cmd "./mine"``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

from .._run.progress import Progress
from .answers import Errored, Outcome, Skipped
from .process import Log, Process, ProgramEnded, TooSlow
from .protocol import offered, outcome_of, run_message, start_message
from .selection import not_asked, operations
from .untrusted import OutOfBounds, printable

#: After so many crashes in a row while starting, the program is given up.
START_ATTEMPTS = 3
#: After so many cases in a row without a reply, the rest is not asked.
LOST_IN_A_ROW = 10


class ProgramError(ValueError):
    """The program under test cannot be started, or does not speak the protocol."""


@dataclass(frozen=True)
class Run:
    """What a program answered to the cases, {id: answer | Skipped | Errored}, and what happened on the way.

    ``lost`` counts the cases without a reply: the program ended, was too slow, or was not asked any more.
    """

    answers: dict[str, Outcome]
    lost: int
    not_known: tuple[str, ...]
    restarts: int
    garbage: int
    first_garbage: str
    stderr: tuple[str, ...]

    @property
    def is_silent(self) -> bool:
        """Whether the program replied to none of the cases that it was asked."""
        skipped = sum(isinstance(answer, Skipped) for answer in self.answers.values())
        return 0 < self.lost == len(self.answers) - skipped

    def notes(self) -> list[str]:
        """What a reader of the report should know besides, a sentence each."""
        lines = []
        if self.not_known:
            names = printable(", ".join(self.not_known[:20]))
            lines.append(f"the program offers what there is no case for: {names}")
        if self.restarts:
            lines.append(f"the program was started again {self.restarts} times")
        if self.garbage:
            lines.append(
                f"{self.garbage} lines on its standard output were no messages, the first: {self.first_garbage!r}"
            )
        if self.stderr:
            lines.append("the last lines of its standard error:\n  " + "\n  ".join(self.stderr))
        return lines


def run_program(
    command: str,
    cases: Sequence[Any],
    *,
    dtype: str = "float64",
    timeout: float = 10.0,
    start_timeout: float = 60.0,
    progress: Optional[bool] = None,
) -> Run:
    """Ask a program about each case in turn, one process for all of them.

    ``command`` is split as a shell would, but run without one. A program that crashes or needs more than
    ``timeout`` seconds for a case is killed, started again and asked the next. Where it cannot be started again, or
    does not reply ten times in a row, the rest is Errored. Raises ProgramError where it never starts: it crashes
    three times in a row, or is not ready within ``start_timeout`` seconds; OSError where it cannot be run at all.
    """
    with _Session(command, dtype, cases, timeout, start_timeout) as session:
        answers: dict[str, Outcome] = {}
        with Progress("conform", len(cases), enabled=progress) as line:
            for done, case in enumerate(cases, 1):
                answers[case.id] = not_asked(case, dtype) or session.ask(case)
                line.update(done, f"{case.id}  {session.remark}")
        log, not_known = session.log, sorted((session.offered or operations()) - operations())
    return Run(
        answers,
        session.lost,
        tuple(not_known),
        session.restarts,
        log.garbage,
        log.first_garbage,
        tuple(log.stderr),
    )


class _Session:
    """A program under test, started again whenever it has ended too early."""

    def __init__(self, command: str, dtype: str, cases: Iterable[Any], timeout: float, start_timeout: float):
        self.log, self.restarts, self.lost = Log(), 0, 0
        self._lost_in_a_row, self._given_up = 0, ""
        self._command, self._timeout, self._start_timeout = command, timeout, start_timeout
        self._start = start_message(dtype, (case.operation for case in cases))
        self._process: Optional[Process] = None
        self.offered: Optional[frozenset[str]] = None
        self._was_ready = False

    def __enter__(self) -> _Session:
        try:
            self._ensure_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._process.close(None if error[0] else {"type": "stop"})

    @property
    def remark(self) -> str:
        return f"{self.lost} lost" if self.lost else ""

    def ask(self, case: Any) -> Outcome:
        """The outcome of one case; a program that ends or is too slow is an outcome too."""
        if self.offered is not None and case.operation not in self.offered:
            return Skipped(f"the program does not offer {case.operation}")
        try:
            process = None if self._given_up else self._ensure_ready()
        except (ProgramError, OSError) as error:
            process, self._given_up = None, f"not asked: {error}"
        if process is None:
            self.lost += 1
            return Errored(self._given_up)
        try:
            reply = process.ask(run_message(case), self._timeout)
        except (ProgramEnded, TooSlow) as reason:
            self._kill()
            self._count_lost()
            return Errored(str(reason))
        except OutOfBounds as error:
            return Errored(f"the reply is not read: {error}")
        self._lost_in_a_row = 0
        if reply.get("id", case.id) != case.id:
            self._kill()  # its replies are out of step with the questions
        return outcome_of(case, reply)

    def _count_lost(self) -> None:
        self.lost, self._lost_in_a_row = self.lost + 1, self._lost_in_a_row + 1
        if self._lost_in_a_row == LOST_IN_A_ROW:
            self._given_up = f"not asked: the program did not reply {LOST_IN_A_ROW} times in a row"

    def _ensure_ready(self) -> Process:
        """The program, started again if it does not run, once it has said that it is ready."""
        for _ in range(START_ATTEMPTS):
            if self._process is not None:
                return self._process
            self.restarts += self._was_ready
            self._process = Process(self._command, self.log)
            try:
                self._greet(self._process)
            except ProgramEnded as reason:
                last = str(reason)
                self._kill()
            except TooSlow:
                raise ProgramError(
                    f"{self._command!r} must answer the start message with a ready message within "
                    f"{self._start_timeout:g} seconds, got none{self._said()}"
                ) from None
        if self._process is not None:
            return self._process
        raise ProgramError(f"{self._command!r} crashed {START_ATTEMPTS} times while starting: {last}")

    def _greet(self, process: Process) -> None:
        try:
            reply = process.ask(self._start, self._start_timeout)
        except OutOfBounds as error:
            raise ProgramError(
                f"{self._command!r} must answer start with ready, got a message {error}"
            ) from None
        if reply["type"] != "ready":
            raise ProgramError(f"{self._command!r} must answer start with ready, got {reply['type']!r}")
        try:
            self.offered = offered(reply)
        except ValueError as error:
            raise ProgramError(f"{self._command!r}: {error}") from None
        self._was_ready = True

    def _said(self) -> str:
        return f" but {self.log.first_garbage!r}" if self.log.garbage else ""

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(OSError):
                self._process.close()
            self._process = None
