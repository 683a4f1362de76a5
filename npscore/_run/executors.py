"""Jobs for other threads, processes and machines: sent in order, gathered in order, cancelled together.

The executor is the caller's: anything with ``submit(function, *args) -> future`` as in ``concurrent.futures``.
Which numbers come back depends on the jobs alone, never on which worker runs them or when.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Optional

from .borders import _show


def as_executor(value: Any, name: str = "executor") -> Any:
    """None, or an object whose ``submit`` can be called."""
    if value is None or (not isinstance(value, type) and callable(getattr(value, "submit", None))):
        return value
    raise TypeError(
        f"{name} must be None or an executor with a submit method, as in concurrent.futures "
        f"(a process pool, Dask's client.get_executor(), mpi4py's MPIPoolExecutor), got {_show(value)}"
    )


def submit_all(
    executor: Any,
    function: Callable[[Any], Any],
    jobs: Sequence[Any],
    *,
    names: Optional[Sequence[str]] = None,
    sent: Optional[Mapping[str, Any]] = None,
) -> Iterator[Any]:
    """``function(job)`` for every job on the executor; yields the results in the order of the jobs.

    Only ``executor.submit`` and its futures' ``result`` and ``cancel`` are used. ``executor=None`` runs the jobs
    here, one after another. The error of the first job that failed, in their order, is raised as it is, its
    traceback naming the job by ``names``; then, and on Ctrl-C, all jobs that wait are cancelled. ``sent`` maps
    the names of the caller's arguments that travel with the jobs to their values: where one of them cannot be
    pickled, a TypeError says so in place of the executor's own error.
    """
    if executor is None:
        yield from map(function, jobs)
        return
    futures: deque[Any] = deque()
    done = 0
    try:
        for job in jobs:
            futures.append(executor.submit(function, job))
        while futures:
            result = futures[0].result()
            futures.popleft()  # and its result with it: only those not yet gathered are held
            yield result
            done += 1
    except Exception as error:
        for argument, value in (sent or {}).items():
            _refuse_unpicklable(argument, value, error)
        _name(error, f"in {names[done] if names else f'job {done + 1} of {len(jobs)}'} on {_show(executor)}")
        raise
    finally:
        for future in futures:
            future.cancel()


def _name(error: Exception, text: str) -> None:
    """Put ``text`` into the error's traceback: as a note, or on Python 3.10 as its cause."""
    if hasattr(error, "add_note"):
        error.add_note(text)
        return
    job = RuntimeError(text)
    job.__cause__ = error.__cause__  # a process pool keeps the worker's own traceback there
    error.__cause__ = job


def _refuse_unpicklable(argument: str, value: Any, error: Exception) -> None:
    """TypeError if ``error`` is about pickling and ``value`` cannot be pickled.

    An error about pickling says so or, as of a local function since Python 3.12, what pickling the value says.
    """
    try:
        pickle.dumps(value)
    except Exception as reason:
        if "pickle" not in f"{type(error).__name__} {error}".lower() and str(reason) != str(error):
            return
        raise TypeError(
            f"{argument} must be picklable to go to another process, got {_show(value)} ({reason}); a lambda or a "
            "function inside a function is not: define it at the top level of a module"
        ) from error
