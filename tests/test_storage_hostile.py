"""Files made to harm: each is refused in one line, in little time and memory, and none ends the process."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from support import fuzz_files
from test_storage_damage import assert_refused, npy, zipped

import npscore as ns
from npscore._run import npz

THETA = np.arange(1.0, 8.0)
HEADER = {
    "format": "npscore-model",
    "version": 1,
    "arrays": ["theta"],
    "model": "MLP",
    "config": {"sizes": [2, 1, 2], "activation": "tanh"},
    "mantissa_bits": 52,
    "info": {},
    "columns": None,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def header(**changes):
    return npy(np.array(json.dumps({**HEADER, **changes})))


def described(text, body=b""):
    """A .npy image with this description, whatever NumPy would say of it."""
    text = text.encode()
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def description(dtype, shape):
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"


def packed(method, size):
    """A good archive but for theta, which is ``size`` zeros, compressed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("header.npy", header())
        archive.writestr("theta.npy", described(description("<f8", f"({size // 8},)"), bytes(size)), method)
    return stream.getvalue()


def claimed(content, true, false):
    """The archive with a four-byte size changed wherever it stands."""
    changed = content.replace(true.to_bytes(4, "little"), false.to_bytes(4, "little"))
    assert changed != content
    return changed


def members(*extra, **changes):
    """An archive of the header (changed), theta, and what else there is."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in (("header.npy", header(**changes)), ("theta.npy", npy(THETA)), *extra):
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def theta_as(name, data):
    return zipped({"header.npy": header(), name: data})


HOSTILE = {
    "no bytes an entry, a negative number of them": theta_as(
        "theta.npy", described(description("|S0", "(-1,)"))
    ),
    "the same without .npy": theta_as("theta", described(description("|S0", "(-1,)"))),
    "no bytes an entry": theta_as("theta.npy", described(description("<U0", "(7,)"))),
    "a structure": theta_as(
        "theta.npy", described("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (), }")
    ),
    "dates": theta_as("theta.npy", described(description("<M8[s]", "(7,)"), THETA.tobytes())),
    "no entries, many sides": theta_as("theta.npy", described(description("<f8", f"(0, {2**62}, {2**62})"))),
    "seventy sides": theta_as("theta.npy", described(description("<f8", "(" + "1, " * 70 + ")"), bytes(8))),
    "sides beyond words": theta_as("theta.npy", described(description("<f8", f"({10**30},)"))),
    "an expression": theta_as("theta.npy", described("(" * 20_000)),
    "deflated": packed(zipfile.ZIP_DEFLATED, 10**7),
    "bz2": packed(zipfile.ZIP_BZIP2, 10**7),
    "lzma": packed(zipfile.ZIP_LZMA, 10**7),
    "bz2 that claims to be small": claimed(packed(zipfile.ZIP_BZIP2, 10**7 + 128 - 128), 10**7 + 128, 100),
    "larger than the file": claimed(zipped({"header.npy": bytes(777)}), 777, 10**9),
    "before the first member": b"#!/bin/sh\n" + members(),
    "behind the end": members() + b"more",
    "a comment": members()[:-2] + b"\4\0more",
    "a member in no directory": members()[: members().index(b"PK\1\2")] + zipped({"theta.npy": npy(THETA)}),
    "too many members": zipped({f"{number}.npy": b"" for number in range(100)}),
    "deep": members(info=json.loads('{"a":' * 900 + "1" + "}" * 900)),
    "long number": zipped({"header.npy": npy(np.array("9" * 100_000))}),
    "NaN in the header": zipped({"header.npy": npy(np.array('{"format": NaN}'))}),
    "a number beyond floats": members(info={"a": 1}).replace(b"1\0\0\0}\0\0\0", b"1\0\0\0e\0\0\0"),
    "a giant kind": members(format="x" * 10**6),
    "a giant model": members(model="x" * 10**6),
    "many layers": members(config={"sizes": [2] * 50_000, "activation": "tanh"}),
    "a long activation": members(config={"sizes": [2, 1, 2], "activation": "tanh" + " " * 10**5 + "!"}),
    "an activation of parameters": members(
        config={"sizes": [2, 1, 2], "activation": f"softplus({'beta=1,' * 10**4})"}
    ),
}


@pytest.mark.parametrize("content", list(HOSTILE.values()), ids=list(HOSTILE))
def test_a_hostile_file_is_refused(path, content):
    assert_refused(path, content)
    with pytest.raises(ns.FileFormatError) as caught:
        ns.load(path)
    assert len(str(caught.value)) < 600


def test_what_a_file_may_ask_for_is_bounded(path):
    """A million layers, or spaces that a pattern goes over again and again, would otherwise take minutes or hours."""
    for name in ("many layers", "a long activation"):
        assert_refused(path, HOSTILE[name], "config must be at most 100,000 characters of JSON, got 1")


@pytest.mark.parametrize(
    "extra",
    [("theta.npy", npy(THETA)), ("x/theta.npy", npy(THETA)), ("theta", npy(THETA)), ("a.txt", b"hello")],
    ids=["twice", "in a folder", "without .npy", "foreign"],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_too_many_is_refused(path, extra):
    assert_refused(path, members(extra))
    name = extra[0].removesuffix(".npy")
    assert_refused(path, members(extra, arrays=sorted(["theta", name])))


def test_an_array_that_no_model_has_is_refused(path):
    assert_refused(path, members(("more.npy", npy(THETA)), arrays=["more", "theta"]), "arrays must be theta")


def test_a_pipe_is_no_file():
    read, write = os.pipe()
    try:
        with pytest.raises(ns.FileFormatError, match="a pipe or a device; a file is needed"):
            ns.load(f"/dev/fd/{read}")
    finally:
        os.close(read)
        os.close(write)


def test_what_is_too_deep_or_too_large_to_read_is_not_written(path, monkeypatch):
    deep = json.loads('{"a":' * 95 + "1" + "}" * 95)
    model = ns.LinearScore(-np.eye(2), np.zeros(2))
    with pytest.raises(
        ValueError, match="info must be what JSON can hold, got lists and mappings more than 90 deep"
    ):
        ns.save(path, model, info=deep)
    ns.save(path, model, info=deep["a"]["a"]["a"]["a"]["a"])
    assert ns.load(path).info == deep["a"]["a"]["a"]["a"]["a"]
    os.unlink(path)
    monkeypatch.setattr(ns.storage, "MOST_CONFIG", 100)
    with pytest.raises(ValueError, match="config must be at most 100 characters of JSON, got 1"):
        ns.save(path, ns.MLP.init((2, *[1] * 40, 2), rng=0))
    assert not path.exists()


def test_files_in_either_order_of_bytes_and_of_memory_are_read(path):
    """As a machine of the other byte order writes them, or np.savez an array that is laid out by columns."""
    arrays = {
        "a": np.arange(6.0).reshape(2, 3).T,
        "b": np.arange(3).astype(">i4"),
        "c": np.empty((0, 5), bool),
    }
    npz.write_npz(path, "kind", 1, {}, **arrays)
    _, read = npz.read_npz(path, "kind", 1)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype and not read[name].flags.writeable


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs a bound on memory")
def test_thousands_of_damaged_files_are_read_or_refused():
    """In a process of its own, whose end by a signal would be seen, with 512 MB to spend."""
    done = subprocess.run(
        [sys.executable, "-W", "error", fuzz_files.__file__, "3000", "11"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["anywhere refused"] > 1000 and found["inside refused"] > 1000  # the damage does something
    assert found["inside loaded"] > 100  # and not everything is refused
