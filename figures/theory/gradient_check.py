"""Checking a gradient: differences have a best step and ten digits at most; the complex step has all digits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.checks import complex_step_gradient, relative_error
from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

Loss = Callable[[np.ndarray], np.ndarray]


def forward_difference(loss: Loss, theta: np.ndarray, h: float) -> np.ndarray:
    origin = loss(theta)
    return np.array([(loss(theta + h * e) - origin) / h for e in np.eye(theta.size)])


def central_difference(loss: Loss, theta: np.ndarray, h: float) -> np.ndarray:
    return np.array([(loss(theta + h * e) - loss(theta - h * e)) / (2 * h) for e in np.eye(theta.size)])


METHODS = {
    "forward difference": (forward_difference, GAUSSIAN, "^"),
    "central difference": (central_difference, MODEL, "s"),
    "complex step": (complex_step_gradient, DATA, "o"),
}


def main() -> None:
    arguments = options(__doc__)
    model = ns.MLP.init((3, 5, 4, 3), rng=12)
    x = np.random.default_rng(12).standard_normal((5, 3))
    wide = ns.MLP([(w.astype(np.longdouble), b.astype(np.longdouble)) for w, b in model.layers])
    truth = ns.ism(wide, x.astype(np.longdouble)).grad  # three more digits than the float64 under test

    def loss(theta: np.ndarray) -> np.ndarray:
        return ns.ism(model.with_theta(theta), x).loss

    exponents = np.array([-2, -5, -9]) if arguments.quick else np.arange(-1.0, -30.5, -0.5)
    by_hand = relative_error(ns.ism(model, x).grad, truth)
    figure = new_figure(8.5, 4.4)
    axes = figure.subplots()
    numbers = {"claim": "", "log10_step": exponents.tolist(), "hand_derived": by_hand}
    for name, (method, colour, marker) in METHODS.items():
        errors = np.array([relative_error(method(loss, model.theta, 10.0**k), truth) for k in exponents])
        axes.loglog(
            10.0**exponents, np.maximum(errors, 1e-18), marker + "-", color=colour, ms=4, lw=1, label=name
        )
        numbers[name] = {
            "best": errors.min(),
            "at_step": 10.0 ** exponents[errors.argmin()],
            "error": errors.tolist(),
        }
    axes.axhline(by_hand, color="black", ls="--", lw=1, label="the gradient derived by hand")
    axes.axhline(np.finfo(float).eps, color=GREY, ls=":", lw=1, label="machine epsilon")
    axes.set(xlabel="step h", ylabel="largest error / largest entry", ylim=(1e-17, 1e3))
    axes.invert_xaxis()
    axes.set_title("A difference runs out of digits as h shrinks; the complex step does not")
    axes.legend(fontsize=9, loc="center right")
    numbers["claim"] = (
        f"best central difference {numbers['central difference']['best']:.0e}, complex step "
        f"{numbers['complex step']['error'][-1]:.0e}, by hand {by_hand:.0e}"
    )
    write(figure, numbers, arguments.out, "gradient_check")


if __name__ == "__main__":
    main()
