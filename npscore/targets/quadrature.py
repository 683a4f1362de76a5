"""Quadrature rules for expectations: one-dimensional rules, and their tensor products.

An expectation E f(x) becomes Σᵢ wᵢ f(xᵢ). The functions at hand are tanh networks and mixture scores:
analytic, but with poles a distance of order 1 from the real axis. For those a Gauss rule, made for
polynomials, wastes most of its nodes on the far tails, and the plain trapezoid rule wins, in the variable
itself (Gaussian) or after a change of variable that makes the tails fall double-exponentially.

Sources: Trefethen & Weideman 2014, "The exponentially convergent trapezoidal rule"; Trefethen 2022,
"Exactness of quadrature formulas"; Kazashi, Suzuki & Goda 2023, "Sub-optimality of Gauss–Hermite quadrature
and optimality of the trapezoidal rule for functions with finite smoothness"; Takahasi & Mori 1974, "Double
exponential formulas for numerical integration".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np

from .._run.borders import as_count

Array = np.ndarray

MAX_NODES = 5_000_000
MAX_GAUSS_HERMITE = 300  # numpy.polynomial's weights divide by zero not far above
MAX_GAUSS_LEGENDRE = 2000  # the roots are the eigenvalues of a dense matrix: O(order³)


class Quadrature(NamedTuple):
    """E f ≈ ``(weights * f(nodes)).sum()``: nodes ``(m, d)``, weights ``(m,)`` that sum to 1."""

    nodes: Array
    weights: Array


class Rule(NamedTuple):
    """The same in one dimension: nodes ``(m,)`` and weights ``(m,)``."""

    nodes: Array
    weights: Array


def as_order(order: Any, d: int, pieces: int = 1) -> int:
    """A whole number ≥ 2 whose tensor grid, ``pieces * order**d`` nodes, is not too large to build."""
    order = as_count(order, "order", minimum=2)
    if pieces * order**d > MAX_NODES:
        count = f"{order}**{d}" if pieces == 1 else f"{pieces} * {order}**{d}"
        raise _too_many(count, pieces * order**d)
    return order


def tensor(rules: Sequence[Rule]) -> Quadrature:
    """The product rule: the last dimension runs fastest; weights renormalised to sum to 1."""
    sizes = [len(rule.weights) for rule in rules]
    if math.prod(sizes) > MAX_NODES:
        raise _too_many(" * ".join(map(str, sizes)), math.prod(sizes))
    nodes = np.stack(np.meshgrid(*(rule.nodes for rule in rules), indexing="ij"), axis=-1)
    weights = reduce(np.multiply.outer, (rule.weights for rule in rules)).ravel()  # (m,)
    return Quadrature(nodes.reshape(weights.size, len(rules)), weights / weights.sum())


def trapezoid(log_density: Callable[[Array], Array], low: float, high: float, order: int) -> Rule:
    """The trapezoid rule on [low, high] for an unnormalised density that has died out at both ends."""
    nodes = np.linspace(low, high, order)  # (order,)
    with np.errstate(under="ignore"):
        log_weights = log_density(nodes)
        weights = np.exp(log_weights - log_weights.max())  # (order,)
    return Rule(nodes, weights / weights.sum())


@lru_cache(maxsize=64)
def gaussian_trapezoid(order: int) -> Rule:
    """E f(z), z ~ N(0, 1): the trapezoid rule on [−L, L].

    On f = 1 the mass cut off is about e^{−L²/2}, and the aliasing of the spacing h = 2L/(N−1) about
    2 e^{−2π²/h²}; they balance at L = √(π(N−1)). Past L = 9 nothing is left to cut off, and more nodes
    only refine: an f analytic in |Im z| < b is then right to about e^{−2πb/h}.
    """
    half_width = min(math.sqrt(math.pi * (order - 1)), 9.0)  # eq-1.18
    return _frozen(trapezoid(lambda z: -0.5 * z * z, -half_width, half_width, order))


@lru_cache(maxsize=64)
def gauss_hermite(order: int) -> Rule:
    """E f(z), z ~ N(0, 1), exact for polynomials of degree 2·order − 1; slow for tanh networks (eq-1.19)."""
    if order > MAX_GAUSS_HERMITE:
        raise ValueError(f"order must be <= {MAX_GAUSS_HERMITE} for rule='gauss-hermite', got {order}")
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    return _frozen(Rule(nodes, weights / weights.sum()))  # eq-1.19


@lru_cache(maxsize=64)
def half_line(order: int) -> Rule:
    """E f(u), u ~ Exponential(1): the trapezoid rule in τ, u = exp(τ − e^{−τ}) (Takahasi & Mori 1974).

    Exact to rounding for polynomials up to degree 6 from order 60 on. Gauss–Laguerre has the higher
    degree but at order 100 is 10⁷ times further off on a tanh network, and overflows at order 200.
    """
    reach = math.log(tail_exponent(order))

    def log_density(tau: Array) -> Array:
        log_u = tau - np.exp(-tau)
        return -np.exp(log_u) + log_u + np.log1p(np.exp(-tau))  # density e^{-u}, Jacobian u (1 + e^{-τ})

    rule = trapezoid(log_density, -reach, reach, order)
    return _frozen(Rule(np.exp(rule.nodes - np.exp(-rule.nodes)), rule.weights))  # eq-1.20


@lru_cache(maxsize=64)
def logistic(order: int) -> Rule:
    """E f(z) for the standard logistic: the trapezoid rule in τ, z = sinh τ."""
    reach = math.asinh(tail_exponent(order))

    def log_density(tau: Array) -> Array:
        z = np.sinh(np.abs(tau))
        return -z - 2 * np.log1p(np.exp(-z)) + np.log(np.cosh(tau))

    rule = trapezoid(log_density, -reach, reach, order)
    return _frozen(Rule(np.sinh(rule.nodes), rule.weights))  # eq-1.21


@lru_cache(maxsize=64)
def gumbel(order: int) -> Rule:
    """E f(z) for the standard Gumbel: the trapezoid rule in τ, z = τ + e^τ.

    On the left the density falls double-exponentially by itself and z ≈ τ; on the right z ≈ e^τ makes it.
    """
    reach = math.log(tail_exponent(order))

    def log_density(tau: Array) -> Array:
        z = tau + np.exp(tau)
        return -z - np.exp(-z) + np.log1p(np.exp(tau))

    rule = trapezoid(log_density, -reach, reach, order)
    return _frozen(Rule(rule.nodes + np.exp(rule.nodes), rule.weights))  # eq-1.22


@lru_cache(maxsize=64)
def gauss_legendre(order: int) -> Rule:
    """E f(u), u uniform on [−1, 1], exact for polynomials of degree 2·order − 1 (eq-1.24)."""
    return _frozen(Rule(*(array.astype(np.float64) for array in legendre(order))))


@lru_cache(maxsize=64)
def legendre(order: int) -> Rule:
    """The same in longdouble: nodes cos θₖ, P_N(cos θₖ) = 0, weights 1/(dP_N/dθ)², by Newton's method in θ.

    In θ the nodes crowd nowhere, and the weights next to ±1 keep all digits; numpy.polynomial's lose four at order 128.
    """
    if order > MAX_GAUSS_LEGENDRE:
        raise ValueError(f"order must be <= {MAX_GAUSS_LEGENDRE} for Gauss–Legendre, got {order}")
    theta = np.pi * (np.arange(1, (order + 1) // 2 + 1, dtype=np.longdouble) - 0.25) / (order + 0.5)
    for _ in range(5):
        value, slope = _legendre(order, theta)
        theta = theta - value / slope
    nodes, weights = np.cos(theta), 1 / _legendre(order, theta)[1] ** 2
    nodes[order // 2 :] = 0.0  # the middle node of an odd order
    both = slice(None, order // 2)
    nodes = np.concatenate([-nodes, nodes[both][::-1]])
    weights = np.concatenate([weights, weights[both][::-1]])
    return _frozen(Rule(nodes, weights / weights.sum()))


def _legendre(order: int, theta: Array) -> tuple[Array, Array]:
    """P_N(cos θ) and its derivative in θ, by (j + 1)(P_{j+1} − P_j) = j (P_j − P_{j−1}) − (2j + 1)(1 − cos θ) P_j."""
    versine = 2 * np.sin(0.5 * theta) ** 2  # 1 − cos θ
    value, difference = np.ones_like(theta), np.zeros_like(theta)  # P_j, P_j − P_{j−1}
    for j in range(order):
        difference = (j * difference - (2 * j + 1) * versine * value) / (j + 1)
        value = value + difference
    return value, order * (difference - versine * value) / np.sin(theta)  # eq-1.32


def tail_exponent(order: int) -> float:
    """E such that a density is cut off where it has fallen to e^{−E}: no finer than the spacing resolves.

    In the double-exponential variables above, the aliasing at N nodes is below e^{−N} up to N = 50, and
    e^{−50} leaves room for the growth of a polynomial.
    """
    return float(min(order, 50))


def _too_many(count: str, total: int) -> ValueError:
    size = f"{total:,}" if total < 10**15 else f"about 1e{math.log10(total):.0f}"
    return ValueError(f"order must give at most {MAX_NODES:,} nodes, got {count} = {size}")


def _frozen(rule: Rule) -> Rule:
    for array in rule:
        array.setflags(write=False)
    return rule
