"""Densities, chains, laws and expectations in loops, right or with one mistake: id -> answer of a case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import gammaln, log_ndtr

Array = np.ndarray
Answer = dict[str, Array]
LOG_2PI = float(np.log(2 * np.pi))


# ---- densities: one row at a time, log p, s, ∇·s --------------------------------------------------------


def gaussian(
    x: Array, mean: Array, cov: Array, invert: Any = np.linalg.inv, shift: float = 0.0
) -> tuple[Any, Array, Any]:
    P = invert(cov)
    y = x - mean
    log_det = np.linalg.slogdet(2 * np.pi * np.linalg.inv(P))[1]
    return -0.5 * (y @ P @ y + log_det) + shift, -P @ y, -np.trace(P)


def mixture(
    x: Array, a: dict[str, Array], line: str = "", invert: Any = np.linalg.inv
) -> tuple[Any, Array, Any]:
    parts = [gaussian(x, mean, cov, invert) for mean, cov in zip(a["means"], a["covs"])]
    logs, scores, divs = (np.array(column) for column in zip(*parts))
    w = a["mixture_weights"]
    r = w * np.exp(logs - logs.max())
    if line == "weights-ignored":
        r = r / w
    r = r / r.sum()
    if line == "hard":
        r = (np.arange(len(r)) == np.argmax(r)).astype(x.dtype)
    if line == "prior":
        r = w
    s = sum(rk * sk for rk, sk in zip(r, scores))
    divergence = sum(rk * (dk + np.dot(sk, sk)) for rk, dk, sk in zip(r, divs, scores)) - np.dot(s, s)
    if line == "no-spread":
        divergence = r @ divs
    if line == "unsubtracted":
        divergence = divergence + np.dot(s, s)
    log_p = {
        "log-average": lambda: w @ logs,
        "log-unweighted": lambda: logs.max() + np.log(np.exp(logs - logs.max()).sum()),
        "log-largest": lambda: np.max(np.log(w) + logs),
    }.get(line, lambda: logs.max() + np.log((w * np.exp(logs - logs.max())).sum()))()
    return log_p, s, divergence


def student(
    x: Array, a: dict[str, Array], c: Any = None, spread: float = 2, invert: Any = np.linalg.inv
) -> tuple[Any, Array, Any]:
    P, nu, d, y = invert(a["scale_matrix"]), float(a["df"]), len(x), x - a["loc"]
    c = nu + d if c is None else c(nu, d)
    pull = P @ y
    delta = y @ pull
    norm = (
        gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * np.log(nu * np.pi) + 0.5 * np.linalg.slogdet(P)[1]
    )
    log_p = norm - 0.5 * c * np.log1p(delta / nu)
    return (
        log_p,
        -c * pull / (nu + delta),
        -c * (np.trace(P) / (nu + delta) - spread * (pull @ pull) / (nu + delta) ** 2),
    )


def on_the_line(name: str, x: Any, p: dict[str, float], line: str = "") -> tuple[Any, Any, Any]:
    """log p, (log p)′, (log p)″ of one factor."""
    if name == "exponential":
        rate = 1 / p["rate"] if line == "rate-as-scale" else p["rate"]
        return np.log(rate) - rate * x, -rate, 0.0
    z = (x - p["loc"]) / p["scale"]
    if name == "truncated_gaussian":
        high, low = (log_ndtr((p[edge] - p["loc"]) / p["scale"]) for edge in ("high", "low"))
        mass = 0.0 if line == "truncation-ignored" else high + np.log1p(-np.exp(low - high))
        return -0.5 * z * z - np.log(p["scale"]) - LOG_2PI / 2 - mass, -z / p["scale"], -(p["scale"] ** -2)
    if name == "gumbel" and line == "gumbel-minimum":
        log_f, d1, d2 = z - np.exp(z), 1 - np.exp(z), -np.exp(z)
    else:
        log_f, d1, d2 = {
            "laplace": lambda: (-abs(z) - np.log(2), -np.sign(z), 0.0),
            "logistic": lambda: (-z - 2 * np.log1p(np.exp(-z)), -np.tanh(z / 2), -0.5 / np.cosh(z / 2) ** 2),
            "gumbel": lambda: (-z - np.exp(-z), np.expm1(-z), -np.exp(-z)),
        }[name]()
    b = 1.0 if line == "factor-scale-missing" else p["scale"]
    return log_f - (0.0 if line == "factor-log-scale-missing" else np.log(p["scale"])), d1 / b, d2 / b / b


def product(x: Array, a: dict[str, Array], factors: list[str], line: str = "") -> tuple[Any, Array, Any]:
    parts = []
    for j, name in enumerate(factors):
        p = {key[:-1]: float(value) for key, value in a.items() if key.endswith(str(j + 1))}
        parts.append(on_the_line(name, x[j], p, line))
    return sum(p[0] for p in parts), np.array([p[1] for p in parts], x.dtype), sum(p[2] for p in parts)


def widened(case: Any, a: dict[str, Array], amount: Callable[[float], float]) -> dict[str, Array]:
    """The covariances after smoothing."""
    if case.operation != "smoothed_density":
        return a
    extra = amount(float(a["sigma"])) * np.eye(a["x"].shape[1])
    return {**a, **{key: a[key] + extra for key in ("cov", "covs") if key in a}}


Row = Callable[[Any, Array, dict[str, Array]], tuple[Any, Array, Any]]


def density_row(case: Any, x: Array, a: dict[str, Array]) -> tuple[Any, Array, Any]:
    name = case.model["density"]
    if name == "gaussian":
        return gaussian(x, a["mean"], a["cov"])
    if name == "gaussian_mixture":
        return mixture(x, a)
    return student(x, a) if name == "student_t" else product(x, a, case.model["factors"])


def density(
    row: Row = density_row,
    amount: Callable[[float], float] = lambda s: s * s,
    signs: tuple[float, ...] = (1, 1, 1),
) -> Callable[[Any, str], Answer]:
    def answer(case: Any, dtype: str) -> Answer:
        a = widened(case, case.inputs("float64"), amount)
        a = {key: value.astype(dtype) for key, value in a.items()}
        parts = [row(case, x, a) for x in a["x"]]
        columns = [np.array(column, dtype).astype(np.float64) for column in zip(*parts)]
        return {key: c * value for key, c, value in zip(("log_prob", "score", "divergence"), signs, columns)}

    return answer


def _if(name: str, other: Row, **more: Any) -> Callable[[Any, str], Answer]:
    """Another rule for the densities of one name."""
    return density(
        lambda case, x, a: other(case, x, a) if case.model["density"] == name else density_row(case, x, a),
        **more,
    )


def _shifted(f: Callable[[int, float], float]) -> Callable[[Any, str], Answer]:
    """log p of a Gaussian plus f(d, log det Σ)."""

    def row(case: Any, x: Array, a: dict[str, Array]) -> tuple[Any, Array, Any]:
        return gaussian(x, a["mean"], a["cov"], shift=f(len(x), np.linalg.slogdet(a["cov"])[1]))

    return _if("gaussian", row)


def _mixed(line: str) -> Callable[[Any, str], Answer]:
    return _if("gaussian_mixture", lambda case, x, a: mixture(x, a, line))


def _factored(line: str) -> Callable[[Any, str], Answer]:
    return _if("product", lambda case, x, a: product(x, a, case.model["factors"], line))


def _as_it_is(cov: Array) -> Array:
    return cov


def _diag(cov: Array) -> Array:
    return np.diag(1 / np.diag(cov))


# ---- chains ---------------------------------------------------------------------------------------------


def chain(move: Any, noise: Any = lambda z: z, count: Any = lambda t: t) -> Callable[[Any, str], Answer]:
    """x after the case's steps: ``move(score, x, step, z, t, last)``."""

    def answer(case: Any, dtype: str) -> Answer:
        a = case.inputs(dtype)
        x, steps = a["x0"], count(case.n_steps or 1)
        z = noise(a["z"]) if "z" in a else np.zeros((steps, *x.shape), dtype)

        def score(points: Array) -> Array:
            return np.array([density_row(case, point, a)[1] for point in points], dtype)

        start = score(x)
        for t in range(min(steps, len(z))):
            x = np.asarray(move(score, x, a["step"], z[t], t, (t == steps - 1, start)), dtype)
        return {"x": x.astype(np.float64)}

    return answer


