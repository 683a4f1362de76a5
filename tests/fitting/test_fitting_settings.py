"""The settings of ``fit``: whose each is, as keywords or in an object, and what is refused."""

import pickle

import numpy as np
import pytest
from support.fitting_cases import QUICK, affine, data, same, small

import npscore as ns
from npscore.fitting import LBFGS, Adam, Checkpoint

FIELDS = {"learning_rate": 0.05, "schedule": "constant", "clip_norm": 0.5, "weight_decay": 0.1, "ema": 0.9}
BARE = {name: value for name, value in QUICK.items() if name != "learning_rate"}


@pytest.mark.parametrize("fields", [{}, FIELDS, {"ema": 0.8}])
def test_an_optimizer_object_is_its_name_with_its_fields(fields):
    by_name = ns.fit(small(), data(), **BARE, **fields)
    assert same(by_name, ns.fit(small(), data(), optimizer=Adam(**fields), **BARE))
    assert same(by_name, ns.fit(small(), data(), optimizer="adam", **BARE, **fields))
    changed = ns.fit(small(), data(), optimizer=Adam(learning_rate=0.01), **BARE)
    assert (changed.model.theta != by_name.model.theta).any()


def test_lbfgs_as_an_object():
    by_name = ns.fit(small(), data(), optimizer="lbfgs", **BARE)
    assert same(by_name, ns.fit(small(), data(), optimizer=LBFGS(), **BARE))
    assert same(by_name, ns.fit(small(), data(), optimizer="lbfgs", **BARE, **FIELDS))  # which play no part
    settings = {**BARE, "steps": 12}
    one, many = (ns.fit(small(), data(), optimizer=LBFGS(memory=m), **settings) for m in (1, 20))
    np.testing.assert_array_equal(one.history.loss[:2], many.history.loss[:2])
    assert one.history.loss[-1] != many.history.loss[-1]


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_the_tolerance_is_the_relative_decrease_it_stops_at(tolerance):
    run = ns.fit(affine(), data(60), optimizer=LBFGS(tolerance=tolerance), steps=500, rng=0)
    loss = np.concatenate([[ns.ism(affine(), data(60)).loss], run.history.loss])
    decrease = -np.diff(loss) / np.maximum(abs(loss[1:]), abs(loss[:-1]))
    assert run.stopped == "converged"
    assert (decrease[:-1] > tolerance).all() and decrease[-1] <= tolerance


def test_objects_are_frozen_and_can_be_pickled():
    for value in (Adam(**FIELDS), LBFGS(memory=3), Checkpoint("run", every=4)):
        assert pickle.loads(pickle.dumps(value)) == value
        with pytest.raises(AttributeError):
            value.anything = 1
    assert type(Adam(learning_rate=np.float32(0.5)).learning_rate) is float


BAD = [
    (lambda: Adam(learning_rate=-1), ValueError, "learning_rate must be a finite number > 0"),
    (lambda: Adam(schedule="linear"), ValueError, "schedule must be one of cosine, constant"),
    (lambda: Adam(clip_norm=0), ValueError, "clip_norm must be a finite number > 0"),
    (lambda: Adam(weight_decay=None), TypeError, "weight_decay must be a finite number >= 0"),
    (lambda: Adam(ema=1.0), ValueError, "ema must be a finite number > 0 and < 1"),
    (lambda: LBFGS(memory=0), ValueError, "memory must be a whole number >= 1"),
    (lambda: LBFGS(tolerance=-1e-3), ValueError, "tolerance must be a finite number >= 0"),
    (lambda: Checkpoint(""), ValueError, "checkpoint must be a file name"),
    (lambda: Checkpoint("x", every=0), ValueError, "checkpoint_every must be a whole number >= 1"),
    (lambda: Checkpoint("x", resume=1), TypeError, "resume must be True or False"),
]


@pytest.mark.parametrize("make, error, message", BAD)
def test_bad_fields_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


REFUSED = [
    ({"learning_rte": 0.1}, TypeError, "^fit has no setting 'learning_rte': it must be one of learning_rate, .*jitter"),
    ({"beta1": 0.1}, TypeError, "^fit has no setting 'beta1'"),
    ({"optimizer": Adam}, TypeError, "optimizer must be one of adam, lbfgs"),
    ({"optimizer": Adam(), "ema": 0.9}, ValueError, "ema must be left out with an optimizer object"),
    ({"optimizer": LBFGS(), "ema": 0.9}, ValueError, "ema must be left out with an optimizer object"),
    ({"optimizer": "lbfgs", "ema": 2.0}, ValueError, "ema must be a finite number > 0 and < 1"),
    ({"objective": ns.objectives.ISM(), "sigma": 0.1}, ValueError, "sigma must be None unless objective is 'dsm'"),
    ({"objective": ns.objectives.DSM}, TypeError, "objective must be an objective, got the class DSM"),
    ({"objective": ns.objectives.SSM(), "n_probes": 3}, ValueError, "n_probes must be None unless objective is 'ssm'"),
]  # fmt: skip


@pytest.mark.parametrize("changes, error, message", REFUSED)
def test_what_fits_nowhere_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        ns.fit(small(), data(), **{**BARE, **changes})


def test_what_is_written_in_the_signature_of_today_still_works():
    """Every keyword of the first version, at its default."""
    plain = ns.fit(small(), data(), steps=6, rng=3)
    assert same(plain, ns.fit(
        small(), data(), "ism", steps=6, batch_size=128, rng=3, optimizer="adam", learning_rate=3e-3,
        schedule="cosine", clip_norm=None, weight_decay=0.0, ema=None, sigma=None, n_probes=1, probe="rademacher",
        jitter=0.0, validation=None, validate_every=None, patience=None, columns=None, checkpoint=None,
        checkpoint_every=None, resume=False, callback=None, progress=None,
    ))  # fmt: skip
