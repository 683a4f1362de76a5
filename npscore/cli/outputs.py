"""Where the results of a command go: files that can be written, streams that are open, and messages beside them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import Any, Optional

from .._run.streams import descriptor_of, is_open, is_stream


def messages_beside(options: Any) -> AbstractContextManager[Any]:
    """Messages go to standard error where a result goes to standard output."""
    results = (getattr(options, name, None) for name in ("out", "plot"))
    if any(path and descriptor_of(path) == 1 for path in results):
        return redirect_stdout(sys.stderr)
    return nullcontext()


def check_outputs(inputs: Sequence[Optional[str]], **outputs: Optional[str]) -> None:
    """Find out before the long work, not after it, that a result could not be written or would destroy an input."""
    taken = {os.path.realpath(path): path for path in inputs if path is not None}
    for flag, path in outputs.items():
        if path is None:
            continue
        real = os.path.realpath(path)
        if not path or os.path.isdir(real):
            raise ValueError(f"--{flag} must be a file in an existing folder, got {path!r}")
        if not is_stream(path):
            _check_writable(flag, path, real)
        elif flag == "checkpoint":
            raise ValueError(f"--{flag} must be a file that can be read again, got {path!r}")
        elif not is_open(path):
            raise ValueError(f"--{flag} must be a stream that is open, got {path!r}")
        if real in taken:
            raise ValueError(f"--{flag} must not be a file that is used already, got {path!r}")
        if real != os.devnull:
            taken[real] = path


def _check_writable(flag: str, path: str, real: str) -> None:
    folder = os.path.dirname(real)
    if not os.path.isdir(folder):
        raise ValueError(f"--{flag} must be a file in an existing folder, got {path!r}")
    if not os.access(folder, os.W_OK) or (os.path.exists(real) and not os.access(real, os.W_OK)):
        raise ValueError(f"--{flag} must be a file that can be written, got {path!r}")
