"""Mistakes of gradient ascent and of Langevin steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Answer, Array, Predict, changed, entry
from .targets import target

Rule = Callable[[Callable[[Array], Array], Array, float, Array, int], Array]
BOTH = ("gradient_ascent", "langevin")


def steps_of(case: Any) -> int:
    return int(case.n_steps or 1)


def chain(rule: Rule, order: Callable[[Array], Array] = lambda z: z, extra: int = 0) -> Predict:
    """x after the case's steps of ``rule(score, x, step, z, t)``; ``order`` changes the noise, ``extra`` adds steps."""

    def predict(case: Any) -> Answer:
        arrays, score = case.inputs("float64"), _where_finite(target(case).score)
        x, step, n_steps = arrays["x0"], float(arrays["step"]), steps_of(case) + extra
        z = order(arrays["z"]) if "z" in arrays else np.zeros((n_steps, *x.shape))
        for t in range(min(n_steps, len(z))):
            x = rule(score, x, step, z[t], t)
        return changed(case, {"x": x}, digits=11)

    return predict


def _where_finite(score: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The score, NaN in rows that are not finite: a chain with a mistake may diverge."""

    def guarded(x: Array) -> Array:
        rows = np.isfinite(x).all(axis=1)
        out = np.full(x.shape, np.nan)
        out[rows] = score(x[rows]) if rows.any() else 0.0
        return out

    return guarded


def _affine(drift: Callable[[float], float], noise: Callable[[float], float]) -> Predict:
    """x + drift(α) s + noise(α) z."""
    return chain(lambda score, x, a, z, t: x + drift(a) * score(x) + noise(a) * z)


def _root(a: float) -> float:
    return float(np.sqrt(2 * a))


def _frozen(case: Any) -> Answer:
    """The score at x0 in every step."""
    s0 = target(case).score(case.inputs("float64")["x0"])
    return chain(lambda score, x, a, z, t: x + a * s0 + _root(a) * z)(case)


def _last_quiet(case: Any) -> Answer:
    last = steps_of(case) - 1
    return chain(lambda score, x, a, z, t: x + a * score(x) + _root(a) * z * (t < last))(case)


def _one_more(case: Any) -> Answer:
    """One ascent step too many, its noise 0."""
    if case.operation == "langevin":
        return {}
    return chain(lambda score, x, a, z, t: x + a * score(x), extra=1)(case)


def _normalised(score: Any, x: Array, a: float, z: Array, t: int) -> Array:
    s = score(x)
    return x + a * s / np.sqrt((s * s).sum(axis=1, keepdims=True))


UNITS = "With ε²/2 for α it is the same chain: compare formulas before step sizes."

MISTAKES = [
    entry(
        "drift-sign", BOTH, "minus the score", "x − α s", "eq-1.2",
        chain(lambda score, x, a, z, t: x - a * score(x) + _root(a) * z),
        "Runs away from the data. Descent on −log p is ascent on log p.",
        "Add the score; subtract an energy's gradient.",
    ),
    entry(
        "drift-halved", BOTH, "half the drift", "x + (α/2) s", "eq-1.3", _affine(lambda a: a / 2, _root),
        "For Langevin the temperature is doubled: √2 too wide.", "α s goes with √(2α) z, and (α/2) s with √α z.",
    ),
    entry(
        "drift-doubled", BOTH, "twice the drift", "x + 2α s", "eq-1.3", _affine(lambda a: 2 * a, _root),
        "For Langevin the temperature is halved: √2 too narrow.", "α s goes with √(2α) z.",
    ),
    entry(
        "drift-unscaled", BOTH, "the score without the step", "x + s", "eq-1.3", _affine(lambda a: 1.0, _root),
        "The temperature is α: at small α the noise hardly matters.", "Multiply the score by α.",
        seen=("point0bar1/ebm-anatomy issue 1 asks about this drift (there on purpose: the energy is in other units)",),
    ),
    entry(
        "step-squared", BOTH, "α² for α in the drift", "x + α² s", "eq-1.3", _affine(lambda a: a * a, _root),
        "Hardly moves towards the data.", "α s.",
    ),
    entry(
        "drift-root", BOTH, "√α for α in the drift", "x + √α s", "eq-1.3",
        _affine(lambda a: float(np.sqrt(a)), _root),
        "Too long a step: biased, or unstable.", "α s: the root belongs to the noise.",
    ),
    entry(
        "score-frozen", BOTH, "the score of the first step in all steps", "x + α s(x₀)", "eq-1.2", _frozen,
        "A straight line; only the first step is right.", "Evaluate the score at the current x.",
    ),
    entry(
        "step-missing", BOTH, "one step too few", "t < n_steps − 1", "eq-1.2",
        chain(lambda score, x, a, z, t: x + a * score(x) + _root(a) * z, extra=-1), "One step behind.",
        "n_steps updates.",
    ),
    entry(
        "step-extra", "gradient_ascent", "one step too many", "t ≤ n_steps", "eq-1.2", _one_more, "One step ahead.",
        "n_steps updates.",
    ),
    entry(
        "score-normalised", "gradient_ascent", "score scaled to length 1", "x + α s/‖s‖", "eq-1.2",
        chain(_normalised),
        "Never settles: every step has length α.", "Use the score as it is.",
    ),
    entry(
        "score-sign-only", "gradient_ascent", "only the signs of the score", "x + α sign s", "eq-1.2",
        chain(lambda score, x, a, z, t: x + a * np.sign(score(x))), "Never settles.", "Use the score as it is.",
    ),
    entry(
        "step-decayed", BOTH, "step divided by the step's number", "α/t", "eq-1.2",
        chain(lambda score, x, a, z, t: x + a / (t + 1) * score(x) + _root(a / (t + 1)) * z),
        "Another schedule.", "The same α in every step.",
    ),
    entry(
        "noise-root-alpha", "langevin", "√α for √(2α)", "x + α s + √α z", "eq-1.3",
        _affine(lambda a: a, lambda a: float(np.sqrt(a))),
        "The temperature is ½: samples √2 too narrow.", "√(2α) z with α s.",
    ),
    entry(
        "noise-alpha", "langevin", "α z for √(2α) z", "x + α s + α z", "eq-1.3", _affine(lambda a: a, lambda a: a),
        "The noise vanishes with the step: it becomes gradient ascent.", "√(2α) z.",
    ),
    entry(
        "noise-alpha-drift-halved", "langevin", "α (s/2 + z)", "x + α (½ s + z)", "eq-1.3",
        _affine(lambda a: a / 2, lambda a: a),
        "The noise vanishes with the step: too narrow, and the more so the smaller α.",
        "x + α s + √(2α) z.", seen=("google-research/ibc issue 6",),
    ),
    entry(
        "half-step", "langevin", "α/2 and √α", "x + (α/2) s + √α z", "eq-1.3",
        _affine(lambda a: a / 2, lambda a: float(np.sqrt(a))), f"The right law at half the step. {UNITS}",
        "Double the step to compare.", kind="convention",
    ),
    entry(
        "half-square-step", "langevin", "α is ε: α²/2 and α", "x + (α²/2) s + α z", "eq-1.3",
        _affine(lambda a: a * a / 2, lambda a: a), f"The right law in another parametrisation of the step. {UNITS}",
        "ε = √(2α).", kind="convention",
    ),
    entry(
        "noise-two-alpha", "langevin", "2α z for √(2α) z", "x + α s + 2α z", "eq-1.3",
        _affine(lambda a: a, lambda a: 2 * a),
        "A variance used as a deviation.", "The deviation is √(2α).",
    ),
    entry(
        "noise-two-root", "langevin", "2√α z for √(2α) z", "x + α s + 2√α z", "eq-1.3",
        _affine(lambda a: a, lambda a: 2 * float(np.sqrt(a))), "The temperature is 2: samples √2 too wide.",
        "The 2 is under the root.",
    ),
    entry(
        "noise-unscaled", "langevin", "z without its factor", "x + α s + z", "eq-1.3",
        _affine(lambda a: a, lambda a: 1.0),
        "Far too hot.", "√(2α) z.",
    ),
    entry(
        "noise-missing", "langevin", "no noise", "x + α s", "eq-1.3", _affine(lambda a: a, lambda a: 0.0),
        "Gradient ascent: all chains end at modes.", "Add √(2α) z.",
    ),
    entry(
        "noise-sign", "langevin", "minus the noise", "x + α s − √(2α) z", "eq-1.3",
        _affine(lambda a: a, lambda a: -_root(a)),
        "None on the law, since −z has the law of z; other numbers for given noise.", "Add the noise, to compare.",
        kind="convention",
    ),
    entry(
        "noise-first", "langevin", "noise added before the score is taken", "y = x + √(2α) z; y + α s(y)", "eq-1.3",
        chain(lambda score, x, a, z, t: (x + _root(a) * z) + a * score(x + _root(a) * z)),
        "Another discretisation, of the same order.", "Take the score at x, then move.",
    ),
    entry(
        "drift-first", "langevin", "noise added after the last step's move only", "x_T + √(2α) z_T", "eq-1.3",
        lambda case: chain(lambda score, x, a, z,
        t: x + a * score(x) + _root(a) * z * (t == steps_of(case) - 1))(case),
        "Ascent with a blur at the end.", "Noise in every step.",
    ),
    entry(
        "last-noise-missing", "langevin", "no noise in the last step", "x_T = x + α s", "eq-1.3", _last_quiet,
        "The samples are a denoised step short: too narrow by the last noise.",
        "Noise in every step that is asked for.",
    ),
    entry(
        "noise-shared", "langevin", "the same noise for all chains", "z₁ for zᵢ", "eq-1.3",
        chain(lambda score, x, a, z, t: x + a * score(x) + _root(a) * z,
        order=lambda z: np.broadcast_to(z[:, :1], z.shape)),
        "Chains are copies of each other up to their start.", "A row of z for each chain.",
    ),
    entry(
        "noise-repeated", "langevin", "the first step's noise in all steps", "z_0 for z_t", "eq-1.3",
        chain(lambda score, x, a, z, t: x + a * score(x) + _root(a) * z,
        order=lambda z: np.broadcast_to(z[:1], z.shape)),
        "A constant force: the mean is moved.", "Fresh noise in each step.",
    ),
    entry(
        "noise-reversed", "langevin", "noise used in reverse order", "z_{T−t}", "eq-1.3",
        chain(lambda score, x, a, z, t: x + a * score(x) + _root(a) * z, order=lambda z: z[::-1]),
        "None on the law; other numbers for given noise.", "z[t] in step t.",
    ),
]  # fmt: skip
