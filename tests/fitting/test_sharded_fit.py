"""``fit`` with a sharded objective: what L-BFGS finds on all rows together; what would be ignored is refused."""

import numpy as np
import pytest
from support.fitting_cases import affine, held_out_ism, same
from support.shard_cases import executor, explicit_ism, model, parts, rows

import npscore as ns
from npscore.checks import relative_error
from npscore.datasets.rounding import RoundedDataWarning

X, HELD_OUT = rows(), rows(n=90, seed=5)


def fit(objective, net=None, **options):
    return ns.fit(net or model(), None, objective, **{"optimizer": "lbfgs", "steps": 25, "rng": 0, **options})


def total(name="ism", where=None, x=X, **options):
    return ns.sharded(name, where, parts(x), block_rows=64, **options)


@pytest.mark.parametrize("name", ["ism", explicit_ism])
def test_it_is_the_fit_to_all_rows(name):
    apart = fit(total(name), validation=HELD_OUT)
    whole = ns.fit(model(), X, name, optimizer="lbfgs", steps=25, rng=0, validation=HELD_OUT)
    assert relative_error(apart.model.theta, whole.model.theta) < 1e-8
    np.testing.assert_allclose(apart.history.loss, whole.history.loss, rtol=1e-9)
    np.testing.assert_allclose(apart.history.validation_loss, whole.history.validation_loss, rtol=1e-8)
    assert apart.best_step == whole.best_step and apart.stopped == whole.stopped
    assert apart.history.loss[-1] < apart.history.loss[0] - 0.5
    assert apart.validation_loss == pytest.approx(held_out_ism(apart.model, HELD_OUT), rel=1e-13)


def test_an_affine_score_becomes_the_gaussian_of_all_rows():
    found = fit(total(), affine(3), steps=500)
    assert found.stopped in ("converged", "line search")
    np.testing.assert_allclose(found.model.theta, ns.LinearScore.fit(X).theta, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["threads", "processes", "dask"])
def test_the_whole_run_is_the_same_on_any_executor(name):
    options = {"jitter": 0.1, "steps": 6, "validation": HELD_OUT}
    here = fit(total("dsm", sigma=0.5), **options)
    with executor(name) as where:
        assert same(fit(total("dsm", where, sigma=0.5), **options), here)


class Seen:
    """ISM that keeps the rows it is given."""

    def __init__(self):
        self.blocks, self.evaluations = [], 0

    def __call__(self, net, x, rng):
        self.blocks.append(x)
        return ns.ism(net, x)

    def each_evaluation(self):
        joined = np.concatenate(self.blocks)
        return joined.reshape(-1, len(X), joined.shape[1])


def test_jitter_is_drawn_once_by_every_shard():
    seen, sd = Seen(), np.array([0.2, 0.5, 0.0])
    found = fit(total(seen), affine(3), jitter=sd, steps=300)
    evaluations = seen.each_evaluation()
    assert len(evaluations) > 5
    np.testing.assert_array_equal(evaluations, evaluations[:1].repeat(len(evaluations), 0))
    noise = evaluations[0] - X
    assert np.abs(noise[:, 2]).max() == 0
    spread = noise[:, :2] / sd[:2]
    assert np.abs(spread.std(axis=0) - 1).max() < 4 / np.sqrt(2 * len(X))
    first, second = spread[8:108], spread[308:350]  # two shards, from their streams' starts
    assert abs(np.corrcoef(first[:42].ravel(), second.ravel())[0, 1]) < 0.4
    best = ns.LinearScore.fit(evaluations[0])
    np.testing.assert_allclose(found.model.theta, best.theta, rtol=1e-6, atol=1e-6)


def test_rows_are_computed_with_in_the_models_type():
    seen = Seen()
    run = fit(total(seen), model(np.float32), steps=3)
    assert {block.dtype for block in seen.blocks} == {np.dtype(np.float32)} == {run.model.dtype}
    whole = ns.fit(model(np.float32), X, optimizer="lbfgs", steps=3, rng=0)
    assert relative_error(run.model.theta, whole.model.theta) < 1e-3


def test_held_out_rows_see_the_noise_of_the_shards_objective():
    run = fit(total("dsm", sigma=2.0), validation=HELD_OUT, steps=1)
    plain = fit(total("ism"), validation=HELD_OUT, steps=1)
    start = held_out_ism(model(), HELD_OUT)
    assert plain.history.validation_loss[0] == pytest.approx(start, rel=1e-13)
    assert abs(run.history.validation_loss[0] - start) > 1e-3


def test_rounding_of_the_first_shard_draws_the_warning():
    rounded = np.round(2 * X) / 2
    with pytest.warns(RoundedDataWarning, match="column 'b'"):
        fit(ns.sharded("ism", None, [rounded[:200], X]), steps=1, columns=("a", "b", "c"))
    fit(ns.sharded("ism", None, [rounded]), steps=1, jitter=0.4)
    fit(ns.sharded("dsm", None, [rounded], sigma=0.5), steps=1)


