"""The variational bound: three ways on Gaussian data, never below the exact likelihood, and the published numbers."""

import numpy as np
import pytest

import npscore as ns
from npscore import diffusion
from npscore.diffusion import EDM, VP, Cosine, DiffusionScore, Discrete, Flow
from npscore.targets import Gaussian

RNG = np.random.default_rng(5)
D = 2
MEAN, COV = np.array([0.6, -0.9]), np.array([[0.9, 0.35], [0.35, 0.5]])
FACTOR = np.linalg.cholesky(COV)
SETTINGS = {
    Discrete(np.linspace(0.02, 0.45, 6)): None,
    VP(0.3, 7.0): (1.0, 0.6, 0.35, 0.1, 0.0),
    EDM(): (6.0, 2.0, 0.5, 0.0),
    Cosine(): (0.98, 0.5, 0.2, 0.0),
    Flow(): (0.95, 0.4, 0.1, 0.0),
}


def chain(schedule):
    """Times T … 0, and per step α, σ, r, w."""
    times = SETTINGS[schedule] or tuple(range(schedule.t_max, -1, -1))
    steps = []
    for t, s in zip(times, times[1:]):
        alpha, sigma, before = float(schedule.alpha(t)), float(schedule.sigma(t)), float(schedule.alpha(s))
        r = alpha / before
        steps.append((alpha, sigma, r, sigma**2 - r**2 * float(schedule.sigma(s)) ** 2))
    return times, steps


def affine_scores(schedule):
    """For every time a matrix and a vector of ε̂ = K x + k, which is no Gaussian's: and the scores −ε̂/σ."""
    times, steps = chain(schedule)
    rng = np.random.default_rng(11)
    maps = {}
    for t, (alpha, sigma, *_) in zip(times, steps):
        exact = sigma * np.linalg.inv(alpha**2 * COV + sigma**2 * np.eye(D))
        maps[t] = (exact + 0.1 * rng.standard_normal((D, D)), 0.1 * rng.standard_normal(D))

    def score_at(t):
        K, k = maps[t]
        return lambda x: -(x @ K.T + k) / float(schedule.sigma(t))

    return maps, score_at


def signs(columns):
    """All rows of ±1: their mean is that of N(0, 1) for every polynomial of degree 3."""
    return np.array(np.meshgrid(*[[-1.0, 1.0]] * columns)).reshape(columns, -1).T


def expected_terms(schedule, score_at, **options):
    """The terms averaged exactly over x₀ and ε, in which each is quadratic."""
    nodes = signs(2 * D)  # (16, 4)
    x0, noise = MEAN + nodes[:, :D] @ FACTOR.T, nodes[:, D:]
    times, steps = chain(schedule)
    given = None if isinstance(schedule, Discrete) else times
    terms = diffusion.elbo_terms(
        score_at, schedule, x0, np.broadcast_to(noise, (len(steps), *noise.shape)), given, **options
    )
    return terms, terms.total.mean()


def variances_of(steps, schedule, times, variance, tau1):
    """τ² of every step, the decoder's last."""
    w = np.array([step[3] for step in steps])
    sigma = np.array([float(schedule.sigma(t)) for t in times])
    posterior = sigma[1:-1] ** 2 * w[:-1] / sigma[:-2] ** 2
    chosen = {"posterior": posterior, "forward": w[:-1]}.get(
        variance if isinstance(variance, str) else "", variance
    )
    return np.append(chosen, w[-1] if tau1 is None else tau1)


def reverse_steps(schedule, maps, variance, tau1):
    """p(x_s | x_t) = N(M x_t + m, τ² I), from the noisiest step on."""
    times, steps = chain(schedule)
    out = []
    for t, (_, sigma, r, w), tau2 in zip(times, steps, variances_of(steps, schedule, times, variance, tau1)):
        K, k = maps[t]
        out.append(((np.eye(D) - w / sigma * K) / r, -w / (r * sigma) * k, tau2))
    return times, steps, out


