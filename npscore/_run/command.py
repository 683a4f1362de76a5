"""Ctrl-C while the command line is still being imported ends it in one line with exit code 130, as it does later.

Imported first of all by the package, and itself importing only what Python has loaded by then. In a process that
merely imports npscore it changes nothing.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = "npscore: interrupted"


def is_command() -> bool:
    """Whether this process was started as ``npscore …`` or ``python -m npscore …``."""
    name = sys.argv[0] if sys.argv else ""
    if name == "-m":  # which Python puts there while it looks for the module
        given = sys.orig_argv
        return "-mnpscore" in given or ("-m", "npscore") in zip(given, given[1:])
    return os.path.splitext(os.path.basename(name))[0] == "npscore"


def end_in_one_line(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """What is shown of an exception that nobody caught: of Ctrl-C, one line."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)  # type: ignore[arg-type]
        return
    print(INTERRUPTED, file=sys.stderr, flush=True)
    os._exit(130)


if is_command():
    sys.excepthook = end_in_one_line
