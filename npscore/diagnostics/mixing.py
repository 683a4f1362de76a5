"""Have the chains mixed: R̂, effective sample sizes, and the Monte Carlo standard error of a mean over all chains.

All of them are those of ArviZ (arviz-stats 0.8), to rounding, where the data are of order one.

Neither has a unit, so each coordinate is divided by a power of two near its largest number (which rounds nothing), and
spreads are compared by their roots: no scale of the data overflows or vanishes when it is squared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._run.borders import Array, as_array, as_choice
from .._run.scale import exponents, in_units, within_range
from .ranks import below, folded, normal_scores

_BLOCK = 1 << 20  # numbers in one temporary


def split_rhat(trajectory: Any) -> Array:
    """Split-R̂ of each coordinate: how much wider the pooled chains are than a chain on its own; 1 is mixed.

    ``trajectory`` (t, n_chains, d), t ≥ 4, as ``langevin(..., record_every=k).trajectory``; returns (d,).
    Every chain is cut into halves (the middle draw of an odd t is left out), which also exposes a drift
    common to all chains. With m half-chains of h draws, W the mean of their variances (divisor h−1) and B/h
    the variance of their means (divisor m−1),

        R̂ = √( ((h−1)/h · W + B/h) / W ).

    The classical form, not rank-normalised (`rank_rhat`): it needs a finite variance. Where no chain moves at
    all, W = 0 and nothing has been shown to mix: R̂ = inf. The same at any scale of the data. Returned in float64.

    Raises TypeError or ValueError for a wrong argument, such as NaN rows of diverged chains: leave those out.
    Source: Gelman et al. (2013), "Bayesian Data Analysis", 3rd ed., section 11.4; Vehtari et al. (2021),
    "Rank-normalization, folding, and localization", Bayesian Analysis 16(2), eq. 1-4.
    """
    with np.errstate(under="ignore", over="ignore"):
        return _rhat(*_means_and_deviations(_halves(_in_own_units(as_trajectory(trajectory)))))  # eq-9.5


def rank_rhat(trajectory: Any) -> Array:
    """Rank-normalised R̂ of each coordinate, which needs no variance: the larger of the two below; 1 is mixed.

    ``trajectory`` (t, n_chains, d), t ≥ 4; returns (d,). Draws are replaced by normal scores, Φ⁻¹((r − 3/8)/(N + 1/4))
    with r their ranks among all N of them: ``split_rhat`` of these sees chains that differ in location, and that of the
    normal scores of |x − median| chains that differ in scale. At most 1.01 is what the source asks for.

    Raises TypeError or ValueError for a wrong argument. Needs SciPy.
    Source: Vehtari et al. (2021), section 4.1.
    """
    halves = _halves(_in_own_units(as_trajectory(trajectory)))  # (h, m, d)
    with np.errstate(under="ignore", over="ignore"):
        bulk = _rhat(*_means_and_deviations(normal_scores(halves)))  # eq-9.18
        distances = folded(halves)
        tail = _rhat(*_means_and_deviations(normal_scores(distances)))  # eq-9.18
    says_nothing = np.ptp(distances, axis=(0, 1)) == 0  # two values, as far from the median each
    return np.where(says_nothing, bulk, np.maximum(bulk, tail))


def effective_sample_size(trajectory: Any, kind: str = "mean") -> Array:
    """How many independent draws all chains are worth, for each coordinate.

    ``trajectory`` (t, n_chains, d), t ≥ 4; returns (d,). With m half-chains of h draws as in ``split_rhat``,
    γ_l their mean autocovariance at lag l (divisor h) and V = (h−1)/h · W + B/h,

        ρ_0 = 1,  ρ_l = 1 − (W − γ_l) / V,    τ = −1 + 2 Σ_{k<K} P_k + ρ_2K,    ESS = m h / τ,

    where K is the first k at which P_k = ρ_2k + ρ_2k+1 is not positive, at most (h − 3)/2, the P_k are made
    non-increasing (Geyer's initial monotone sequence), and ρ_2K counts if it is positive or P_K is not negative. So
    unmixed chains count little, and antithetic ones may exceed the number of draws, up to m h log10(m h).

    ``kind``: "mean" is for the mean of the draws as they are; "bulk" for their normal scores (as in ``rank_rhat``),
    which have a variance in any case; "tail" is the smaller of those for the shares of draws below the 5 % and the
    95 % quantile of all draws. Where no chain moves at all each counts as one draw: ESS = n_chains. The same at any
    scale of the data. Returned in float64; the autocovariances come by FFT, in blocks of chains.

    Raises TypeError or ValueError for a wrong argument. "bulk" needs SciPy.
    Source: Vehtari et al. (2021), eq. 10-13 and section 4.3, as ArviZ has them; Geyer (1992), "Practical Markov chain
    Monte Carlo", Statistical Science 7(4), section 3.3.
    """
    as_choice(kind, "kind", ("mean", "bulk", "tail"))
    draws = _in_own_units(as_trajectory(trajectory))  # (t, n_chains, d)
    if kind == "mean":
        return _sample_size(_halves(draws))
    if kind == "bulk":
        return _sample_size(normal_scores(_halves(draws)))
    sizes = [_tail_size(draws, probability) for probability in (0.05, 0.95)]
    moves = (np.diff(draws, axis=0) != 0).any(axis=(0, 1))  # (d,)
    return np.where(moves, np.minimum(*sizes), draws.shape[1])


def mcse(trajectory: Any) -> Array:
    """The Monte Carlo standard error of the mean over all draws of each coordinate: sd/√ESS.

    ``trajectory`` (t, n_chains, d), t ≥ 4; returns (d,). The standard deviation is that of all draws together (divisor
    one less than their number), the ESS that of the mean.

    Raises TypeError or ValueError for a wrong argument, and where the error is beyond the largest float.
    Source: Vehtari et al. (2021), section 4.4; Geyer (1992).
    """
    values = as_trajectory(trajectory)
    draws, exponent = _in_own_units(values), exponents(values, axis=(0, 1))  # (t, n_chains, d), (d,)
    with np.errstate(under="ignore", over="ignore"):
        draws = draws.reshape(-1, 1, draws.shape[2]).copy()  # (N, 1, d)
        _, deviations = _means_and_deviations(draws)
        sd = _root_of_squares(deviations, (0, 1)) / np.sqrt(len(draws) - 1)  # (d,)
    error = sd / np.sqrt(_sample_size(_halves(_in_own_units(values))))  # eq-9.19
    with within_range("trajectory", "the standard error"), np.errstate(under="ignore"):
        return np.ldexp(error, exponent)


def _sample_size(chains: Array) -> Array:
    """ESS of half-chains (h, m, d), which are written over; (d,)."""
    with np.errstate(under="ignore", over="ignore"):  # V/W = inf: then every ρ is 1
        means, deviations = _means_and_deviations(chains)  # (m, d), (h, m, d)
        h, m = deviations.shape[:2]
        ratio = _rhat(means, deviations) ** 2  # (d,)  V/W
        rho = 1.0 - (1.0 - (h - 1) / h * _mean_autocorrelation(deviations)) / ratio  # (h, d)
    rho[0] = 1.0
    size = m * h / np.maximum(_autocorrelation_time(rho), 1.0 / np.log10(m * h))  # eq-9.6
    return np.where(_moves(deviations), size, m / 2)


def _autocorrelation_time(rho: Array) -> Array:
    """τ of autocorrelations ρ (h, d), cut as the docstring of ``effective_sample_size`` says; (d,)."""
    pairs = rho[:-1:2] + rho[1::2]  # (h // 2, d)
    pairs = pairs[: max(0, (len(rho) - 3) // 2) + 1]  # (k, d): of the last no more than its even lag counts
    positive = np.logical_and.accumulate(pairs > 0, axis=0)  # (k, d)
    cut = np.minimum(positive.sum(axis=0), len(pairs) - 1)  # (d,)  K
    before = np.arange(len(pairs))[:, None] < cut  # (k, d)
    monotone = np.minimum.accumulate(pairs, axis=0)  # (k, d)
    columns = np.arange(rho.shape[1])
    even = rho[2 * cut, columns]  # (d,)  ρ_2K
    even = np.where((even > 0) | (pairs[cut, columns] >= 0), even, 0.0)
    return 2.0 * np.sum(monotone, axis=0, where=before) - 1.0 + even  # eq-9.6


def _tail_size(draws: Array, probability: float) -> Array:
    """ESS of the share of draws below a quantile of all draws; a share that is all or nothing is exact: (d,)."""
    shares = below(draws, probability)  # (t, n_chains, d)
    halves = _halves(shares)
    constant = np.ptp(halves, axis=(0, 1)) == 0  # (d,)
    return np.where(constant, halves[:, :, 0].size, _sample_size(halves))


def as_trajectory(trajectory: Any) -> Array:
    """A checked array (t, n_chains, d) with t ≥ 4."""
    trajectory = as_array(trajectory, "trajectory")
    if trajectory.ndim != 3 or trajectory.shape[0] < 4 or 0 in trajectory.shape:
        raise ValueError(
            f"trajectory must have shape (t, n_chains, d) with t >= 4, got shape {trajectory.shape}"
        )
    return trajectory


def _in_own_units(trajectory: Array) -> Array:
    """Each coordinate in units of a power of two just above its largest number, in float64: within [-1, 1]."""
    return in_units(trajectory, exponents(trajectory, axis=(0, 1))).astype(np.float64, copy=False)


def _halves(draws: Array) -> Array:
    """First and last halves of every chain side by side, (t // 2, 2 n_chains, d), a copy."""
    half = len(draws) // 2
    return np.concatenate([draws[:half], draws[-half:]], axis=1)


def _means_and_deviations(chains: Array) -> tuple[Array, Array]:
    """The means of the half-chains, (m, d), and the draws minus the mean of their half-chain, (h, m, d).

    ``chains`` becomes the deviations. The first draw is subtracted first: then a chain that stands still has
    deviations of exactly 0, and one that moves little keeps the digits of its moves.
    """
    start = chains[0].copy()  # (m, d)
    chains -= start
    shift = chains.mean(axis=0)  # (m, d)
    chains -= shift
    return start + shift, chains


def _moves(deviations: Array) -> Array:
    """Which coordinates have a chain that moves at all, (d,)."""
    return deviations.any(axis=(0, 1))


def _rhat(means: Array, deviations: Array) -> Array:
    """√(V/W) as the hypotenuse of √((h−1)/h) and √(B/h)/√W, which overflows at no ratio of the two; (d,)."""
    h, m, _ = deviations.shape
    within = _root_of_squares(deviations, (0, 1)) / np.sqrt(m * (h - 1))  # (d,)  √W
    between = _root_of_squares(means - means.mean(axis=0), 0) / np.sqrt(m - 1)  # (d,)  √(B/h)
    ratio = np.divide(between, within, out=np.full_like(within, np.inf), where=within > 0)
    return np.hypot(np.sqrt((h - 1) / h), ratio)  # eq-9.5


def _root_of_squares(x: Array, axis: Any) -> Array:
    """√(Σ x²) along ``axis``, with squares of x in units of its own largest number."""
    exponent = exponents(x, axis=axis)  # (d,)
    unit = in_units(x, exponent)
    unit *= unit
    return np.ldexp(np.sqrt(unit.sum(axis=axis)), exponent)


def _mean_autocorrelation(deviations: Array) -> Array:
    """h/(h−1) γ_l / W lag by lag, (h, d): Σᵢ (xᵢ − x̄)(xᵢ₊ₗ − x̄), summed over the chains, over its value at lag 0.

    The power spectrum of a chain padded with zeros is the transform of its autocovariance; both being linear
    in it, the sum is taken over spectra, and only one inverse transform is needed. Where nothing moves: 0.
    """
    h, m, d = deviations.shape
    exponent = exponents(deviations, axis=(0, 1))  # (d,)
    size = 1 << (2 * h - 1).bit_length()  # no wrap-around
    power = np.zeros((d, size // 2 + 1))
    some = max(1, _BLOCK // (size * d))
    for start in range(0, m, some):
        block = in_units(deviations[:, start : start + some], exponent)  # (h, b, d)
        block = np.moveaxis(block, 0, -1)  # (b, d, h)
        spectrum = np.fft.rfft(block, size)  # (b, d, size // 2 + 1)
        power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    covariance = np.fft.irfft(power, size)[:, :h].T  # (h, d)
    return covariance / np.where(_moves(deviations), covariance[0], 1.0)
