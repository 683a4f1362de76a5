"""Every parameter of every gradient against complex step, and the losses' Taylor remainders.

At O(1) weights and biases, with n ≠ d ≠ h, on every objective, every smooth activation and every depth.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from support.strategies import ACTIVATIONS, OBJECTIVES, TAME, cases, gradient_error, make_case

import npscore as ns
from npscore.checks import complex_step_gradient, taylor_rates
from npscore.models._network import passes as _backprop

HIDDEN = ((), (5,), (5, 4), (2, 6, 4), (4, 5, 2, 6))  # depths 0 to 4, h ≠ d = 3 ≠ n = 7
EXTENDED = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps


def loss_of_theta(name, case):
    """θ ↦ the loss, complex θ too."""
    return lambda theta: OBJECTIVES[name](case.model.with_theta(theta), case).loss


def error_against_complex_step(name, case):
    expected = complex_step_gradient(loss_of_theta(name, case), case.model.theta)  # eq-9.1
    return gradient_error(case.model, OBJECTIVES[name](case.model, case).grad, expected)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_parameter_at_every_depth_is_the_complex_step(activation, name):
    for depth, hidden in enumerate(HIDDEN):
        case = make_case(depth, hidden=hidden, activation=activation)
        assert error_against_complex_step(name, case) < 1e-11, f"depth {depth}"


@pytest.mark.parametrize("name", OBJECTIVES)
def test_square_weights_hide_no_transpose(name):
    """Where every layer is 3 x 3, a transposed weight raises nothing and must show in the numbers."""
    assert error_against_complex_step(name, make_case(7, hidden=(3, 3, 3), n=3)) < 1e-12


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_bias_that_is_a_column_of_the_weight_has_its_gradient(name, monkeypatch):
    monkeypatch.setattr(_backprop, "LARGE", 1)
    assert error_against_complex_step(name, make_case(5, d=3, hidden=(6, 5), n=7)) < 1e-12


@pytest.mark.parametrize("name", OBJECTIVES)
@settings(max_examples=15)
@given(case=cases())
def test_every_parameter_of_any_network_is_the_complex_step(name, case):
    assert error_against_complex_step(name, case) < 1e-10


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_linear_score_is_the_complex_step(name):
    case = make_case(0)
    rng = case.rng
    case = case._replace(model=ns.LinearScore(rng.standard_normal((3, 3)), rng.standard_normal(3)))
    assert error_against_complex_step(name, case) < 1e-13


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("activation", TAME)
def test_taylor_remainders_fall_at_rate_two(activation, name):  # eq-9.2
    for depth, hidden in enumerate(HIDDEN[1:], start=1):
        case = make_case(depth, hidden=hidden, activation=activation)
        grad = OBJECTIVES[name](case.model, case).grad
        direction = case.rng.standard_normal(grad.size)
        direction /= np.sqrt(direction @ direction)
        loss, theta = loss_of_theta(name, case), case.model.theta
        steps = (4e-4, 2e-4, 1e-4)
        rates = taylor_rates(loss, grad, theta, direction, steps)
        assert ((rates > 1.9) & (rates < 2.1)).all(), f"depth {depth}: {rates}"
        wrong = taylor_rates(loss, grad + 0.5 * direction, theta, direction, steps)
        assert (wrong < 1.5).all(), f"depth {depth}: {wrong}"


@pytest.mark.skipif(not EXTENDED, reason="longdouble is float64 here")
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_longdouble_gradients_have_longdouble_digits(activation, name):
    case = make_case(11, hidden=(4, 2), activation=activation, n=5)
    fields = ("x", "v", "target", "noise", "sigma", "weights")
    case = case._replace(**{field: getattr(case, field).astype(np.longdouble) for field in fields})
    case = case._replace(model=case.model.with_theta(case.model.theta.astype(np.longdouble)))
    assert error_against_complex_step(name, case) < 1e-16


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("activation", TAME)
def test_float32_gradients_are_float64_gradients_rounded(activation, name):
    case = make_case(12, activation=activation)
    fields = ("x", "v", "target", "noise", "sigma", "weights")
    narrow = case._replace(**{field: getattr(case, field).astype(np.float32) for field in fields})
    narrow = narrow._replace(model=case.model.with_theta(case.model.theta.astype(np.float32)))
    grad = OBJECTIVES[name](narrow.model, narrow).grad
    assert grad.dtype == np.float32
    wide = OBJECTIVES[name](case.model, case).grad
    assert gradient_error(case.model, grad.astype(float), wide) < 1e-4


def test_small_weights_hide_what_these_tests_must_see():
    """Why O(1) weights: the part of the ISM gradient that φ″ carries vanishes with them."""

    def share_of_curvature(scale):
        case = make_case(13, hidden=(5,), scale=scale)
        weight, bias = case.model.layers[0]
        z, r = case.x @ weight.T + bias, case.model.layers[1].weight
        curvature = -2 * np.tanh(z) * (1 - np.tanh(z) ** 2)  # φ″, (n, h)
        dz = case.weights[:, None] * curvature * np.einsum("dh,hd->h", r, weight)  # of tr J, eq-5.10
        grad_bias = case.model.unravel(ns.ism(case.model, case.x, case.weights).grad)[0].bias
        return np.abs(dz.sum(axis=0)).max() / np.abs(grad_bias).max()

    assert share_of_curvature(1.5) > 0.15 > 1e-3 > share_of_curvature(1e-4)
