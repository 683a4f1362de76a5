"""The catalogue's mistakes about networks, planted in ``independent.scores``: id -> the plan with the wrong line."""

from __future__ import annotations

from typing import Any

import numpy as np
from independent.scores import (
    Array,
    Plan,
    Setting,
    aim,
    correct,
    diagonal,
    half_square,
    probed,
    row_weights,
    stopped,
    to,
    trace,
    weight,
)


def _loss(f: Any) -> Plan:
    return Plan(loss=f)


def _traced(f: Any) -> Plan:
    """½‖s‖² and another formula for the trace."""
    return Plan(loss=lambda q: half_square(q) + f(q))


def _aimed(f: Any) -> Plan:
    return Plan(loss=lambda q: to(q, f(q)))


def _detached(f: Any) -> Plan:
    """The right loss with the gradient of another formula."""
    return Plan(gradient=f)


def _probes(f: Any) -> Plan:
    return Plan(arrays=lambda case, a: {**a, "v": f(a["v"])})


def _sigma(f: Any) -> Plan:
    return Plan(arrays=lambda case, a: {**a, "sigma": f(a["sigma"])})


def _rowwise(f: Any) -> Plan:
    """σ changed in cases with one σ per row."""
    return Plan(arrays=lambda case, a: {**a, "sigma": f(a["sigma"])} if a["sigma"].ndim else a)


def _moved(f: Any) -> Plan:
    return Plan(where=lambda case, a: a["x"] + f(np.reshape(a["sigma"], (-1, 1)), a["noise"]))


def _times(f: Any, rows: bool = False, parts: tuple[str, ...] = ("loss", "grad")) -> Plan:
    """Parts of the answer times f(n, d); ``rows``: not where the case has sample weights."""

    def finish(case: Any, answer: dict[str, Array]) -> dict[str, Array]:
        a = case.inputs("float64")
        c = 1.0 if rows and "weights" in a else f(*a["x"].shape)
        return {name: value * (c if name.split(".")[0] in parts else 1.0) for name, value in answer.items()}

    return Plan(finish=finish)


def _weights(f: Any) -> Plan:
    return Plan(rows=lambda case, a: f(a["weights"]) if "weights" in a else row_weights(case, a))


def _flat(w: Array) -> Array:
    return np.ones_like(w) / len(w)


def _activation(of: str, to_: str) -> Plan:
    return Plan(phi=lambda name: to_ if name == of else name)


def _units(v: Array) -> Array:
    return np.stack([[row / np.linalg.norm(row) for row in probe] for probe in v])


def _swapped(q: Setting) -> Array:
    m = len(q.a["v"])
    whole = np.einsum("pnk,pnk->pn", q.s, q.s) / 2
    projected = sum(np.einsum("nk,pnk->pn", v, q.s) ** 2 for v in q.a["v"]) / (2 * m)
    return (whole if q.op == "ssm" else projected) + probed(q)


def _rows_of_trace(power: int) -> Plan:
    return _loss(lambda q: half_square(q) + trace(q) * (1 if "weights" in q.a else float(len(q.x)) ** power))


def _elementwise(q: Setting) -> Array:
    return sum(((v * q.s) ** 2).sum(-1) for v in q.a["v"]) / (2 * len(q.a["v"])) + probed(q)


def _squared_later(q: Setting) -> Array:
    return (sum((v * q.s).sum(-1) for v in q.a["v"]) / len(q.a["v"])) ** 2 / 2 + probed(q)


def _summed_probes(q: Setting) -> Array:
    m = len(q.a["v"])
    return m * (half_square(q) + probed(q)) if q.op == "ssm" else half_square(q) + m * probed(q)


def _sigma_power(k: float) -> Plan:
    return _loss(lambda q: q.sigma[:, 0] ** k * np.einsum("pnk,pnk->pn", q.s - aim(q), q.s - aim(q)) / 2)


def _unless_weighted(f: Any) -> Plan:
    return _loss(lambda q: correct(q) * (1 if q.weighted else q.sigma[:, 0] ** 2 * f(q.s.shape[-1])))


def _resize(a: dict[str, Array]) -> Array:
    return np.resize(a["sigma"], a["x"].shape)


def _broadcast_wrong() -> Plan:
    def loss(q: Setting) -> Array:
        return to(q, -q.a["noise"] / _resize(q.a)) if q.a["sigma"].ndim else correct(q)

    def where(case: Any, a: dict[str, Array]) -> Array:
        return a["x"] + _resize(a) * a["noise"]

    return Plan(loss=loss, where=where)


def _cross(q: Setting) -> Array:
    return -(weight(q) if q.op == "dsm" else 1) * (q.s * aim(q)).sum(-1)


def _own_square(q: Setting) -> Array:
    return (weight(q) if q.op == "dsm" else 1) * (aim(q) ** 2).sum(-1) / 2


def _length(q: Setting) -> Array:
    return (weight(q) if q.op == "dsm" else 1) * np.sqrt(((q.s - aim(q)) ** 2).sum(-1)) / 2


