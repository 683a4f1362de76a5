"""Writing a file so that it is either the old one or the whole new one, never half of each."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Union

from . import locks
from .pictures import _show
from .streams import is_stream, write_to_stream

PathLike = Union[str, "os.PathLike[str]"]


def as_path(value: Any, name: str = "path") -> str:
    """A file name as text: TypeError for anything but str and PathLike, ValueError for an empty one."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a file name (str or PathLike), got {_show(value)}")
    path = os.fsdecode(value)
    if not path or "\0" in path:
        raise ValueError(f"{name} must be a file name, got {path!r}")
    return path


@contextmanager
def atomic_write(path: PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file object whose content replaces ``path`` all at once when the ``with`` block ends well.

    The bytes go to a temporary file in the same folder, are forced to disk (``fsync``) and take the name
    ``path`` in one step (``os.replace``). If anything is raised meanwhile, Ctrl-C included, the temporary
    file is removed and the file that was there before is untouched. What a killed process left behind, the
    next write into the folder removes; a file that a living process still writes, it leaves alone.

    ``mode`` is ``"wb"``, or ``"w"`` for UTF-8 text with ``\\n`` line ends. An existing file keeps its
    permissions and a symbolic link keeps pointing where it did; a new file gets the permissions ``open``
    would give it. A stream (``/dev/stdout``, ``/dev/fd/3``, a pipe, a device) has nothing to replace: the
    content is written on it, from where it stands, once the block has ended well.

    Raises ValueError for another mode, and OSError, naming ``path``, where it cannot be written.
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"mode must be 'wb' or 'w', got {mode!r}")
    shown = as_path(path)
    text = {} if mode == "wb" else {"encoding": "utf-8", "newline": "\n"}
    target = os.path.realpath(shown)
    with _named_errors(shown, hidden=os.path.dirname(target)):
        if is_stream(shown):
            with write_to_stream(shown, mode, text) as file:
                yield file
        else:
            with _replacing(target, shown, mode, text) as file:
                yield file


@contextmanager
def claim(path: PathLike, name: str = "path") -> Iterator[None]:
    """Hold ``path`` for this run as long as the ``with`` block lasts: of two runs started at once, one is refused.

    The claim ends with the block or the process, however that ends. It is a lock on a hidden file beside
    ``path``, which is removed again, and excludes only other claims; on systems without file locks (Windows), none.
    Raises ValueError, naming the argument ``name``, where another run holds ``path``; OSError, naming ``path``,
    where its folder cannot be written.
    """
    shown = as_path(path, name)
    folder, file = os.path.split(os.path.realpath(shown))
    lock = os.path.join(folder, f".npscore-{_digits(file)}.lock")
    with _named_errors(shown, hidden=folder):
        locks.sweep(folder)
        held = locks.hold(lock, os.O_RDWR | os.O_CREAT)
    if held is None:
        raise ValueError(
            f"{name} must be a file that no other run is using, got {shown}: wait for that run to end, "
            "or choose another file"
        )
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(lock)
        locks.release(held)


@contextmanager
def _replacing(target: str, shown: str, mode: str, text: dict[str, str]) -> Iterator[IO[Any]]:
    """A temporary file beside ``target`` that takes its name when the block ends well."""
    folder = os.path.dirname(target)
    permissions = _permissions(target, shown)
    locks.sweep(folder)  # first: a full disk may need the room
    temporary, descriptor = locks.new_temporary(folder, 0o666 if permissions is None else permissions)
    try:
        with os.fdopen(descriptor, mode, **text) as file:
            if permissions is not None:
                with suppress(OSError):  # a file system without permissions
                    os.chmod(temporary, permissions)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if locks.fcntl is None:  # Windows renames no open file
                file.close()
            os.replace(
                temporary, target
            )  # while the file's lock is held: no other process may sweep it before
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _permissions(target: str, shown: str) -> Any:
    """The permissions of an existing file, which must be writable, or None."""
    if not os.path.exists(target):
        return None
    if not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied", shown)
    return stat.S_IMODE(os.stat(target).st_mode) & 0o777


@contextmanager
def _named_errors(shown: str, hidden: str) -> Iterator[None]:
    """System errors that name no file, or one of ours in the folder ``hidden``, name ``shown`` instead."""
    try:
        yield
    except OSError as error:
        named = error.filename
        ours = isinstance(named, str) and os.path.dirname(named) == hidden and ".npscore-" in named
        if error.errno is None or not (named is None or ours):
            raise
        raise OSError(error.errno, error.strerror, shown) from error


def _digits(text: str) -> str:
    """Sixteen hexadecimal digits that stand for a file's name."""
    data = os.fsencode(text)
    return f"{zlib.crc32(data):08x}{zlib.adler32(data):08x}"


def _sync_folder(folder: str) -> None:
    """Force the rename itself to disk, where the system allows opening a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
