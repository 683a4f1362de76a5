"""The catalogue's mistakes about densities, chains, laws and expectations: id -> the answer with that mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from independent.densities import (
    LOG_2PI,
    Answer,
    Array,
    Row,
    density,
    density_row,
    gaussian,
    mixture,
    product,
    student,
)
from independent.laws import chain, constant, law, population, same, stationary


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


def _step(drift: Any, spread: Any, **more: Any) -> Callable[[Any, str], Answer]:
    return chain(lambda s, x, a, z, t, i: x + drift(a) * s(x) + spread(a) * z, **more)


def _r(a: Any) -> Any:
    return np.sqrt(2 * a)


def _unit(s: Array) -> Array:
    return s / np.linalg.norm(s, axis=1)[:, None]


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
    "gradient_ascent": _step(same, lambda a: 0),
    "langevin": _step(same, _r),
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
    "step-missing": _step(same, _r, count=lambda t: t - 1),
    "step-extra": _step(same, _r, count=lambda t: t + 1),
    "score-normalised": chain(lambda s, x, a, z, t, i: x + a * _unit(s(x))),
    "score-sign-only": chain(lambda s, x, a, z, t, i: x + a * np.sign(s(x))),
    "step-decayed": chain(lambda s, x, a, z, t, i: x + a / (t + 1) * s(x) + _r(a / (t + 1)) * z),
    "noise-root-alpha": _step(same, np.sqrt),
    "noise-alpha": _step(same, same),
    "noise-alpha-drift-halved": chain(lambda s, x, a, z, t, i: x + a * (0.5 * s(x) + z)),
    "half-step": _step(lambda a: a / 2, np.sqrt),
    "half-square-step": _step(lambda a: a**2 / 2, same),
    "noise-two-alpha": _step(same, lambda a: 2 * a),
    "noise-two-root": _step(same, lambda a: 2 * np.sqrt(a)),
    "noise-unscaled": _step(same, lambda a: 1),
    "noise-missing": _step(same, lambda a: 0),
    "noise-sign": _step(same, lambda a: -_r(a)),
    "noise-first": chain(lambda s, x, a, z, t, i: x + _r(a) * z + a * s(x + _r(a) * z)),
    "drift-first": chain(lambda s, x, a, z, t, i: x + a * s(x) + (_r(a) * z if i[0] else 0)),
    "last-noise-missing": chain(lambda s, x, a, z, t, i: x + a * s(x) + (0 if i[0] else _r(a) * z)),
    "noise-shared": _step(same, _r, noise=lambda z: z[:, [0]] + 0 * z),
    "noise-repeated": _step(same, _r, noise=lambda z: z[[0]] + 0 * z),
    "noise-reversed": _step(same, _r, noise=lambda z: z[::-1]),
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
