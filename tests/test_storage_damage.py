"""Whatever is not a model file is one kind of error, named in one line: never a crash, never other numbers."""

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import network
from test_storage import assert_same, linear, units

import npscore as ns


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a good file, and what is in it."""
    path = tmp_path_factory.mktemp("good") / "model"
    model = network(np.random.default_rng(0), 3, (4,))
    ns.save(path, model, standardisation=units(), info={"steps": 3})
    return path.read_bytes(), model


def assert_refused(path, content, reason=None):
    path.write_bytes(content)
    with pytest.raises(ns.FileFormatError, match=reason) as caught:
        ns.load(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@given(data=st.data())
def test_a_truncated_file_is_refused_at_every_length(tmp_path_factory, good, data):
    path = tmp_path_factory.getbasetemp() / "truncated"
    assert_refused(path, good[0][: data.draw(st.integers(0, len(good[0]) - 1))])


def test_a_file_that_lacks_its_last_byte_or_its_first_is_refused(path, good):
    assert_refused(path, good[0][:-1])
    assert_refused(path, good[0][1:])


def loads_the_same_or_is_refused(path, content, model):
    path.write_bytes(content)
    try:
        stored = ns.load(path)
    except ns.FileFormatError as error:
        assert str(path) in str(error)
    else:
        assert_same(stored, model, units(), {"steps": 3})


def test_any_single_byte_may_flip(tmp_path, good):
    """Every byte of the directory at the end, where a flip can hide a whole array; one in seven before it."""
    content, model = good
    rng = np.random.default_rng(0)
    directory = content.index(b"PK\x01\x02")
    for at in [*range(0, directory, 7), *range(directory, len(content))]:
        flipped = bytearray(content)
        flipped[at] ^= int(rng.integers(1, 256))
        loads_the_same_or_is_refused(tmp_path / "flipped", bytes(flipped), model)


@given(
    flips=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20
    ),
    cut=st.integers(0, 30),
    extra=st.binary(max_size=20),
)
def test_any_bytes_may_flip_vanish_or_be_added(tmp_path_factory, good, flips, cut, extra):
    content, model = good
    flipped = bytearray(content)
    for place, value in flips:
        flipped[int(place * len(content))] = value
    damaged = bytes(flipped[: len(flipped) - cut]) + extra
    loads_the_same_or_is_refused(tmp_path_factory.getbasetemp() / "damaged", damaged, model)


@given(st.binary(max_size=300))
def test_no_random_bytes_are_a_model(tmp_path_factory, content):
    assert_refused(tmp_path_factory.getbasetemp() / "random", content)


@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<i4", "<u8", ">f8", "<c16", "|S8", "<U2"])
def test_a_changed_type_in_an_arrays_own_header_is_caught_by_the_checksum(path, good, dtype):
    content = good[0].replace(b"'<f8'", f"'{dtype}'".encode())
    assert_refused(path, content, "not a readable")


def zipped(members):
    """An archive of raw members, compressed if their name says so."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if "deflated" in name else zipfile.ZIP_STORED)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def claiming(shape, dtype="<f8"):
    """A .npy image that claims to be larger than it is."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(64)


FOREIGN = {
    "empty": (b"", "not a readable"),
    "text": (b"eruptions,waiting\n3.6,79\n", "not a readable"),
    "a pickle": (pickle.dumps({"theta": [1.0]}), "not a readable"),
    "a single array": (npy(np.ones(3)), "not a readable"),
    "an empty archive": (zipped({}), "not an npscore file"),
    "an archive of text": (zipped({"a.txt": b"hello"}), "not a readable"),
    "no header": (zipped({"theta.npy": npy(np.ones(6))}), r"not an npscore file \(no header in it\)"),
    "header is no JSON": (zipped({"header.npy": npy(np.array("{nope"))}), "not a readable"),
    "header is a number": (
        zipped({"header.npy": npy(np.array(3.0))}),
        "expected an npscore-model file, got None",
    ),
    "header is a list": (zipped({"header.npy": npy(np.array("[1]"))}), "expected an npscore-model file"),
    "header is deep": (zipped({"header.npy": npy(np.array("[" * 100_000))}), "not a readable"),
    "header is null": (zipped({"header.npy": npy(np.array("null"))}), "expected an npscore-model file"),
    "header is empty": (zipped({"header.npy": npy(np.array(""))}), "not a readable"),
    "header has two": (zipped({"header.npy": npy(np.array(["{}", "{}"]))}), "not a readable"),
    "pickled header": (
        zipped({"header.npy": npy(np.array({}, dtype=object))}),
        "pickled objects, which are never",
    ),
    "broken npy header": (zipped({"header.npy": b"\x93NUMPY\x01\x00\x06\x00{'a':("}), "not a readable"),
    "later npy version": (zipped({"header.npy": b"\x93NUMPY\x09\x00\x06\x00{'a':("}), "not a readable"),
    "claims terabytes": (zipped({"theta.npy": claiming((2**40,))}), "not a readable"),
    "claims beyond words": (zipped({"theta.npy": claiming((2**62, 2**62))}), "not a readable"),
    "claims a negative": (zipped({"theta.npy": claiming((-1,))}), "not a readable"),
    "claims less": (zipped({"theta.npy": claiming((2,))}), "another size"),
    "a bomb": (zipped({"theta.deflated.npy": bytes(10**8)}), "compressed"),
}


@pytest.mark.parametrize("content, reason", list(FOREIGN.values()), ids=list(FOREIGN))
def test_a_foreign_file_is_refused_in_one_line(path, content, reason):
    assert_refused(path, content, reason)


def test_a_hostile_file_takes_no_memory(path):
    """The bomb unpacks to 100 MB, the claims are of terabytes; the files are 100 kB at most."""
    contents = [FOREIGN[name][0] for name in FOREIGN if "claims" in name or "bomb" in name]
    assert len(contents) == 5
    tracemalloc.start()
    try:
        for content in contents:
            assert_refused(path, content)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


SPRUNG = []


def spring():
    SPRUNG.append("run")
    return 1.0


class Trap:
    def __reduce__(self):
        return spring, ()


def test_a_pickle_inside_is_never_run(path):
    stream = io.BytesIO()
    np.savez(stream, header=np.array("{}"), theta=np.array([Trap()], dtype=object))
    assert_refused(path, stream.getvalue(), "pickled objects, which are never loaded")
    assert SPRUNG == []
    with np.load(path, allow_pickle=True) as archive:
        assert archive["theta"][0] == 1.0
    assert SPRUNG == ["run"]  # the trap works


@pytest.mark.parametrize("lost", [["mean", "scale"], ["theta"], ["header"]])
def test_an_archive_that_lost_arrays_is_refused(path, good, lost):
    """Without this, a flipped bit in the directory would bring samples back in the wrong units."""
    with zipfile.ZipFile(io.BytesIO(good[0])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert_refused(
        path,
        zipped({name: data for name, data in members.items() if name[:-4] not in lost}),
        "no header in it" if lost == ["header"] else r"expected the arrays \['mean', 'scale', 'theta'\], got",
    )


def test_what_is_no_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        ns.load(tmp_path / "missing.npz")
    with pytest.raises(OSError):
        ns.load(tmp_path)
    with pytest.raises(OSError):
        ns.save(tmp_path / "no" / "such" / "folder", linear())
    with pytest.raises(OSError):
        ns.save(tmp_path, linear())
