"""Gradient ascent is Langevin without noise: it follows the exact mean, finds modes and reports them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sampler_runs import DTYPES, curved, start
from support.strategies import gaussian_parameters, seeds

import npscore as ns
from npscore.samplers import gradient_ascent_step, langevin_law


@given(seeds, st.integers(1, 4), st.integers(1, 30), st.floats(0.05, 1.9))
def test_ascent_on_a_gaussian_is_the_mean_of_langevin(seed, d, n_steps, fraction):
    mean, cov = gaussian_parameters(seed, d)
    step = fraction * np.linalg.eigvalsh(cov)[0]
    x0 = start(seed, 4, d)
    out = ns.gradient_ascent(ns.targets.Gaussian(mean, cov).score, x0, step, n_steps, tol=0)
    for x, after in zip(x0, out.x):
        law = langevin_law(mean, cov, x, np.zeros((d, d)), step, n_steps)
        np.testing.assert_allclose(after, law.mean, rtol=1e-12, atol=1e-12)  # eq-1.4


@pytest.mark.parametrize("dtype", DTYPES)
def test_ascent_is_the_iterated_step_and_reports_the_score_where_it_ended(dtype):
    x, calls = start(dtype=dtype), []
    out = ns.gradient_ascent(curved, x, 0.1, 7, tol=0, callback=lambda t, x: calls.append((t, x.copy())))
    for _, after in calls:
        x = gradient_ascent_step(curved, x, 0.1)
        np.testing.assert_array_equal(after, x)
    assert [t for t, _ in calls] == list(range(1, 8)) and out.n_steps == 7
    np.testing.assert_array_equal(out.x, x)
    np.testing.assert_allclose(out.score_norm, np.linalg.norm(curved(x), axis=1), rtol=1e-6)
    assert out.score_norm.dtype == dtype and out.n_converged == 0


def test_ascent_finds_both_modes_stops_when_all_have_arrived_and_says_so():
    p = ns.targets.GaussianMixture([0.3, 0.7], [[-4.0, 0], [4.0, 1]], [np.eye(2), 0.5 * np.eye(2)])
    x0 = np.array([[-5.0, 2], [5.0, -1], [-3.0, 0.5]])
    out = ns.gradient_ascent(p.score, x0, 0.3, 10_000, tol=1e-9)
    assert out.n_converged == 3 and out.converged.all() and out.n_steps < 200
    assert (out.score_norm <= 1e-9).all()
    np.testing.assert_allclose(out.x, [[-4.0, 0], [4.0, 1], [-4.0, 0]], atol=1e-6)


def test_what_a_chain_does_depends_on_no_other_and_a_converged_one_stays():
    x0 = start(n=6) * np.array([[1e-4], [1], [30], [1], [1e-9], [3]])
    together = ns.gradient_ascent(lambda x: -x, x0, 0.1, 60, tol=1e-3)
    assert 0 < together.n_converged < 6
    for i, alone in enumerate(
        ns.gradient_ascent(lambda x: -x, x0[i : i + 1], 0.1, 60, tol=1e-3) for i in range(6)
    ):
        np.testing.assert_array_equal(together.x[i], alone.x[0])
        assert together.converged[i] == alone.converged[0]
    np.testing.assert_array_equal(together.x[4], x0[4])


def test_ascent_from_a_mode_takes_no_step_and_returns_a_copy():
    x0 = np.zeros((2, 3))
    out = ns.gradient_ascent(lambda x: -x, x0, 0.1, 50, tol=0)
    assert out.n_steps == 0 and out.n_converged == 2 and not np.shares_memory(out.x, x0)


def test_ascent_reports_each_chain_as_converged_diverged_or_neither():
    def score(x):
        return np.where(np.abs(x) > 3, 4 * x, np.where(x > 0, 1 - x, 0.1))

    out = ns.gradient_ascent(score, [[0.5], [5.0], [-2.9]], 0.5, 30, on_divergence="ignore")
    np.testing.assert_array_equal(out.converged, [True, False, False])
    np.testing.assert_array_equal(out.diverged, [False, True, False])
    assert (out.n_converged, out.n_diverged, out.n_steps) == (1, 1, 30)
    assert np.isnan(out.score_norm[1]) and out.score_norm[2] == pytest.approx(0.1)


def test_a_diverged_chain_does_not_count_as_converged_though_the_score_vanish_at_its_start():
    calls = []

    def score(x):
        calls.append(x.copy())
        return np.full_like(x, 1e9 if len(calls) == 1 else 0.0)

    out = ns.gradient_ascent(score, np.ones((2, 1)), 1.0, 5, on_divergence="ignore")
    assert (out.n_converged, out.n_diverged, out.n_steps) == (0, 2, 1)


def test_ascent_is_stable_up_to_twice_the_smallest_variance_and_no_further():
    p = ns.targets.Gaussian(*gaussian_parameters(2, 3))
    limit = 2 * np.linalg.eigvalsh(p.cov)[0]  # eq-1.7
    assert ns.gradient_ascent(p.score, start(), 0.99 * limit, 5000).n_converged == 5
    assert ns.gradient_ascent(p.score, start(), 1.01 * limit, 5000, on_divergence="ignore").n_diverged == 5
