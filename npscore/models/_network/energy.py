"""The score of a network's energy, its curvature along directions, and their gradients: chapter 15 as code.

E(x) = w·a_H + b is a network with one output and H hidden layers, and s = −∇E. Everything below differentiates E once
more than `passes` differentiates a score: φ′ makes s, φ″ makes vᵀ J v, and φ‴ its gradient.

Dimensions: n samples, layer l maps h_{l-1} -> h_l (h_0 = d), k directions. ``layers`` are those of x: of the first
weight, the columns of x only. Directions ride on a leading axis, as in `passes`: ``t`` is (k, n, h), or (k, 1, h) while
all samples share them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

import numpy as np

from ..layers import Array, Layer
from .passes import Forward, _outer, _rows, plus, times, unit_vectors


class Descent(NamedTuple):
    """The way down from the energy: s (n, d), and in each hidden layer ∂E/∂a_l, (n, h_l), and ∂E/∂z_l, (n, h_l).

    ``g[-1]`` is w itself, (1, h_H), which all samples share.
    """

    s: Array
    g: list[Array]
    slopes: list[Array]


class SecondOrder(NamedTuple):
    """What the cotangent κ of curvatures q = vᵀ J v hands to `pull`: the gradient of Σ κ q along the directions.

    ``Q[l]`` = −Σ_k κ_k u_{l,k}² is (n, h_l); ``dW[l]`` the gradient in W_l, and ``dslopes[l]`` that in φ′(z_l),
    (n, h_l), or None for 0.
    """

    Q: list[Array]
    dW: list[Array]
    dslopes: list[Optional[Array]]


def descend(layers: Sequence[Layer], run: Forward) -> Descent:
    """s = −∇E, with what every layer sees of it on the way."""
    g, slopes = [layers[-1].weight], []  #     g_H = w
    for layer, jet in zip(layers[-2::-1], run.jets[::-1]):
        slopes.append(jet[1] * g[-1])  #       dE/dz_l = φ′ ∘ g_l            eq-15.2
        g.append(slopes[-1] @ layer.weight)  # g_{l-1} = W_lᵀ dE/dz_l        eq-15.3
    return Descent(-g.pop(), g[::-1], slopes[::-1])  # s = −g_0              eq-15.1


def push(layers: Sequence[Layer], run: Forward, v: Array) -> tuple[list[Array], list[Array]]:
    """Directions v, (k, n, d) or (k, 1, d), pushed up: what enters each hidden layer, and what W_l makes of it."""
    t, u = [v], [_rows(v, layers[0].weight.T)]
    for (weight, _), jet in zip(layers[1:-1], run.jets):
        t.append(jet[1] * u[-1])  #         t_l = φ′ ∘ u_l      eq-5.3
        u.append(_rows(t[-1], weight.T))  # u_l = W_l t_{l-1}   eq-5.2
    return t, u


def unit_curvatures(run: Forward, down: Descent) -> list[Array]:
    """What a squared direction counts in every hidden layer, g_l ∘ φ″, (n, h_l)."""
    return [g * jet[2] for g, jet in zip(down.g, run.jets)]


def curvature(curvatures: Sequence[Array], u: Sequence[Array]) -> Array:
    """The quadratic forms q = vᵀ J v = −vᵀ ∇²E v of the directions, (k, n)."""
    layers = [np.einsum("nh,knh,knh->kn", c, u_l, u_l) for c, u_l in zip(curvatures, u)]
    return -sum(layers)  # q = −Σ_l Σ_j g_l φ″ u_l²             eq-15.4


def pull_directions(
    layers: Sequence[Layer],
    run: Forward,
    curvatures: Sequence[Array],
    t: Sequence[Array],
    u: Sequence[Array],
    dq: Array,
) -> SecondOrder:
    """The gradient of Σ dq·q that reaches weights and slopes along the directions; ``dq`` is (k, n) or (1, n)."""
    dW, dslopes = [], []
    dt = None
    for l in reversed(range(len(u))):
        du = -2 * dq[..., None] * (curvatures[l] * u[l])
        if dt is not None:
            dslopes.append(np.einsum("knh,knh->nh", dt, u[l]))
            du = plus(du, times(dt, run.jets[l][1]))  # du_l = φ′ ∘ dt_l − 2 dq g_l ∘ φ″ ∘ u_l       eq-15.7
        dW.append(_outer(du, t[l]))  #                  dW_l = Σ_k du_kᵀ t_{l-1,k}                  eq-15.9
        if l > 0:
            dt = _rows(du, layers[l].weight)  #         dt_{l-1} = W_lᵀ du_l
    Q = [-np.einsum("kn,knh,knh->nh", dq, u_l, u_l) for u_l in u]
    return SecondOrder(Q, dW[::-1], [*dslopes[::-1], None])


def laplacian_by_directions(
    layers: Sequence[Layer], run: Forward, down: Descent
) -> tuple[Array, Callable[[Array], SecondOrder]]:
    """Any depth: div s = −ΔE as the sum of d quadratic forms, the unit vectors pushed up together (the plain rule)."""
    t, u = push(layers, run, unit_vectors(layers[0].weight))
    curvatures = unit_curvatures(run, down)
    div = curvature(curvatures, u).sum(axis=0)  # eq-15.5
    return div, lambda ddiv: pull_directions(layers, run, curvatures, t, u, ddiv[None, :])


def pull(
    layers: Sequence[Layer], run: Forward, down: Descent, ds: Array, second: Optional[SecondOrder] = None
) -> tuple[list[Layer], list[Array]]:
    """The gradient of Σ ds·s + Σ dq·q: that in every (W_l, b_l), and what is added to the weights' columns of x.

    Both are derivatives of E: Σ ds·s = Σ (−ds)·∇E is the first along −ds, and each q, a second, enters p_l as Q_l. So
    p goes up once, Σ w·p_H is the sum, and ∂/∂p_l of it is g_l, which is there already.
    """
    p, y = [-ds], []
    for l, jet in enumerate(run.jets):
        y.append(p[-1] @ layers[l].weight.T)  #    y_l = W_l p_{l-1}
        p.append(jet[1] * y[-1])  #                p_l = φ′ ∘ y_l + φ″ ∘ Q_l                      eq-15.6
        if second is not None:
            p[-1] = plus(p[-1], jet[2] * second.Q[l])
    ones = np.ones(len(ds), ds.dtype)
    gradients = [Layer((ones @ p[-1])[None, :], np.zeros(1, p[-1].dtype))]  # dw = Σ p_H
    more, da = [], None
    for l, jet in reversed(list(enumerate(run.jets))):
        dz = _across(jet, down.g[l], y[l], second, l)
        if da is not None:
            dz = plus(dz, times(da, jet[1]))  #    … + φ′ ∘ da_l                                  eq-15.8
        gradients.append(Layer(dz.T @ run.inputs[l], ones @ dz))  # dW_l = dz_lᵀ a_{l-1} + …      eq-15.9
        along = down.slopes[l].T @ p[l]  #         … + (dE/dz_l)ᵀ p_{l-1} + Σ_k du_kᵀ t_{l-1,k}   eq-15.9
        more.append(along if second is None else along + second.dW[l])
        if l > 0:
            da = dz @ layers[l].weight  #          da_{l-1} = W_lᵀ dz_l
    return gradients[::-1], more[::-1]


def _across(jet: Sequence[Array], g: Array, y: Array, second: Optional[SecondOrder], l: int) -> Array:
    """What reaches z_l = W_l a_{l-1} + b_l through its own derivatives: φ″ and φ‴ enter here and only here."""
    dz = jet[2] * y
    if second is not None:
        dz = plus(dz, jet[3] * second.Q[l])
    dz = times(dz, g)  # dz_l = g_l ∘ (φ″ ∘ y_l + φ‴ ∘ Q_l) + φ″ ∘ Σ_k dt_k u_k + …               eq-15.8
    if second is not None and second.dslopes[l] is not None:
        dz = plus(dz, jet[2] * second.dslopes[l])
    return dz


def push_jacobian(layers: Sequence[Layer], run: Forward) -> Array:
    """The whole Jacobian J = −∇²E = −Σ_l U_lᵀ diag(g_l φ″) U_l, U_l = ∂z_l/∂x, shape (n, d, d): symmetric."""
    down = descend(layers, run)
    _, u = push(layers, run, unit_vectors(layers[0].weight))  # u[l][k, n, j] = ∂z_{l,nj}/∂x_k
    n, d = down.s.shape
    J = np.zeros((n, d, d), down.s.dtype)
    for c, u_l in zip(unit_curvatures(run, down), u):
        U = np.broadcast_to(u_l, (d, n, u_l.shape[-1])).transpose(1, 0, 2)  # (n, d, h_l)
        J -= (U * c[:, None, :]) @ U.transpose(0, 2, 1)  # eq-15.10
    return J
