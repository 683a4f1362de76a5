"""Is it a good fit; have the chains mixed: distances between samples, and R-hat and effective sample size."""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np

from .._run.borders import Array, as_array, as_batch, as_count, as_flag, as_number, as_rng

_BLOCK = 1 << 16  # numbers in one temporary: small enough for the cache, large enough for NumPy


# How far apart are two samples ------------------------------------------------------------------------


def energy_distance(x: Any, y: Any, *, unbiased: bool = False) -> float:
    """Squared energy distance 2 E|X−Y| − E|X−X'| − E|Y−Y'| between two samples.

    ``x`` (n, d), ``y`` (m, d), Euclidean |·|. By default the V-statistic: every mean runs over all pairs, a
    point with itself included, so it is the exact distance of the two empirical laws, ≥ 0, and 0 for the
    same sample in any order. For samples of one law it is therefore not 0 on average but
    (1/n + 1/m) E|X−X'|: two values compare only at equal sizes. ``unbiased=True`` leaves the pairs of a point
    with itself out (the U-statistic, n, m ≥ 2): 0 on average for samples of one law, of any sizes, and so
    below 0 about half the time. Not the square root, which ``scipy.stats.energy_distance`` returns. The unit
    is that of the data.

    Distances are taken from differences, in float64 or longdouble, in blocks: O(nmd) time (in one dimension
    O(n log n) through 2 ∫ (F−G)²), O(n + m) memory. Raises TypeError or ValueError for a wrong argument.
    Source: Székely & Rizzo (2013), "Energy statistics: a class of statistics based on distances", J. Stat.
    Plan. Inference 143(8), eq. 1.1 and 6.1 without its factor nm/(n+m).
    """
    x, y = _two_samples(x, y)  # (n, d), (m, d)
    if as_flag(unbiased, "unbiased"):
        return _unbiased_energy_distance(x, y)
    if x.shape[1] == 1:
        return _energy_distance_1d(x[:, 0], y[:, 0])
    distance = 2.0 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y)  # eq-9.3
    return max(float(distance), 0.0)  # below 0 by rounding only


def sliced_wasserstein(
    x: Any,
    y: Any,
    *,
    p: float = 2.0,
    n_projections: int = 200,
    projections: Optional[Any] = None,
    rng: Any = None,
) -> float:
    """Sliced p-Wasserstein distance: the p-th mean, over directions θ, of W_p between the samples' shadows.

    SW_p = (mean_θ W_pᵖ(x·θ, y·θ))^(1/p), W_pᵖ = ∫₀¹ |F⁻¹(u) − G⁻¹(u)|ᵖ du with the two empirical quantile
    functions: exact for the given directions, for any sizes n and m. ``x`` (n, d), ``y`` (m, d), ``p`` ≥ 1:
    W_2 unless said otherwise, W_1 at p=1. Directions: the rows of ``projections`` (k, d), scaled to unit
    length, or else ``n_projections`` uniform ones drawn from ``rng``. In one dimension there is one
    direction, and the result is the exact Wasserstein distance. The p-th root is taken: the unit is that of
    the data.

    Raises TypeError or ValueError for a wrong argument.
    Source: Rabin, Peyré, Delon & Bernot (2012), "Wasserstein barycenter and its application to texture
    mixing"; Bonneel et al. (2015), "Sliced and Radon Wasserstein barycenters of measures", J. Math. Imaging
    Vis. 51.
    """
    x, y = _two_samples(x, y)  # (n, d), (m, d)
    p = as_number(p, "p", at_least=1)
    directions = _directions(projections, n_projections, x.shape[1], rng).astype(x.dtype)  # (k, d)
    i, j, du = _quantile_pairs(len(x), len(y))
    total = 0.0
    for theta in directions:
        gap = np.abs(np.sort(x @ theta)[i] - np.sort(y @ theta)[j])  # (n_intervals,)
        total += du @ gap**p
    return float((total / len(directions)) ** (1.0 / p))  # eq-9.4


def _two_samples(x: Any, y: Any) -> tuple[Array, Array]:
    x = as_batch(x, "x")
    y = as_batch(y, "y", d=x.shape[1])
    dtype = np.result_type(x, y, np.float64)
    return x.astype(dtype, copy=False), y.astype(dtype, copy=False)


