"""Correct implementations that order and group the same mathematics differently: none may raise an alarm.

Each is npscore (or the independent implementation) on an equivalent problem: rows, hidden units or coordinates
permuted, the batch split, rows doubled at half weight, another formula for the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, Optional

import numpy as np
from independent import scores as independent_scores
from independent.cases import DrawnCase

import npscore as ns
from npscore import activations

Array = np.ndarray
Answer = dict[str, Array]
Layers = list[tuple[Array, Array]]
ROWS = {"x": 0, "target_score": 0, "noise": 0, "v": 1, "weights": 0}  # the axis that runs over rows


class Problem:
    """Layers, activation, arrays and the share of each row."""

    def __init__(self, case: DrawnCase, dtype: Any):
        self.operation, self.dtype = case.operation, np.dtype(dtype)
        self.arrays = {k: v for k, v in case.inputs(dtype).items() if k in ROWS or k == "sigma"}
        name = case.model["activation"]
        self.activation: Any = (
            activations.softplus(float(case.inputs()["beta"])) if name == "softplus" else name
        )
        self.layers: Layers = case.layers(dtype)
        n = len(self.arrays["x"])
        self.share = self.arrays.pop("weights", np.full(n, np.asarray(1, dtype) / np.asarray(n, dtype)))
        if case.convention.get("weighting") == "sigma2":
            self.share = self.share * self.arrays["sigma"] ** 2

    def rows(self, index: Any, factor: float = 1.0) -> Problem:
        """The problem on some rows, in their order."""
        other = object.__new__(Problem)
        other.__dict__ |= self.__dict__
        other.arrays = {k: np.take(v, index, ROWS[k]) if k in ROWS else v for k, v in self.arrays.items()}
        if self.arrays.get("sigma", np.zeros(())).ndim:
            other.arrays["sigma"] = self.arrays["sigma"][index]
        other.share = (self.share[index] * np.asarray(factor, self.dtype)).astype(self.dtype)
        return other

    def solve(
        self, layers: Optional[Layers] = None, formula: Optional[Callable[..., Any]] = None
    ) -> tuple[Any, Layers]:
        model, a = ns.MLP(layers or self.layers, activation=self.activation), self.arrays
        if formula:
            out = formula(model, a, self.share)
        elif self.operation == "esm":
            out = ns.esm(model, a["x"], a["target_score"], self.share)
        elif self.operation == "ism":
            out = ns.ism(model, a["x"], self.share)
        elif self.operation == "dsm":
            out = ns.dsm(model, a["x"], a["noise"], a["sigma"], self.share)
        else:
            out = getattr(ns, self.operation)(model, a["x"], a["v"], self.share)
        return out[0], list(model.unravel(out[1]))


def _named(loss: Any, grads: Layers) -> Answer:
    out = {"loss": np.asarray(loss, np.float64)}
    for l, (dW, db) in enumerate(grads, 1):
        out[f"grad.W{l}"], out[f"grad.b{l}"] = np.asarray(dW, np.float64), np.asarray(db, np.float64)
    return out


def _summed(problems: list[Problem]) -> Answer:
    """The sum over parts of the batch, in the order in which they come."""
    loss, grads = problems[0].solve()
    for problem in problems[1:]:
        more, others = problem.solve()
        loss, grads = loss + more, [(A + B, a + b) for (A, a), (B, b) in zip(grads, others)]
    return _named(loss, grads)


def plain(p: Problem, rng: Any) -> Answer:
    return _named(*p.solve())


def rows_permuted(p: Problem, rng: Any) -> Answer:
    return _named(*p.rows(rng.permutation(len(p.share))).solve())


def cut_in_two(p: Problem, rng: Any) -> Answer:
    cut = 1 + rng.integers(len(p.share) - 1)
    return _summed([p.rows(np.arange(cut, len(p.share))), p.rows(np.arange(cut))])


def row_by_row(p: Problem, rng: Any) -> Answer:
    return _summed([p.rows(np.array([i])) for i in rng.permutation(len(p.share))])


def rows_doubled(p: Problem, rng: Any) -> Answer:
    return _named(*p.rows(np.tile(np.arange(len(p.share)), 2), 0.5).solve())


def rows_in_thirds(p: Problem, rng: Any) -> Answer:
    """Every row three times at a third of its share: sums of numbers that are not dyadic."""
    return _named(*p.rows(np.repeat(np.arange(len(p.share)), 3), 1 / 3).solve())


def hidden_permuted(p: Problem, rng: Any) -> Answer:
    """Every hidden layer's units in another order, and the gradient put back."""
    orders = [np.arange(p.layers[0][0].shape[1]), *(rng.permutation(len(b)) for _, b in p.layers[:-1])]
    orders.append(np.arange(len(p.layers[-1][1])))
    return _reordered(p, orders)


