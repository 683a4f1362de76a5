"""The family population: expectations, and the constant of the theorem."""

from __future__ import annotations

from collections.abc import Callable
from decimal import localcontext
from fractions import Fraction
from functools import partial
from typing import Any

from . import differences, populations
from .cases_densities import FAMILIES, density_model, numbers, parameters
from .certify import case
from .draws import Draws, fan_limit

Case = dict[str, Any]
TAGS = {"population_esm": "eq-3.4", "population_ism": "eq-3.1", "population_dsm": "eq-3.5"}


def builders() -> dict[str, Callable[[], Case]]:
    """How to make each case, by id."""
    made = [partial(build, id=f"population-{number:04d}") for number, build in enumerate(_populations(), 1)]
    return {build.keywords["id"]: build for build in made}


def _populations() -> list[Callable[[str], Case]]:
    made: list[Callable[[str], Case]] = []
    for operation in TAGS:
        made += [partial(population_case, operation=operation, d=d) for d in (3, 5, 3, 7, 3, 5, 3)]
    for density, dimensions in (("gaussian", (3, 5, 7, 3)), ("student_t", (3, 5, 3))):
        made += [partial(constant_case, density=density, d=d) for d in dimensions]
    for factors in FAMILIES * 2:
        made.append(partial(constant_case, density="product", d=len(factors), factors=factors))
    return made


def population_case(id: str, operation: str, d: int, flags: tuple[str, ...] = ()) -> Case:
    """The expectation over a Gaussian of a linear score's loss, and its gradient."""
    draws = Draws(id)
    inputs = {
        "A": draws.uniform((d, d), fan_limit(d, Fraction(2)), -12),
        "b": draws.uniform((d,), Fraction(1), -12),
        "mean": draws.bell((d,), -10),
        "cov": draws.covariance(d),
    }
    if operation == "population_dsm":
        inputs["sigma"] = draws.sigma(())
    first = populations.closed_form(
        operation, **{name: array.numbers(Fraction) for name, array in inputs.items()}
    )
    with localcontext() as context:
        context.prec = differences.DIGITS
        second = populations.by_cubature(
            operation, **{name: array.numbers() for name, array in inputs.items()}
        )
    return case(
        id=id,
        operation=operation,
        title=f"linear score, d = {d}",
        model={"kind": "linear", "d": d},
        convention={"score": "+grad log p", "reduction": "expectation", "half": True},
        difficulty="exact",
        equations=[TAGS[operation], *["eq-3.2"] * (operation != "population_esm")],
        flags=flags,
        inputs=inputs,
        shapes={"loss": (), "grad.A": (d, d), "grad.b": (d,)},
        first=first,
        second=second,
        routes=["fraction", f"cubature-differences-{differences.DIGITS}"],
    )


def constant_case(
    id: str, density: str, d: int, factors: tuple[str, ...] = (), flags: tuple[str, ...] = (), K: int = 1
) -> Case:
    """C = −½ E‖∇log p‖², by which ISM is less than ESM."""
    inputs = parameters(Draws(id), density, d, K, factors)
    results = []
    for route, prec in ((1, 80), (2, 180)):
        with localcontext() as context:
            context.prec = prec
            results.append({"constant": [populations.constant(density, numbers(inputs, factors), route)]})
    return case(
        id=id,
        operation="theorem_constant",
        title=f"{' '.join(factors) or density.replace('_', ' ')}, d = {d}",
        model=density_model(density, d, factors),
        convention={"score": "+grad log p", "half": True},
        difficulty="plain",
        equations=["eq-2.4"],
        flags=flags,
        inputs=inputs,
        shapes={"constant": ()},
        first=results[0],
        second=results[1],
        routes=["decimal-80", "integral-differences-180"],
    )