def _mean_distance(x: Array, y: Array) -> np.floating:
    """The mean of |xᵢ − yⱼ| over all pairs; |x|² + |y|² − 2x·y would lose half the digits of close pairs."""
    columns = np.ascontiguousarray(y.T)  # (d, m)
    rows = max(1, _BLOCK // len(y))
    total = x.dtype.type(0.0)
    for start in range(0, len(x), rows):
        block = x[start : start + rows]  # (b, d)
        squared = np.zeros((len(block), len(y)), x.dtype)  # (b, m)
        for k, column in enumerate(columns):
            difference = block[:, k, None] - column  # (b, m)
            difference *= difference
            squared += difference
        total += np.sqrt(squared).sum()
    return total / (len(x) * len(y))


def _unbiased_energy_distance(x: Array, y: Array) -> float:
    """The same, with E|X−X'| and E|Y−Y'| over the n(n−1) and m(m−1) pairs of different points."""
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"x and y must have at least two rows each for unbiased=True, got {n} and {m}")
    within = _mean_distance(x, x) * (n / (n - 1)) + _mean_distance(y, y) * (m / (m - 1))
    return float(2.0 * _mean_distance(x, y) - within)  # eq-9.3


def _energy_distance_1d(x: Array, y: Array) -> float:
    """2 ∫ (F − G)² with the two empirical distribution functions; x (n,), y (m,)."""
    pooled = np.sort(np.concatenate([x, y]))  # (n + m,)
    f = np.searchsorted(np.sort(x), pooled[:-1], side="right") / len(x)  # (n + m - 1,)
    g = np.searchsorted(np.sort(y), pooled[:-1], side="right") / len(y)  # (n + m - 1,)
    return float(2.0 * np.sum((f - g) ** 2 * np.diff(pooled)))  # eq-9.3


def _directions(projections: Any, n_projections: Any, d: int, rng: Any) -> Array:
    """Unit rows (k, d): the given ones scaled to length one, or uniform on the sphere."""
    n_projections, rng = as_count(n_projections, "n_projections"), as_rng(rng)
    if projections is not None:
        rows = as_batch(projections, "projections", d=d)
    elif d == 1:
        rows = np.ones((1, 1))
    else:
        rows = rng.standard_normal((n_projections, d))
    length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))  # (k, 1)
    if not (length > 0).all():
        raise ValueError(f"projections must have no zero row, got one at index {int(np.argmin(length))}")
    return rows / length


