"""The family edge: what the other families leave out on purpose, because it hides mistakes or finds others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import cases_activations, cases_chains, cases_densities, cases_networks, cases_populations, functions
from .draws import Exact
from .plans import OPERATIONS, Plan

Case = dict[str, Any]
EDGE = ("edge",)


def builders() -> dict[str, Callable[[], Case]]:
    """How to make each case, by id."""
    made = [*_networks(), *_activations(), *_densities(), *_chains(), *_balanced(), *_later()]
    return {
        f"edge-{number:04d}": partial(build, f"edge-{number:04d}") for number, build in enumerate(made, 1)
    }


def _networks() -> list[Callable[[str], Case]]:
    made = []
    for n, sizes, m in (
        (1, (1, 4, 1), 1),
        (1, (3, 1, 3), 2),
        (3, (3, 3, 3), 3),
        (4, (2, 2, 2, 2), 4),
        (5, (1, 1), 1),
    ):
        made += [
            partial(network_case, operation=operation, n=n, sizes=sizes, m=m) for operation in OPERATIONS
        ]
    for operation in ("esm", "ism", "ssm", "dsm"):
        made.append(partial(network_case, operation=operation, zero=("W2",)))
    for operation in ("ism", "ssm_vr"):
        made.append(partial(network_case, operation=operation, zero=("x", "b1")))
    for operation in OPERATIONS:
        made.append(partial(network_case, operation=operation, weights=True, zero=("weights",)))
    for sixteenths in (16, 128, 1):
        made.append(partial(network_case, operation="dsm", sigma=sixteenths))
    return made + [
        partial(network_case, operation=operation, activation="gelu", left=True) for operation in OPERATIONS
    ]


def network_case(
    id: str,
    operation: str,
    n: int = 4,
    sizes: tuple[int, ...] = (3, 5, 3),
    m: int = 6,
    weights: bool = False,
    zero: tuple[str, ...] = (),
    sigma: int | None = None,
    activation: str = "tanh",
    left: bool = False,
) -> Case:
    """Inputs named in ``zero`` are 0, of ``weights`` every other one; σ in sixteenths; ``left``: all units far left."""
    plan = Plan(id, operation, activation, n, sizes, m, weights, difficulty="tail" if left else "plain")
    inputs = cases_networks.draw(plan)
    if left:
        inputs["W1"] = inputs["W1"]._replace(exponent=-24)
        inputs["b1"] = inputs["b1"]._replace(integers=tuple(b - (5 << 20) for b in inputs["b1"].integers))
    for name in zero:
        kept = inputs[name].integers if name == "weights" else [0] * len(inputs[name].integers)
        inputs[name] = inputs[name]._replace(integers=tuple(k * (i % 2) for i, k in enumerate(kept)))
    if sigma is not None:
        inputs["sigma"] = Exact((), -4, (sigma,))
    return cases_networks.build(plan, EDGE, inputs)


def _balanced() -> list[Callable[[str], Case]]:
    return [partial(balanced_case, operation=operation) for operation in ("ism", "ssm", "ssm_vr")]


def balanced_case(id: str, operation: str) -> Case:
    """Sample weights under which the rows' losses, of both signs, cancel in the loss to five digits or so."""
    plan = Plan(id, operation, "sin", 13, (3, 5, 3), 4, weights=True, difficulty="cancelling")
    inputs = cases_networks.draw(plan._replace(difficulty="plain"))
    losses = [loss.value for loss in cases_networks.by_tape(plan, inputs)["per_sample"]]
    weights = inputs["weights"].flat()
    ratio = sum(w * -l for w, l in zip(weights, losses) if l < 0) / sum(
        w * l for w, l in zip(weights, losses) if l > 0
    )
    integers = inputs["weights"].integers
    moved = tuple(int(k * ratio) if l > 0 else k for k, l in zip(integers, losses))
    return cases_networks.build(plan, EDGE, {**inputs, "weights": inputs["weights"]._replace(integers=moved)})


def _activations() -> list[Callable[[str], Case]]:
    origin = Exact((1,), 0, (0,))
    left = Exact((5,), -3, (-37, -42, -47, -55, -63))
    made = [(name, origin) for name in functions.JETS] + [("gelu", left), ("erf", left), ("silu", left)]
    return [
        partial(cases_activations.activation_case, name=name, kind="chosen", z=z, flags=EDGE)
        for name, z in made
    ]


def _later() -> list[Callable[[str], Case]]:
    """What came to the family after the others, whose ids are permanent."""
    right = Exact((6,), -3, (81, 107, 150, 203, 261, 330))
    made = [
        partial(cases_activations.activation_case, name=name, kind="tail", z=right, flags=EDGE)
        for name in ("softplus", "sigmoid", "tanh")
    ]
    made += [
        partial(cases_populations.constant_case, density="gaussian_mixture", d=1, K=K, flags=EDGE)
        for K in (2, 3, 4)
    ]
    # The usual approximation of gelu is off by 1e-3 at most, and only here by a share of what it stands for.
    made += [
        partial(network_case, operation=operation, n=n, sizes=sizes, activation="gelu", left=True)
        for n, sizes in ((5, (3, 4, 3)), (3, (5, 7, 5)))
        for operation in OPERATIONS
    ]
    # So far right that PyTorch's softplus is a line at every point.
    further = (Exact((5,), -3, (137, 163, 190, 233, 301)), Exact((4,), -3, (129, 151, 178, 222)))
    return made + [
        partial(cases_activations.activation_case, name="softplus", kind="tail", z=z, flags=EDGE)
        for z in further
    ]


def _densities() -> list[Callable[[str], Case]]:
    build = partial(cases_densities.density_case, d=1, n=3, flags=EDGE)
    made = [partial(build, density="gaussian"), partial(build, density="gaussian_mixture", K=2)]
    made += [partial(build, density="student_t"), partial(build, density="gaussian", n=1, smooth=True)]
    names = (
        "laplace",
        "logistic",
        "gumbel",
        "exponential",
        "uniform",
        "truncated_gaussian",
        "truncated_gaussian",
    )
    return made + [partial(build, density="product", factors=(name,)) for name in names]


def _chains() -> list[Callable[[str], Case]]:
    single = {"density": "gaussian", "d": 1, "n": 1, "flags": EDGE}
    made = [
        partial(cases_chains.sampler_case, operation=operation, steps=steps, **single)
        for operation in ("gradient_ascent", "langevin")
        for steps in (1, 20)
    ]
    made += [partial(cases_chains.law_case, d=1, steps=steps, flags=EDGE) for steps in (0, 1, 20)]
    made.append(partial(cases_chains.stationary_case, d=1, flags=EDGE))
    for operation in cases_populations.TAGS:
        made.append(partial(cases_populations.population_case, operation=operation, d=1, flags=EDGE))
    return made + [
        partial(cases_populations.constant_case, density=name, d=1, flags=EDGE)
        for name in ("gaussian", "student_t")
    ]
