"""Other units of x change nothing: a stable run is never called diverged, one that explodes always is."""

import numpy as np
import pytest
from support.sampler_runs import start

import npscore as ns
from npscore.samplers.gradient_ascent import unit_of_length
from npscore.samplers.step import stable_reach

POWERS = [-330, -100, -40, -20, 20, 40, 100, 330]  # units are powers of two, so that no bit changes


def gaussian_at(scale):
    return lambda x: -(x / scale) / scale


def at(scale, x0, step, n_steps, **options):
    """Langevin on N(0, scale²), everything in its units."""
    return ns.langevin(gaussian_at(scale), scale * x0, step * scale**2, n_steps, rng=0, **options)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_a_stable_run_is_the_same_at_every_scale(dtype, power):
    unit = dtype(2.0**power)
    for x0 in (np.zeros((6, 2), dtype), start(n=6, d=2, dtype=dtype)):
        plain, other = at(dtype(1), x0, 0.5, 200), at(unit, x0, 0.5, 200)
        assert not other.diverged.any()
        np.testing.assert_array_equal(other.x / unit, plain.x)


@pytest.mark.parametrize("power", [-20, 20, 40])
def test_a_stable_run_is_the_same_at_every_scale_in_float32(power):
    unit, x0 = np.float32(2.0**power), np.zeros((6, 2), np.float32)
    other = at(unit, x0, np.float32(0.5), 200)
    np.testing.assert_array_equal(other.x / unit, at(np.float32(1), x0, np.float32(0.5), 200).x)
    assert not other.diverged.any()


def test_a_start_at_the_origin_of_a_wide_density_is_outside_the_first_bound():
    """What makes the tests above fail with that bound alone."""
    assert np.abs(at(2.0**40, np.zeros((6, 2)), 0.5, 200).x).max() > 1e6


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("step", [2.5, 3.0, 1e3])
def test_a_run_that_explodes_is_caught_at_every_scale(step, power):
    out = at(2.0**power, start(n=6, d=2), step, 900, on_divergence="ignore")
    assert out.diverged.all() and out.n_steps < 900


@pytest.mark.parametrize("power", [0, 20, 100])
def test_an_explosion_is_caught_in_logarithmically_many_steps(power):
    out = at(2.0**power, start(n=6, d=2), 3.0, 900, on_divergence="ignore")  # doubles every step
    assert out.n_steps < np.log2(1e6 * 900) + 12


def test_a_mode_far_away_is_reached():
    out = ns.langevin(lambda x: 1e12 - x, np.zeros((5, 1)), 0.1, 500, rng=0)
    assert not out.diverged.any() and (np.abs(out.x - 1e12) < 10).all()
    climbed = ns.gradient_ascent(lambda x: 1e12 - x, np.zeros((5, 1)), 0.1, 500)
    np.testing.assert_allclose(climbed.x, 1e12, rtol=1e-15)


def test_a_narrow_direction_beside_a_wide_one_is_no_divergence():
    """The step follows the narrow one, and the wide one is crossed by many small steps."""
    cov = np.array([1.0, 1e20])
    out = ns.langevin(lambda x: (np.array([0.0, 1e9]) - x) / cov, np.array([[0.0, -1e12]]), 0.5, 5000, rng=0)
    assert not out.diverged.any()


def test_a_bound_that_is_given_is_kept():
    out = at(2.0**40, np.zeros((6, 2)), 0.5, 20, bound=1e6, on_divergence="ignore")
    assert out.diverged.all()


def test_a_score_that_is_not_finite_at_the_start_gives_no_room():
    def score(x):
        return np.where(x == 0, np.nan, 1e9 * x)

    out = ns.langevin(score, [[0.0], [1.0]], 1.0, 50, rng=0, on_divergence="ignore")
    assert out.diverged.all()


def test_no_stable_run_on_a_log_concave_density_goes_beyond_its_reach():
    """Densities with a Lipschitz score, steps up to the limit of stability: the inequality, step by step."""
    scores = {
        "logistic": lambda x: -np.tanh(x),
        "Gaussian": lambda x: -x,
        "Huber": lambda x: -np.clip(x, -1, 1),
    }
    for score in scores.values():
        x0 = 100 * start(n=50, d=2)
        for step in (0.01, 1.0, 1.99):
            out = ns.langevin(score, x0, step, 100, rng=0, record_every=1)
            drift = step * np.linalg.norm(score(x0), axis=1)  # (n,)
            moved = np.linalg.norm(out.trajectory - x0, axis=2)  # (t, n)
            noise = np.sqrt(2 * step) * 10 * np.arange(1, 101)[:, None]
            assert (moved <= np.arange(1, 101)[:, None] * drift + noise).all()
            assert (moved <= stable_reach(step * score(x0), np.sqrt(2 * step), 100)).all()


# Gradient ascent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", POWERS)
def test_ascent_finds_the_mode_at_every_scale(power):
    unit, x0 = 2.0**power, np.array([[3.0, -2.0], [0.5, 4.0]])
    mode = np.array([1.0, -1.0])
    out = ns.gradient_ascent(lambda x: (mode - x / unit) / unit, unit * x0, 0.25 * unit**2, 500)
    assert out.converged.all() and 20 < out.n_steps < 100
    np.testing.assert_allclose(out.x / unit, np.broadcast_to(mode, (2, 2)), atol=4e-6)
    np.testing.assert_allclose(out.score_norm * unit, np.linalg.norm(mode - out.x / unit, axis=1), rtol=1e-12)


def test_ascent_at_a_step_too_large_diverges_at_every_scale():
    for power in POWERS:
        out = ns.gradient_ascent(
            gaussian_at(2.0**power), 2.0**power * start(), 3.0 * 4.0**power, 900, on_divergence="ignore"
        )
        assert out.diverged.all()


def test_the_unit_of_length_is_one_between_steps_of_a_millionth_and_of_one_and_goes_with_its_root_beyond():
    assert [unit_of_length(step) for step in (1e-6, 1e-3, 0.3, 1.0)] == [1.0] * 4
    for step in (4.0, 1e10, 1e300):
        assert unit_of_length(step) == np.sqrt(step)
    for step in (1e-8, 1e-300):
        assert unit_of_length(step) == 1e3 * np.sqrt(step)
