"""φ, φ′, φ″, φ‴ of every activation, from φ's definition and the standard library's `decimal` alone.

No differentiation rule and no stable form is used, so none can be wrong here in the way it is wrong there:
each derivative is a central difference of φ, with a step of 10⁻¹⁸ or 10⁻¹⁸|z| and so many digits that
neither rounding nor truncation (10⁻³⁶, relative) shows beside the 10⁻¹⁹ of a longdouble.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np

STEP_DIGITS = 18
POLYNOMIALS = ("identity", "square", "cube")  # every operation below is exact on these


def exact(x: Any) -> Decimal:
    """The finite real NumPy scalar ``x`` without rounding: mantissa, as the sum of two doubles, and exponent."""
    mantissa, exponent = np.frexp(x)
    high = float(mantissa)
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 2000, -(10**9), 10**9
        low = float(mantissa - type(mantissa)(high))
        return (Decimal(high) + Decimal(low)) * Decimal(2) ** int(exponent)


@cache
def jet(name: str, z: Decimal, beta: float = 1.0) -> tuple[Decimal, ...]:
    """(φ, φ′, φ″, φ‴, φ⁗) at z."""
    size = abs(float(z))
    step_digits = STEP_DIGITS + (max(0, -math.floor(math.log10(size))) if size else 0)
    with localcontext() as context:
        context.prec = 2000 if name in POLYNOMIALS else 60 + 4 * step_digits + _digits_lost(name, size, beta)
        context.Emin, context.Emax = -(10**9), 10**9
        h = Decimal(10) ** -step_digits
        f2, f1, f0, g1, g2 = (PHI[name](z + k * h, Decimal(beta)) for k in (2, 1, 0, -1, -2))
        derivatives = (
            f0,
            (f1 - g1) / (2 * h),
            (f1 - 2 * f0 + g1) / h**2,
            (f2 - 2 * f1 + 2 * g1 - g2) / (2 * h**3),
            (f2 - 4 * f1 + 6 * f0 - 4 * g1 + g2) / h**4,
        )
        if z:
            return derivatives
        return tuple(
            value if abs(value) > h else Decimal(0) for value in derivatives
        )  # φ″(0) of an odd φ is 0


def scale(name: str, order: int, z: Decimal, values: tuple[Decimal, ...]) -> Decimal:
    """What an error in φ^(order)(z) is measured against: its own size, or near a zero what it sums.

    The zeros meant are those away from z = 0, where terms of two signs meet; their sizes are added up here.
    Away from such zeros that is the size of φ^(order) up to a small factor, in the tails too.
    """
    with localcontext() as context:
        context.prec = 60
        context.Emin, context.Emax = -(10**9), 10**9
        terms = TERMS.get((name, order), lambda a, values: Decimal(0))
        return max(abs(values[order]), terms(abs(z), values))


def _silu_terms(a: Decimal, values: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    q, t = _logistic(-a), 1 - 2 * _logistic(-a)
    p = q * (1 - q)
    return q + a * p, p * (2 + a * t), p * (3 * t + a * (3 * t * t + 1) / 2)


def _density(z: Decimal) -> Decimal:
    return (-z * z / 2).exp() / (2 * _pi()).sqrt()


Terms = Callable[[Decimal, tuple[Decimal, ...]], Decimal]
TERMS: dict[tuple[str, int], Terms] = {
    ("tanh", 3): lambda a, values: values[1] * (6 * values[0] ** 2 + 2),
    ("sigmoid", 3): lambda a, values: values[1] * (3 * (1 - 2 * values[0]) ** 2 + 1) / 2,
    ("silu", 1): lambda a, values: _silu_terms(a, values)[0],
    ("silu", 2): lambda a, values: _silu_terms(a, values)[1],
    ("silu", 3): lambda a, values: _silu_terms(a, values)[2],
    ("gelu", 1): lambda a, values: a * _density(a),
    ("gelu", 2): lambda a, values: (2 + a * a) * _density(a),
    ("gelu", 3): lambda a, values: (4 * a + a**3) * _density(a),
    ("erf", 3): lambda a, values: (4 * a * a + 2) * values[1],
    ("isru", 3): lambda a, values: (12 * a * a + 3) * values[1] / (1 + a * a) ** 2,
}


def _digits_lost(name: str, size: float, beta: float) -> int:
    """The digits that φ has before those of φ‴ begin: by its decay far out, by its powers at any size."""
    decay = {
        "tanh": 2 * size,
        "softplus": beta * size,
        "sigmoid": size,
        "silu": size,
        "gelu": 0.5 * size * size,
        "erf": size * size,
    }.get(name, 0.0)
    powers = 4 * abs(math.log10(size)) if size else 0.0
    return math.ceil(decay / math.log(10) + powers)


def _logistic(z: Decimal) -> Decimal:
    return 1 / (1 + (-z).exp())


def _erf(z: Decimal) -> Decimal:
    """(2/√π) e^{−z²} Σ 2ⁿ z^{2n+1} / (2n + 1)!!, all terms of one sign."""
    term = total = z
    n = 0
    while total + term != total:
        n += 1
        term *= 2 * z * z / (2 * n + 1)
        total += term
    return 2 / _pi().sqrt() * (-z * z).exp() * total


def _sin(z: Decimal) -> Decimal:
    """The Taylor series, after whole turns have been taken off."""
    turn = 2 * _pi()
    z -= turn * (z / turn).to_integral_value()
    term = total = z
    n = 1
    while total + term != total:
        term *= -z * z / ((n + 1) * (n + 2))
        total += term
        n += 2
    return total


def _pi() -> Decimal:
    with localcontext() as context:
        return _pi_to(context.prec)


@cache
def _pi_to(digits: int) -> Decimal:
    with localcontext() as context:
        context.prec = digits + 10
        return 16 * _arctan_of_inverse(5) - 4 * _arctan_of_inverse(239)  # Machin 1706


def _arctan_of_inverse(m: int) -> Decimal:
    power = total = Decimal(1) / m
    n = 1
    while total + power != total:
        power /= -m * m
        n += 2
        total += power / n
    return total


PHI: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "tanh": lambda z, beta: 1 - 2 / (1 + (2 * z).exp()),
    "softplus": lambda z, beta: (1 + (beta * z).exp()).ln() / beta,
    "sigmoid": lambda z, beta: _logistic(z),
    "silu": lambda z, beta: z * _logistic(z),
    "gelu": lambda z, beta: z * (1 + _erf(z / Decimal(2).sqrt())) / 2,
    "sin": lambda z, beta: _sin(z),
    "erf": lambda z, beta: _erf(z),
    "isru": lambda z, beta: z / (1 + z * z).sqrt(),
    "identity": lambda z, beta: z,
    "square": lambda z, beta: z * z,
    "cube": lambda z, beta: z * z * z,
}


def largest_error(name: str, order: int, z: np.ndarray, computed: np.ndarray, beta: float = 1.0) -> float:
    """The largest error of ``computed`` as φ^(order)(z), in units of eps of its dtype times `scale`.

    A result with subnormal factors may be off by as many of the smallest subnormal as z³ and β² make of one.
    """
    info = np.finfo(computed.dtype)
    eps, smallest = exact(info.eps), exact(info.smallest_subnormal)
    worst = Decimal(0)
    for point, value in zip(z, computed):
        point, value = exact(point), exact(value)
        values = jet(name, point, beta)
        with localcontext() as context:
            context.prec = 60
            context.Emin, context.Emax = -(10**9), 10**9
            error = (
                abs(value - values[order])
                - smallest * (4 + abs(point)) ** 3 * max(Decimal(1), Decimal(beta)) ** 2
            )
            if error > 0:
                size = scale(name, order, point, values)
                worst = max(worst, error / (eps * size) if size else Decimal("inf"))
    return float(worst)
