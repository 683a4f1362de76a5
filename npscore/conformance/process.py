"""A program under test as a child process: lines in, messages out, and no way for it to hang the runner."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from typing import IO, Any, Optional

from .protocol import decode, encode

#: No line may be longer; what follows counts as another line.
LINE_BYTES = 2**26
STDERR_LINES = 40
#: The line on stderr that says why a program ended, if one does: not all end with it.
TELLING = re.compile(r"error|exception|panic|abort|terminate|killed", re.IGNORECASE)


class Gone(Exception):
    """The program has ended, or closed its output."""


class TooSlow(Exception):
    """Nothing that is a message came within the time limit."""


class Log:
    """What a program wrote besides its messages, over all its restarts."""

    def __init__(self) -> None:
        self.garbage = 0
        self.first_garbage = ""
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)

    def add_garbage(self, line: bytes) -> None:
        """Count a line that is no message, and keep the first for people to see."""
        self.garbage += 1
        if self.garbage == 1:
            self.first_garbage = line[:200].decode("utf-8", "replace").rstrip()


class Process:
    """One run of a command line (no shell). ``ask`` sends a message and waits for the next one.

    Reading and writing have threads of their own, so that a program that reads nothing, writes without end or
    stops in the middle of a line costs its time limit and nothing more. ``close`` leaves nothing running:
    the program is in a process group of its own, and the group is killed.
    """

    def __init__(self, command: str, log: Log):
        self.log = log
        words, pipe = shlex.split(command), subprocess.PIPE
        if not words:
            raise ValueError(f"cmd must be a command line, got {command!r}")
        self._child = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=1000)
        self._outgoing: queue.Queue[Optional[bytes]] = queue.Queue()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=work, args=(stream,), daemon=True)
            for work, stream in (
                (self._write, self._child.stdin),
                (self._read, self._child.stdout),
                (self._read_stderr, self._child.stderr),
            )
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send one message and return the next that comes back; raises Gone or TooSlow."""
        self._outgoing.put(encode(message))
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TooSlow(f"no answer within {seconds:g} seconds") from None
            if not line:
                raise Gone(self._epitaph())
            reply = decode(line)
            if reply is not None:
                return reply
            if line.strip():
                self.log.add_garbage(line)
            if time.monotonic() > deadline:
                raise TooSlow(f"no answer within {seconds:g} seconds, only lines that are no messages")

    def close(self, message: Optional[dict[str, Any]] = None, seconds: float = 2.0) -> None:
        """Say a last word if there is one, give the program a moment to end, then kill it and its children."""
        self._closed.set()
        if message is not None:
            self._outgoing.put(encode(message))
            self._outgoing.put(None)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._outgoing.put(None)
        for thread in self._threads:
            thread.join(1.0)
        for stream, thread in zip((self._child.stdin, self._child.stdout, self._child.stderr), self._threads):
            if not thread.is_alive():  # a grandchild in a session of its own may still hold the other end
                with contextlib.suppress(OSError):
                    stream.close()

    def _epitaph(self) -> str:
        """How the program ended, with the last line it left on stderr."""
        try:
            code = self._child.wait(1.0)
        except subprocess.TimeoutExpired:
            return "the program closed its standard output"
        self._threads[2].join(1.0)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        lines = [line.strip() for line in list(self.log.stderr) if line.strip()]
        telling = [line for line in lines if TELLING.search(line)] or lines
        return f"the program ended with {how}" + (f": {telling[-1][:300]}" if telling else "")

    def _write(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (data := self._outgoing.get()) is not None:
                stream.write(data)
                stream.flush()
        with contextlib.suppress(OSError):
            stream.close()

    def _read(self, stream: IO[bytes]) -> None:
        line = b"start"
        while line:
            line = _line(stream)
            while not self._closed.is_set():
                with contextlib.suppress(queue.Full):
                    self._lines.put(line, timeout=0.1)
                    break

    def _read_stderr(self, stream: IO[bytes]) -> None:
        while line := _line(stream):
            self.log.stderr.append(line[:2000].decode("utf-8", "replace").rstrip("\r\n"))


def _line(stream: IO[bytes]) -> bytes:
    try:
        return stream.readline(LINE_BYTES)
    except (OSError, ValueError):
        return b""
