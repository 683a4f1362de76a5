"""Conditions in ``fit``: they go with their rows into batches, held-out parts and shards."""

import numpy as np
import pytest
from support.fitting_cases import Watched, same

import npscore as ns
from npscore.objectives import DSM

C = 2


def conditional(hidden=(5,), seed=1, dtype=np.float64):
    return ns.MLP.init((2, *hidden, 2), condition=C, rng=seed, dtype=dtype)


def rows(n=24, seed=0):
    """Rows that say their condition: cond = (x0 + x1, number of the row)."""
    x = np.random.default_rng(seed).standard_normal((n, 2))
    return x, np.column_stack([x.sum(axis=1), np.arange(n)])


X, COND = rows()
SETTINGS = {"steps": 7, "batch_size": 5, "rng": 3, "learning_rate": 0.02}


def paired(seen):
    """ISM that notes rows and conditions and insists that they belong together, noise on x apart."""

    class Paired(Watched):
        def loss(self, model, x, draw=None, weights=None, cond=None):
            seen.append((x.copy(), cond.copy()))
            return super().loss(model, x, draw, weights, cond)

    return Paired(lambda *_: None)


def test_a_batch_has_the_conditions_of_its_rows():
    seen = []
    ns.fit(conditional(), X, paired(seen), cond=COND, **SETTINGS)
    assert len(seen) == 7
    for x, cond in seen:
        np.testing.assert_allclose(x.sum(axis=1), cond[:, 0], rtol=1e-13)
        np.testing.assert_array_equal(X[cond[:, 1].astype(int)], x)
    orders = [tuple(cond[:, 1]) for _, cond in seen]
    assert len(set(orders)) == 7


def test_noise_is_added_to_the_rows_alone():
    seen = []
    ns.fit(conditional(), X, paired(seen), cond=COND, jitter=0.1, **SETTINGS)
    for x, cond in seen:
        index = cond[:, 1].astype(int)
        np.testing.assert_array_equal(cond, COND[index])
        assert 0.02 < np.abs(x - X[index]).mean() < 0.3


