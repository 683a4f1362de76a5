"""The exact Laplacian of a network's energy and its gradient, made fast: ΔE = Σ_l g_l · (φ″ ∘ ‖∇z_l‖²).

Directions enter only through the squared lengths of the gradients ∇_x z_{l,i} = (∂z_{l,i}/∂x_1, …, ∂z_{l,i}/∂x_d), one
number a unit and row. In the first hidden layer they are the rows of W₁: nothing is carried anywhere. Further up they
are carried as d directions, or as h_1 where that is fewer, since lengths do not see a rotation of x. At the first
step, one slope stands between two matrices that all samples share; where rows are many, these are merged (`ring`'s
``_end``).

``laplacian`` returns what `energy`'s ``laplacian_by_directions`` returns, the plain rule that it is checked against.

Dimensions: n samples, H hidden layers, w directions, k of them at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np

from ..layers import Array, Layer
from .energy import Descent, SecondOrder, descend, pull, unit_curvatures
from .passes import Forward, _outer, _rows, plus, times
from .ring import _end

#: Numbers that the merged matrix of the first step may hold (2**22 float64 are 32 MB): it bounds the directions at a
#: time.
FIRST_NUMBERS = 2**22
#: From so many rows on, as a share of h_2, the merged matrix is worth making.
MERGED_FROM = 0.5

Pull = Callable[[Sequence[Array]], tuple[list[Array], list[Array]]]
PullBoth = Callable[[Array, Array], tuple[list[Layer], list[Array]]]


def laplacian(
    layers: Sequence[Layer], run: Forward, down: Descent
) -> tuple[Array, Callable[[Array], SecondOrder]]:
    """div s = −ΔE, (n,), and what its cotangent hands to `energy`'s ``pull``."""
    squares, pull_squares = squared_gradients(layers, run)
    curvatures = unit_curvatures(run, down)  # (n, h_l)
    div = -sum(_dot(c, N) for c, N in zip(curvatures, squares))  # eq-15.5

    def pullback(ddiv: Array) -> SecondOrder:
        dN = [-ddiv[:, None] * c for c in curvatures]
        return SecondOrder([-ddiv[:, None] * N for N in squares], *pull_squares(dN))

    return div, pullback


def divergence_vjp(layers: Sequence[Layer], run: Forward) -> tuple[Array, Array, PullBoth]:
    """s (n, d), div s (n,), and ``pullback(ds, ddiv)``, which returns what `energy`'s ``pull`` returns."""
    if len(layers) == 2:
        return one_hidden(layers, run)
    down = descend(layers, run)
    div, second_order = laplacian(layers, run, down)
    return down.s, div, lambda ds, ddiv: pull(layers, run, down, ds, second_order(ddiv))


def one_hidden(layers: Sequence[Layer], run: Forward) -> tuple[Array, Array, PullBoth]:
    """s, div and the whole pullback with one hidden layer, all that is shared by the rows multiplied beforehand.

    No array of the size of the batch has a further side of d.
    """
    (W, _), (w, _) = layers
    _, slope, curve, third = run.jets[0]
    w, V = w[0], w.T * W  # (h,), (h, d): V_ij = w_i W_ij
    N = np.einsum("hd,hd->h", W, W)  # (h,)

    def pullback(ds: Array, ddiv: Array) -> tuple[list[Layer], list[Array]]:
        p, curved = -ds, ddiv @ curve  # (n, d), (h,): Σ_n ddiv φ″
        along = slope.T @ p  # (h, d)
        dw = np.einsum("hd,hd->h", along, W) - N * curved
        dz = times(p @ V.T, curve)
        dz = plus(dz, times(np.multiply.outer(-ddiv, w * N), third))  # (n, h)   eq-15.11
        dW = w[:, None] * along - 2 * (w * curved)[:, None] * W
        gradients = [Layer(dz.T @ run.inputs[0], dz.sum(axis=0)), Layer(dw[None, :], np.zeros(1, dw.dtype))]
        return gradients, [dW]

    return -(slope @ V), -(curve @ (w * N)), pullback