def coordinates_permuted(p: Problem, rng: Any) -> Answer:
    """x, s and everything of dimension d in another order, and the gradient put back."""
    order = rng.permutation(p.arrays["x"].shape[1])
    moved = p.rows(np.arange(len(p.share)))
    moved.arrays = {k: v[..., order] if k in ROWS else v for k, v in p.arrays.items()}
    return _reordered(moved, [order, *(np.arange(len(b)) for _, b in p.layers[:-1]), order])


def _reordered(p: Problem, orders: list[Array]) -> Answer:
    layers = [(W[np.ix_(out, inn)], b[out]) for (W, b), inn, out in zip(p.layers, orders, orders[1:])]
    loss, grads = p.solve(layers)
    back = [np.argsort(order) for order in orders]
    return _named(loss, [(W[np.ix_(out, inn)], b[out]) for (W, b), inn, out in zip(grads, back, back[1:])])


def other_formula(p: Problem, rng: Any) -> Answer:
    """ISM by all sign vectors, DSM as ESM, ESM expanded, SSM and SSM-VR probe by probe."""
    return _named(*p.solve(formula=FORMULAS[p.operation]))


def _ism_by_signs(model: Any, a: dict[str, Array], share: Array) -> Any:
    n, d = a["x"].shape
    signs = np.array(list(product((-1, 1), repeat=d)), a["x"].dtype)
    return ns.ssm_vr(model, a["x"], np.repeat(signs[:, None], n, axis=1), share)


def _dsm_as_esm(model: Any, a: dict[str, Array], share: Array) -> Any:
    sigma = a["sigma"].reshape(-1, 1)
    return ns.esm(model, a["x"] + sigma * a["noise"], -a["noise"] / sigma, share)


def _esm_expanded(model: Any, a: dict[str, Array], share: Array) -> Any:
    """½‖s‖² − s·s* + ½‖s*‖²."""
    s, pullback = model.score_vjp(a["x"])
    t = a["target_score"]
    rows = (s * s).sum(1) / 2 - (s * t).sum(1) + (t * t).sum(1) / 2
    return share @ rows, pullback(share[:, None] * s) - pullback(share[:, None] * t)


def _probe_by_probe(name: str) -> Any:
    def formula(model: Any, a: dict[str, Array], share: Array) -> Any:
        parts = [getattr(ns, name)(model, a["x"], v, share) for v in a["v"][::-1]]
        m = np.asarray(len(parts), a["x"].dtype)
        return sum(part.loss for part in parts) / m, sum(part.grad for part in parts) / m

    return formula


FORMULAS = {
    "ism": _ism_by_signs,
    "dsm": _dsm_as_esm,
    "esm": _esm_expanded,
    "ssm": _probe_by_probe("ssm"),
    "ssm_vr": _probe_by_probe("ssm_vr"),
}


def strided(p: Problem, rng: Any) -> Answer:
    """Arrays in column order and with gaps between their entries."""
    p.arrays = {k: np.asfortranarray(v) if v.ndim > 1 else v for k, v in p.arrays.items()}
    return _named(*p.solve([(np.repeat(W, 2, axis=1)[:, ::2], b) for W, b in p.layers]))


def shuffled_twice(p: Problem, rng: Any) -> Answer:
    """Rows and hidden units in another order, the batch doubled."""
    n = len(p.share)
    return hidden_permuted(p.rows(np.concatenate([rng.permutation(n), rng.permutation(n)]), 0.5), rng)


EQUIVALENT = (
    plain, rows_permuted, cut_in_two, row_by_row, rows_doubled, rows_in_thirds, hidden_permuted, coordinates_permuted,
    other_formula, strided, shuffled_twice,
)  # fmt: skip
VARIANTS = ("independent", "rounded", *(f.__name__ for f in EQUIVALENT))


def variant(name: str, case: DrawnCase, dtype: str, seed: int) -> Answer:
    """The answer of a correct variant to a network case."""
    if name == "independent":
        return independent_scores.answer(case, dtype)
    if name == "rounded":  # long double inside, rounded at the end
        answer = plain(Problem(case, np.longdouble), None)
        return {key: np.asarray(value, dtype).astype(np.float64) for key, value in answer.items()}
    rng = np.random.default_rng([seed, VARIANTS.index(name)])
    return {f.__name__: f for f in EQUIVALENT}[name](Problem(case, dtype), rng)
