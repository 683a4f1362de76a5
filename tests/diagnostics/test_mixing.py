"""Split-R̂ and effective sample size: against plain loops, closed forms, and chains of known autocorrelation."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mixing_by_loops import (
    BY_LOOPS,
    autoregression,
    ess_by_loops,
    rhat_by_loops,
    trajectory,
    variances,
)
from support.strategies import gaussian_parameters, seeds

import npscore as ns
from npscore import diagnostics
from npscore.diagnostics import effective_sample_size, split_rhat

lengths = st.integers(4, 23)
counts = st.integers(1, 5)


# Both are their formulas ----------------------------------------------------------------------------------


@given(seeds, lengths, counts, counts)
def test_all_are_their_formulas_draw_by_draw(seed, t, n_chains, d):
    x = trajectory(seed, t, n_chains, d)
    for measure, by_loops in BY_LOOPS.values():
        expected = [by_loops(c) for c in x.transpose(2, 0, 1)]
        if np.isfinite(expected).all():  # a share that no half-chain changes has a W of 0
            np.testing.assert_allclose(measure(x), expected, rtol=1e-9)


@given(seeds, lengths, counts)
def test_units_origin_and_the_order_of_the_chains_do_not_matter(seed, t, n_chains):
    x, rng = trajectory(seed, t, n_chains, 2), np.random.default_rng(seed)
    for measure in (split_rhat, effective_sample_size):
        expected = measure(x)
        np.testing.assert_allclose(measure(5 - 300 * x), expected, rtol=1e-9)
        np.testing.assert_allclose(measure(x[:, rng.permutation(n_chains)]), expected, rtol=1e-9)
        np.testing.assert_allclose(measure(x[:, :, ::-1]), expected[::-1], rtol=1e-12)
        np.testing.assert_allclose(measure(x[::-1]), expected, rtol=1e-9)  # and neither does time's arrow


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
