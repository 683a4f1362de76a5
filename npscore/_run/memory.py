"""How the C library keeps freed memory: what a small gradient step spends a third to a half of its time on."""

import contextlib
import functools
import os

import numpy as np


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB of freed memory; once in a process, from the first gradient on.

    glibc hands arrays beyond 128 kB straight to the kernel and gives free memory at the heap's end back, so that
    a step made of such arrays faults every page in again each time. Both limits rise by themselves once a larger
    block is freed, up to 32 MB (``mallopt(3)``, M_MMAP_THRESHOLD, the dynamic threshold): so one is, untouched,
    which takes no memory. Without effect elsewhere, or where the environment sets those limits. The environment
    variable ``NPSCORE_KEEP_MEMORY=0`` leaves the limits as they are.
    """
    if os.environ.get("NPSCORE_KEEP_MEMORY") != "0":
        with contextlib.suppress(MemoryError):
            np.empty(31 * 2**20, dtype=np.uint8)