def _step(drift: Any, spread: Any, **more: Any) -> Callable[[Any, str], Answer]:
    return chain(lambda s, x, a, z, t, i: x + drift(a) * s(x) + spread(a) * z, **more)


def _r(a: Any) -> Any:
    return np.sqrt(2 * a)


def _unit(s: Array) -> Array:
    return s / np.linalg.norm(s, axis=1)[:, None]


def _same(a: Any) -> Any:
    return a


# ---- laws and expectations ------------------------------------------------------------------------------


def law(
    shrink: Any = None, noise: float = 2, sides: int = 2, count: Any = _same, invert: Any = np.linalg.inv
) -> Callable[[Any, str], Answer]:
    def answer(case: Any, dtype: str) -> Answer:
        a = case.inputs("float64")
        step, eye = float(a["step"]), np.eye(len(a["cov"]))
        R = eye - (1 if shrink is None else shrink) * step * invert(a["cov"])
        mean, cov = a["mean0"], a["cov0"]
        for _ in range(count(case.n_steps)):
            mean = a["mean"] + R @ (mean - a["mean"])
            cov = (R @ cov if sides == 1 else R @ cov @ R.T) + noise * step * eye
        return {"mean": mean, "cov": cov}

    return answer


def stationary(c: float, flip: bool = False) -> Callable[[Any, str], Answer]:
    def answer(case: Any, dtype: str) -> Answer:
        a = case.inputs("float64")
        values, vectors = np.linalg.eigh(a["cov"])
        widths = values / (1 + c * float(a["step"]) / values)
        return {"cov": (vectors * (1 / widths if flip else widths)) @ vectors.T}

    return answer


