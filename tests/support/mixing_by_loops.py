"""What says whether chains have mixed, by plain loops draw by draw, and chains to try it on."""

import numpy as np
import pytest
from scipy.special import ndtri

from npscore import diagnostics
from npscore.diagnostics import effective_sample_size, split_rhat


def trajectory(seed, t, n_chains, d):
    """Correlated chains with means of their own, so that every term of the formulas counts."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((t + 2, n_chains, d))
    return noise[2:] + 0.8 * noise[1:-1] + 0.5 * noise[:-2] + 0.3 * rng.standard_normal((n_chains, d))


def halves(x):
    """One coordinate's half-chains, (2 n_chains, t // 2), for x (t, n_chains)."""
    h = len(x) // 2
    return np.array([half for chain in x.T for half in (chain[:h], chain[len(chain) - h :])])


def variances(chains):
    """W and V of chains (m, h), summed draw by draw."""
    m, h = chains.shape
    means = [sum(chain) / h for chain in chains]
    within = sum(sum((v - a) ** 2 for v in chain) / (h - 1) for chain, a in zip(chains, means)) / m
    between = h * sum((a - sum(means) / m) ** 2 for a in means) / (m - 1)
    return within, (h - 1) / h * within + between / h


def rhat_by_loops(x):
    within, pooled = variances(halves(x))
    return np.sqrt(pooled / within)  # eq-9.5


def ess_of_halves(chains):
    """Pair by pair, as ArviZ has it: the pair where the sum is cut counts with its even lag only."""
    m, h = chains.shape
    within, pooled = variances(chains)
    rho = [1.0]
    for lag in range(1, h):
        products = [
            sum((c[i] - c.mean()) * (c[i + lag] - c.mean()) for i in range(h - lag)) / h for c in chains
        ]
        rho.append(1 - (within - sum(products) / m) / pooled)
    k, tau, least = 0, -1.0, np.inf
    while rho[2 * k] + rho[2 * k + 1] > 0 and 2 * k + 1 < h - 3:
        least = min(least, rho[2 * k] + rho[2 * k + 1])
        tau += 2 * least
        k += 1
    if rho[2 * k] > 0 or rho[2 * k] + rho[2 * k + 1] >= 0:
        tau += rho[2 * k]
    return m * h / max(tau, 1 / np.log10(m * h))  # eq-9.6


def ess_by_loops(x):
    return ess_of_halves(halves(x))


def scores_by_loops(chains):
    """Normal scores, each rank counted out: draws below, and half of those that are equal."""
    flat = chains.ravel()
    ranks = [sum(flat < v) + (sum(flat == v) + 1) / 2 for v in flat]
    return ndtri((np.array(ranks) - 3 / 8) / (len(flat) + 1 / 4)).reshape(chains.shape)  # eq-9.18


def bulk_by_loops(x):
    return ess_of_halves(scores_by_loops(halves(x)))


def tail_by_loops(x):
    sizes = []
    for probability in (0.05, 0.95):
        share = halves((x <= np.quantile(x, probability)).astype(float))
        sizes.append(ess_of_halves(share) if np.ptp(share) else share.size)
    return min(sizes)


def rank_rhat_by_loops(x):
    chains = halves(x)
    found = []
    for values in (chains, abs(chains - np.median(chains))):
        within, pooled = variances(scores_by_loops(values))
        found.append(np.sqrt(pooled / within))
    return max(found)  # eq-9.18


def mcse_by_loops(x):
    return x.std(ddof=1) / np.sqrt(ess_by_loops(x))  # eq-9.19


BY_LOOPS = {
    "split_rhat": (split_rhat, rhat_by_loops),
    "rank_rhat": (diagnostics.rank_rhat, rank_rhat_by_loops),
    "mean": (effective_sample_size, ess_by_loops),
    "bulk": (lambda x: effective_sample_size(x, "bulk"), bulk_by_loops),
    "tail": (lambda x: effective_sample_size(x, kind="tail"), tail_by_loops),
    "mcse": (diagnostics.mcse, mcse_by_loops),
}
every_measure = pytest.mark.parametrize("name", BY_LOOPS)


def autoregression(phi, t, n_chains, seed):
    """Stationary AR(1) chains, (t, n_chains, 1): x' = φ x + z, autocorrelation φˡ, so τ = (1 + φ)/(1 − φ)."""
    z = np.random.default_rng(seed).standard_normal((t, n_chains, 1))
    z[0] /= np.sqrt(1 - phi**2)
    for k in range(1, t):
        z[k] += phi * z[k - 1]
    return z
