"""A checkpoint that is not this run's, or not one, is refused and left as it is."""

import os

import numpy as np
import pytest
from support.fitting_cases import same
from support.strategies import network
from test_checkpoints import CASES, HELD_OUT, MODEL, X, run

import npscore as ns
from npscore._run import npz as _npz
from npscore.fitting import checkpoint as checkpoints


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run checkpoint"


# ---- what is refused -----------------------------------------------------------------------------

OTHER_RUNS = {
    "data": {"x": X + 1e-15},
    "fewer rows": {"x": X[:-1]},
    "order of rows": {"x": X[::-1]},
    "start": {"model": MODEL.with_theta(MODEL.theta * (1 + 1e-15))},
    "activation": {"model": ns.MLP(MODEL.layers, "sin")},
    "widths": {"model": network(np.random.default_rng(2), 2, (3, 2))},
    "type": {"model": MODEL.with_theta(MODEL.theta.astype(np.float32))},
    "seed": {"rng": 6},
    "no seed": {"rng": None},
    "generator": {"rng": np.random.Generator(np.random.MT19937(5))},
    "held-out rows": {"validation": HELD_OUT + 1e-15},
    "no held-out rows": {"validation": None},
    "objective": {"objective": "ssm-vr"},
    "steps": {"steps": 8},
    "batch_size": {"batch_size": 5},
    "learning_rate": {"learning_rate": 0.021},
    "schedule": {"schedule": "constant"},
    "clip_norm": {"clip_norm": 1.0},
    "weight_decay": {"weight_decay": 0.1},
    "ema": {"ema": 0.9},
    "n_probes": {"n_probes": 2},
    "probe": {"probe": "gaussian"},
    "jitter": {"jitter": 0.1},
    "validate_every": {"validate_every": 3},
    "patience": {"patience": 9},
}


@pytest.mark.parametrize("change", list(OTHER_RUNS.values()), ids=list(OTHER_RUNS))
def test_another_runs_checkpoint_is_refused_and_untouched(change, path):
    settings = {"objective": "ssm", "validation": HELD_OUT, "checkpoint": path}
    run(**settings)
    content = path.read_bytes()
    with pytest.raises(
        ValueError, match="checkpoint must come from the same data, start, seed and settings"
    ) as caught:
        run(**{**settings, "resume": True, **change})
    assert not isinstance(caught.value, ns.FileFormatError)
    assert path.read_bytes() == content


def test_what_does_not_decide_the_run_may_change(path):
    settings = {"checkpoint": path, "resume": True}
    run(**settings, callback=lambda step, loss, model: step == 3)
    resumed = run(**settings, checkpoint_every=1, columns=["a", "b"], callback=lambda step, loss, model: None)
    same(resumed, run())