def test_fit_with_conditions_is_the_loop_one_would_write_by_hand():
    model, rng = conditional(), np.random.default_rng(3)
    run = ns.fit(model, X, "dsm", sigma=0.4, cond=COND, **{**SETTINGS, "steps": 4})
    order, theta = rng.permutation(24), model.theta
    moments = ns.fitting.optimizers.adam_init(theta)
    for t in range(4):
        index = order[5 * t : 5 * t + 5]
        noise = rng.standard_normal((5, 2))
        loss = ns.dsm(model.with_theta(theta), X[index], noise, 0.4, cond=COND[index])
        assert run.history.loss[t] == pytest.approx(loss.loss, rel=1e-12)
        rate = ns.fitting.optimizers.learning_rate_at(t, 4, 0.02, "cosine")
        theta, moments = ns.fitting.optimizers.adam_step(moments, theta, loss.grad, rate)
    np.testing.assert_allclose(run.model.theta, theta, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("objective", [{}, {"objective": "dsm", "sigma": 0.3}, {"objective": "ssm"}])
def test_one_condition_for_all_rows_is_that_condition_in_every_row(optimizer, objective):
    settings = {**SETTINGS, **objective, "optimizer": optimizer, "validation": 0.25}
    shared, spread = ([0.3, -1.0], np.tile([0.3, -1.0], (24, 1)))
    assert same(*(ns.fit(conditional(), X, cond=cond, **settings) for cond in (shared, spread)))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_held_out_rows_keep_their_conditions(optimizer):
    settings = {**SETTINGS, "optimizer": optimizer, "validate_every": 1}
    held_out = rows(9, seed=5)
    run = ns.fit(conditional(), X, cond=COND, validation=held_out, **settings)
    assert run.validation_loss == pytest.approx(
        ns.ism(run.model, held_out[0], cond=held_out[1]).loss, rel=1e-13
    )
    shuffled = (held_out[0], held_out[1][::-1])
    assert (
        ns.fit(conditional(), X, cond=COND, validation=shuffled, **settings).validation_loss
        != run.validation_loss
    )

    order = np.random.default_rng(3).permutation(24)  # a fraction of 0.25 holds out the first six of these
    split = ns.fit(conditional(), X, cond=COND, validation=0.25, **settings)
    first = order[:6]
    start = ns.ism(conditional(), X[first], cond=COND[first]).loss
    assert split.history.validation_loss[0] == pytest.approx(start, rel=1e-13)


def cut(array):
    return [array[:7], array[7:8], array[8:]]


@pytest.mark.parametrize("files", [False, True])
def test_shards_carry_their_conditions(files, tmp_path):
    pairs = list(zip(cut(X), cut(COND)))
    if files:
        for i, (x, cond) in enumerate(pairs):
            np.save(tmp_path / f"x{i}.npy", x)
            np.save(tmp_path / f"cond{i}.npy", cond)
        pairs = [
            (tmp_path / f"x{i}.npy", np.load(tmp_path / f"cond{i}.npy", mmap_mode="r")) for i in range(3)
        ]
    total, whole = ns.sharded("ism", None, pairs, block_rows=4), ns.ism(conditional(), X, cond=COND)
    found = total(conditional())
    assert found.loss == pytest.approx(whole.loss, rel=1e-13)
    np.testing.assert_allclose(found.grad, whole.grad, rtol=1e-11, atol=1e-13)
    settings = {"optimizer": "lbfgs", "steps": 8, "rng": 0, "validation": rows(9, seed=5)}
    apart, together = (
        ns.fit(conditional(), None, total, **settings),
        ns.fit(conditional(), X, cond=COND, **settings),
    )
    np.testing.assert_allclose(apart.history.loss, together.history.loss, rtol=1e-9)
    np.testing.assert_allclose(apart.history.validation_loss, together.history.validation_loss, rtol=1e-8)


def test_conditions_are_computed_with_in_the_models_type():
    run = ns.fit(conditional(dtype=np.float32), X, cond=COND.astype(int), validation=0.25, **SETTINGS)
    assert run.model.dtype == np.float32


def test_an_affine_score_learns_the_mean_of_each_label():
    """x | label ~ N(±2, 1): the score is (±2 - x), and an affine network with the label as input has it exactly."""
    rng = np.random.default_rng(0)
    label = np.repeat([[1.0], [-1.0]], 200, axis=0)
    x = rng.standard_normal((400, 1))
    for sign in (1.0, -1.0):
        of = label[:, 0] == sign
        x[of] = (x[of] - x[of].mean()) / x[of].std() + 2 * sign
    model = ns.MLP([(np.array([[-0.5, 0.0]]), np.zeros(1))], condition=1)
    run = ns.fit(model, x, cond=label, optimizer="lbfgs", rng=0)
    np.testing.assert_allclose(run.model.theta, [-1.0, 2.0, 0.0], atol=1e-6)
    wrong = ns.fit(model, x, cond=label[rng.permutation(400)], optimizer="lbfgs", rng=0)
    assert abs(wrong.model.theta[1] - 2.0) > 1.0


@pytest.mark.parametrize("change", ["cond", "held-out cond"])
def test_conditions_are_part_of_a_checkpoints_fingerprint(change, tmp_path):
    held_out = rows(9, seed=5)
    settings = {**SETTINGS, "checkpoint": tmp_path / "run", "resume": True}
    ns.fit(conditional(), X, cond=COND, validation=held_out, **settings, callback=lambda step, *_: step == 3)
    cond, validation = COND, held_out
    if change == "cond":
        cond = COND + 1e-12
    else:
        validation = (held_out[0], held_out[1] + 1e-12)
    with pytest.raises(ValueError, match="checkpoint must come from the same data"):
        ns.fit(conditional(), X, cond=cond, validation=validation, **settings)
    resumed = ns.fit(conditional(), X, cond=COND, validation=held_out, **settings)
    assert same(resumed, ns.fit(conditional(), X, cond=COND, validation=held_out, **SETTINGS))


PAIR = (X[:5], COND[:5])
BAD = [
    ({"cond": COND[:-1]}, ValueError, r"cond must have shape \(24, d\), got shape \(23, 2\)"),
    ({"cond": [1.0]}, ValueError, "cond must have shape"),
    ({"cond": None}, ValueError, r"cond must have shape .* got None: the model has a condition"),
    ({"cond": COND * np.nan}, ValueError, "cond must be finite"),
    ({"cond": "label"}, TypeError, "cond must hold real numbers"),
    ({"model": ns.MLP.init((2, 3, 2), rng=0)}, ValueError, "cond must be None for a model without a condition"),
    ({"validation": X[:5]}, TypeError, r"validation must be a pair \(rows, cond\), as the rows have cond"),
    ({"validation": (X[:5], COND[:4])}, ValueError, r"validation\[1\] must have shape \(5, d\)"),
    ({"validation": (X[:5, :1], COND[:5])}, ValueError, r"validation\[0\] must have shape \(n, 2\)"),
    ({"cond": None, "validation": PAIR, "model": ns.MLP.init((2, 3, 2), rng=0)}, ValueError, "must be rows alone"),
]  # fmt: skip


@pytest.mark.parametrize("changes, error, message", BAD)
def test_bad_conditions_are_named(changes, error, message):
    arguments = {"model": conditional(), "x": X, "cond": COND, **SETTINGS, **changes}
    with pytest.raises(error, match=message):
        ns.fit(**arguments)


BAD_SHARDS = [
    ([(X, COND), X], r"shards\[1\] must be a pair \(x, cond\), as shards\[0\] is"),
    ([X, (X, COND)], r"shards\[1\] must be rows alone, as shards\[0\] is"),
    ([(X, COND[:-1])], r"the cond of shards\[0\] must have shape \(24, d\), got shape \(23, 2\)"),
    ([(X, COND), (X, COND[:, :1])], r"the cond of shards\[1\] must have shape \(24, 2\)"),
]


@pytest.mark.parametrize("shards, message", BAD_SHARDS)
def test_bad_shards_are_refused(shards, message):
    with pytest.raises(ValueError, match=message):
        ns.sharded("ism", None, shards)


def test_sharded_conditions_that_are_not_finite_are_named():
    cond = COND.copy()
    cond[9, 1] = np.inf
    with pytest.raises(
        ValueError, match=r"the cond of shards\[0\] must be finite .* got inf at row 9, column 1"
    ):
        ns.sharded("ism", None, [(X, cond)], block_rows=4)(conditional())
    with pytest.raises(ValueError, match="cond must be None with a sharded objective"):
        ns.fit(conditional(), None, ns.sharded("ism", None, [(X, COND)]), cond=COND, optimizer="lbfgs")


def test_a_callable_gets_the_conditions():
    def mine(model, batch, rng, cond):
        return ns.ism(model, batch, cond=cond)

    for where in ((X, mine), (None, ns.sharded(mine, None, [(X, COND)]))):
        cond = None if where[0] is None else COND
        run = ns.fit(conditional(), *where, cond=cond, optimizer="lbfgs", steps=4, rng=0)
        assert same(run, ns.fit(conditional(), X, cond=COND, optimizer="lbfgs", steps=4, rng=0))


def test_a_metric_gets_the_conditions():
    held_out = rows(9, seed=5)
    run = ns.fit(conditional(), X, "ssm", cond=COND, validation=held_out, metric=DSM(0.5), **SETTINGS)
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((9, 2))
    loss = ns.dsm(run.model, held_out[0], noise, 0.5, cond=held_out[1]).loss
    assert run.validation_loss == pytest.approx(loss, rel=1e-13)
