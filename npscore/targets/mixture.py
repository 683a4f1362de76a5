"""The Gaussian mixture: many modes, an exact score, and exact smoothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._run.borders import as_array, as_shaped
from .._run.covariance import as_covariance
from .base import Target, as_vector, diffused, set_fields, square_norm
from .components import average, dot, largest, middle, norm
from .gaussian import add_noise, log_normaliser, push_forward, standard_grid
from .precision import Rounded, like, narrowest_type
from .quadrature import Quadrature
from .whitening import condition_number, whitening

Array = np.ndarray

# Rows with every ‖yₖ‖² above FAR and 4 d take the exact differences of `_far_log_ratios`. Below that the difference
# of two logarithms is right to 1e3 eps or, in many dimensions, where samples have ‖yₖ‖² ≈ d, to 4 d eps.
FAR = 1e3
# The products ‖yₖ − yⱼ‖ ‖yₖ + yⱼ‖ of far rows round by eps times their size. Above 1e3 + 10 d, far off the axis between
# two means where either component is as likely, they are formed in longdouble.
LARGEST_PRODUCT = 1e3
NEGLIGIBLE = -80.0  # a component whose log-ratio is below this needs no digits
BLOCK = 2**17  # entries of a (K, d, rows) temporary: small enough to stay in cache

# `_score` takes one product for each component where covariances have a condition number up to the first of these, in
# dimensions from the second to the third; otherwise two. In fewer dimensions two take less time; in more, or at a
# larger condition number, they round less, since a row of the triangular Wₖ has half the terms on average.
LARGEST_CONDITION, LEAST_D, MOST_D = 10.0, 32, 64


@dataclass(frozen=True, eq=False)
class GaussianMixture(Target):
    """Σₖ πₖ N(μₖ, Σₖ) on R^d: ``weights`` (K,) > 0 summing to 1, ``means`` (K, d), ``covs`` (K, d, d).

    With rₖ(x) the posterior probability of component k and sₖ, divₖ its score and divergence:
    s = Σ rₖ sₖ;  ∇·s = Σ rₖ (divₖ + ‖sₖ‖²) − ‖s‖², computed as Σ rₖ (divₖ + ‖sₖ − s‖²), which does not
    cancel in the tails. Weights must sum to 1 within 1e-8, in float32 within 1.2e-5, and are then normalised to
    the last digit.
    """

    weights: Array
    means: Array
    covs: Array
    _inverses: Rounded = field(init=False, repr=False)  # (K, d, d), Wₖ with Pₖ = WₖᵀWₖ
    _precisions: Rounded = field(init=False, repr=False)  # (K, d, d), Pₖ
    _factors: Array = field(init=False, repr=False)  # (K, d, d), Lₖ = Wₖ⁻¹, in float64 as all draws are
    _offsets: Rounded = field(init=False, repr=False)  # (K,), log πₖ − ½ log det 2πΣₖ
    _locations: Rounded = field(init=False, repr=False)  # (K, d), the means
    _one_product: bool = field(init=False, repr=False)  # how `_score` goes about it

    def __post_init__(self) -> None:
        weights, means = _as_probabilities(self.weights), as_array(self.means, "means")
        if means.ndim != 2 or means.shape[0] != weights.size or means.shape[1] == 0:
            raise ValueError(f"means must have shape ({weights.size}, d), got shape {means.shape}")
        d = means.shape[1]
        covs = as_shaped(self.covs, "covs", (weights.size, d, d))
        covs = np.stack([as_covariance(cov, f"covs[{k}]", d)[0] for k, cov in enumerate(covs)])
        whites = [whitening(cov, f"covs[{k}]") for k, cov in enumerate(covs)]
        set_fields(
            self,
            weights=weights,
            means=means,
            covs=covs,
            _inverses=Rounded.of(np.stack([white.inverse.exact for white in whites])),
            _precisions=Rounded.of(np.stack([white.precision.exact for white in whites])),
            _factors=np.stack([white.factor.double for white in whites]),
            _offsets=Rounded.of(
                np.log(weights.astype(np.longdouble)) - np.array([log_normaliser(w) for w in whites])
            ),
            _locations=Rounded.of(means),
            _one_product=_one_product_will_do(covs),
            _narrowest=narrowest_type([white.scales for white in whites], means),
        )

    @property
    def d(self) -> int:
        """The dimension."""
        return self.means.shape[1]

    @property
    def mean(self) -> Array:
        """Σ πₖ μₖ, shape ``(d,)``."""
        return self.weights @ self.means

    @property
    def cov(self) -> Array:
        """Σ πₖ (Σₖ + (μₖ − μ)(μₖ − μ)ᵀ), shape ``(d, d)``; ±inf beyond the float range."""
        with np.errstate(over="ignore", under="ignore"):
            weights, means, covs = (a.astype(np.longdouble) for a in (self.weights, self.means, self.covs))
            spread = means - weights @ means  # (K, d)
            cov = np.tensordot(weights, covs, 1) + (weights * spread.T) @ spread
            return cov.astype(self.covs.dtype)

    def smoothed(self, sigma: float) -> GaussianMixture:
        """The density of x + sigma·z, z ~ N(0, I): every covariance grows by sigma² I (eq-1.17)."""
        return GaussianMixture(self.weights, self.means, add_noise(self.covs, sigma))  # eq-1.17

    def diffused(self, alpha: Any, sigma: Any) -> Any:
        """The density of αx + σz, z ~ N(0, I): means α μₖ, covariances α² Σₖ + σ² I; of arrays a tuple, one
        density each."""
        return diffused(self._diffused, alpha, sigma)

    def _diffused(self, alpha: float, sigma: float) -> GaussianMixture:
        covs = alpha * alpha * self.covs + sigma * sigma * np.eye(self.d)
        return GaussianMixture(self.weights, alpha * self.means, covs)

    def quadrature(self, order: int, rule: str = "trapezoid") -> Quadrature:
        """The components' rules side by side, K · order**d nodes, ``rule`` as for the Gaussian."""
        z, weights = standard_grid(order, self.d, rule, pieces=len(self.weights))
        nodes = [push_forward(z, mean, factor) for mean, factor in zip(self.means, self._factors)]
        shares = self.weights.astype(np.float64)
        return Quadrature(np.concatenate(nodes), np.multiply.outer(shares, weights).ravel())

    def _log_prob(self, x: Array) -> Array:
        def block(rows: Array) -> Array:
            y = self._whitened(rows)
            top, log_ratios = self._log_ratios(rows, dot(y, y), y)
            return top + np.log(np.exp(log_ratios).sum(axis=0))

        return _by_blocks(block, x, self.means.size)

    def _score(self, x: Array) -> Array:
        """Σ rₖ sₖ by one product a component, sₖ = Pₖ (μₖ − x), or by two, yₖ = Wₖ (x − μₖ) and sₖ = −Wₖᵀ yₖ.

        One product has the smaller bound on the error of sₖ. Its bound on the error of ‖yₖ‖² = (μₖ − x)·sₖ is √κ/2
        times that of two (eq-1.9), κ the condition number of Σₖ: at most 1.6 times where `_one_product` is set.
        """

        def one_product(rows: Array) -> Array:
            to_means = self._locations.like(rows)[:, None] - rows  # (K, n, d)
            scores = to_means @ self._precisions.like(rows)  # (K, n, d), sₖ = Pₖ (μₖ − x)
            squares = np.einsum("knd,knd->kn", to_means, scores)
            return np.einsum("kn,knd->nd", self._responsibilities(rows, squares), scores)  # eq-1.9

        def two_products(rows: Array) -> Array:
            y = self._whitened(rows)
            y *= -self._responsibilities(rows, dot(y, y), y)[:, None]
            # −Σₖ Wₖᵀ (rₖ yₖ) as one product of the yₖ and of the Wₖ, each below each other.
            stacked = self._inverses.like(rows).reshape(-1, self.d)  # (K d, d)
            return y.reshape(-1, len(rows)).T @ stacked  # eq-1.9

        return _by_blocks(one_product if self._one_product else two_products, x, self.means.size)

    def _score_divergence(self, x: Array) -> Array:
        def block(rows: Array) -> Array:
            y = self._whitened(rows)
            r = self._responsibilities(rows, dot(y, y), y)
            gaps = self._score_gaps(rows, r.real.argmax(axis=0))
            deviation = gaps - average(r, gaps)  # (K, d, n), sₖ − s
            traces = np.trace(self._precisions.exact, axis1=1, axis2=2)  # (K,)
            return (r[:, None] * deviation * deviation).sum(axis=(0, 1)) - like(traces, rows) @ r  # eq-1.10

        return _by_blocks(block, x, self.means.size)

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        labels = rng.choice(len(self.weights), size=n, p=self.weights.astype(np.float64))  # (n,)
        x = rng.standard_normal((n, self.d))
        for k, (mean, factor) in enumerate(zip(self.means, self._factors)):
            x[labels == k] = push_forward(x[labels == k], mean, factor)
        return x

    def _whitened(self, x: Array) -> Array:
        """yₖ = Wₖ (x − μₖ), shape ``(K, d, n)``: samples last, so that sums over d run along memory."""
        columns = np.ascontiguousarray(x.T)  # (d, n); BLAS wants the products below in C order
        return self._inverses.like(x) @ (columns - self._locations.like(x)[:, :, None])

    def _responsibilities(self, x: Array, squares: Array, y: Array | None = None) -> Array:
        """rₖ = πₖ pₖ(x)/p(x), the probability that x came from component k, ``(K, n)``."""
        r = self._log_ratios(x, squares, y)[1]
        np.exp(r, out=r)
        r /= r.sum(axis=0)
        return r

    def _score_gaps(self, x: Array, reference: Array) -> Array:
        """sₖ − sⱼ = (Pⱼ − Pₖ)(x − μⱼ) + Pₖ (μₖ − μⱼ), j the reference of each row, ``(K, d, n)``.

        Formed without sₖ and sⱼ, which far from the means are huge and nearly equal.
        """
        precisions, means = self._precisions.exact, self._locations.exact
        gaps = np.empty((*means.shape, len(x)), dtype=x.dtype)
        for j in np.unique(reference):
            rows = reference == j
            shift = precisions @ (means - means[j])[:, :, None]  # (K, d, 1)
            from_mean = (x[rows] - like(means[j], x)).T  # (d, rows)
            gaps[:, :, rows] = like(precisions[j] - precisions, x) @ from_mean + like(shift, x)
        return gaps

    def _log_ratios(self, x: Array, squares: Array, y: Array | None) -> tuple[Array, Array]:
        """A reference log-density ``(n,)`` for each row, and log πₖ pₖ less it, ``(K, n)``, 0 at its largest.

        ``squares`` (K, n) are the ‖yₖ‖², ``y`` (K, d, n) the yₖ if they are at hand. The reference is chosen by
        the real part: a complex step never changes the branch.
        """
        with np.errstate(invalid="ignore"):  # beyond the float range: −inf − (−inf), replaced just below
            log_ratios = -0.5 * squares
            log_ratios += self._offsets.like(x)[:, None]
            top = largest(log_ratios)  # (n,)
            log_ratios -= top
        far = np.flatnonzero(
            ~(squares.real.min(axis=0) <= max(FAR, 4 * self.d))
        )  # NaN, of an overflow, is far as well
        if far.size:
            y_far = self._whitened(x[far]) if y is None else y[:, :, far]
            top[far], log_ratios[:, far] = self._far_log_ratios(x[far], y_far)
        return top, log_ratios

    def _far_log_ratios(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The same where each log-density is huge and only their differences matter.

        ‖yₖ‖² − ‖yⱼ‖² = (yₖ − yⱼ)·(yₖ + yⱼ), and neither factor is formed from yₖ and yⱼ: components are told apart
        at any distance, and between two means at any distance of these. Squares are taken in units of the
        largest |y|, so that they overflow only as a whole.
        """
        unit = np.abs(y.real).max(axis=(0, 1))  # (n,)
        nearest = square_norm(y.real / unit, axis=1).argmin(axis=0)  # (n,)
        top, log_ratios, doubtful = np.empty_like(x[:, 0]), np.empty_like(y[:, 0]), np.zeros(len(x), bool)
        for j in np.unique(nearest):
            rows = nearest == j
            y_j, scale = y[j][:, rows], unit[rows]  # (d, rows), (rows,)
            difference, total = self._difference_and_sum(x[rows], j)
            gaps = (difference * (total / scale)).sum(axis=1) * scale  # (K, rows)
            ratios = like(self._offsets.exact - self._offsets.exact[j], x)[:, None] - 0.5 * gaps  # eq-1.27
            ratios = np.nan_to_num(ratios, nan=np.nan)  # −inf, whose exp is 0, becomes finite
            top_ratio = ratios.real.max(axis=0)
            top[rows] = (
                self._offsets.like(x)[j] - 0.5 * square_norm(y_j / scale, axis=0) * scale * scale + top_ratio
            )
            log_ratios[:, rows] = ratios - top_ratio
            product = norm(difference.real) * norm(total.real)  # (K, rows)
            doubtful[rows] = (
                (product > LARGEST_PRODUCT + 10 * self.d) & (ratios.real - top_ratio > NEGLIGIBLE)
            ).any(axis=0)
        if doubtful.any() and x.real.dtype != np.longdouble:
            wide = x[doubtful].astype(np.result_type(x.dtype, np.longdouble))
            top[doubtful], log_ratios[:, doubtful] = self._far_log_ratios(wide, self._whitened(wide))
        return top, log_ratios

    def _difference_and_sum(self, x: Array, j: int) -> tuple[Array, Array]:
        """yₖ − yⱼ and yₖ + yⱼ for every k, ``(K, d, n)`` each, from the midpoint m of μₖ and μⱼ.

        With t = x − m, δ = μⱼ − μₖ, D = Wₖ − Wⱼ and H = (Wₖ + Wⱼ)/2 they are D t + H δ and 2 H t + D δ/2: where Wₖ = Wⱼ
        the first is a constant, and near the midpoint the second is small without a cancellation. m is the
        sum of its rounded value and a rest, so that t has all digits.
        """
        inverses, means = self._inverses.like(x), self._locations.exact
        half = 0.5 * (inverses + inverses[j])  # (K, d, d), H
        gap = like(self._inverses.exact - self._inverses.exact[j], x)  # (K, d, d), D
        apart = like(means[j] - means, x)[:, :, None]  # (K, d, 1), δ
        rounded, rest = middle(means, means[j], x)  # (K, d) each
        t = x.T - rounded[:, :, None] - rest[:, :, None]  # (K, d, n)
        return gap @ t + half @ apart, 2 * (half @ t) + 0.5 * (gap @ apart)  # eq-1.27


def _as_probabilities(value: Any) -> Array:
    """Weights > 0 whose sum is 1 to 1e-8, or to 100 eps of their type, divided by it in longdouble."""
    weights = as_vector(value, "weights")
    if not (weights > 0).all():
        raise ValueError(f"weights must be positive, got {weights.min()} at index {int(weights.argmin())}")
    total = weights.sum(dtype=np.longdouble)
    if not abs(total - 1) <= max(1e-8, 100 * np.finfo(weights.dtype).eps):
        raise ValueError(f"weights must sum to 1, got a sum of {weights.dtype.type(total)!r}")
    return (weights.astype(np.longdouble) / total).astype(np.promote_types(weights.dtype, np.float64))


def _one_product_will_do(covs: Array) -> bool:
    """Whether ‖yₖ‖² through Pₖ is about as accurate as through Wₖ and costs less; Pₖ well within float32's range."""
    scales = np.abs(covs).max(axis=(1, 2))  # (K,)
    if not (LEAST_D <= covs.shape[-1] <= MOST_D and 1e-30 <= scales.min() <= scales.max() <= 1e30):
        return False
    return all(condition_number(cov) <= LARGEST_CONDITION for cov in covs)


def _by_blocks(function: Callable[[Array], Array], x: Array, row_size: int) -> Array:
    """``function`` on blocks of rows, so that the ``(K, d, rows)`` temporaries stay in cache."""
    step = max(1, BLOCK // row_size)
    blocks = [function(x[start : start + step]) for start in range(0, len(x), step)]
    return np.ascontiguousarray(blocks[0] if len(blocks) == 1 else np.concatenate(blocks))
