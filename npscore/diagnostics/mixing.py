"""Have the chains mixed: split-R̂, and the effective sample size of a mean over all chains.

Neither has a unit, so each coordinate is divided by a power of two near its largest number (which rounds nothing), and
spreads are compared by their roots: no scale of the data overflows or vanishes when it is squared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._run.borders import Array, as_array
from .._run.scale import exponents, in_units

_BLOCK = 1 << 20  # numbers in one temporary


def split_rhat(trajectory: Any) -> Array:
    """Split-R̂ of each coordinate: how much wider the pooled chains are than a chain on its own; 1 is mixed.

    ``trajectory`` (t, n_chains, d), t ≥ 4, as ``langevin(..., record_every=k).trajectory``; returns (d,).
    Every chain is cut into halves (the middle draw of an odd t is left out), which also exposes a drift
    common to all chains. With m half-chains of h draws, W the mean of their variances (divisor h−1) and B/h
    the variance of their means (divisor m−1),

        R̂ = √( ((h−1)/h · W + B/h) / W ).

    The classical form, not rank-normalised: it needs a finite variance. Where no chain moves at all, W = 0
    and nothing has been shown to mix: R̂ = inf. The same at any scale of the data. Returned in float64.

    Raises TypeError or ValueError for a wrong argument, such as NaN rows of diverged chains: leave those out.
    Source: Gelman et al. (2013), "Bayesian Data Analysis", 3rd ed., section 11.4; Vehtari et al. (2021),
    "Rank-normalization, folding, and localization", Bayesian Analysis 16(2), eq. 1-4.
    """
    with np.errstate(under="ignore", over="ignore"):
        return _rhat(*_means_and_deviations(_split(trajectory)))  # eq-9.5


def effective_sample_size(trajectory: Any) -> Array:
    """How many independent draws the mean over all chains is worth, for each coordinate.

    ``trajectory`` (t, n_chains, d), t ≥ 4; returns (d,). With m half-chains of h draws as in ``split_rhat``,
    γ_l their mean autocovariance at lag l (divisor h) and V = (h−1)/h · W + B/h,

        ρ_l = 1 − (W − h/(h−1) γ_l) / V,    τ = −1 + 2 Σ_k P_k,    ESS = m h / τ,

    where P_k = ρ_2k + ρ_2k+1 is summed while positive and made non-increasing (Geyer's initial monotone
    sequence). So unmixed chains count little, and antithetic ones may exceed the number of draws, up to
    m h log10(m h). Where no chain moves at all each counts as one draw: ESS = n_chains. The same at any
    scale of the data. Returned in float64; the autocovariances come by FFT, in blocks of chains.

    Raises TypeError or ValueError for a wrong argument.
    Source: Vehtari et al. (2021), eq. 10-13, on the draws themselves; Geyer (1992), "Practical Markov chain
    Monte Carlo", Statistical Science 7(4), section 3.3.
    """
    with np.errstate(under="ignore", over="ignore"):  # V/W = inf: then every ρ is 1
        means, deviations = _means_and_deviations(_split(trajectory))  # (m, d), (h, m, d)
        h, m, _ = deviations.shape
        ratio = _rhat(means, deviations) ** 2  # (d,)  V/W
        rho = 1.0 - (1.0 - _mean_autocorrelation(deviations)) / ratio  # (h, d)
    pairs = rho[: h - 1 : 2] + rho[1::2]  # (h // 2, d)
    positive = np.logical_and.accumulate(pairs > 0, axis=0)  # (h // 2, d)
    monotone = np.minimum.accumulate(pairs, axis=0)  # (h // 2, d)
    tau = 2.0 * np.sum(monotone, axis=0, where=positive) - 1.0  # (d,)
    size = m * h / np.maximum(tau, 1.0 / np.log10(m * h))  # eq-9.6
    return np.where(_moves(deviations), size, m / 2)


def _split(trajectory: Any) -> Array:
    """First and last halves of every chain side by side, (t // 2, 2 n_chains, d), in float64.

    Each coordinate is in units of a power of two just above its largest number.
    """
    trajectory = as_array(trajectory, "trajectory")
    if trajectory.ndim != 3 or trajectory.shape[0] < 4 or 0 in trajectory.shape:
        raise ValueError(
            f"trajectory must have shape (t, n_chains, d) with t >= 4, got shape {trajectory.shape}"
        )
    half = len(trajectory) // 2
    halves = np.concatenate([trajectory[:half], trajectory[-half:]], axis=1)  # (h, m, d), a copy
    halves = in_units(halves, exponents(trajectory, axis=(0, 1)))  # within [-1, 1]
    return halves.astype(np.float64, copy=False)


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
