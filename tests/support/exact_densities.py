"""Log-densities, scores and divergences in 150-digit decimals, each from its definition and with no care taken.

Every function returns ``(value, size)`` pairs for log p, the score's entries and the divergence: the size is what an
error is measured against, the sum of the absolute values that the formula adds up. Parameters and points are the
numbers that the floats are, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np
from oracle.densities import log_gamma
from oracle.functions import pi
from oracle.integrals import eliminate
from support.oracle_activations import exact

CONTEXT = Context(prec=150, Emin=-(10**9), Emax=10**9, traps=[])
GAMMA_DIGITS = 60


class Number(NamedTuple):
    """A value and the size that its error is measured against."""

    value: Decimal
    size: Decimal


class Exact(NamedTuple):
    """log p, the score and its divergence at one point."""

    log_prob: Number
    score: list[Number]
    score_divergence: Number


def matrix(array: Any) -> list[list[Decimal]]:
    """A float array's rows as decimals."""
    return [[exact(entry) for entry in row] for row in np.asarray(array)]


def vector(array: Any) -> list[Decimal]:
    """A float vector as decimals."""
    return [exact(entry) for entry in np.asarray(array)]


def gaussian(target: Any, x: np.ndarray) -> Exact:
    """N(mean, cov)."""
    with localcontext(CONTEXT):
        return _gaussian(vector(target.mean), matrix(target.cov), vector(x))


def mixture(target: Any, x: np.ndarray) -> Exact:
    """Σₖ πₖ N(μₖ, Σₖ). The sizes allow log-ratios 1e3 relative roundings, and those of products far off the axis."""
    slack = 1000 + Decimal(longdouble_roundings(target, x))
    with localcontext(CONTEXT):
        x, weights = vector(x), vector(target.weights)
        parts = [_gaussian(vector(m), matrix(c), x) for m, c in zip(target.means, target.covs)]
        logs = [(w / sum(weights)).ln() + part.log_prob.value for w, part in zip(weights, parts)]
        top = max(logs)
        total = sum((log - top).exp() for log in logs)
        r = [(log - top).exp() / total for log in logs]
        score = []
        for i in range(len(x)):
            mean, spread = _average(r, [part.score[i].value for part in parts])
            score.append(
                Number(mean, _average(r, [part.score[i].size for part in parts])[0] + slack * spread)
            )
        gaps = [sum((s.value - mean.value) ** 2 for s, mean in zip(part.score, score)) for part in parts]
        divergence, spread = _average(r, [p.score_divergence.value + gap for p, gap in zip(parts, gaps)])
        size = _average(r, [part.score_divergence.size + gap for part, gap in zip(parts, gaps)])[0]
        log_size = max(part.log_prob.size for part, share in zip(parts, r) if share > Decimal("1e-20"))
        return Exact(Number(top + total.ln(), log_size + 1), score, Number(divergence, size + slack * spread))


