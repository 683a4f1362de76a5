"""Ranks, bulk, tail and standard errors: ArviZ's numbers, what they see, and where nothing moves."""

import numpy as np
import pytest
from support.mixing_by_loops import BY_LOOPS, autoregression, every_measure, halves, trajectory

from npscore import diagnostics
from npscore.diagnostics import effective_sample_size, split_rhat


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
