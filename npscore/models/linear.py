"""The affine score s = A x + b: the Gaussian's, and everything about it in closed form."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._run.borders import as_array, as_batch, as_positive, as_shaped, as_weights
from .._run.covariance import as_covariance
from .._run.scale import within_range
from .base import Array, Pullback
from .layers import LayeredScore


class Population(NamedTuple):
    """An exact expected loss, and its flat gradient in θ (laid out as ``theta``)."""

    loss: float
    grad: Array


class LinearScore(LayeredScore):
    """An affine score s(x) = A x + b, θ = (A, b): A is (d, d), b is (d,).

    A score of a density needs a symmetric A; nothing here forces it, because score matching finds it.
    Raises ValueError for shapes other than these or values that are not finite. Derivation: chapter 3.
    """

    def __init__(self, A: Any, b: Any):
        A = as_batch(A, "A", allow_complex=True)
        if A.shape[0] != A.shape[1]:
            raise ValueError(f"A must have shape (d, d), got shape {A.shape}")
        b = as_shaped(b, "b", (A.shape[0],), allow_complex=True)
        super().__init__([(A, b)])

    @classmethod
    @within_range("mean and cov", "the inverse of cov, and its product with mean,")
    def from_gaussian(cls, mean: Any, cov: Any) -> LinearScore:
        """The score of N(m, S): A = -S⁻¹, b = S⁻¹ m.

        Raises ValueError where ``cov`` is not (d, d), symmetric and positive definite.
        """
        cov, factor = as_covariance(cov, "cov")
        mean = as_shaped(mean, "mean", (len(cov),))
        precision = _precision(factor).astype(cov.dtype, copy=False)
        return cls(-precision, precision @ mean)  # eq-3.3

    @classmethod
    @within_range("x and weights", "the covariance and its inverse")
    def fit(cls, x: Any, weights: Any = None) -> LinearScore:
        """The exact minimiser of the empirical ISM loss: the score of the maximum-likelihood Gaussian.

        A = -S⁻¹ and b = S⁻¹ m with the data's mean m and covariance S = Σ wᵢ (xᵢ - m)(xᵢ - m)ᵀ, wᵢ = 1/n
        unless ``weights`` (n,) says otherwise (they are divided by their sum). x is (n, d).
        Raises ValueError where S is singular: fewer than d + 1 distinct rows, or a dependent column.
        Source: Hyvärinen 2005, §3.1.
        """
        x = as_batch(x, "x")
        w = as_weights(weights, len(x), x.dtype)
        if (w < 0).any() or not w.sum() > 0:
            raise ValueError(
                f"weights must be >= 0 with a positive sum, got {w.min()} at the least, sum {w.sum()}"
            )
        w = w / w.sum()
        mean = w @ x
        centred = x - mean
        cov = centred.T @ (w[:, None] * centred)
        scale = np.sqrt(np.diag(cov))  # (d,) rank does not depend on units: judge the correlations
        scale = np.where(scale > 0, scale, 1.0)
        correlation = cov / scale / scale[:, None]
        eigenvalues = np.linalg.eigvalsh(correlation.astype(np.float64))
        if not eigenvalues[0] > 10 * len(cov) * np.finfo(x.dtype).eps:
            raise ValueError(
                f"x must have a covariance of full rank (more than d = {len(cov)} distinct rows, no "
                f"dependent columns), got correlations with smallest eigenvalue {eigenvalues[0]:.3g}"
            )
        return cls.from_gaussian(mean, cov)

    @staticmethod
    def _names(l: int) -> tuple[str, str]:
        return "A", "b"

    @property
    def A(self) -> Array:
        """The matrix of s = A x + b, shape (d, d)."""
        return self.layers[0].weight

    @property
    def b(self) -> Array:
        """The offset of s = A x + b, shape (d,)."""
        return self.layers[0].bias

    @property
    def config(self) -> dict[str, Any]:
        return {"d": self.d}

    @classmethod
    def from_config(cls, config: dict[str, Any], theta: Array) -> LinearScore:
        d = config["d"]
        if not isinstance(d, int) or d < 1 or theta.shape != (d * (d + 1),):
            raise ValueError(f"theta must have d (d + 1) entries for d = {d!r}, got shape {theta.shape}")
        return cls(theta[: d * d].reshape(d, d), theta[d * d :])

    def __repr__(self) -> str:
        return f"LinearScore(d={self.d}, {self.dtype})"

    # ---- the primitives ----------------------------------------------------------------------------

    def _score_vjp(self, x: Array, cond: None = None) -> tuple[Array, Pullback]:
        return x @ self.A.T + self.b, lambda ds: _flat(ds.T @ x, ds.sum(axis=0))  # eq-4.5, eq-4.6

    def _divergence_vjp(self, x: Array, cond: None = None) -> tuple[Array, Array, Pullback]:
        s, pull_score = self._score_vjp(x)
        identity = np.eye(self.d, dtype=s.dtype)

        def pullback(ds: Array, ddiv: Array) -> Array:
            return pull_score(ds) + _flat(ddiv.sum() * identity, np.zeros_like(self.b))  # ∂ tr A/∂A = I

        return s, np.full(len(x), np.trace(self.A), dtype=s.dtype), pullback

    def _quadratic_form_vjp(self, x: Array, v: Array, cond: None = None) -> tuple[Array, Array, Pullback]:
        s, pull_score = self._score_vjp(x)

        def pullback(ds: Array, dq: Array) -> Array:
            scaled = (dq[..., None] * v).reshape(-1, self.d)  # (m·n, d): ∂ vᵀAv/∂A = v vᵀ
            return pull_score(ds) + _flat(scaled.T @ v.reshape(-1, self.d), np.zeros_like(self.b))

        return s, (v * (v @ self.A.T)).sum(axis=-1), pullback

    def _jacobian(self, x: Array, cond: None = None) -> Array:
        return np.tile(self.A, (len(x), 1, 1))

    # ---- expectations over x ~ N(m, S), exact at any d ---------------------------------------------

    def population_ism(self, mean: Any, cov: Any) -> Population:
        """E[½‖s‖² + tr J] over x ~ N(mean, cov), and its gradient: ½ tr(A S Aᵀ) + ½‖A m + b‖² + tr A.

        The gradient is (A S + (A m + b) mᵀ + I, A m + b). Raises TypeError or ValueError for a wrong argument, and
        where loss or gradient is no float. Derivation: (3.1), (3.2).
        """
        mean, cov, _ = self._gaussian(mean, cov)
        with np.errstate(over="ignore", invalid="ignore"):
            centre = self.A @ mean + self.b  # (d,)  E s
            spread = self.A @ cov  # (d, d)
            loss = 0.5 * (spread * self.A).sum() + 0.5 * centre @ centre + np.trace(self.A)  # eq-3.1
            identity = np.eye(self.d, dtype=cov.dtype)
            grad = _flat(spread + np.outer(centre, mean) + identity, centre)  # eq-3.2
        return _finite(loss, grad)

    def population_esm(self, mean: Any, cov: Any) -> Population:
        """½ E‖s - ∇log p‖² over p = N(mean, cov), with the ½, and its gradient (that of ISM).

        With R = A + S⁻¹: ½ tr(R S Rᵀ) + ½‖A m + b‖², gradient (R S + (A m + b) mᵀ, A m + b).
        Derivation: (3.4).
        """
        mean, cov, factor = self._gaussian(mean, cov)
        with np.errstate(over="ignore", invalid="ignore"):
            centre = self.A @ mean + self.b
            gap = self.A + _precision(factor)  # (d, d)  R
            spread = gap @ cov
            loss = 0.5 * (spread * gap).sum() + 0.5 * centre @ centre  # eq-3.4
            grad = _flat(spread + np.outer(centre, mean), centre)
        return _finite(loss, grad)

    def population_dsm(self, mean: Any, cov: Any, sigma: float) -> Population:
        """½ E‖s(x + σε) + ε/σ‖² over x ~ N(mean, cov) and ε ~ N(0, I), with the ½, and its gradient.

        It is the population ISM of N(m, S + σ²I) plus d/(2σ²). Raises ValueError unless σ > 0, and where σ² or
        d/(2σ²) is no float. Derivation: (3.5).
        """
        mean, cov, _ = self._gaussian(mean, cov)
        sigma, most = as_positive(sigma, "sigma"), float(np.finfo(cov.dtype).max)
        if not (sigma * sigma <= most and self.d / 2 <= most * sigma * sigma):
            raise ValueError(
                f"sigma must be such that sigma**2 and d/(2 sigma**2) are finite in {cov.dtype}, got {sigma!r}"
            )
        smoothed = self.population_ism(mean, cov + sigma**2 * np.eye(self.d, dtype=cov.dtype))
        with np.errstate(over="ignore"):
            loss = smoothed.loss + self.d / (2 * sigma**2)  # eq-3.5
        return _finite(loss, smoothed.grad)

    def _gaussian(self, mean: Any, cov: Any) -> tuple[Array, Array, Array]:
        cov, factor = as_covariance(cov, "cov", self.d)
        return as_shaped(as_array(mean, "mean"), "mean", (self.d,)), cov, factor


def _precision(factor: Array) -> Array:
    """S⁻¹ = L⁻ᵀ L⁻¹ from the Cholesky factor S = L Lᵀ."""
    inverse = np.linalg.inv(factor)
    return inverse.T @ inverse


def _finite(loss: Any, grad: Array) -> Population:
    """Loss and gradient, neither of which may have overflowed."""
    if not (np.isfinite(loss) and np.isfinite(grad).all()):
        raise ValueError(
            f"mean and cov must be small enough for a finite loss and gradient in {grad.dtype}, got a loss of {loss}"
        )
    return Population(loss, grad)


def _flat(dA: Array, db: Array) -> Array:
    return np.concatenate([dA.ravel(), db])
