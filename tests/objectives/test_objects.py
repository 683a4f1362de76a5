"""Objectives as objects: they draw and then compute, spare the gradient for held-out rows, and describe themselves."""

import json
import pickle

import numpy as np
import pytest
from support.strategies import make_case

import npscore as ns
from npscore.objectives import DSM, ESM, ISM, SSM, SSMVR, Objective, as_objective, named, named_objective

CASE = make_case(3, d=3, hidden=(5, 4), n=9)
GAUSSIAN = ns.targets.Gaussian(np.zeros(3), np.eye(3))
OBJECTS = [ISM(), ESM(GAUSSIAN.score), SSM(2, "gaussian"), SSMVR(3), DSM(0.4)]
IDS = [type(one).__name__ for one in OBJECTS]


def own(model, batch, rng):
    """A denoising loss of the user's."""
    return ns.dsm(model, batch, rng.standard_normal(batch.shape), 0.3)


def spoils_its_rows(model, batch, rng):
    result = ns.ism(model, batch)
    batch *= 0
    return result


@pytest.mark.parametrize("objective", [*OBJECTS, as_objective(own), named("mine", own)])
def test_a_draw_can_be_used_again(objective):
    draw = objective.draw(CASE.x, np.random.default_rng(0))
    one, two = (objective.loss(CASE.model, CASE.x, draw) for _ in range(2))
    assert one.loss == two.loss
    np.testing.assert_array_equal(one.grad, two.grad)
    np.testing.assert_array_equal(objective.values(CASE.model, CASE.x, draw), one.per_sample)
    other = objective.draw(CASE.x, np.random.default_rng(1))
    random = not isinstance(objective, (ISM, ESM))
    assert (objective.loss(CASE.model, CASE.x, other).loss != one.loss) == random


@pytest.mark.parametrize("objective", OBJECTS, ids=IDS)
def test_weights_and_conditions_are_handed_on(objective):
    draw = objective.draw(CASE.x, np.random.default_rng(0))
    values = objective.values(CASE.model, CASE.x, draw)
    weighted = objective.loss(CASE.model, CASE.x, draw, CASE.weights)
    assert weighted.loss == pytest.approx(CASE.weights @ values, rel=1e-13)
    model, cond = ns.MLP.init((3, 5, 3), rng=0, condition=1), np.linspace(-1, 1, 9)[:, None]
    one_by_one = [
        objective.values(model.at(c), x[None], None if draw is None else draw[..., [i], :])
        for i, (x, c) in enumerate(zip(CASE.x, cond))
    ]
    got = objective.values(model, CASE.x, draw, cond)
    np.testing.assert_allclose(got, np.concatenate(one_by_one), rtol=1e-12)
    np.testing.assert_allclose(objective.loss(model, CASE.x, draw, cond=cond).per_sample, got, rtol=1e-13)


@pytest.mark.parametrize("objective", OBJECTS, ids=IDS)
def test_values_run_no_pullback(objective, monkeypatch):
    monkeypatch.setattr("npscore.models.mlp.backward", None)  # calling it would fail
    objective.values(CASE.model, CASE.x, objective.draw(CASE.x, np.random.default_rng(0)))


def test_without_a_gradient_the_loss_is_the_same():
    full, spared = ns.ism(CASE.model, CASE.x), ns.ism(CASE.model, CASE.x, gradient=False)
    assert spared.grad is None and spared.loss == full.loss
    np.testing.assert_array_equal(spared.per_sample, full.per_sample)


def test_specs_tell_objectives_apart_and_are_json():
    named_ones = [named("a", own), named("b", own), named("a", ESM(GAUSSIAN.score))]
    described = [ISM(), SSM(2), SSM(2, "gaussian"), SSMVR(2), DSM(0.4), DSM(0.5), *named_ones[:2]]
    texts = [json.dumps(one.spec(), sort_keys=True) for one in described]
    assert len(set(texts)) == len(texts)
    assert as_objective(own).spec() is None and ESM(GAUSSIAN.score).spec() is None
    assert named_ones[0].spec() == named_ones[2].spec()  # a name is the user's word


