"""Log densities, each written once for plain decimals and for the tape, and what both routes make of them.

Route 1: the score is the reverse pass of log p, its divergence the ε parts of it along each axis. Route 2:
first and second central differences of log p. Normalisers: closed forms in route 1; in route 2 the integral of
the density, and determinants by Leibniz.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, getcontext
from fractions import Fraction
from functools import cache, lru_cache
from math import comb, inf
from typing import Any

from . import functions
from .differences import STEP_DIGITS
from .integrals import cramer, eliminate, integrate
from .networks import total
from .numbers import Sized, Variable, dual, reverse

Parameters = dict[str, Any]
LogDensity = Callable[[Sequence[Any]], Any]


def log_density(density: str, p: Parameters, route: int) -> LogDensity:
    """log p as a function of a list of numbers, plain or variables; ``p`` as the case's parameters."""
    if density == "product":
        factors = [factor(name, numbered(p, j + 1), route) for j, name in enumerate(p["factors"])]
        return lambda x: sum((f(xj) for f, xj in zip(factors[1:], x[1:])), factors[0](x[0]))
    if density == "gaussian":
        return _gaussian(p["mean"], p["cov"], route)
    if density == "student_t":
        return _student_t(p["loc"], p["scale_matrix"], p["df"], route)
    parts = [_gaussian(mean, cov, route) for mean, cov in zip(p["means"], p["covs"])]
    shares = p["mixture_weights"]

    def mixture(x: Sequence[Any]) -> Any:
        first, *rest = (f(x).exp() * share for f, share in zip(parts, shares))
        return sum(rest, first).ln()

    return mixture


def smoothed(density: str, p: Parameters, sigma: Decimal) -> Parameters:
    """The parameters of the density of x + σz: every covariance plus σ²I."""

    def wider(cov: Any) -> Any:
        return [[c + sigma * sigma * (i == j) for j, c in enumerate(row)] for i, row in enumerate(cov)]

    if density == "gaussian":
        return {**p, "cov": wider(p["cov"])}
    return {**p, "covs": [wider(cov) for cov in p["covs"]]}


def by_tape(f: LogDensity, x: Sequence[Decimal]) -> dict[str, list[Sized]]:
    """Route 1: log_prob, score and divergence at one point."""
    one, zero, columns = Sized(Decimal(1)), Sized(Decimal(0)), []
    for k in range(len(x)):
        variables = [Variable(dual(xi, int(i == k))) for i, xi in enumerate(x)]
        value = f(variables)
        columns.append(reverse([value], [one], variables))
    score = [g.re for g in columns[0]]
    divergence = total(columns[k][k].du for k in range(len(x)))
    return {"log_prob": [value.value.re + zero], "score": score, "divergence": [divergence]}


def by_differences(f: LogDensity, x: Sequence[Decimal]) -> dict[str, list[Decimal]]:
    """Route 2: the same from log p at x and at two points either side of it on each axis."""
    h, here = Decimal(10) ** -STEP_DIGITS, f(x)
    ahead = [f([xi + h * (i == k) for i, xi in enumerate(x)]) for k in range(len(x))]
    behind = [f([xi - h * (i == k) for i, xi in enumerate(x)]) for k in range(len(x))]
    score = [(p - q) / (2 * h) for p, q in zip(ahead, behind)]
    return {
        "log_prob": [here],
        "score": score,
        "divergence": [sum(p - 2 * here + q for p, q in zip(ahead, behind)) / h**2],
    }


def score_of(f: LogDensity) -> Callable[[Sequence[Decimal]], list[Decimal]]:
    """The score by central differences, as a function."""
    return lambda x: by_differences(f, x)["score"]


def _quadratic(mean: Sequence[Decimal], precision: Any) -> LogDensity:
    """(x − μ)ᵀ P (x − μ)."""

    def form(x: Sequence[Any]) -> Any:
        y = [xi - mi for xi, mi in zip(x, mean)]
        rows = [sum((yj * c for yj, c in zip(y[1:], row[1:])), y[0] * row[0]) for row in precision]
        return sum((yi * ri for yi, ri in zip(y[1:], rows[1:])), y[0] * rows[0])

    return form


def _gaussian(mean: Sequence[Decimal], cov: Any, route: int) -> LogDensity:
    precision, det = (eliminate if route == 1 else cramer)(cov)
    whole = (Decimal(0), -inf, inf, getcontext().prec)
    mass = (2 * functions.pi()).sqrt() if route == 1 else _mass("normal", *whole)
    constant, form = len(mean) * mass.ln() + det.ln() / 2, _quadratic(mean, precision)
    return lambda x: form(x) * Decimal("-0.5") - constant


def _student_t(loc: Sequence[Decimal], scale_matrix: Any, df: Decimal, route: int) -> LogDensity:
    precision, det = (eliminate if route == 1 else cramer)(scale_matrix)
    d, form = len(loc), _quadratic(loc, precision)
    mass = _t_mass_closed(df, d) if route == 1 else _t_mass_radial(df, d, getcontext().prec)
    constant, power = mass.ln() + det.ln() / 2, -(df + d) / 2
    return lambda x: (form(x) / df + 1).ln() * power - constant


