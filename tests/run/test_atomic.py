"""A file is written all at once or not at all, whatever goes wrong in between."""

from __future__ import annotations

import os
import stat

import pytest

from npscore._run import atomic as _atomic
from npscore._run.atomic import atomic_write
from npscore.datasets import Table, write_csv

TABLE = Table(("a", "b"), [[1.0, -2.5], [3e-3, 4.0]])


def leftovers(folder):
    return [entry for entry in os.listdir(folder) if entry.endswith(".tmp")]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "model.bin"
    for before in (None, b"old"):
        if before is not None:
            path.write_bytes(before)
        with pytest.raises(error), atomic_write(path) as file:
            file.write(b"half")
            file.flush()
            assert (path.read_bytes() if before else None) == before  # not before the end
            raise error("stop")
        assert (path.read_bytes() if path.exists() else None) == before
        assert leftovers(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_atomic.os, step, full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_csv(path, TABLE)
    monkeypatch.undo()
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["t.csv"]


def test_the_data_is_on_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            _atomic.os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1]
        )
    write_csv(tmp_path / "t.csv", TABLE)
    assert calls[:2] == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "t.csv", tmp_path / "link.csv"
    old_mask = os.umask(0o027)
    try:
        write_csv(path, TABLE)
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640  # what open() would have given
    path.chmod(0o604)
    link.symlink_to(path)
    write_csv(link, TABLE, digits=1)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o604
    assert path.read_text() == "a,b\n1,-2\n0.003,4\n"


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")
    monkeypatch.setattr(_atomic.os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match=r"t\.csv"):
        write_csv(path, TABLE)
    assert path.read_bytes() == b"old" and leftovers(tmp_path) == []


def test_places_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_csv(tmp_path / "absent" / "t.csv", TABLE)
    assert caught.value.filename == str(tmp_path / "absent" / "t.csv")
    with pytest.raises(OSError, match=tmp_path.name):
        write_csv(tmp_path, TABLE)
    with pytest.raises(TypeError, match="path must be a file name"):
        write_csv(3, TABLE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_device_is_written_and_stays_a_device(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_csv(pipe, TABLE)
        assert os.read(reader, 100) == b"a,b\n1.0,-2.5\n0.003,4.0\n"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_an_open_descriptor_is_written_on_from_where_it_stands(tmp_path, name):
    """As in `(echo kept; npscore … --out /dev/stdout; echo more) > file`: nothing is cut off or written over."""
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.write(b"kept\n")
        file.flush()
        stream = name.format(file.fileno())
        if name == "link":
            stream = tmp_path / "link"
            stream.symlink_to(f"/dev/fd/{file.fileno()}")
        write_csv(stream, TABLE)
        with pytest.raises(RuntimeError), atomic_write(stream, "w") as text:
            text.write("half")
            raise RuntimeError
        file.write(b"more\n")
    assert path.read_bytes() == b"kept\na,b\n1.0,-2.5\n0.003,4.0\nmore\n"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"][: 1 + (name == "link")]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_named():
    with pytest.raises(OSError, match="No space left") as caught:
        write_csv("/dev/full", TABLE)
    assert caught.value.filename == "/dev/full"


def test_an_error_of_the_block_that_names_its_own_file_is_left_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "t.csv"):
        os.stat(tmp_path / "other")
    assert caught.value.filename == str(tmp_path / "other") and os.listdir(tmp_path) == []


def test_text_mode_is_utf8_with_plain_line_ends(tmp_path):
    with atomic_write(tmp_path / "t.txt", "w") as file:
        file.write("σ\n")
    assert (tmp_path / "t.txt").read_bytes() == b"\xcf\x83\n"
    with (
        pytest.raises(ValueError, match="mode must be 'wb' or 'w', got 'a'"),
        atomic_write(tmp_path / "t.txt", "a"),
    ):
        pass