def joint(schedule, t, s):
    """Mean and covariance of (x_s, x_t), (2d,) and (2d, 2d)."""
    (a_s, b_s), (a_t, b_t) = ((float(schedule.alpha(u)), float(schedule.sigma(u))) for u in (s, t))
    C_s, C_t = (a**2 * COV + b**2 * np.eye(D) for a, b in ((a_s, b_s), (a_t, b_t)))
    cross = a_t / a_s * C_s
    return np.append(a_s * MEAN, a_t * MEAN), np.block([[C_s, cross], [cross, C_t]])


def log_ratio_way(schedule, maps, variance, tau1):
    """E[−log p(x_T) − Σ log p(x_s | x_t)] − Σ entropies of q(x_t | x_s): one ratio of densities of whole chains."""
    times, steps, reverse = reverse_steps(schedule, maps, variance, tau1)
    prior = schedule.prior_std(times[0])
    mean, cov = joint(schedule, times[0], times[1])
    m_T, C_T = mean[D:], cov[D:, D:]
    total = 0.5 * D * np.log(2 * np.pi * prior**2) + 0.5 * (m_T @ m_T + np.trace(C_T)) / prior**2
    for t, s, (*_, w), (M, m, tau2) in zip(times, times[1:], steps, reverse):
        mean, cov = joint(schedule, t, s)
        T = np.hstack([np.eye(D), -M])  # x_s − M x_t
        gap = T @ mean - m
        total += 0.5 * D * np.log(2 * np.pi * tau2) + 0.5 * (np.trace(T @ cov @ T.T) + gap @ gap) / tau2
        total -= 0.5 * D * np.log(2 * np.pi * np.e * w)
    return total


def kl(m, C, k, E):
    inverse = np.linalg.inv(E)
    log_ratio = np.linalg.slogdet(E)[1] - np.linalg.slogdet(C)[1]
    return 0.5 * (np.trace(inverse @ C) + (k - m) @ inverse @ (k - m) - D + log_ratio)


def entropy_way(schedule, maps, variance, tau1):
    """H(x₀) + KL(q(x_T) ‖ prior) + Σ E KL(q(x_s | x_t) ‖ p(x_s | x_t)), q of the data and not of one x₀."""
    times, _, reverse = reverse_steps(schedule, maps, variance, tau1)
    mean, cov = joint(schedule, times[0], times[1])
    total = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * COV)[1]
    total += kl(mean[D:], cov[D:, D:], np.zeros(D), schedule.prior_std(times[0]) ** 2 * np.eye(D))
    for t, s, (M, m, tau2) in zip(times, times[1:], reverse):
        mean, cov = joint(schedule, t, s)
        gain = cov[:D, D:] @ np.linalg.inv(cov[D:, D:])
        conditional = cov[:D, :D] - gain @ cov[D:, :D]
        gap = mean[:D] - M @ mean[D:] - m
        spread = (gain - M) @ cov[D:, D:] @ (gain - M).T
        total += kl(np.zeros(D), conditional, np.zeros(D), tau2 * np.eye(D))
        total += 0.5 * (gap @ gap + np.trace(spread)) / tau2
    return total


def negative_log_likelihood(schedule, maps, variance, tau1):
    """E[−log p(x₀)] of the density of the reverse chain itself, which is Gaussian."""
    times, _, reverse = reverse_steps(schedule, maps, variance, tau1)
    m, C = np.zeros(D), schedule.prior_std(times[0]) ** 2 * np.eye(D)
    for M, shift, tau2 in reverse:
        m, C = M @ m + shift, M @ C @ M.T + tau2 * np.eye(D)
    return 0.5 * np.linalg.slogdet(2 * np.pi * np.e * COV)[1] + kl(MEAN, COV, m, C)


OPTIONS = [("posterior", None), ("forward", None), ("posterior", 0.11), ("array", 0.07)]


