"""Progress for long work: one line rewritten in place on a terminal, silence anywhere else."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Optional, TextIO


class Progress(contextlib.AbstractContextManager):
    """A single status line, e.g. ``fit  1,200/3,000  loss -3.21``, shown at most ten times a second.

    Use as a context manager; ``update(done, text)`` at any rate. Nothing is written unless the
    stream is a terminal (or ``enabled=True`` insists), so logs and pipes stay clean.
    """

    def __init__(
        self, label: str, total: int, *, enabled: Optional[bool] = None, stream: Optional[TextIO] = None
    ):
        self.label, self.total = label, total
        self.stream = sys.stderr if stream is None else stream
        terminal = self.stream is not None and self.stream.isatty()  # None: no console at all (pythonw)
        self.enabled = terminal if enabled is None else enabled and self.stream is not None
        self._last_time, self._width = 0.0, 0

    def update(self, done: int, text: str = "") -> None:
        """Show that ``done`` of ``total`` are finished, with a short remark."""
        if not self.enabled:
            return
        now = time.monotonic()
        if now - self._last_time < 0.1 and done < self.total:
            return
        self._last_time = now
        line = f"{self.label}  {done:,}/{self.total:,}  {text}".rstrip()
        self.stream.write("\r" + line.ljust(self._width))
        self.stream.flush()
        self._width = len(line)

    def __exit__(self, *_: object) -> None:
        if self.enabled and self._width:
            self.stream.write("\n")
            self.stream.flush()
