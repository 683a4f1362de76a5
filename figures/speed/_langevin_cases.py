"""What ``langevin_speed`` times: targets and a network, npscore's ways to run them, and the floor beneath."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np

import npscore as ns
from npscore._run.blas import one_blas_thread
from npscore.samplers.blocks import NOISE_AHEAD, fill_standard_normal

Array = np.ndarray
COMPONENTS = 4


class Case(NamedTuple):
    """Chains, the step, and a score: a target's, with the parameters that define it, or a network's."""

    kind: str  # "Gaussian", "mixture" or "MLP"
    score: Callable[[Array], Array]
    parameters: dict[str, Any]
    x0: Array
    step: float
    n_steps: int  # in one timed run

    @property
    def products(self) -> list[tuple[int, int]]:
        """(terms, columns) of the matrix products that a score takes for each row."""
        d = self.x0.shape[1]
        if self.kind == "Gaussian":
            return [(d, d)]
        if self.kind == "mixture":
            there, back = (d, COMPONENTS * d), (COMPONENTS * d, d)
            return [there] if self.score.__self__._one_product else [there, back]
        return [(W.shape[1], W.shape[0]) for W, _ in self.parameters["layers"]]


def make(kind: str, d: int, n: int, dtype: str, n_steps: int) -> Case:
    """A case with O(1) parameters; every mixture component has its own covariance."""
    rng = np.random.default_rng(d)
    x0 = rng.standard_normal((n, d)).astype(dtype)
    if kind == "MLP":
        model = ns.MLP.init((d, 128, 128, d), "tanh", rng=1, dtype=dtype)
        return Case(kind, model.score, {"layers": model.layers}, x0, 1e-2, n_steps)
    root = rng.standard_normal((d, d)) / np.sqrt(d)
    cov = root @ root.T + 0.5 * np.eye(d)
    if kind == "Gaussian":
        target = ns.targets.Gaussian(rng.standard_normal(d), cov)
        parameters = {"mean": target.mean, "cov": cov, "precision": target.precision}
        return Case(kind, target.score, parameters, x0, 1e-2, n_steps)
    means, covs = (
        2 * rng.standard_normal((COMPONENTS, d)),
        np.stack([cov * (1 + k) for k in range(COMPONENTS)]),
    )
    weights = np.arange(1.0, COMPONENTS + 1) / 10
    target = ns.targets.GaussianMixture(weights, means, covs)
    precisions = np.linalg.inv(covs)
    offsets = np.log(weights) + 0.5 * np.linalg.slogdet(precisions)[1]
    parameters = {"means": means, "precisions": precisions, "offsets": offsets}
    return Case(kind, target.score, parameters, x0, 1e-2, n_steps)


def our_runs(case: Case, cores: int, pool: ProcessPoolExecutor) -> dict[str, Callable[[], Array]]:
    """npscore on one core, on all of them by threads, and by processes."""

    def run(**options: Any) -> Callable[[], Array]:
        return lambda: (
            ns.langevin(case.score, case.x0, case.step, case.n_steps, rng=0, progress=False, **options).x
        )

    return {
        "npscore, one core": run(),
        "npscore, threads": run(workers=cores),
        "npscore, processes": run(executor=pool),
    }


def floor(case: Case) -> Callable[[], None]:
    """The random numbers and the score's matrix products alone, in npscore's blocks, on one core."""
    dtype, rng = case.x0.dtype, np.random.default_rng(0)

    def pair(rows: int, terms: int, columns: int) -> tuple[Array, Array, Array]:
        left, right = rng.standard_normal((rows, terms)), rng.standard_normal((terms, columns))
        return left.astype(dtype), right.astype(dtype), np.empty((rows, columns), dtype)

    def run() -> None:
        with one_blas_thread():
            for block in ns.samplers.langevin_blocks(*case.x0.shape, rng=0):
                ahead = min(case.n_steps, max(1, NOISE_AHEAD // np.prod(block.shape)))
                z = np.empty((ahead, *block.shape), dtype)
                pairs = [pair(len(z[0]), *product) for product in case.products]
                for t in range(case.n_steps):
                    if t % ahead == 0:
                        fill_standard_normal(block.rng, z[: case.n_steps - t])
                    for left, right, out in pairs:
                        np.matmul(left, right, out=out)

    return run