def test_an_existing_file_is_not_overwritten(path):
    path.write_bytes(b"someone's thesis")
    with pytest.raises(ValueError, match="checkpoint must be a new file unless resume=True, got existing"):
        run(checkpoint=path)
    with pytest.raises(ns.FileFormatError, match="not a readable npscore file"):
        run(checkpoint=path, resume=True)
    assert path.read_bytes() == b"someone's thesis"


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"resume": True}, ValueError, "resume must be False without a checkpoint file"),
        ({"resume": "yes"}, TypeError, "resume must be True or False, got str"),
        ({"checkpoint": 5}, TypeError, "checkpoint must be a file name"),
        ({"checkpoint": ""}, ValueError, "checkpoint must be a file name"),
        (
            {"checkpoint": "x", "checkpoint_every": 0},
            ValueError,
            "checkpoint_every must be a whole number >= 1",
        ),
        ({"checkpoint": "x", "checkpoint_every": 2.5}, TypeError, "checkpoint_every must be a whole number"),
        (
            {"checkpoint": "x", "optimizer": "lbfgs"},
            ValueError,
            "checkpoint must be None with optimizer 'lbfgs'",
        ),
    ],
)
def test_bad_choices_are_named_and_write_nothing(changes, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        run(**changes)
    assert os.listdir(tmp_path) == []


def test_a_path_that_cannot_be_written_costs_no_training(tmp_path):
    with pytest.raises(OSError):
        run(checkpoint=tmp_path / "no" / "folder", callback=lambda *_: pytest.fail("trained"))


def test_a_failed_write_leaves_the_last_checkpoint(path, monkeypatch):
    whole = run()
    replace, written = os.replace, []

    def third_fails(source, target):
        written.append(target)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", third_fails)
    with pytest.raises(OSError, match="No space left"):
        run(checkpoint=path)
    assert os.listdir(path.parent) == [path.name]
    same(run(checkpoint=path, resume=True), whole)


# ---- damage --------------------------------------------------------------------------------------


@pytest.fixture
def good(path):
    """A checkpoint in the middle of a run."""
    run(**CASES["validation"], checkpoint=path, callback=lambda step, loss, model: step == 4)
    return path.read_bytes()


def resume(path):
    return run(**CASES["validation"], checkpoint=path, resume=True)


def test_a_truncated_checkpoint_is_refused(path, good):
    for length in range(0, len(good), 97):
        path.write_bytes(good[:length])
        with pytest.raises(ns.FileFormatError, match="run checkpoint"):
            resume(path)
        assert path.read_bytes() == good[:length]


def test_a_flipped_byte_is_refused_or_harmless(path, good):
    whole, rng = run(**CASES["validation"]), np.random.default_rng(3)
    directory = good.index(b"PK\x01\x02")
    for at in [*range(0, directory, 151), *range(directory, len(good), 11)]:
        flipped = bytearray(good)
        flipped[at] ^= int(rng.integers(1, 256))
        path.write_bytes(flipped)
        try:
            got = resume(path)
        except ns.FileFormatError:
            continue
        same(got, whole)


def test_a_model_is_not_a_checkpoint_nor_the_other_way_round(path, good, tmp_path):
    with pytest.raises(ns.FileFormatError, match="expected an npscore-model file, got 'npscore-checkpoint'"):
        ns.load(path)
    ns.save(tmp_path / "model", MODEL)
    with pytest.raises(ns.FileFormatError, match="expected an npscore-checkpoint file, got 'npscore-model'"):
        resume(tmp_path / "model")


MISSING = object()
NAN = np.full(MODEL.theta.shape, np.nan)
INCONSISTENT = {
    "no theta": ({}, {"theta": MISSING}, "no 'theta'"),
    "no rng": ({"rng": MISSING}, {}, "no 'rng'"),
    "no history": ({}, {"history_loss": MISSING}, "no 'history_loss'"),
    "theta too short": ({}, {"theta": np.ones(3)}, "theta must have shape"),
    "average NaN": ({}, {"average": NAN}, "average must be finite"),
    "memory NaN": ({}, {"adam_v": NAN}, "adam_v must be finite"),
    "memory text": ({}, {"adam_m": np.array(["a"])}, "adam_m must hold real numbers"),
    "step text": ({"step": "4"}, {}, "step must be a whole number"),
    "step negative": ({"step": -1}, {}, "step must be a whole number >= 0"),
    "cursor fraction": ({"cursor": 1.5}, {}, "cursor must be a whole number"),
    "adam_t null": ({"adam_t": None}, {}, "adam_t must be a whole number"),
    "looks too many": ({"looks": 99}, {}, r"history_validation_step must have shape \(99,\)"),
    "step too many": ({"step": 5}, {}, r"history_step must have shape \(5,\)"),
    "order too short": ({}, {"order": np.arange(3)}, "order must be a permutation"),
    "order repeats": ({}, {"order": np.zeros(9, int)}, "order must be a permutation"),
    "order of fractions": ({}, {"order": np.arange(9.0)}, "order must be a permutation"),
    "rng null": ({"rng": None}, {}, "inconsistent"),
    "rng empty": ({"rng": {}}, {}, "inconsistent"),
    "rng of another kind": ({"rng": np.random.SFC64(0)}, {}, "inconsistent"),
    "rng with text": ({"rng": {"bit_generator": "PCG64", "state": "x"}}, {}, "inconsistent"),
    "best loss many": ({}, {"best_loss": np.ones(2)}, "inconsistent"),
}


@pytest.mark.parametrize("header, arrays, reason", list(INCONSISTENT.values()), ids=list(INCONSISTENT))
def test_an_inconsistent_checkpoint_says_what_is_wrong(header, arrays, reason, path, good):
    def changed(base, changes):
        return {k: v for k, v in {**base, **changes}.items() if v is not MISSING}

    old_header, old_arrays = _npz.read_npz(path, checkpoints.FORMAT, checkpoints.VERSION)
    if isinstance(header.get("rng"), np.random.SFC64):
        header = {"rng": checkpoints._jsonable(header["rng"].state)}
    new_arrays = changed(old_arrays, arrays)
    new_header = changed(old_header, {**header, "arrays": sorted(new_arrays)})
    _npz.write_npz(path, checkpoints.FORMAT, checkpoints.VERSION, new_header, **new_arrays)
    with pytest.raises(ns.FileFormatError, match=reason) as caught:
        resume(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


# ---- the fingerprint -----------------------------------------------------------------------------


def with_padding(values, byte):
    """The same longdouble values over memory that held something else: 80-bit floats leave 6 of 16 bytes as is."""
    array = np.empty(values.shape, np.longdouble)
    array.view(np.uint8)[...] = byte
    for index in np.ndindex(values.shape):
        array[index] = values[index]
    return array


def test_longdouble_data_is_compared_by_value_not_by_its_padding(path):
    model = MODEL.with_theta(MODEL.theta.astype(np.longdouble))
    data = [with_padding(X, byte) for byte in (0, 255)]
    whole = run(model, data[0])
    run(model, data[0], checkpoint=path, callback=lambda step, loss, m: step == 4)
    same(run(model, data[1], checkpoint=path, resume=True), whole)
    run(model, data[0], checkpoint=path, resume=True)
    other = data[0] * (1 + np.finfo(np.longdouble).eps)
    with pytest.raises(ValueError, match="must come from the same data"):
        run(model, other, checkpoint=path, resume=True)
