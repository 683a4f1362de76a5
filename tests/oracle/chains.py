"""Sampler steps on a density or a network, and the exact law of Langevin on a Gaussian, by two routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from .integrals import Matrix, eliminate
from .networks import sized_inverse, total
from .numbers import Sized, Variable, dual, reverse

Score = Callable[[Sequence[Any]], list[Any]]


def run(score: Score, x: Sequence[Any], step: Any, noise: Sequence[Any], steps: int) -> list[Any]:
    """x ← x + α s(x), and + √(2α) z where there is noise; on plain decimals or `Sized`."""
    root = (2 * (step.value if isinstance(step, Sized) else step)).sqrt()
    root = Sized(root) if isinstance(step, Sized) else root
    for t in range(steps):
        moved = [xi + step * si for xi, si in zip(x, score(x))]
        x = [xi + root * zi for xi, zi in zip(moved, noise[t])] if noise else moved
    return list(x)


def sized_score(log_density: Callable[[Sequence[Any]], Any]) -> Score:
    """Route 1's score as a function of `Sized` numbers: the reverse pass of log p."""

    def score(x: Sequence[Sized]) -> list[Sized]:
        variables = [Variable(dual(xi)) for xi in x]
        gradient = reverse([log_density(variables)], [Sized(Decimal(1))], variables)
        return [g.re for g in gradient]

    return score


def law(
    mean: Any, cov: Matrix, mean0: Any, cov0: Matrix, step: Any, steps: int
) -> tuple[list[Sized], list[Sized]]:
    """Route 1: m ← μ + (I − αP)(m − μ), C ← (I − αP) C (I − αP) + 2αI, in rational numbers."""
    d, M = len(mean), _contraction(cov, step)
    mu = [Sized(entry) for entry in mean]
    m, C = [Sized(entry) for entry in mean0], _sized(cov0)
    for _ in range(steps):
        gap = [p + -q for p, q in zip(m, mu)]
        m = [q + total(r * g for r, g in zip(row, gap)) for q, row in zip(mu, M)]
        C = _product(_product(M, C), M)
        C = [[c + Sized(2 * step) if i == j else c for j, c in enumerate(row)] for i, row in enumerate(C)]
    return m, [C[i][j] for i in range(d) for j in range(d)]


def law_by_steps(
    score: Score, d: int, mean0: Any, cov0: Matrix, step: Any, steps: int
) -> tuple[list[Any], list[Any]]:
    """Route 2: the chain is affine in its start and its noise; the law follows from its values on unit vectors."""
    zero = [Decimal(0)] * d
    quiet = [zero] * steps
    origin = run(score, zero, step, quiet, steps)

    def response(start: Sequence[Decimal], noise: Sequence[Any]) -> list[Decimal]:
        return [p - q for p, q in zip(run(score, start, step, noise, steps), origin)]

    units = [[Decimal(int(i == k)) for i in range(d)] for k in range(d)]
    starts = [response(unit, quiet) for unit in units]
    kicks = [response(zero, [*quiet[:t], unit, *quiet[t + 1 :]]) for t in range(steps) for unit in units]
    mean = [o + sum(s[i] * m for s, m in zip(starts, mean0)) for i, o in enumerate(origin)]
    cov = [
        sum(starts[p][i] * cov0[p][q] * starts[q][j] for p in range(d) for q in range(d))
        + sum(k[i] * k[j] for k in kicks)
        for i in range(d)
        for j in range(d)
    ]
    return mean, cov


def stationary(cov: Matrix, step: Any) -> list[Sized]:
    """Route 1: Σ (I − αP/2)⁻¹ = (P − αP²/2)⁻¹."""
    P, half_step = sized_inverse(cov), Sized(step / 2)
    M = [[p - half_step * q for p, q in zip(*rows)] for rows in zip(P, _product(P, P))]
    inverse, _ = eliminate(M, Sized(step / step), Sized(0 * step))
    return [entry for row in inverse for entry in row]


def stationary_by_doubling(score: Score, d: int, step: Any, doublings: int = 14) -> list[Decimal]:
    """Route 2: C of 2t steps from C of t, C₂ₜ = Mᵗ Cₜ Mᵗ + Cₜ, with M read off one step; 2^14 steps in all."""
    zero = [Decimal(0)] * d
    origin = run(score, zero, step, [], 1)
    units = [[Decimal(int(i == k)) for i in range(d)] for k in range(d)]
    columns = [[p - q for p, q in zip(run(score, unit, step, [], 1), origin)] for unit in units]
    M = [[columns[j][i] for j in range(d)] for i in range(d)]
    C = [[2 * step * entry for entry in row] for row in units]
    for _ in range(doublings):
        grown = _plain(_plain(M, C), list(zip(*M)))
        C = [[p + q for p, q in zip(*rows)] for rows in zip(grown, C)]
        M = _plain(M, M)
    return [entry for row in C for entry in row]


def _contraction(cov: Matrix, step: Any) -> list[list[Sized]]:
    """I − αP."""
    P, alpha = sized_inverse(cov), Sized(step)
    return [[Sized(step / step * (i == j)) - alpha * p for j, p in enumerate(row)] for i, row in enumerate(P)]


def _sized(matrix: Matrix) -> list[list[Sized]]:
    return [[Sized(entry) for entry in row] for row in matrix]


def _product(A: Any, B: Any) -> list[list[Sized]]:
    return [[total(a * row[j] for a, row in zip(left, B)) for j in range(len(B[0]))] for left in A]


def _plain(A: Any, B: Any) -> list[list[Decimal]]:
    return [[sum(a * row[j] for a, row in zip(left, B)) for j in range(len(B[0]))] for left in A]
