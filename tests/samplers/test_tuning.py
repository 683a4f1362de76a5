"""The step size that dual averaging finds: its published recursion, and the acceptance that was asked for."""

import numpy as np
import pytest

import npscore as ns
from npscore.samplers.tuning import DualAveraging

P = ns.targets.GaussianMixture([0.3, 0.7], [[-1.0, 0], [1, 1]], [np.eye(2), 0.5 * np.eye(2)])


def test_dual_averaging_is_the_published_recursion():
    """Hoffman & Gelman (2014), algorithm 5, with its H̄ and log ε̄ written out."""
    accepted, target = [0.9, 0.2, 0.7, 1.0, 0.0, 0.5], 0.6
    mu, gamma, t0, kappa = np.log(10 * 0.3), 0.05, 10, 0.75
    state, H, log_average = DualAveraging(np.log(0.3)), 0.0, 0.0
    for t, a in enumerate(accepted, start=1):
        H = (1 - 1 / (t + t0)) * H + (target - a) / (t + t0)  # eq-16.13
        log_eps = mu - np.sqrt(t) / gamma * H
        log_average = t**-kappa * log_eps + (1 - t**-kappa) * log_average
        state = state.update(a, target)
        np.testing.assert_allclose([state.log_h, state.average], [log_eps, log_average], rtol=1e-12)


@pytest.mark.parametrize("n_leapfrog, target", [(None, 0.574), (None, 0.9), (3, 0.9), (5, 0.8)])
@pytest.mark.parametrize("first", [1e-3, 50.0])
def test_the_step_found_accepts_as_often_as_was_asked(n_leapfrog, target, first):
    """In a run with the step fixed; the mean over 2,000 chains and 50 steps is known to 0.002."""
    x0 = P.sample(2000, rng=0)
    options = {} if (n_leapfrog, target) in ((None, 0.574), (5, 0.8)) else {"target": target}
    tuned = ns.samplers.tune_step(P.log_prob, P.score, x0, first, n_leapfrog=n_leapfrog, rng=1, **options)
    if n_leapfrog is None:
        run = ns.mala(P.log_prob, P.score, tuned.x, tuned.step, 50, rng=2)
    else:
        run = ns.hmc(P.log_prob, P.score, tuned.x, tuned.step, n_leapfrog, 50, rng=2)
    assert abs(run.acceptance.mean() - target) < 0.015
    assert tuned.steps[0] == pytest.approx(first) and len(tuned.acceptance) == 200
    assert abs(tuned.acceptance[-50:].mean() - target) < 0.02


@pytest.mark.parametrize("n", [1, 4, 100])
def test_few_chains_are_enough_for_a_step_of_the_right_size(n):
    tuned = ns.samplers.tune_step(P.log_prob, P.score, P.sample(n, rng=0), 0.01, 500, rng=1)
    run = ns.mala(P.log_prob, P.score, P.sample(2000, rng=3), tuned.step, 50, rng=2)
    assert abs(run.acceptance.mean() - 0.574) < 0.1


def test_the_chains_end_where_the_iterated_step_takes_them():
    """Noise from one stream; the step of each move is the one that is reported."""
    x, rng = P.sample(30, rng=0), np.random.default_rng(5)
    tuned = ns.samplers.tune_step(P.log_prob, P.score, x, 0.4, 12, rng=5)
    for step, acceptance in zip(tuned.steps, tuned.acceptance):
        z, u = rng.standard_normal(x.shape), 1 - rng.random(30)
        move = ns.mala_step(P.log_prob, P.score, x, step, z, u)
        np.testing.assert_allclose(np.exp(np.minimum(move.log_ratio, 0)).mean(), acceptance, rtol=1e-9)
        x = move.x
    np.testing.assert_allclose(tuned.x, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"log_prob": None}, TypeError, "^log_prob must be a callable"),
        ({"step": 0}, ValueError, "^step must be a finite number > 0"),
        ({"n_steps": 0}, ValueError, "^n_steps must be a whole number >= 1"),
        ({"n_leapfrog": 0}, ValueError, "^n_leapfrog must be a whole number >= 1"),
        ({"target": 1.0}, ValueError, "^target must be a finite number > 0 and < 1"),
        ({"log_prob": lambda x: np.full(len(x), -np.inf)}, ValueError, "^x0 must have a density > 0"),
    ],
)
def test_a_wrong_argument_is_named(change, error, message):
    arguments = {"log_prob": P.log_prob, "score": P.score, "x0": np.zeros((2, 2)), "step": 0.1, **change}
    with pytest.raises(error, match=message):
        ns.samplers.tune_step(**arguments)
