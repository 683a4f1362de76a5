"""The family invalid: one wrong input in an otherwise good call, and the kind of error it must raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import cases_networks
from .cases_chains import density_model
from .cases_densities import parameters
from .draws import Draws, Exact, exact
from .plans import OPERATIONS, Plan

Case = dict[str, Any]
#: operation, model or density, the argument, its wrong value, the kind, in words
Wrong = tuple[str, str, str, Exact, str, str]
ZERO, MINUS = Exact((), 0, (0,)), Exact((), -2, (-3,))
NAN = Exact((), 0, (0,), ((0, "nan"),))


def builders() -> dict[str, Callable[[], Case]]:
    """How to make each case, by id."""
    wrongs = [*_shapes(), *_values(), *_densities(), *_chains()]
    return {
        f"invalid-{number:04d}": partial(_case, f"invalid-{number:04d}", *wrong)
        for number, wrong in enumerate(wrongs, 1)
    }


def _case(id: str, operation: str, model: str, argument: str, value: Exact, kind: str, words: str) -> Case:
    inputs = {**_good(id, operation, model), argument: value}
    records = {name: array.record() for name, array in inputs.items()}
    return {
        "id": id,
        "family": "invalid",
        "operation": operation,
        "title": f"{argument} {words}",
        "model": _model(model),
        **({"n_steps": 2} if operation in ("langevin", "gradient_ascent", "langevin_law") else {}),
        "convention": _convention(operation, model),
        "difficulty": "plain",
        "equations": [],
        "flags": [],
        "input": records,
        "error": {"kind": kind, "argument": argument},
    }


def _plan(id: str, operation: str) -> Plan:
    return Plan(id, operation, "tanh", 4, (3, 5, 3), 6)


def _convention(operation: str, model: str) -> dict[str, Any]:
    return cases_networks.convention(_plan("", operation)) if model == "mlp" else {"score": "+grad log p"}


def _model(model: str) -> dict[str, Any]:
    if model == "mlp":
        return {"kind": "mlp", "sizes": [3, 5, 3], "activation": "tanh"}
    if model in ("softplus", "linear"):
        return (
            {"kind": "activation", "activation": model} if model == "softplus" else {"kind": "linear", "d": 3}
        )
    return (
        density_model("product", 3, _factors(model))
        if model.startswith("product")
        else density_model(model, 3)
    )


def _factors(model: str) -> tuple[str, ...]:
    return ("truncated_gaussian", "exponential", "laplace") if model.startswith("product") else ()


def _good(id: str, operation: str, model: str) -> dict[str, Exact]:
    """A call that would be accepted: d = 3, n = 4."""
    draws = Draws(id)
    if model == "mlp":
        return cases_networks.draw(_plan(id, operation))
    if model == "softplus":
        return {"z": draws.bell((7,), -16), "beta": exact(1.5, -1)}
    if model == "linear":
        sigma = {"sigma": exact(0.5, -1)} if operation == "population_dsm" else {}
        square = {"A": draws.bell((3, 3), -12), "b": draws.bell((3,), -12)}
        return {**square, "mean": draws.bell((3,), -12), "cov": draws.covariance(3), **sigma}
    density = parameters(draws, model.split(" ")[0], 3, 4, _factors(model))
    if operation in ("density", "smoothed_density"):
        sigma = {"sigma": exact(0.5, -1)} if operation == "smoothed_density" else {}
        return {**density, "x": draws.bell((4, 3), -16), **sigma}
    if operation in ("langevin", "gradient_ascent"):
        noise = {"z": draws.bell((2, 4, 3), -16)} if operation == "langevin" else {}
        return {**density, "x0": draws.bell((4, 3), -16), "step": exact(0.125, -3), **noise}
    start = (
        {"mean0": draws.bell((3,), -12), "cov0": draws.covariance(3)} if operation == "langevin_law" else {}
    )
    if operation == "stationary_covariance":
        del density["mean"]
    return {**density, **start, "step": exact(0.125, -3)}


def _filled(shape: tuple[int, ...], *special: tuple[int, str]) -> Exact:
    return Draws(f"wrong {shape}").bell(shape, -12)._replace(special=special)


def _shapes() -> Iterator[Wrong]:
    for operation in OPERATIONS:
        yield operation, "mlp", "x", _filled((4, 4)), "shape", "has d + 1 columns"
    wrong = [
        ("ism", "x", (3,), "is one-dimensional"),
        ("ism", "x", (0, 3), "has no rows"),
        ("ism", "W2", (3, 4), "does not fit W1"),
    ]
    wrong += [("esm", "b1", (3,), "does not fit W1"), ("ism", "W2", (4, 5), "ends in d + 1 outputs")]
    wrong += [("esm", "target_score", (5, 3), "has n + 1 rows"), ("ssm", "v", (6, 3, 3), "has n - 1 rows")]
    wrong += [("ssm_vr", "v", (6, 4, 5), "has d + 2 columns"), ("dsm", "noise", (3, 4), "is transposed")]
    wrong += [
        ("dsm", "sigma", (3,), "has one entry per column"),
        ("ism", "weights", (3,), "has one entry per column"),
    ]
    wrong += [("ssm", "weights", (4, 1), "is a column")]
    for operation, argument, shape, words in wrong:
        yield operation, "mlp", argument, _filled(shape), "shape", words


def _values() -> Iterator[Wrong]:
    kind = "not-finite"
    for operation, argument, shape in (
        ("ism", "x", (4, 3)),
        ("ism", "W1", (5, 3)),
        ("esm", "target_score", (4, 3)),
    ):
        yield operation, "mlp", argument, _filled(shape, (2, "nan")), kind, "holds a NaN"
    yield "dsm", "mlp", "noise", _filled((4, 3), (7, "inf")), kind, "holds an infinity"
    yield "ssm", "mlp", "v", _filled((6, 4, 3), (70, "-inf")), kind, "holds an infinity"
    yield "ssm_vr", "mlp", "weights", _filled((4,), (3, "nan")), kind, "holds a NaN"
    yield "dsm", "mlp", "sigma", ZERO, "not-positive", "is 0"
    yield "dsm", "mlp", "sigma", MINUS, "not-positive", "is negative"
    yield "dsm", "mlp", "sigma", NAN, kind, "is NaN"
    yield "dsm", "mlp", "sigma", exact([0.5, 0.25, 0, 0.75], -2), "not-positive", "is 0 in one row"
    yield "activation", "softplus", "beta", ZERO, "not-positive", "is 0"
    yield "activation", "softplus", "beta", MINUS, "not-positive", "is negative"


LOPSIDED = exact([[2, 0.5, 0], [-0.5, 1, 0.25], [0, 0.25, 1]], -2)
INDEFINITE = exact([[1, 2, 0], [2, 1, 0.5], [0, 0.5, 1]], -1)


def _densities() -> Iterator[Wrong]:
    for operation, model, argument in (
        ("density", "gaussian", "cov"),
        ("density", "student_t", "scale_matrix"),
    ):
        yield operation, model, argument, LOPSIDED, "not-symmetric", "is not symmetric"
        yield operation, model, argument, INDEFINITE, "not-positive-definite", "has a negative eigenvalue"
        yield operation, model, argument, _filled((3, 4)), "shape", "is not square"
    mixture = "gaussian_mixture"
    yield (
        "density",
        mixture,
        "mixture_weights",
        exact([0.5, 0.5, 0.5, -0.5], -1),
        "not-probabilities",
        "has a negative entry",
    )
    yield (
        "density",
        mixture,
        "mixture_weights",
        exact([0.5, 0.5, 0.5, 0.5], -1),
        "not-probabilities",
        "sums to 2",
    )
    yield "density", mixture, "means", _filled((3, 3)), "shape", "has K - 1 rows"
    yield "density", "student_t", "df", ZERO, "not-positive", "is 0"
    yield "density", "student_t", "df", MINUS, "not-positive", "is negative"
    yield "density", "gaussian", "x", _filled((4, 2)), "shape", "has d - 1 columns"
    yield "density", "gaussian", "x", _filled((4, 3), (5, "nan")), "not-finite", "holds a NaN"
    yield "density", "product", "scale3", ZERO, "not-positive", "is 0"
    yield "density", "product", "rate2", MINUS, "not-positive", "is negative"
    yield "density", "product", "high1", exact(-8, 0), "empty-interval", "is below low1"
    for model in ("gaussian", mixture):
        yield "smoothed_density", model, "sigma", ZERO, "not-positive", "is 0"
    for operation in ("population_esm", "population_ism", "population_dsm"):
        yield operation, "linear", "cov", INDEFINITE, "not-positive-definite", "has a negative eigenvalue"
    yield "population_ism", "linear", "mean", _filled((4,)), "shape", "has d + 1 entries"
    yield "population_dsm", "linear", "sigma", MINUS, "not-positive", "is negative"


def _chains() -> Iterator[Wrong]:
    for operation in ("gradient_ascent", "langevin"):
        yield operation, "gaussian", "step", ZERO, "not-positive", "is 0"
        yield operation, "gaussian", "step", MINUS, "not-positive", "is negative"
        yield operation, "gaussian", "x0", _filled((4, 3), (1, "nan")), "not-finite", "holds a NaN"
    yield "langevin", "gaussian", "z", _filled((2, 3, 3)), "shape", "has n - 1 rows"
    yield "langevin", "gaussian", "step", NAN, "not-finite", "is NaN"
    yield "langevin_law", "gaussian", "step", MINUS, "not-positive", "is negative"
    yield "langevin_law", "gaussian", "cov0", INDEFINITE, "not-positive-definite", "has a negative eigenvalue"
    yield "langevin_law", "gaussian", "mean0", _filled((2,)), "shape", "has d - 1 entries"
    yield (
        "stationary_covariance",
        "gaussian",
        "step",
        exact(64, 0),
        "unstable",
        "is beyond twice the smallest eigenvalue",
    )
    yield "stationary_covariance", "gaussian", "cov", LOPSIDED, "not-symmetric", "is not symmetric"
