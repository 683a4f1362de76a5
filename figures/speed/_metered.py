"""An executor that knows what its workers' processors did: of use where other programs want the cores, too."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from typing import Any

_seen = 0.0  # this worker's processor time when its last job ended


def run(function: Any, job: Any) -> tuple[Any, int, float]:
    """The result, the worker's number, and the processor time since its last job: unpickling, job, pickling."""
    global _seen
    result = function(job)
    now = time.process_time()
    spent, _seen = now - _seen, now
    return result, os.getpid(), spent


class Metered:
    """A process pool whose ``spent`` holds each worker's seconds of processor time, by the worker's number."""

    def __init__(self, pool: Any):
        self.pool, self.spent = pool, defaultdict(float)

    def submit(self, function: Any, job: Any) -> Any:
        return _Future(self, self.pool.submit(run, function, job))


class _Future:
    def __init__(self, meter: Metered, future: Any):
        self.meter, self.future, self.cancel = meter, future, future.cancel

    def result(self) -> Any:
        result, worker, spent = self.future.result()
        self.meter.spent[worker] += spent
        return result
