"""Route 1 for the objectives on a multilayer perceptron: sums over samples and directions of reverse passes.

A model is a list of layers (W, b), W a list of rows; z = W a + b, φ between layers and none after the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from .integrals import eliminate
from .numbers import Dual, Jet, Sized, Variable, dual, reverse

Layers = list[tuple[list[list[Any]], list[Any]]]
Vector = Sequence[Any]


class Pass:
    """One sample with one direction: x + εv through the network, parameters on the tape."""

    def __init__(self, layers: Layers, jet: Jet, x: Vector, v: Vector):
        wrapped = [([[_leaf(w) for w in row] for row in W], [_leaf(c) for c in b]) for W, b in layers]
        self.theta = [t for W, b in wrapped for t in [*(w for row in W for w in row), *b]]
        a = [Variable(dual(xi, vi)) for xi, vi in zip(x, v)]
        for l, (W, b) in enumerate(wrapped):
            z = [sum((w * ai for w, ai in zip(row, a)), bi) for row, bi in zip(W, b)]
            a = [zi.apply(jet) for zi in z] if l < len(wrapped) - 1 else z
        self.outputs = a
        self.score = [s.value.re for s in a]  # s(x)
        self.tangent = [s.value.du for s in a]  # J(x) v

    def gradient(self, seeds: Sequence[Sized]) -> list[Dual]:
        """∂(cᵀs)/∂θ in the real parts and ∂(cᵀJv)/∂θ in the ε parts, c = seeds."""
        return reverse(self.outputs, seeds, self.theta)


def objective(
    operation: str, layers: Layers, jet: Jet, rows: Sequence[dict[str, Any]], shares: Vector, probes: int
) -> dict[str, list[Any]]:
    """Every output of the case as flat lists of `Sized`.

    ``rows`` holds, for each sample, ``x`` and where the operation needs them ``target``, ``v`` (a list of probes),
    ``factor`` (that row's σ² or 1); ``shares`` are the wᵢ or 1/n. ``grad`` is in the order W1, b1, W2, b2, ….
    """
    parts = [_sample(operation, layers, jet, row, probes) for row in rows]
    weights = [Sized(share) for share in shares]
    out: dict[str, list[Any]] = {}
    for name in parts[0]:
        if name != "grad":
            out[name] = [value for part in parts for value in part[name]]
    out["loss"] = [total(w * part["per_sample"][0] for w, part in zip(weights, parts))]
    columns = zip(*(part["grad"] for part in parts))
    out["grad"] = [total(w * g for w, g in zip(weights, column)) for column in columns]
    return out


def _sample(
    operation: str, layers: Layers, jet: Jet, row: dict[str, Any], probes: int
) -> dict[str, list[Any]]:
    x = row["x"]
    number = type(x[0])
    if operation in ("esm", "dsm"):
        factor = Sized(row["factor"])
        one = Pass(layers, jet, x, [number(0)] * len(x))
        residual = [s + -Sized(t) for s, t in zip(one.score, row["target"])]
        value = factor * half(number) * total(r * r for r in residual)
        grad = [g.re for g in one.gradient([factor * r for r in residual])]
        return {"score": one.score, "per_sample": [value], "grad": grad}
    directions = _unit_vectors(len(x), number) if operation == "ism" else row["v"]
    passes = [Pass(layers, jet, x, v) for v in directions]
    sized = [[Sized(c) for c in v] for v in directions]
    share = Sized(number(1) / (1 if operation == "ism" else probes))
    quadratic = [total(c * t for c, t in zip(v, one.tangent)) for v, one in zip(sized, passes)]
    curved = [one.gradient(v) for v, one in zip(sized, passes)]
    grads = [[share * g.du for g in grad] for grad in curved]
    score = passes[0].score
    if operation == "ssm":
        slices = [total(c * s for c, s in zip(v, score)) for v in sized]  # vᵀs
        squares = total(share * half(number) * vs * vs for vs in slices)
        grads += [[share * vs * g.re for g in grad] for vs, grad in zip(slices, curved)]
    else:
        squares = half(number) * total(s * s for s in score)
        grads.append([g.re for g in passes[0].gradient(score)])
    trace = total(share * q for q in quadratic)
    named = {"divergence": [trace]} if operation == "ism" else {"quadratic": quadratic}
    grad = [total(column) for column in zip(*grads)]
    return {"score": score, "half_square": [squares], **named, "per_sample": [squares + trace], "grad": grad}


def total(terms: Any) -> Sized:
    """Σ of at least one term."""
    terms = list(terms)
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def sized_inverse(matrix: Any) -> list[list[Sized]]:
    """The inverse of a matrix of rational numbers, with what elimination does to its sizes."""
    wrapped = [[Sized(entry) for entry in row] for row in matrix]
    return eliminate(wrapped, Sized(Fraction(1)), Sized(Fraction(0)))[0]


def half(number: type) -> Sized:
    return Sized(number(1) / 2)


def _leaf(value: Any) -> Variable:
    return Variable(dual(value))


def _unit_vectors(d: int, number: type) -> list[list[Any]]:
    return [[number(int(i == k)) for i in range(d)] for k in range(d)]
