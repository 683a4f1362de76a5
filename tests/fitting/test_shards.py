"""Shards in files and in memory: only the place in a file travels, a worker holds a block, and bad ones are named."""

import pickle
import re
import tracemalloc

import numpy as np
import pytest
from support.shard_cases import assert_close, model, rows

import npscore as ns
from npscore.fitting.rows import run_shard

# ---- files -------------------------------------------------------------------------------------------------


def mapped(path, array, mode="r", **options):
    """The array in a file behind 40 bytes of something else, mapped."""
    file = np.memmap(path, array.dtype, "w+", 40, array.shape, **options)
    file[...] = array
    file.flush()
    return np.memmap(path, array.dtype, mode, 40, array.shape, **options)


VIEWS = {
    "all": lambda m: m,
    "rows": lambda m: m[100:217],
    "rows of rows": lambda m: m[100:][:117],
    "every third row": lambda m: m[5::3],
    "backwards": lambda m: m[::-1],
    "columns": lambda m: m[:, 1:],
    "plain array": lambda m: np.asarray(m)[3:],
    "transposed": lambda m: m.T[:, :2],
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i4", ">i2"])
@pytest.mark.parametrize("view", VIEWS)
def test_of_a_memory_map_only_its_place_is_sent(tmp_path, order, dtype, view):
    array = VIEWS[view](mapped(tmp_path / "a", (3 * rows(n=1500)).astype(dtype), order=order))
    plain = np.array(array, dtype=array.dtype.newbyteorder("="))
    net = model(d=array.shape[1])
    objective = ns.sharded("ism", None, [array])
    assert len(pickle.dumps(objective.shards)) < 400
    assert_close(objective(net), ns.ism(net, plain), 1e-14)


def test_what_no_file_holds_is_sent_itself(tmp_path):
    changed = mapped(tmp_path / "a", rows(), mode="c")
    changed += 1.0
    assert_close(ns.sharded("ism", None, [changed])(model()), ns.ism(model(), rows() + 1.0), 1e-14)


def job_of(net, shards, **options):
    total = ns.sharded("ism", None, shards, **options)
    return total.rows.jobs(total.objective, net, (1, 2, 3, 4))[0]


def test_a_job_is_the_parameters_and_so_is_its_result(tmp_path):
    np.save(tmp_path / "x.npy", rows(n=5000))
    net = model(hidden=(60, 60))
    job = job_of(net, [tmp_path / "x.npy"])
    p = net.theta.size
    assert 8 * p < len(pickle.dumps(job)) < 8 * p + 1500
    assert 8 * p < len(pickle.dumps(run_shard(job))) < 8 * p + 500


def test_a_worker_holds_a_block_and_not_its_shard(tmp_path):
    def peak(n):
        np.save(tmp_path / "x.npy", rows(n=n))
        job = job_of(model(), [tmp_path / "x.npy"], block_rows=500)
        tracemalloc.start()
        run_shard(job)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1000)
    few, many = peak(1000), peak(60_000)
    assert many < 1.2 * few
    assert many < 60_000 * 3 * 8 / 2


# ---- bad shards --------------------------------------------------------------------------------------------

X = rows(n=5)
BAD_SHARDS = [
    (
        X,
        TypeError,
        r"shards must be a list of \(n, d\) arrays or .npy files \(one alone is \[x\]\), got ndarray",
    ),
    ("rows.npy", TypeError, "shards must be a list of .* got str 'rows.npy'"),
    (3, TypeError, "shards must be a list of .* got int 3"),
    ([], ValueError, "shards must hold at least one array or file, got none"),
    ([X, X[:, :2]], ValueError, r"shards\[1\] must have shape \(n, 3\), got shape \(5, 2\)"),
    ([X[:0]], ValueError, r"shards\[0\] must have at least one row and one column, got shape \(0, 3\)"),
    ([X, X[0]], ValueError, r"shards\[1\] must have shape \(n, 3\), got shape \(3,\); one-dimensional"),
    ([X > 0], TypeError, r"shards\[0\] must hold real numbers, got .* of dtype bool"),
    ([X, [[1, 2], [3]]], TypeError, r"shards\[1\] must be a rectangular array"),
    ([X * 1j], TypeError, r"shards\[0\] must hold real numbers"),
    ([None], TypeError, r"shards\[0\] must hold real numbers, got NoneType"),
]


@pytest.mark.parametrize(("shards", "error", "message"), BAD_SHARDS)
def test_bad_shards_are_refused_at_once(shards, error, message):
    with pytest.raises(error, match=message):
        ns.sharded("ism", None, shards)


FILES = {
    "text": lambda path: path.write_text("1,2\n3,4\n"),
    "pickle": lambda path: np.save(path, np.array([{}, {}])),
    "no rows": lambda path: np.save(path, X[:0]),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_array_of_rows_is_named(tmp_path, kind):
    path = tmp_path / "bad.npy"
    FILES[kind](path)
    name = re.escape(f"shards[1] ({path})")
    with pytest.raises(ValueError, match=f"{name} must "):
        ns.sharded("ism", None, [X, path])


def test_a_file_of_something_else_than_real_rows_is_named_by_what_it_holds(tmp_path):
    np.save(tmp_path / "x.npy", X * 1j)
    with pytest.raises(TypeError, match=r"shards\[0\] \(.*x.npy\) must hold real numbers, .* complex128"):
        ns.sharded("ism", None, [tmp_path / "x.npy"])
    with pytest.raises(FileNotFoundError, match=r"none\.npy"):
        ns.sharded("ism", None, [tmp_path / "none.npy"])


@pytest.mark.parametrize("replaced", [X, np.tile(X, (90, 1)), rows().astype(np.float32)])
def test_a_file_that_has_become_another_is_named(replaced, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, rows())
    objective, size = ns.sharded("ism", None, [path]), path.stat().st_size
    np.save(path, replaced)
    told = rf"x\.npy must be as long as .* opened, {size} bytes, got {path.stat().st_size}"
    with pytest.raises(ValueError, match=told):
        objective(model())


def test_numbers_too_large_for_the_type_they_are_computed_in(tmp_path):
    objective = ns.sharded("ism", None, [X, 1e300 * X])
    with pytest.raises(
        ValueError, match=r"shards\[1\] must be finite in float32, got -?inf at row 0, column 0"
    ):
        ns.fit(model(np.float32), None, objective, optimizer="lbfgs")
