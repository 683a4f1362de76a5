"""One of each target, with unequal scales and nothing centred at 0, and arithmetic that is not the library's."""

import math

import numpy as np

from npscore.targets import (
    Exponential,
    Gaussian,
    GaussianMixture,
    Gumbel,
    Laplace,
    Logistic,
    Product,
    StudentT,
    TruncatedGaussian,
    Uniform,
)


def random_cov(rng, d, spread=1.0):
    """Well conditioned, with off-diagonal entries as large as the diagonal."""
    root = rng.standard_normal((d, d))
    return spread * (root @ root.T + 0.3 * np.eye(d))


def gaussian(seed, d):
    rng = np.random.default_rng(seed)
    return Gaussian(rng.standard_normal(d), random_cov(rng, d))


def mixture(seed, d, k=3):
    rng = np.random.default_rng(seed)
    means, covs = rng.standard_normal((k, d)), np.stack([random_cov(rng, d, 0.5) for _ in range(k)])
    covs = covs + 0.5 * np.eye(d)
    return GaussianMixture(rng.dirichlet(np.full(k, 5.0)), means, covs)


def student_t(seed, d, df=4.5):
    rng = np.random.default_rng(seed)
    return StudentT(rng.standard_normal(d), random_cov(rng, d), df)


#: Positive and smooth on all of R^d: every identity of the theorem holds.
SMOOTH = {
    "Gaussian, d=1": Gaussian([0.7], [[2.3]]),
    "Gaussian, d=2": gaussian(1, 2),
    "Gaussian, d=4": gaussian(2, 4),
    "GaussianMixture, d=1": GaussianMixture([0.3, 0.7], [[-1.0], [1.5]], [[[0.4]], [[0.9]]]),
    "GaussianMixture, d=2": mixture(3, 2),
    "GaussianMixture, d=3": mixture(4, 3, k=4),
    "StudentT, d=1": StudentT([0.4], [[1.7]], 3.0),
    "StudentT, d=2": student_t(5, 2),
    "StudentT, d=3": student_t(6, 3, df=2.7),
    "Logistic": Logistic(-0.5, 1.3),
    "Gumbel": Gumbel(0.2, 0.8),
    "Product": Product([Gumbel(1.0, 2.0), Logistic(0.0, 0.6), Gaussian([1.0], [[2.0]])]),
}
#: With an edge inside R, where the theorem picks up a boundary term.
BOUNDED = {
    "Exponential": Exponential(1.7),
    "Uniform": Uniform(-1.0, 2.0),
    "TruncatedGaussian, one edge": TruncatedGaussian(0.5, 1.2, -0.3, math.inf),
    "TruncatedGaussian, two edges": TruncatedGaussian(0.5, 1.2, -2.0, 1.1),
    "TruncatedGaussian, in the tail": TruncatedGaussian(0.5, 1.2, 5.0, 9.0),
    "TruncatedGaussian, left tail": TruncatedGaussian(3.0, 0.7, -math.inf, 0.5),
}
#: With a kink.
KINKED = {
    "Laplace": Laplace(0.3, 0.7),
    "Product with a Laplace": Product([Laplace(0.3, 0.7), Gumbel(1.0, 2.0)]),
}
ALL = {**SMOOTH, **BOUNDED, **KINKED}


def normal_cdf(z):
    return 0.5 * np.array([math.erfc(-t / math.sqrt(2)) for t in np.atleast_1d(z)])


def expect(quadrature, values):
    """Σ wᵢ f(xᵢ) for values (m,) or (m, k)."""
    return np.tensordot(quadrature.weights, values, 1)


def integrate(f, low, high, n=4000):
    """∫ f over an interval, either end infinite, by Gauss–Legendre panels in an angle: x = 3 tan θ."""
    edges = np.linspace(math.atan(low / 3), math.atan(high / 3), n // 20 + 1)
    u, w = np.polynomial.legendre.leggauss(20)
    half, middle = 0.5 * np.diff(edges)[:, None], 0.5 * (edges[:-1] + edges[1:])[:, None]
    angle = (middle + half * u).ravel()
    return ((half * w).ravel() * f(3 * np.tan(angle)) * 3 / np.cos(angle) ** 2).sum()