def squared_gradients(layers: Sequence[Layer], run: Forward) -> tuple[list[Array], Pull]:
    """N_l = ‖∇_x z_l‖², (1, h_1) and (n, h_l), and a pullback to the gradients in W_1 … W_H and in each φ′(z_l)."""
    W1 = layers[0].weight
    first = np.einsum("hd,hd->h", W1, W1)[None, :]  # eq-15.11
    slopes = [jet[1] for jet in run.jets]
    further, pull_further = _carried(layers, slopes)

    def pullback(dN: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        dW, dslopes = pull_further(dN)
        own = 2 * dN[0].sum(axis=0)[:, None] * W1  # eq-15.11
        return [dW[0] + own, *dW[1:]], dslopes

    return [first, *further], pullback


def directions(sizes: Sequence[int]) -> int:
    """How many directions a row carries at a time in a network of these widths (d, h_1, …, h_H, 1)."""
    return 0 if len(sizes) < 4 else min(*sizes[:2], _at_a_time(sizes[1], sizes[2]))


def _at_a_time(h_1: int, h_2: int) -> int:
    return max(1, FIRST_NUMBERS // (h_1 * h_2))


def _carried(layers: Sequence[Layer], slopes: Sequence[Array]) -> tuple[list[Array], Pull]:
    """N_2 … N_H, and a pullback to the gradients in W_1 … W_H and the slopes, k directions at a time.

    One chunk of directions is kept for the pullback; where there are more, each is run again there, so that memory
    does not grow with w.
    """
    weights = [weight for weight, _ in layers[:-1]]
    if len(weights) == 1:
        return [], lambda dN: ([np.zeros_like(weights[0])], [None])
    turned, turn_back = narrowed(weights[0])
    weights = [turned, *weights[1:]]
    w, k = turned.shape[1], _at_a_time(*weights[1].shape)
    chunks = [slice(start, min(start + k, w)) for start in range(0, w, k)]
    squares, pull_first = _climb(weights, slopes, chunks[0])
    for ks in chunks[1:]:
        squares = [sum(parts) for parts in zip(squares, _climb(weights, slopes, ks)[0])]

    def pullback(dN: Sequence[Array]) -> tuple[list[Array], list[Optional[Array]]]:
        dW = [np.zeros(weight.shape, dN[0].dtype) for weight in weights]
        dslopes = [np.zeros(slope.shape, dN[0].dtype) for slope in slopes[:-1]]
        for ks in chunks:
            pull = pull_first if len(chunks) == 1 else _climb(weights, slopes, ks)[1]
            pull(dN, dW, dslopes)
        return [turn_back(dW[0]), *dW[1:]], [*dslopes, None]

    return squares, pullback


def _climb(
    weights: Sequence[Array], slopes: Sequence[Array], ks: slice
) -> tuple[list[Array], Callable[..., None]]:
    """The share of the directions ``ks`` in N_2 … N_H, and a pullback that adds to gradients."""
    start, pull_start = _start(slopes[0], weights[0][:, ks], weights[1].T)
    u = [start]  # u[i] (n, k, h): what W_{i+2} makes of the directions    eq-5.2, eq-5.3
    for slope, weight in zip(slopes[1:], weights[2:]):
        u.append(_rows(slope[:, None] * u[-1], weight.T))

    def pull(dN: Sequence[Array], dW: list[Array], dslopes: list[Array]) -> None:
        du = 2 * dN[-1][:, None] * u[-1]
        for i in reversed(range(len(u) - 1)):
            slope = slopes[i + 1][:, None]
            dW[i + 2] += _outer(du, slope * u[i])  # eq-15.9
            dt = _rows(du, weights[i + 2])
            dslopes[i + 1] += np.einsum("nkh,nkh->nh", u[i], dt)  # eq-15.8
            du = slope * dt + 2 * dN[i + 1][:, None] * u[i]  # eq-15.7
        dslope, dfirst, dsecond = pull_start(du)
        dslopes[0] += dslope
        dW[0][:, ks] += dfirst
        dW[1] += dsecond.T

    return [np.einsum("nkh,nkh->nh", part, part) for part in u], pull


def _start(slope: Array, A: Array, B: Array) -> tuple[Array, Callable[[Array], tuple[Array, ...]]]:
    """V[n, k, j] = Σ_i slope[n, i] A[i, k] B[i, j] and its pullback; for few rows A and B one after the other."""
    if len(slope) >= MERGED_FROM * B.shape[1]:
        return _end(slope, A, B)
    t = slope[:, None] * A.T  # (n, k, i)

    def pull(dV: Array) -> tuple[Array, ...]:
        dt = _rows(dV, B.T)
        return np.einsum("nki,ik->ni", dt, A), np.einsum("nki,ni->ik", dt, slope), _outer(t, dV)

    return _rows(t, B), pull


def narrowed(weight: Array) -> tuple[Array, Callable[[Array], Array]]:
    """W₁ (h, d) in coordinates of x in which at most h columns are not zero, and its gradient turned back.

    W₁ = R Qᵀ with orthonormal columns Q (d, h): ‖∇z‖² is made of W₁W₁ᵀ = R Rᵀ alone, so R takes W₁'s place, and
    dW₁ = dR Qᵀ. Where d is not larger, or the type is none of LAPACK's or complex, W₁ is left as it is.
    """
    if weight.shape[1] <= weight.shape[0] or weight.dtype not in (np.float32, np.float64):
        return weight, lambda gradient: gradient
    Q, R = np.linalg.qr(weight.T)
    return np.ascontiguousarray(R.T), lambda gradient: gradient @ Q.T  # eq-15.13


def _dot(a: Array, b: Array) -> Array:
    """Σ_j a_nj b_nj, (n,), where b may be (1, h), the same for all rows."""
    return a @ b[0] if len(b) == 1 else np.einsum("nh,nh->n", a, b)
