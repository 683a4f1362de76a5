"""A program under test as a child process: messages in, messages out, within bounds of time and memory."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import signal
import subprocess
import time
import weakref
from collections import deque
from typing import IO, Any, Optional

from .protocol import decode, encode
from .signals import signals_deferred
from .untrusted import LINE_BYTES, printable

CHUNK = 2**16  # bytes read or written at once
STDERR_LINES = 40
STDERR_BYTES = 2000  # of one line
#: A line on standard error that says why a program ended, if one does: not all programs end with it.
REASON = re.compile(r"error|exception|panic|abort|terminate|killed", re.IGNORECASE)


class ProgramEnded(Exception):
    """The program has ended, or closed its standard output."""


class TooSlow(Exception):
    """No message came within the time limit."""


class Log:
    """What a program wrote besides its messages, over all its runs."""

    def __init__(self) -> None:
        self.garbage = 0
        self.first_garbage = ""
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)

    def add_garbage(self, line: bytes) -> None:
        """Count a line that is no message, and keep the first to show."""
        self.garbage += 1
        if self.garbage == 1:
            self.first_garbage = printable(line[:800].decode("utf-8", "replace"), 200)


class Lines:
    """Bytes as they arrive, cut into lines; of a line only the first ``most`` + 1 bytes are kept."""

    def __init__(self, most: int):
        self._room, self._part = most + 1, bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete; no bytes are the end, which completes the last line."""
        *ends, rest = data.split(b"\n")
        lines = [self._take(end) for end in ends]
        self._extend(rest)
        return lines if data or not self._part else [self._take(b"")]

    def _take(self, end: bytes) -> bytes:
        self._extend(end)
        line = bytes(self._part)
        self._part.clear()
        return line

    def _extend(self, data: bytes) -> None:
        self._part += data[: self._room - len(self._part)]


class Process:
    """One run of a command line (no shell). ``ask`` sends a message and waits for the next one.

    Nothing blocks but the wait for the three pipes, so a program that reads nothing, writes without end or stops in
    the middle of a line costs its time limit and nothing more. The program has a process group of its own, which is
    killed by ``close``, or at the latest when this process exits; what leaves the group (a daemon) is not found.
    """

    def __init__(self, command: str, log: Log):
        self.log = log
        words, pipe = shlex.split(command), subprocess.PIPE
        if not words:
            raise ValueError(f"cmd must be a command line, got {command!r}")
        with signals_deferred():
            self._child = subprocess.Popen(
                words, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
            )
            self._kill = weakref.finalize(self, _kill_group, self._child)
        self._outgoing, self._arrived = bytearray(), deque[bytes]()
        self._stdout, self._stderr = Lines(LINE_BYTES), Lines(STDERR_BYTES)
        self._last_errors: deque[str] = deque(maxlen=STDERR_LINES)
        self._selector = selectors.DefaultSelector()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            os.set_blocking(stream.fileno(), False)
        self._selector.register(self._child.stdout, selectors.EVENT_READ, self._read_stdout)
        self._selector.register(self._child.stderr, selectors.EVENT_READ, self._read_stderr)

    def ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send one message and return the next that comes back.

        Raises ProgramEnded, TooSlow, or OutOfBounds for a message that is too large to be read.
        """
        self._send(message)
        deadline = time.monotonic() + seconds
        only = ""
        while time.monotonic() < deadline:
            line = self._next_line(deadline)
            if not line.strip():
                continue
            reply = decode(line)
            if reply is not None:
                return reply
            self.log.add_garbage(line)
            only = ", only lines that are no messages"
        raise TooSlow(f"no answer within {seconds:g} seconds{only}")

    def close(self, message: Optional[dict[str, Any]] = None, seconds: float = 2.0) -> None:
        """Send a last message if there is one and give the program time to end; then kill it and its children."""
        if message is not None:
            self._send(message)
            deadline = time.monotonic() + seconds
            while self._child.poll() is None and time.monotonic() < deadline:
                self._wait(min(0.05, seconds))
                self._arrived.clear()
                if not self._outgoing and not self._child.stdin.closed:
                    self._child.stdin.close()
        self._kill()
        self._selector.close()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            stream.close()

    def _next_line(self, deadline: float) -> bytes:
        """The next line of standard output; empty where none has come yet."""
        if not self._arrived:
            ready = self._wait(min(0.2, max(0.0, deadline - time.monotonic())))
            ended = not self._is_open(self._child.stdout) or (not ready and self._child.poll() is not None)
            if ended and not self._arrived:
                raise ProgramEnded(self._how_it_ended())
        return self._arrived.popleft() if self._arrived else b""

    def _how_it_ended(self) -> str:
        """How the program ended, with the last reason it gave on standard error."""
        deadline = time.monotonic() + 1.0
        while self._child.poll() is None and time.monotonic() < deadline:
            self._wait(0.05)
        code = self._child.poll()
        if code is None:
            return "the program closed its standard output"
        while self._wait(0.0) and time.monotonic() < deadline:  # what it wrote before it ended
            self._arrived.clear()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        reasons = [line for line in self._last_errors if REASON.search(line)] or list(self._last_errors)
        return f"the program ended with {how}" + (f": {reasons[-1][:300]}" if reasons else "")

    def _send(self, message: dict[str, Any]) -> None:
        self._outgoing += encode(message)
        stdin = self._child.stdin
        if not stdin.closed and not self._is_open(stdin):
            self._selector.register(stdin, selectors.EVENT_WRITE, self._write)

    def _is_open(self, stream: Any) -> bool:
        """Whether a pipe is waited for."""
        return stream in self._selector.get_map()

    def _wait(self, seconds: float) -> bool:
        """Read and write what the pipes are ready for; whether any was within these seconds."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            key.data(key.fileobj)
        return bool(ready)

    def _write(self, stream: IO[bytes]) -> None:
        try:
            del self._outgoing[: os.write(stream.fileno(), self._outgoing[:CHUNK])]
        except BlockingIOError:
            return
        except OSError:  # the program reads no more
            self._outgoing.clear()
        if not self._outgoing:
            self._selector.unregister(stream)

    def _read_stdout(self, stream: IO[bytes]) -> None:
        self._arrived += self._stdout.feed(self._read(stream))

    def _read_stderr(self, stream: IO[bytes]) -> None:
        lines = self._stderr.feed(self._read(stream))[-STDERR_LINES:]
        texts = [printable(line.decode("utf-8", "replace"), STDERR_BYTES) for line in lines if line.strip()]
        self.log.stderr += texts
        self._last_errors += texts

    def _read(self, stream: IO[bytes]) -> bytes:
        """What has come; nothing at the end, after which the pipe is not waited for."""
        data = os.read(stream.fileno(), CHUNK)
        if not data:
            self._selector.unregister(stream)
        return data


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill a program and all of its process group, and wait for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(5.0)
