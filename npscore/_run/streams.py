"""Where a path is no file but a way out of this process: ``/dev/stdout``, ``/dev/fd/63`` of ``>(gzip …)``, a pipe."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Optional

STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}
STDOUT = "/dev/stdout"
_DESCRIPTOR = re.compile(
    r"/dev/(stdin|stdout|stderr)|/(?:dev|proc/(?:self|thread-self|[0-9]+))/fd/([0-9]{1,9})"
)


def descriptor_of(path: str) -> Optional[int]:
    """The number of this process's open descriptor that ``path`` is a name of, links followed, or None."""
    path = os.path.abspath(path)
    for _ in range(40):  # as many links as the system follows
        match = _DESCRIPTOR.fullmatch(path)
        if match is not None:
            own = not path.startswith("/proc/") or path.split("/")[2] in (
                "self",
                "thread-self",
                str(os.getpid()),
            )
            return (STANDARD[match[1]] if match[1] else int(match[2])) if own else None
        if not os.path.islink(path):
            return None
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    return None


def is_stream(path: str) -> bool:
    """Whether ``path`` names an open descriptor, a pipe or a device: what is written on, and never replaced."""
    return descriptor_of(path) is not None or (os.path.exists(path) and not os.path.isfile(path))


def is_open(path: str) -> bool:
    """Whether the stream ``path`` is there: a descriptor may be closed."""
    number = descriptor_of(path)
    try:
        return number is None or bool(os.fstat(number))
    except OSError:
        return False


@contextmanager
def write_to_stream(path: str, mode: str, text: dict[str, str]) -> Iterator[IO[Any]]:
    """A file object whose content goes to the stream ``path`` when the ``with`` block ends well.

    An open descriptor is written on from where it stands: opening it anew by its name would begin at, or cut off,
    the file that it may lead to.
    """
    number = descriptor_of(path)
    if number in (1, 2):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    with open(path if number is None else os.dup(number), "wb") as out:
        content = io.BytesIO()
        file = content if mode == "wb" else io.TextIOWrapper(content, **text)
        yield file
        file.flush()
        out.write(content.getbuffer())
