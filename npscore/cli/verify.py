"""``npscore verify``: the theorem and the gradients, checked on this machine and shown as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..checks import complex_step_gradient, complex_step_jacobian, relative_error, taylor_rates
from ..models import MLP, LinearScore
from ..objectives import LossGrad, dsm, esm, ism, ssm, ssm_vr
from ..samplers import langevin_step
from ..targets import Gaussian, GaussianMixture

Array = np.ndarray
SIZES = ((3, 3), (3, 5, 3), (3, 6, 4, 3), (2, 5, 4, 6, 2))  # d, hidden widths, d: 0 to 3 hidden layers


class Check(NamedTuple):
    """One claim, the number that was measured and the bound it must stay under."""

    claim: str
    measured: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the measured number is within the bound (a NaN is not)."""
        return bool(self.measured <= self.bound)


class Identity(NamedTuple):
    """Two population losses by quadrature and what the theorem says of them: ism - esm = constant."""

    model: MLP
    esm: float
    ism: float
    constant: float
    gradient_gap: float

    @property
    def gap(self) -> float:
        """|(J_ISM - J_ESM) - C|, zero but for rounding."""
        return abs(self.ism - self.esm - self.constant)


def theorem_identities(target: Any, models: list[MLP], order: int) -> list[Identity]:
    """J_ESM and J_ISM of each network under ``target``, by quadrature with ``order`` nodes a dimension.

    The constant is C = -½ E‖∇log p‖², the same for every network; the gradient gap is relative.
    """
    x, w = target.quadrature(order)
    s = target.score(x)
    constant = -0.5 * float(w @ (s * s).sum(axis=1))  # eq-2.4
    rows = []
    for model in models:
        explicit, implicit = esm(model, x, s, w), ism(model, x, w)
        gap = relative_error(implicit.grad, explicit.grad)
        rows.append(Identity(model, float(explicit.loss), float(implicit.loss), constant, gap))  # eq-2.3
    return rows


def run_checks() -> Iterator[Check]:
    """All checks, one after the other, as they are measured (a few seconds in all)."""
    yield from _theorem_checks()
    yield from _gradient_checks()
    yield from _sampling_checks()


def gaussian_example() -> Gaussian:
    """The correlated Gaussian in two dimensions that the demo and these checks use."""
    return Gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 1.5]])


def example_networks(count: int) -> list[MLP]:
    """Random networks with two hidden layers, their weights growing so that their losses differ."""
    networks = [MLP.init((2, 6, 5, 2), rng=seed) for seed in range(count)]
    scales = np.linspace(0.4, 1.0, count)
    return [network.with_theta(scale * network.theta) for network, scale in zip(networks, scales)]


def _theorem_checks() -> Iterator[Check]:
    mixture = GaussianMixture([0.3, 0.7], [[-1.0, 0.5], [1.0, 0.0]], [np.eye(2), [[1.2, 0.4], [0.4, 0.8]]])
    networks = example_networks(4)
    for name, target in (("a Gaussian", gaussian_example()), ("a mixture", mixture)):
        rows = theorem_identities(target, networks, order=160)
        yield Check(f"ISM - ESM = C on {name}, 4 networks", max(row.gap for row in rows), 1e-10)
        yield Check(f"their gradients agree on {name}", max(row.gradient_gap for row in rows), 1e-9)
    rng = np.random.default_rng(0)
    model = LinearScore(rng.standard_normal((5, 5)), rng.standard_normal(5))
    mean, root = rng.standard_normal(5), rng.standard_normal((5, 5))
    cov = root @ root.T + np.eye(5)
    constant = -0.5 * np.trace(np.linalg.inv(cov))
    gap = model.population_ism(mean, cov).loss - model.population_esm(mean, cov).loss - constant
    yield Check("ISM - ESM = -1/2 tr inv(cov), linear score, d = 5", abs(gap), 1e-10)


def _objectives(n: int, d: int, rng: np.random.Generator) -> dict[str, Callable[[Any], LossGrad]]:
    """Each objective as a function of the model alone, data, noise and weights held fixed."""
    x, target, noise = rng.standard_normal((3, n, d))
    v = rng.standard_normal((4, n, d))
    w, sigma = rng.dirichlet(np.ones(n)), rng.uniform(0.3, 0.9, n)
    return {
        "ESM": lambda model: esm(model, x, target, w),
        "ISM": lambda model: ism(model, x, w),
        "SSM": lambda model: ssm(model, x, v, w),
        "SSM-VR": lambda model: ssm_vr(model, x, v, w),
        "DSM": lambda model: dsm(model, x, noise, sigma, w),
    }


def _gradient_checks() -> Iterator[Check]:
    rng = np.random.default_rng(1)
    worst: dict[str, float] = {}
    rates: list[float] = []
    for sizes in SIZES:
        model = MLP.init(sizes, rng=rng)
        for name, objective in _objectives(7, sizes[0], rng).items():

            def loss(theta: Array, model: MLP = model, objective: Any = objective) -> Any:
                return objective(model.with_theta(theta)).loss

            grad = objective(model).grad
            error = relative_error(grad, complex_step_gradient(loss, model.theta))
            worst[name] = max(worst.get(name, 0.0), error)
            direction = rng.standard_normal(grad.size) / np.sqrt(grad.size)
            rates += list(taylor_rates(loss, grad, model.theta, direction, steps=(1e-3, 5e-4, 2.5e-4)))
    for name, error in worst.items():
        yield Check(f"gradient of {name} = complex step, every parameter, 0-3 hidden layers", error, 1e-10)
    yield Check("Taylor remainders fall at rate 2 (largest deviation)", max(abs(r - 2) for r in rates), 0.1)
    model, x = MLP.init(SIZES[-1], rng=2), rng.standard_normal((9, 2))
    jacobian = complex_step_jacobian(model.score, x)
    yield Check("Jacobian in x = complex step", relative_error(model.jacobian(x), jacobian), 1e-10)
    signs = np.array(list(product((-1.0, 1.0), repeat=2)))[:, None, :] * np.ones((1, 9, 1))
    gap = relative_error(ssm_vr(model, x, signs).grad, ism(model, x).grad)
    yield Check("SSM-VR over all 2^d sign vectors = ISM, gradient", gap, 1e-12)  # eq-7.4


def _sampling_checks() -> Iterator[Check]:
    target, step = gaussian_example(), 0.1
    points = np.sqrt(2) * np.concatenate([np.eye(2), -np.eye(2)])  # mean 0, covariance I, exactly
    x = np.repeat(target.sample(1, rng=0), 4, axis=0)
    after = langevin_step(target.score, x, step, points)
    mean_gap = np.abs(after.mean(axis=0) - (x + step * target.score(x))[0]).max()
    cov_gap = np.abs(np.cov(after.T, bias=True) - 2 * step * np.eye(2)).max()
    yield Check(
        "Langevin step: mean x + a s, covariance 2a I, by sigma points", max(mean_gap, cov_gap), 1e-13
    )
