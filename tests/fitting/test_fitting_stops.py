"""How a fit ends: by hand, by overflow, or by what the held-out rows say."""

import numpy as np
import pytest
from support.fitting_cases import QUICK, Watch, affine, ctrl_c, data, failing, held_out_ism, same, small

import npscore as ns
from npscore.datasets.rounding import dequantise
from npscore.datasets.splitting import train_validation_split
from npscore.objectives import DSM, draw_probes

# ---- Ctrl-C --------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 2, 5])
def test_ctrl_c_keeps_the_last_model(at):
    run = ns.fit(small(), data(), failing(at, ctrl_c), **QUICK)
    whole = ns.fit(small(), data(), callback=(watch := Watch()), **QUICK)
    assert run.stopped == "interrupted" and run.best_step == at - 1
    np.testing.assert_array_equal(run.model.theta, [small(), *watch.models][at - 1].theta)
    np.testing.assert_array_equal(run.history.loss, whole.history.loss[: at - 1])


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_ctrl_c_keeps_the_best_model_by_the_held_out_rows(optimizer):
    held_out = data(30, seed=5)
    settings = {**QUICK, "steps": 200, "optimizer": optimizer, "validation": held_out, "validate_every": 1}
    settings["learning_rate"] = 0.2
    run = ns.fit(small(2, (8,)), data(6), failing(60, ctrl_c), **settings)
    assert run.stopped == "interrupted" and 0 < len(run.history.step) < 60
    assert 0 < run.best_step < run.history.step[-1]
    assert held_out_ism(run.model, held_out) == run.validation_loss == run.history.validation_loss.min()
    assert held_out_ism(run.final_model, held_out) == run.history.validation_loss[-1] > run.validation_loss


def test_ctrl_c_before_anything_returns_the_start(monkeypatch):
    monkeypatch.setattr(ns.MLP, "_divergence_vjp", lambda *_: ctrl_c(None))
    run = ns.fit(small(), data(), validation=data(5, seed=1), **QUICK)
    np.testing.assert_array_equal(run.model.theta, small().theta)
    assert run.stopped == "interrupted" and run.validation_loss is None and run.best_step == 0
    assert not any(len(column) for column in run.history)


# ---- no longer finite ----------------------------------------------------------------------------

BROKEN = {
    "loss NaN": (lambda r: r._replace(loss=np.nan), "loss became nan"),
    "loss infinite": (lambda r: r._replace(loss=-np.inf), "loss became -inf"),
    "gradient NaN": (lambda r: r._replace(grad=r.grad * np.nan), "grad must be finite, got nan"),
    "gradient beyond squares": (lambda r: r._replace(grad=r.grad * 1e200), "the gradient's norm became inf"),
}


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("failure, message", list(BROKEN.values()), ids=list(BROKEN))
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_last_good_state(optimizer, failure, message):
    settings = {**QUICK, "optimizer": optimizer}
    watch, objective = Watch(), failing(4, failure)
    with pytest.raises(ns.NonFiniteLossError, match=message) as caught:
        ns.fit(small(), data(), objective, callback=watch, **settings)
    error, good = caught.value, len(watch.steps)
    assert error.step == good + 1 and f" at step {good + 1}; the model of step {good} is kept" in str(error)
    assert good == 3 or optimizer == "lbfgs"
    np.testing.assert_array_equal(error.result.model.theta, watch.models[-1].theta)
    np.testing.assert_array_equal(error.result.history.loss, watch.losses)
    assert error.result.stopped == "not finite" and error.result.best_step == good


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["tanh", "cube", "identity"])
@pytest.mark.parametrize("objective", ["ism", "ssm", "dsm"])
@pytest.mark.parametrize("rate", [1e3, 1e10, 1e30, 1e300])
def test_a_huge_learning_rate_ends_in_that_error_or_in_finite_numbers(dtype, activation, objective, rate):
    """Warnings are errors here: overflow must not leak any."""
    model = small(2, (3, 3), activation)
    model = model.with_theta(model.theta.astype(dtype))
    settings = {
        **QUICK,
        "learning_rate": rate,
        "schedule": "constant",
        "sigma": 0.3 if objective == "dsm" else None,
    }
    try:
        run = ns.fit(model, data(), objective, validation=data(5, seed=3), validate_every=2, **settings)
    except ns.NonFiniteLossError as error:
        run = error.result
        assert error.step in (len(run.history.step), len(run.history.step) + 1)
    else:
        assert rate**2 < np.finfo(dtype).max  # the first step is the rate, and the loss its square
    assert np.isfinite(run.model.theta).all() and run.model.dtype == dtype
    for column in run.history:
        assert np.isfinite(column).all()


