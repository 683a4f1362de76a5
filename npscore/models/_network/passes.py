"""The network's forward and backward pass, and the same pass for directions: chapters 4 and 5 as code.

Dimensions: n samples, L affine layers, layer l maps h_{l-1} -> h_l (h_0 = h_L = d), k directions.
Every backward line is the transpose of one forward line, in reverse order. A cotangent ``dz`` has the
shape of ``z``. Directions ride on a leading axis: ``t`` is (k, n, h), or (k, 1, h) while all samples
still share them (the unit vectors of a trace, before the first activation).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple, Optional

import numpy as np

from ...activations import Activation
from ..layers import Array, Layer

NARROW, LARGE = 4, 2**16  # columns, numbers


class Forward(NamedTuple):
    """What the forward pass leaves: s (n, d), each layer's input a_{l-1}, each z_l's jet (φ, φ′, …)."""

    s: Array
    inputs: list[Array]
    jets: list[tuple[Array, ...]]


class Tangents(NamedTuple):
    """What pushing directions v through the Jacobian leaves behind.

    ``t[l]`` are the directions that enter layer l+1, ``u[l]`` what its W makes of them before φ′;
    ``r`` = W_Lᵀ v is the covector that comes from the other end of vᵀ J v. v and r may be (k, 1, ·).
    """

    v: Array
    t: list[Array]
    u: list[Array]
    r: Array


def forward(layers: Sequence[Layer], activation: Activation, x: Array, order: int) -> Forward:
    """Run the network, keeping φ and its first ``order`` derivatives at every hidden layer."""
    inputs, jets = [x], []
    for layer in layers[:-1]:
        jets.append(activation.unchecked_jet(affine(inputs[-1], layer), order))
        inputs.append(jets[-1][0])  # a_l = φ(z_l)      eq-4.2
    return Forward(affine(inputs[-1], layers[-1]), inputs, jets)  # s = z_L   eq-4.3


def score(layers: Sequence[Layer], activation: Activation, x: Array) -> Array:
    """s (n, d) alone: nothing is kept, φ takes the memory of its z."""
    for layer in layers[:-1]:
        x = activation.overwrite(affine(x, layer))
    return affine(x, layers[-1])


def affine(a: Array, layer: Layer) -> Array:
    """z = a Wᵀ + b, (n, fan_out). Where a is narrow and z large, b is W's last column: a pass over z is spared."""
    weight, bias = layer
    if a.shape[1] <= NARROW and len(a) * len(bias) >= LARGE:
        a = np.concatenate([a, np.ones((len(a), 1), a.dtype)], axis=1)  # (n, fan_in + 1)
        return a @ np.concatenate([weight, bias[:, None]], axis=1).T
    z = a @ weight.T  # (n, fan_out)                    eq-4.1
    z += bias
    return z


def backward(
    layers: Sequence[Layer], run: Forward, ds: Array, dz_extra: Optional[Sequence[Array]] = None
) -> list[Layer]:
    """Gradients in every (W_l, b_l) from ds, and from cotangents that reach z_l by another path."""
    gradients: list[Layer] = []
    ones = np.ones(len(ds), ds.dtype)
    dz = ds  # (n, d)                                   eq-4.4
    for l in reversed(range(len(layers))):
        gradients.append(Layer(dz.T @ run.inputs[l], ones @ dz))  # eq-4.5, eq-4.6
        if l > 0:
            da = dz @ layers[l].weight  # (n, h_l)      eq-4.7
            dz = times(da, run.jets[l - 1][1])  #       eq-4.8
            if dz_extra is not None:
                dz = plus(dz, dz_extra[l - 1])
    return gradients[::-1]


def ravel(gradients: Sequence[Layer], dW: Sequence[Array] = ()) -> Array:
    """One flat gradient from the layers' gradients, those through the Jacobian (weights only) added."""
    parts = []
    for (weight, bias), more in zip_longest(gradients, dW, fillvalue=None):
        if more is not None:
            weight = weight.astype(np.result_type(weight, more), copy=False)
            weight[:, : more.shape[1]] += more  # eq-5.23: of the first weight, the columns of x only
        parts += [weight.ravel(), bias]
    return np.concatenate(parts)


