"""Writing a file so that it is either the old one or the whole new one, never half of each."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Union

PathLike = Union[str, "os.PathLike[str]"]


def as_path(value: Any, name: str = "path") -> str:
    """A file name as text: TypeError for anything but str and PathLike, ValueError for an empty one."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a file name (str or PathLike), got {type(value).__name__} {value!r}")
    path = os.fsdecode(value)
    if not path or "\0" in path:
        raise ValueError(f"{name} must be a file name, got {path!r}")
    return path


@contextmanager
def atomic_write(path: PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file object whose content replaces ``path`` all at once when the ``with`` block ends well.

    The bytes go to a temporary file in the same folder, are forced to disk (``fsync``) and take the name
    ``path`` in one step (``os.replace``). If anything is raised meanwhile, Ctrl-C included, the temporary
    file is removed and the file that was there before is untouched.

    ``mode`` is ``"wb"``, or ``"w"`` for UTF-8 text with ``\\n`` line ends. An existing file keeps its
    permissions and a symbolic link keeps pointing where it did; a new file gets the permissions ``open``
    would give it. A device or pipe, such as ``/dev/stdout``, cannot be replaced and is written directly.

    Raises ValueError for another mode, and OSError, naming ``path``, where it cannot be written.
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"mode must be 'wb' or 'w', got {mode!r}")
    shown = as_path(path)
    target = os.path.realpath(shown)
    text = {} if mode == "wb" else {"encoding": "utf-8", "newline": "\n"}
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, mode, **text) as file:  # a folder refuses here, with its own name
            yield file
        return
    temporary = os.path.join(os.path.dirname(target), f".npscore-{secrets.token_hex(8)}.tmp")
    descriptor = _create(temporary, target, shown)
    try:
        with os.fdopen(descriptor, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(target))


def _create(temporary: str, target: str, shown: str) -> int:
    """A new, empty temporary file with the permissions ``target`` has or would get; errors name ``shown``."""
    exists = os.path.exists(target)
    if exists and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied", shown)
    try:
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
        )
    except OSError as error:
        raise type(error)(error.errno, error.strerror, shown) from None
    if exists:
        with suppress(OSError):  # a file system without permissions
            os.chmod(temporary, os.stat(target).st_mode & 0o777)
    return descriptor


def _sync_folder(folder: str) -> None:
    """Force the rename itself to disk, where the system allows opening a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
