"""Blocks of rows: the one place where a large batch is taken in parts, so that memory does not grow with it.

``vjp_in_blocks`` walks a primitive through a batch where the outputs are wanted; ``sum_over_rows`` is for a loss, which
is a sum over rows: each block is run forward once and its gradient added.

Samples lie along axis 0 of x, cond, s and per-row vectors, along axis -2 of probes (m, n, d) and along axis -1 of
quadratic forms (m, n): each argument comes with its axis, as in JAX's ``vmap(in_axes=…)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Optional

import numpy as np

from .._run.borders import NotFiniteError, as_array, as_batch, as_weights
from .._run.memory import keep_freed_memory

Array = np.ndarray

#: Numbers that the intermediates of one block of rows hold (2**22 float64 are 32 MB), or up to four times as many
#: where that were fewer than ``FEW_ROWS``: a block's gradient is worth adding only for so many rows.
BLOCK_NUMBERS, FEW_ROWS = 2**22, 1024


def rows_per_block(numbers: int) -> int:
    """How many rows to work on at a time, where a row's intermediates hold so many numbers."""
    return max(1, BLOCK_NUMBERS // numbers, min(FEW_ROWS, 4 * BLOCK_NUMBERS // numbers))


def map_in_blocks(
    function: Callable[[Array, Optional[Array]], Array], x: Array, cond: Optional[Array], rows: int
) -> Array:
    """``function(x, cond)``, ``rows`` rows at a time."""
    if len(x) <= rows:
        return function(x, cond)
    return np.concatenate([function(x[b], _take(cond, b, 0)) for b in blocks_of(len(x), rows)])


def vjp_in_blocks(
    primitive: Callable[..., tuple[Any, ...]],
    inputs: Sequence[Optional[Array]],
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
    blocks = blocks_of(len(inputs[0]), rows)

    def run(block: slice) -> tuple[Any, ...]:
        return primitive(*(_take(a, block, axis) for a, axis in zip(inputs, in_axes)))

    def pullback(*cotangents: Array) -> Array:
        return sum(
            run(block)[-1](*(_take(c, block, axis) for c, axis in zip(cotangents, out_axes)))
            for block in blocks
        )

    outputs = zip(*(run(block)[:-1] for block in blocks))
    return (*(np.concatenate(parts, axis=axis) for parts, axis in zip(outputs, out_axes)), pullback)


def sum_over_rows(
    model: Any,
    primitive: Callable[..., Any],
    terms: Callable[..., tuple[Any, ...]],
    x: Any,
    v: Optional[Array] = None,
    *,
    weights: Any = None,
    cond: Any = None,
    gradient: bool = True,
) -> tuple[Any, Optional[Array], Array]:
    """``(Σ wᵢ ℓᵢ, its gradient (p,), ℓ (n,))`` of a loss that is a sum over rows, each block run forward once.

    ``primitive`` is ``ScoreModel.score_vjp``, ``divergence_vjp`` or ``quadratic_form_vjp`` (with clean probes ``v``,
    (m, n, d)). ``terms(rows, s, …)`` gets a slice of the rows and what the primitive returns there, and gives ℓ and its
    derivatives: ``(ℓ, ∂ℓ/∂s)`` or ``(ℓ, ∂ℓ/∂s, ∂ℓ/∂scalar)``, the last one a number or of the scalar's shape.
    x is (n, d); ``weights`` (n,), or None for the mean; ``cond`` (n, c) or (c,) for a model with a condition.
    Without ``gradient`` no pullback is run, and None stands for it.

    Raises TypeError or ValueError for a wrong argument, NotFiniteError where a row's loss, the sum or the gradient
    is not finite.
    """
    inside, numbers, own = _inside(model, primitive)
    x = as_batch(x, "x", d=model.d)
    if cond is not None or getattr(model, "condition", 0):
        cond = model._conditioned(cond, x) if own else as_batch(cond, "cond", n=len(x))
    w = as_weights(weights, len(x), np.result_type(x.dtype, getattr(model, "dtype", x.dtype)))
    if gradient:
        keep_freed_memory()

    def part(b: slice) -> tuple[Any, Optional[Array], Array]:
        arrays = [x[b], *([] if v is None else [v[:, b]]), *([] if cond is None else [cond[b]])]
        *outputs, pullback = inside(*arrays)
        ell, ds, *dscalar = terms(b, *outputs)
        as_array(ell, "loss per sample", allow_complex=True)
        if not gradient:
            return w[b] @ ell, None, ell
        weighted = [w[b, None] * ds]
        for c in dscalar:
            c = w[b] * c  # (n,), or (m, n) as q is
            weighted.append(c if c.shape == outputs[1].shape else np.broadcast_to(c, outputs[1].shape))
        return w[b] @ ell, pullback(*weighted), ell

    first, *others = blocks_of(len(x), rows_per_block(numbers * (1 if v is None else len(v))))
    with np.errstate(over="ignore", invalid="ignore"):
        loss, grad, *values = part(first)
        for b in others:
            more, more_grad, more_values = part(b)
            loss, values = loss + more, [*values, more_values]
            grad = grad + more_grad if gradient else None
    if not np.isfinite(loss):
        raise NotFiniteError(f"loss must be finite, got {loss}: the weights are too large for these rows")
    if gradient:
        as_array(grad, "gradient", allow_complex=True)
    return loss, grad, values[0] if len(values) == 1 else np.concatenate(values)


def _inside(model: Any, primitive: Callable[..., Any]) -> tuple[Callable[..., Any], int, bool]:
    """The model's primitive, about how many numbers a row of it holds, and whether it is one of npscore's.

    Of a model of npscore's it is the method of clean arrays and one block, ``_score_vjp`` for ``score_vjp``; a model
    that merely has the primitives is called as it is, on all rows at once.
    """
    name = primitive.__name__
    if getattr(type(model), name, None) is not primitive:
        dimension(model)
        return getattr(model, name), 1, False
    numbers = model._trace_numbers if name == "divergence_vjp" else model._numbers
    return getattr(model, f"_{name}"), numbers, True


def dimension(model: Any) -> int:
    """The model's d; TypeError for what is no model."""
    if isinstance(model, type) or not (hasattr(model, "score_vjp") and hasattr(model, "d")):
        raise TypeError(f"model must be an npscore model with score_vjp, got {type(model).__name__}")
    return model.d


def blocks_of(n: int, rows: int) -> list[slice]:
    """n rows in slices of at most so many."""
    starts = range(0, n, rows)
    return list(map(slice, starts, [*starts[1:], n]))


def _take(array: Optional[Array], block: slice, axis: int) -> Optional[Array]:
    """The rows of a block, where samples lie along ``axis`` (0, -1 or -2)."""
    if array is None:
        return None
    return array[{0: (block,), -1: (..., block), -2: (..., block, slice(None))}[axis]]
