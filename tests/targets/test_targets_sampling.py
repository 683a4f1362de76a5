"""Samples follow the density: Kolmogorov–Smirnov on known laws, moments in standard errors, wrong ones rejected."""

import math

import numpy as np
import pytest
from support.target_zoo import ALL, SMOOTH, gaussian, mixture, normal_cdf, student_t

from npscore.targets import Exponential, Gumbel, Laplace, Logistic, StudentT, TruncatedGaussian, Uniform

N = 20_000
#: P(√n D > 1.95) < 0.001 for the Kolmogorov–Smirnov distance D of the right law.
KS_LIMIT = 1.95


def ks_statistic(x, cdf):
    """√n sup|F_n − F|."""
    n, value = len(x), np.sort(cdf(x))
    gap = np.maximum(np.arange(1, n + 1) / n - value, value - np.arange(n) / n)
    return math.sqrt(n) * gap.max()


def truncated_cdf(target):
    def cdf(x):
        low, high = ((edge - target.loc) / target.scale for edge in (target.low, target.high))
        sign = -1 if low > 0 else 1  # in the right tail, take differences of the small upper probabilities
        at = [normal_cdf(sign * z) for z in (low, (x - target.loc) / target.scale, high)]
        return (at[1] - at[0]) / (at[2] - at[0])

    return cdf


LAWS = {
    "Laplace": (Laplace(0.3, 0.7), lambda x: 0.5 - 0.5 * np.sign(x - 0.3) * np.expm1(-np.abs(x - 0.3) / 0.7)),
    "Logistic": (Logistic(-0.5, 1.3), lambda x: 1 / (1 + np.exp(-(x + 0.5) / 1.3))),
    "Gumbel": (Gumbel(0.2, 0.8), lambda x: np.exp(-np.exp(-(x - 0.2) / 0.8))),
    "Exponential": (Exponential(1.7), lambda x: 1 - np.exp(-1.7 * x)),
    "Uniform": (Uniform(-1.0, 2.0), lambda x: (x + 1) / 3),
    "StudentT, df=1": (StudentT([0.4], [[2.25]], 1.0), lambda x: 0.5 + np.arctan((x - 0.4) / 1.5) / math.pi),
    "StudentT, df=2": (
        StudentT([0.4], [[2.25]], 2.0),
        lambda x: 0.5 * (1 + (x - 0.4) / 1.5 / np.sqrt(2 + ((x - 0.4) / 1.5) ** 2)),
    ),
    **{
        f"TruncatedGaussian {bounds}": (target, truncated_cdf(target))
        for bounds in [(-0.3, math.inf), (-2.0, 1.1), (4.0, 4.3), (5.0, math.inf), (-math.inf, -6.0), (0.49, 0.52)]
        for target in [TruncatedGaussian(0.5, 1.2, *bounds)]
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
def test_the_law_on_the_line(name):
    """The right law passes; the same samples stretched by 10 % about their median, or moved, do not."""
    target, cdf = LAWS[name]
    x = target.sample(N, rng=0)[:, 0]
    assert ks_statistic(x, cdf) < KS_LIMIT
    low, high = getattr(target, "low", -math.inf), getattr(target, "high", math.inf)
    for wrong in (
        np.median(x) + 1.1 * (x - np.median(x)),
        x + 0.08 * np.subtract(*np.percentile(x, [75, 25])),
    ):
        assert ks_statistic(np.clip(wrong, low, high), cdf) > KS_LIMIT
    assert (low <= x).all() and (x <= high).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_law_of_projections_in_several_dimensions(seed):
    """A projection aᵀx of a Gaussian, mixture or t is again one, on the line; a transposed factor is not."""
    direction = np.random.default_rng(seed).standard_normal(3)
    normal, mix, heavy = gaussian(seed, 3), mixture(seed, 3), student_t(seed, 3, df=2.0)

    def normal_law(mean, cov):
        return lambda x: normal_cdf((x - mean @ direction) / math.sqrt(direction @ cov @ direction))

    parts = [normal_law(m, c) for m, c in zip(mix.means, mix.covs)]
    width = math.sqrt(direction @ heavy.scale_matrix @ direction)

    def heavy_law(x):
        t = (x - heavy.loc @ direction) / width
        return 0.5 * (1 + t / np.sqrt(2 + t * t))

    for target, cdf in (
        (normal, normal_law(normal.mean, normal.cov)),
        (mix, lambda x: sum(w * part(x) for w, part in zip(mix.weights, parts))),
        (heavy, heavy_law),
    ):
        assert ks_statistic(target.sample(N, rng=seed) @ direction, cdf) < KS_LIMIT
    z = np.random.default_rng(seed).standard_normal((N, 3))
    wrong = normal.mean + z @ np.linalg.cholesky(normal.cov)  # L in the place of Lᵀ
    assert ks_statistic(wrong @ direction, normal_law(normal.mean, normal.cov)) > KS_LIMIT


def standard_errors(x, mean, cov):
    """The largest deviation of the sample mean and of the sample covariance, in standard errors."""
    products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
    of_mean = np.abs(x.mean(axis=0) - mean) / np.sqrt(np.diag(cov) / len(x))
    scatter = products.std(axis=0)
    off = np.abs(products.mean(axis=0) - cov)[scatter > 0] / (scatter[scatter > 0] / math.sqrt(len(x)))
    return max(of_mean.max(), off.max())


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("StudentT")])
def test_mean_and_covariance_of_samples(name):
    """Within 4.5 standard errors; 10 % too wide is not."""
    target = ALL[name]
    x = target.sample(N, rng=3)
    assert standard_errors(x, target.mean, target.cov) < 4.5
    assert standard_errors(target.mean + 1.1 * (x - target.mean), target.mean, target.cov) > 4.5


@pytest.mark.parametrize("name", SMOOTH)
def test_stein_identity_joins_samples_and_score(name):
    """E s(x)ᵀx = −d, within 4.5 standard errors, for samples and score of the same density (not of another)."""
    target = SMOOTH[name]
    x = target.sample(N, rng=4)
    for samples, right in ((x, True), (target.sample(1, rng=0) + 1.1 * (x - x.mean(axis=0)), False)):
        value = (target.score(samples) * samples).sum(axis=1) + target.d
        assert (abs(value.mean()) < 4.5 * value.std() / math.sqrt(N)) == right


@pytest.mark.parametrize("name", ALL)
def test_a_seed_fixes_the_samples_and_a_generator_moves_on(name):
    target, rng = ALL[name], np.random.default_rng(5)
    first, second = target.sample(6, rng=rng), target.sample(6, rng=rng)
    assert first.shape == (6, target.d) and first.dtype == np.float64
    np.testing.assert_array_equal(first, target.sample(6, rng=5))
    assert not np.array_equal(first, second)


def test_small_degrees_of_freedom_reach_the_end_of_the_float_range_without_nan():
    """df = 0.05: u = χ² underflows in one of 10⁷ draws or, at 0.005, in one of six; its logarithm does not."""
    x = StudentT([0.0, 0.0], np.eye(2), 0.005).sample(2000, rng=0)
    assert not np.isnan(x).any()
    # P(|t| > T) ≈ c T^{−ν}: the law of log|x| is exponential with mean 1/ν = 200 where x is finite.
    finite = np.isfinite(x[:, 0])
    tail = math.exp(-0.005 * math.log(1e308))
    assert abs((~finite).mean() - tail) < 4.5 * math.sqrt(tail * (1 - tail) / 2000)
