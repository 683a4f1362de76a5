"""The family densities, and the parameters of densities for others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from math import inf
from typing import Any

from . import densities, differences
from .certify import case
from .draws import Draws, Exact

Case = dict[str, Any]
FAMILIES = (
    ("laplace", "logistic", "gumbel"),
    ("logistic", "truncated_gaussian", "exponential"),
    ("truncated_gaussian", "uniform", "gumbel"),
    ("gumbel", "exponential", "laplace", "truncated_gaussian", "logistic"),
)


def builders() -> dict[str, Callable[[], Case]]:
    """How to make each case, by id."""
    made = [partial(build, id=f"densities-{number:04d}") for number, build in enumerate(_densities(), 1)]
    return {build.keywords["id"]: build for build in made}


#: (density, d, n, K, spread) and, in the second, with noise added
PLAIN = (
    *(
        ("gaussian", d, n, 1, spread)
        for d, n, spread in ((3, 4, 1), (5, 6, 1), (7, 8, 1), (3, 4, 30), (5, 6, 1))
    ),
    *(
        ("gaussian_mixture", d, 6 + k % 2, 4, spread)
        for k, (d, spread) in enumerate(zip((3, 5, 3, 3, 5, 3, 3, 3), (1, 1, 1, 20, 1, 4, 1, 50)))
    ),
    *(
        ("student_t", d, 4 + k % 2 * 2, 1, spread)
        for k, (d, spread) in enumerate(zip((3, 5, 3, 3, 5, 3), (1, 1, 1, 1000, 1, 40)))
    ),
)
NOISY = (
    *(("gaussian", d, 6, 1, spread) for d, spread in ((3, 1), (5, 1), (3, 1), (3, 30))),
    *(("gaussian_mixture", d, 6, 4, spread) for d, spread in ((3, 1), (5, 1), (3, 1), (3, 20), (3, 1))),
)


def _densities() -> list[Callable[[str], Case]]:
    build, names = density_case, ("density", "d", "n", "K", "spread")
    made: list[Callable[[str], Case]] = [partial(build, **dict(zip(names, row))) for row in PLAIN]
    for turn in range(5):
        for factors in FAMILIES:
            n, spread = 4 + 3 * (turn % 2), 10 if turn == 3 else 1
            made.append(
                partial(build, density="product", d=len(factors), n=n, spread=spread, factors=factors)
            )
    return made + [partial(build, smooth=True, **dict(zip(names, row))) for row in NOISY]


def density_case(
    id: str,
    density: str,
    d: int,
    n: int,
    K: int = 1,
    spread: int = 1,
    smooth: bool = False,
    factors: tuple[str, ...] = (),
    x: Exact | None = None,
    flags: Sequence[str] = (),
) -> Case:
    """log p, score and divergence at n points; ``spread`` is how many typical distances out they are."""
    draws = Draws(id)
    inputs = parameters(draws, density, d, K, factors)
    inputs["x"] = x or (
        _inside(draws, inputs, factors, n, spread)
        if factors
        else draws.bell((n, d), -16 if spread < 60 else -12, spread)
    )
    if smooth:
        inputs["sigma"] = draws.sigma(())
    results = [_evaluate(density, inputs, factors, smooth, route) for route in (1, 2)]
    return case(
        id=id,
        operation="smoothed_density" if smooth else "density",
        title=f"{' '.join(factors) or density.replace('_', ' ')}, d = {d}, n = {n}"
        + (", far out" if spread > 1 else ""),
        model=density_model(density, d, factors),
        convention={"score": "+grad log p"},
        difficulty="tail" if spread > 1 else "plain",
        equations=["eq-1.1", *_tags(density, factors), *["eq-1.17"] * smooth],
        flags=flags,
        inputs=inputs,
        shapes={"log_prob": (n,), "score": (n, d), "divergence": (n,)},
        first=results[0],
        second=results[1],
        routes=["decimal-tape-60", f"differences-{differences.DIGITS}"],
    )


def _evaluate(
    density: str, inputs: dict[str, Exact], factors: tuple[str, ...], smooth: bool, route: int
) -> dict[str, Any]:
    """log p, score and divergence of every row by one of the routes."""
    evaluate = densities.by_tape if route == 1 else densities.by_differences
    with localcontext() as context:
        context.prec = 60 if route == 1 else differences.DIGITS
        p = numbers(inputs, factors)
        p = densities.smoothed(density, p, p["sigma"]) if smooth else p
        f = densities.log_density(density, p, route)
        rows = [evaluate(f, row) for row in p["x"]]
    return {name: [value for row in rows for value in row[name]] for name in rows[0]}


def density_model(density: str, d: int, factors: tuple[str, ...] = ()) -> dict[str, Any]:
    """The ``model`` entry of a case about a density."""
    return {"kind": "density", "density": density, "d": d, **({"factors": list(factors)} if factors else {})}


def numbers(inputs: dict[str, Exact], factors: tuple[str, ...] = (), field: type = Decimal) -> dict[str, Any]:
    """All inputs as numbers, with the names of the factors."""
    return {**{name: array.numbers(field) for name, array in inputs.items()}, "factors": factors}


def parameters(
    draws: Draws, density: str, d: int, K: int = 1, factors: tuple[str, ...] = ()
) -> dict[str, Exact]:
    """The parameters of a density, none of them centred, round or alike."""
    if density == "gaussian":
        return {"mean": draws.bell((d,), -16), "cov": draws.covariance(d)}
    if density == "student_t":
        df = draws.between((), Fraction(9, 4), Fraction(9), -4)
        return {"loc": draws.bell((d,), -16), "scale_matrix": draws.covariance(d), "df": df}
    if density == "gaussian_mixture":
        shares = draws.between((K - 1,), Fraction(1, 2 * K), Fraction(1, K), -10).integers
        covs = [draws.covariance(d) for _ in range(K)]
        return {
            "mixture_weights": Exact((K,), -10, (*shares, 1024 - sum(shares))),
            "means": draws.bell((K, d), -16, 2),
            "covs": Exact((K, d, d), -10, tuple(entry for cov in covs for entry in cov.integers)),
        }
    made: dict[str, Exact] = {}
    for j, name in enumerate(factors, 1):
        made |= {f"{key}{j}": value for key, value in _factor(draws, name).items()}
    return made


def _factor(draws: Draws, name: str) -> dict[str, Exact]:
    if name == "exponential":
        return {"rate": draws.between((), Fraction(1, 2), Fraction(7, 4), -12)}
    if name == "uniform":
        return {
            "low": draws.uniform((), Fraction(2), -12),
            "high": draws.between((), Fraction(9, 4), Fraction(4), -12),
        }
    made = {
        "loc": draws.uniform((), Fraction(2), -12),
        "scale": draws.between((), Fraction(1, 2), Fraction(15, 8), -12),
    }
    if name == "truncated_gaussian":
        sides = draws.integer(0, 2)
        made["low"] = draws.between((), Fraction(-3), Fraction(1, 2), -12)
        made["high"] = draws.between((), Fraction(1), Fraction(4), -12)
        if sides < 2:
            made[("low", "high")[sides]] = Exact((), 0, (0,), ((0, ("-inf", "inf")[sides]),))
    return made


def _inside(draws: Draws, inputs: dict[str, Exact], factors: tuple[str, ...], n: int, spread: int) -> Exact:
    """Points inside the support of every factor."""
    columns = []
    for j, name in enumerate(factors, 1):
        low = (
            inputs[f"low{j}"].numbers(Fraction)
            if f"low{j}" in inputs
            else Fraction(0)
            if name == "exponential"
            else -inf
        )
        high = inputs[f"high{j}"].numbers(Fraction) if f"high{j}" in inputs else inf
        reach = Fraction(3 * spread)
        bottom = low if low != -inf else (high if high != inf else 0) - reach
        top = high if high != inf else (low if low != -inf else 0) + reach
        columns.append(draws.between((n,), Fraction(bottom), Fraction(top), -16).integers)
    return Exact((n, len(factors)), -16, tuple(column[i] for i in range(n) for column in columns))


def _tags(density: str, factors: Sequence[str]) -> list[str]:
    tags = {
        "gaussian": ["eq-1.8"],
        "gaussian_mixture": ["eq-1.9", "eq-1.10"],
        "student_t": ["eq-1.11", "eq-1.12"],
        "laplace": ["eq-1.13"],
        "logistic": ["eq-1.14"],
        "gumbel": ["eq-1.15"],
    }
    found = [tag for name in (factors or (density,)) for tag in tags.get(name, ["eq-1.16"])]
    return sorted(set(found))
