"""Sums and products over the components of a mixture: arrays (K, d, n), the samples last, along memory."""

from __future__ import annotations

import numpy as np

from .precision import like

Array = np.ndarray


def middle(a: Array, b: Array, x: Array) -> tuple[Array, Array]:
    """(a + b)/2 of longdoubles: its value rounded to the type of x, and the rest with all digits (Knuth 1969)."""
    total = a + b
    part = total - a
    error = (a - (total - part)) + (b - part)  # total + error = a + b exactly
    rounded = like(0.5 * total, x)
    return rounded, like((0.5 * total - rounded) + 0.5 * error, x)


def dot(a: Array, b: Array) -> Array:
    """Σᵢ aₖᵢ bₖᵢ of arrays ``(K, d, n)``, shape ``(K, n)``, in one pass."""
    return np.einsum("kdn,kdn->kn", a, b)


def norm(y: Array) -> Array:
    """‖yₖ‖ of ``(K, d, n)``, shape ``(K, n)``."""
    return np.sqrt(dot(y, y))


def largest(terms: Array) -> Array:
    """The term of largest real part in every column of (K, n), shape ``(n,)``."""
    if terms.dtype.kind != "c":
        return terms.max(axis=0)
    return np.take_along_axis(terms, terms.real.argmax(axis=0)[None], axis=0)[0]


def average(r: Array, values: Array) -> Array:
    """Σₖ rₖ vₖ for v ``(K, d, n)``."""
    return (r[:, None] * values).sum(axis=0)
