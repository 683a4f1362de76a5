"""One thread in BLAS for as long as a run needs it: products are then rounded alike on any number of cores."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

_lock = threading.RLock()  # held where the number of threads is changed
_open: set[object] = set()  # one token for every `one_blas_thread` that is open
_limiter: Any = None  # what takes the limit back, while any is open


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread in BLAS while this is open, so that its threads and ours do not compete; needs threadpoolctl.

    The limit holds for the whole process: the first to open it sets it, the last to close it takes it back. A
    child made by ``os.fork`` meanwhile keeps the one thread until a limit of its own closes. Without threadpoolctl
    nothing happens.
    """
    global _limiter
    token = object()
    with _lock:
        if _limiter is None and threadpoolctl() is not None:
            _take_control()
            _limiter = _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")
        _open.add(token)
    try:
        yield
    finally:
        with _lock:
            _open.discard(token)
            if not _open and _limiter is not None:
                _take_control()
                _limiter.restore_original_limits()
                _take_control()
                _limiter = None


@functools.lru_cache(maxsize=1)
def threadpoolctl() -> Any:
    """The module of that name (the optional extra "parallel"), or None; loaded at the first limit, since it sets an
    environment variable when it is imported."""
    try:
        import threadpoolctl as module
    except ImportError:
        return None
    return module


def _take_control() -> None:
    """Let this thread set OpenBLAS's limit: from threadpoolctl 3.8 on only the first thread to set it may change it."""
    openblas = getattr(threadpoolctl(), "OpenBLASController", None)
    if hasattr(openblas, "clear_controlling_thread"):
        openblas.clear_controlling_thread(force=True)


@functools.lru_cache(maxsize=2)
def _controller(with_scipy: bool) -> Any:
    """The BLAS libraries of this process, with SciPy's own once that is loaded; finding them takes milliseconds."""
    return threadpoolctl().ThreadpoolController()


def _forget_other_threads() -> None:
    """In a forked child: the threads that had opened the limit do not exist there. BLAS itself is left alone."""
    _open.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    # A fork waits until no thread is changing the limit: the child finds this lock free, and threadpoolctl's own too.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget_other_threads
    )
