"""Targets: the score is the gradient of log_prob, the divergence its trace, log_prob is normalised and right."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.target_zoo import ALL, BOUNDED, SMOOTH, expect, gaussian, integrate, mixture, student_t

from npscore.checks import complex_step_jacobian, relative_error
from npscore.targets import Gaussian, GaussianMixture, Laplace, Product, StudentT, Target, TruncatedGaussian

#: Their scores are checked pointwise; an average to 1e-10 would take millions of nodes.
TOO_MANY_NODES = ("Gaussian, d=4", "GaussianMixture, d=3")

every_target = pytest.mark.parametrize("target", ALL.values(), ids=ALL)


def assert_is_score(target, x):
    """eq-1.1 and its divergence, each against the complex step of what it is the derivative of."""
    assert relative_error(target.score(x), complex_step_jacobian(target.log_prob, x)) < 1e-12
    jacobian = complex_step_jacobian(target.score, x)
    np.testing.assert_allclose(jacobian, jacobian.transpose(0, 2, 1), atol=1e-12 * np.abs(jacobian).max())
    assert relative_error(target.score_divergence(x), np.trace(jacobian, axis1=1, axis2=2)) < 1e-12


@every_target
def test_the_score_is_the_gradient_and_the_divergence_its_trace(target):
    assert_is_score(target, target.sample(40, rng=1))


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 5), n=st.integers(1, 6), kind=st.integers(0, 2))
def test_the_score_is_the_gradient_for_random_parameters(seed, d, n, kind):
    """eq-1.8 to eq-1.12, on points up to ten deviations out."""
    target = (gaussian, mixture, student_t)[kind](seed, d)
    assert_is_score(target, 4 * np.random.default_rng(seed).standard_normal((n, d)))


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].d == 1])
def test_a_density_on_the_line_integrates_to_one(name):
    target = ALL[name]
    edges = [getattr(target, "low", -math.inf), getattr(target, "high", math.inf)]
    if isinstance(target, Laplace):
        edges.insert(1, target.loc)
    mass = sum(
        integrate(lambda x: np.exp(target.log_prob(x[:, None])), *piece) for piece in zip(edges, edges[1:])
    )
    assert abs(mass - 1) < 1e-12


@pytest.mark.parametrize("name", [name for name in SMOOTH if ALL[name].d == 2])
def test_a_density_on_the_plane_integrates_to_one(name):
    target = ALL[name]

    def marginal(first):
        rows = [np.column_stack([np.full(400, x), second]) for x in first]
        return (np.exp(target.log_prob(np.concatenate(rows))).reshape(-1, 400) * jacobian).sum(axis=1)

    u, w = np.polynomial.legendre.leggauss(400)
    second, jacobian = 3 * np.tan(0.5 * np.pi * u), 1.5 * np.pi * w / np.cos(0.5 * np.pi * u) ** 2
    assert abs((marginal(second) * jacobian).sum() - 1) < 1e-10


@pytest.mark.parametrize("name", ALL)
def test_log_prob_is_scipys(name):
    stats = pytest.importorskip("scipy.stats")
    target = ALL[name]
    x = target.sample(50, rng=2)
    frozen = {
        "Gaussian": lambda p: stats.multivariate_normal(p.mean, p.cov),
        "StudentT": lambda p: stats.multivariate_t(p.loc, p.scale_matrix, p.df),
        "Laplace": lambda p: stats.laplace(p.loc, p.scale),
        "Logistic": lambda p: stats.logistic(p.loc, p.scale),
        "Gumbel": lambda p: stats.gumbel_r(p.loc, p.scale),
        "Exponential": lambda p: stats.expon(scale=1 / p.rate),
        "Uniform": lambda p: stats.uniform(p.low, p.high - p.low),
        "TruncatedGaussian": lambda p: stats.truncnorm(
            (p.low - p.loc) / p.scale, (p.high - p.loc) / p.scale, p.loc, p.scale
        ),
    }

    def reference(p, x):
        if isinstance(p, Product):
            return sum(reference(factor, x[:, [j]]) for j, factor in enumerate(p.factors))
        if isinstance(p, GaussianMixture):
            parts = [w * np.exp(reference(Gaussian(m, c), x)) for w, m, c in zip(p.weights, p.means, p.covs)]
            return np.log(sum(parts))
        return frozen[type(p).__name__](p).logpdf(x if p.d > 1 else x[:, 0])

    np.testing.assert_allclose(target.log_prob(x), reference(target, x), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in SMOOTH if name not in TOO_MANY_NODES])
def test_the_score_averages_to_zero_and_fisher_information_has_two_forms(name):
    """E s = 0 and E s sᵀ = −E ∂s/∂x, for densities that vanish at infinity and have no edge."""
    target = SMOOTH[name]
    rule = target.quadrature({1: 300, 2: 150, 3: 50}[target.d])
    score = target.score(rule.nodes)
    assert np.abs(expect(rule, score)).max() < 1e-10
    outer = expect(rule, score[:, :, None] * score[:, None, :])
    hessian = expect(rule, complex_step_jacobian(target.score, rule.nodes))
    assert np.abs(outer + hessian).max() < 1e-10
    assert abs(np.trace(outer) + expect(rule, target.score_divergence(rule.nodes))) < 1e-10


@pytest.mark.parametrize("target", BOUNDED.values(), ids=BOUNDED)
def test_an_edge_breaks_both_identities_by_exactly_the_boundary_term(target):
    """E s = ∫ p′ = [p] and E[s² + s′] = ∫ p″ = [p s] over the edges, neither of them 0 (uniform: [p] = 0)."""
    rule = target.quadrature(100)
    score = target.score(rule.nodes)[:, 0]
    p, p_slope = 0.0, 0.0
    for edge, sign in ((target.high, 1), (target.low, -1)):
        if math.isfinite(edge):
            at = np.array([[edge]])
            p += sign * np.exp(target.log_prob(at)[0])
            p_slope += sign * np.exp(target.log_prob(at)[0]) * target.score(at)[0, 0]
    fisher = expect(rule, score**2 + target.score_divergence(rule.nodes))
    assert expect(rule, score) == pytest.approx(p, rel=1e-12, abs=1e-13)
    assert fisher == pytest.approx(p_slope, rel=1e-12, abs=1e-13)
    if hasattr(target, "rate") or hasattr(target, "loc"):
        assert abs(p) > 0.1 and abs(p_slope) > 0.1


def test_the_kink_of_laplace_hides_the_whole_fisher_information():
    """E s² = 1/b², while the divergence leaves out the point mass −(2/b) δ and averages to 0."""
    target = Laplace(0.3, 0.7)
    rule = target.quadrature(60)
    assert expect(rule, target.score(rule.nodes)[:, 0] ** 2) == pytest.approx(0.7**-2, rel=1e-14)
    assert not target.score_divergence(rule.nodes).any()
    assert target.score([[0.3]]) == 0
    point_mass = 2 / 0.7 * np.exp(target.log_prob([[0.3]])[0])
    assert point_mass == pytest.approx(0.7**-2, rel=1e-14)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3))
def test_the_mean_square_score_of_a_gaussian_is_the_trace_of_its_precision(seed, d):
    target = gaussian(seed, d)
    rule = target.quadrature(40)
    trace = np.trace(np.linalg.inv(target.cov))
    assert expect(rule, (target.score(rule.nodes) ** 2).sum(axis=1)) == pytest.approx(trace, rel=1e-12)


def test_the_mixture_score_is_the_posterior_mean_of_its_components():
    """eq-1.9 and the form of eq-1.10 that cancels, both spelt out."""
    target = mixture(7, 3)
    x = target.sample(30, rng=0)
    parts = [Gaussian(m, c) for m, c in zip(target.means, target.covs)]
    r = np.stack([w * np.exp(p.log_prob(x) - target.log_prob(x)) for w, p in zip(target.weights, parts)])
    scores = np.stack([p.score(x) for p in parts])
    score = np.einsum("kn,knd->nd", r, scores)
    np.testing.assert_allclose(target.score(x), score, rtol=1e-12, atol=1e-12)
    inner = np.stack([p.score_divergence(x) for p in parts]) + (scores**2).sum(axis=2)
    divergence = (r * inner).sum(axis=0) - (score**2).sum(axis=1)
    np.testing.assert_allclose(target.score_divergence(x), divergence, rtol=1e-10, atol=1e-10)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 5))
def test_limits(seed, d):
    """One component is a Gaussian; ν = 10¹³ is a Gaussian; no truncation is a Gaussian."""
    normal, x = gaussian(seed, d), np.random.default_rng(seed).standard_normal((5, d))
    alone = GaussianMixture([1.0], [normal.mean], [normal.cov])
    heavy = StudentT(normal.mean, normal.cov, 1e13)
    line = TruncatedGaussian(0.3, 2.0, -math.inf, math.inf), Gaussian([0.3], [[4.0]])
    for one, other, at in ((alone, normal, x), (heavy, normal, x), (*line, x[:, :1])):
        np.testing.assert_allclose(one.log_prob(at), other.log_prob(at), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(one.score(at), other.score(at), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(one.score_divergence(at), other.score_divergence(at), rtol=1e-9)


@pytest.mark.parametrize("target", [gaussian(8, 2), mixture(9, 2)], ids=["Gaussian", "GaussianMixture"])
def test_smoothing_is_convolution_and_tweedie_gives_the_posterior_mean(target):
    """eq-1.17: p_σ(y) = E_p N(y; x, σ²I), and E[x | y] = y + σ² ∇log p_σ(y)."""
    sigma, y = 0.8, target.sample(5, rng=0)
    smooth, rule = target.smoothed(sigma), target.quadrature(160)
    kernel = np.stack([np.exp(Gaussian(at, sigma**2 * np.eye(2)).log_prob(rule.nodes)) for at in y])  # (5, m)
    density = kernel @ rule.weights
    np.testing.assert_allclose(np.exp(smooth.log_prob(y)), density, rtol=1e-11)
    posterior_mean = (kernel * rule.weights) @ rule.nodes / density[:, None]
    np.testing.assert_allclose(y + sigma**2 * smooth.score(y), posterior_mean, rtol=1e-10, atol=1e-11)


def test_a_new_target_needs_the_six_things_the_base_names():
    needed = {"d", "_log_prob", "_score", "_score_divergence", "_sample", "quadrature"}
    assert Target.__abstractmethods__ == needed
    assert all(isinstance(target, Target) for target in ALL.values())