@pytest.mark.parametrize("variance, tau1", OPTIONS)
@pytest.mark.parametrize("schedule", SETTINGS, ids=repr)
def test_the_bound_three_ways(schedule, variance, tau1):
    maps, score_at = affine_scores(schedule)
    if variance == "array":
        variance = np.linspace(0.3, 0.1, len(maps) - 1)
    _, got = expected_terms(schedule, score_at, variance=variance, decoder_variance=tau1)
    assert got == pytest.approx(log_ratio_way(schedule, maps, variance, tau1), rel=1e-12)
    assert got == pytest.approx(entropy_way(schedule, maps, variance, tau1), rel=1e-12)
    assert got > negative_log_likelihood(schedule, maps, variance, tau1)


def test_each_term_is_the_kl_of_two_gaussians_at_every_row():
    """Row by row, from the posterior of the schedule and x̂₀: no expectation, no shared algebra."""
    schedule = Discrete(np.linspace(0.02, 0.45, 6))
    x0, noise = RNG.standard_normal((5, D)), RNG.standard_normal((6, 5, D))
    model = DiffusionScore(ns.MLP.init((D, 6, D), "tanh", rng=0, condition=1), schedule, "epsilon")
    terms = diffusion.elbo_terms(model, schedule, x0, noise, variance="forward", decoder_variance=0.2)
    for k, t in enumerate(range(6, 0, -1)):
        alpha, sigma, s = schedule.alpha(t), schedule.sigma(t), t - 1
        x = alpha * x0 + sigma * noise[k]
        predicted = model.output(x, t, "x0")
        if s == 0:
            want = 0.5 * ((x0 - predicted) ** 2).sum(1) / 0.2 + 0.5 * D * np.log(2 * np.pi * 0.2)
            np.testing.assert_allclose(terms.L_0, want, rtol=1e-12)
            continue
        _, coef_x0, beta_tilde = schedule.posterior(t, s)
        beta = schedule.beta[t - 1]
        gap = ((coef_x0 * (x0 - predicted)) ** 2).sum(1)
        want = gap / (2 * beta) + 0.5 * D * (beta_tilde / beta - 1 - np.log(beta_tilde / beta))
        np.testing.assert_allclose(terms.L_steps[k], want, rtol=1e-11)
    alpha, var = schedule.alpha(6), schedule.sigma(6) ** 2
    np.testing.assert_allclose(
        terms.L_T, 0.5 * (alpha**2 * (x0**2).sum(1) + D * (var - 1 - np.log(var))), rtol=1e-12
    )


def test_the_bound_of_a_thousand_steps_is_not_the_likelihood():
    """N(0, diag(¼, 1, 4)), exact score, linear β: what each variance costs the bound, and what the sampler."""
    variances = np.array([0.25, 1.0, 4.0])
    data, schedule = Gaussian(np.zeros(3), np.diag(variances)), Discrete(diffusion.linear_beta(1000))
    pairs = signs(2)  # the same in all coordinates: with a diagonal covariance no cross terms appear
    x0, noise = pairs[:, :1] * np.sqrt(variances), np.broadcast_to(pairs[:, 1:], (4, 3))
    entropy = 0.5 * np.log((2 * np.pi * np.e) ** 3 * variances.prod())
    assert entropy == pytest.approx(4.25682, abs=5e-6)

    def target_at(t):
        return data.diffused(schedule.alpha(t), schedule.sigma(t))

    def bound(**options):
        terms = diffusion.elbo_terms(
            lambda t: target_at(t).score, schedule, x0, np.broadcast_to(noise, (1000, 4, 3)), **options
        )
        return terms.total.mean()

    end = np.diag(target_at(1000).cov)  # x_T is all but the prior
    assert 0.5 * (end - 1 - np.log(end)).sum() == pytest.approx(4e-9, rel=0.05)
    beta, posterior = bound(variance="forward"), bound(variance="posterior")
    assert beta == pytest.approx(4.25876, abs=5e-6)
    assert posterior == pytest.approx(5.6482, abs=5e-5)
    clipped = schedule.posterior(2, 1).variance
    for variance, value in (("forward", beta), ("posterior", posterior)):
        more = bound(variance=variance, decoder_variance=clipped) - value
        assert more == pytest.approx(0.3410, abs=5e-5)
    for variance, value in (("forward", 4.25682), ("posterior", 4.25691)):
        table = diffusion.ancestral(schedule, np.arange(1000, -1, -1), variance)
        law = diffusion.law(table, target_at, np.zeros(3), np.eye(3))
        end = np.diag(law.cov[-1])
        assert 0.5 * (np.log(2 * np.pi * end) + variances / end).sum() == pytest.approx(value, abs=5e-6)


