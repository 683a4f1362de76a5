"""Split-R̂ and effective sample size: against plain loops, closed forms, and chains of known autocorrelation."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from support.strategies import gaussian_parameters, seeds

import npscore as ns
from npscore import diagnostics
from npscore.diagnostics import effective_sample_size, split_rhat

lengths = st.integers(4, 23)
counts = st.integers(1, 5)


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


# Both are their formulas ----------------------------------------------------------------------------------


@given(seeds, lengths, counts, counts)
def test_all_are_their_formulas_draw_by_draw(seed, t, n_chains, d):
    x = trajectory(seed, t, n_chains, d)
    for measure, by_loops in BY_LOOPS.values():
        expected = [by_loops(c) for c in x.transpose(2, 0, 1)]
        if np.isfinite(expected).all():  # a share that no half-chain changes has a W of 0
            np.testing.assert_allclose(measure(x), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_all_are_arvizs_on_rounded_draws_by_loops(seed):
    """Ties share the mean of their ranks."""
    x = np.round(trajectory(seed, 21, 3, 1), 0)
    for measure, by_loops in BY_LOOPS.values():
        np.testing.assert_allclose(measure(x), [by_loops(x[:, :, 0])], rtol=1e-9)


@every_measure
@pytest.mark.parametrize("kind", ["correlated", "antithetic", "sticky", "rounded", "apart"])
def test_all_are_arvizs(name, kind):
    """arviz-stats 0.8 on 60 runs of 4 to 59 draws, to 1e-12 where a half-chain moves at all."""
    theirs = pytest.importorskip("arviz_stats.base").array_stats
    rng, phi = np.random.default_rng(7), {"antithetic": -0.8, "sticky": 0.99}.get(kind, 0.5)
    axes = {"chain_axis": 0, "draw_axis": 1}
    their = {
        "split_rhat": lambda x: theirs.rhat(x, method="split", **axes),
        "rank_rhat": lambda x: theirs.rhat(x, method="rank", **axes),
        "mean": lambda x: theirs.ess(x, method="mean", **axes),
        "bulk": lambda x: theirs.ess(x, method="bulk", **axes),
        "tail": lambda x: theirs.ess(x, method="tail", prob=(0.05, 0.95), **axes),
        "mcse": lambda x: theirs.mcse(x, method="mean", **axes),
    }[name]
    compared = 0
    for _ in range(60):
        t, m = int(rng.integers(4, 60)), int(rng.integers(2, 6))
        x = autoregression(phi, t, m, rng.integers(2**32))[:, :, 0] + 2 * (
            kind == "apart"
        ) * rng.standard_normal(m)
        x = np.round(x) if kind == "rounded" else x
        shares = [(x <= np.quantile(x, q)).astype(float) for q in (0.05, 0.95)]
        looked_at = shares if name == "tail" else [abs(x - np.median(halves(x))), x]
        if any(np.ptp(halves(v)) and not np.ptp(halves(v), axis=1).any() for v in looked_at) or not np.ptp(x):
            continue  # each half-chain stands still
        np.testing.assert_allclose(BY_LOOPS[name][0](x[:, :, None]), their(x.T), rtol=1e-12)
        compared += 1
    assert compared > 40


@given(seeds, lengths, counts)
def test_units_origin_and_the_order_of_the_chains_do_not_matter(seed, t, n_chains):
    x, rng = trajectory(seed, t, n_chains, 2), np.random.default_rng(seed)
    for measure in (split_rhat, effective_sample_size):
        expected = measure(x)
        np.testing.assert_allclose(measure(5 - 300 * x), expected, rtol=1e-9)
        np.testing.assert_allclose(measure(x[:, rng.permutation(n_chains)]), expected, rtol=1e-9)
        np.testing.assert_allclose(measure(x[:, :, ::-1]), expected[::-1], rtol=1e-12)
        np.testing.assert_allclose(measure(x[::-1]), expected, rtol=1e-9)  # and neither does time's arrow


def test_ranks_do_not_know_units_or_the_order_of_the_chains():
    """In units of a power of two, in which |x − median| is rounded as before: two draws are as far from it each."""
    x, rng = trajectory(0, 30, 4, 2), np.random.default_rng(0)
    for measure in (diagnostics.rank_rhat, BY_LOOPS["bulk"][0], BY_LOOPS["tail"][0]):
        expected = measure(x)
        for exponent in (-1000, -30, 900):
            np.testing.assert_array_equal(measure(np.ldexp(x, exponent)), expected)
        np.testing.assert_allclose(measure(x[:, rng.permutation(4)]), expected, rtol=1e-12)
        np.testing.assert_allclose(measure(x[::-1]), expected, rtol=1e-12)
        np.testing.assert_allclose(measure(-x[:, :, ::-1]), expected[::-1], rtol=1e-12)
    np.testing.assert_allclose(
        np.ldexp(diagnostics.mcse(np.ldexp(x, -900)), 900), diagnostics.mcse(x), rtol=1e-13
    )


def test_the_size_of_the_blocks_of_chains_does_not_matter(monkeypatch):
    x = trajectory(0, 40, 37, 3)
    expected = effective_sample_size(x)
    monkeypatch.setattr(diagnostics.mixing, "_BLOCK", 320)
    np.testing.assert_allclose(effective_sample_size(x), expected, rtol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_rhat_of_four_equal_half_chains_two_of_them_shifted(shift):
    draws = np.tile([0.0, 1.0], 4)  # halves 0, 1, 0, 1: variance 1/3; their means vary by shift²/3
    x = np.stack([draws, draws + shift], axis=1)[:, :, None]  # (8, 2, 1)
    np.testing.assert_allclose(split_rhat(x), np.sqrt(3 / 4 + shift**2), rtol=1e-14)


def test_the_middle_draw_of_an_odd_number_is_left_out():
    x = trajectory(0, 9, 3, 2)
    without = np.delete(x, 4, axis=0)
    np.testing.assert_array_equal(split_rhat(x), split_rhat(without))
    np.testing.assert_array_equal(effective_sample_size(x), effective_sample_size(without))


# What they are for ----------------------------------------------------------------------------------------


def test_rhat_is_one_for_independent_draws_and_not_for_chains_that_differ_or_drift():
    draws = np.random.default_rng(0).standard_normal((400, 6, 1))
    apart = draws + np.array([0.0, 0, 0, 4, 4, 4])[:, None]
    drifting = draws + np.linspace(-2, 2, 400)[:, None, None]  # alike at all times: only the split sees it
    assert split_rhat(draws)[0] < 1.01
    assert split_rhat(apart)[0] > 2
    assert split_rhat(drifting)[0] > 1.3
    unsplit = [variances(x[:, :, 0].T) for x in (apart, drifting)]
    assert np.sqrt(unsplit[0][1] / unsplit[0][0]) > 2 and np.sqrt(unsplit[1][1] / unsplit[1][0]) < 1.01
    assert effective_sample_size(apart)[0] < 12 and effective_sample_size(drifting)[0] < 60


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.3])
def test_the_effective_sample_size_of_an_autoregression(phi):
    """Over 20 seeds the mean of ESS (1 + φ)/(1 − φ) / draws is 1 within 4 standard errors and 2 % of bias."""
    t, n_chains, seeds = 1000, 40, 20
    ratios = np.array(
        [effective_sample_size(autoregression(phi, t, n_chains, s))[0] / (t * n_chains) for s in range(seeds)]
    )
    ratios *= (1 + phi) / (1 - phi)
    standard_error = ratios.std(ddof=1) / np.sqrt(seeds)
    assert standard_error < 0.02
    assert abs(ratios.mean() - 1) < 4 * standard_error + 0.02


def test_langevin_on_a_gaussian_mixes_as_fast_as_its_step_says():
    """Along an eigenvector of Σ a chain is an AR(1) with φ = 1 − α/λ, so ESS / draws = α/λ / (2 − α/λ)."""
    mean, cov = gaussian_parameters(3, 2)
    eigenvalues, u = np.linalg.eigh(cov)
    p, step = ns.targets.Gaussian(mean, cov), 0.3 * eigenvalues[0]
    x0 = p.sample(50, rng=0)
    x = ns.langevin(p.score, x0, step, 2000, rng=1, burn_in=100, record_every=1).trajectory @ u
    expected = 1900 * 50 * (step / eigenvalues) / (2 - step / eigenvalues)
    np.testing.assert_allclose(effective_sample_size(x), expected, rtol=0.1)
    assert (split_rhat(x) < 1.02).all()


def test_draws_that_cancel_count_for_more_up_to_the_cap():
    x = np.tile([1.0, -1.0], 50)[:, None, None]
    np.testing.assert_allclose(effective_sample_size(x), 100 * np.log10(100), rtol=1e-12)


def test_chains_that_never_move_have_not_mixed_and_count_one_draw_each():
    stuck = np.full((20, 3, 2), 0.1)
    stuck[:, :, 1] = [0.1, 0.7, 1e3]  # one coordinate all alike, one not; means of 0.1 are not exactly 0.1
    np.testing.assert_array_equal(split_rhat(stuck), [np.inf, np.inf])
    np.testing.assert_array_equal(effective_sample_size(stuck), [3.0, 3.0])
    one_moves = np.concatenate([stuck[:, :, :1], trajectory(0, 20, 3, 1)], axis=2)
    assert np.isinf(split_rhat(one_moves)).tolist() == [True, False]


def test_one_chain_that_moves_among_others_that_do_not_has_a_finite_answer():
    x = np.zeros((10, 3, 1))
    x[:, 0] = trajectory(0, 10, 1, 1)[:, 0]
    np.testing.assert_allclose(split_rhat(x), rhat_by_loops(x[:, :, 0]), rtol=1e-12)
    np.testing.assert_allclose(effective_sample_size(x), ess_by_loops(x[:, :, 0]), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.longdouble, np.int64])
def test_any_real_type_is_measured_in_float64_and_left_alone(dtype):
    x = (100 * trajectory(0, 12, 3, 2)).astype(dtype)
    x.flags.writeable = False
    for measure in (split_rhat, effective_sample_size):
        assert measure(x).dtype == np.float64
        np.testing.assert_array_equal(measure(x), measure(x.astype(np.float64)))


def test_rank_rhat_sees_chains_that_differ_in_scale_and_needs_no_variance():
    draws = np.random.default_rng(0).standard_cauchy((400, 6, 1))
    wide = np.random.default_rng(1).standard_normal((400, 6, 1)) * np.array([1.0, 1, 1, 3, 3, 3])[:, None]
    assert (
        diagnostics.rank_rhat(draws)[0] < 1.01 and diagnostics.rank_rhat(wide)[0] > 1.1 > split_rhat(wide)[0]
    )
    monotone = np.exp(3 * draws.clip(-50, 50))
    np.testing.assert_allclose(
        effective_sample_size(monotone, "bulk"),
        effective_sample_size(draws.clip(-50, 50), "bulk"),
        rtol=1e-12,
    )
    drawn = effective_sample_size(draws, "bulk")[0], effective_sample_size(draws, "tail")[0]
    assert all(1800 < size < 3000 for size in drawn)


def test_a_tail_that_chains_enter_seldom_and_for_long_is_worth_less_than_the_bulk():
    """Every 400 steps each chain goes far out for 20: one draw in twenty, on ten visits by each of four chains."""
    x = np.random.default_rng(2).standard_normal((4000, 4, 1))
    for k in range(20):
        x[k::400] += 8.0
    tail, bulk = (effective_sample_size(x, kind)[0] for kind in ("tail", "bulk"))
    assert tail < 0.4 * bulk and tail < 2000


@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_the_standard_error_is_the_spread_of_the_mean(phi):
    means, errors = [], []
    for seed in range(200):
        x = autoregression(phi, 400, 5, seed)
        means.append(x.mean())
        errors.append(diagnostics.mcse(x)[0])
    ratio = np.std(means) / np.mean(errors)
    assert abs(ratio - 1) < 4 / np.sqrt(2 * 200) + 0.03


def test_two_values_as_far_from_the_median_say_nothing_of_the_scale():
    x = np.where(np.random.default_rng(3).random((200, 4, 1)) < 0.5, -1.0, 1.0)
    assert 0.98 < diagnostics.rank_rhat(x)[0] < 1.02
    assert effective_sample_size(x, "tail")[0] > 300


def test_chains_that_never_move_count_one_draw_each_in_bulk_and_tail():
    stuck = np.full((20, 3, 2), 0.1)
    stuck[:, :, 1] = [0.1, 0.7, 1e3]
    for kind in ("bulk", "tail"):
        np.testing.assert_array_equal(effective_sample_size(stuck, kind), [3.0, 3.0])
    assert np.isinf(diagnostics.rank_rhat(stuck)[1])
    np.testing.assert_allclose(
        diagnostics.mcse(stuck), [0, stuck[:, :, 1].std(ddof=1) / np.sqrt(3)], atol=1e-16
    )


def test_a_kind_that_is_none_is_named():
    with pytest.raises(ValueError, match=r"^kind must be one of mean, bulk, tail, got"):
        effective_sample_size(np.zeros((9, 2, 2)), "median")


# Bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measure", [split_rhat, effective_sample_size, diagnostics.rank_rhat, diagnostics.mcse]
)
@pytest.mark.parametrize(
    "value, error, message",
    [
        (
            np.zeros((10, 3)),
            ValueError,
            "trajectory must have shape (t, n_chains, d) with t >= 4, got shape (10, 3)",
        ),
        (np.zeros((3, 2, 2)), ValueError, "trajectory must have shape (t, n_chains, d) with t >= 4"),
        (np.zeros((9, 0, 2)), ValueError, "trajectory must have shape (t, n_chains, d) with t >= 4"),
        (np.zeros((9, 2, 0)), ValueError, "trajectory must have shape (t, n_chains, d) with t >= 4"),
        (np.full((9, 2, 2), np.nan), ValueError, "trajectory must be finite, got nan at index (0, 0, 0)"),
        (np.zeros((9, 2, 2)) + 0j, TypeError, "trajectory must hold real numbers"),
        (None, TypeError, "trajectory must hold real numbers"),
        ("chain", TypeError, "trajectory must hold real numbers"),
    ],
)
def test_a_wrong_trajectory_is_named(measure, value, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        measure(value)