def test_a_held_out_loss_that_is_not_finite_stops_too():
    far = np.full((2, 2), 1e160)
    with pytest.raises(ns.NonFiniteLossError, match=r"held-out loss.* inf.* at step 0") as caught:
        ns.fit(affine(), data(), validation=far, **QUICK)
    assert caught.value.result.validation_loss is None
    with pytest.raises(ns.NonFiniteLossError, match=r"held-out loss.* inf.* at step 0"):
        ns.fit(affine(), data(), validation=far, optimizer="lbfgs")


def test_a_fit_inside_a_fit_leaves_numpys_error_state_alone():
    """A callback may fit too; what NumPy does on overflow is afterwards what it was, here and in the callback."""
    before = np.geterr()
    ns.fit(small(), data(), callback=lambda *_: ns.fit(small(), data(), **QUICK) is None, **QUICK)
    assert np.geterr() == before


def test_an_error_of_the_objectives_own_passes_through():
    def own(result):
        raise FloatingPointError("mine")

    for optimizer in ("adam", "lbfgs"):
        with pytest.raises(FloatingPointError, match=r"^mine$") as caught:
            ns.fit(small(), data(), failing(2, own), **{**QUICK, "optimizer": optimizer})
        assert not isinstance(caught.value, ns.NonFiniteLossError)


# ---- held-out rows -------------------------------------------------------------------------------

OVERFIT = {"steps": 400, "batch_size": 8, "learning_rate": 0.05, "schedule": "constant", "rng": 0}


@pytest.mark.parametrize("every, patience", [(1, 5), (5, 2), (7, 1)])
def test_early_stopping_returns_the_best_model_and_stops_after_the_patience(every, patience):
    held_out = data(30, seed=5)
    run = ns.fit(
        small(2, (8,)), data(8), validation=held_out, validate_every=every, patience=patience, **OVERFIT
    )
    at, losses = run.history.validation_step, run.history.validation_loss
    assert run.stopped == "patience"
    np.testing.assert_array_equal(at, np.arange(0, len(run.history.step) + 1, every))
    assert run.best_step == at[losses.argmin()] > 0
    assert len(at) - 1 - losses.argmin() == patience  # so many evaluations without a better one, and no more
    best_before = np.minimum.accumulate(losses)
    worse_for = [i - np.flatnonzero(losses[: i + 1] == best_before[i])[0] for i in range(len(losses))]
    assert max(worse_for[:-1]) < patience
    assert run.validation_loss == losses.min() == held_out_ism(run.model, held_out)
    assert losses[-1] == held_out_ism(run.final_model, held_out)


def test_without_patience_the_run_goes_on_and_still_returns_the_best():
    held_out = data(30, seed=5)
    run = ns.fit(small(2, (8,)), data(8), validation=held_out, **{**OVERFIT, "steps": 250})
    np.testing.assert_array_equal(run.history.validation_step, np.arange(0, 251, 2))  # about a hundred
    assert run.stopped == "steps" and run.best_step < 250
    assert run.validation_loss == run.history.validation_loss.min() == held_out_ism(run.model, held_out)
    last = ns.fit(small(), data(), validation=held_out, validate_every=4, **QUICK)
    np.testing.assert_array_equal(
        last.history.validation_step, [0, 4, 6]
    )  # the last step is always looked at


def test_the_average_is_what_is_judged_and_returned():
    held_out, watch = data(9, seed=5), Watch()
    settings = {**QUICK, "validation": held_out, "validate_every": 1, "callback": watch}
    run = ns.fit(small(), data(), ema=0.9, **settings)
    average, losses = small().theta, [held_out_ism(small(), held_out)]
    for t, model in enumerate(watch.models, start=1):
        delta = min(0.9, (1 + t) / (10 + t))
        average = delta * average + (1 - delta) * model.theta
        losses.append(held_out_ism(model.with_theta(average), held_out))
    np.testing.assert_allclose(run.history.validation_loss, losses, rtol=1e-12)
    np.testing.assert_allclose(run.final_model.theta, average, rtol=1e-12)
    assert run.validation_loss == run.history.validation_loss.min() == held_out_ism(run.model, held_out)
    assert (run.final_model.theta != watch.models[-1].theta).any()


def test_of_equally_good_models_the_first_is_kept():
    run = ns.fit(
        small(), data(), validation=data(9, seed=5), validate_every=1, **{**QUICK, "learning_rate": 1e-300}
    )
    assert len(set(run.history.validation_loss)) == 1 and run.best_step == 0


def test_a_fraction_is_the_split_of_the_same_name():
    rng = np.random.default_rng(3)
    train, held_out = train_validation_split(data(20), 0.3, rng=rng)
    assert len(held_out) == 6
    by_hand = ns.fit(small(), train, validation=held_out, **{**QUICK, "rng": rng})
    assert same(ns.fit(small(), data(20), validation=0.3, **QUICK), by_hand)


