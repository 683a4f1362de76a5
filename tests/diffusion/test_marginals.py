"""The densities of x_t along the forward process: ∂ₜ log pₜ, and how two data laws come together."""

import numpy as np
import pytest

from npscore.diffusion import EDM, VE, VP, Cosine, Flow, SubVP
from npscore.targets import Gaussian, GaussianMixture

WEIGHTS = np.array([0.2, 0.5, 0.3])
RNG = np.random.default_rng(3)
MEANS = 1.5 * RNG.standard_normal((3, 2))
COVS = np.array([f @ f.T + 0.1 * np.eye(2) for f in RNG.standard_normal((3, 2, 2))])
MIXTURE = GaussianMixture(WEIGHTS, MEANS, COVS)
X = 1.3 * RNG.standard_normal((9, 2))
SCHEDULES = [
    VP(),
    VP(0.3, 7.0),
    SubVP(),
    VE(0.1, 6.0),
    VE(0.1, 6.0, exact=True),
    EDM(),
    Cosine(),
    Cosine(0.1),
    Flow(),
]
STEP = 1e-30


def log_prob(x, alpha, sigma):
    """log Σ wₖ N(x; α μₖ, α² Σₖ + σ² I) in two dimensions, with complex α and σ."""
    terms = []
    for weight, mean, cov in zip(WEIGHTS, MEANS, COVS):
        C = alpha**2 * cov + sigma**2 * np.eye(2)
        det = C[0, 0] * C[1, 1] - C[0, 1] * C[1, 0]
        adjugate = np.array([[C[1, 1], -C[0, 1]], [-C[1, 0], C[0, 0]]])
        y = x - alpha * mean
        square = np.einsum("ni,ij,nj->n", y, adjugate, y) / det
        terms.append(weight * np.exp(-0.5 * square) / (2 * np.pi * np.sqrt(det)))
    return np.log(sum(terms))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("t", [0.06, 0.3, 0.62, 0.9])
def test_the_density_of_x_t_moves_as_fokker_and_planck_say(schedule, t):
    """∂ₜ log pₜ = −f d − f x·s + ½ g² (div s + ‖s‖²), by complex step in t through α and σ.

    It sees every inconsistency between σ(t), f and g², every ½ and every sign.
    """
    p = MIXTURE.diffused(schedule.alpha(t), schedule.sigma(t))
    alpha, sigma = schedule.alpha(t + 1j * STEP), schedule.sigma(t + 1j * STEP)
    np.testing.assert_allclose(log_prob(X, alpha.real, sigma.real), p.log_prob(X), rtol=1e-12, atol=1e-13)
    rate = log_prob(X, alpha, sigma).imag / STEP
    s, f, g2 = p.score(X), schedule.f(t), schedule.g2(t)
    spread = p.score_divergence(X) + (s * s).sum(axis=1)
    want = -2 * f - f * (X * s).sum(axis=1) + 0.5 * g2 * spread
    assert np.abs(rate - want).max() < 1e-12 * (np.abs(f) + np.abs(g2 * spread).max())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("t", [0.1, 0.5, 0.88])
def test_two_data_laws_come_together_at_the_rate_of_their_scores(schedule, t):
    """dKL(pₜ ‖ qₜ)/dt = −½ g² E_p‖s_p − s_q‖², for Gaussians: why likelihood weighting is g²."""
    p0, q0 = Gaussian([0.4, -1.0], COVS[0]), Gaussian([-0.3, 0.2], COVS[1])

    def moments(alpha, sigma, one):
        return alpha * one.mean, alpha**2 * one.cov + sigma**2 * np.eye(2)

    def kl(alpha, sigma):
        (m, C), (k, E) = (moments(alpha, sigma, one) for one in (p0, q0))
        inverse = np.linalg.inv(E)
        log_ratio = np.log(np.linalg.det(E) / np.linalg.det(C))
        return 0.5 * (np.trace(inverse @ C) + (m - k) @ inverse @ (m - k) - 2 + log_ratio)

    got = kl(schedule.alpha(t + 1j * STEP), schedule.sigma(t + 1j * STEP)).imag / STEP
    p, q = (one.diffused(schedule.alpha(t), schedule.sigma(t)) for one in (p0, q0))
    P, Q = np.linalg.inv(p.cov), np.linalg.inv(q.cov)
    slope = Q - P  # s_p − s_q = slope (x − m) + Q (m − k)
    gap = Q @ (p.mean - q.mean)
    mean_square = np.trace(slope @ p.cov @ slope.T) + gap @ gap
    assert got == pytest.approx(-0.5 * schedule.g2(t) * mean_square, rel=1e-11)


@pytest.mark.parametrize("schedule", [Flow(), Cosine(), VP()], ids=repr)
def test_the_flow_s_velocity_is_what_data_and_noise_are_expected_to_do(schedule):
    """f x − ½ g² s = E[α′ x₀ + σ′ ε | x]; for Flow E[ε − x₀ | x]."""
    for t in (0.2, 0.7):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        s = MIXTURE.diffused(alpha, sigma).score(X)
        x0 = (X + sigma**2 * s) / alpha
        dalpha, dsigma = schedule.slopes(t)
        velocity = schedule.f(t) * X - 0.5 * schedule.g2(t) * s
        np.testing.assert_allclose(dalpha * x0 - dsigma * sigma * s, velocity, rtol=1e-11, atol=1e-12)
    if schedule == Flow():
        assert schedule.slopes(0.3) == (-1.0, 1.0) == schedule.slopes(1.0) == schedule.slopes(0.0)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_slopes_are_derivatives_without_cancellation(schedule):
    t = np.array([1e-6, 0.1, 0.5, 0.9, 0.999])
    dalpha, dsigma = schedule.slopes(t)
    moved = t + 1j * STEP
    np.testing.assert_allclose(dalpha, schedule.alpha(moved).imag / STEP, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(dsigma, schedule.sigma(moved).imag / STEP, rtol=1e-13, atol=1e-15)