def test_bits_per_dimension():
    """Whole numbers 0 … 255 all as likely are 8 bits each, in their own units and scaled to [−1, 1]."""
    assert diffusion.bits_per_dim(-3 * np.log(256.0), 3) == pytest.approx(8, rel=1e-15)
    assert diffusion.bits_per_dim(-3 * np.log(2.0), 3, 2 / 256) == pytest.approx(8, rel=1e-15)
    np.testing.assert_allclose(diffusion.bits_per_dim([-2.0, -4.0], 2), np.array([1.0, 2.0]) / np.log(2))


def test_one_step_and_float32():
    x0, noise = RNG.standard_normal((3, D)).astype(np.float32), np.ones((1, 3, D), np.float32)
    terms = diffusion.elbo_terms(lambda t: lambda x: -x, Discrete([0.5]), x0, noise)
    assert terms.L_steps.shape == (0, 3) and terms.total.shape == (3,)
    x = np.sqrt(0.5) * (x0 + noise[0])
    decoded = (x - 0.5 * x) / np.sqrt(0.5)
    want = ((x0 - decoded) ** 2).sum(1) / (2 * 0.5) + np.log(2 * np.pi * 0.5)
    np.testing.assert_allclose(terms.L_0, want, rtol=1e-6)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"schedule": "vp"}, TypeError, "schedule must be a diffusion schedule, got str"),
        ({"schedule": VP()}, ValueError, "times must be given for VP"),
        (
            {"model": 3},
            TypeError,
            "model must be a DiffusionScore or a callable t -> score function, got int",
        ),
        (
            {"noise": np.zeros((5, 4, D))},
            ValueError,
            r"noise must have shape \(6, 4, 2\), got shape \(5, 4, 2\)",
        ),
        ({"times": [5, 1]}, ValueError, "times must end at clean data, σ = 0, got 1 with σ"),
        ({"times": [0, 1]}, ValueError, "times must decrease"),
        ({"times": [5.5, 0]}, ValueError, "times must be a whole number from 0 to 6"),
        (
            {"variance": "beta"},
            ValueError,
            "variance must be one of posterior, forward, or an array, got 'beta'",
        ),
        ({"variance": np.ones(6)}, ValueError, r"variance must have shape \(5,\)"),
        ({"variance": np.zeros(5)}, ValueError, "variance must be a finite number > 0"),
        ({"decoder_variance": 0.0}, ValueError, "decoder_variance must be a finite number > 0"),
        ({"x0": np.zeros(4)}, ValueError, "x0 must have shape"),
    ],
)
def test_what_does_not_fit_is_named(change, error, message):
    plain = {
        "model": lambda t: lambda x: -x,
        "schedule": Discrete(np.linspace(0.02, 0.45, 6)),
        "x0": np.zeros((4, D)),
        "noise": np.zeros((6, 4, D)),
    }
    with pytest.raises(error, match=message):
        diffusion.elbo_terms(**{**plain, **change})


def test_a_start_without_signal_is_refused():
    with pytest.raises(ValueError, match=r"times must start where α > 0, got 1\.0 of Flow"):
        diffusion.elbo_terms(
            lambda t: lambda x: -x, Flow(), np.zeros((2, D)), np.zeros((1, 2, D)), [1.0, 0.0]
        )


def test_a_model_of_another_schedule_is_refused():
    model = DiffusionScore(ns.MLP.init((D, 4, D), rng=0, condition=1), VP())
    with pytest.raises(ValueError, match="schedule must be the model's VP"):
        diffusion.elbo_terms(model, Cosine(), np.zeros((2, D)), np.zeros((1, 2, D)), [0.5, 0.0])
