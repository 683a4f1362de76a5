"""``fit`` finds the minima that are known in closed form, by Adam and by L-BFGS."""

import numpy as np
import pytest
from support.fitting_cases import Watch, Watched, affine, data, held_out_ism, small
from support.strategies import gaussian_parameters

import npscore as ns
from npscore.checks import relative_error

# ---- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 4])
def test_adam_on_an_affine_network_finds_the_maximum_likelihood_gaussian(d):
    x = data(60, d)
    run = ns.fit(affine(d), x, steps=1500, batch_size=60, learning_rate=0.05, schedule="constant", rng=0)
    best = ns.LinearScore.fit(x)
    np.testing.assert_allclose(run.model.theta, best.theta, rtol=1e-11, atol=1e-11)
    assert relative_error(run.model.theta, ns.LinearScore.fit(x[1:]).theta) > 1e-3


@pytest.mark.parametrize("model", [affine, lambda d: ns.LinearScore(np.zeros((d, d)), np.zeros(d))])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_lbfgs_on_an_affine_score_finds_the_maximum_likelihood_gaussian(model, d):
    x = data(60, d)
    run = ns.fit(model(d), x, optimizer="lbfgs", steps=500, rng=0)
    best = ns.LinearScore.fit(x)
    assert run.stopped in ("converged", "line search")
    np.testing.assert_allclose(run.model.theta, best.theta, rtol=1e-7, atol=1e-7)
    assert run.history.loss[-1] == pytest.approx(ns.ism(best, x).loss, rel=1e-13)


def test_lbfgs_with_explicit_scores_finds_the_target_itself():
    """ESM of an affine score against a Gaussian's has the minimum 0, at that score."""
    mean, cov = gaussian_parameters(3, 3)
    truth = ns.LinearScore.from_gaussian(mean, cov)
    run = ns.fit(
        affine(3), data(40, 3), lambda m, x, rng: ns.esm(m, x, truth.score), optimizer="lbfgs", rng=0
    )
    np.testing.assert_allclose(run.model.theta, truth.theta, rtol=1e-6, atol=1e-6)
    assert run.history.loss[-1] < 1e-13


def denoising_error(x, sigma):
    """Standard errors of the entries of an affine DSM fit on the rows x, laid out as θ.

    It is the least-squares fit of -ε/σ to (y, 1), y = x + σε, whose residual has covariance I/σ² - (S + σ²I)⁻¹.
    """
    n, d = x.shape
    ones = np.column_stack([x, np.ones(n)])  # (n, d+1)
    gram = ones.T @ ones / n + np.diag([sigma**2] * d + [0.0])  # (d+1, d+1)
    residual = np.eye(d) / sigma**2 - np.linalg.inv(np.cov(x.T, bias=True) + sigma**2 * np.eye(d))
    error = np.sqrt(np.outer(np.diag(residual), np.diag(np.linalg.inv(gram))) / n)  # (d, d+1)
    return np.concatenate([error[:, :d].ravel(), error[:, d]])


def test_denoising_learns_the_score_of_the_smoothed_density():
    x, sigma = data(20_000), 0.5
    run = ns.fit(affine(), x, "dsm", sigma=sigma, optimizer="lbfgs", rng=1)
    mean, cov, error = x.mean(axis=0), np.cov(x.T, bias=True), denoising_error(x, sigma)

    def z(added_variance):
        score = ns.LinearScore.from_gaussian(mean, cov + added_variance * np.eye(2))
        return np.abs((run.model.theta - score.theta) / error).max()

    assert z(sigma**2) < 4
    assert z(0.0) > 40  # the data's own score
    assert z(sigma) > 40  # σ for σ²
    assert z(1.1 * sigma**2) > 6


def test_denoising_by_adam_learns_it_too():
    """Fresh noise at every step, averaged by the falling rate; 5 % is some five standard errors of the last steps."""
    x, sigma = data(200), 0.7
    run = ns.fit(affine(), x, "dsm", sigma=sigma, steps=4000, batch_size=200, learning_rate=0.02, rng=0)
    cov = np.cov(x.T, bias=True)
    smoothed = ns.LinearScore.from_gaussian(x.mean(axis=0), cov + sigma**2 * np.eye(2))
    assert relative_error(run.model.theta, smoothed.theta) < 0.05
    assert relative_error(run.model.theta, ns.LinearScore.from_gaussian(x.mean(axis=0), cov).theta) > 0.4


