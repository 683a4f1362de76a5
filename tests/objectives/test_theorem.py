"""The theorem by exact quadrature: J_ISM = J_ESM + C for every θ, with the constant and both gradients.

Networks are random in shape, depth, activation and weights. The number of nodes is chosen so that what the
rule leaves is rounding: one test measures that it does. Where an assumption fails (an edge inside), the
identity must fail too, by exactly the boundary term.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import ACTIVATIONS, activations, gaussian_parameters, gradient_error, network, seeds

import npscore as ns
from npscore import targets
from npscore.checks import relative_error

#: Nodes a dimension, and the weights' size that this many nodes resolve to rounding.
ORDER = {1: 320, 2: 110, 3: 42}
SCALE = {1: 0.9, 2: 0.7, 3: 0.45}

depths = st.integers(0, 3)
small_dimensions = st.integers(1, 2)


def smooth_network(rng, d, depth, activation):
    """A network whose poles stay a distance of about 1 from the real axis. Powers: of degree 4 at most."""
    depth = min(depth, {"square": 2, "cube": 1}.get(activation, depth))
    return network(rng, d, rng.integers(2, 6, size=depth), activation, SCALE[d])


def mixture(seed, d):
    """Two or three components in general position."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(2 + seed % 2, 5.0))
    parameters = [gaussian_parameters(seed + k, d) for k in range(len(weights))]
    means, covs = zip(*parameters)
    return targets.GaussianMixture(weights, means, covs)


def mean_square_score(target, x, w):
    s = target.score(x)
    return w @ (s * s).sum(axis=1)


def assert_theorem(target, models, order, constant):
    """ISM − ESM = constant (2.3, 2.4) and ∇ISM = ∇ESM, for each model."""
    x, w = target.quadrature(order)
    s = target.score(x)
    for model in models:
        implicit, explicit = ns.ism(model, x, w), ns.esm(model, x, s, w)
        scale = max(1.0, explicit.loss)  # rounding is relative to what is subtracted
        assert abs(implicit.loss - explicit.loss - constant) < 1e-10 * scale, model
        assert gradient_error(model, implicit.grad, explicit.grad) < 1e-9, model


# ---- explicit and implicit ---------------------------------------------------------------------------


@settings(max_examples=40)
@given(seed=seeds, d=small_dimensions, depth=depths, activation=activations)
def test_on_a_gaussian(seed, d, depth, activation):  # eq-2.1, eq-2.2, eq-2.3, eq-2.4
    mean, cov = gaussian_parameters(seed, d)
    rng = np.random.default_rng(seed)
    models = [smooth_network(rng, d, depth, activation), smooth_network(rng, d, 1, "tanh")]
    constant = -0.5 * np.trace(np.linalg.inv(cov))
    assert_theorem(targets.Gaussian(mean, cov), models, ORDER[d], constant)


@settings(max_examples=8)
@given(seed=seeds, depth=st.integers(0, 2), activation=activations)
def test_on_a_gaussian_in_three_dimensions(seed, depth, activation):
    mean, cov = gaussian_parameters(seed, 3)
    model = smooth_network(np.random.default_rng(seed), 3, depth, activation)
    assert_theorem(targets.Gaussian(mean, cov), [model], ORDER[3], -0.5 * np.trace(np.linalg.inv(cov)))


@settings(max_examples=20)
@given(seed=seeds, d=small_dimensions, depth=depths, activation=activations)
def test_on_a_mixture(seed, d, depth, activation):
    target = mixture(seed, d)
    rng = np.random.default_rng(seed)
    models = [smooth_network(rng, d, depth, activation), smooth_network(rng, d, 1, "sin")]
    x, w = target.quadrature(ORDER[d])
    constant = -0.5 * mean_square_score(target, x, w)
    assert abs(constant - 0.5 * w @ target.score_divergence(x)) < 1e-10  # the theorem at ŝ = s itself
    assert_theorem(target, models, ORDER[d], constant)


@given(seed=seeds, d=st.integers(1, 8))
def test_for_a_linear_score_in_closed_form_at_any_dimension(seed, d):  # eq-3.1, eq-3.2, eq-3.4
    mean, cov = gaussian_parameters(seed, d)
    rng = np.random.default_rng(seed)
    constant = -0.5 * np.trace(np.linalg.inv(cov))
    for _ in range(3):
        model = ns.LinearScore(rng.standard_normal((d, d)), rng.standard_normal(d))
        implicit, explicit = model.population_ism(mean, cov), model.population_esm(mean, cov)
        assert abs(implicit.loss - explicit.loss - constant) < 1e-11
        assert gradient_error(model, implicit.grad, explicit.grad) < 1e-12


