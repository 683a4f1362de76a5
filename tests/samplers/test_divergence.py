"""Chains that diverge are counted exactly, reported as asked, never silent, and disturb no other chain."""

import warnings

import numpy as np
import pytest
from support.sampler_runs import ascent, both, curved, iterate, langevin, start

import npscore as ns
from npscore.samplers import DivergenceError

OUTER = np.array([False, True, False, False, True, True])  # rows that start where the score blows up
X0 = np.where(OUTER[:, None], [[6.0, -5.0]], 0.1)
X0[4] *= 10  # the first to diverge
STEP = 0.1


def blows_up_outside(x):
    """Pulls to the origin inside max|x| ≤ 4.5, trebles x in a step outside, row by row."""
    outside = np.abs(x).max(axis=1, keepdims=True) > 4.5
    return np.where(outside, 20 * x, -x)


def first_step_outside(bound, n_steps, seed=0):
    """For each chain, the step at which the unwatched run leaves the box; n_steps + 1 if never."""
    outside = np.abs(iterate(blows_up_outside, X0, STEP, n_steps, seed)).max(axis=2) > bound  # (t, n)
    return np.where(outside.any(axis=0), outside.argmax(axis=0) + 1, n_steps + 1)


@pytest.mark.parametrize(
    "options, bound", [({}, 1e6 * (1 + 60.0)), ({"bound": 500.0}, 500.0), ({"bound": 61}, 61)]
)
def test_exactly_the_chains_that_left_are_counted_and_nan_from_the_step_they_left(options, bound):
    n_steps, first = 20, first_step_outside(bound, 20)
    assert ((first <= n_steps) == OUTER).all()  # the case is as designed
    out = langevin(blows_up_outside, X0, STEP, n_steps, record_every=1, on_divergence="ignore", **options)
    np.testing.assert_array_equal(out.diverged, OUTER)
    assert out.n_diverged == 3
    diverged = np.arange(1, n_steps + 1)[:, None] >= first  # (t, n)
    np.testing.assert_array_equal(np.isnan(out.trajectory), np.repeat(diverged[:, :, None], 2, axis=2))
    states = iterate(blows_up_outside, X0, STEP, n_steps, 0)
    np.testing.assert_array_equal(out.trajectory[~diverged], states[~diverged])
    np.testing.assert_array_equal(out.x[~OUTER], states[-1][~OUTER])


@both
def test_the_score_goes_on_seeing_a_full_finite_block_with_diverged_chains_at_their_start(run):
    seen = []

    def score(x):
        seen.append(x.copy())
        return blows_up_outside(x)

    out = run(score, X0, STEP, 30, on_divergence="ignore")
    assert all(x.shape == X0.shape and np.abs(x).max() <= 61e6 for x in seen)
    assert out.n_diverged == 3
    np.testing.assert_array_equal(seen[-1][OUTER], X0[OUTER])


def test_diverged_chains_do_not_change_the_random_numbers_of_the_others():
    out = langevin(blows_up_outside, X0, STEP, 30, on_divergence="ignore")
    tame = langevin(lambda x: -x, X0, STEP, 30)
    np.testing.assert_array_equal(out.x[~OUTER], tame.x[~OUTER])


@both
def test_a_warning_says_how_many_when_and_what_to_do_once_and_at_the_caller(run):
    with pytest.warns(RuntimeWarning) as caught:
        out = run(blows_up_outside, X0, STEP, 30)
    assert len(caught) == 1
    message = str(caught[0].message)
    first = first_step_outside(61e6, 30).min() if run is langevin else 13  # 60·3¹³ > 61e6 > 60·3¹²
    assert "3 of 6 chains diverged" in message and f"first at step {first} of 30" in message
    assert "step = 0.1 is probably too large" in message
    assert "take a smaller one" in message and "rows are NaN" in message
    assert np.isnan(out.x[OUTER]).all() and np.isfinite(out.x[~OUTER]).all()


def test_the_warning_points_at_the_line_that_called():
    with pytest.warns(RuntimeWarning) as caught:
        ns.langevin(blows_up_outside, X0, STEP, 30, rng=0)
        ns.gradient_ascent(blows_up_outside, X0, STEP, 30)
    assert [w.filename for w in caught] == [__file__, __file__]


def test_raise_names_the_step_number_the_chains_and_the_step_size():
    message = (
        f"langevin: 1 of 6 chains diverged, the first at step {first_step_outside(61e6, 30).min()} of 30"
    )
    with pytest.raises(DivergenceError, match=rf"^{message} .*step = 0\.1 is probably too large"):
        langevin(blows_up_outside, X0, STEP, 30, on_divergence="raise")
    with pytest.raises(FloatingPointError, match=r"^gradient_ascent: 1 of 6 chains .* at step 13 of 30"):
        ascent(blows_up_outside, X0, STEP, 30, on_divergence="raise")


@both
@pytest.mark.parametrize("on_divergence", ["warn", "raise", "ignore"])
def test_there_is_no_warning_where_nothing_diverges(run, on_divergence):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = run(curved, start(), on_divergence=on_divergence)
    assert out.n_diverged == 0 and np.isfinite(out.x).all()


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_ends_the_chain_it_belongs_to(run, bad):
    def score(x):
        s = curved(x)
        s[1, 2] = s[3, 0] = bad
        return s

    out = run(score, start(), on_divergence="ignore")
    np.testing.assert_array_equal(out.diverged, [False, True, False, True, False])
    np.testing.assert_array_equal(out.x[[0, 2, 4]], run(curved, start()).x[[0, 2, 4]])
    assert np.isnan(out.x[[1, 3]]).all()


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_overflow_is_divergence_even_where_the_bound_is_out_of_range(run, dtype):
    x0 = np.array([[1.0], [np.finfo(dtype).max / 4]], dtype)
    with np.errstate(over="raise"):  # the run's own arithmetic is quiet; the score's is the score's business
        out = run(lambda x: np.where(x > 10, x, -x), x0, 8.0, 3, bound=1e308, on_divergence="ignore")
    np.testing.assert_array_equal(out.diverged, [False, True])


@both
def test_a_run_ends_early_when_every_chain_has_diverged(run):
    calls = []
    options = {"callback": lambda t, x: calls.append(t), "on_divergence": "ignore", "bound": 100.0}
    out = run(lambda x: 9 * x, np.full((2, 1), 50.0), 1.0, 10**6, **options)
    assert out.n_steps == 1 and calls == [1] and out.diverged.all() and np.isnan(out.x).all()


def test_a_trajectory_cut_short_is_nan_to_its_end():
    out = langevin(lambda x: 9 * x, np.full((2, 1), 50.0), 1.0, 8, record_every=2, on_divergence="ignore")
    assert out.trajectory.shape == (4, 2, 1) and out.n_steps == 7
    np.testing.assert_array_equal(np.isnan(out.trajectory).all(axis=(1, 2)), [False, False, False, True])


def test_the_progress_line_counts_diverged_chains(capsys):
    langevin(blows_up_outside, X0, STEP, 30, progress=True, on_divergence="ignore")
    assert "langevin  30/30  3 diverged\n" in capsys.readouterr().err
