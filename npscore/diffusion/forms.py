"""What a network may return, and how clean data, noise and score are read off it: one table.

With x = α x₀ + σ ε every parameterisation is a pair of linear readings of x and the network's output F,

    x₀ = p x + q F,      ε = u x + w F,      and so      s = −ε/σ = a x + b F,   a = −u/σ,  b = −w/σ,

where F sees c x. All seven follow from solving for x₀ and ε; none divides by α unless it must.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._run.borders import as_choice

Array = np.ndarray

#: score: −ε/σ. epsilon: ε. ncsnv2: −ε. x0: x₀. v: α ε − σ x₀ (Salimans and Ho 2022). flow: ε − x₀ (flow
#: matching's velocity
#: for t growing with noise). edm: (x₀ − c_skip x)/c_out of Karras et al. 2022, on x/α at the noise level σ/α.
FORMS = ("score", "epsilon", "ncsnv2", "x0", "v", "flow", "edm")


class Reading(NamedTuple):
    """x₀ = p x + q F(c x) and ε = u x + w F(c x), each number for a noise level or one a row."""

    p: Any
    q: Any
    u: Any
    w: Any
    c: Any


def reading(form: str, alpha: Any, sigma: Any, sigma_data: float = 1.0) -> Reading:
    """The reading of a form at α and σ > 0 (numbers or arrays of one shape), in their type."""
    as_choice(form, "form", FORMS)
    alpha, sigma = np.asarray(alpha)[()], np.asarray(sigma)[()]  # Python's own numbers refuse to divide by 0
    one, zero = 1.0 + 0.0 * sigma, 0.0 * sigma
    with np.errstate(divide="ignore", invalid="ignore"):
        if form in ("score", "epsilon", "ncsnv2"):
            w = {"score": -sigma, "epsilon": one, "ncsnv2": -one}[form]
            return Reading(1.0 / alpha, -sigma * w / alpha, zero, w, one)  # eq-12.16
        if form == "x0":
            return Reading(zero, one, 1.0 / sigma, -alpha / sigma, one)  # eq-12.16
        if form == "v":
            square = alpha * alpha + sigma * sigma
            return Reading(alpha / square, -sigma / square, sigma / square, alpha / square, one)  # eq-12.16
        if form == "flow":
            both = alpha + sigma
            return Reading(1.0 / both, -sigma / both, 1.0 / both, alpha / both, one)  # eq-12.16
        square = sigma * sigma + (alpha * sigma_data) ** 2
        root = np.sqrt(square)
        skip, out = alpha * sigma_data**2 / square, sigma * sigma_data / root
        return Reading(skip, out, sigma / square, -alpha * sigma_data / root, 1.0 / root)  # eq-12.16


def factors(form: str, of: str, alpha: Any, sigma: Any, sigma_data: float = 1.0) -> tuple[Any, Any, Any]:
    """a, b, c with which a network F of one form gives what one ``of`` another would return: a x + b F(c x).

    The score is a = −u/σ, b = −w/σ. A form read as itself is a = 0, b = 1, also where α = 0.
    """
    as_choice(of, "of", FORMS)
    p, q, u, w, c = reading(form, alpha, sigma, sigma_data)
    if of == form:
        return 0.0 * sigma, 1.0 + 0.0 * sigma, c
    if of == "score":
        return -u / sigma, -w / sigma, c  # eq-12.17
    if of in ("epsilon", "ncsnv2"):
        return (u, w, c) if of == "epsilon" else (-u, -w, c)
    if of == "x0":
        return p, q, c
    if of == "v":
        return alpha * u - sigma * p, alpha * w - sigma * q, c
    if of == "flow":
        return u - p, w - q, c
    skip, out, *_ = reading(of, alpha, sigma, sigma_data)
    return (p - skip) / out, q / out, c


def expressed(form: str, x0: Any, noise: Any, alpha: Any, sigma: Any, sigma_data: float = 1.0) -> Any:
    """What a network of this form should return where the clean data are x₀ and the noise is ε."""
    as_choice(form, "form", FORMS)
    if form == "score":
        return -noise / sigma
    if form in ("epsilon", "ncsnv2"):
        return noise if form == "epsilon" else -noise
    if form == "x0":
        return x0
    if form == "v":
        return alpha * noise - sigma * x0
    if form == "flow":
        return noise - x0
    p, q, *_ = reading(form, alpha, sigma, sigma_data)
    return (x0 - p * (alpha * x0 + sigma * noise)) / q
