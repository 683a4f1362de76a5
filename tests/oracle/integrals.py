"""Linear algebra and one-dimensional integrals to any number of digits, each by two unrelated methods."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import permutations
from math import inf
from typing import Any

from .functions import pi

Matrix = list[list[Any]]
CHANGE = Decimal("1e-55")  # halving h squares the error: the last change is far above what is left
NOTHING = Decimal("1e-72")  # terms so much below the largest are left out


def eliminate(matrix: Matrix, one: Any = 1, zero: Any = 0) -> tuple[Matrix, Any]:
    """Inverse and determinant by Gauss–Jordan elimination without pivoting: for positive definite matrices."""
    d = len(matrix)
    rows = [[*row, *(one if i == j else zero for j in range(d))] for i, row in enumerate(matrix)]
    determinant = one
    for k in range(d):
        pivot = rows[k][k]
        determinant *= pivot
        rows[k] = [entry / pivot for entry in rows[k]]
        for i in range(d):
            if i != k:
                factor = rows[i][k]
                rows[i] = [p - factor * q for p, q in zip(rows[i], rows[k])]
    return [row[d:] for row in rows], determinant


def cramer(matrix: Matrix) -> tuple[Matrix, Any]:
    """The same by Leibniz's sum over permutations and the matrix of cofactors."""
    d, det = len(matrix), determinant(matrix)

    def minor(i: int, j: int) -> Matrix:
        return [[row[c] for c in range(d) if c != j] for r, row in enumerate(matrix) if r != i]

    return [[(-1) ** (i + j) * determinant(minor(j, i)) / det for j in range(d)] for i in range(d)], det


def determinant(matrix: Matrix) -> Any:
    """Σ over permutations of sign · ∏ entries."""
    total: Any = 0
    for order in permutations(range(len(matrix))):
        inversions = sum(order[i] > order[j] for j in range(len(order)) for i in range(j))
        term: Any = (-1) ** inversions
        for i, j in enumerate(order):
            term *= matrix[i][j]
        total += term
    return total


def cholesky(matrix: Matrix) -> Matrix:
    """L with L Lᵀ = matrix, lower triangular."""
    d = len(matrix)
    L = [[Decimal(0)] * d for _ in range(d)]
    for i in range(d):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(L[i][k] * L[j][k] for k in range(j))
            L[i][j] = rest.sqrt() if i == j else rest / L[j][j]
    return L


def integrate(f: Callable[[Decimal], Decimal], low: Any = -inf, high: Any = inf) -> Decimal:
    """∫ f by the trapezoid rule in t, where x = sinh t, low + e^{t − e^{−t}}, or middle + half tanh(½π sinh t).

    It converges like exp(−const/h) for the analytic densities here; h is halved until nothing changes.
    """
    if low == -inf and high != inf:
        return integrate(lambda x: f(-x), -high, inf)
    curve = _line if low == -inf else _half_line(low) if high == inf else _interval(low, high)
    h = Decimal(1) / 8
    total, finer = Decimal(0), _side(f, curve, h, 0, 1) + _side(f, curve, h, -1, -1)
    while abs(finer * h - total) > abs(total) * CHANGE:
        total, h = finer * h, h / 2
        finer += _side(f, curve, h, 1, 2) + _side(f, curve, h, -1, -2)
    return finer * h


def _side(f: Callable[[Decimal], Decimal], curve: Any, h: Decimal, k: int, stride: int) -> Decimal:
    """Σ f(x(t)) x′(t) at t = kh, (k + stride)h, …, until the terms vanish beside the sum."""
    total, largest, small = Decimal(0), Decimal(0), 0
    while small < 3:
        x, slope = curve(k * h)
        term = f(x) * slope if slope else Decimal(0)
        total, largest, k = total + term, max(largest, abs(term)), k + stride
        small = small + 1 if abs(term) <= largest * NOTHING and abs(k * h) > 1 else 0
    return total


def _line(t: Decimal) -> tuple[Decimal, Decimal]:
    up, down = t.exp(), (-t).exp()
    return (up - down) / 2, (up + down) / 2


def _half_line(low: Decimal) -> Callable[[Decimal], tuple[Decimal, Decimal]]:
    def curve(t: Decimal) -> tuple[Decimal, Decimal]:
        e = (-t).exp()
        u = (t - e).exp()
        return low + u, u * (1 + e)

    return curve


def _interval(low: Decimal, high: Decimal) -> Callable[[Decimal], tuple[Decimal, Decimal]]:
    half, middle = (high - low) / 2, (low + high) / 2

    def curve(t: Decimal) -> tuple[Decimal, Decimal]:
        up, down = t.exp(), (-t).exp()
        q = (pi() / 2 * (up - down)).exp()  # e^{2u} with u = ½π sinh t
        return middle + half * (q - 1) / (q + 1), half * pi() * (up + down) * q / (q + 1) ** 2

    return curve
