"""Resuming gives bit for bit what never stopping gives, wherever the run was cut and however often."""

import contextlib
import os
import sys

import numpy as np
import pytest
from support.fitting_cases import same
from support.strategies import network

import npscore as ns
from npscore.fitting import checkpoint
from npscore.objectives import draw_probes, named

X = np.random.default_rng(0).standard_normal((13, 2)) * [1.0, 0.5]
HELD_OUT = np.random.default_rng(1).standard_normal((6, 2)) * [1.0, 0.5]
MODEL = network(np.random.default_rng(2), 2, (4,))
BASE = {
    "steps": 7,
    "batch_size": 4,
    "learning_rate": 0.02,
    "rng": 5,
    "checkpoint_every": 3,
    "progress": False,
}


def twice_ssm(model, batch, rng):
    """A callable objective that draws."""
    probes = draw_probes(batch.shape, "spherical", rng, batch.dtype)
    loss, grad, per_sample = ns.ssm(model, batch, probes)
    return ns.LossGrad(2 * loss, 2 * grad, 2 * per_sample)


CASES = {
    "ism": {},
    "ssm": {"objective": "ssm", "n_probes": 2},
    "ssm-vr": {"objective": "ssm-vr", "probe": "gaussian"},
    "dsm": {"objective": "dsm", "sigma": 0.3, "validation": HELD_OUT},
    "callable": {"objective": named("twice ssm", twice_ssm)},
    "ema": {"ema": 0.9, "schedule": "constant"},
    "clip and decay": {"clip_norm": 0.5, "weight_decay": 0.1},
    "jitter": {"jitter": [0.1, 0.0], "objective": "ssm"},
    "validation": {"validation": 0.3, "validate_every": 2},
    "patience": {"validation": HELD_OUT, "validate_every": 2, "patience": 1, "learning_rate": 0.9},
    "everything": {
        "objective": "ssm-vr",
        "ema": 0.8,
        "clip_norm": 1.0,
        "weight_decay": 0.01,
        "jitter": 0.05,
        "validation": 0.25,
        "validate_every": 3,
        "patience": 2,
    },
}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run checkpoint"


def run(model=MODEL, x=X, **changes):
    return ns.fit(model, x, **{**BASE, **changes})


@contextlib.contextmanager
def ctrl_c_at(call):
    """Ctrl-C inside the model at its so-many-th use: an objective's, or an evaluation on the held-out rows."""
    names = ("_score_vjp", "_divergence_vjp", "_quadratic_form_vjp")
    calls = iter(range(10**6))

    def interrupting(original):
        def primitive(*args):
            if next(calls) == call:
                raise KeyboardInterrupt
            return original(*args)

        return primitive

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(ns.MLP, name, interrupting(getattr(ns.MLP, name)))
        yield calls


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_changes_nothing(case, path):
    same(run(**CASES[case], checkpoint=path), run(**CASES[case]))


@pytest.mark.parametrize("case", CASES)
def test_ctrl_c_at_any_evaluation_then_resuming(case, path):
    """Before the first evaluation, inside the first step, in an evaluation, between, in the last step."""
    settings = {**CASES[case], "checkpoint": path, "resume": True}
    whole = run(**CASES[case])
    with ctrl_c_at(None) as calls:
        run(**CASES[case])
    for call in range(next(calls)):
        with ctrl_c_at(call):
            cut = run(**settings)
        assert cut.stopped == "interrupted"
        assert len(cut.history.step) < len(whole.history.step)
        same(run(**settings), whole)
        path.unlink()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stops", [(1,), (2, 5), (3, 4, 6)])
def test_stopping_by_callback_any_number_of_times_then_resuming(case, stops, path):
    settings = {**CASES[case], "checkpoint": path, "resume": True}
    whole = run(**CASES[case])
    for stop in stops:
        part = run(**settings, callback=lambda step, loss, model, stop=stop: step >= stop)
        done = len(part.history.step)
        assert part.stopped in ("callback", whole.stopped)
        np.testing.assert_array_equal(part.history.loss, whole.history.loss[:done])
    same(run(**settings), whole)


def test_no_step_is_done_twice(path):
    """What a callback or Ctrl-C ends is saved where it ended, not only every so many steps."""
    settings = {"checkpoint": path, "resume": True, "checkpoint_every": 100}
    for expected in ([1, 2], [3, 4], [5, 6], [7]):
        done = []
        run(**settings, callback=lambda step, loss, model, done=done: done.append(step) or len(done) == 2)
        assert done == expected
    run(**settings, callback=lambda *_: pytest.fail("nothing was left to do"))


