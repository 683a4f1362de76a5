"""The Gaussian: the one density for which everything in this library is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._run.borders import as_choice, as_positive
from .._run.covariance import as_covariance
from .base import LOG_2PI, Target, as_vector, diffused, set_fields, square_norm
from .precision import Rounded, like, narrowest_type
from .quadrature import Quadrature, as_order, gauss_hermite, gaussian_trapezoid, tensor
from .whitening import Whitening, whitening

Array = np.ndarray

GAUSSIAN_RULES = {"trapezoid": gaussian_trapezoid, "gauss-hermite": gauss_hermite}


@dataclass(frozen=True, eq=False)
class Gaussian(Target):
    """N(mean, cov) on R^d: ``mean`` (d,), ``cov`` (d, d) symmetric positive definite.

    log p = −½ (x − μ)ᵀ P (x − μ) − ½ log det 2πΣ, with P = Σ⁻¹;  s = P (μ − x);  ∇·s = −tr P.
    """

    mean: Array
    cov: Array
    _white: Whitening = field(init=False, repr=False)
    _location: Rounded = field(init=False, repr=False)  # (d,), the mean

    def __post_init__(self) -> None:
        mean = as_vector(self.mean, "mean")
        cov, _ = as_covariance(self.cov, "cov", mean.size)
        white = whitening(cov, "cov")
        set_fields(
            self,
            mean=mean,
            cov=cov,
            _white=white,
            _location=Rounded.of(mean),
            _narrowest=narrowest_type(white.scales, mean),
        )

    @property
    def d(self) -> int:
        """The dimension."""
        return self.mean.size

    @property
    def precision(self) -> Array:
        """P = Σ⁻¹, shape ``(d, d)``; ±inf or 0 beyond the float range."""
        return self._white.precision.like(self.cov).copy()

    def smoothed(self, sigma: float) -> Gaussian:
        """The density of x + sigma·z, z ~ N(0, I): N(mean, cov + sigma² I), DSM's target (eq-1.17)."""
        return Gaussian(self.mean, add_noise(self.cov, sigma))  # eq-1.17

    def diffused(self, alpha: Any, sigma: Any) -> Any:
        """The density of αx + σz, z ~ N(0, I): N(α mean, α² cov + σ² I); of arrays a tuple, one density each."""
        return diffused(self._diffused, alpha, sigma)

    def _diffused(self, alpha: float, sigma: float) -> Gaussian:
        cov = alpha * alpha * self.cov + sigma * sigma * np.eye(self.d)
        return Gaussian(alpha * self.mean, cov)

    def quadrature(self, order: int, rule: str = "trapezoid") -> Quadrature:
        """The tensor rule x = μ + L z of order**d nodes, ``rule`` "trapezoid" or "gauss-hermite".

        The trapezoid rule is right to 1e-13 for moments up to the second from order 25 on, up to the sixth
        from order 30 on, and converges geometrically on tanh networks, where Gauss–Hermite (order ≤ 300)
        does not (eq-1.18, eq-1.19).
        """
        z, weights = standard_grid(order, self.d, rule)
        return Quadrature(push_forward(z, self.mean, self._white.factor.double), weights)

    def _log_prob(self, x: Array) -> Array:
        y = (x - self._location.like(x)) @ self._white.inverse.like(x).T  # (n, d), whitened
        return -0.5 * square_norm(y) - like(log_normaliser(self._white), x)  # eq-1.8

    def _score(self, x: Array) -> Array:
        return self._to_mean(x) @ self._white.precision.like(x)  # eq-1.8

    def _score_divergence(self, x: Array) -> Array:
        return np.full(len(x), -like(np.trace(self._white.precision.exact), x), dtype=x.dtype)  # eq-1.8

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        return push_forward(rng.standard_normal((n, self.d)), self.mean, self._white.factor.double)

    def _to_mean(self, x: Array) -> Array:
        """μ − x, ``(n, d)``; in few dimensions a column at a time, since NumPy's loops run along the last axis."""
        mean = self._location.like(x)
        if self.d > 8:
            return mean - x
        return np.subtract(mean[:, None], x.T, out=np.empty((self.d, len(x)), x.dtype)).T


def standard_grid(order: Any, d: int, rule: str, pieces: int = 1) -> Quadrature:
    """The named rule for N(0, I) on R^d; ``pieces`` is how many such grids the caller will join."""
    rule = as_choice(rule, "rule", GAUSSIAN_RULES)
    order = as_order(order, d, pieces)
    return tensor([GAUSSIAN_RULES[rule](order)] * d)


def push_forward(z: Array, mean: Array, factor: Array) -> Array:
    """μ + L z for every row of z, in float64."""
    with np.errstate(over="ignore", under="ignore"):
        return mean.astype(np.float64) + z @ factor.T


def add_noise(covs: Array, sigma: Any) -> Array:
    """Σ + sigma² I for one covariance or several; ValueError unless sigma > 0 and the sum is finite."""
    sigma, d = as_positive(sigma, "sigma"), covs.shape[-1]
    noisy = covs.copy()
    with np.errstate(over="ignore"):
        noisy[..., range(d), range(d)] += sigma * sigma  # eq-1.17
    if not np.isfinite(noisy).all():
        raise ValueError(f"sigma must be a finite number > 0 with cov + sigma² finite, got {sigma!r}")
    return noisy


def log_normaliser(white: Whitening) -> np.longdouble:
    """½ log det 2πΣ."""
    return 0.5 * (len(white.factor.exact) * LOG_2PI + white.log_det)
