"""Signals that end this process, so that it ends what it started too."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise SystemExit(128 + number), so that ``finally`` and ``with`` still run.

    Only where they would have ended the process at once; a signal that is ignored or handled stays so. Outside the main
    thread nothing changes.
    """
    with _handlers(_raise_exit, lambda former: former == signal.SIG_DFL):
        yield


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Within the block signals that have a Python handler, Ctrl-C among them, wait for its end."""
    waiting: list[int] = []
    try:
        with _handlers(lambda number, frame: waiting.append(number), callable):
            yield
    finally:
        for number in waiting:
            signal.raise_signal(number)


def _raise_exit(number: int, frame: Any) -> None:
    for other in ENDING[1:]:  # a second one must not interrupt the clean-up
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


@contextmanager
def _handlers(handler: Any, replaces: Any) -> Iterator[None]:
    """Another handler for those signals whose present one ``replaces`` accepts, until the block ends."""
    main = threading.current_thread() is threading.main_thread()
    former = {number: signal.getsignal(number) for number in ENDING if main}
    former = {number: known for number, known in former.items() if replaces(known)}
    for number in former:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, known in former.items():
            signal.signal(number, known)