# ---- L-BFGS --------------------------------------------------------------------------------------

NOISY = {"ism": {}, "ssm": {"n_probes": 2}, "ssm-vr": {"probe": "gaussian"}, "dsm": {"sigma": 0.4}}


@pytest.mark.parametrize("objective", NOISY)
def test_lbfgs_goes_down_at_every_iteration_because_the_draws_are_fixed(objective):
    watch, evaluated = Watch(), []
    note = lambda model, batch, result: evaluated.append((model.theta, batch.copy(), result))  # noqa: E731
    counted = Watched(note, objective, **NOISY[objective])
    run = ns.fit(small(), data(), counted, optimizer="lbfgs", steps=25, jitter=0.1, rng=0, callback=watch)
    assert (np.diff(run.history.loss) < 0).all() and len(run.history.loss) > 10
    assert len({batch.tobytes() for _, batch, _ in evaluated}) == 1
    at = {theta.tobytes(): result for theta, _, result in evaluated}
    for model, loss, norm in zip(watch.models, run.history.loss, run.history.grad_norm):
        assert at[model.theta.tobytes()].loss == loss  # the history is of the iterates, not of the trials
        assert np.linalg.norm(at[model.theta.tobytes()].grad) == pytest.approx(norm, rel=1e-14)
    assert np.isnan(run.history.learning_rate).all()
    assert watch.steps == list(run.history.step) == list(range(1, len(watch.steps) + 1))


def test_lbfgs_stops_at_the_steps_or_when_told():
    settings = {"optimizer": "lbfgs", "rng": 0}
    run = ns.fit(small(), data(), steps=3, **settings)
    assert run.stopped == "steps" and list(run.history.step) == [1, 2, 3] and run.best_step == 3
    watch = Watch(stop=2)
    cut = ns.fit(small(), data(), steps=9, callback=watch, **settings)
    assert cut.stopped == "callback" and cut.best_step == 2
    np.testing.assert_array_equal(cut.model.theta, watch.models[1].theta)
    np.testing.assert_array_equal(cut.history.loss, run.history.loss[:2])


def test_lbfgs_looks_at_the_held_out_rows_now_and_then_and_at_the_end():
    x, held_out = data(40), data(20, seed=9)
    run = ns.fit(affine(), x, optimizer="lbfgs", steps=1000, validation=held_out, validate_every=3, rng=0)
    last = run.history.step[-1]
    assert run.stopped in ("converged", "line search")
    expected = [*range(0, last + 1, 3)] + ([last] if last % 3 else [])
    np.testing.assert_array_equal(run.history.validation_step, expected)
    assert run.history.validation_loss[-1] == held_out_ism(run.final_model, held_out)
    assert run.validation_loss == run.history.validation_loss.min() == held_out_ism(run.model, held_out)


def test_lbfgs_runs_out_of_patience():
    run = ns.fit(small(2, (8,)), data(8), optimizer="lbfgs", steps=300, validation=data(30, seed=5),
                 validate_every=2, patience=2, rng=0)  # fmt: skip
    assert run.stopped == "patience"
    assert len(run.history.step) - run.best_step == 4
    assert run.validation_loss == held_out_ism(run.model, data(30, seed=5))


def test_lbfgs_in_float32_ends_at_float32s_precision():
    x = data(60).astype(np.float32)
    model = ns.LinearScore(np.zeros((2, 2), np.float32), np.zeros(2, np.float32))
    run = ns.fit(model, x, optimizer="lbfgs", rng=0)
    assert run.model.dtype == np.float32 and run.stopped in ("converged", "line search")
    np.testing.assert_allclose(
        run.model.theta, ns.LinearScore.fit(x.astype(float)).theta, rtol=5e-3, atol=5e-3
    )
