"""``fit`` against the loop one would write by hand, and its promises on types, progress and bad input."""

import io
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fitting_cases import QUICK, TYPES, Watch, Watched, affine, data, same, small, watched
from support.strategies import seeds
from test_optimizers import reference_adam

import npscore as ns
from npscore import objectives
from npscore.fitting.optimizers import learning_rate_at

# ---- the loop ------------------------------------------------------------------------------------


@given(
    seeds,
    st.sampled_from([None, 0.9]),
    st.sampled_from([None, 0.05, 0.7]),
    st.sampled_from(["cosine", "constant"]),
)
def test_fit_is_the_loop_one_would_write_by_hand(seed, ema, clip, schedule):
    """Shuffled epochs, ISM, clipping, Adam with decay and the average, θ by θ in plain numbers."""
    x, model = data(10), small()
    settings = {"steps": 7, "batch_size": 4, "learning_rate": 0.05, "weight_decay": 0.1}
    run = ns.fit(model, x, rng=seed, ema=ema, clip_norm=clip, schedule=schedule, **settings)

    rng = np.random.default_rng(seed)
    theta, gradients, losses, norms, rates, average = model.theta, [], [], [], [], model.theta
    rows = []
    for t in range(7):
        if len(rows) < 4:
            rows = list(rng.permutation(10))
        batch, rows = x[rows[:4]], rows[4:]
        loss, gradient, _ = ns.ism(model.with_theta(theta), batch)
        norms.append(np.sqrt((gradient**2).sum()))
        gradients.append(gradient if clip is None else gradient * min(1.0, clip / norms[-1]))
        losses.append(loss)
        rates.append(learning_rate_at(t, 7, 0.05, schedule))
        columns = np.array(gradients).T
        theta = np.array([reference_adam(a, g, rates, decay=0.1) for a, g in zip(model.theta, columns)])
        delta = 0.0 if ema is None else min(ema, (2 + t) / (11 + t))
        average = delta * average + (1 - delta) * theta

    np.testing.assert_allclose(run.model.theta, average, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(run.history.loss, losses, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(run.history.grad_norm, norms, rtol=1e-10)
    np.testing.assert_array_equal(run.history.learning_rate, rates)
    np.testing.assert_array_equal(run.history.step, np.arange(1, 8))
    assert run.stopped == "steps" and run.best_step == 7
    assert run.validation_loss is None and len(run.history.validation_step) == 0


def test_every_row_is_seen_once_an_epoch_in_a_new_order():
    x, seen = data(12), []
    ns.fit(small(), x, watched(seen), steps=9, batch_size=4, rng=0)
    epochs = [np.concatenate(seen[i : i + 3]) for i in (0, 3, 6)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(x, axis=0))
    assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()


@pytest.mark.parametrize("n, size, expected", [(5, 2, 2), (5, 5, 5), (5, 99, 5), (1, 1, 1)])
def test_batches_are_full_whatever_the_number_of_rows(n, size, expected):
    seen = []
    ns.fit(small(), data(n), watched(seen), steps=6, batch_size=size, rng=0)
    assert {len(batch) for batch in seen} == {expected}
    assert all(len(np.unique(batch, axis=0)) == expected for batch in seen)  # without replacement


@pytest.mark.parametrize(
    "objective, kind, settings",
    [
        ("ism", objectives.ISM, {}),
        ("ssm", objectives.SSM, {"probe": "gaussian"}),
        ("ssm-vr", objectives.SSMVR, {"n_probes": 2}),
        ("dsm", objectives.DSM, {"sigma": 0.3}),
    ],
)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_named_objective_is_the_object_of_that_name(objective, kind, settings, optimizer):
    options = {**QUICK, "optimizer": optimizer, "validation": data(5, seed=1)}
    named = ns.fit(small(), data(), objective, **settings, **options)
    assert same(named, ns.fit(small(), data(), kind(**settings), **options))


def test_a_callable_gets_a_generator_of_its_own_at_every_step():
    """Its draws come from a seed that the run's generator gives, so a run is fixed by its seed."""
    seen = []

    def drawing(model, batch, rng):
        seen.append(rng.standard_normal())
        return ns.ism(model, batch)

    first = ns.fit(small(), data(), drawing, **QUICK)
    assert same(first, ns.fit(small(), data(), drawing, **QUICK))
    assert seen[:6] == seen[6:] and len(set(seen)) == 6


@pytest.mark.parametrize("objective", ["ism", "ssm", "ssm-vr", "dsm"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_seed_fixes_every_bit_and_nothing_else_does(objective, optimizer):
    settings = {**QUICK, "optimizer": optimizer, "jitter": 0.1, "validation": 0.25}
    settings["sigma"] = 0.3 if objective == "dsm" else None
    model, x = small(), data()
    before, theta = x.copy(), model.theta.copy()
    first = ns.fit(model, x, objective, **settings)
    np.random.seed(1)  # noqa: NPY002  the global state plays no part ...
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert same(first, ns.fit(model, x.copy(), objective, **{**settings, "rng": np.random.default_rng(3)}))
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002  ... and is left alone
    other = ns.fit(model, x, objective, **{**settings, "rng": 4})
    assert (other.model.theta != first.model.theta).any()
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(model.theta, theta)


def test_a_callback_sees_every_step_and_can_end_the_run():
    watch = Watch(stop=4)
    run = ns.fit(small(), data(), callback=watch, **QUICK)
    whole = ns.fit(small(), data(), **QUICK)
    assert run.stopped == "callback" and watch.steps == [1, 2, 3, 4] and run.best_step == 4
    np.testing.assert_array_equal(watch.losses, whole.history.loss[:4])
    np.testing.assert_array_equal(run.model.theta, watch.models[-1].theta)
    assert [len(column) for column in run.history] == [4, 4, 4, 4, 0, 0]


# ---- floating types ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("objective", ["ism", "ssm", "ssm-vr", "dsm"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_everything_is_computed_in_the_models_type(dtype, objective, optimizer):
    model, seen = small(), []
    model = model.with_theta(model.theta.astype(dtype))
    sigma = 0.3 if objective == "dsm" else None

    def note(model, batch, result):
        parts = [part for part in result if part is not None]
        seen.append([model.dtype, batch.dtype, *(np.asarray(part).dtype for part in parts)])

    watching = Watched(note, objective, sigma=sigma)

    numbers = {  # NumPy's numbers must not impose their type
        "learning_rate": np.float64(0.02),
        "clip_norm": np.float64(1.0),
        "weight_decay": np.float64(0.1),
        "ema": np.float64(0.9),
        "jitter": np.array([0.1, 0.2]),
    }
    settings = {
        **QUICK,
        **numbers,
        "optimizer": optimizer,
        "validation": data(5, seed=1),
        "callback": (watch := Watch()),
    }
    run = ns.fit(model, data().astype(np.float64), watching, **settings)
    assert {np.dtype(dtype)} == {found for step in seen for found in step}
    models = [run.model, run.final_model, *watch.models]
    assert {np.dtype(dtype)} == {m.dtype for m in models}


def test_float32_follows_float64():
    model = small()
    exact = ns.fit(model, data(), ema=0.9, clip_norm=0.5, **QUICK)
    coarse = ns.fit(model.with_theta(model.theta.astype(np.float32)), data(), ema=0.9, clip_norm=0.5, **QUICK)
    np.testing.assert_allclose(coarse.model.theta, exact.model.theta, rtol=2e-5, atol=2e-5)
    fine = ns.fit(
        model.with_theta(model.theta.astype(np.longdouble)), data(), ema=0.9, clip_norm=0.5, **QUICK
    )
    np.testing.assert_allclose(fine.model.theta, exact.model.theta, rtol=1e-13, atol=1e-14)


def test_a_gradient_of_another_type_does_not_change_the_models():
    """A target in float64 makes ESM's gradient float64, even for a float32 model."""
    model = small()
    model = model.with_theta(model.theta.astype(np.float32))
    target = ns.LinearScore.fit(data()).score
    for optimizer in ("adam", "lbfgs"):
        run = ns.fit(
            model, data(), lambda m, x, rng: ns.esm(m, x, target), **{**QUICK, "optimizer": optimizer}
        )
        assert run.model.dtype == np.float32


def test_integers_and_lists_are_data():
    x = [[1, 2], [3, 5], [2, 2], [0, 7]]
    assert same(*(ns.fit(small(), rows, "dsm", sigma=1, **QUICK) for rows in (x, np.array(x, float))))


# ---- the progress line ---------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_progress_is_for_terminals_only(monkeypatch, capsys, optimizer):
    settings = {**QUICK, "optimizer": optimizer, "validation": data(5, seed=1)}
    ns.fit(small(), data(), **settings)
    ns.fit(small(), data(), progress=False, **settings)
    assert capsys.readouterr() == ("", "")
    ns.fit(small(), data(), progress=True, **settings)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("\rfit  ") and err.endswith("\n") and "loss" in err
    monkeypatch.setattr(sys, "stderr", Terminal())
    ns.fit(small(), data(), **settings)
    assert "fit  6/6  loss" in sys.stderr.getvalue()


# ---- bad input -----------------------------------------------------------------------------------

NAN = np.array([[0.0, 1.0], [np.nan, 2.0]])
BAD = [
    ({"model": "MLP"}, TypeError, "model must be an npscore model with real parameters, got str"),
    (
        {"model": affine().with_theta(affine().theta * 1j)},
        TypeError,
        "model must be an npscore model with real",
    ),
    ({"x": data(5, 3)}, ValueError, r"x must have shape \(n, 2\), got shape \(5, 3\)"),
    ({"x": data()[0]}, ValueError, "x must have shape"),
    ({"x": np.empty((0, 2))}, ValueError, "x must have at least one row"),
    ({"x": NAN}, ValueError, r"x must be finite, got nan at index \(1, 0\)"),
    ({"x": [["a", "b"]]}, TypeError, "x must hold real numbers"),
    ({"x": [[1, 2], [3]]}, TypeError, "x must be a rectangular array"),
    ({"x": data() * 1j}, TypeError, "x must hold real numbers"),
    ({"objective": "esm"}, ValueError, "objective must be one of ism, ssm, ssm-vr, dsm, got 'esm'"),
    ({"objective": 3}, TypeError, "objective must be a callable"),
    ({"objective": ns.ssm_vr}, TypeError, "objective must be .* got npscore's ssm_vr, .*: use 'ssm-vr'$"),
    ({"objective": ns.esm}, TypeError, "objective must be .*: use objectives.ESM"),
    ({"objective": lambda m, x, rng: 3.0}, TypeError, "objective must return a LossGrad .* got float"),
    ({"objective": lambda m, x, rng: (1.0, np.ones(3))}, ValueError, "the objective's grad must have shape"),
    (
        {"objective": lambda m, x, rng: ("a", m.theta)},
        TypeError,
        "the objective's loss must hold real numbers",
    ),
    (
        {"objective": lambda m, x, rng: (1j, m.theta)},
        TypeError,
        "the objective's loss must hold real numbers",
    ),
    ({"objective": lambda m, x, rng: (1.0, m.theta * 1j)}, TypeError, "the objective's grad must hold real"),
    ({"steps": 0}, ValueError, "steps must be a whole number >= 1, got 0"),
    ({"steps": 1.5}, TypeError, "steps must be a whole number >= 1"),
    ({"steps": True}, TypeError, "steps must be a whole number"),
    ({"batch_size": -1}, ValueError, "batch_size must be a whole number >= 1, got -1"),
    ({"rng": "seed"}, TypeError, "rng must be a numpy Generator or a whole-number seed"),
    ({"rng": -1}, ValueError, "rng must be a seed >= 0"),
    ({"optimizer": "sgd"}, ValueError, "optimizer must be one of adam, lbfgs, got 'sgd'"),
    ({"learning_rate": 0.0}, ValueError, "learning_rate must be a finite number > 0, got 0.0"),
    ({"learning_rate": np.inf}, ValueError, "learning_rate must be a finite number > 0"),
    ({"learning_rate": "fast"}, TypeError, "learning_rate must be a finite number > 0"),
    ({"learning_rate": None}, TypeError, "learning_rate must be a finite number > 0"),
    ({"schedule": "linear"}, ValueError, "schedule must be one of cosine, constant"),
    ({"clip_norm": 0}, ValueError, "clip_norm must be a finite number > 0"),
    ({"weight_decay": -0.1}, ValueError, "weight_decay must be a finite number >= 0"),
    ({"weight_decay": None}, TypeError, "weight_decay must be a finite number >= 0"),
    ({"ema": 1.0}, ValueError, "ema must be a finite number > 0 and < 1, got 1.0"),
    ({"ema": 0}, ValueError, "ema must be a finite number > 0 and < 1"),
    ({"sigma": 0.1}, ValueError, "sigma must be None unless objective is 'dsm'"),
    (
        {"sigma": 0.1, "objective": lambda m, x, rng: ns.ism(m, x)},
        ValueError,
        "sigma must be None unless objective is 'dsm'",
    ),
    ({"objective": "dsm"}, TypeError, "sigma must be a finite number > 0"),
    ({"objective": "dsm", "sigma": -1}, ValueError, "sigma must be a finite number > 0"),
    ({"n_probes": 0}, ValueError, "n_probes must be a whole number >= 1"),
    ({"probe": "unit"}, ValueError, "probe must be one of rademacher, gaussian, spherical"),
    ({"jitter": -0.1}, ValueError, "jitter must be >= 0, got -0.1"),
    ({"jitter": [0.1]}, ValueError, r"jitter must be one number or have shape \(2,\)"),
    ({"jitter": np.nan}, ValueError, "jitter must be finite"),
    ({"jitter": "auto"}, TypeError, "jitter must hold real numbers"),
    ({"validation": 0.0}, ValueError, "validation must be a finite number > 0 and < 1, got 0.0"),
    ({"validation": 1}, ValueError, "validation must be a finite number > 0 and < 1"),
    ({"validation": 0.01}, ValueError, "fraction must leave at least one"),
    ({"validation": "all"}, TypeError, "validation must hold real numbers"),
    ({"validation": [[1.0, 2.0], [3.0]]}, TypeError, "validation must be a rectangular array"),
    ({"validation": data(5, 3)}, ValueError, r"validation must have shape \(n, 2\)"),
    ({"validation": NAN}, ValueError, "validation must be finite"),
    ({"validation": 0.2, "validate_every": 0}, ValueError, "validate_every must be a whole number >= 1"),
    ({"validation": 0.2, "patience": 0}, ValueError, "patience must be a whole number >= 1"),
    ({"patience": 3}, ValueError, "patience must be None without validation rows"),
    ({"columns": ["a"]}, ValueError, "columns must be 2"),
    ({"callback": 3}, TypeError, r"callback must be a callable \(step, loss, model\)"),
    ({"progress": "yes"}, TypeError, "progress must be True or False"),
]


@pytest.mark.parametrize("changes, error, message", BAD)
def test_bad_input_is_named(changes, error, message):
    arguments = {"model": small(), "x": data(), **QUICK, **changes}
    with pytest.raises(error, match=message):
        ns.fit(**arguments)


def test_data_beyond_the_models_type_is_named():
    model = affine().with_theta(affine().theta.astype(np.float32))
    with pytest.raises(ValueError, match="x in the model's float32 must be finite, got inf"):
        ns.fit(model, data() * 1e300, **QUICK)
