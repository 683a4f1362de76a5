"""The assumptions broken: an edge moves ISM − ESM with θ by exactly the boundary term; a kink does not (2.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

LAPLACE = ns.targets.Laplace(0.5, 1.2)
CUT = ns.targets.TruncatedGaussian(0.2, 1.1, -0.7, 2.8)
P_LEFT, P_RIGHT = np.exp(CUT.log_prob([[-0.7 + 1e-15], [2.8 - 1e-15]]))  # p at the edges, from inside
CASES = {  # name: density, (edge, outward normal times the density there), colour, marker
    "exponential": (ns.targets.Exponential(1.5), [(0.0, -1.5)], MODEL, "s"),
    "uniform": (ns.targets.Uniform(-1.0, 3.0), [(-1.0, -0.25), (3.0, 0.25)], DATA, "o"),
    "cut Gaussian": (CUT, [(-0.7, -P_LEFT), (2.8, P_RIGHT)], GAUSSIAN, "D"),
    "Laplace (a kink, no edge)": (LAPLACE, [], "#CC79A7", "^"),
}


def network(theta: float) -> ns.MLP:
    """s(x; θ) = -2 tanh(x - θ): a hill of log p around θ."""
    return ns.MLP([([[1.0]], [-theta]), ([[-2.0]], [0.0])], activation="tanh")


def difference(density: Any, thetas: np.ndarray, order: int) -> tuple[np.ndarray, float]:
    """ISM - ESM at each θ, by quadrature, and the theorem's constant C."""
    x, w = density.quadrature(order)
    s = density.score(x)
    losses = [ns.ism(network(t), x, w).loss - ns.esm(network(t), x, s, w).loss for t in thetas]
    return np.array(losses), float(-0.5 * w @ s[:, 0] ** 2)


def boundary_term(edges: Sequence[tuple[float, float]], thetas: np.ndarray) -> np.ndarray:
    """B(θ), the closed form: the flux of p s through the edges."""
    return np.array([sum(flux * -2 * np.tanh(at - t) for at, flux in edges) for t in thetas])  # eq-2.9


def draw_wrong_minimum(axes: Any) -> None:
    """Uniform on (-1, 1) with s = θ x: ESM is least at 0, ISM at -3."""
    theta = np.linspace(-5.5, 1.5, 200)
    axes.plot(theta, theta**2 / 6, color=GREY, ls="--", label="J_ESM = θ²/6")
    axes.plot(theta, theta**2 / 6 + theta, color=DATA, label="J_ISM = θ²/6 + θ")
    axes.plot([0.0, -3.0], [0.0, -1.5], "o", color="black", ms=6)
    axes.annotate("the truth: s = 0", (0.0, 0.0), (-1.1, 1.2), arrowprops={"arrowstyle": "-"}, fontsize=9)
    axes.annotate("what ISM takes", (-3.0, -1.5), (-4.7, -0.55), arrowprops={"arrowstyle": "-"}, fontsize=9)
    axes.set(
        xlabel="θ,  model s(x) = θ x", ylabel="loss", title="… and the minimum moves: uniform on (−1, 1)"
    )
    axes.legend(fontsize=9, loc="upper center")


def main() -> None:
    arguments = options(__doc__)
    thetas = np.linspace(-3, 4, 5 if arguments.quick else 36)
    fine = np.linspace(-3, 4, 300)
    figure = new_figure(10, 4.2)
    axes, wrong = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.2, 1]})
    numbers = {"claim": "", "theta": thetas.tolist()}
    for name, (density, edges, colour, marker) in CASES.items():
        measured, constant = difference(density, thetas, 200)
        closed = constant + boundary_term(edges, thetas)
        axes.plot(fine, constant + boundary_term(edges, fine), color=colour, lw=1.2)
        axes.plot(thetas, measured, marker, color=colour, ms=4, label=name)
        numbers[name] = {
            "largest_error": np.abs(measured - closed).max(),
            "spread": np.ptp(measured),
            "constant": constant,
            "ism_minus_esm": measured.tolist(),
        }
    axes.set(xlabel="θ,  model s(x) = −2 tanh(x − θ)", ylabel="J_ISM − J_ESM")
    axes.set_title("With an edge, ISM − ESM moves with θ\n(points: quadrature; lines: C + B(θ))")
    axes.legend(fontsize=9)
    draw_wrong_minimum(wrong)
    worst = max(numbers[name]["largest_error"] for name in CASES)
    numbers["claim"] = f"ISM - ESM is C + B(theta) in closed form, to {worst:.0e}; a kink adds nothing"
    write(figure, numbers, arguments.out, "assumptions")


if __name__ == "__main__":
    main()
