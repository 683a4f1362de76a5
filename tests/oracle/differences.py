"""Route 2: the same numbers with no differentiation rule. Losses from plain sums, derivatives from differences.

A central difference (f(t + h) − f(t − h))/2h is off by h² times a third derivative and by rounding/h. With 130
digits and h = 10⁻³⁰ for the parameters and for x, that is 60 digits and, nested, 70. The activations are written
from other definitions than route 1's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, getcontext
from functools import lru_cache
from typing import Any

from .functions import pi

DIGITS = 130
STEP_DIGITS = 30
Phi = Callable[[Decimal], Decimal]


def _tanh(z: Decimal) -> Decimal:
    up, down = z.exp(), (-z).exp()
    return (up - down) / (up + down)


def _erf(z: Decimal) -> Decimal:
    """(2/√π) Σ (−1)ⁿ z^{2n+1}/(n! (2n + 1)), alternating: as many digits more as e^{z²} has."""
    context = getcontext()
    digits = context.prec
    context.prec = digits + 10 + int(z * z)
    power = total = z
    n = 0
    while abs(power) > Decimal(10) ** -context.prec:
        n += 1
        power *= -z * z / n
        total += power / (2 * n + 1)
    result = 2 / pi().sqrt() * total
    context.prec = digits
    return result


def _sin(z: Decimal) -> Decimal:
    """sin 3t = 3 sin t − 4 sin³ t until |t| is small, then Taylor."""
    context = getcontext()
    digits = context.prec
    context.prec = digits + 20 + 2 * max(0, z.adjusted())
    thirds = 0
    while abs(z) > Decimal("0.05"):
        z, thirds = z / 3, thirds + 1
    term = total = z
    n = 1
    while abs(term) > Decimal(10) ** -context.prec:
        term *= -z * z / ((n + 1) * (n + 2))
        total, n = total + term, n + 2
    for _ in range(thirds):
        total = 3 * total - 4 * total**3
    context.prec = digits
    return total


PHI: dict[str, Callable[..., Decimal]] = {
    "identity": lambda z: z,
    "square": lambda z: z**2,
    "cube": lambda z: z**3,
    "tanh": _tanh,
    "softplus": lambda z, beta: z + (1 + (-beta * z).exp()).ln() / beta,
    "sigmoid": lambda z: (1 + _tanh(z / 2)) / 2,
    "silu": lambda z: z * z.exp() / (1 + z.exp()),
    "gelu": lambda z: z * (1 + _erf(z / Decimal(2).sqrt())) / 2,
    "sin": _sin,
    "erf": _erf,
    "isru": lambda z: z * (-(1 + z * z).ln() / 2).exp(),
}


def phi(name: str, beta: Any = None) -> Phi:
    """φ alone, remembered: a shifted weight leaves most units where they were."""
    if name == "softplus":
        return lru_cache(maxsize=None)(lambda z: PHI[name](z, beta))
    return lru_cache(maxsize=None)(PHI[name])


def network(layers: Sequence[Any], activation: Phi, x: Sequence[Decimal]) -> list[Decimal]:
    """s(x); with None for the last layer, what enters that layer."""
    a = list(x)
    for l, layer in enumerate(layers):
        if layer is None:
            break
        z = [_dot(row, a) + c for row, c in zip(*layer)]
        a = [activation(zi) for zi in z] if l < len(layers) - 1 else z
    return a


def quadratic(score: Callable[..., list[Decimal]], x: Sequence[Decimal], v: Sequence[Decimal]) -> Decimal:
    """vᵀ J v from the score on both sides of x along v."""
    h = Decimal(10) ** -STEP_DIGITS
    ahead = score([xi + h * vi for xi, vi in zip(x, v)])
    behind = score([xi - h * vi for xi, vi in zip(x, v)])
    return _dot(v, [(p - q) for p, q in zip(ahead, behind)]) / (2 * h)


def sample(
    operation: str, score: Callable[..., list[Decimal]], row: dict[str, Any]
) -> dict[str, list[Decimal]]:
    """One row's outputs but for the gradient; ``row`` as in ``networks.objective``."""
    x, s = row["x"], score(row["x"])
    if operation in ("esm", "dsm"):
        square = sum((si - ti) ** 2 for si, ti in zip(s, row["target"]))
        return {"score": s, "per_sample": [row["factor"] * square / 2]}
    if operation == "ism":
        units = [[Decimal(int(i == k)) for i in range(len(x))] for k in range(len(x))]
        trace = sum(quadratic(score, x, unit) for unit in units)
        named = {"divergence": [trace]}
    else:
        forms = [quadratic(score, x, v) for v in row["v"]]
        trace = sum(forms) / len(forms)
        named = {"quadratic": forms}
    if operation == "ssm":
        square = sum(_dot(v, s) ** 2 for v in row["v"]) / len(row["v"])
    else:
        square = _dot(s, s)
    return {"score": s, "half_square": [square / 2], **named, "per_sample": [square / 2 + trace]}


def objective(
    operation: str, layers: Any, activation: Phi, rows: Sequence[dict[str, Any]], shares: Sequence[Decimal]
) -> dict[str, list[Decimal]]:
    """All outputs, the gradient by a central difference of the loss in every parameter.

    What a shifted parameter leaves as it was, the layers below its own, is computed once.
    """
    moving = [([list(row) for row in W], list(b)) for W, b in layers]
    below = lru_cache(maxsize=None)(lambda l, y: network([*layers[:l], None], activation, y))

    def evaluate(l: int) -> list[dict[str, list[Decimal]]]:
        return [
            sample(operation, lambda y: network(moving[l:], activation, below(l, tuple(y))), row)
            for row in rows
        ]

    def loss(l: int) -> Decimal:
        return _dot(shares, [part["per_sample"][0] for part in evaluate(l)])

    parts = evaluate(0)
    out = {name: [value for part in parts for value in part[name]] for name in parts[0]}
    out["loss"], out["grad"] = [_dot(shares, out["per_sample"])], []
    for l, (W, b) in enumerate(moving):
        cells = [(vector, j) for vector in [*W, b] for j in range(len(vector))]
        out["grad"] += [central(lambda: loss(l), vector, j) for vector, j in cells]  # noqa: B023
    return out


def central(f: Callable[[], Decimal], vector: list[Decimal], j: int) -> Decimal:
    """∂f/∂vector[j], the entry moved there and back."""
    h, middle = Decimal(10) ** -STEP_DIGITS, vector[j]
    vector[j] = middle + h
    ahead = f()
    vector[j] = middle - h
    behind = f()
    vector[j] = middle
    return (ahead - behind) / (2 * h)


def _dot(a: Sequence[Decimal], b: Sequence[Decimal]) -> Decimal:
    return sum(p * q for p, q in zip(a, b))
