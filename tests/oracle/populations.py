"""Expectations of a linear score's losses under a Gaussian, and the constant of the theorem, by two routes.

Route 1: closed forms in rational numbers. Route 2: the loss of one sample, averaged over the 2k points
m ± √k Lᵢ of a Gaussian in k dimensions, which is exact for quadratics; differentiated by central differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import inf
from typing import Any

from . import densities, differences
from .integrals import Matrix, cholesky, eliminate, integrate
from .networks import half, sized_inverse, total
from .numbers import Sized

Vector = Sequence[Any]


def closed_form(
    operation: str, A: Matrix, b: Vector, mean: Vector, cov: Matrix, sigma: Any = None
) -> dict[str, Any]:
    """Route 1: loss and gradient in A and b of E½‖s‖² + tr A and the like, s = Ax + b, x ~ N(m, S).

    With c = Am + b: ISM is ½tr(ASAᵀ) + ½|c|² + tr A; ESM the same with R = A + S⁻¹ for A and without the
    trace; DSM is ISM with S + σ²I, plus d/2σ².
    """
    d, number = len(b), type(b[0])
    if operation == "population_dsm":
        cov = [[entry + sigma * sigma * (i == j) for j, entry in enumerate(row)] for i, row in enumerate(cov)]
    shift = (
        sized_inverse(cov) if operation == "population_esm" else [[Sized(number(0))] * d for _ in range(d)]
    )
    R = [[Sized(p) + q for p, q in zip(*rows)] for rows in zip(A, shift)]
    S, m = [[Sized(entry) for entry in row] for row in cov], [Sized(entry) for entry in mean]
    c = [total([*(Sized(a) * mj for a, mj in zip(row, m)), Sized(bi)]) for row, bi in zip(A, b)]
    RS = [[total(r * S[k][j] for k, r in enumerate(row)) for j in range(d)] for row in R]
    terms = [half(number) * p * q for left, right in zip(RS, R) for p, q in zip(left, right)]
    terms += [half(number) * ci * ci for ci in c]
    traced = operation != "population_esm"
    terms += [Sized(A[i][i]) for i in range(d)] if traced else []
    terms += [Sized(d / (2 * sigma * sigma))] if operation == "population_dsm" else []
    one, zero = Sized(number(1)), Sized(number(0))
    gradient = [
        total([RS[i][j], c[i] * m[j], *[one if i == j else zero] * traced])
        for i in range(d)
        for j in range(d)
    ]
    return {"loss": [total(terms)], "grad.A": gradient, "grad.b": c}


def by_cubature(
    operation: str, A: Matrix, b: Vector, mean: Vector, cov: Matrix, sigma: Any = None
) -> dict[str, Any]:
    """Route 2."""
    A, b = [list(row) for row in A], list(b)

    def score(x: Vector) -> list[Decimal]:
        return differences.network([(A, b)], None, x)

    def loss() -> Decimal:
        values = [differences.sample(operation[-3:], score, row)["per_sample"][0] for row in rows]
        return sum(values) / len(values)

    rows = _rows(operation, mean, cov, sigma)
    grad = [[differences.central(loss, vector, j) for j in range(len(b))] for vector in [*A, b]]
    return {"loss": [loss()], "grad.A": [entry for row in grad[:-1] for entry in row], "grad.b": grad[-1]}


def _rows(operation: str, mean: Vector, cov: Matrix, sigma: Any) -> list[dict[str, Any]]:
    """The points of the cubature as samples; for DSM in x and ε together, for ESM with p's score by differences."""
    d, L = len(mean), cholesky(cov)
    columns = [[L[i][k] for i in range(d)] for k in range(d)]
    directions = [(column, [Decimal(0)] * d) for column in columns]
    if operation == "population_dsm":
        directions += [([Decimal(0)] * d, [Decimal(int(i == k)) for i in range(d)]) for k in range(d)]
    reach = Decimal(len(directions)).sqrt()
    points = [
        ([m + sign * reach * u for m, u in zip(mean, v)], [sign * reach * u for u in noise])
        for v, noise in directions
        for sign in (1, -1)
    ]
    if operation == "population_dsm":
        return [
            {
                "x": [xi + sigma * e for xi, e in zip(x, noise)],
                "target": [-e / sigma for e in noise],
                "factor": 1,
            }
            for x, noise in points
        ]
    truth = densities.score_of(densities.log_density("gaussian", {"mean": mean, "cov": cov}, 2))
    esm = operation == "population_esm"
    return [{"x": x, "factor": 1, **({"target": truth(x)} if esm else {})} for x, _ in points]