def _summed(q: Setting) -> Array:
    return (weight(q) if q.op == "dsm" else 1) * (q.s - aim(q)).sum(-1) ** 2 / 2


def _gap(f: Any) -> Plan:
    return _loss(lambda q: weight(q) * ((f(q.sigma) * q.s - aim(q)) ** 2).sum(-1) / 2)


def _columns(W: Array) -> Array:
    """(p, i, j) refilled column by column from the row-major numbers."""
    p, i, j = W.shape
    return np.swapaxes(W.reshape(p, j, i), 1, 2)


def _written_in_columns(case: Any, answer: dict[str, Array]) -> dict[str, Array]:
    return {
        name: g.T.ravel().reshape(g.shape) if name.startswith("grad.W") else g for name, g in answer.items()
    }


def _biases(f: Any) -> Plan:
    def finish(case: Any, answer: dict[str, Array]) -> dict[str, Array]:
        last = f"grad.b{len(case.model['sizes']) - 1}"
        n = len(case.inputs("float64")["x"])
        return {k: g * f(n, k == last) if k.startswith("grad.b") else g for k, g in answer.items()}

    return Plan(finish=finish)


PLANTED: dict[str, Plan] = {
    # conventions
    "twice": _times(lambda n, d: 2),
    "half": _times(lambda n, d: 0.5),
    "over-d": _times(lambda n, d: 1 / d),
    "mse-mean": _times(lambda n, d: 2 / d),
    "times-d": _times(lambda n, d: d),
    "times-2d": _times(lambda n, d: 2 * d),
    "sum": _times(lambda n, d: n, rows=True),
    "mse-sum": _times(lambda n, d: 2 * n, rows=True),
    "over-n": _times(lambda n, d: 1 / n, rows=True),
    "times-nd": _times(lambda n, d: n * d, rows=True),
    "over-nd": _times(lambda n, d: 1 / n / d, rows=True),
    "sigma2-weighting": _unless_weighted(lambda d: 1),
    "noise-prediction": _unless_weighted(lambda d: 2),
    "noise-prediction-mean": _unless_weighted(lambda d: 2 / d),
    # implicit
    "square-unhalved": _loss(lambda q: 2 * half_square(q) + trace(q)),
    "trace-sign": _loss(lambda q: half_square(q) - trace(q)),
    "trace-doubled": _traced(lambda q: trace(q) + trace(q)),
    "trace-halved": _traced(lambda q: trace(q) / 2),
    "trace-over-d": _traced(lambda q: trace(q) / q.s.shape[-1]),
    "square-over-d": _loss(lambda q: half_square(q) / q.s.shape[-1] + trace(q)),
    "trace-missing": _loss(half_square),
    "square-missing": _loss(trace),
    "trace-summed-over-rows": _rows_of_trace(1),
    "trace-averaged-twice": _rows_of_trace(-1),
    "trace-detached": _traced(lambda q: stopped(trace(q))),
    "square-detached": _loss(lambda q: stopped(half_square(q)) + trace(q)),
    "square-gradient-doubled": _detached(lambda q: 2 * half_square(q) + trace(q)),
    "square-gradient-halved": _detached(lambda q: half_square(q) / 2 + trace(q)),
    "norm-for-square": _loss(lambda q: np.sqrt((q.s**2).sum(-1)) / 2 + trace(q)),
    "jacobian-summed": _traced(lambda q: q.J.sum(-1).sum(-1)),
    "jacobian-diagonal-shifted": _traced(
        lambda q: sum(q.J[..., k, (k + 1) % q.J.shape[-1]] for k in range(q.J.shape[-1]))
    ),
    "trace-first-only": _traced(lambda q: q.J[..., 0, 0]),
    "trace-last-missing": _traced(lambda q: sum(q.J[..., k, k] for k in range(q.J.shape[-1] - 1))),
    "frobenius-for-trace": _traced(lambda q: np.einsum("pnij,pnij->pn", q.J, q.J)),
    "diagonal-squared": _traced(lambda q: sum(q.J[..., k, k] ** 2 for k in range(q.J.shape[-1]))),
    "ssm-variants-swapped": _loss(_swapped),
    "unit-probes": _probes(_units),
    "sphere-probes": _probes(lambda v: _units(v) * float(np.sqrt(v.shape[-1]))),
    "probes-summed": _loss(_summed_probes),
    "quadratic-summed": _traced(lambda q: len(q.a["v"]) * probed(q)),
    "first-probe-only": _probes(lambda v: v[[0]]),
    "probes-shared": _probes(lambda v: np.repeat(v[:, [0]], v.shape[1], axis=1)),
    "projection-summed": _traced(
        lambda q: sum((q.J * v[:, None, :]).sum((-1, -2)) for v in q.a["v"]) / len(q.a["v"])
    ),
    "vjp-summed": _traced(
        lambda q: sum((q.J * v[:, :, None]).sum((-1, -2)) for v in q.a["v"]) / len(q.a["v"])
    ),
    "jv-squared": _traced(
        lambda q: sum(((q.J * v[:, None, :]).sum(-1) ** 2).sum(-1) for v in q.a["v"]) / len(q.a["v"])
    ),
    "diagonal-weighted": _traced(
        lambda q: sum((v**2 * np.einsum("pnkk->pnk", q.J)).sum(-1) for v in q.a["v"]) / len(q.a["v"])
    ),
    "exact-trace": _traced(diagonal),
    "projection-elementwise": _loss(_elementwise),
    "square-after-mean": _loss(_squared_later),
    # explicit
    "target-sign": _aimed(lambda q: -aim(q)),
    "norm-unsquared": _loss(_length),
    "sum-before-square": _loss(_summed),
    "target-missing": _aimed(lambda q: 0),
    "cross-term-only": _loss(_cross),
    "target-square-missing": _loss(lambda q: correct(q) - _own_square(q)),
    "target-epsilon": _aimed(lambda q: -q.a["noise"]),
    "target-plus-epsilon": _aimed(lambda q: q.a["noise"]),
    "target-sigma2": _aimed(lambda q: -q.a["noise"] / q.sigma / q.sigma),
    "target-sigma2-sign": _aimed(lambda q: q.a["noise"] / q.sigma / q.sigma),
    "target-times-sigma": _aimed(lambda q: -q.a["noise"] * q.sigma),
    "target-x": _aimed(lambda q: q.a["x"]),
    "target-x-moved": _aimed(lambda q: -q.x / q.sigma / q.sigma),
    "clean-x": _moved(lambda s, e: 0 * e),
    "point-unscaled": _moved(lambda s, e: e),
    "point-sigma2": _moved(lambda s, e: s * s * e),
    "point-root": _moved(lambda s, e: np.sqrt(s) * e),
    "point-sign": _moved(lambda s, e: -s * e),
    "sigma-squared": _sigma(lambda s: s * s),
    "sigma-root": _sigma(np.sqrt),
    "sigma-ignored": _sigma(lambda s: 0 * s + 1),
    "weighting-sigma": _sigma_power(1),
    "weighting-sigma4": _sigma_power(4),
    "weighting-inverse": _sigma_power(-2),
    "weighting-ignored": _sigma_power(0),
    "score-over-sigma": _gap(lambda s: 1 / s),
    "score-times-sigma": _gap(lambda s: s),
    "sigma-first-row": _rowwise(lambda s: s[0]),
    "sigma-mean": _rowwise(lambda s: s.mean()),
    "sigma-reversed": _rowwise(lambda s: s[::-1]),
    "sigma-mis-broadcast": _broadcast_wrong(),
    # networks
    **{f"curvature-dropped-{l}": Plan(frozen=lambda layer, l=l: layer == l) for l in (1, 2, 3, 4)},
    "curvature-dropped-everywhere": Plan(frozen=lambda layer: True),
    **{f"slope-dropped-{l}": Plan(straight=lambda layer, l=l: layer == l) for l in (1, 2)},
    "slope-at-output": Plan(at_output=True),
    "bias-gradient-missing": _biases(lambda n, last: 0.0),
    "bias-gradient-mean": _biases(lambda n, last: 1 / n),
    "output-bias-gradient-missing": _biases(lambda n, last: 0.0 if last else 1.0),
    "weights-column-major": Plan(weights=_columns),
    "gradient-column-major": Plan(finish=_written_in_columns),
    "bias-ignored": Plan(biases=lambda b: 0 * b.real),
    "activation-after-last": Plan(last=True),
    "activation-missing": Plan(phi=lambda name: "identity"),
    "network-gelu-tanh": _activation("gelu", "gelu-tanh"),
    "network-silu-for-gelu": _activation("gelu", "silu"),
    "network-gelu-for-silu": _activation("silu", "gelu"),
    "network-tanh-for-sigmoid": _activation("sigmoid", "tanh"),
    "network-softplus-beta": Plan(beta=lambda beta: 1.0),
    "sample-weights-ignored": _weights(_flat),
    "sample-weights-normalised": _weights(lambda w: w / w.sum()),
    "sample-weights-averaged": _weights(lambda w: w / len(w)),
    "sample-weights-squared": _weights(lambda w: w**2),
    "sample-weights-in-loss-only": Plan(
        gradient_rows=lambda case, a: _flat(a["weights"]) if "weights" in a else row_weights(case, a)
    ),
    "gradient-doubled": _times(lambda n, d: 2, parts=("grad",)),
    "gradient-halved": _times(lambda n, d: 0.5, parts=("grad",)),
    "gradient-negated": _times(lambda n, d: -1, parts=("grad",)),
    "gradient-summed": _times(lambda n, d: n, rows=True, parts=("grad",)),
    "gradient-averaged-twice": _times(lambda n, d: 1 / n, rows=True, parts=("grad",)),
    "gradient-over-d": _times(lambda n, d: 1 / d, parts=("grad",)),
    "loss-doubled": _times(lambda n, d: 2, parts=("loss",)),
    "loss-over-d": _times(lambda n, d: 1 / d, parts=("loss",)),
    "loss-summed": _times(lambda n, d: n, rows=True, parts=("loss",)),
    "all-negated": _times(lambda n, d: -1),
}