def test_checkpoints_are_written_at_the_start_every_so_often_and_at_the_end(path, monkeypatch):
    saved, save = [], checkpoint.CheckpointFile.save
    monkeypatch.setattr(
        checkpoint.CheckpointFile,
        "save",
        lambda self, run: (saved.append(run.state.step), save(self, run)),
    )
    run(checkpoint=path)
    assert saved == [0, 3, 6, 7]
    saved.clear()
    run(checkpoint=path.with_suffix(".2"), steps=50, checkpoint_every=None)
    assert saved == [*range(0, 51, 5), 50]


def test_resuming_a_finished_run_gives_it_again(path):
    whole = run(checkpoint=path)
    same(run(checkpoint=path, resume=True), whole)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_bit_generator_can_be_resumed(kind, path):
    def settings():
        rng = np.random.Generator(getattr(np.random, kind)(3))
        rng.integers(0, 2**31, dtype=np.int32)  # leaves half of a 64-bit number for the generator's next draw
        return {**CASES["everything"], "rng": rng}

    whole = run(**settings())
    run(**settings(), checkpoint=path, callback=lambda step, loss, model: step == 4)
    same(run(**settings(), checkpoint=path, resume=True), whole)


@pytest.mark.parametrize("dtype", [np.float32, np.longdouble])
def test_other_floating_types_resume_in_theirs(dtype, path):
    model = MODEL.with_theta(MODEL.theta.astype(dtype))
    whole = run(model, **CASES["everything"])
    assert whole.model.dtype == dtype
    run(model, **CASES["everything"], checkpoint=path, callback=lambda step, loss, m: step == 4)
    same(run(model, **CASES["everything"], checkpoint=path, resume=True), whole)


def test_numpy_numbers_as_settings_are_stored_as_plain_ones(path):
    numpys = {
        "steps": np.int64(7),
        "learning_rate": np.float32(0.5),
        "ema": np.float64(0.9),
        "clip_norm": np.float64(1),
    }
    plain = {"steps": 7, "learning_rate": 0.5, "ema": 0.9, "clip_norm": 1.0}
    run(**numpys, checkpoint=path, callback=lambda step, loss, model: step == 2)
    same(run(**plain, checkpoint=path, resume=True), run(**plain))


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_object_is_the_path_with_its_keywords(case, path):
    kept = ns.fitting.Checkpoint(path, every=2)
    run(**CASES[case], checkpoint=kept, checkpoint_every=None, callback=lambda step, loss, model: step == 4)
    resumed = run(**CASES[case], checkpoint=ns.fitting.Checkpoint(path, resume=True), checkpoint_every=None)
    same(resumed, run(**CASES[case]))


# ---- for more steps than first asked -----------------------------------------------------------------------


@pytest.mark.parametrize("stop", [2, 7])
@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_a_run_goes_on_for_more_steps_at_the_new_totals_rates(stop, schedule, path):
    settings = {
        **CASES["everything"],
        "patience": 99,
        "schedule": schedule,
        "checkpoint": path,
        "resume": True,
    }
    first = run(**settings, callback=lambda step, loss, model: step == stop)
    longer = run(**{**settings, "steps": 12})
    assert len(longer.history.step) == 12 and longer.stopped == "steps"
    whole = run(**{**settings, "steps": 12, "checkpoint": None, "resume": False})
    rates = np.concatenate([first.history.learning_rate, whole.history.learning_rate[stop:]])
    np.testing.assert_array_equal(longer.history.learning_rate, rates)
    np.testing.assert_array_equal(longer.history.loss[:stop], first.history.loss)
    same_bits = np.array_equal(longer.final_model.theta, whole.final_model.theta)
    assert same_bits == (
        schedule == "constant"
    )  # under the cosine the first part's rates were another total's
    assert longer.history.validation_step[-1] == 12
    same_losses = (schedule == "constant") | (np.arange(12) < 2)  # the first rate is the same in both
    np.testing.assert_array_equal(longer.history.loss == whole.history.loss, same_losses)


def test_fewer_steps_are_enough_where_no_more_are_done(path):
    settings = {**CASES["validation"], "checkpoint": path, "resume": True}
    run(**settings, callback=lambda step, loss, model: step == 3)
    shorter = run(**{**settings, "steps": 3})
    assert shorter.stopped == "steps" and list(shorter.history.validation_step) == [0, 2, 3]
    with pytest.raises(
        ValueError, match=r"steps must be at least the 3 that checkpoint .* has reached, got 2"
    ):
        run(**{**settings, "steps": 2})
    assert len(run(**settings).history.step) == 7


# ---- L-BFGS --------------------------------------------------------------------------------------------------

