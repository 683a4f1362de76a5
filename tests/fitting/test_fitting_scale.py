"""L-BFGS in any units: what it finds scales with the data, and it says converged only where it has."""

import numpy as np
import pytest
from support.fitting_cases import data

import npscore as ns


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e6])
def test_an_affine_score_finds_its_minimum_in_any_units(scale):
    """x -> c x makes the loss and A of s = A x + b smaller by c², b by c."""
    start = ns.LinearScore(np.zeros((2, 2)), np.zeros(2))
    x = data(60)
    run = ns.fit(start, x * scale, optimizer="lbfgs", steps=500, rng=0)
    best = ns.LinearScore.fit(x)
    assert run.stopped in ("converged", "line search") and len(run.history.step) > 5
    assert run.history.loss[-1] * scale**2 == pytest.approx(ns.ism(best, x).loss, rel=1e-12)
    np.testing.assert_allclose(run.model.A * scale**2, best.A, rtol=1e-5)
    np.testing.assert_allclose(run.model.b * scale, best.b, rtol=1e-5)


def test_where_no_step_can_be_found_it_does_not_say_converged():
    """The first trial is a step of length 1, from which a line search does not come down to 1e-18."""
    start = ns.LinearScore(np.zeros((2, 2)), np.zeros(2))
    run = ns.fit(start, data(60) * 1e9, optimizer="lbfgs", steps=500, rng=0)
    assert run.stopped == "line search" and run.best_step == len(run.history.step)
    best = ns.LinearScore.fit(data(60) * 1e9)
    if run.best_step == 0:
        np.testing.assert_array_equal(run.model.theta, start.theta)
    else:
        np.testing.assert_allclose(run.model.theta, best.theta, rtol=1e-3)


@pytest.mark.parametrize("power", [-40, -3, 12])
def test_scaling_the_loss_by_a_power_of_two_ends_at_the_same_minimum(power):
    """ESM of an affine network against 2^k times a score: the decrease that counts is relative."""
    truth = ns.LinearScore.from_gaussian(np.array([0.5, -0.3]), np.array([[1.0, 0.2], [0.2, 0.7]]))
    runs = []
    for factor in (1.0, 2.0**power):
        start = ns.LinearScore(-factor * np.eye(2), np.zeros(2))
        objective = ns.objectives.ESM(lambda x, factor=factor: factor * truth.score(x) + factor * np.tanh(x))
        runs.append(ns.fit(start, data(60), objective, optimizer="lbfgs", steps=200, rng=0))
    one, other = runs
    assert {one.stopped, other.stopped} <= {"converged", "line search"}  # both are the end of precision here
    assert other.history.loss[-1] == pytest.approx(one.history.loss[-1] * 4.0**power, rel=1e-9)
    np.testing.assert_allclose(other.model.theta, one.model.theta * 2.0**power, rtol=1e-4)
