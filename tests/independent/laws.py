"""Chains in loops, their laws on a Gaussian, and expectations of an affine score, right or with other constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from independent.densities import Answer, Array, density_row


def chain(move: Any, noise: Any = lambda z: z, count: Any = lambda t: t) -> Callable[[Any, str], Answer]:
    """x after the case's steps: ``move(score, x, step, z, t, last)``."""

    def answer(case: Any, dtype: str) -> Answer:
        a = case.inputs(dtype)
        x, steps = a["x0"], count(case.n_steps or 1)
        z = noise(a["z"]) if "z" in a else np.zeros((steps, *x.shape), dtype)

        def score(points: Array) -> Array:
            return np.array([density_row(case, point, a)[1] for point in points], dtype)

        start = score(x)
        for t in range(min(steps, len(z))):
            x = np.asarray(move(score, x, a["step"], z[t], t, (t == steps - 1, start)), dtype)
        return {"x": x.astype(np.float64)}

    return answer


def same(a: Any) -> Any:
    return a


def law(
    shrink: Any = None, noise: float = 2, sides: int = 2, count: Any = same, invert: Any = np.linalg.inv
) -> Callable[[Any, str], Answer]:
    def answer(case: Any, dtype: str) -> Answer:
        a = case.inputs("float64")
        step, eye = float(a["step"]), np.eye(len(a["cov"]))
        R = eye - (1 if shrink is None else shrink) * step * invert(a["cov"])
        mean, cov = a["mean0"], a["cov0"]
        for _ in range(count(case.n_steps)):
            mean = a["mean"] + R @ (mean - a["mean"])
            cov = (R @ cov if sides == 1 else R @ cov @ R.T) + noise * step * eye
        return {"mean": mean, "cov": cov}

    return answer


def stationary(c: float, flip: bool = False) -> Callable[[Any, str], Answer]:
    def answer(case: Any, dtype: str) -> Answer:
        a = case.inputs("float64")
        values, vectors = np.linalg.eigh(a["cov"])
        widths = values / (1 + c * float(a["step"]) / values)
        return {"cov": (vectors * (1 / widths if flip else widths)) @ vectors.T}

    return answer


def population(
    trace: float = 1, mean: float = 1, power: float = 2, constant: float = 0.5
) -> Callable[[Any, str], Answer]:
    """½E‖s‖² + tr A (ISM and DSM), or ESM, from second moments."""

    def answer(case: Any, dtype: str) -> Answer:
        a = case.inputs("float64")
        A, b, m, d = a["A"], a["b"], mean * a["mean"], len(a["b"])
        S = a["cov"] + (float(a["sigma"]) ** power * np.eye(d) * (power > 0) if "sigma" in a else 0)
        if case.operation == "population_esm":
            P = np.linalg.inv(S)
            A, b, t = A + P, b - P @ m, 0.0
        else:
            t = trace
        moment = S + np.outer(m, m)
        loss = 0.5 * (np.trace(A @ moment @ A.T) + 2 * b @ A @ m + b @ b) + t * np.trace(A)
        loss += constant * d / float(a["sigma"]) ** 2 if "sigma" in a else 0
        return {
            "loss": np.asarray(loss),
            "grad.A": A @ moment + np.outer(b, m) + t * np.eye(d),
            "grad.b": A @ m + b,
        }

    return answer


def constant(c: float = 1) -> Callable[[Any, str], Answer]:
    return lambda case, dtype: {
        "constant": np.asarray(-c * np.linalg.inv(case.inputs("float64")["cov"]).trace() / 2)
    }