def factor(name: str, p: Parameters, route: int) -> Callable[[Any], Any]:
    """log of a density on the line."""
    exponential = name == "exponential"
    low, high = (Decimal(0), inf) if exponential else (p.get("low", -inf), p.get("high", inf))
    loc, b = p.get("loc", Decimal(0)), 1 / p["rate"] if exponential else p.get("scale", Decimal(1))
    edges = [edge if abs(edge) == inf else (edge - loc) / b for edge in (low, high)]
    mass = MASSES[name](*edges) if route == 1 else _mass(name, Decimal(0), *edges, getcontext().prec)
    kernel, constant = KERNELS[name], (b * mass).ln()
    return lambda x: kernel((x - loc) / b) - constant


#: log f(z) of the standard density, without its normaliser
KERNELS: dict[str, Callable[[Any], Any]] = {
    "normal": lambda z: z * z * Decimal("-0.5"),
    "truncated_gaussian": lambda z: z * z * Decimal("-0.5"),
    "laplace": lambda z: z if _real(z) < 0 else -z,
    "logistic": lambda z: -z - ((-z).exp() + 1).ln() * 2,
    "gumbel": lambda z: -z - (-z).exp(),
    "exponential": lambda z: -z,
    "uniform": lambda z: z * 0,
}
#: ∫ f between the standardised edges, in closed form
MASSES: dict[str, Callable[..., Decimal]] = {
    "laplace": lambda low, high: Decimal(2),
    "logistic": lambda low, high: Decimal(1),
    "gumbel": lambda low, high: Decimal(1),
    "exponential": lambda low, high: Decimal(1),
    "uniform": lambda low, high: high - low,
    "truncated_gaussian": lambda low, high: _normal_mass(high) - _normal_mass(low),
}


def _normal_mass(z: Any) -> Decimal:
    """∫₀^z e^{−t²/2} dt = √(π/2) erf(z/√2)."""
    whole = (functions.pi() / 2).sqrt()
    return (
        whole * int(z > 0) - whole * int(z < 0)
        if abs(z) == inf
        else whole * functions.erf(z / Decimal(2).sqrt())
    )


@lru_cache(maxsize=256)
def _mass(name: str, about: Decimal, low: Any, high: Any, digits: int) -> Decimal:
    """∫ f numerically, at a kink in two pieces; to 70 digits, which is all that is compared."""
    context = getcontext()
    context.prec = 75
    kernel = KERNELS[name]
    pieces = [(low, about), (about, high)] if name == "laplace" else [(low, high)]
    result = sum(integrate(lambda z: kernel(z).exp(), *piece) for piece in pieces)
    context.prec = digits
    return result


def _t_mass_closed(df: Decimal, d: int) -> Decimal:
    """∫ (1 + |y|²/ν)^{−(ν+d)/2} dy = (πν)^{d/2} Γ(ν/2)/Γ((ν + d)/2)."""
    return (functions.pi() * df) ** (Decimal(d) / 2) * (log_gamma(df / 2) - log_gamma((df + d) / 2)).exp()


@lru_cache(maxsize=64)
def _t_mass_radial(df: Decimal, d: int, digits: int) -> Decimal:
    """The same as a surface times a radial integral; the surface from ∫ e^{−|y|²/2} dy done both ways."""
    context = getcontext()
    context.prec = 75

    def radial(profile: Callable[[Decimal], Decimal]) -> Decimal:
        return integrate(lambda r: r ** (d - 1) * profile(r), Decimal(0), inf)

    plane = integrate(lambda t: (-t * t / 2).exp()) ** d
    surface = plane / radial(lambda r: (-r * r / 2).exp())
    result = surface * radial(lambda r: ((1 + r * r / df).ln() * (-(df + d) / 2)).exp())
    context.prec = digits
    return result


@lru_cache(maxsize=64)
def log_gamma(a: Decimal) -> Decimal:
    """log Γ(a) by Stirling's series after moving a past the digits wanted."""
    shift, b = Decimal(1), a
    while b < getcontext().prec:
        shift, b = shift * b, b + 1
    series = sum(_decimal(_bernoulli(2 * k)) / (2 * k * (2 * k - 1) * b ** (2 * k - 1)) for k in range(1, 60))
    return (b - Decimal("0.5")) * b.ln() - b + (2 * functions.pi()).ln() / 2 + series - shift.ln()


@cache
def _bernoulli(n: int) -> Fraction:
    return Fraction(1) if n == 0 else -sum(comb(n + 1, k) * _bernoulli(k) for k in range(n)) / (n + 1)


def _decimal(q: Fraction) -> Decimal:
    return Decimal(q.numerator) / q.denominator


def _real(z: Any) -> Decimal:
    return z.value.re.value if isinstance(z, Variable) else z


def numbered(p: Parameters, j: int) -> Parameters:
    """The parameters of factor j without its number: loc2 -> loc."""
    return {name[:-1]: value for name, value in p.items() if name.endswith(str(j))}
