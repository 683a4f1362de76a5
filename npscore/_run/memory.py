"""Freed memory that is kept: a third to a half of the time of a small step was the kernel's, handing pages out anew."""

import contextlib

import numpy as np


def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB of freed memory instead of returning it between two NumPy operations.

    glibc hands arrays beyond 128 kB straight to the kernel and gives free memory at the heap's end back, so that
    a step made of such arrays faults every page in again each time. Both limits rise by themselves once a larger
    block is freed, up to 32 MB (``mallopt(3)``, M_MMAP_THRESHOLD, the dynamic threshold): so one is, untouched,
    which takes no memory. Without effect elsewhere, or where the environment sets those limits.
    """
    with contextlib.suppress(MemoryError):
        np.empty(31 * 2**20, dtype=np.uint8)