def _average(r: Sequence[Decimal], values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    """Σ rₖ vₖ, and how far the vₖ are from it on average."""
    mean = sum(rk * value for rk, value in zip(r, values))
    return mean, sum(rk * abs(value - mean) for rk, value in zip(r, values))


def longdouble_roundings(target: Any, x: np.ndarray) -> float:
    """The largest ‖yₖ − yⱼ‖ ‖yₖ + yⱼ‖ times eps of longdouble, in eps of the type of x: roughly, for a tolerance."""
    unit = np.sqrt(np.abs(target.covs).max())
    inverses = [np.linalg.inv(np.linalg.cholesky((cov / unit / unit).astype(float))) for cov in target.covs]
    deviations = [((x.astype(np.longdouble) - mean) / unit).astype(float) for mean in target.means]
    parts, product = list(zip(inverses, deviations, target.means / unit)), []
    for W, y, mean in parts:
        for V, z, other in parts:
            difference = (W - V) @ y + V @ (other - mean).astype(float)
            product.append(np.linalg.norm(difference) * np.linalg.norm(W @ y + V @ z))
    return 8 * max(product) * float(np.finfo(np.longdouble).eps / np.finfo(x.dtype).eps)


def student_t(target: Any, x: np.ndarray) -> Exact:
    """t_ν(loc, Σ)."""
    with localcontext(CONTEXT):
        nu, d = exact(np.float64(target.df)), target.d
        y = [xi - mi for xi, mi in zip(vector(x), vector(target.loc))]
        P, det = eliminate(matrix(target.scale_matrix))
        pull = [sum(p * yj for p, yj in zip(row, y)) for row in P]
        pull_size = [sum(abs(p * yj) for p, yj in zip(row, y)) for row in P]
        delta, trace = sum(a * b for a, b in zip(pull, y)), sum(P[i][i] for i in range(d))
        with localcontext() as context:
            context.prec = GAMMA_DIGITS
            constant = log_gamma((nu + d) / 2) - log_gamma(nu / 2) - (nu * pi()).ln() * d / 2 - det.ln() / 2
            sizes = (
                abs(log_gamma((nu + d) / 2) - log_gamma(nu / 2))
                + abs((nu * pi()).ln() * d / 2)
                + abs(det.ln() / 2)
            )
        kernel = -(nu + d) / 2 * (1 + delta / nu).ln()
        score = [
            Number(-(nu + d) * a / (nu + delta), (nu + d) * s / (nu + delta)) for a, s in zip(pull, pull_size)
        ]
        curvature = [
            [trace * P[i][j] - 2 * sum(P[i][k] * P[k][j] for k in range(d)) for j in range(d)]
            for i in range(d)
        ]
        form = sum(y[i] * curvature[i][j] * y[j] for i in range(d) for j in range(d))
        form_size = sum(abs(y[i] * curvature[i][j] * y[j]) for i in range(d) for j in range(d))
        scale = (nu + d) / (nu + delta) ** 2
        divergence = Number(-scale * (nu * trace + form), scale * (nu * trace + form_size))
        return Exact(Number(constant + kernel, sizes + abs(kernel)), score, divergence)


def _gaussian(mean: Sequence[Decimal], cov: Any, x: Sequence[Decimal]) -> Exact:
    y = [xi - mi for xi, mi in zip(x, mean)]
    P, det = eliminate(cov)
    pull = [-sum(p * yj for p, yj in zip(row, y)) for row in P]
    sizes = [sum(abs(p * yj) for p, yj in zip(row, y)) for row in P]
    square = sum(-a * b for a, b in zip(pull, y))
    constant = (len(x) * (2 * pi()).ln() + det.ln()) / 2
    size = sum(s * abs(b) for s, b in zip(sizes, y)) / 2 + len(x) + abs(det.ln()) / 2
    trace = sum(P[i][i] for i in range(len(x)))
    score = [Number(a, s) for a, s in zip(pull, sizes)]
    return Exact(Number(-square / 2 - constant, size), score, Number(-trace, trace))


def on_the_line(target: Any, x: np.ndarray) -> Exact:
    """The densities with one formula in z = (x − loc)/b; their sizes allow z a rounding: its derivative times |z|."""
    with localcontext(CONTEXT):
        name, (at,) = type(target).__name__, vector(x)
        if name == "Exponential":
            rate = exact(np.float64(target.rate))
            return _line(rate.ln(), -rate * at, -rate, Decimal(0), Decimal(0), Decimal(0))
        if name == "Uniform":
            width = exact(np.float64(target.high)) - exact(np.float64(target.low))
            return _line(-width.ln(), Decimal(0), Decimal(0), Decimal(0), Decimal(0), Decimal(0))
        loc, b = exact(np.float64(target.loc)), exact(np.float64(target.scale))
        z = (at - loc) / b
        if name == "Laplace":
            sign = (z > 0) - (z < 0)
            return _line(-(2 * b).ln(), -abs(z), -sign / b, Decimal(0), Decimal(0), Decimal(0))
        e = (-z).exp()
        if name == "Gumbel":
            return _line(-b.ln(), -z - e, (e - 1) / b, -e / b / b, abs(z) * (1 + e), z * e / b)
        p = (-abs(z)).exp() / (1 + (-abs(z)).exp()) ** 2
        tanh = (1 - (-abs(z)).exp()) / (1 + (-abs(z)).exp()) * ((z > 0) - (z < 0))
        log_kernel = -abs(z) - 2 * (1 + (-abs(z)).exp()).ln()
        return _line(-b.ln(), log_kernel, -tanh / b, -2 * p / b / b, abs(z), z * p / b)


def _line(
    constant: Decimal, kernel: Decimal, score: Decimal, slope: Decimal, moved: Decimal, pulled: Decimal
) -> Exact:
    z_part = abs(moved) + 1
    return Exact(
        Number(constant + kernel, abs(constant) + abs(kernel) + abs(moved)),
        [Number(score, abs(score) + abs(pulled))],
        Number(slope, abs(slope) * z_part),
    )