def by_hand(objective, x, rng):
    """The loss of a model on rows, with the noise or probes that the generator gives next."""
    if objective == "ism":
        return lambda model: held_out_ism(model, x)
    if objective == "dsm":
        noise = rng.standard_normal(x.shape)
        return lambda model: ns.dsm(model, x, noise, 0.4).loss
    probes = draw_probes((2, *x.shape), "gaussian", rng)
    return lambda model: {"ssm": ns.ssm, "ssm-vr": ns.ssm_vr}[objective](model, x, probes).loss


FIELDS = {
    "ism": {},
    "dsm": {"sigma": 0.4},
    "ssm": {"n_probes": 2, "probe": "gaussian"},
    "ssm-vr": {"n_probes": 2, "probe": "gaussian"},
}


@pytest.mark.parametrize("objective", FIELDS)
@pytest.mark.parametrize("jitter", [0.0, [0.2, 0.0]])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_held_out_rows_are_judged_by_the_objectives_own_loss_on_one_draw(objective, jitter, optimizer):
    held_out, watch = data(9, seed=5), Watch()
    settings = {
        **QUICK,
        "optimizer": optimizer,
        "jitter": jitter,
        "validation": held_out,
        "validate_every": 1,
    }
    run = ns.fit(small(), data(), objective, **FIELDS[objective], callback=watch, **settings)
    rng, noisy = np.random.default_rng(QUICK["rng"]), held_out
    if np.any(jitter):
        noisy = dequantise(held_out, jitter, rng=rng)
    loss = by_hand(objective, noisy, rng)
    expected = [loss(model) for model in [small(), *watch.models]]
    np.testing.assert_allclose(run.history.validation_loss, expected, rtol=1e-12)
    assert (
        run.validation_loss == run.history.validation_loss.min() == pytest.approx(loss(run.model), rel=1e-12)
    )


def test_a_metric_judges_in_place_of_the_objective():
    held_out = data(9, seed=5)
    settings = {"sigma": 0.4, "validation": held_out, **QUICK}
    by_ism = ns.fit(small(), data(), "dsm", metric="ism", **settings)
    assert by_ism.validation_loss == held_out_ism(by_ism.model, held_out)
    noise = np.random.default_rng(QUICK["rng"]).standard_normal(held_out.shape)
    by_dsm = ns.fit(small(), data(), "dsm", metric=DSM(1.5), **settings)
    loss = ns.dsm(by_dsm.model, held_out, noise, 1.5).loss
    assert by_dsm.validation_loss == pytest.approx(loss, rel=1e-13)
    plain = ns.fit(small(), data(), "dsm", **settings)
    assert plain.validation_loss != pytest.approx(loss, rel=1e-3)
    np.testing.assert_array_equal(plain.history.loss, by_dsm.history.loss)  # it plays no part in training


class InPlace(DSM):
    """DSM that ruins what it is given."""

    def loss(self, model, x, draw=None, weights=None, cond=None):
        result = super().loss(model, x.copy(), draw.copy(), weights, cond)
        x *= 3.0
        draw *= 0.0
        return result

    def values(self, model, x, draw=None, cond=None):
        return self.loss(model, x, draw, None, cond).per_sample


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_an_objective_that_works_in_place_changes_nothing(optimizer):
    x, held_out = data().copy(), data(9, seed=5).copy()
    settings = {**QUICK, "optimizer": optimizer, "validation": held_out, "validate_every": 1}
    spoiling = ns.fit(small(), x, InPlace(0.4), **settings)
    np.testing.assert_array_equal(x, data())
    np.testing.assert_array_equal(held_out, data(9, seed=5))
    assert same(spoiling, ns.fit(small(), x, DSM(0.4), **settings))
    for shards in ([x[:5], x[5:]], [x]):
        one, other = (
            ns.fit(small(), None, ns.sharded(o(0.4), None, shards), **{**settings, "optimizer": "lbfgs"})
            for o in (InPlace, DSM)
        )
        assert same(one, other)
        np.testing.assert_array_equal(x, data())


def test_a_callable_that_works_in_place_gets_rows_of_its_own():
    def spoiling(model, rows, rng):
        result = ns.ism(model, rows)
        rows[...] = np.nan
        return result

    x = data().copy()
    for where in (x, None):
        objective = spoiling if where is x else ns.sharded(spoiling, None, [x])
        run = ns.fit(small(), where, objective, optimizer="lbfgs", steps=5, rng=0)
        np.testing.assert_array_equal(x, data())
        assert same(run, ns.fit(small(), x, optimizer="lbfgs", steps=5, rng=0))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"metric": "ism"}, "metric must be None without validation rows"),
        ({"metric": "likelihood", "validation": 0.2}, "must be one of ism, ssm, ssm-vr, dsm"),
    ],
)
def test_a_metric_that_cannot_judge_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ns.fit(small(), data(), **QUICK, **changes)
