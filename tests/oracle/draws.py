"""The inputs: integers from a fixed generator, seeded by the case's id, so that a case never depends on another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import isqrt, prod
from typing import Any, NamedTuple

MASK = 2**64 - 1


class Exact(NamedTuple):
    """An array of integers · 2^exponent, row-major; ``special`` entries are nan or ±inf instead."""

    shape: tuple[int, ...]
    exponent: int
    integers: tuple[int, ...]
    special: tuple[tuple[int, str], ...] = ()

    def record(self) -> dict[str, Any]:
        """As it is written in a case."""
        if any(abs(integer) >= 2**24 for integer in self.integers):
            raise ValueError(f"an integer of {self.shape} has more than 24 bits")
        record = {"shape": list(self.shape), "exponent": self.exponent, "integers": list(self.integers)}
        return {**record, "special": [list(pair) for pair in self.special]} if self.special else record

    def flat(self, field: type = Decimal) -> list[Any]:
        """The values, without rounding."""
        with localcontext() as context:
            context.prec = 400
            values = [field(i) * field(2) ** self.exponent for i in self.integers]
        for index, text in self.special:
            values[index] = float(text)
        return values

    def numbers(self, field: type = Decimal) -> Any:
        """The values as nested lists, or one number where the shape is ()."""
        values: list[Any] = self.flat(field)
        for length in reversed(self.shape[1:]):
            values = [values[i : i + length] for i in range(0, len(values), length)]
        return values if self.shape else values[0]


def exact(value: Any, exponent: int) -> Exact:
    """From a number or nested lists of numbers that are whole multiples of 2^exponent."""
    shape, flat = [], [value]
    while isinstance(flat[0], (list, tuple)):
        shape.append(len(flat[0]))
        flat = [entry for part in flat for entry in part]
    integers = [Fraction(entry) / Fraction(2) ** exponent for entry in flat]
    if any(i.denominator != 1 or abs(i) >= 2**24 for i in integers):
        raise ValueError(f"{value} is not of whole multiples of 2^{exponent} below 2^24")
    return Exact(tuple(shape), exponent, tuple(int(i) for i in integers))


class Draws:
    """SplitMix64 (Steele, Lea and Flood 2014), started from the id's characters."""

    def __init__(self, name: str):
        self.state = 0
        for character in name.encode():
            self.state = (self.state * 131 + character) & MASK
        self.next(), self.next()

    def next(self) -> int:
        """64 bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def integer(self, low: int, high: int) -> int:
        """low, …, high with equal chances (to 2⁻⁴⁰)."""
        return low + self.next() % (high - low + 1)

    def fill(self, shape: Sequence[int], exponent: int, draw: Callable[[], int]) -> Exact:
        return Exact(tuple(shape), exponent, tuple(draw() for _ in range(prod(shape))))

    def uniform(self, shape: Sequence[int], limit: Fraction, exponent: int = -20) -> Exact:
        """Between −limit and limit, never 0."""
        bound = int(limit * Fraction(2) ** -exponent)
        return self.fill(shape, exponent, lambda: self.integer(1, bound) * (1 - 2 * self.integer(0, 1)))

    def between(self, shape: Sequence[int], low: Fraction, high: Fraction, exponent: int = -16) -> Exact:
        """Between low and high."""
        unit = Fraction(2) ** -exponent
        return self.fill(shape, exponent, lambda: self.integer(int(low * unit), int(high * unit)))

    def bell(self, shape: Sequence[int], exponent: int = -20, spread: int = 1) -> Exact:
        """Roughly normal: mean 0, variance 1 · spread², at most 3.5 of them: the sum of twelve uniforms less six."""
        unit = spread << -exponent

        def one() -> int:
            while True:
                total = sum(self.integer(0, unit - 1) for _ in range(12)) - 6 * unit
                if 0 < abs(total) < 7 * unit // 2:
                    return total

        return self.fill(shape, exponent, one)

    def signs(self, shape: Sequence[int]) -> Exact:
        """Rademacher."""
        return self.fill(shape, 0, lambda: 1 - 2 * self.integer(0, 1))

    def sigma(self, shape: Sequence[int]) -> Exact:
        """Between 0.25 and 0.875 or, for more than one, up to 1.75; never within a tenth of 1."""
        top, exponent = (7 if shape else 3.5), -12
        one = 1 << -exponent

        def draw() -> int:
            while True:
                sigma = self.integer(one // 4, int(one * top) // 4)
                if not 9 * one <= 10 * sigma <= 11 * one:
                    return sigma

        return self.fill(shape, exponent, draw)

    def covariance(self, d: int) -> Exact:
        """B Bᵀ + ½ I with B of eighths up to 9/8, in units of 2⁻¹⁰: no eigenvalue below ½."""
        B = [[self.integer(-9, 9) for _ in range(d)] for _ in range(d)]
        entry = [[sum(B[i][k] * B[j][k] for k in range(d)) for j in range(d)] for i in range(d)]
        cells = [entry[i][j] * 16 + (512 if i == j else 0) for i in range(d) for j in range(d)]
        return Exact((d, d), -10, tuple(cells))


def fan_limit(fan_in: int, gain: Fraction) -> Fraction:
    """gain/√fan_in, to three digits or so, by integers only."""
    return gain * Fraction(isqrt(2**20 // fan_in), 2**10)
