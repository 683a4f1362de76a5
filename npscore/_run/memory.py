"""How much freed memory the C library keeps: arrays of a gradient step need not be asked of the kernel anew."""

import contextlib
import functools
import os

import numpy as np


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB of freed memory; once in a process, from the first gradient on.

    glibc asks the kernel for every array beyond 128 kB, and gives free memory at the end of the heap back to it, so
    that a step made of such arrays causes a page fault for each of their pages every time. Both limits rise when a
    larger block is freed, up to 32 MB (``mallopt(3)``, M_MMAP_THRESHOLD, the dynamic threshold). So a block of 31 MB
    is allocated and freed here; it is never written to, and takes no memory. This has no effect with other C
    libraries, or where the environment sets those limits; the environment variable ``NPSCORE_KEEP_MEMORY=0`` leaves
    them as they are.
    """
    if os.environ.get("NPSCORE_KEEP_MEMORY") != "0":
        with contextlib.suppress(MemoryError):
            np.empty(31 * 2**20, dtype=np.uint8)
