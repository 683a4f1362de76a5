"""Densities one row at a time: log p, score and divergence, right or with one line wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import gammaln, log_ndtr

Array = np.ndarray
Answer = dict[str, Array]
LOG_2PI = float(np.log(2 * np.pi))


def gaussian(
    x: Array, mean: Array, cov: Array, invert: Any = np.linalg.inv, shift: float = 0.0
) -> tuple[Any, Array, Any]:
    P = invert(cov)
    y = x - mean
    log_det = np.linalg.slogdet(2 * np.pi * np.linalg.inv(P))[1]
    return -0.5 * (y @ P @ y + log_det) + shift, -P @ y, -np.trace(P)


def mixture(
    x: Array, a: dict[str, Array], line: str = "", invert: Any = np.linalg.inv
) -> tuple[Any, Array, Any]:
    parts = [gaussian(x, mean, cov, invert) for mean, cov in zip(a["means"], a["covs"])]
    logs, scores, divs = (np.array(column) for column in zip(*parts))
    w = a["mixture_weights"]
    r = w * np.exp(logs - logs.max())
    if line == "weights-ignored":
        r = r / w
    r = r / r.sum()
    if line == "hard":
        r = (np.arange(len(r)) == np.argmax(r)).astype(x.dtype)
    if line == "prior":
        r = w
    s = sum(rk * sk for rk, sk in zip(r, scores))
    divergence = sum(rk * (dk + np.dot(sk, sk)) for rk, dk, sk in zip(r, divs, scores)) - np.dot(s, s)
    if line == "no-spread":
        divergence = r @ divs
    if line == "unsubtracted":
        divergence = divergence + np.dot(s, s)
    log_p = {
        "log-average": lambda: w @ logs,
        "log-unweighted": lambda: logs.max() + np.log(np.exp(logs - logs.max()).sum()),
        "log-largest": lambda: np.max(np.log(w) + logs),
    }.get(line, lambda: logs.max() + np.log((w * np.exp(logs - logs.max())).sum()))()
    return log_p, s, divergence


def student(
    x: Array, a: dict[str, Array], c: Any = None, spread: float = 2, invert: Any = np.linalg.inv
) -> tuple[Any, Array, Any]:
    P, nu, d, y = invert(a["scale_matrix"]), float(a["df"]), len(x), x - a["loc"]
    c = nu + d if c is None else c(nu, d)
    pull = P @ y
    delta = y @ pull
    norm = (
        gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * np.log(nu * np.pi) + 0.5 * np.linalg.slogdet(P)[1]
    )
    log_p = norm - 0.5 * c * np.log1p(delta / nu)
    return (
        log_p,
        -c * pull / (nu + delta),
        -c * (np.trace(P) / (nu + delta) - spread * (pull @ pull) / (nu + delta) ** 2),
    )


def on_the_line(name: str, x: Any, p: dict[str, float], line: str = "") -> tuple[Any, Any, Any]:
    """log p, (log p)′, (log p)″ of one factor."""
    if name == "exponential":
        rate = 1 / p["rate"] if line == "rate-as-scale" else p["rate"]
        return np.log(rate) - rate * x, -rate, 0.0
    z = (x - p["loc"]) / p["scale"]
    if name == "truncated_gaussian":
        high, low = (log_ndtr((p[edge] - p["loc"]) / p["scale"]) for edge in ("high", "low"))
        mass = 0.0 if line == "truncation-ignored" else high + np.log1p(-np.exp(low - high))
        return -0.5 * z * z - np.log(p["scale"]) - LOG_2PI / 2 - mass, -z / p["scale"], -(p["scale"] ** -2)
    if name == "gumbel" and line == "gumbel-minimum":
        log_f, d1, d2 = z - np.exp(z), 1 - np.exp(z), -np.exp(z)
    else:
        log_f, d1, d2 = {
            "laplace": lambda: (-abs(z) - np.log(2), -np.sign(z), 0.0),
            "logistic": lambda: (-z - 2 * np.log1p(np.exp(-z)), -np.tanh(z / 2), -0.5 / np.cosh(z / 2) ** 2),
            "gumbel": lambda: (-z - np.exp(-z), np.expm1(-z), -np.exp(-z)),
        }[name]()
    b = 1.0 if line == "factor-scale-missing" else p["scale"]
    return log_f - (0.0 if line == "factor-log-scale-missing" else np.log(p["scale"])), d1 / b, d2 / b / b


def product(x: Array, a: dict[str, Array], factors: list[str], line: str = "") -> tuple[Any, Array, Any]:
    parts = []
    for j, name in enumerate(factors):
        p = {key[:-1]: float(value) for key, value in a.items() if key.endswith(str(j + 1))}
        parts.append(on_the_line(name, x[j], p, line))
    return sum(p[0] for p in parts), np.array([p[1] for p in parts], x.dtype), sum(p[2] for p in parts)


def widened(case: Any, a: dict[str, Array], amount: Callable[[float], float]) -> dict[str, Array]:
    """The covariances after smoothing."""
    if case.operation != "smoothed_density":
        return a
    extra = amount(float(a["sigma"])) * np.eye(a["x"].shape[1])
    return {**a, **{key: a[key] + extra for key in ("cov", "covs") if key in a}}


Row = Callable[[Any, Array, dict[str, Array]], tuple[Any, Array, Any]]


def density_row(case: Any, x: Array, a: dict[str, Array]) -> tuple[Any, Array, Any]:
    name = case.model["density"]
    if name == "gaussian":
        return gaussian(x, a["mean"], a["cov"])
    if name == "gaussian_mixture":
        return mixture(x, a)
    return student(x, a) if name == "student_t" else product(x, a, case.model["factors"])


def density(
    row: Row = density_row,
    amount: Callable[[float], float] = lambda s: s * s,
    signs: tuple[float, ...] = (1, 1, 1),
) -> Callable[[Any, str], Answer]:
    def answer(case: Any, dtype: str) -> Answer:
        a = widened(case, case.inputs("float64"), amount)
        a = {key: value.astype(dtype) for key, value in a.items()}
        parts = [row(case, x, a) for x in a["x"]]
        columns = [np.array(column, dtype).astype(np.float64) for column in zip(*parts)]
        return {key: c * value for key, c, value in zip(("log_prob", "score", "divergence"), signs, columns)}

    return answer
