"""Scalars for route 1: a value with its size, a dual number of two such, and a tape for the reverse pass.

Forward over reverse: with x + εv as input, a reverse pass from Σᵢ cᵢ sᵢ gives ∂(cᵀs)/∂θ in its real part and
∂(cᵀJv)/∂θ in its ε part. Everything is generic in the field: `decimal.Decimal` or `fractions.Fraction`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

ROUGH = Context(prec=9, Emin=-(10**9), Emax=10**9)


class Jet:
    """An activation: called with z it gives (φ, φ′, φ″, φ‴), remembered for the next time.

    ``sizes(z)`` are those of φ, φ′ and φ″ in the form that ``textbook`` writes: 1 − t² for tanh′ sums terms of size
    1 where the value is small. A context's digits should not change in its life.
    """

    def __init__(
        self, derivatives: Callable[[Any], tuple[Any, ...]], textbook: Callable[..., Any] | None = None
    ):
        self._derivatives, self._textbook = lru_cache(maxsize=None)(derivatives), textbook
        self.sizes = lru_cache(maxsize=None)(self._sizes)

    def __call__(self, z: Any) -> tuple[Any, ...]:
        return self._derivatives(z)

    def _sizes(self, z: Any) -> tuple[Decimal, ...]:
        if self._textbook is None:
            return (Decimal(0),) * 3
        return tuple(form.size for form in self._textbook(Sized(z), Sized(self(z)[0])))


class Sized:
    """A value, and the size that its rounding error is to be measured against, to a few digits.

    An error of u·size is what independent roundings of relative size u in everything that led here may add up
    to: terms of a sum in the square, products and functions by their first-order sensitivity. Never less than
    |value|; much more only where terms cancelled.
    """

    __slots__ = ("size", "value")

    def __init__(self, value: Any, size: Any = None):
        self.value = value
        self.size = magnitude(value) if size is None else max(size, magnitude(value))

    def __add__(self, other: Sized) -> Sized:
        square = ROUGH.fma(self.size, self.size, ROUGH.multiply(other.size, other.size))
        return Sized(self.value + other.value, ROUGH.sqrt(square))

    def __neg__(self) -> Sized:
        return Sized(-self.value, self.size)

    def __sub__(self, other: Sized) -> Sized:
        return self + -other

    def __truediv__(self, other: Sized) -> Sized:
        return self * other.inverse()

    def __mul__(self, other: Sized) -> Sized:
        left = ROUGH.multiply(magnitude(self.value), other.size)
        right = ROUGH.multiply(self.size, magnitude(other.value))
        return Sized(self.value * other.value, max(left, right))

    def inverse(self) -> Sized:
        value = 1 / self.value
        rough = magnitude(value)
        return Sized(value, ROUGH.multiply(ROUGH.multiply(rough, rough), self.size))

    def exp(self) -> Sized:
        value = self.value.exp()
        return Sized(value, ROUGH.multiply(value, self.size))

    def ln(self) -> Sized:
        return Sized(self.value.ln(), ROUGH.divide(self.size, magnitude(self.value)))

    def apply(self, jet: Jet, order: int = 0) -> Sized:
        """φ^(order) of it: its size from what rounds the argument, or from the terms of the textbook form."""
        derivatives = jet(self.value)
        carried = ROUGH.multiply(magnitude(derivatives[order + 1]), self.size)
        return Sized(derivatives[order], max(carried, jet.sizes(self.value)[order]))


def magnitude(value: Any) -> Decimal:
    """|value| to a few digits, of a Decimal or a Fraction."""
    if isinstance(value, Decimal):
        return ROUGH.abs(value)
    return ROUGH.divide(abs(value.numerator), value.denominator)


class Dual:
    """re + ε du with ε² = 0, both parts `Sized`."""

    __slots__ = ("du", "re")

    def __init__(self, re: Sized, du: Sized):
        self.re, self.du = re, du

    def __add__(self, other: Dual) -> Dual:
        return Dual(self.re + other.re, self.du + other.du)

    def __neg__(self) -> Dual:
        return Dual(-self.re, -self.du)

    def __mul__(self, other: Dual) -> Dual:
        return Dual(self.re * other.re, self.re * other.du + self.du * other.re)

    def inverse(self) -> Dual:
        re = self.re.inverse()
        return Dual(re, -(re * re * self.du))

    def exp(self) -> Dual:
        re = self.re.exp()
        return Dual(re, re * self.du)

    def ln(self) -> Dual:
        return Dual(self.re.ln(), self.re.inverse() * self.du)

    def apply(self, jet: Jet, order: int = 0) -> Dual:
        return Dual(self.re.apply(jet, order), self.re.apply(jet, order + 1) * self.du)


def dual(re: Any, du: Any = 0) -> Dual:
    """A dual number from a plain or `Sized` number and a plain one in its field."""
    re = re if isinstance(re, Sized) else Sized(re)
    return Dual(re, Sized(type(re.value)(du)))


class Variable:
    """A node of the tape: its value, and for each parent the partial derivative in it.

    The operators take other variables or plain numbers; ``exp``, ``ln`` are named as Decimal's own methods,
    so that one formula serves variables and plain decimals.
    """

    __slots__ = ("adjoint", "parents", "value")

    def __init__(self, value: Dual, parents: Sequence[tuple[Variable, Dual]] = ()):
        self.value, self.parents, self.adjoint = value, parents, None

    def _like(self, other: Any) -> Variable:
        return other if isinstance(other, Variable) else Variable(dual(type(self.value.re.value)(other)))

    def _one(self) -> Dual:
        return dual(type(self.value.re.value)(1))

    def __add__(self, other: Any) -> Variable:
        other, one = self._like(other), self._one()
        return Variable(self.value + other.value, ((self, one), (other, one)))

    def __neg__(self) -> Variable:
        return Variable(-self.value, ((self, -self._one()),))

    def __sub__(self, other: Any) -> Variable:
        return self + (-other)

    def __rsub__(self, other: Any) -> Variable:
        return -self + other

    def __mul__(self, other: Any) -> Variable:
        other = self._like(other)
        return Variable(self.value * other.value, ((self, other.value), (other, self.value)))

    __radd__, __rmul__ = __add__, __mul__

    def inverse(self) -> Variable:
        value = self.value.inverse()
        return Variable(value, ((self, -(value * value)),))

    def __truediv__(self, other: Any) -> Variable:
        return self * self._like(other).inverse()

    def __rtruediv__(self, other: Any) -> Variable:
        return self.inverse() * other

    def exp(self) -> Variable:
        value = self.value.exp()
        return Variable(value, ((self, value),))

    def ln(self) -> Variable:
        return Variable(self.value.ln(), ((self, self.value.inverse()),))

    def apply(self, jet: Jet) -> Variable:
        """φ of it, with the partial derivative φ′."""
        return Variable(self.value.apply(jet), ((self, self.value.apply(jet, 1)),))


def reverse(outputs: Sequence[Variable], seeds: Sequence[Sized], wanted: Sequence[Variable]) -> list[Dual]:
    """∂(Σ seedᵢ outputᵢ)/∂(each wanted variable), by the chain rule from the last node to the first."""
    order = _topological(outputs)
    for node in order:
        node.adjoint = None
    zero = Sized(type(seeds[0].value)(0))
    for node, seed in zip(outputs, seeds):
        node.adjoint = Dual(seed, zero)
    for node in reversed(order):
        for parent, partial in node.parents if node.adjoint else ():
            share = node.adjoint * partial
            parent.adjoint = share if parent.adjoint is None else parent.adjoint + share
    return [node.adjoint or Dual(zero, zero) for node in wanted]


def _topological(outputs: Sequence[Variable]) -> list[Variable]:
    """Every node that an output depends on, each after its parents."""
    order, seen, stack = [], set(), [(node, False) for node in outputs]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack += [(node, True), *((parent, False) for parent, _ in node.parents)]
    return order