BATCH = {
    "optimizer": "lbfgs",
    "objective": "dsm",
    "sigma": 0.5,
    "steps": 40,
    "validation": HELD_OUT,
    "jitter": 0.1,
}


def test_lbfgs_starts_again_from_the_saved_parameters(path):
    """The same loss with the same noise, but without the memory of the first part: not the same bits."""
    whole = run(**BATCH)
    settings = {**BATCH, "checkpoint": path, "resume": True}
    first = run(**settings, callback=lambda step, loss, model: step == 10)
    assert first.stopped == "callback"
    resumed = run(**settings)
    np.testing.assert_array_equal(resumed.history.step, np.arange(1, len(resumed.history.step) + 1))
    np.testing.assert_array_equal(resumed.history.loss[:10], whole.history.loss[:10])
    assert (np.diff(resumed.history.loss) < 0).all() and resumed.stopped == "steps"
    best = resumed.history.validation_loss.argmin()
    assert resumed.validation_loss == resumed.history.validation_loss[best]
    assert resumed.best_step == resumed.history.validation_step[best]
    same(run(**settings), resumed)  # nothing is left to do
    longer = run(**{**settings, "steps": 60})
    assert len(longer.history.step) == 60 and longer.history.loss[-1] < resumed.history.loss[-1]


def test_a_sharded_run_is_kept_too(path):
    def total():
        return ns.sharded("ssm", None, [X[:5], X[5:]], block_rows=3)

    settings = {**BASE, "optimizer": "lbfgs", "steps": 20, "checkpoint": path, "resume": True}
    first = ns.fit(MODEL, None, total(), **settings, callback=lambda step, loss, model: step == 4)
    second = ns.fit(MODEL, None, total(), **settings)
    assert (
        list(second.history.loss[:4]) == list(first.history.loss)
        and second.history.loss[-1] < first.history.loss[-1]
    )
    with pytest.raises(ValueError, match="must come from the same data"):
        ns.fit(MODEL, None, ns.sharded("ssm", None, [X[:6], X[6:]], block_rows=3), **settings)


def test_lbfgs_that_converged_has_nothing_left_to_do(path):
    start = ns.LinearScore(np.zeros((2, 2)), np.zeros(2))
    settings = {**BASE, "steps": 200, "optimizer": "lbfgs", "checkpoint": path, "resume": True}
    first = ns.fit(start, X, **settings)
    again = ns.fit(start, X, **settings)
    assert first.stopped == "converged" and again.stopped in ("converged", "line search")
    assert len(again.history.step) <= len(first.history.step) + 2
    np.testing.assert_allclose(again.model.theta, first.model.theta, rtol=1e-7)


# ---- Ctrl-C between any two lines ----------------------------------------------------------------


class CtrlC:
    """A tracer that raises KeyboardInterrupt at the so-many-th line run in the training loop."""

    FUNCTIONS = (
        *("carry_out", "minimise", "_step", "evaluate", "take", "reason_to_stop", "judged", "_held_out_loss"),
        *("loss", "save_or_warn", "save", "step", "validation", "next_batch", "batch", "with_jitter"),
    )

    def __init__(self, at):
        self.at, self.lines = at, 0

    def __call__(self, frame, event, arg):
        code = frame.f_code
        if code.co_name not in self.FUNCTIONS or "fitting" + os.sep not in code.co_filename:
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                raise KeyboardInterrupt
        return self


def traced(tracer, **settings):
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        return run(**settings)
    except KeyboardInterrupt:  # outside the loop, where there is nothing to return yet
        return None
    finally:
        sys.settrace(before)


def test_ctrl_c_between_any_two_lines_then_resuming(path):
    case = {**CASES["validation"], "ema": 0.9, "jitter": 0.1, "steps": 2, "checkpoint_every": 2}
    whole = run(**case)
    settings = {**case, "checkpoint": path, "resume": True}
    counter, before = CtrlC(None), np.geterr()
    same(traced(counter, **settings), whole)
    returned = 0
    for at in range(1, counter.lines + 1):
        path.unlink(missing_ok=True)
        cut = traced(CtrlC(at), **settings)
        if cut is not None:
            returned += 1
            assert cut.stopped == "interrupted"
            k, evaluations = len(cut.history.step), len(cut.history.validation_step)
            np.testing.assert_array_equal(cut.history.loss, whole.history.loss[:k])
            np.testing.assert_array_equal(
                cut.history.validation_loss, whole.history.validation_loss[:evaluations]
            )
            assert cut.validation_loss == (min(cut.history.validation_loss) if evaluations else None)
        assert os.listdir(path.parent) in ([], [path.name])
        same(run(**settings), whole)
    assert returned > 100
    assert np.geterr() == before
