"""The affine score: fitted in closed form, and its population losses against quadrature and against samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import gaussian_parameters, gradient_error, seeds, sign_vectors

import npscore as ns
from npscore.checks import complex_step_gradient, complex_step_jacobian, relative_error

any_dimension = st.integers(1, 8)


def affine(seed, d):
    rng = np.random.default_rng(seed)
    return ns.LinearScore(rng.standard_normal((d, d)), rng.standard_normal(d))


def sample(seed, n, d):
    mean, cov = gaussian_parameters(seed, d)
    return mean + np.random.default_rng(seed + 1).standard_normal((n, d)) @ np.linalg.cholesky(cov).T


# ---- the model ---------------------------------------------------------------------------------------


@given(seed=seeds, d=any_dimension)
def test_its_jacobian_trace_and_quadratic_form_are_those_of_a(seed, d):
    model, x = affine(seed, d), sample(seed, 3, d)
    np.testing.assert_allclose(model.score(x), [model.A @ row + model.b for row in x], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.jacobian(x), complex_step_jacobian(model.score, x), rtol=1e-15)
    np.testing.assert_allclose(model.divergence(x), np.full(3, np.trace(model.A)), rtol=1e-14)
    v = np.random.default_rng(seed).standard_normal((2, 3, d))
    q = model.quadratic_form_vjp(x, v)[1]
    np.testing.assert_allclose(q, np.einsum("mni,ij,mnj->mn", v, model.A, v), rtol=1e-11, atol=1e-12)


@given(seed=seeds, d=any_dimension)
def test_it_is_the_network_without_hidden_layers(seed, d):
    model, x = affine(seed, d), sample(seed, 4, d)
    network = ns.MLP([(model.A, model.b)])
    np.testing.assert_array_equal(model.theta, network.theta)
    np.testing.assert_allclose(ns.ism(model, x).grad, ns.ism(network, x).grad, rtol=1e-12, atol=1e-12)
    v = sign_vectors(min(d, 3), 4) if d <= 3 else np.ones((1, 4, d))
    np.testing.assert_allclose(ns.ssm(model, x, v).grad, ns.ssm(network, x, v).grad, rtol=1e-11, atol=1e-11)


# ---- fitting in closed form --------------------------------------------------------------------------


@given(seed=seeds, d=any_dimension)
def test_fit_is_the_gaussian_of_maximum_likelihood(seed, d):  # eq-3.3
    x = sample(seed, 6 * d + 5, d)
    model, cov = ns.LinearScore.fit(x), np.cov(x.T, bias=True).reshape(d, d)
    condition = np.linalg.cond(cov)
    assert relative_error(-model.A @ cov, np.eye(d)) < 1e-14 * condition
    assert relative_error(model.b, -model.A @ x.mean(axis=0)) < 1e-13
    likelihood = ns.targets.Gaussian(x.mean(axis=0), cov)  # with n - 1 for n this would not be stationary:
    for factor, sign in ((0.99, -1), (1.01, 1)):  # the log-likelihood falls to either side
        other = ns.targets.Gaussian(x.mean(axis=0), factor * cov)
        assert likelihood.log_prob(x).sum() > other.log_prob(x).sum(), sign
    assert relative_error(model.score(x), likelihood.score(x)) < 1e-13 * condition


@given(seed=seeds, d=any_dimension)
def test_fit_is_the_stationary_point_of_implicit_score_matching(seed, d):
    x = sample(seed, 6 * d + 5, d)
    model = ns.LinearScore.fit(x)
    assert np.abs(ns.ism(model, x).grad).max() < 1e-12
    moved = model.with_theta(
        model.theta + 1e-3 * np.random.default_rng(seed).standard_normal(model.theta.size)
    )
    assert ns.ism(moved, x).loss > ns.ism(model, x).loss
    spread = x - x.mean(axis=0)
    best = -0.5 * np.trace(np.linalg.inv(spread.T @ spread / len(x)))  # eq-3.6 at the data itself
    assert abs(ns.ism(model, x).loss - best) < 1e-12 * abs(best)


def test_fit_minimises_the_weighted_loss():
    x, w = sample(0, 20, 3), np.random.default_rng(1).uniform(0, 3, 20)
    model = ns.LinearScore.fit(x, w)
    assert np.abs(ns.ism(model, x, w).grad).max() < 1e-12
    np.testing.assert_allclose(model.theta, ns.LinearScore.fit(x, 7 * w).theta, rtol=1e-12)
    whole = np.array([1, 2, 3, 1, 2] * 4)
    repeated = ns.LinearScore.fit(np.repeat(x, whole, axis=0))
    np.testing.assert_allclose(ns.LinearScore.fit(x, whole).theta, repeated.theta, rtol=1e-11)


@given(seed=seeds, d=any_dimension)
def test_the_score_of_a_gaussian(seed, d):  # eq-1.8
    mean, cov = gaussian_parameters(seed, d)
    x = sample(seed, 5, d)
    target = ns.targets.Gaussian(mean, cov)
    model = ns.LinearScore.from_gaussian(mean, cov)
    assert relative_error(model.score(x), target.score(x)) < 1e-13
    assert relative_error(model.divergence(x), target.score_divergence(x)) < 1e-13


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_types_are_kept(dtype):
    x = sample(2, 30, 3).astype(dtype)
    mean, cov = (a.astype(dtype) for a in gaussian_parameters(0, 3))
    model = ns.LinearScore.fit(x)
    assert model.dtype == ns.LinearScore.from_gaussian(mean, cov).dtype == dtype
    for population in (
        model.population_ism,
        model.population_esm,
        lambda m, c: model.population_dsm(m, c, 0.5),
    ):
        assert population(mean, cov).grad.dtype == dtype


# ---- population losses -------------------------------------------------------------------------------


@given(seed=seeds, d=any_dimension)
def test_population_ism_at_the_sample_moments_is_the_sample_loss(seed, d):  # eq-3.1, eq-3.2
    x = sample(seed, 4 * d + 3, d)
    model = affine(seed + 1, d)
    spread = x - x.mean(axis=0)
    loss, grad = model.population_ism(x.mean(axis=0), spread.T @ spread / len(x))
    empirical = ns.ism(model, x)
    assert abs(loss - empirical.loss) < 1e-12 * abs(empirical.per_sample).mean()
    assert gradient_error(model, grad, empirical.grad) < 1e-12


@pytest.mark.parametrize("name", ["ism", "esm", "dsm"])
@given(seed=seeds, d=any_dimension)
def test_population_gradients_are_the_complex_step(name, seed, d):
    model, (mean, cov) = affine(seed, d), gaussian_parameters(seed, d)
    extra = (0.7,) if name == "dsm" else ()

    def population(theta):
        return getattr(model.with_theta(theta), f"population_{name}")(mean, cov, *extra)

    expected = complex_step_gradient(lambda theta: population(theta).loss, model.theta)
    assert gradient_error(model, population(model.theta).grad, expected) < 1e-12


@pytest.mark.parametrize("d", [1, 2, 3])
def test_population_losses_are_the_expectations_by_quadrature(d):  # eq-3.1, eq-3.2, eq-3.4
    model, (mean, cov) = affine(d, d), gaussian_parameters(d, d)
    target = ns.targets.Gaussian(mean, cov)
    x, w = target.quadrature(30)
    for exact, expected in (
        (model.population_ism(mean, cov), ns.ism(model, x, w)),
        (model.population_esm(mean, cov), ns.esm(model, x, target.score, w)),
    ):
        np.testing.assert_allclose(exact.loss, expected.loss, rtol=1e-12)
        assert gradient_error(model, exact.grad, expected.grad) < 1e-12


@pytest.mark.parametrize("d", [1, 2])
def test_population_dsm_is_the_expectation_by_quadrature(d):  # eq-3.5
    model, (mean, cov), sigma = affine(d, d), gaussian_parameters(d, d), 0.6
    x, w = ns.targets.Gaussian(mean, cov).quadrature(30)
    eps, w_eps = ns.targets.Gaussian(np.zeros(d), np.eye(d)).quadrature(30)
    expected = ns.dsm(
        model, np.repeat(x, len(eps), axis=0), np.tile(eps, (len(x), 1)), sigma, np.outer(w, w_eps).ravel()
    )
    exact = model.population_dsm(mean, cov, sigma)
    np.testing.assert_allclose(exact.loss, expected.loss, rtol=1e-12)
    assert gradient_error(model, exact.grad, expected.grad) < 1e-12


@given(seed=seeds, d=any_dimension, sigma=st.sampled_from([0.1, 0.5, 2.0]))
def test_the_minimisers_are_the_scores_of_the_gaussian_and_of_the_smoothed_gaussian(seed, d, sigma):
    mean, cov = gaussian_parameters(seed, d)
    smoothed = cov + sigma**2 * np.eye(d)
    clean, noisy = (ns.LinearScore.from_gaussian(mean, c) for c in (cov, smoothed))
    assert np.abs(clean.population_ism(mean, cov).grad).max() < 1e-13
    assert np.abs(clean.population_esm(mean, cov).grad).max() < 1e-13
    assert abs(clean.population_esm(mean, cov).loss) < 1e-25
    assert np.abs(noisy.population_dsm(mean, cov, sigma).grad).max() < 1e-13
    assert np.abs(clean.population_dsm(mean, cov, sigma).grad).max() > 1e-3  # DSM does not learn p itself
    floor = d / (2 * sigma**2) - 0.5 * np.trace(np.linalg.inv(smoothed))  # eq-8.3
    np.testing.assert_allclose(noisy.population_dsm(mean, cov, sigma).loss, floor, rtol=1e-12)


@pytest.mark.parametrize(
    "x",
    [
        np.ones((5, 2)),  # one distinct row
        np.eye(3),  # n = d: three points span a plane
        np.outer(np.arange(6.0), [1.0, 2.0]),  # a dependent column
        np.random.default_rng(0).standard_normal((8, 2)) * [1.0, 0.0] + [0.0, 3.0],  # a constant column
    ],
)
def test_a_singular_covariance_is_refused(x):
    with pytest.raises(ValueError, match=r"x must have a covariance of full rank \(more than d = "):
        ns.LinearScore.fit(x)


def test_fit_does_not_mind_the_units_of_the_columns():
    x = np.random.default_rng(0).standard_normal((50, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    units = np.array([1.0, 1e-8])
    np.testing.assert_allclose(
        ns.LinearScore.fit(x * units).A, ns.LinearScore.fit(x).A / np.outer(units, units), rtol=1e-10
    )
