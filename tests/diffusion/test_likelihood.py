"""Log-likelihoods by the probability flow: those of a mixture to nine digits, and a network's own density."""

import numpy as np
import pytest

import npscore as ns
from npscore import diffusion
from npscore.diffusion import EDM, VE, VP, Cosine, DiffusionScore, Discrete, Flow, SubVP
from npscore.targets import Gaussian, GaussianMixture

MIXTURE = GaussianMixture(
    [0.35, 0.65], [[-1.0, 0.4], [0.9, -0.3]], [[[0.5, 0.1], [0.1, 0.4]], [[0.3, -0.1], [-0.1, 0.6]]]
)
X = MIXTURE.sample(6, rng=0)
RNG = np.random.default_rng(0)


def graded(end, n, power=2):
    """Times from 0 to ``end``, closer together near the data."""
    return end * np.linspace(0.0, 1.0, n + 1) ** power


TIMES = {
    VP(): graded(1.0, 400),
    SubVP(): graded(1.0, 400),
    VE(0.1, 8.0): graded(1.0, 440, 1),
    EDM(): graded(6.0, 440, 3),
    Cosine(): graded(0.95, 400),
    Flow(): graded(0.95, 400),
}


def at(schedule, p):
    return lambda t: p.diffused(schedule.alpha(t), schedule.sigma(t))


class Caught:
    """A prior that keeps where the flow arrived."""

    def __init__(self, prior):
        self.prior = prior

    def log_prob(self, x):
        self.x = x
        return self.prior.log_prob(x)


def velocity_at(schedule, target_at, t):
    f, half_g2, p = schedule.f(t), 0.5 * schedule.g2(t), target_at(t)
    return lambda x: f * x - half_g2 * p.score(x)


def carried_back(schedule, target_at, times, x):
    """The same flow from the noisy end to the data, by the classical Runge–Kutta method, written out."""
    here = velocity_at(schedule, target_at, times[-1])
    for t, s in zip(times[::-1], times[-2::-1]):
        h = s - t
        middle, there = (velocity_at(schedule, target_at, u) for u in (0.5 * (s + t), s))
        k1 = here(x)
        k2 = middle(x + 0.5 * h * k1)
        k3 = middle(x + 0.5 * h * k2)
        k4 = there(x + h * k3)
        here = there
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


@pytest.mark.parametrize("schedule", TIMES, ids=repr)
def test_of_a_mixture_it_is_log_p_and_the_flow_goes_back(schedule):
    target_at, times = at(schedule, MIXTURE), TIMES[schedule]
    prior = Caught(target_at(times[-1]))
    got = diffusion.log_likelihood(target_at, X, times, schedule=schedule, prior=prior)
    np.testing.assert_allclose(got, target_at(0.0).log_prob(X), atol=1e-9, rtol=0)
    np.testing.assert_allclose(carried_back(schedule, target_at, times, prior.x), X, atol=1e-9, rtol=0)


