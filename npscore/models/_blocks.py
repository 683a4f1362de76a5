"""Large batches in blocks of rows, so that a primitive's memory does not grow with the batch.

Samples lie along axis 0 of x, s and per-row vectors, along axis -2 of probes (m, n, d) and along axis -1
of quadratic forms (m, n): each argument comes with its axis, as in JAX's ``vmap(in_axes=…)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray


def map_blocks(function: Callable[[Array], Array], x: Array, rows: int) -> Array:
    """``function(x)``, ``rows`` rows at a time."""
    if len(x) <= rows:
        return function(x)
    return np.concatenate([function(x[block]) for block in _blocks(len(x), rows)])


def vjp_blocks(
    primitive: Callable[..., tuple[Any, ...]],
    inputs: Sequence[Array],
    in_axes: Sequence[int],
    out_axes: Sequence[int],
    rows: int,
) -> tuple[Any, ...]:
    """``(*outputs, pullback)`` of a primitive, ``rows`` rows at a time.

    With several blocks the pullback runs each block forward again: one more forward pass buys a memory
    that no longer grows with the batch. The gradient is the sum over blocks.
    """
    if len(inputs[0]) <= rows:
        return primitive(*inputs)
    blocks = _blocks(len(inputs[0]), rows)

    def run(block: slice) -> tuple[Any, ...]:
        return primitive(*(_take(a, block, axis) for a, axis in zip(inputs, in_axes)))

    def pullback(*cotangents: Array) -> Array:
        return sum(
            run(block)[-1](*(_take(c, block, axis) for c, axis in zip(cotangents, out_axes)))
            for block in blocks
        )

    outputs = zip(*(run(block)[:-1] for block in blocks))
    return (*(np.concatenate(parts, axis=axis) for parts, axis in zip(outputs, out_axes)), pullback)


def _blocks(n: int, rows: int) -> list[slice]:
    return [slice(start, start + rows) for start in range(0, n, rows)]


def _take(array: Array, block: slice, axis: int) -> Array:
    """The rows of a block, where samples lie along ``axis`` (0, -1 or -2)."""
    return array[{0: (block,), -1: (..., block), -2: (..., block, slice(None))}[axis]]