def constant(density: str, p: dict[str, Any], route: int) -> Any:
    """−½ E‖∇log p‖²: `Sized` in closed form where there is one, or by integrals of squared differences of log p."""
    minus_half = Sized(Decimal("-0.5")) if route == 1 else Decimal("-0.5")
    if density == "product":
        informations = [
            _line_information(name, densities.numbered(p, j), route) for j, name in enumerate(p["factors"], 1)
        ]
        return minus_half * (total(informations) if route == 1 else sum(informations))
    if density == "gaussian_mixture":
        information = _mixture_information(p, route)
        return minus_half * (Sized(information) if route == 1 else information)
    loc, matrix = (p["mean"], p["cov"]) if density == "gaussian" else (p["loc"], p["scale_matrix"])
    if route == 1:
        precision, _ = eliminate(matrix)
        trace = total(Sized(precision[i][i]) for i in range(len(loc)))
        df, d = p.get("df"), len(loc)
        return minus_half * trace * Sized((df + d) / (df + d + 2) if df else Decimal(1))
    score = densities.score_of(densities.log_density(density, p, 2))
    columns = list(zip(*cholesky(matrix)))

    def square(r: Decimal) -> Decimal:
        """‖s‖², a quadratic form, at distance r: over the columns of L it averages to what a sphere gives."""
        at = [score([m + r * u for m, u in zip(loc, v)]) for v in columns]
        return sum(si * si for s in at for si in s) / len(at)

    if density == "gaussian":
        return minus_half * square(Decimal(len(loc)).sqrt())
    return minus_half * _radial_mean(square, p["df"], len(loc))


def _radial_mean(square: Callable[[Decimal], Decimal], df: Decimal, d: int) -> Decimal:
    def weight(r: Decimal) -> Decimal:
        return r ** (d - 1) * ((1 + r * r / df).ln() * (-(df + d) / 2)).exp()

    return integrate(lambda r: weight(r) * square(r), Decimal(0), inf) / integrate(weight, Decimal(0), inf)


def _line_information(name: str, p: dict[str, Any], route: int) -> Any:
    """E s² on the line."""
    if route == 2:
        return _integrated_information(name, p)
    if name == "exponential":
        return Sized(p["rate"] * p["rate"])
    if name == "uniform":
        return Sized(Decimal(0))
    b2 = Sized(1 / (p["scale"] * p["scale"]))
    if name != "truncated_gaussian":
        return b2 * Sized(Decimal(1) / (3 if name == "logistic" else 1))
    low, high = (
        (edge - p["loc"]) / p["scale"] if abs(edge) != inf else edge for edge in (p["low"], p["high"])
    )
    edges = [Sized(z * (-z * z / 2).exp()) if abs(z) != inf else Sized(Decimal(0)) for z in (low, -high)]
    mass = Sized(densities.MASSES[name](low, high))
    return b2 * (
        Sized(Decimal(1)) + total(edges) * mass.inverse()
    )  # E z² = 1 + (l e^{−l²/2} − h e^{−h²/2})/mass


def _mixture_information(p: dict[str, Any], route: int) -> Decimal:
    """E s² of a mixture on the line: ∫ p s² with the tape's s, or by parts −∫ p (log p)″, differences in two pieces."""
    f = densities.log_density("gaussian_mixture", p, route)
    middle = p["means"][0][0]

    def squared(x: Decimal) -> Decimal:
        return f([x]).exp() * densities.by_tape(f, [x])["score"][0].value ** 2

    def curved(x: Decimal) -> Decimal:
        return -f([x]).exp() * densities.by_differences(f, [x])["divergence"][0]

    if route == 1:
        return integrate(squared)
    return integrate(curved, -inf, middle) + integrate(curved, middle, inf)


def _integrated_information(name: str, p: dict[str, Any]) -> Decimal:
    """∫ p ((log p)′)², the derivative by a difference that never reaches over the kink of a Laplace."""
    f = densities.factor(name, p, 2)
    low, high = (Decimal(0), inf) if name == "exponential" else (p.get("low", -inf), p.get("high", inf))
    pieces = [(low, p["loc"]), (p["loc"], high)] if name == "laplace" else [(low, high)]

    def term(x: Decimal) -> Decimal:
        near = min(1, abs(x - p["loc"])) if name == "laplace" else 1
        h = near * Decimal(10) ** -differences.STEP_DIGITS
        return f(x).exp() * ((f(x + h) - f(x - h)) / (2 * h)) ** 2

    return sum(integrate(term, *piece) for piece in pieces)
