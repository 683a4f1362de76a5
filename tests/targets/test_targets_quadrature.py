"""Quadrature: moments in closed form, convergence on tanh networks, sizes, and the rules side by side."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.target_zoo import ALL, expect, gaussian, mixture, student_t

from npscore.targets import (
    Exponential,
    Gaussian,
    Gumbel,
    Laplace,
    Logistic,
    Product,
    StudentT,
    TruncatedGaussian,
    Uniform,
)

ZETA_3 = 1.2020569031595942


def tanh_network(seed, d):
    """A two-hidden-layer tanh network with O(1) weights, whose square has poles near the real axis."""
    rng = np.random.default_rng(seed)
    first, second, last = rng.standard_normal((8, d)), rng.standard_normal((8, 8)), rng.standard_normal(8)
    bias = rng.standard_normal(8)
    return lambda x: (np.tanh(np.tanh(x @ first.T + bias) @ second.T / 2) @ last) ** 2


@pytest.mark.parametrize("name", ALL)
def test_weights_sum_to_one_and_mean_and_covariance_are_right(name):
    target = ALL[name]
    rule = target.quadrature({1: 60, 2: 60, 3: 50, 4: 26}[target.d])
    assert rule.weights.dtype == rule.nodes.dtype == np.float64
    assert rule.nodes.shape == (rule.weights.size, target.d) and (rule.weights >= 0).all()
    assert abs(rule.weights.sum() - 1) < 1e-13
    assert np.isfinite(target.log_prob(rule.nodes)).all()
    mean = expect(rule, rule.nodes)
    np.testing.assert_allclose(mean, target.mean, atol=1e-12)
    if name != "StudentT, d=3":  # df = 2.7: the variance is there, at the 1e-9 of three heavy tails
        centred = rule.nodes - mean
        cov = (rule.weights[:, None] * centred).T @ centred
        np.testing.assert_allclose(cov, target.cov, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rule", ["trapezoid", "gauss-hermite"])
@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), order=st.integers(25, 60))
def test_gaussian_moments_from_order_25(rule, seed, order):
    """E z^k = (k − 1)!! to 1e-13, and Isserlis' E x₁²x₂² = Σ₁₁Σ₂₂ + 2Σ₁₂² (eq-1.18, eq-1.19)."""
    nodes, weights = Gaussian([0.0], [[1.0]]).quadrature(order, rule=rule)
    for power, moment in ((0, 1), (1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        if power <= 2 or order >= 30:
            assert abs((weights * nodes[:, 0] ** power).sum() - moment) < 1e-13 * max(moment, 1)
    target = gaussian(seed, 2)
    nodes, weights = target.quadrature(order, rule=rule)
    squares = (nodes - target.mean) ** 2
    (a, b), (_, c) = target.cov
    assert (weights * squares.prod(axis=1)).sum() == pytest.approx(a * c + 2 * b * b, rel=1e-11)


def standard_moments():
    """(standard density, [(power, E z^power), …])."""
    g, pi = np.euler_gamma, math.pi
    yield Exponential(1.0), [(k, math.factorial(k)) for k in range(1, 7)]
    yield Laplace(0.0, 1.0), [(k, math.factorial(k) * (k % 2 == 0)) for k in range(1, 7)]
    yield Logistic(0.0, 1.0), [(2, pi**2 / 3), (4, 7 * pi**4 / 15), (6, 31 * pi**6 / 21)]
    yield Gumbel(0.0, 1.0), [(1, g), (2, g**2 + pi**2 / 6), (3, g**3 + g * pi**2 / 2 + 2 * ZETA_3)]
    yield Uniform(0.0, 1.0), [(k, 1 / (k + 1)) for k in range(1, 20)]
    half_normal = TruncatedGaussian(0.0, 1.0, 0.0, math.inf)
    yield half_normal, [(1, math.sqrt(2 / pi)), (2, 1), (3, 2 * math.sqrt(2 / pi)), (4, 3)]


@pytest.mark.parametrize(("target", "moments"), list(standard_moments()), ids=lambda p: type(p).__name__)
def test_moments_on_the_line(target, moments):
    nodes, weights = target.quadrature(60)
    for power, moment in moments:
        assert abs((weights * nodes[:, 0] ** power).sum() - moment) < 1e-13 * max(moment, 1)


@pytest.mark.parametrize("df", [0.6, 1.0, 2.5, 3.0, 4.5, 8.5, 10.0, 30.0, 1e3, 1e8])
def test_student_t_moments_as_far_as_they_exist(df):
    """E t^k = ν^{k/2} Γ((k+1)/2) Γ((ν−k)/2)/(√π Γ(ν/2)) = ∏_{j=1}^{k/2} ν (2j−1)/(ν−2j) for even k < ν."""
    nodes, weights = StudentT([0.0], [[1.0]], df).quadrature(60)
    for power in (2, 4, 6, 8):
        if df >= power + 0.5:
            moment = np.prod([df * (2 * j - 1) / (df - 2 * j) for j in range(1, power // 2 + 1)])
            assert (weights * nodes[:, 0] ** power).sum() == pytest.approx(moment, rel=1e-10)
    assert abs((weights * np.tanh(nodes[:, 0])).sum()) < 1e-15
    if df == 1:
        assert (weights / (1 + nodes[:, 0] ** 2)).sum() == pytest.approx(0.5, rel=1e-12)


def test_student_t_mixed_moments_in_the_plane_and_in_space():
    """E yᵢ²yⱼ² = ν²/((ν − 2)(ν − 4)) for i ≠ j, uncorrelated yet dependent: three times less than E yᵢ⁴."""
    for d, order in ((2, 60), (3, 50)):
        target = StudentT(np.zeros(d), np.eye(d), 9.0)
        nodes, weights = target.quadrature(order)
        fourth = 81 / (7 * 5)
        for i in range(d):
            for j in range(d):
                moment = fourth * (3 if i == j else 1)
                assert (weights * nodes[:, i] ** 2 * nodes[:, j] ** 2).sum() == pytest.approx(
                    moment, rel=1e-10
                )


@pytest.mark.parametrize(
    ("target", "coarse", "fine", "error"),
    [
        (Gaussian([0.3], [[1.7]]), 200, 2000, 1e-7),
        (gaussian(1, 2), 250, 500, 1e-5),
        (mixture(2, 1), 200, 2000, 1e-7),
        (StudentT([0.3], [[1.7]], 5.0), 200, 2000, 1e-8),
        (student_t(3, 2, 6.0), 200, 400, 1e-6),
        (Logistic(0.0, 1.0), 200, 2000, 1e-8),
        (Gumbel(0.0, 1.0), 200, 2000, 1e-8),
        (Laplace(0.0, 1.0), 100, 2000, 1e-8),
        (Exponential(1.0), 100, 2000, 1e-8),
        (Uniform(-1.0, 2.0), 100, 1000, 1e-10),
        (TruncatedGaussian(0.0, 1.0, -1.0, math.inf), 200, 1000, 1e-8),
        (Product([Laplace(0.0, 1.0), Gumbel(0.0, 1.0)]), 100, 300, 1e-5),
    ],
    ids=lambda p: type(p).__name__ if not isinstance(p, (int, float)) else None,
)
def test_expectations_of_tanh_networks_converge(target, coarse, fine, error):
    for seed in range(3):
        f = tanh_network(seed, target.d)
        values = [
            expect(rule, f(rule.nodes)) for rule in (target.quadrature(coarse), target.quadrature(fine))
        ]
        assert abs(values[0] - values[1]) < error * max(1, abs(values[1]))


def test_the_trapezoid_rule_beats_gauss_hermite_on_tanh_networks():
    """The reason for the default: the same 150 nodes, a thousand times closer."""
    target, errors = Gaussian([0.3], [[1.7]]), {"trapezoid": 0.0, "gauss-hermite": 0.0}
    for seed in range(5):
        f = tanh_network(seed, 1)
        exact = expect(target.quadrature(3000), f(target.quadrature(3000).nodes))
        for rule in errors:
            quadrature = target.quadrature(150, rule=rule)
            errors[rule] = max(errors[rule], abs(expect(quadrature, f(quadrature.nodes)) - exact))
    assert errors["trapezoid"] < 1e-3 * errors["gauss-hermite"]


def test_the_error_of_the_trapezoid_rule_on_a_cosine_is_the_theory():
    """eq-1.18: E cos(az) = e^{−a²/2}; the alias e^{−(2π/h − a)²/2} and the cut-off e^{−L²/2} bound the error."""
    for order in range(4, 40):
        nodes, weights = Gaussian([0.0], [[1.0]]).quadrature(order)
        half_width = nodes.max()
        assert half_width == pytest.approx(min(math.sqrt(math.pi * (order - 1)), 9.0), rel=1e-12)
        alias = math.exp(-0.5 * (2 * math.pi * (order - 1) / (2 * half_width) - 1) ** 2)
        error = abs((weights * np.cos(nodes[:, 0])).sum() - math.exp(-0.5))
        assert error < 3 * (alias + math.exp(-0.5 * half_width**2)) + 1e-15


def test_a_mixture_joins_the_rules_of_its_components():
    target = mixture(5, 2)
    nodes, weights = target.quadrature(12, rule="gauss-hermite")
    for k, share in enumerate(target.weights):
        part = Gaussian(target.means[k], target.covs[k]).quadrature(12, rule="gauss-hermite")
        piece = slice(144 * k, 144 * (k + 1))
        np.testing.assert_allclose(nodes[piece], part.nodes, rtol=1e-15)
        np.testing.assert_allclose(weights[piece], share * part.weights, rtol=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_a_rule_belongs_to_the_caller(name):
    """Writing into one rule leaves the next one as it was: nothing cached is handed out."""
    target = ALL[name]
    first, kept = target.quadrature(8), target.quadrature(8)
    first.nodes[:], first.weights[:] = 0, 0
    again = target.quadrature(8)
    np.testing.assert_array_equal(again.nodes, kept.nodes)
    np.testing.assert_array_equal(again.weights, kept.weights)


@pytest.mark.parametrize(
    ("target", "order", "count"),
    [
        (gaussian(0, 4), 48, "48**4 = 5,308,416"),
        (mixture(0, 2), 1300, "3 * 1300**2 = 5,070,000"),
        (student_t(0, 3), 200, "200**3 = 8,000,000"),
        (Product([Laplace(0.0, 1.0)] * 2), 1200, "2400 * 2400 = 5,760,000"),
        (Laplace(0.0, 1.0), 3_000_000, "2 * 3000000**1 = 6,000,000"),
        (gaussian(0, 3), 10**6, "1000000**3 = about 1e18"),
        (Uniform(0.0, 1.0), 10**12, "1000000000000**1 = 1,000,000,000,000"),
    ],
)
def test_a_grid_too_large_is_refused_before_it_is_built(target, order, count):
    with pytest.raises(ValueError) as error:
        target.quadrature(order)
    assert str(error.value) == f"order must give at most 5,000,000 nodes, got {count}"


def test_the_gauss_rules_say_where_they_end():
    with pytest.raises(ValueError, match="order must be <= 300 for rule='gauss-hermite', got 301"):
        gaussian(0, 1).quadrature(301, rule="gauss-hermite")
    with pytest.raises(ValueError, match="order must be <= 2000 for Gauss–Legendre, got 2001"):
        Uniform(0.0, 1.0).quadrature(2001)
    assert np.isfinite(gaussian(0, 1).quadrature(300, rule="gauss-hermite").weights).all()
