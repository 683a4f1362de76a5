"""Model files: what goes in comes out bit for bit, exactly where it was asked to, or not at all."""

import json
import os

import numpy as np
import pytest
from support.strategies import network

import npscore as ns
from npscore.datasets.standardise import Standardisation

TYPES = (np.float32, np.float64, np.longdouble)
DEPTHS = ((), (4,), (5, 3), (4, 6, 2))
ACTIVATIONS = ("tanh", "softplus(beta=2)", "gelu", "cube")


def of_type(model, dtype):
    return model.with_theta(model.theta.astype(dtype))


def linear(d=3):
    rng = np.random.default_rng(1)
    return ns.LinearScore(rng.standard_normal((d, d)), rng.standard_normal(d))


def units(d=3, dtype=np.float64, columns=("Länge", "größe µm", "温度")):
    rng = np.random.default_rng(2)
    return Standardisation(
        rng.standard_normal(d).astype(dtype), rng.uniform(0.1, 9, d).astype(dtype), columns
    )


def assert_same(stored, model, standardisation=None, info=None):
    """Every bit of the file's content is what was saved."""
    assert type(stored.model) is type(model)
    assert stored.model.config == model.config
    assert stored.model.dtype == model.dtype
    np.testing.assert_array_equal(stored.model.theta, model.theta)
    assert stored.info == (info or {})
    if standardisation is None:
        assert stored.standardisation is None
        return
    assert stored.standardisation.columns == standardisation.columns
    for name in ("mean", "scale"):
        got, want = getattr(stored.standardisation, name), getattr(standardisation, name)
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


# ---- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("hidden, activation", list(zip(DEPTHS, ACTIVATIONS)))
@pytest.mark.parametrize("scaled", [False, True])
def test_an_mlp_comes_back_bit_for_bit(path, dtype, hidden, activation, scaled):
    model = of_type(network(np.random.default_rng(5), 3, hidden, activation), dtype)
    standardisation = units(dtype=dtype) if scaled else None
    info = {"objective": "ism", "noise": [0.1, 0.0], "nested": {"ü": None, "ok": True}}
    ns.save(path, model, standardisation=standardisation, info=info)
    stored = ns.load(path)
    assert_same(stored, model, standardisation, info)
    x = np.random.default_rng(1).standard_normal((4, 3)).astype(dtype)
    np.testing.assert_array_equal(stored.model.score(x), model.score(x))
    np.testing.assert_array_equal(stored.model.divergence(x), model.divergence(x))


@pytest.mark.parametrize("dtype", TYPES)
def test_a_linear_score_comes_back_bit_for_bit(path, dtype):
    model = of_type(linear(), dtype)
    ns.save(str(path), model, standardisation=units(columns=None))
    assert_same(ns.load(str(path)), model, units(columns=None))
    assert ns.load(path).standardisation.columns == ("x1", "x2", "x3")


def test_extreme_but_finite_parameters_survive(path):
    info = np.finfo(np.longdouble)
    values = np.array(
        [info.max, -info.max, info.tiny, -0.0, 1 + info.eps, 1 / np.longdouble(3)], np.longdouble
    )
    model = of_type(linear(2), np.longdouble).with_theta(values)
    ns.save(path, model)
    theta = ns.load(path).model.theta
    np.testing.assert_array_equal(theta, values)
    np.testing.assert_array_equal(np.signbit(theta), np.signbit(values))


def test_a_loaded_model_can_be_fitted_and_saved_again(path):
    ns.save(path, linear(2))
    model = ns.load(path).model
    model = model.with_theta(model.theta * 2)
    ns.save(path, model)
    assert_same(ns.load(path), model)


@pytest.mark.parametrize("name", ["model", "model.npz", "model.txt", "ein modell.ü", ".hidden"])
def test_the_path_is_the_path_and_nothing_else_is_left(tmp_path, name):
    ns.save(tmp_path / name, linear())
    assert os.listdir(tmp_path) == [name]
    assert_same(ns.load(tmp_path / name), linear())


def test_the_file_is_a_plain_npz_without_pickles(path):
    ns.save(path, linear(), standardisation=units())
    with np.load(path, allow_pickle=False) as archive:
        assert sorted(archive.files) == ["header", "mean", "scale", "theta"]
        np.testing.assert_array_equal(archive["theta"], linear().theta)
        header = json.loads(str(archive["header"]))
    assert header["format"] == "npscore-model" and header["version"] == 1
    assert header["model"] == "LinearScore" and header["config"] == {"d": 3}
    assert header["conventions"]["score"].startswith("s = +grad")


# ---- all or nothing ------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("there_before", [False, True])
@pytest.mark.parametrize("moment", ["savez", "fsync", "replace"])
def test_a_failure_while_writing_leaves_the_folder_as_it_was(
    monkeypatch, path, failure, there_before, moment
):
    if there_before:
        ns.save(path, linear())
    before = {name: (path.parent / name).read_bytes() for name in os.listdir(path.parent)}

    def fail(file, *args, **kwargs):
        if moment == "savez":
            file.write(b"half of ")
        raise failure

    monkeypatch.setattr(np if moment == "savez" else os, moment, fail)
    with pytest.raises(type(failure)):
        ns.save(path, network(np.random.default_rng(0), 2, (3,)))
    monkeypatch.undo()
    assert {name: (path.parent / name).read_bytes() for name in os.listdir(path.parent)} == before


def test_a_file_is_replaced_whole(path):
    ns.save(path, network(np.random.default_rng(0), 4, (30,)), standardisation=units(4, columns=None))
    ns.save(path, linear(1))
    assert_same(ns.load(path), linear(1))
    assert os.listdir(path.parent) == [path.name]


# ---- what cannot be saved ------------------------------------------------------------------------


class Derived(ns.LinearScore):
    pass


@pytest.mark.parametrize(
    "model, settings, error, message",
    [
        ("model", {}, TypeError, "model must be one of MLP, LinearScore, .*got str"),
        (
            Derived(np.eye(2), np.zeros(2)),
            {},
            TypeError,
            "model must be one of MLP, LinearScore, .*got Derived",
        ),
        (of_type(linear(2), complex), {}, TypeError, "model must have real parameters, got complex128"),
        (
            linear(2),
            {"standardisation": (0, 1)},
            TypeError,
            "standardisation must be a Standardisation, got tuple",
        ),
        (linear(2), {"standardisation": units(3)}, ValueError, "standardisation must have d = 2, got 3"),
        (linear(2), {"info": [1]}, TypeError, "info must be a mapping, got list"),
        (linear(2), {"info": {"a": np.float32(1)}}, TypeError, "info must be what JSON can hold"),
        (linear(2), {"info": {"a": np.nan}}, ValueError, "info must be what JSON can hold"),
        (linear(2), {"info": {"a": {1, 2}}}, TypeError, "info must be what JSON can hold"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(path, model, settings, error, message):
    with pytest.raises(error, match=message):
        ns.save(path, model, **settings)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("bad", [3, None, b"x" * 0, ""])
def test_a_path_that_is_none_is_refused(bad):
    for call in (lambda: ns.save(bad, linear()), lambda: ns.load(bad)):
        with pytest.raises((TypeError, ValueError), match="path must be a file name"):
            call()