@pytest.mark.parametrize("objective", [ISM(), SSM(2), SSMVR(), DSM(0.4), named("mine", own)])
def test_they_travel_to_other_processes(objective):
    again = pickle.loads(pickle.dumps(objective))
    assert again == objective and again.spec() == objective.spec()


def test_names_objects_and_callables_are_taken():
    assert as_objective("ssm-vr", n_probes=3) == SSMVR(3)
    assert as_objective("dsm", sigma=0.4) == DSM(0.4) == named_objective("dsm", sigma=0.4)
    assert as_objective(DSM(0.4)) == DSM(0.4)
    assert isinstance(as_objective(own), Objective)


def test_calling_one_draws_and_computes():
    got = DSM(0.3)(CASE.model, CASE.x, rng=5)
    want = own(CASE.model, CASE.x, np.random.default_rng(5))
    assert got.loss == want.loss
    np.testing.assert_array_equal(got.grad, want.grad)


def test_a_callable_gets_rows_of_its_own():
    before = CASE.x.copy()
    as_objective(spoils_its_rows).loss(CASE.model, CASE.x, 0)
    np.testing.assert_array_equal(CASE.x, before)

    def spoiled(x):
        x *= 0
        return x

    result = ns.esm(CASE.model, CASE.x, spoiled)
    np.testing.assert_array_equal(CASE.x, before)
    np.testing.assert_array_equal(result.per_sample, ns.esm(CASE.model, CASE.x, 0 * CASE.x).per_sample)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (
            lambda: as_objective("ism", sigma=0.1),
            ValueError,
            "sigma must be None unless objective is 'dsm', got 0.1",
        ),
        (
            lambda: as_objective(own, sigma=0.1),
            ValueError,
            "got 0.1 with a callable",
        ),
        (
            lambda: as_objective(DSM(0.2), n_probes=2),
            ValueError,
            "n_probes must be None unless objective is 'ssm'",
        ),
        (lambda: as_objective(ns.ism), TypeError, "npscore's ism, which takes no rng: use 'ism'"),
        (lambda: as_objective(ns.esm), TypeError, r"use objectives.ESM\(target_score\)"),
        (lambda: as_objective(ISM), TypeError, "got the class ISM"),
        (lambda: as_objective(3), TypeError, "objective must be a callable"),
        (lambda: DSM(0.0), ValueError, "sigma must be a finite number > 0, got 0.0"),
        (lambda: SSM(0), ValueError, "n_probes must be a whole number >= 1, got 0"),
        (lambda: SSM(1, "unit"), ValueError, "probe must be one of"),
        (lambda: ESM(np.zeros((3, 3))), TypeError, "target_score must be a callable"),
        (lambda: named("", own), TypeError, "name must be a text that is not empty"),
        (lambda: named("mine", 3), TypeError, "objective must be a callable"),
        (lambda: as_objective(lambda *_: 3).loss(CASE.model, CASE.x, 0), TypeError, "must return a LossGrad"),
        (
            lambda: as_objective(own).loss(CASE.model, CASE.x, 0, CASE.weights),
            ValueError,
            "weights must be None",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


class Smoothness(Objective):
    """A new objective in one place: ½‖J v‖² would need more than the primitives; this is ½(vᵀ J v)²."""

    def draw(self, x, rng):
        return rng.standard_normal(x.shape)

    def loss(self, model, x, draw=None, weights=None, cond=None):
        s, q, pullback = model.quadratic_form_vjp(x, draw, cond)
        w = np.full(len(x), 1 / len(x)) if weights is None else weights
        return ns.LossGrad(w @ (0.5 * q * q), pullback(0 * s, w * q), 0.5 * q * q)

    def spec(self):
        return {"objective": "smoothness"}


def test_a_new_objective_from_outside_runs_in_fit():
    model = ns.MLP.init((3, 8, 3), rng=0)
    x = np.random.default_rng(0).standard_normal((200, 3))
    run = ns.fit(model, x, Smoothness(), steps=60, learning_rate=0.02, rng=0)
    first, last = run.history.loss[:5].mean(), run.history.loss[-5:].mean()
    assert last < 0.2 * first
