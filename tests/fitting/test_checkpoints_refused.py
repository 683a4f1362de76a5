"""A checkpoint that is not this run's, or not one, is refused and left as it is."""

import os

import numpy as np
import pytest
from support.fitting_cases import failing, same
from support.strategies import network
from test_checkpoints import CASES, HELD_OUT, MODEL, X, run

import npscore as ns
from npscore._run import npz as _npz
from npscore.fitting import checkpoint as checkpoints
from npscore.fitting.generators import jsonable
from npscore.objectives import named


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
    "metric": {"metric": "ism"},
    "objective": {"objective": "ssm-vr"},
    "optimizer": {"optimizer": "lbfgs"},
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


def by_ism(model, rows, rng):
    return ns.ism(model, rows)


def by_esm(model, rows, rng):
    return ns.esm(model, rows, lambda x: -x)


def test_two_callables_do_not_resume_each_other(path):
    """Without names they could not be told apart; with names they are, and so are a callable and a named objective."""
    stop = {"checkpoint": path, "callback": lambda step, loss, model: step == 5}
    for objective in (by_ism, by_esm):
        with pytest.raises(ValueError, match=r"^objective must have a name to be kept in .*\.named\("):
            run(objective=objective, **stop)
    with pytest.raises(ValueError, match=r"^metric must have a name to be kept in .*\.named\("):
        run(validation=HELD_OUT, metric=by_ism, **stop)
    assert not path.exists()
    run(objective=named("ism of mine", by_ism), **stop)
    for other in (named("esm of mine", by_esm), "ism"):
        with pytest.raises(ValueError, match="checkpoint must come from the same"):
            run(objective=other, checkpoint=path, resume=True)
    resumed = run(objective=named("ism of mine", by_ism), checkpoint=path, resume=True)
    same(resumed, run(objective=by_ism))


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
            {"checkpoint": ns.fitting.Checkpoint("x"), "checkpoint_every": 2},
            ValueError,
            "checkpoint_every and resume must be left out with a Checkpoint",
        ),
        (
            {"checkpoint": "x", "objective": lambda m, x, rng: ns.ism(m, x)},
            ValueError,
            "objective must have a name to be kept in a checkpoint",
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


@pytest.mark.parametrize("fails", [(3,), (3, 4, 5), (4, 5)])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_full_disk_is_a_warning_and_loses_no_run(fails, optimizer, path, monkeypatch):
    """The start, steps 3 and 6 and the end are written; what was written last is what is there."""
    settings = {"optimizer": optimizer, "steps": 9}
    whole = run(**settings)
    replace, written = os.replace, []

    def failing(source, target):
        written.append(target)
        if len(written) in fails:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    told = r"run checkpoint could not be written at step \d \(No space left on device\)"
    with pytest.warns(ns.fitting.CheckpointWarning, match=told) as caught:
        same(run(checkpoint=path, **settings), whole)
    assert len(caught) == len(fails) and len(written) == 5
    assert os.listdir(path.parent) == [path.name]
    monkeypatch.undo()
    resumed = run(checkpoint=path, resume=True, **settings)
    if optimizer == "adam":
        same(resumed, whole)
    assert len(resumed.history.step) == 9


def test_a_full_disk_after_ctrl_c_loses_no_run_either(path, monkeypatch):
    def full_from_here(result):
        def fail(source, target):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", fail)
        raise KeyboardInterrupt

    with pytest.warns(ns.fitting.CheckpointWarning, match="at step 4"):
        cut = run(objective=named("ism", failing(5, full_from_here)), checkpoint=path)
    assert cut.stopped == "interrupted" and len(cut.history.step) == 4


def test_two_runs_do_not_share_a_checkpoint(path):
    """A second one is refused while the first is under way, whether it would start or resume."""
    told = []

    def second(step, loss, model):
        for resume in (False, True):
            with pytest.raises(ValueError, match="checkpoint must be a file that no other run is using"):
                run(checkpoint=path, resume=resume)
            told.append(step)

    same(run(checkpoint=path, callback=second), run())
    assert len(told) == 14
    same(run(checkpoint=path, resume=True), run())
    assert os.listdir(path.parent) == [path.name]


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
RNG = np.random.default_rng(5).bit_generator.state
INCONSISTENT = {
    "no theta": ({}, {"theta": MISSING}, "no 'theta'"),
    "no rng": ({"rng": MISSING}, {}, "no 'rng'"),
    "no history": ({}, {"history_loss": MISSING}, "no 'history_loss'"),
    "theta too short": ({}, {"theta": np.ones(3)}, "theta must have shape"),
    "average NaN": ({}, {"average": NAN}, "average must be finite"),
    "moment NaN": ({}, {"adam_v": NAN}, "adam_v must be finite"),
    "moment text": ({}, {"adam_m": np.array(["a"])}, "adam_m must hold real numbers"),
    "square negative": ({}, {"adam_v": -np.ones_like(NAN)}, "adam_v must be >= 0"),
    "cursor fraction": ({"cursor": 1.5}, {}, "cursor must be a whole number"),
    "cursor negative": ({"cursor": -1}, {}, "cursor must be a whole number >= 0"),
    "cursor beyond": ({"cursor": 10}, {}, "cursor at most the number of rows"),
    "cursor of 400 digits": ({"cursor": 10**400}, {}, "cursor must be a whole number"),
    "cursor null": ({"cursor": None}, {}, "cursor must be a whole number"),
    "steps of another length": ({}, {"history_step": np.arange(1, 6)}, r"must have shape \(5,\)"),
    "steps from elsewhere": ({}, {"history_step": np.arange(4)}, "history_step must be 1, 2"),
    "steps of fractions": ({}, {"history_step": np.arange(1.0, 5)}, "history_step must be 1, 2"),
    "validations of another length": ({}, {"history_validation_loss": np.ones(9)}, r"must have shape \(3,\)"),
    "validations beyond": ({}, {"history_validation_step": np.array([0, 2, 9])}, "must rise within 0 … 4"),
    "validations twice": ({}, {"history_validation_step": np.array([0, 2, 2])}, "must rise within 0 … 4"),
    "held-out loss NaN": ({}, {"history_validation_loss": np.full(3, np.nan)}, "must be finite"),
    "loss infinite": ({}, {"history_loss": np.full(4, np.inf)}, "history_loss must be finite"),
    "norm negative": ({}, {"history_grad_norm": -np.ones(4)}, "history_grad_norm must be >= 0"),
    "order too short": ({}, {"order": np.arange(3)}, "order must be a permutation"),
    "order repeats": ({}, {"order": np.zeros(9, int)}, "order must be a permutation"),
    "order of fractions": ({}, {"order": np.arange(9.0)}, "order must be a permutation"),
    "rng null": ({"rng": None}, {}, "inconsistent"),
    "rng empty": ({"rng": {}}, {}, "inconsistent"),
    "rng of another kind": ({"rng": np.random.SFC64(0)}, {}, "inconsistent"),
    "rng with text": ({"rng": {"bit_generator": "PCG64", "state": "x"}}, {}, "inconsistent"),
    "rng beyond": ({"rng": {**RNG, "uinteger": 10**40}}, {}, "rng.uinteger must be a whole number"),
    "rng negative": ({"rng": {**RNG, "state": {"state": -1, "inc": 1}}}, {}, "rng.state.state must be"),
}


@pytest.mark.parametrize("header, arrays, reason", list(INCONSISTENT.values()), ids=list(INCONSISTENT))
def test_an_inconsistent_checkpoint_says_what_is_wrong(header, arrays, reason, path, good):
    def changed(base, changes):
        return {k: v for k, v in {**base, **changes}.items() if v is not MISSING}

    old_header, old_arrays = _npz.read_npz(path, checkpoints.FORMAT, checkpoints.VERSION)
    if isinstance(header.get("rng"), np.random.SFC64):
        header = {"rng": jsonable(header["rng"].state)}
    new_arrays = changed(old_arrays, arrays)
    new_header = changed(old_header, {**header, "arrays": sorted(new_arrays)})
    _npz.write_npz(path, checkpoints.FORMAT, checkpoints.VERSION, new_header, **new_arrays)
    with pytest.raises(ns.FileFormatError, match=reason) as caught:
        resume(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_version_before_this_one_is_refused(path, good):
    header, arrays = _npz.read_npz(path, checkpoints.FORMAT, checkpoints.VERSION)
    _npz.write_npz(path, checkpoints.FORMAT, checkpoints.VERSION, {**header, "version": 1}, **arrays)
    with pytest.raises(ns.FileFormatError, match="expected npscore-checkpoint version 2, got 1; an older"):
        resume(path)


@pytest.mark.parametrize("kind, place", [("MT19937", "pos"), ("Philox", "buffer_pos")])
def test_a_place_beyond_a_generators_buffer_is_refused(kind, place, path):
    """NumPy takes it and reads there."""
    settings = {"checkpoint": path, "resume": True}
    run(**settings, rng=np.random.Generator(getattr(np.random, kind)(3)), steps=2)
    header, arrays = _npz.read_npz(path, checkpoints.FORMAT, checkpoints.VERSION)
    inner = header["rng"]["state"] if place == "pos" else header["rng"]
    inner[place] = 10**9
    _npz.write_npz(path, checkpoints.FORMAT, checkpoints.VERSION, header, **arrays)
    with pytest.raises(ns.FileFormatError, match=f"{place} must be a whole number of at most"):
        run(**settings, rng=np.random.Generator(getattr(np.random, kind)(3)), steps=2)


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
