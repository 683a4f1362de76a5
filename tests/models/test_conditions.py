"""Conditions: an input beside x that the Jacobian does not see; every primitive and objective, by complex step."""

import numpy as np
import pytest
from support.strategies import ACTIVATIONS, gradient_error

import npscore as ns
from npscore.checks import complex_step_gradient, complex_step_jacobian, relative_error
from npscore.models import rows

D, C, N, M = 3, 2, 6, 2
HIDDEN = [(), (5,), (5, 4), (4, 5, 3)]
TIGHT = 1e-10


def network(hidden=(5, 4), activation="tanh", condition=C, d=D, seed=0):
    """O(1) weights and biases."""
    rng = np.random.default_rng(seed)
    fan_ins, fan_outs = (d + condition, *hidden), (*hidden, d)
    layers = [
        (1.5 * rng.standard_normal((b, a)) / np.sqrt(a), rng.standard_normal(b))
        for a, b in zip(fan_ins, fan_outs)
    ]
    return ns.MLP(layers, activation, condition=condition)


RNG = np.random.default_rng(1)
X, TARGET, NOISE = RNG.standard_normal((3, N, D))
COND, V = RNG.standard_normal((N, C)), RNG.standard_normal((M, N, D))
SIGMA, WEIGHTS = RNG.uniform(0.3, 1.5, N), RNG.dirichlet(np.ones(N))
OBJECTIVES = {
    "esm": lambda model, cond: ns.esm(model, X, TARGET, WEIGHTS, cond),
    "ism": lambda model, cond: ns.ism(model, X, WEIGHTS, cond),
    "ssm": lambda model, cond: ns.ssm(model, X, V, WEIGHTS, cond),
    "ssm_vr": lambda model, cond: ns.ssm_vr(model, X, V, WEIGHTS, cond),
    "dsm": lambda model, cond: ns.dsm(model, X, NOISE, SIGMA, WEIGHTS, cond),
}


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("cond", [COND, COND[0]], ids=["a row each", "shared"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_gradient_is_the_complex_step(objective, cond, hidden):
    model = network(hidden, "gelu")
    loss = OBJECTIVES[objective]
    expected = complex_step_gradient(lambda theta: loss(model.with_theta(theta), cond).loss, model.theta)
    assert gradient_error(model, loss(model, cond).grad, expected) < TIGHT


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_jacobian_is_that_in_x_alone(hidden, activation):
    model = network(hidden, activation)
    jacobian = complex_step_jacobian(
        lambda x: model.score(x, np.broadcast_to(COND, (len(x), C))[: len(x)]), X
    )
    assert relative_error(model.jacobian(X, COND), jacobian) < TIGHT
    trace = np.trace(jacobian, axis1=1, axis2=2)
    assert relative_error(model.divergence(X, COND), trace) < TIGHT
    assert relative_error(model.divergence_vjp(X, COND)[1], trace) < TIGHT
    forms = np.einsum("mni,nij,mnj->mn", V, jacobian, V)
    assert relative_error(model.quadratic_form_vjp(X, V, COND)[1], forms) < TIGHT


@pytest.mark.parametrize("hidden", HIDDEN)
def test_at_a_condition_the_model_is_a_plain_one(hidden):
    model = network(hidden)
    for row, cond in zip(X, COND):
        plain, one = model.at(cond), row[None]
        assert plain.condition == 0 and plain.sizes == model.sizes
        assert relative_error(plain.score(one), model.score(one, cond)) < 1e-14
        assert relative_error(plain.divergence(one), model.divergence(one, cond)) < 1e-13
        assert relative_error(ns.ism(plain, one).loss, ns.ism(model, one, cond=cond).loss) < 1e-13


def test_a_plain_model_samples_by_langevin():
    model = network()
    run = ns.langevin(model.at(COND[0]).score, X, 0.01, 3, rng=0)
    again = ns.langevin(lambda x: model.score(x, COND[0]), X, 0.01, 3, rng=0)
    np.testing.assert_allclose(run.x, again.x, rtol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_condition_without_effect_changes_nothing(objective):
    """W_c = 0: the loss is the plain network's, and so is the gradient in everything but W_c."""
    model = network()
    (weight, bias), *rest = model.layers
    blind = ns.MLP([(weight * (np.arange(D + C) < D), bias), *rest], condition=C)
    plain = ns.MLP([(weight[:, :D], bias), *rest])
    got, want = OBJECTIVES[objective](blind, COND), OBJECTIVES[objective](plain, None)
    np.testing.assert_allclose(got.per_sample, want.per_sample, rtol=1e-12)
    (first, *others), (plain_first, *plain_others) = blind.unravel(got.grad), plain.unravel(want.grad)
    np.testing.assert_allclose(first.weight[:, :D], plain_first.weight, rtol=1e-10, atol=1e-12)
    assert np.abs(first.weight[:, D:]).min() > 0
    for one, other in zip(others, plain_others):
        np.testing.assert_allclose(one.weight, other.weight, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_conditions_are_cut_into_blocks_with_the_rows(objective, monkeypatch):
    model, loss = network(), OBJECTIVES[objective]
    whole = loss(model, COND)
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", 1)  # one row in a block, or a few
    monkeypatch.setattr(rows, "FEW_ROWS", 1)
    parts = loss(model, COND)
    np.testing.assert_allclose(parts.per_sample, whole.per_sample, rtol=1e-13)
    np.testing.assert_allclose(parts.grad, whole.grad, rtol=1e-11, atol=1e-14)
    s, _, pullback = model.divergence_vjp(X, COND)
    np.testing.assert_allclose(
        pullback(WEIGHTS[:, None] * s, WEIGHTS), ns.ism(model, X, WEIGHTS, COND).grad, rtol=1e-11
    )
    np.testing.assert_allclose(model.score(X, COND), s, rtol=1e-14)


def test_a_square_condition_of_one_dimension_is_shared():
    """(c,) is one condition for all rows, also where n = c."""
    model = network()
    x = X[:C]
    np.testing.assert_array_equal(model.score(x, COND[0]), model.score(x, np.tile(COND[0], (C, 1))))


def test_float32_stays_float32():
    model = network()
    model = model.with_theta(model.theta.astype(np.float32))
    result = ns.ism(model, X.astype(np.float32), cond=COND)  # a float64 condition
    assert result.loss.dtype == result.grad.dtype == result.per_sample.dtype == np.float32


def test_a_condition_of_width_zero_is_the_model_as_ever():
    plain, same = ns.MLP.init((3, 8, 3), rng=0), ns.MLP.init((3, 8, 3), rng=0, condition=0)
    np.testing.assert_array_equal(plain.theta, same.theta)
    assert plain.config == same.config == {"sizes": [3, 8, 3], "activation": "tanh"}


def test_init_config_state_dict_files_and_pickles(tmp_path):
    model = ns.MLP.init((3, 8, 3), "silu", rng=0, condition=2)
    assert model.layers[0].weight.shape == (8, 5) and model.d == 3 and model.sizes == (3, 8, 3)
    assert "condition=2" in repr(model)
    again = ns.MLP.from_config(model.config, model.theta)
    ns.save(tmp_path / "m.npz", model)
    loaded = ns.load(tmp_path / "m.npz").model
    state = ns.MLP.from_state_dict(model.to_state_dict(), "silu", condition=2)
    for other in (again, loaded, state):
        assert other.condition == 2
        np.testing.assert_array_equal(other.score(X, COND), model.score(X, COND))
    assert model.parts.keys() == {"W1", "b1", "W2", "b2"}


@pytest.mark.parametrize(
    "cond, error, message",
    [
        (None, ValueError, r"cond must have shape \(6, 2\), or \(2,\) for all rows, got None"),
        (COND[:2], ValueError, r"cond must have shape \(6, 2\), or \(2,\) for all rows, got shape \(2, 2\)"),
        (0.5, ValueError, r"cond must have shape \(6, 2\).*got shape \(\)"),
        (np.full((N, C), np.nan), ValueError, "cond must be finite, got nan"),
        ("noise", TypeError, "cond must hold real numbers"),
    ],
)
def test_a_wrong_condition_is_named(cond, error, message):
    model = network()
    for call in (
        lambda: model.score(X, cond),
        lambda: model.divergence_vjp(X, cond),
        lambda: ns.ism(model, X, cond=cond),
        lambda: ns.dsm(model, X, NOISE, SIGMA, cond=cond),
    ):
        with pytest.raises(error, match=message):
            call()


def test_a_condition_where_there_is_none_is_named():
    plain = ns.MLP.init((3, 4, 3), rng=0)
    for call in (lambda: plain.score(X, COND), lambda: ns.ism(plain, X, cond=COND)):
        with pytest.raises(ValueError, match="cond must be None for a model without a condition"):
            call()
    with pytest.raises(ValueError, match="at needs a model with a condition"):
        plain.at(COND[0])
    with pytest.raises(ValueError, match=r"cond must have shape \(2,\), got shape \(6, 2\)"):
        network().at(COND)
    with pytest.raises(ValueError, match="condition must be a whole number >= 0, got -1"):
        ns.MLP.init((3, 4, 3), condition=-1)
    with pytest.raises(ValueError, match=r"layers\[0\] weight must have d \+ condition columns"):
        ns.MLP([(np.ones((2, 2)), np.zeros(2))], condition=2)
