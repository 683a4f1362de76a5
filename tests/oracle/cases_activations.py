"""The family activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any

from . import differences, functions
from .certify import case
from .draws import Draws, Exact
from .numbers import Sized, magnitude

Case = dict[str, Any]
KINDS = ("core", "core", "wide", "small", "tail", "far")
#: name: (a, decay) with φ or its derivatives falling like exp(−a |z|^decay)
DECAY = {
    "tanh": (2, 1),
    "softplus": (2, 1),
    "sigmoid": (1, 1),
    "silu": (1, 1),
    "gelu": (0.5, 2),
    "erf": (1, 2),
}
#: how far out the far tail is drawn: the last values above 1e-290
FAR = {"tanh": 320, "softplus": 240, "sigmoid": 640, "silu": 640, "gelu": 35, "erf": 25}
ORDERS = ("phi", "dphi", "d2phi", "d3phi")
#: equations 6.1 to 6.8
NUMBERED = ("tanh", "softplus", "sigmoid", "silu", "gelu", "sin", "erf", "isru")


def builders() -> dict[str, Callable[[], Case]]:
    """How to make each case, by id."""
    each = [(name, kind) for name in functions.JETS for kind in KINDS]
    ids = [f"activations-{number:04d}" for number in range(1, len(each) + 1)]
    return {id: partial(activation_case, id, name, kind) for id, (name, kind) in zip(ids, each)}


def activation_case(id: str, name: str, kind: str, z: Exact | None = None, flags: Sequence[str] = ()) -> Case:
    """φ, φ′, φ″, φ‴ at the points z."""
    draws = Draws(id)
    z = z or _points(draws, name, kind)
    inputs = {"z": z}
    if name == "softplus":
        inputs["beta"] = draws.between((), Fraction(5, 4), Fraction(11, 4), -8)
    beta = inputs["beta"].numbers() if "beta" in inputs else None
    lost = _digits_lost(name, max(abs(float(value)) for value in z.flat()))
    with localcontext() as context:
        context.prec = 330 + lost
        phi = differences.phi(name, beta)
        columns = [jet_by_differences(phi, value) for value in z.flat()]
    second = {order: [column[k] for column in columns] for k, order in enumerate(ORDERS)}
    with localcontext() as context:
        context.prec = 80 + lost
        jet, field = functions.jet(name, beta), Fraction if name in functions.RATIONAL else Decimal
        values = [(*jet(value), column[4]) for value, column in zip(z.flat(field), columns)]
    first = {
        o: [sized_derivative(v, row, k) for v, row in zip(z.flat(), values)] for k, o in enumerate(ORDERS)
    }
    difficulty = "exact" if name in functions.RATIONAL else "tail" if kind in ("tail", "far") else "plain"
    equation = "eq-6.9" if name in functions.RATIONAL else f"eq-6.{NUMBERED.index(name) + 1}"
    return case(
        id=id,
        operation="activation",
        title=f"{name}, {len(z.integers)} points, {kind}",
        model={"kind": "activation", "activation": name},
        convention={},
        difficulty=difficulty,
        equations=[equation],
        flags=flags,
        inputs=inputs,
        shapes=dict.fromkeys(ORDERS, z.shape),
        first=first,
        second=second,
        routes=["fraction" if field is Fraction else f"decimal-{80 + lost}", f"differences-{330 + lost}"],
    )


def _points(draws: Draws, name: str, kind: str) -> Exact:
    far = Fraction(FAR.get(name, 1000))
    if kind == "core":
        return draws.uniform((20,), Fraction(4))
    if kind == "wide":
        return draws.bell((20,), -20, 3)
    if kind == "small":
        return draws.uniform((20,), Fraction(1, 2**20), -40)
    low, high = (far / 30, far / 6) if kind == "tail" else (far / 6, far)
    sizes = draws.between((20,), low, high, -13)
    signs = draws.signs((20,))
    return Exact((20,), -13, tuple(size * sign for size, sign in zip(sizes.integers, signs.integers)))


def jet_by_differences(phi: differences.Phi, z: Decimal) -> tuple[Decimal, ...]:
    """φ to φ⁗ by central differences, step 10⁻⁴⁰."""
    h = Decimal(10) ** -40
    f2, f1, f0, g1, g2 = (phi(z + k * h) for k in (2, 1, 0, -1, -2))
    second, fourth = (f1 - 2 * f0 + g1) / h**2, (f2 - 4 * f1 + 6 * f0 - 4 * g1 + g2) / h**4
    return f0, (f1 - g1) / (2 * h), second, (f2 - 2 * f1 + 2 * g1 - g2) / (2 * h**3), fourth


def sized_derivative(z: Decimal, derivatives: Sequence[Decimal], order: int) -> Sized:
    """φ^(order), its size that of φ^(order) or of what min(|z|, 1) makes of the next: near a zero that counts."""
    slope = magnitude(derivatives[order + 1]) * min(magnitude(z), 1)
    return Sized(derivatives[order], slope if order < 3 or slope > Decimal("1e-60") else None)


def _digits_lost(name: str, z: float) -> int:
    """The digits that φ has before those of a derivative begin, in the tail."""
    rate, power = DECAY.get(name, (0, 1))
    return ceil((2.75 if name == "softplus" else rate) * z**power / 2.3) + 20