@pytest.mark.parametrize(
    "target",
    [
        targets.Laplace(0.3, 1.2),  # log p has a kink, p none: assumption 1 need not hold at a point
        targets.Logistic(-0.2, 0.8),
        targets.Gumbel(0.1, 0.9),
        targets.StudentT([0.4], [[1.1]], 9.0),
    ],
    ids=lambda target: type(target).__name__,
)
@pytest.mark.parametrize("activation", ["tanh", "erf", "sigmoid"])
def test_on_other_densities(target, activation):
    rng = np.random.default_rng(0)
    models = [network(rng, 1, hidden, activation, 0.6) for hidden in ((3,), (4, 3))]
    x, w = target.quadrature(800)
    assert_theorem(target, models, 800, -0.5 * mean_square_score(target, x, w))


@given(seed=seeds, d=small_dimensions)
def test_without_the_half_explicit_is_twice_implicit_plus_a_constant(seed, d):  # eq-2.6
    target = targets.Gaussian(*gaussian_parameters(seed, d))
    x, w = target.quadrature(ORDER[d])
    s = target.score(x)
    constants = []
    for k in range(3):
        model = smooth_network(np.random.default_rng(seed + k), d, 1, "tanh")
        unhalved = w @ ((model.score(x) - s) ** 2).sum(axis=1)
        constants.append(unhalved - 2 * ns.ism(model, x, w).loss)
        assert abs(constants[-1] - mean_square_score(target, x, w)) < 1e-10
        # As the lecture note has it, ‖ŝ − s‖² = ISM + C, the "constant" changes with θ:
        constants[-1] = unhalved - ns.ism(model, x, w).loss
    assert np.ptp(constants) > 1e-3


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("d", [1, 2])
def test_the_nodes_are_enough(activation, d):
    """Half as many again change neither loss: the tolerances above judge the theorem, not the rule."""
    target = targets.Gaussian(*gaussian_parameters(5, d))
    model = smooth_network(np.random.default_rng(5), d, 2, activation)
    coarse, fine = (
        [ns.ism(model, x, w), ns.esm(model, x, target.score, w)]
        for x, w in (target.quadrature(ORDER[d]), target.quadrature(3 * ORDER[d] // 2))
    )
    for a, b in zip(coarse, fine):
        assert abs(a.loss - b.loss) < 1e-11 * max(1.0, abs(b.loss))
        assert gradient_error(model, a.grad, b.grad) < 1e-10


# ---- denoising ---------------------------------------------------------------------------------------


def joint_quadrature(target, order, order_noise):
    """Nodes x, ε ~ N(0, I) and weights for expectations over both: (m, d), (m, d), (m,)."""
    x, w = target.quadrature(order)
    noise, w_noise = targets.Gaussian(np.zeros(target.d), np.eye(target.d)).quadrature(order_noise)
    return (
        np.repeat(x, len(noise), axis=0),
        np.tile(noise, (len(x), 1)),
        np.multiply.outer(w, w_noise).ravel(),
    )


def assert_vincent(target, model, sigma, order_joint, order):
    """DSM − ESM(p_σ) = d/(2σ²) − ½ E‖∇log p_σ‖², and equal gradients (8.2, 8.3)."""
    x, noise, w = joint_quadrature(target, order_joint, order_joint)
    smoothed = target.smoothed(sigma)
    y, w_y = smoothed.quadrature(order)
    denoising, explicit = ns.dsm(model, x, noise, sigma, w), ns.esm(model, y, smoothed.score, w_y)
    constant = target.d / (2 * sigma**2) - 0.5 * mean_square_score(smoothed, y, w_y)
    scale = max(1.0, denoising.loss)
    assert abs(denoising.loss - explicit.loss - constant) < 1e-10 * scale, model
    assert gradient_error(model, denoising.grad, explicit.grad) < 1e-9, model


@given(
    seed=seeds,
    depth=depths,
    activation=activations,
    sigma=st.sampled_from([0.3, 0.7, 1.5]),
    many=st.booleans(),
)
def test_denoising_is_explicit_on_the_smoothed_density(seed, depth, activation, sigma, many):
    target = mixture(seed, 1) if many else targets.Gaussian(*gaussian_parameters(seed, 1))
    assert_vincent(
        target, smooth_network(np.random.default_rng(seed), 1, depth, activation), sigma, 130, ORDER[1]
    )


@pytest.mark.parametrize("activation", ["sin", "softplus"])
def test_denoising_in_two_dimensions(activation):
    target = targets.Gaussian(*gaussian_parameters(1, 2))
    model = network(np.random.default_rng(1), 2, (3,), activation, 0.3)
    assert_vincent(target, model, 0.8, 24, 60)


@given(seed=seeds, d=st.integers(1, 8), sigma=st.sampled_from([0.2, 1.0]))
def test_denoising_for_a_linear_score_in_closed_form(seed, d, sigma):  # eq-3.5
    mean, cov = gaussian_parameters(seed, d)
    smoothed = cov + sigma**2 * np.eye(d)
    rng = np.random.default_rng(seed)
    model = ns.LinearScore(rng.standard_normal((d, d)), rng.standard_normal(d))
    denoising, explicit = model.population_dsm(mean, cov, sigma), model.population_esm(mean, smoothed)
    constant = d / (2 * sigma**2) - 0.5 * np.trace(np.linalg.inv(smoothed))
    assert abs(denoising.loss - explicit.loss - constant) < 1e-11
    assert gradient_error(model, denoising.grad, explicit.grad) < 1e-12


# ---- where it must fail ------------------------------------------------------------------------------


def flux(target, model):
    """[p ŝ] at the edges of the support (2.5)."""
    total = 0.0
    for edge, sign in ((target.low, -1), (target.high, 1)):
        if np.isfinite(edge):
            at = np.array([[edge]])
            total += sign * np.exp(target.log_prob(at)[0]) * model.score(at)[0, 0]
    return total


EDGED = [
    targets.Exponential(1.3),
    targets.Uniform(-0.5, 1.5),
    targets.TruncatedGaussian(0.2, 1.0, -0.7, np.inf),
    targets.TruncatedGaussian(0.2, 1.0, -0.7, 1.1),
]


@pytest.mark.parametrize("target", EDGED, ids=lambda target: type(target).__name__)
@pytest.mark.parametrize("hidden", [(), (4,), (3, 4)])
def test_with_an_edge_the_identity_fails_by_the_boundary_term(target, hidden):  # eq-2.5
    x, w = target.quadrature(300)
    constant = -0.5 * mean_square_score(target, x, w)
    differences = []
    for seed in range(4):
        model = network(np.random.default_rng(seed), 1, hidden, "tanh", 0.7)
        gap = ns.ism(model, x, w).loss - ns.esm(model, x, target.score, w).loss - constant
        assert abs(gap - flux(target, model)) < 1e-10
        differences.append(gap)
    assert np.ptp(differences) > 0.1  # no constant at all: the minimisers differ as well


@pytest.mark.parametrize("target", EDGED, ids=lambda target: type(target).__name__)
def test_a_score_that_vanishes_at_the_edge_restores_it(target):
    x, w = target.quadrature(300)
    low, high = target.low, min(target.high, 1e300)
    if high == 1e300:  # ŝ(x) = tanh(x − low): zero at the only edge
        model = ns.MLP([([[1.0]], [-low]), ([[1.0]], [0.0])])
    else:  # ŝ(x) = (x − centre)² − half²: zero at both
        centre, half = 0.5 * (low + high), 0.5 * (high - low)
        model = ns.MLP([([[1.0]], [-centre]), ([[1.0]], [-(half**2)])], "square")
    assert abs(flux(target, model)) < 1e-15
    gap = ns.ism(model, x, w).loss - ns.esm(model, x, target.score, w).loss
    assert abs(gap + 0.5 * mean_square_score(target, x, w)) < 1e-10


def test_the_gradients_differ_by_that_of_the_flux():
    target = targets.TruncatedGaussian(0.2, 1.0, -0.7, 1.1)
    x, w = target.quadrature(300)
    model = network(np.random.default_rng(0), 1, (4,), "tanh", 0.7)
    edges = np.array([[target.low], [target.high]])
    signed = np.exp(target.log_prob(edges)) * [-1.0, 1.0]
    gap = ns.ism(model, x, w).grad - ns.esm(model, x, target.score, w).grad
    assert relative_error(gap, model.score_vjp(edges)[-1](signed[:, None])) < 1e-10
