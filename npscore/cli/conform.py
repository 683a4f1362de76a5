"""``npscore conform run | export | grade | list | show``: arguments in, report out."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from typing import Any

from .._run.atomic import atomic_write
from ..conformance.grading import grade
from ..conformance.offline import export, read_results
from ..conformance.runner import run_program
from ..conformance.selection import select
from ..conformance.signals import exit_on_signals


def conform(options: Any) -> int:
    """Carry out one of the commands; returns the exit code."""
    return COMMANDS[options.conform](options)


def _run(options: Any) -> int:
    for flag, seconds in (("timeout", options.timeout), ("start-timeout", options.start_timeout)):
        if not 0 < seconds < math.inf:
            raise ValueError(f"--{flag} must be a finite number of seconds > 0, got {seconds:g}")
    _check_output(options)
    declared = _declared(options)
    with exit_on_signals():  # so that the program ends with this process
        run = run_program(
            options.cmd,
            select(options.cases),
            dtype=options.dtype,
            timeout=options.timeout,
            start_timeout=options.start_timeout,
        )
    code = _report(grade(run.answers, options.dtype, declared), options)
    for note in run.notes():
        _say(note)
    if run.is_silent:
        return _not_made("nothing was checked: the program replied to none of the cases")
    return code


def _grade(options: Any) -> int:
    _check_output(options)
    declared = _declared(options)
    results = read_results(options.results, select(options.cases), options.dtype)
    code = _report(grade(results.answers, options.dtype, declared), options)
    if results.garbage:
        _say(f"{results.garbage} lines of {options.results} were no messages")
    if results.lost:
        return _not_made(
            f"{results.unreadable} lines look like replies that cannot be read, and {results.lost} cases have no result"
        )
    return code


def _export(options: Any) -> int:
    cases = select(options.cases)
    for name in export(options.folder, cases, options.dtype):
        print(os.path.join(options.folder, name))
    return 0


def _list(options: Any) -> int:
    for case in select(options.cases):
        flags = f"  [{', '.join(case.flags)}]" if case.flags else ""
        print(f"{case.id:<18} {case.operation:<16} {case.title}{flags}")
    return 0


def _show(options: Any) -> int:
    (*_, case) = select(options.id)
    if case.id != options.id:
        raise ValueError(f"id must be that of one case, such as {case.id}, got {options.id!r}")
    print(json.dumps(case.to_json(with_output=True), indent=1))
    return 0


COMMANDS = {"run": _run, "export": _export, "grade": _grade, "list": _list, "show": _show}


def _report(report: Any, options: Any) -> int:
    if options.format == "text":
        here = options.output is None and sys.stdout.isatty()
        text = report.text(width=shutil.get_terminal_size((100, 24)).columns if here else 100, colour=here)
    else:
        text = {"markdown": report.markdown, "json": report.json, "junit": report.junit}[options.format]()
    text = text.rstrip("\n") + "\n"
    if options.output is None:
        encoding = sys.stdout.encoding or "utf-8"  # a terminal that has no ½ shows \xbd
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    else:
        with atomic_write(options.output, "w") as file:
            file.write(text)
    if all(case.status == "skipped" for case in report.cases):
        return _not_made("nothing was checked: every case was skipped")
    return report.exit_code


def _not_made(why: str) -> int:
    """Exit code 2, and why the check could not be made."""
    _say(why)
    return 2


def _say(note: str) -> None:
    print(f"npscore: {note}", file=sys.stderr)


def _check_output(options: Any) -> None:
    """Before the work, not after it: can the report be written?"""
    folder = os.path.dirname(os.path.realpath(options.output or "."))
    if options.output is not None and (not os.access(folder, os.W_OK) or os.path.isdir(options.output)):
        raise ValueError(f"--output must be a file in an existing folder, got {options.output!r}")


def _declared(options: Any) -> dict[str, list[str]]:
    """{"dsm": ["twice"]} of ["dsm=twice"], checked before the work."""
    declared: dict[str, list[str]] = {}
    for entry in options.declare:
        operation, _, convention = entry.partition("=")
        if not operation or not convention:
            raise ValueError(f"--declare must be OPERATION=CONVENTION, e.g. dsm=twice, got {entry!r}")
        declared.setdefault(operation, []).append(convention)
    grade({}, options.dtype, declared)  # raises for a convention that there is not
    return declared
