"""Files that a living process holds: recognised by a lock on the open file, which ends with the process.

A process id in a name would not do: another machine that shares the folder has other processes, and ids come again.
The lock is flock's, released whenever and however its holder ends. Where the system or the file system has none
(Windows), nothing is held and nothing is removed.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import stat
import time
import zlib
from contextlib import suppress
from typing import Optional

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Some file systems shared over a network keep locks to each machine: another machine's temporary file, or one
#: whose name does not say whose it is, is taken for abandoned only after a day without a write.
ABANDONED_AFTER = 86_400.0  # seconds
OURS = re.compile(r"\.npscore-(?:([0-9a-f]{8})-)?[0-9a-f]{16}\.(tmp|lock)")
BINARY = getattr(os, "O_BINARY", 0)


def new_temporary(folder: str, mode: int) -> tuple[str, int]:
    """The path of a new empty file in ``folder`` and its open descriptor, which holds the file's lock."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY
    while True:
        path = os.path.join(folder, f".npscore-{_machine()}-{secrets.token_hex(8)}.tmp")
        descriptor = hold(path, flags, mode)
        if descriptor is not None:
            return path, descriptor


def hold(path: str, flags: int, mode: int = 0o666) -> Optional[int]:
    """An open descriptor of ``path`` that holds its lock, or None where another process holds it or removes it.

    Who removes such a file holds its lock meanwhile, so a lock counts only on the file that bears the name.
    """
    descriptor = os.open(path, flags, mode)
    try:
        if _locked(descriptor) is not False and _bears_name(descriptor, path):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def release(descriptor: int) -> None:
    """Give up the lock, also where a forked process has inherited the descriptor, and close it."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def sweep(folder: str) -> None:
    """Remove what killed processes left behind in ``folder``: files of ours that no living process holds."""
    if fcntl is None:
        return
    with suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            name = OURS.fullmatch(entry.name)
            if name is not None:
                with suppress(OSError):
                    _remove_if_abandoned(entry.path, any_age=name[1] == _machine() or name[2] == "lock")


def _remove_if_abandoned(path: str, any_age: bool) -> None:
    found = os.lstat(path)
    old = any_age or time.time() - found.st_mtime > ABANDONED_AFTER
    if not old or not stat.S_ISREG(found.st_mode):
        return
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _locked(descriptor) and _bears_name(descriptor, path):
            os.unlink(path)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> Optional[bool]:
    """Whether this descriptor now holds the file's lock; None where there are no such locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _bears_name(descriptor: int, path: str) -> bool:
    """Whether the open file is still the one called ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _machine() -> str:
    """Eight digits that tell this machine from others that share a folder."""
    return f"{zlib.crc32(platform.node().encode(errors='replace')):08x}"
