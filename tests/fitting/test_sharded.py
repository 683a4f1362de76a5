"""An objective over shards is the objective over all rows, with the same bits on any executor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shard_cases import (
    BLOCK,
    EXECUTORS,
    OBJECTIVES,
    assert_close,
    draws,
    executor,
    explicit_ism,
    model,
    parts,
    rows,
)

import npscore as ns
from npscore.checks import complex_step_gradient, relative_error

PURE = {"ism": ns.ism, "dsm": ns.dsm, "ssm": ns.ssm, "ssm-vr": ns.ssm_vr}


@pytest.fixture(scope="module", params=EXECUTORS)
def engine(request):
    with executor(request.param) as found:
        yield found


def total(name, shards, where=None, **options):
    return ns.sharded(name, where, shards, block_rows=BLOCK, **OBJECTIVES.get(name, {}), **options)


# ---- the numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-14), (np.longdouble, 2e-17)]
)
def test_ism_over_shards_is_ism_over_all_rows(dtype, tolerance):
    x, net = rows(dtype), model(dtype)
    whole = ns.ism(net, x)
    tolerance = max(tolerance, 10 * np.finfo(dtype).eps)
    for objective in ("ism", explicit_ism):
        found = total(objective, parts(x))(net)
        assert_close(found, whole, tolerance)
        assert found.per_sample is None


def test_the_mean_of_the_shards_means_is_another_number():
    x, net = rows(), model()
    mean = np.mean([ns.ism(net, part).loss for part in parts(x)])
    assert abs(mean / ns.ism(net, x).loss - 1) > 5e-3


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5), block=st.integers(1, 50))
def test_however_the_rows_are_cut(lengths, block):
    x, net = rows(n=sum(lengths)), model()
    shards = np.split(x, np.cumsum(lengths)[:-1])
    assert_close(ns.sharded("ism", None, shards, block_rows=block)(net), ns.ism(net, x), 1e-13)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_shard_draws_from_its_own_stream_block_after_block(name):
    """Σ wᵢ ℓᵢ with w = 1/n in every shard, on the noise and probes that its stream gives."""
    x, net = rows(), model()
    objective = total(name, parts(x))
    loss, grad = 0.0, 0.0
    for part, rng in zip(parts(x), objective.streams(9)):
        drawn = () if name == "ism" else draws(name, part, rng, **OBJECTIVES[name])
        term = PURE[name](net, part, *drawn, weights=np.full(len(part), 1 / len(x)))
        loss, grad = loss + term.loss, grad + term.grad
    assert_close(objective(net, rng=9), ns.LossGrad(loss, grad, None), 1e-13)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("net", [model(), ns.LinearScore.fit(rows(seed=3))], ids=["MLP", "LinearScore"])
def test_the_gradient_is_the_complex_step_of_the_loss(name, net):
    objective = total(name, parts(rows()))
    exact = complex_step_gradient(lambda theta: objective(net.with_theta(theta), rng=4).loss, net.theta)
    assert relative_error(objective(net, rng=4).grad, exact) < 1e-13


def test_a_seed_fixes_the_noise_and_no_two_shards_share_theirs():
    x, net = rows(), model()
    objective = total("dsm", [x[:50]] * 2)
    first, again, other = (objective(net, rng=seed).loss for seed in (1, 1, 2))
    assert first == again != other
    one, two = (stream.standard_normal(50) for stream in objective.streams(1))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.5
    rng = np.random.default_rng(1)
    assert objective(net, rng=rng).loss == first
    assert objective(net, rng=rng).loss not in (first, other)  # a Generator moves on


def test_types_mix_as_in_the_objectives():
    x, net = rows(), model()
    single = x.astype(np.float32)  # whose weights 1/n are float32
    assert_close(total("ism", parts(single))(net), ns.ism(net, single), 1e-7)
    assert_close(total("ism", parts(x))(model(np.float32)), ns.ism(model(np.float32), x), 1e-14)
    whole = (4 * x).astype(np.int16)
    assert_close(total("ism", [whole[:9], whole[9:].tolist()])(net), ns.ism(net, whole), 1e-14)


# ---- the executors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OBJECTIVES, explicit_ism])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bits_are_the_same_on_any_executor(engine, name, dtype):
    x, net = rows(dtype), model(dtype, hidden=(33, 70))
    here, there = (total(name, parts(x), where)(net, rng=3) for where in (None, engine))
    assert there.loss == here.loss and type(there.loss) is type(here.loss)
    np.testing.assert_array_equal(there.grad, here.grad)
    assert there.grad.dtype == here.grad.dtype


def test_shards_in_files_are_read_there(engine, tmp_path):
    x = rows()
    paths = [tmp_path / f"{i}.npy" for i in range(4)]
    for path, part in zip(paths, parts(x)):
        np.save(path, part)
    want = total("dsm", parts(x))(model(), rng=2)
    got = total("dsm", [paths[0], str(paths[1]), *(np.load(p, mmap_mode="r") for p in paths[2:])], engine)
    got = got(model(), rng=2)
    assert got.loss == want.loss
    np.testing.assert_array_equal(got.grad, want.grad)


@pytest.mark.parametrize("spoilt", [np.nan, -np.inf])
def test_a_number_that_is_not_finite_is_named_where_it_stands(engine, tmp_path, spoilt):
    x = rows().copy()
    x[308 + 41, 2] = spoilt
    np.save(tmp_path / "last.npy", x[308:])
    shards = [*parts(x)[:3], tmp_path / "last.npy"]
    with pytest.raises(ValueError, match=rf"shards\[3\] \(.*last.npy\).* got {spoilt} at row 41, column 2"):
        total("ism", shards, engine)(model())


@pytest.mark.parametrize("order", [1, -1])
def test_shards_of_two_types_give_the_wider_whatever_their_order(order):
    x = np.random.default_rng(0).standard_normal((100, 3))
    narrow = ns.MLP.init((3, 5, 3), rng=0, dtype=np.float32)
    total = ns.sharded("ism", None, [x[:50].astype(np.float32), x[50:]][::order])(narrow)
    assert total.grad.dtype == total.loss.dtype == np.float64


@pytest.mark.parametrize("loss", [1 + 1e-30j, np.float64(1e300)])
def test_a_loss_of_another_type_than_its_gradient_keeps_it(loss):
    """Complex, so that a complex step of the loss passes; float64 beside a float32 gradient, so that it is no inf."""
    x = np.ones((4, 3))
    narrow = ns.MLP.init((3, 3), rng=0, dtype=np.float32)
    gradient = np.zeros(narrow.theta.size, np.float32)
    total = ns.sharded(lambda model, rows, rng: ns.LossGrad(loss, gradient, None), None, [x, x])(narrow)
    assert total.loss == loss and total.grad.dtype == np.float32
