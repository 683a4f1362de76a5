"""The density of a case, or the network whose score a chain follows, as npscore's own objects."""

from __future__ import annotations

from typing import Any

from ... import activations, targets
from ...models import MLP
from .base import Array

FACTORS = {
    "laplace": (targets.Laplace, ("loc", "scale")),
    "logistic": (targets.Logistic, ("loc", "scale")),
    "gumbel": (targets.Gumbel, ("loc", "scale")),
    "exponential": (targets.Exponential, ("rate",)),
    "uniform": (targets.Uniform, ("low", "high")),
    "truncated_gaussian": (targets.TruncatedGaussian, ("loc", "scale", "low", "high")),
}


def target(case: Any) -> Any:
    """The density with the case's parameters, smoothed where the operation says so; or the network, for its score."""
    arrays = case.inputs("float64")
    if case.model["kind"] == "mlp":
        return MLP(case.layers("float64"), activation=activation_of(case, arrays))
    p = unsmoothed(case.model, arrays)
    return p.smoothed(float(arrays["sigma"])) if case.operation == "smoothed_density" else p


def activation_of(case: Any, arrays: dict[str, Array]) -> activations.Activation:
    """The activation of a case, softplus with its β."""
    name = case.model["activation"]
    return activations.softplus(float(arrays["beta"])) if name == "softplus" else activations.get(name)


def unsmoothed(model: dict[str, Any], arrays: dict[str, Array]) -> targets.Target:
    """The density that a model and its parameter arrays describe."""
    name = model["density"]
    if name == "gaussian":
        return targets.Gaussian(arrays["mean"], arrays["cov"])
    if name == "gaussian_mixture":
        return targets.GaussianMixture(arrays["mixture_weights"], arrays["means"], arrays["covs"])
    if name == "student_t":
        return targets.StudentT(arrays["loc"], arrays["scale_matrix"], float(arrays["df"]))
    if name == "product":
        return targets.Product(
            tuple(factor(part, arrays, str(j)) for j, part in enumerate(model["factors"], 1))
        )
    return factor(name, arrays, "")


def factor(name: str, arrays: dict[str, Array], suffix: str) -> targets.Target:
    """A one-dimensional density, whose parameters are the arrays with this suffix."""
    cls, names = FACTORS[name]
    return cls(*(float(arrays[key + suffix]) for key in names))
