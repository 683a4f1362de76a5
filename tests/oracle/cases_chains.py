"""The families samplers and laws."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from typing import Any

from . import cases_networks, chains, densities, differences, functions, networks
from .cases_densities import FAMILIES, density_model, numbers, parameters
from .certify import case
from .draws import Draws, Exact
from .numbers import Sized
from .plans import Plan

Case = dict[str, Any]
ROUTES = ("decimal-tape-60", f"differences-{differences.DIGITS}")


def builders(family: str) -> dict[str, Callable[[], Case]]:
    """How to make each case of the family, by id."""
    made = (_samplers if family == "samplers" else _laws)()
    return {
        f"{family}-{number:04d}": partial(build, f"{family}-{number:04d}")
        for number, build in enumerate(made, 1)
    }


# ---- samplers ----------------------------------------------------------------------------------------


def _samplers() -> list[Callable[[str], Case]]:
    targets = [
        {"density": "gaussian", "d": 3},
        {"density": "gaussian", "d": 5},
        {"density": "gaussian_mixture", "d": 3, "K": 5},
        {"density": "gaussian_mixture", "d": 5, "K": 3},
        {"density": "student_t", "d": 3},
        {"density": "product", "d": 3, "factors": FAMILIES[0]},
        {"density": "mlp", "d": 3},
        {"density": "mlp", "d": 5},
    ]
    made: list[Callable[[str], Case]] = []
    for operation in ("gradient_ascent", "langevin"):
        for steps in (1, 20):
            for k, target in enumerate(targets):
                for again in range(2 if steps == 1 or k < 2 else 1):
                    made.append(
                        partial(
                            sampler_case,
                            operation=operation,
                            steps=steps,
                            n=(4, 6, 7)[(k + again) % 3],
                            **target,
                        )
                    )
    return made


def sampler_case(
    id: str,
    operation: str,
    steps: int,
    density: str,
    d: int,
    n: int,
    K: int = 1,
    factors: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
) -> Case:
    """Where n chains are after the steps."""
    draws = Draws(id)
    plan = Plan(id, "esm", "tanh", n, (d, 8, d), 0)
    network = {name: array for name, array in cases_networks.draw(plan).items() if name[0] in "Wb"}
    inputs = network if density == "mlp" else parameters(draws, density, d, K, factors)
    inputs["x0"] = draws.bell((n, d), -18, 2)
    inputs["step"] = draws.between((), Fraction(1, 32), Fraction(3, 16), -12)
    if operation == "langevin":
        inputs["z"] = draws.bell((steps, n, d), -18)
    network_plan = plan if density == "mlp" else None
    first, second = (_run_all(network_plan, density, inputs, factors, steps, route) for route in (1, 2))
    own = {"kind": "mlp", "sizes": [d, 8, d], "activation": "tanh"}
    rule = "x + step*score + sqrt(2*step)*z" if operation == "langevin" else "x + step*score"
    return case(
        id=id,
        operation=operation,
        title=f"{density.replace('_', ' ')}, d = {d}, n = {n}, {steps} steps",
        model=own if density == "mlp" else density_model(density, d, factors),
        n_steps=steps,
        convention={"score": "+grad log p", "step": rule},
        difficulty="plain",
        equations=["eq-1.3" if operation == "langevin" else "eq-1.2"],
        flags=flags,
        inputs=inputs,
        shapes={"x": (n, d)},
        first={"x": first},
        second={"x": second},
        routes=ROUTES,
    )


def _score(
    plan: Any, density: str, inputs: dict[str, Exact], factors: tuple[str, ...], route: int
) -> chains.Score:
    if plan is None:
        f = densities.log_density(density, numbers(inputs, factors), route)
        return chains.sized_score(f) if route == 1 else densities.score_of(f)
    layers = cases_networks.model_layers(plan, inputs)
    if route == 1:
        jet = functions.jet(plan.activation)
        return lambda x: networks.Pass(layers, jet, x, [0] * len(x)).score
    phi = differences.phi(plan.activation)
    return lambda x: differences.network(layers, phi, x)


def _run_all(
    plan: Any, density: str, inputs: dict[str, Exact], factors: tuple[str, ...], steps: int, route: int
) -> list[Any]:
    """Every chain by one of the routes."""

    def lift(value: Any) -> Any:
        return Sized(value) if route == 1 else value

    states = []
    with localcontext() as context:
        context.prec = 60 if route == 1 else differences.DIGITS
        score = _score(plan, density, inputs, factors, route)
        step, noise = lift(inputs["step"].numbers()), inputs["z"].numbers() if "z" in inputs else []
        for i, x in enumerate(inputs["x0"].numbers()):
            kicks = [[lift(zi) for zi in z[i]] for z in noise]
            states += chains.run(score, [lift(xi) for xi in x], step, kicks, steps)
    return states


# ---- laws --------------------------------------------------------------------------------------------


def _laws() -> list[Callable[[str], Case]]:
    made: list[Callable[[str], Case]] = []
    for k, steps in enumerate((1, 2, 3, 5, 10, 20, 1, 2, 3, 5, 10, 20)):
        made.append(partial(law_case, d=(3, 5)[k % 3 == 2], steps=steps))
    return made + [partial(stationary_case, d=d) for d in (3, 5, 3, 7, 3, 5)]


def law_case(id: str, d: int, steps: int, flags: tuple[str, ...] = ()) -> Case:
    """Mean and covariance of Langevin on N(mean, cov) from N(mean0, cov0)."""
    draws = Draws(id)
    inputs = {
        "mean": draws.bell((d,), -10),
        "cov": draws.covariance(d),
        "mean0": draws.bell((d,), -10, 2),
        "cov0": draws.covariance(d),
        "step": draws.between((), Fraction(1, 16), Fraction(1, 4), -10),
    }
    mean, cov = chains.law(**{name: array.numbers(Fraction) for name, array in inputs.items()}, steps=steps)
    with localcontext() as context:
        context.prec = differences.DIGITS
        p = numbers(inputs)
        score = densities.score_of(densities.log_density("gaussian", p, 2))
        mean2, cov2 = chains.law_by_steps(score, d, p["mean0"], p["cov0"], p["step"], steps)
    return case(
        id=id,
        operation="langevin_law",
        title=f"d = {d}, {steps} steps",
        model=density_model("gaussian", d),
        n_steps=steps,
        convention={"score": "+grad log p", "step": "x + step*score + sqrt(2*step)*z"},
        difficulty="exact",
        equations=["eq-1.4", "eq-1.5"],
        flags=flags,
        inputs=inputs,
        shapes={"mean": (d,), "cov": (d, d)},
        first={"mean": mean, "cov": cov},
        second={"mean": mean2, "cov": cov2},
        routes=["fraction", ROUTES[1]],
    )


def stationary_case(id: str, d: int, flags: tuple[str, ...] = ()) -> Case:
    """The covariance that Langevin settles to."""
    draws = Draws(id)
    inputs = {"cov": draws.covariance(d), "step": draws.between((), Fraction(1, 16), Fraction(1, 4), -10)}
    first = chains.stationary(inputs["cov"].numbers(Fraction), inputs["step"].numbers(Fraction))
    with localcontext() as context:
        context.prec = differences.DIGITS
        p = {**numbers(inputs), "mean": [Decimal(0)] * d}
        score = densities.score_of(densities.log_density("gaussian", p, 2))
        second = chains.stationary_by_doubling(score, d, p["step"])
    return case(
        id=id,
        operation="stationary_covariance",
        title=f"d = {d}",
        model=density_model("gaussian", d),
        convention={"step": "x + step*score + sqrt(2*step)*z"},
        difficulty="exact",
        equations=["eq-1.6"],
        flags=flags,
        inputs=inputs,
        shapes={"cov": (d, d)},
        first={"cov": first},
        second={"cov": second},
        routes=["fraction", ROUTES[1]],
    )