@pytest.mark.parametrize("schedule", TIMES, ids=repr)
def test_of_a_gaussian_the_flow_is_a_scaling(schedule):
    """x_T = α_T μ + √(v_T/v_0) (x − μ) per eigenvalue, and log p₀ − log p_T = ½ Σ log(v_T/v_0)."""
    variances, mean, times = np.array([0.3, 2.0]), np.array([0.5, -1.0]), TIMES[schedule]
    p = Gaussian(mean, np.diag(variances))
    alpha, sigma = schedule.alpha(times[-1]), schedule.sigma(times[-1])
    prior = Caught(p.diffused(alpha, sigma))
    got = diffusion.log_likelihood(at(schedule, p), X, times, schedule=schedule, prior=prior)
    growth = np.sqrt((alpha**2 * variances + sigma**2) / (variances + schedule.sigma(0.0) ** 2))
    np.testing.assert_allclose(prior.x, alpha * mean + growth * (X - mean), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(got - prior.prior.log_prob(prior.x), np.log(growth).sum(), rtol=1e-8)


def test_it_is_of_fourth_order_in_the_steps():
    target_at = at(Cosine(), MIXTURE)
    exact = target_at(0.05).log_prob(X)

    def error(n):
        times = np.linspace(0.05, 0.9, n + 1)
        got = diffusion.log_likelihood(target_at, X, times, schedule=Cosine(), prior=target_at(0.9))
        return np.abs(got - exact).max()

    assert np.log2(error(20) / error(40)) == pytest.approx(4, abs=0.4)


@pytest.mark.parametrize("schedule", [VP(), VE(0.1, 60.0), EDM()], ids=repr)
def test_the_prior_that_stands_for_the_noisy_end(schedule):
    """N(0, I) for VP, N(0, σ_T² I) for VE and EDM: what is left is the distance between the prior and p_T."""
    end = 60.0 if schedule == EDM() else 1.0
    times = graded(end, 150, 4 if schedule == EDM() else 2 if schedule == VP() else 1)
    target_at = at(schedule, MIXTURE)
    got = diffusion.log_likelihood(target_at, X, times, schedule=schedule)
    assert np.abs(got - target_at(0.0).log_prob(X)).max() < 0.02


def network(schedule, form, seed=0, d=1, condition=1):
    net = ns.MLP.init((d, 12, d), "tanh", rng=seed, condition=condition)
    return DiffusionScore(net.with_theta(1.5 * net.theta), schedule, form, sigma_data=0.8)


@pytest.mark.parametrize(
    "schedule, form, times",
    [
        (EDM(), "edm", np.geomspace(0.05, 20.0, 100)),
        (VP(), "v", np.linspace(0.02, 1.0, 120)),
        (VE(0.05, 20.0), "edm", np.linspace(0.0, 1.0, 100)),
    ],
    ids=["EDM", "VP", "VE"],
)
def test_the_density_of_a_network_integrates_to_1(schedule, form, times):
    """Whatever the network is, trained or not: here after 300 steps on a mixture."""
    x = np.concatenate([RNG.standard_normal((150, 1)) * 0.4 - 1.0, RNG.standard_normal((150, 1)) * 0.6 + 1.0])
    objective = diffusion.Denoising(schedule, sigma_data=0.8)
    model = ns.fit(network(schedule, form), x, objective, steps=300, learning_rate=3e-3, rng=0).model
    grid = np.linspace(-9.0, 9.0, 1201)[:, None]
    density = np.exp(diffusion.log_likelihood(model, grid, times))
    assert density.max() > 0.2
    assert density.sum() * (grid[1, 0] - grid[0, 0]) == pytest.approx(1.0, abs=2e-5)


def test_a_model_with_a_label_is_asked_by_a_callable():
    model, label, times = network(VP(), "v", condition=3, d=2), [0.3, -1.0], np.linspace(0.1, 1.0, 9)
    got = diffusion.log_likelihood(lambda t: model.at(t, label), X, times, schedule=VP())

    class Plain:
        def __init__(self, t):
            self.score, self.score_divergence = model.at(t, label).score, model.at(t, label).divergence

    want = diffusion.log_likelihood(lambda t: Plain(t), X, times, schedule=VP())
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_float32_stays_float32():
    model = network(VP(), "v", d=2)
    single = model.with_theta(model.theta.astype(np.float32))
    times = np.linspace(0.1, 1.0, 20)
    got = diffusion.log_likelihood(single, X.astype(np.float32), times)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, diffusion.log_likelihood(model, X, times), rtol=1e-4)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda m, f: f(m, X, [1.0, 0.1]),
            ValueError,
            "times must increase, from data to noise, got 1.0 and then",
        ),
        (
            lambda m, f: f(m, X, [0.0, 1.0]),
            ValueError,
            "times must start at a time with noise, σ > 0, got 0.0",
        ),
        (lambda m, f: f(m, X, [0.1, 1.5]), ValueError, r"times must be in \[0, 1\] for VP"),
        (lambda m, f: f(m, X, [0.1]), ValueError, r"times must have shape \(k \+ 1,\)"),
        (lambda m, f: f(m, X[:, :1], [0.1, 1.0]), ValueError, r"x must have shape \(n, 2\)"),
        (
            lambda m, f: f(m, X, [0.1, 1.0], schedule=EDM()),
            ValueError,
            "schedule must be left out, or the model's",
        ),
        (
            lambda m, f: f(m.at, X, [0.1, 1.0]),
            TypeError,
            "schedule must be a diffusion schedule with a callable",
        ),
        (lambda m, f: f(3, X, [0.1, 1.0]), TypeError, "model must be a DiffusionScore, or a callable"),
        (
            lambda m, f: f(m.at, X, [0.1, 1.0], schedule=Flow()),
            ValueError,
            "t must be < 1 for f and g2 of Flow",
        ),
        (
            lambda m, f: f(m.at, X, [1, 2], schedule=Discrete([0.1, 0.2])),
            ValueError,
            "has steps and no f or g2",
        ),
        (
            lambda m, f: f(network(VP(), "v", d=2, condition=2), X, [0.1, 1.0]),
            ValueError,
            "cond must have shape",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(network(VP(), "v", d=2), diffusion.log_likelihood)