BAD = [
    ({"x": X}, ValueError, "x must be None with a sharded objective, which holds the rows, got ndarray"),
    ({"optimizer": "adam"}, ValueError, "optimizer must be 'lbfgs' with a sharded objective, got str 'adam'"),
    ({"sigma": 0.3}, ValueError, "sigma must be None with a sharded objective, which has its own, got 0.3"),
    ({"n_probes": 2}, ValueError, "n_probes and probe must be left out with a sharded objective"),
    ({"probe": "gaussian"}, ValueError, "n_probes and probe must be left out with a sharded objective"),
    ({"validation": 0.2}, ValueError, r"validation must be None or rows \(nv, d\) with a sharded .* got 0.2"),
    ({"validation": X[:, :2]}, ValueError, r"validation must have shape \(n, 3\), got shape \(350, 2\)"),
    ({"model": model(d=2)}, ValueError, "model must have d = 3, as the shards have, got d = 2"),
    ({"jitter": [0.1, 0.2]}, ValueError, r"jitter must be one number or have shape \(3,\)"),
    ({"jitter": -1.0}, ValueError, "jitter must be >= 0, got -1"),
    ({"patience": 3}, ValueError, "patience must be None without validation rows to watch, got int 3"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_what_it_would_ignore_is_refused(change, error, message):
    arguments = {"model": model(), "x": None, "objective": total(), "optimizer": "lbfgs", "rng": 0}
    with pytest.raises(error, match=f"^{message}"):
        ns.fit(**{**arguments, **change})


def test_no_rows_without_a_sharded_objective():
    with pytest.raises(TypeError, match="x must hold real numbers, got NoneType"):
        ns.fit(model(), None, optimizer="lbfgs")


CONSTRUCTION = [
    (("ismm", None), {}, ValueError, "objective must be one of ism, ssm, ssm-vr, dsm, got 'ismm'"),
    ((3, None), {}, TypeError, "objective must be a callable .* or a name, got int 3"),
    ((ns.ism, None), {}, TypeError, "objective must be .* got npscore's ism, .*: use 'ism'$"),
    ((ns.dsm, None), {"sigma": 1.0}, TypeError, "objective must be .* got npscore's dsm, .*: use 'dsm'$"),
    (("dsm", None), {}, TypeError, "sigma must be a finite number > 0, got NoneType"),
    (("ism", None), {"sigma": 1.0}, ValueError, "sigma must be None unless objective is 'dsm'"),
    ((explicit_ism, None), {"sigma": 1.0}, ValueError, "sigma must be None unless .* with a callable"),
    (("ssm", None), {"n_probes": 0}, ValueError, "n_probes must be a whole number >= 1"),
    (("ssm", None), {"probe": "normal"}, ValueError, "probe must be one of"),
    (("ism", None), {"block_rows": 0}, ValueError, "block_rows must be a whole number >= 1, got 0"),
    (("ism", 4), {}, TypeError, "executor must be None or an executor with a submit method"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), CONSTRUCTION)
def test_bad_arguments_are_refused_when_it_is_made(arguments, options, error, message):
    with pytest.raises(error, match=f"^{message}"):
        ns.sharded(*arguments, [X], **options)


CALLS = [
    ((model(), X), {}, ValueError, "batch must be None: the shards are the rows, got ndarray"),
    ((model(d=2),), {}, ValueError, "model must have d = 3, as the shards have, got d = 2"),
    ((X,), {}, TypeError, "model must be an npscore model, got ndarray"),
    ((model(),), {"rng": -1}, ValueError, "rng must be a seed >= 0"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), CALLS)
def test_bad_arguments_of_an_evaluation_are_refused(arguments, options, error, message):
    with pytest.raises(error, match=f"^{message}"):
        total()(*arguments, **options)


def test_what_cannot_be_sent_is_named():
    with (
        executor("processes") as where,
        pytest.raises(TypeError, match="objective must be picklable to go to another process"),
    ):
        total(lambda net, x, rng: ns.ism(net, x), where)(model())


def test_what_an_objective_returns_is_checked_and_overflow_keeps_the_last_good_model():
    with pytest.raises(TypeError, match=r"objective must return a LossGrad .* got float"):
        fit(total(lambda net, x, rng: 3.0))
    with pytest.raises(ValueError, match="the objective's grad must have shape"):
        fit(total(lambda net, x, rng: (1.0, np.ones(2))))
    with pytest.raises(ns.NonFiniteLossError, match="the objective's grad must be finite") as caught:
        fit(total(lambda net, x, rng: (1.0, net.theta / 0.0)))
    np.testing.assert_array_equal(caught.value.result.model.theta, model().theta)
    with pytest.raises(ns.NonFiniteLossError, match="loss became inf"):
        fit(total(lambda net, x, rng: (np.inf, net.theta)))
