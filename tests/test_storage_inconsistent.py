"""An intact file whose parts contradict each other, or that is of another kind or time, says so in one line."""

import numpy as np
import pytest

import npscore as ns
from npscore._run import npz as _npz


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


THETA = np.arange(1.0, 9.0)  # an MLP 2-1-2 has (2 + 1) + (2 + 2) = 7 parameters
HEADER = {
    "model": "MLP",
    "config": {"sizes": [2, 1, 2], "activation": "tanh"},
    "mantissa_bits": 52,
    "info": {},
    "columns": ["a", "b"],
}
ARRAYS = {"theta": THETA[:7], "mean": np.zeros(2), "scale": np.ones(2)}
MISSING = object()


def changed(base, changes):
    return {k: v for k, v in {**base, **changes}.items() if v is not MISSING}


def config(**changes):
    return {"config": changed(HEADER["config"], changes)}


INCONSISTENT = {
    "theta too long": ({}, {"theta": THETA}, r"theta must have shape \(7,\)"),
    "theta too short": ({}, {"theta": THETA[:6]}, r"theta must have shape \(7,\)"),
    "theta two-dimensional": ({}, {"theta": THETA[:7][None]}, "theta must have shape"),
    "theta missing": ({}, {"theta": MISSING}, "no 'theta'"),
    "theta NaN": ({}, {"theta": np.full(7, np.nan)}, "theta must be finite, got nan"),
    "theta infinite": ({}, {"theta": np.full(7, -np.inf)}, "theta must be finite, got -inf"),
    "theta complex": ({}, {"theta": THETA[:7] * 1j}, "theta must be real, got complex128"),
    "theta whole": ({}, {"theta": np.arange(7)}, "theta must be real, got int"),
    "theta text": ({}, {"theta": np.array(["a"] * 7)}, "theta must be real"),
    "theta in another precision": ({}, {"theta": THETA[:7].astype(np.float32)}, "mantissa bits"),
    "precision of another machine": ({"mantissa_bits": 112}, {}, "theta must have 112 mantissa bits"),
    "precision missing": ({"mantissa_bits": MISSING}, {}, "no 'mantissa_bits'"),
    "model unknown": ({"model": "RNN"}, {}, "model must be one of MLP, LinearScore, .*got 'RNN'"),
    "model a list": ({"model": []}, {}, "inconsistent"),
    "model missing": ({"model": MISSING}, {}, "no 'model'"),
    "another model's config": ({"model": "LinearScore"}, {}, "no 'd'"),
    "d does not fit": ({"model": "LinearScore", "config": {"d": 3}}, {}, r"theta must have d \(d \+ 1\)"),
    "d is text": ({"model": "LinearScore", "config": {"d": "2"}}, {}, "theta must have"),
    "d is negative": ({"model": "LinearScore", "config": {"d": -2}}, {}, "theta must have"),
    "activation unknown": (config(activation="tanhh"), {}, "activation"),
    "activation not smooth": (config(activation="relu"), {}, "activation"),
    "activation a number": (config(activation=3), {}, "activation"),
    "activation mad": (config(activation="softplus(beta=1e999)"), {}, "inconsistent"),
    "activation missing": (config(activation=MISSING), {}, "no 'activation'"),
    "sizes missing": (config(sizes=MISSING), {}, "no 'sizes'"),
    "sizes a number": (config(sizes=2), {}, "sizes must be"),
    "sizes text": (config(sizes="212"), {}, "sizes must be"),
    "sizes fractions": (config(sizes=[2.0, 1.0, 2.0]), {}, r"sizes\[0\] must be a whole number"),
    "sizes negative": (config(sizes=[2, -1, 2]), {}, r"sizes\[1\] must be a whole number >= 1"),
    "sizes with other ends": (config(sizes=[2, 1, 3]), {}, "sizes must start and end"),
    "sizes empty": (config(sizes=[]), {}, "sizes must start and end"),
    "sizes huge": (
        config(sizes=[10**9, 10**9, 10**9]),
        {},
        r"theta must have shape \(2000000002000000000,\)",
    ),
    "sizes beyond words": (config(sizes=[10**40, 10**40]), {}, r"sizes\[0\] must be a whole number"),
    "config a list": ({"config": [1]}, {}, "inconsistent"),
    "config null": ({"config": None}, {}, "inconsistent"),
    "config missing": ({"config": MISSING}, {}, "no 'config'"),
    "scale negative": ({}, {"scale": np.array([1.0, -1.0])}, "scale must be > 0"),
    "scale zero": ({}, {"scale": np.array([0.0, 1.0])}, "scale must be > 0"),
    "scale NaN": ({}, {"scale": np.array([np.nan, 1.0])}, "scale must be finite"),
    "scale too long": ({}, {"scale": np.ones(3)}, r"scale must have shape \(2,\)"),
    "scale missing": ({}, {"scale": MISSING}, "no 'scale'"),
    "mean missing": ({}, {"mean": MISSING}, "no 'mean'"),
    "mean too long": ({}, {"mean": np.ones(3), "scale": np.ones(3)}, r"mean must have shape \(2,\)"),
    "mean infinite": ({}, {"mean": np.array([np.inf, 0])}, "mean must be finite"),
    "mean complex": ({}, {"mean": np.array([1j, 0])}, "mean must hold real numbers"),
    "one column name too few": ({"columns": ["a"]}, {}, "columns must be 2"),
    "column names a text": ({"columns": "ab"}, {}, "columns must be 2"),
    "column names numbers": ({"columns": [1, 2]}, {}, "columns must be 2"),
    "column names twice": ({"columns": ["a", "a"]}, {}, "columns must be 2"),
    "column name with a newline": ({"columns": ["a", "b\nc"]}, {}, "columns must be 2"),
    "columns missing": ({"columns": MISSING}, {}, "no 'columns'"),
    "info a list": ({"info": [["a", 1]]}, {}, "info must be a dict, got list"),
    "info missing": ({"info": MISSING}, {}, "no 'info'"),
}


def test_the_unchanged_parts_are_a_good_file(path):
    _npz.write_npz(path, "npscore-model", 1, HEADER, **ARRAYS)
    assert ns.load(path).model.config == HEADER["config"]


@pytest.mark.parametrize("header, arrays, reason", list(INCONSISTENT.values()), ids=list(INCONSISTENT))
def test_an_inconsistent_file_says_what_is_wrong(path, header, arrays, reason):
    _npz.write_npz(path, "npscore-model", 1, changed(HEADER, header), **changed(ARRAYS, arrays))
    with pytest.raises(ns.FileFormatError, match=reason) as caught:
        ns.load(path)
    assert str(caught.value).startswith(f"{path}: an inconsistent model file") and "\n" not in str(
        caught.value
    )


@pytest.mark.parametrize("version", [0, 2, "1", None, -1])
def test_another_version_is_refused_and_named(path, version):
    _npz.write_npz(path, "npscore-model", version, HEADER, **ARRAYS)
    with pytest.raises(ns.FileFormatError, match=f"expected npscore-model version 1, got {version!r}"):
        ns.load(path)


def test_another_format_is_refused_and_named(path):
    _npz.write_npz(path, "npscore-checkpoint", 1, HEADER, **ARRAYS)
    with pytest.raises(ns.FileFormatError, match="expected an npscore-model file, got 'npscore-checkpoint'"):
        ns.load(path)