def times(own: Array, other: Array) -> Array:
    """``own * other``, in the memory of ``own``, which is used nowhere else, where both are of one type."""
    return np.multiply(own, other, out=own if own.dtype == other.dtype else None)


def plus(own: Array, other: Array) -> Array:
    """``own + other``, in the memory of ``own`` like `times`."""
    return np.add(own, other, out=own if own.dtype == other.dtype else None)


def push_tangents(layers: Sequence[Layer], run: Forward, v: Array) -> tuple[Array, Tangents]:
    """The quadratic forms vᵀ J v, shape (k, n), of directions v of shape (k, n, d) or (k, 1, d)."""
    t, u = [v], []
    for (weight, _), jet in zip(layers[:-1], run.jets):
        u.append(_rows(t[-1], weight.T))  # u_l = W_l t_{l-1}    eq-5.2
        t.append(jet[1] * u[-1])  #         t_l = φ′(z_l) ∘ u_l  eq-5.3
    r = _rows(v, layers[-1].weight)  #      r = W_Lᵀ v
    q = (r * t[-1]).sum(axis=-1)  #         q = vᵀ W_L t_{L-1}   eq-5.4
    return q, Tangents(v, t, u, r)


def pull_tangents(
    layers: Sequence[Layer], run: Forward, tangents: Tangents, dq: Array
) -> tuple[list[Array], list[Array]]:
    """Transpose of ``push_tangents``: gradients in every W_l, and the cotangents that reach each z_l.

    ``dq`` is (k, n) or, where all directions share it, (1, n). φ″ enters here and only here: the trace
    depends on z_l through φ′(z_l) alone.
    """
    v, t, u, r = tangents
    scaled = dq[..., None] * t[-1]  # (k, n, h_{L-1})
    dW = [_outer(v, scaled)]  #           du_L = dq v,  dW_L = du_Lᵀ t_{L-1}   eq-5.6, eq-5.7
    dt = dq[..., None] * r  #             dt_{L-1} = W_Lᵀ du_L                 eq-5.8
    dz = []
    for l in reversed(range(len(layers) - 1)):
        _, slope, curvature = run.jets[l][:3]
        dz.append(curvature * (u[l] * dt).sum(axis=0))  # dz_l += φ″ ∘ Σ_k u ∘ dt   eq-5.10
        du = slope * dt  #                                du_l = φ′(z_l) ∘ dt_l     eq-5.9
        dW.append(_outer(du, t[l]))  #                    dW_l += du_lᵀ t_{l-1}     eq-5.7
        if l > 0:
            dt = _rows(du, layers[l].weight)  #           dt_{l-1} = W_lᵀ du_l      eq-5.8
    return dW[::-1], dz[::-1]


def push_jacobian(layers: Sequence[Layer], run: Forward) -> Array:
    """The whole Jacobian J = W_L D_{L-1} W_{L-1} … D_1 W_1, shape (n, d, d), column by column."""
    t = unit_vectors(layers[0].weight)  # (d, 1, d)
    for (weight, _), jet in zip(layers[:-1], run.jets):
        t = jet[1] * _rows(t, weight.T)  # eq-5.1
    columns = _rows(t, layers[-1].weight.T)  # (d, n, d): columns[j, n, i] = ∂sᵢ/∂xⱼ
    n, d = run.s.shape
    return np.ascontiguousarray(np.broadcast_to(columns, (d, n, d)).transpose(1, 2, 0))


def unit_vectors(weight: Array) -> Array:
    """The directions e_1 … e_d whose quadratic forms sum to the trace, shape (d, 1, d)."""
    return np.eye(weight.shape[1], dtype=weight.dtype)[:, None, :]


def _rows(t: Array, matrix: Array) -> Array:
    """``t @ matrix`` over all k·n rows in one matrix product."""
    return (t.reshape(-1, t.shape[-1]) @ matrix).reshape(*t.shape[:-1], matrix.shape[1])


def _outer(left: Array, right: Array) -> Array:
    """Σ_{k,n} left[k, n, :]ᵀ right[k, n, :], where either may be shared by all samples, (k, 1, ·)."""
    if left.shape[1] != right.shape[1]:
        left, right = (a.sum(axis=1, keepdims=True) for a in (left, right))
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])