def _quantile_pairs(n: int, m: int) -> tuple[Array, Array, Array]:
    """The n + m − gcd(n, m) intervals of (0, 1) on which both quantile functions are constant.

    Sorted x has steps at i/n, sorted y at j/m. In units of 1/lcm(n, m) all of these are whole numbers, so
    the merge is exact. Returns, per interval, the index into sorted x, that into sorted y, and its length.
    """
    units = math.lcm(n, m)
    steps_x = np.arange(n + 1, dtype=np.int64) * (units // n)  # (n + 1,)
    steps_y = np.arange(m + 1, dtype=np.int64) * (units // m)  # (m + 1,)
    edges = np.union1d(steps_x, steps_y)  # (n_intervals + 1,)
    return edges[:-1] // (units // n), edges[:-1] // (units // m), np.diff(edges) / units


# Have the chains mixed ----------------------------------------------------------------------------------


def split_rhat(trajectory: Any) -> Array:
    """Split-R̂ of each coordinate: how much wider the pooled chains are than a chain on its own; 1 is mixed.

    ``trajectory`` (t, n_chains, d), t ≥ 4, as ``langevin(..., record_every=k).trajectory``; returns (d,).
    Every chain is cut into halves (the middle draw of an odd t is left out), which also exposes a drift
    common to all chains. With m half-chains of h draws, W the mean of their variances (divisor h−1) and B/h
    the variance of their means (divisor m−1),

        R̂ = √( ((h−1)/h · W + B/h) / W ).

    The classical form, not rank-normalised: it needs a finite variance. Where no chain moves at all, W = 0
    and nothing has been shown to mix: R̂ = inf. Computed and returned in float64.

    Raises TypeError or ValueError for a wrong argument, such as NaN rows of diverged chains: leave those out.
    Source: Gelman et al. (2013), "Bayesian Data Analysis", 3rd ed., section 11.4; Vehtari et al. (2021),
    "Rank-normalization, folding, and localization", Bayesian Analysis 16(2), eq. 1-4.
    """
    within, pooled = _variances(_split(trajectory))  # (d,), (d,)
    ratio = np.full_like(within, np.inf)
    return np.sqrt(np.divide(pooled, within, out=ratio, where=within > 0))  # eq-9.5


def effective_sample_size(trajectory: Any) -> Array:
    """How many independent draws the mean over all chains is worth, for each coordinate.

    ``trajectory`` (t, n_chains, d), t ≥ 4; returns (d,). With m half-chains of h draws as in ``split_rhat``,
    γ_l their mean autocovariance at lag l (divisor h) and V = (h−1)/h · W + B/h,

        ρ_l = 1 − (W − h/(h−1) γ_l) / V,    τ = −1 + 2 Σ_k P_k,    ESS = m h / τ,

    where P_k = ρ_2k + ρ_2k+1 is summed while positive and made non-increasing (Geyer's initial monotone
    sequence). So unmixed chains count little, and antithetic ones may exceed the number of draws, up to
    m h log10(m h). Where no chain moves at all each counts as one draw: ESS = n_chains. Computed and returned
    in float64; the autocovariances come by FFT, in blocks of chains.

    Raises TypeError or ValueError for a wrong argument.
    Source: Vehtari et al. (2021), eq. 10-13, on the draws themselves; Geyer (1992), "Practical Markov chain
    Monte Carlo", Statistical Science 7(4), section 3.3.
    """
    chains = _split(trajectory)  # (h, m, d)
    h, m, _ = chains.shape
    within, pooled = _variances(chains)  # (d,), (d,)
    moves = within > 0  # (d,)
    excess = within - _mean_autocovariance(chains) * (h / (h - 1))  # (h, d)
    rho = 1.0 - np.divide(excess, pooled, out=np.zeros_like(excess), where=moves)  # (h, d)
    pairs = rho[: h - 1 : 2] + rho[1::2]  # (h // 2, d)
    positive = np.logical_and.accumulate(pairs > 0, axis=0)  # (h // 2, d)
    monotone = np.minimum.accumulate(pairs, axis=0)  # (h // 2, d)
    tau = 2.0 * np.sum(monotone, axis=0, where=positive) - 1.0  # (d,)
    size = m * h / np.maximum(tau, 1.0 / np.log10(m * h))  # eq-9.6
    return np.where(moves, size, m / 2)


def _split(trajectory: Any) -> Array:
    """First and last halves of every chain side by side, (t // 2, 2 n_chains, d), in float64."""
    trajectory = as_array(trajectory, "trajectory")
    if trajectory.ndim != 3 or trajectory.shape[0] < 4 or 0 in trajectory.shape:
        raise ValueError(
            f"trajectory must have shape (t, n_chains, d) with t >= 4, got shape {trajectory.shape}"
        )
    half = len(trajectory) // 2
    return np.concatenate([trajectory[:half], trajectory[-half:]], axis=1).astype(np.float64, copy=False)


def _variances(chains: Array) -> tuple[Array, Array]:
    """W, the mean variance of the chains, exactly 0 where none moves, and V = (h−1)/h · W + B/h; (d,) each."""
    h = len(chains)
    moves = (chains != chains[0]).any(axis=(0, 1))  # (d,)
    within = np.where(moves, chains.var(axis=0, ddof=1).mean(axis=0), 0.0)
    return within, (h - 1) / h * within + chains.mean(axis=0).var(axis=0, ddof=1)


def _mean_autocovariance(chains: Array) -> Array:
    """Σᵢ (xᵢ − x̄)(xᵢ₊ₗ − x̄) / h averaged over the chains, lag by lag, (h, d).

    The power spectrum of a chain padded with zeros is the transform of its autocovariance; both being linear
    in it, the average is taken over spectra, and only one inverse transform is needed.
    """
    h, m, d = chains.shape
    size = 1 << (2 * h - 1).bit_length()  # no wrap-around
    power = np.zeros((d, size // 2 + 1))
    some = max(1, 16 * _BLOCK // (size * d))
    for start in range(0, m, some):
        block = np.moveaxis(chains[:, start : start + some], 0, -1)  # (b, d, h)
        spectrum = np.fft.rfft(block - block.mean(axis=-1, keepdims=True), size)  # (b, d, size // 2 + 1)
        power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    return np.fft.irfft(power / m, size)[:, :h].T / h
