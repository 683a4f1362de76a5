"""The exact trace of an MLP's Jacobian and its gradient: closed forms where there are any, else a cut ring.

Each rule takes the layers and a forward pass and returns ``div`` (n,) and a pullback from ``ddiv`` (n,) to
the gradients in every W_l and the cotangents that reach each z_l. Biases enter only through z. The two
closed forms never hold anything of size n·d·h: d has gone into a matrix built from the weights alone. With
more hidden layers directions are carried round a ring (``ring``); ``trace_by_directions`` is the plain rule
for any depth, which all others are checked against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np

from ..layers import Array, Layer
from .passes import Forward, pull_tangents, push_tangents, times, unit_vectors
from .ring import chunk, cut, open_ring, rotate, trace_of_ring

TracePullback = Callable[[Array], tuple[list[Array], list[Array]]]


def trace(layers: Sequence[Layer], run: Forward) -> tuple[Array, TracePullback]:
    """tr J by the cheapest rule for this depth, in the widest type of parameters and rows throughout."""
    if layers[0].weight.dtype != run.s.dtype:
        layers = [Layer(weight.astype(run.s.dtype), bias) for weight, bias in layers]
    rules = {1: trace_by_directions, 2: trace_one_hidden, 3: trace_two_hidden}
    return rules.get(len(layers), trace_by_ring)(layers, run)


def directions(sizes: Sequence[int]) -> int:
    """How many directions a row of the rule for these widths (d, h_1, …, d) carries at a time."""
    return 1 if len(sizes) <= 4 else chunk(sizes, cut(sizes))


def trace_one_hidden(layers: Sequence[Layer], run: Forward) -> tuple[Array, TracePullback]:
    """One hidden layer, J = W₂ D W₁: the trace is a dot product of φ′(z₁) with diag(W₁ W₂)."""
    (W1, _), (W2, _) = layers
    slope = run.jets[0][1]  # (n, h)
    c = (W1 * W2.T).sum(axis=1)  # (h,)  diag(W₁ W₂)

    def pullback(ddiv: Array) -> tuple[list[Array], list[Array]]:
        dc = (ddiv @ slope)[:, None]  # (h, 1)
        dz = times(ddiv[:, None] * c, run.jets[0][2])  # (n, h)
        return [dc * W2.T, (dc * W1).T], [dz]  # eq-5.13

    return slope @ c, pullback  # eq-5.11


def trace_two_hidden(layers: Sequence[Layer], run: Forward) -> tuple[Array, TracePullback]:
    """Two hidden layers, J = W₃ D₂ W₂ D₁ W₁: a bilinear form φ′(z₂)ᵀ M φ′(z₁) with M = W₂ ∘ (W₁ W₃)ᵀ."""
    (W1, _), (W2, _), (W3, _) = layers
    slope1, slope2 = run.jets[0][1], run.jets[1][1]  # (n, h1), (n, h2)
    P = W3.T @ W1.T  # (h2, h1)
    M = W2 * P
    half = slope1 @ M.T  # (n, h2)

    def pullback(ddiv: Array) -> tuple[list[Array], list[Array]]:
        scaled = ddiv[:, None] * slope2  # (n, h2)
        dM = scaled.T @ slope1  # (h2, h1)
        dP = dM * W2
        dW = [dP.T @ W3.T, dM * P, W1.T @ dP.T]
        dz = [times(scaled @ M, run.jets[0][2]), times(ddiv[:, None] * half, run.jets[1][2])]
        return dW, dz  # eq-5.14

    return np.einsum("nh,nh->n", slope2, half), pullback  # eq-5.12


def trace_by_ring(
    layers: Sequence[Layer], run: Forward, at: Optional[int] = None
) -> tuple[Array, TracePullback]:
    """Three and more hidden layers: the ring of ``ring``, cut where it is cheapest, or ``at`` a given place."""
    sizes = _sizes(layers)
    at = cut(sizes) if at is None else at
    ring = open_ring(layers, [jet[1] for jet in run.jets], at)
    div, pull = trace_of_ring(ring, chunk(sizes, at))

    def pullback(ddiv: Array) -> tuple[list[Array], list[Array]]:
        dslopes, dinto, dlast = pull(ddiv)
        dslopes, dinto = rotate(dslopes, -at), rotate(dinto, -at)
        if at:  # through P = W_1 W_L
            dP = dinto[0]
            dinto[0], dlast = dP @ layers[-1].weight.T, layers[0].weight.T @ dP  # eq-5.21
        return [*dinto, dlast], [jet[2] * dslope for jet, dslope in zip(run.jets, dslopes)]

    return div, pullback


def trace_by_directions(layers: Sequence[Layer], run: Forward) -> tuple[Array, TracePullback]:
    """Any depth: tr J = Σ_k e_kᵀ J e_k, the d unit vectors pushed through together (the plain rule)."""
    q, tangents = push_tangents(layers, run, unit_vectors(layers[0].weight))
    div = np.broadcast_to(q.sum(axis=0), run.s.shape[:1]).copy()  # eq-5.5
    return div, lambda ddiv: pull_tangents(layers, run, tangents, ddiv[None, :])


def _sizes(layers: Sequence[Layer]) -> list[int]:
    return [layers[0].weight.shape[1], *(weight.shape[0] for weight, _ in layers)]