def population(
    trace: float = 1, mean: float = 1, power: float = 2, constant: float = 0.5
) -> Callable[[Any, str], Answer]:
    """½E‖s‖² + tr A (ISM and DSM), or ESM, from second moments."""

    def answer(case: Any, dtype: str) -> Answer:
        a = case.inputs("float64")
        A, b, m, d = a["A"], a["b"], mean * a["mean"], len(a["b"])
        S = a["cov"] + (float(a["sigma"]) ** power * np.eye(d) * (power > 0) if "sigma" in a else 0)
        if case.operation == "population_esm":
            P = np.linalg.inv(S)
            A, b, t = A + P, b - P @ m, 0.0
        else:
            t = trace
        moment = S + np.outer(m, m)
        loss = 0.5 * (np.trace(A @ moment @ A.T) + 2 * b @ A @ m + b @ b) + t * np.trace(A)
        loss += constant * d / float(a["sigma"]) ** 2 if "sigma" in a else 0
        return {
            "loss": np.asarray(loss),
            "grad.A": A @ moment + np.outer(b, m) + t * np.eye(d),
            "grad.b": A @ m + b,
        }

    return answer


def constant(c: float = 1) -> Callable[[Any, str], Answer]:
    return lambda case, dtype: {
        "constant": np.asarray(-c * np.linalg.inv(case.inputs("float64")["cov"]).trace() / 2)
    }


def times(c: float) -> Callable[[Any, str], Answer]:
    """Population values and the constant, all times c."""

    def answer(case: Any, dtype: str) -> Answer:
        right = RIGHT[case.operation](case, dtype)
        return {name: c * value for name, value in right.items()}

    return answer


def over_d(case: Any, dtype: str) -> Answer:
    return {name: value / case.model["d"] for name, value in RIGHT[case.operation](case, dtype).items()}


RIGHT: dict[str, Callable[[Any, str], Answer]] = {
    "density": density(),
    "smoothed_density": density(),
    "gradient_ascent": _step(_same, lambda a: 0),
    "langevin": _step(_same, _r),
    "langevin_law": law(),
    "stationary_covariance": stationary(-0.5),
    "population_esm": population(),
    "population_ism": population(),
    "population_dsm": population(),
    "theorem_constant": constant(),
}

