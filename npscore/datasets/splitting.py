"""Held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._run.borders import as_batch, as_number, as_rng

Array = np.ndarray


def train_validation_split(x: Any, fraction: float, *, rng: Any) -> tuple[Array, Array]:
    """``(train, validation)``: the rows of ``x`` ``(n, d)`` in random order, cut in two.

    ``validation`` gets the whole number nearest to ``fraction`` · n (halves up), ``train`` the rest; both
    are copies. The order is a uniform permutation drawn from ``rng`` (a Generator or a seed).
    Raises ValueError where either part would be empty.
    """
    x = as_batch(x, "x")
    fraction = as_number(fraction, "fraction", above=0.0, below=1.0)
    n = x.shape[0]
    held_out = int(np.floor(fraction * n + 0.5))
    if not 0 < held_out < n:
        raise ValueError(
            f"fraction must leave at least one of {n} rows on either side, got {fraction!r} ({held_out} rows)"
        )
    order = as_rng(rng).permutation(n)  # (n,)
    return x[order[held_out:]], x[order[:held_out]]  # (n - held_out, d), (held_out, d)
