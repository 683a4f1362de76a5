"""The families esm, ism, ssm, ssm_vr, dsm and rational: multilayer perceptrons of 0 to 4 hidden layers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from typing import Any

from . import differences, functions, networks
from .certify import case
from .draws import Draws, Exact, exact, fan_limit
from .numbers import Sized
from .plans import Plan, plans

EQUATIONS = {"esm": "eq-2.1", "ism": "eq-2.2", "ssm": "eq-7.1", "ssm_vr": "eq-7.2", "dsm": "eq-8.1"}


def builders(family: str) -> dict[str, Callable[[], dict[str, Any]]]:
    """How to make each case of a family, by id."""
    return {plan.id: partial(build, plan) for plan in plans(family)}


def build(plan: Plan, flags: tuple[str, ...] = (), inputs: dict[str, Exact] | None = None) -> dict[str, Any]:
    """The certified case of a plan; with ``inputs`` given, these instead of drawn ones."""
    inputs = inputs or draw(plan)
    more = 40 if plan.difficulty == "tail" else 0  # what saturated units lose
    tape, differing = 60 + more, differences.DIGITS + 2 * more
    with localcontext() as context:
        context.prec = tape
        first = by_tape(plan, inputs)
    with localcontext() as context:
        context.prec = differing
        second = _by_differences(plan, inputs)
    shapes, first, second = _named(plan, first, second)
    route = "fraction-tape" if plan.difficulty == "exact" else f"decimal-tape-{tape}"
    return case(
        id=plan.id,
        operation=plan.operation,
        title=_title(plan),
        model={"kind": "mlp", "sizes": list(plan.sizes), "activation": plan.activation},
        convention=convention(plan),
        difficulty=plan.difficulty,
        equations=_equations(plan),
        flags=[*flags, *_flags(plan)],
        inputs=inputs,
        shapes=shapes,
        first=first,
        second=second,
        routes=[route, f"differences-{differing}"],
    )


def by_tape(plan: Plan, inputs: dict[str, Exact]) -> dict[str, list[Sized]]:
    """Route 1, its gradient one list."""
    field = Fraction if plan.difficulty == "exact" else Decimal
    jet = functions.jet(plan.activation, inputs["beta"].numbers(field) if "beta" in inputs else None)
    layers, rows = model_layers(plan, inputs, field), samples(plan, inputs, field)
    return networks.objective(plan.operation, layers, jet, rows, row_shares(plan, inputs, field), plan.m)


def _by_differences(plan: Plan, inputs: dict[str, Exact]) -> dict[str, list[Decimal]]:
    phi = differences.phi(plan.activation, inputs["beta"].numbers() if "beta" in inputs else None)
    layers, rows = model_layers(plan, inputs), samples(plan, inputs)
    return differences.objective(plan.operation, layers, phi, rows, row_shares(plan, inputs))


def draw(plan: Plan) -> dict[str, Exact]:
    """All inputs of a case, in the order in which they are written."""
    draws, d, n, m = Draws(plan.id), plan.sizes[0], plan.n, plan.m
    offset, rows = plan.difficulty == "cancelling", (n,) if plan.sigma == "rows" else ()
    inputs = _parameters(plan, draws)
    cloud = partial(_cloud, plan, draws)
    inputs["x"] = draws.bell((n, d), -13) if offset else cloud(n, d)
    if plan.operation == "esm":
        inputs["target_score"] = cloud(n, d)
    if plan.operation == "dsm":
        inputs["noise"] = draws.bell((n, d), -12) if offset else cloud(n, d)
        coarse = plan.difficulty == "exact"
        inputs["sigma"] = (
            draws.between(rows, Fraction(5, 4), Fraction(7, 4), -3) if coarse else draws.sigma(rows)
        )
    if plan.operation.startswith("ssm"):
        inputs["v"] = draws.signs((m, n, d)) if plan.probes == "rademacher" else cloud(m, n, d)
    if plan.weights:
        exponent = -9 if plan.difficulty == "exact" else -20
        inputs["weights"] = draws.between((n,), Fraction(1, 16), Fraction(1, 2), exponent)
    return _offset(inputs) if offset else inputs


def _parameters(plan: Plan, draws: Draws) -> dict[str, Exact]:
    """W1, b1, …: of order one, ten times that where units are to saturate, few digits where all is exact."""
    inputs: dict[str, Exact] = {}
    for l, (fan_in, fan_out) in enumerate(zip(plan.sizes, plan.sizes[1:]), 1):
        limit = fan_limit(fan_in, Fraction(10 if plan.difficulty == "tail" and l == 1 else 2))
        exponents = (-10, -10) if plan.difficulty == "cancelling" and l == 1 else (-20, -20)
        if plan.difficulty == "exact":
            limit, exponents = Fraction(3, 4), (-3, -7)
        inputs[f"W{l}"] = draws.uniform((fan_out, fan_in), limit, exponents[0])
        inputs[f"b{l}"] = draws.uniform((fan_out,), Fraction(1), exponents[1])
    if plan.activation == "softplus":
        inputs["beta"] = draws.between((), Fraction(5, 4), Fraction(11, 4), -8)
    return inputs


def _cloud(plan: Plan, draws: Draws, *shape: int) -> Exact:
    """Data or noise: roughly normal, or eighths where all is exact."""
    return draws.uniform(shape, Fraction(3, 2), -3) if plan.difficulty == "exact" else draws.bell(shape)


def _offset(inputs: dict[str, Exact]) -> dict[str, Exact]:
    """x moved to about 512 and b1 with it, so that W1 x + b1 is what it was: a difference of large numbers."""
    x, W, b = inputs["x"], inputs["W1"].numbers(Fraction), inputs["b1"].numbers(Fraction)
    signs = [(-1) ** j for j in range(x.shape[1])]
    moved = [[c + 512 * s for c, s in zip(row, signs)] for row in x.numbers(Fraction)]
    bias = [c - 512 * sum(w * s for w, s in zip(row, signs)) for row, c in zip(W, b)]
    return {**inputs, "x": exact(moved, -13), "b1": exact(bias, -10)}


def model_layers(plan: Plan, inputs: dict[str, Exact], field: type = Decimal) -> networks.Layers:
    """[(W1, b1), …] as nested lists."""
    count = len(plan.sizes) - 1
    return [(inputs[f"W{l}"].numbers(field), inputs[f"b{l}"].numbers(field)) for l in range(1, count + 1)]


def samples(plan: Plan, inputs: dict[str, Exact], field: type = Decimal) -> list[dict[str, Any]]:
    """For each row what ``networks.objective`` wants of it; for DSM x is moved and the target made here."""
    rows: list[dict[str, Any]] = [{"x": x, "factor": field(1)} for x in inputs["x"].numbers(field)]
    if plan.operation == "esm":
        for row, target in zip(rows, inputs["target_score"].numbers(field)):
            row["target"] = target
    if plan.operation.startswith("ssm"):
        probes = inputs["v"].numbers(field)
        for i, row in enumerate(rows):
            row["v"] = [probe[i] for probe in probes]
    if plan.operation == "dsm":
        sigmas = inputs["sigma"].flat(field) * (1 if inputs["sigma"].shape else plan.n)
        for row, noise, sigma in zip(rows, inputs["noise"].numbers(field), sigmas):
            row["x"] = [x + sigma * e for x, e in zip(row["x"], noise)]  # eq-8.1
            row["target"] = [-e / sigma for e in noise]
            row["factor"] = sigma * sigma if plan.weighting == "sigma2" else field(1)  # eq-8.5
    return rows


def row_shares(plan: Plan, inputs: dict[str, Exact], field: type = Decimal) -> list[Any]:
    """wᵢ, or 1/n each."""
    return inputs["weights"].flat(field) if plan.weights else [field(1) / plan.n] * plan.n


def _named(
    plan: Plan, first: dict[str, list[Sized]], second: dict[str, list[Decimal]]
) -> tuple[Any, Any, Any]:
    """Shapes by name, and both routes with the gradient cut into W1, b1, … and vᵀJv put as (m, n)."""
    n, d = plan.n, plan.sizes[0]
    shapes: dict[str, tuple[int, ...]] = {"loss": (), "per_sample": (n,), "score": (n, d)}
    shapes |= {"half_square": (n,)} if "half_square" in first else {}
    shapes |= {"divergence": (n,)} if "divergence" in first else {}
    shapes |= {"quadratic": (plan.m, n)} if "quadratic" in first else {}
    for route in (first, second):
        if "quadratic" in route:
            route["quadratic"] = [route["quadratic"][i * plan.m + k] for k in range(plan.m) for i in range(n)]
        start, grad = 0, route.pop("grad")
        for l, (fan_in, fan_out) in enumerate(zip(plan.sizes, plan.sizes[1:]), 1):
            for name, shape in ((f"W{l}", (fan_out, fan_in)), (f"b{l}", (fan_out,))):
                size = fan_out * (fan_in if name[0] == "W" else 1)
                shapes[f"grad.{name}"], route[f"grad.{name}"] = shape, grad[start : start + size]
                start += size
    return shapes, first, second


def _title(plan: Plan) -> str:
    parts = [f"{plan.activation} {'-'.join(map(str, plan.sizes))}, n = {plan.n}"]
    parts += [f"m = {plan.m} {plan.probes} probes"] * plan.operation.startswith("ssm")
    parts += [f"sigma per {'row' if plan.sigma == 'rows' else 'batch'}"] * (plan.operation == "dsm")
    parts += ["weighted by sigma squared"] * (plan.operation == "dsm" and plan.weighting == "sigma2")
    parts += ["sample weights"] * plan.weights
    return ", ".join(parts)


def convention(plan: Plan) -> dict[str, Any]:
    """What a case says of how its loss is put together."""
    said = {"score": "+grad log p", "reduction": "weighted-sum" if plan.weights else "mean", "half": True}
    if plan.operation == "dsm":
        said |= {"weighting": plan.weighting, "target": "-noise/sigma", "point": "x + sigma*noise"}
    if plan.operation in ("ism", "ssm", "ssm_vr"):
        said["trace"] = "exact" if plan.operation == "ism" else "probes"
    return said | ({"probes": plan.probes} if plan.operation.startswith("ssm") else {})


def _equations(plan: Plan) -> list[str]:
    weighted = plan.operation == "dsm" and plan.weighting == "sigma2"
    return [
        EQUATIONS[plan.operation],
        *["eq-8.5"] * weighted,
        "eq-4.5",
        *["eq-5.10"] * (plan.operation in ("ism", "ssm", "ssm_vr")),
    ]


def _flags(plan: Plan) -> list[str]:
    flags = ["sample-weights"] * plan.weights
    if plan.operation == "dsm":
        flags += ["sigma-rows"] * (plan.sigma == "rows") + ["sigma2-weighted"] * (plan.weighting == "sigma2")
    return flags + (
        ["rademacher"] if plan.operation.startswith("ssm") and plan.probes == "rademacher" else []
    )
