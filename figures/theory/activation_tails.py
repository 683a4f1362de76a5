"""Activations in the tails: the textbook form loses all digits, the form used here none."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.plots import DATA, GREY, MODEL, new_figure

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


class Case(NamedTuple):
    name: str
    order: int  # of the derivative
    low: float
    high: float
    textbook: Callable[[np.ndarray], np.ndarray]
    formula: str  # the textbook's
    exact: Callable[[Decimal], Decimal]


def logistic(z: Decimal) -> Decimal:
    return 1 / (1 + (-z).exp())


def normal_tail(a: Decimal) -> Decimal:
    """Φ(-a) for a >= 0: Laplace's continued fraction far out, the Taylor series near 0."""
    density = (-a * a / 2).exp() / (2 * PI).sqrt()
    if a > 4:
        tail = a
        for k in range(400, 0, -1):
            tail = a + k / tail
        return density / tail
    term = total = a
    for k in range(1, 200):  # Φ(a) - 1/2 = density · Σ a^(2k+1)/(1·3·5···(2k+1))
        term *= a * a / (2 * k + 1)
        total += term
    return Decimal("0.5") - density * total


def textbook_gelu(z: np.ndarray) -> np.ndarray:
    return z * 0.5 * (1 + np.array([math.erf(value / math.sqrt(2)) for value in z]))


CASES = (
    Case(
        "tanh",
        1,
        0,
        40,
        lambda z: 1 - np.tanh(z) ** 2,
        "1 − tanh²",
        lambda z: 4 * logistic(2 * z) * logistic(-2 * z),
    ),
    Case(
        "sigmoid",
        1,
        0,
        40,
        lambda z: (p := 1 / (1 + np.exp(-z))) * (1 - p),
        "σ(1 − σ)",
        lambda z: logistic(z) * logistic(-z),
    ),
    Case("softplus", 0, -40, 0, lambda z: np.log(1 + np.exp(z)), "log(1 + eᶻ)", lambda z: (1 + z.exp()).ln()),
    Case("gelu", 0, -12, 0, textbook_gelu, "z(1 + erf(z/√2))/2", lambda z: z * normal_tail(-z)),
)


def relative_errors(values: np.ndarray, exact: list[Decimal]) -> np.ndarray:
    """|value - exact| / |exact|, in decimal arithmetic."""
    return np.array([float(abs((Decimal(float(v)) - e) / e)) for v, e in zip(values, exact)])


def main() -> None:
    arguments = options(__doc__)
    count = 8 if arguments.quick else 160
    figure = new_figure(10, 6.2)
    numbers = {}
    for axes, case in zip(figure.subplots(2, 2).ravel(), CASES):
        z = np.linspace(case.low, case.high, count + 2)[1:-1]  # (count,), 0 left out
        with localcontext() as context:
            context.prec = 80
            exact = [case.exact(Decimal(float(value))) for value in z]
            ours = relative_errors(ns.activations.get(case.name).jet(z, case.order)[case.order], exact)
            textbook = relative_errors(case.textbook(z), exact)
        derivative = case.name + "′" * case.order
        axes.semilogy(z, np.maximum(textbook, 1e-18), color=MODEL, lw=1.6, label=f"textbook: {case.formula}")
        axes.semilogy(z, np.maximum(ours, 1e-18), ".", color=DATA, ms=4, label="npscore")
        axes.axhline(np.finfo(float).eps, color=GREY, ls=":", lw=1)
        axes.set(ylim=(5e-19, 1e4), xlabel="z", ylabel="relative error", title=f"{derivative}(z)")
        axes.legend(fontsize=9, loc="upper left" if case.high > 0 else "upper right")
        numbers[derivative] = {"largest_error_textbook": textbook.max(), "largest_error_npscore": ours.max()}
    figure.suptitle(
        "In the tails the textbook loses every digit (error 1 = all lost); dotted: machine epsilon"
    )
    worst = max(row["largest_error_npscore"] for row in numbers.values())
    numbers["claim"] = f"npscore's relative error is at most {worst:.1e}; the textbook's reaches 1"
    write(figure, numbers, arguments.out, "activation_tails")


if __name__ == "__main__":
    main()
