"""The exact trace of an MLP's Jacobian at three and more hidden layers: a ring, cut where that is cheapest.

Inside a trace the factors of J stand in a ring: D_1, W_2, D_2, …, W_H, D_H and, closing it, P = W_1 W_L. Cut it
at a place of width w and there are w directions to carry round: the inputs (w = d, between W_L and W_1), or
the units of a hidden layer, with P multiplied beforehand. Tangents u run from the first node of the opened
ring, cotangents c come back from its last; the trace is where they meet, and its gradient in a weight is the
outer product of the two runs. At an end, one slope stands between two matrices that all samples share: these
are merged (``_end``), so that an end costs one matrix product and no pass over directions.

Dimensions: n samples, H hidden layers (the ring's nodes), w directions, k of them at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from ..layers import Array, Layer
from .passes import _outer, _rows

#: Numbers that the merged matrix of an end may hold (2**20 float64 are 8 MB): it bounds the directions at a time.
END_NUMBERS = 2**20

Pull = Callable[[Array], tuple[Array, ...]]


class Ring(NamedTuple):
    """The opened ring, its H nodes in the order in which tangents meet them; or the gradient in its parts.

    ``slopes[i]`` is φ′ at node i, (n, h_i). ``edges[i]`` leads into node i, ``edges[0]`` from the directions.
    ``exit`` (w, h_H) leads from the last node back to the directions, or is None where the directions are
    that node's own units.
    """

    slopes: list[Array]
    edges: list[Array]
    exit: Optional[Array]


def cut(sizes: Sequence[int]) -> int:
    """Where to cut: 0 for the input, m for hidden layer m. Multiplications per sample are counted, none tried.

    Each of d directions from the input meets W_2 … W_H; each of the h_m from layer m meets all of W_2 … W_H and P
    but the two beside it. (P itself is made once per call.)
    """
    hidden = list(sizes[1:-1])
    into = [a * b for a, b in zip(hidden[-1:] + hidden, hidden)]  # size of the edge into each node, P first
    costs = [sizes[0] * sum(into[1:])]
    for m, width in enumerate(hidden):
        costs.append(width * (sum(into) - into[m] - into[(m + 1) % len(into)]))
    return costs.index(min(costs))  # eq-5.16


def chunk(sizes: Sequence[int], at: int) -> int:
    """How many directions to carry at a time, so that the merged ends stay small."""
    nodes = rotate(sizes[1:-1], at)
    return max(1, min(sizes[at], END_NUMBERS // max(nodes[0] * nodes[1], nodes[-1] * nodes[-2])))


def open_ring(layers: Sequence[Layer], slopes: Sequence[Array], at: int) -> Ring:
    """The ring cut at ``at``: its nodes rotated so that the one that was cut comes last."""
    first, last = layers[0].weight, layers[-1].weight
    into = [first @ last if at else first, *(weight for weight, _ in layers[1:-1])]
    return Ring(rotate(slopes, at), rotate(into, at), None if at else last)


def trace_of_ring(ring: Ring, k: int) -> tuple[Array, Callable[[Array], Ring]]:
    """The trace (n,) and its pullback, k directions at a time.

    One chunk is kept for the pullback; where there are more, each is run again there, so that memory does not
    grow with w.
    """
    w = ring.edges[0].shape[1]
    chunks = [slice(start, min(start + k, w)) for start in range(0, w, k)]
    div, pull_first = _run(ring, chunks[0])
    for ks in chunks[1:]:
        div = div + _run(ring, ks)[0]

    def pullback(ddiv: Array) -> Ring:
        gradient = _zeros(ring, np.result_type(ddiv, *ring.slopes, *ring.edges))
        for ks in chunks:
            pull = pull_first if len(chunks) == 1 else _run(ring, ks)[1]
            pull(ddiv, gradient)
        return gradient

    return div, pullback


def _run(ring: Ring, ks: slice) -> tuple[Array, Callable[[Array, Ring], None]]:
    """The share of the directions ``ks`` in the trace, (n,), and a pullback that adds to a gradient."""
    slopes, edges, _ = ring
    first, pull_first = _end(*_first(ring, ks))
    u = [first]  # u[i] (n, k, h): the tangents on their way into node i + 1
    for slope, edge in zip(slopes[1:-2], edges[2:-1]):
        u.append(_rows(slope[:, None] * u[-1], edge.T))  # eq-5.18
    c, pull_last = _end(*_last(ring, ks))  # (n, k, h): the cotangents that leave the last node
    meet = np.einsum("nkh,nkh->nh", u[-1], c)

    def pull(ddiv: Array, gradient: Ring) -> None:
        dslopes, dedges, _ = gradient
        weight = ddiv[:, None] * slopes[-2]
        dslopes[-2] += ddiv[:, None] * meet
        _add(_last(gradient, ks), pull_last(weight[:, None] * u[-1]))
        du = weight[:, None] * c
        for i in reversed(range(1, len(slopes) - 2)):
            dedges[i + 1] += _outer(du, slopes[i][:, None] * u[i - 1])
            dt = _rows(du, edges[i + 1])
            dslopes[i] += np.einsum("nkh,nkh->nh", u[i - 1], dt)
            du = slopes[i][:, None] * dt  # eq-5.20
        _add(_first(gradient, ks), pull_first(du))

    return np.einsum("nh,nh->n", slopes[-2], meet), pull  # eq-5.19


def _first(ring: Ring, ks: slice) -> tuple[Array, ...]:
    """The slope and the two matrices of the end where tangents set out, as views of a ring or of its gradient."""
    return ring.slopes[0], ring.edges[0][:, ks], ring.edges[1].T


def _last(ring: Ring, ks: slice) -> tuple[Array, ...]:
    """The parts of the end that cotangents leave: slope and matrices, or the cut units' slopes and one matrix."""
    if ring.exit is None:
        return ring.slopes[-1][:, ks], ring.edges[-1][ks]
    return ring.slopes[-1], ring.exit[ks].T, ring.edges[-1]


def _end(slope: Array, *matrices: Array) -> tuple[Array, Pull]:
    """V[n, k, j] = Σ_i slope[n, i] A[i, k] B[i, j] and its pullback; without A, slope[n, k] B[k, j]."""
    if len(matrices) == 1:
        (B,) = matrices
        V = slope[:, :, None] * B
        return V, lambda dV: (np.einsum("nkj,kj->nk", dV, B), np.einsum("nkj,nk->kj", dV, slope))
    A, B = matrices
    shape = (*A.shape, B.shape[1])  # (i, k, j)
    K = (A[:, :, None] * B[:, None, :]).reshape(shape[0], -1)

    def pull(dV: Array) -> tuple[Array, ...]:
        flat = dV.reshape(len(dV), -1)
        dK = (slope.T @ flat).reshape(shape)
        return flat @ K.T, (dK @ B[:, :, None])[..., 0], (A[:, None, :] @ dK)[:, 0]

    return (slope @ K).reshape(len(slope), *shape[1:]), pull  # eq-5.17


def _add(parts: tuple[Array, ...], gradients: tuple[Array, ...]) -> None:
    for part, gradient in zip(parts, gradients):
        part += gradient


def _zeros(ring: Ring, dtype: np.dtype) -> Ring:
    slopes, edges = ([np.zeros(part.shape, dtype) for part in parts] for parts in ring[:2])
    return Ring(slopes, edges, None if ring.exit is None else np.zeros(ring.exit.shape, dtype))


def rotate(items: Sequence[Any], places: int) -> list[Any]:
    """The list from ``places`` on, then what was before."""
    return [*items[places:], *items[:places]]