PLANTED: dict[str, Callable[[Any, str], Answer]] = {
    "twice": times(2),
    "half": times(0.5),
    "over-d": over_d,
    "score-negated": density(signs=(1, -1, -1)),
    "divergence-sign": density(signs=(1, 1, -1)),
    "density-covariance-inverted": _if(
        "gaussian", lambda c, x, a: gaussian(x, a["mean"], a["cov"], _as_it_is)
    ),
    "mixture-covariance-inverted": _if("gaussian_mixture", lambda c, x, a: mixture(x, a, invert=_as_it_is)),
    "student-scale-inverted": _if("student_t", lambda c, x, a: student(x, a, invert=_as_it_is)),
    "covariance-diagonal": _if("gaussian", lambda c, x, a: gaussian(x, a["mean"], a["cov"], _diag)),
    "mixture-covariance-diagonal": _if("gaussian_mixture", lambda c, x, a: mixture(x, a, invert=_diag)),
    "covariance-squared": _if("gaussian", lambda c, x, a: gaussian(x, a["mean"], a["cov"] @ a["cov"])),
    "normaliser-missing": _shifted(lambda d, det: (d * LOG_2PI + det) / 2),
    "two-pi-once": _shifted(lambda d, det: (d - 1) * LOG_2PI / 2),
    "two-pi-missing": _shifted(lambda d, det: d * LOG_2PI / 2),
    "log-det-unhalved": _shifted(lambda d, det: -det / 2),
    "log-det-sign": _shifted(lambda d, det: det),
    "mixture-hard": _mixed("hard"),
    "mixture-prior": _mixed("prior"),
    "mixture-weights-ignored": _mixed("weights-ignored"),
    "mixture-log-average": _mixed("log-average"),
    "mixture-log-unweighted": _mixed("log-unweighted"),
    "mixture-log-largest": _mixed("log-largest"),
    "mixture-divergence-no-spread": _mixed("no-spread"),
    "mixture-divergence-unsubtracted": _mixed("unsubtracted"),
    "smoothing-ignored": density(amount=lambda s: 0),
    "smoothing-sigma": density(amount=lambda s: s),
    "smoothing-halved": density(amount=lambda s: s * s / 2),
    "student-nu": _if("student_t", lambda c, x, a: student(x, a, lambda nu, d: nu)),
    "student-one-dimensional": _if("student_t", lambda c, x, a: student(x, a, lambda nu, d: nu + 1)),
    "student-gaussian": _if("student_t", lambda c, x, a: gaussian(x, a["loc"], a["scale_matrix"])),
    "student-divergence": _if("student_t", lambda c, x, a: student(x, a, spread=1)),
    **{
        line: _factored(line)
        for line in (
            "factor-scale-missing",
            "factor-log-scale-missing",
            "gumbel-minimum",
            "truncation-ignored",
            "rate-as-scale",
        )
    },
    "drift-sign": chain(lambda s, x, a, z, t, i: x - a * s(x) + _r(a) * z),
    "drift-halved": _step(lambda a: a / 2, _r),
    "drift-doubled": _step(lambda a: 2 * a, _r),
    "drift-unscaled": _step(lambda a: 1, _r),
    "step-squared": _step(lambda a: a**2, _r),
    "drift-root": _step(np.sqrt, _r),
    "score-frozen": chain(lambda s, x, a, z, t, i: x + a * i[1] + _r(a) * z),
    "step-missing": _step(_same, _r, count=lambda t: t - 1),
    "step-extra": _step(_same, _r, count=lambda t: t + 1),
    "score-normalised": chain(lambda s, x, a, z, t, i: x + a * _unit(s(x))),
    "score-sign-only": chain(lambda s, x, a, z, t, i: x + a * np.sign(s(x))),
    "step-decayed": chain(lambda s, x, a, z, t, i: x + a / (t + 1) * s(x) + _r(a / (t + 1)) * z),
    "noise-root-alpha": _step(_same, np.sqrt),
    "noise-alpha": _step(_same, _same),
    "noise-alpha-drift-halved": chain(lambda s, x, a, z, t, i: x + a * (0.5 * s(x) + z)),
    "half-step": _step(lambda a: a / 2, np.sqrt),
    "half-square-step": _step(lambda a: a**2 / 2, _same),
    "noise-two-alpha": _step(_same, lambda a: 2 * a),
    "noise-two-root": _step(_same, lambda a: 2 * np.sqrt(a)),
    "noise-unscaled": _step(_same, lambda a: 1),
    "noise-missing": _step(_same, lambda a: 0),
    "noise-sign": _step(_same, lambda a: -_r(a)),
    "noise-first": chain(lambda s, x, a, z, t, i: x + _r(a) * z + a * s(x + _r(a) * z)),
    "drift-first": chain(lambda s, x, a, z, t, i: x + a * s(x) + (_r(a) * z if i[0] else 0)),
    "last-noise-missing": chain(lambda s, x, a, z, t, i: x + a * s(x) + (0 if i[0] else _r(a) * z)),
    "noise-shared": _step(_same, _r, noise=lambda z: z[:, [0]] + 0 * z),
    "noise-repeated": _step(_same, _r, noise=lambda z: z[[0]] + 0 * z),
    "noise-reversed": _step(_same, _r, noise=lambda z: z[::-1]),
    "law-noise-alpha": law(noise=1),
    "law-contracted-once": law(sides=1),
    "law-drift-halved": law(shrink=0.5),
    "law-covariance-inverted": law(invert=_as_it_is),
    "law-step-missing": law(count=lambda t: t - 1),
    "law-step-extra": law(count=lambda t: t + 1),
    "stationary-unbiased": stationary(0),
    "stationary-sign": stationary(0.5),
    "stationary-unhalved": stationary(-1),
    "stationary-quarter": stationary(-0.25),
    "stationary-inverted": stationary(-0.5, flip=True),
    "population-trace-missing": population(trace=0),
    "population-trace-sign": population(trace=-1),
    "population-trace-doubled": population(trace=2),
    "population-mean-dropped": population(mean=0),
    "population-sigma-missing": population(power=0),
    "population-sigma-once": population(power=1),
    "population-constant-missing": population(constant=0),
    "population-constant-doubled": population(constant=1),
    "constant-sign": constant(-1),
}
