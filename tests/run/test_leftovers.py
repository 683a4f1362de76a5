"""What killed processes leave behind is removed, what living ones hold is not, and a claimed file has one owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from npscore._run import locks
from npscore._run.atomic import atomic_write, claim

pytestmark = pytest.mark.skipif(locks.fcntl is None, reason="no file locks on this system")

KILLED = """
import os, signal, sys
from npscore._run.atomic import atomic_write, claim
with {context} as file:
    {body}
    os.kill(os.getpid(), signal.SIGKILL)
"""
CLAIMED = """
import sys
from npscore._run.atomic import claim
sys.stdin.readline()
try:
    with claim(sys.argv[1]):
        print("mine", flush=True)
        sys.stdin.readline()
except ValueError as error:
    print(error, flush=True)
"""


def child(program, path, **more):
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **more,
    )


def killed(path, context, body="pass"):
    process = child(KILLED.format(context=context, body=body), path)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def hidden(folder):
    return sorted(name for name in os.listdir(folder) if name.startswith(".npscore-"))


def write(path, content=b"new"):
    with atomic_write(path) as file:
        file.write(content)


def test_the_next_write_removes_what_a_killed_process_left(tmp_path):
    path = tmp_path / "model.npz"
    write(path, b"old")
    for context, body in (("atomic_write", "file.write(b'half'); file.flush()"), ("claim", "pass")):
        killed(path, f"{context}(sys.argv[1])", body)
        assert len(hidden(tmp_path)) == 1 and path.read_bytes() == b"old"
        write(tmp_path / "another file")
        assert hidden(tmp_path) == [] and path.read_bytes() == b"old"


def test_a_file_that_is_still_written_is_left_alone(tmp_path):
    """By another thread here, whose lock is as much another's as another process's."""
    started, go_on = threading.Event(), threading.Event()

    def slowly():
        with atomic_write(tmp_path / "slow") as file:
            file.write(b"slow")
            started.set()
            go_on.wait(30)

    thread = threading.Thread(target=slowly)
    thread.start()
    assert started.wait(30)
    for name in hidden(tmp_path):
        os.utime(tmp_path / name, (0, 0))  # however long ago its last write
    write(tmp_path / "quick")
    assert len(hidden(tmp_path)) == 1
    go_on.set()
    thread.join()
    assert (tmp_path / "slow").read_bytes() == b"slow" and hidden(tmp_path) == []


def test_another_machines_file_is_left_alone_for_a_day(tmp_path):
    for name in (".npscore-00000000-0123456789abcdef.tmp", ".npscore-0123456789abcdef.tmp"):
        (tmp_path / name).write_bytes(b"")
        write(tmp_path / "file")
        assert hidden(tmp_path) == [name]
        day_before = time.time() - locks.ABANDONED_AFTER - 60
        os.utime(tmp_path / name, (day_before, day_before))
        write(tmp_path / "file")
        assert hidden(tmp_path) == []


def test_only_files_of_ours_are_removed(tmp_path):
    ours = f".npscore-{locks._machine()}-{{}}.tmp"
    keep = [ours.format("0123456789abcdef") + "x", ours.format("0123"), "x" + ours.format("0123456789abcdef")]
    for name in keep:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ours.format("1" * 16)).mkdir()
    (tmp_path / ours.format("2" * 16)).symlink_to(tmp_path / keep[0])
    os.mkfifo(tmp_path / ours.format("3" * 16))
    before = sorted(os.listdir(tmp_path))
    write(tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "file"])


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    name = f".npscore-{locks._machine()}-0123456789abcdef.tmp"
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(locks, "fcntl", None)
    write(tmp_path / "file")
    with claim(tmp_path / "checkpoint"):
        pass
    assert sorted(os.listdir(tmp_path)) == [name, "file"]


def test_a_temporary_file_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    lock, removed = locks._locked, []

    def removed_first(descriptor):
        if not removed:
            removed.extend(hidden(tmp_path))
            os.unlink(tmp_path / removed[0])
        return lock(descriptor)

    monkeypatch.setattr(locks, "_locked", removed_first)
    write(tmp_path / "file")
    assert len(removed) == 1 and os.listdir(tmp_path) == ["file"]


def test_a_claimed_file_has_one_owner(tmp_path):
    path = tmp_path / "checkpoint"
    with claim(path, "checkpoint"):
        write(path)  # the owner writes it, and what is claimed stays claimed
        with (
            pytest.raises(
                ValueError, match=r"^checkpoint must be a file that no other run is using, got .*: wait"
            ),
            claim(path, "checkpoint"),
        ):
            pytest.fail("claimed twice")
        with claim(tmp_path / "another"):
            pass
    with claim(path):
        pass
    assert os.listdir(tmp_path) == ["checkpoint"]
    (tmp_path / "link").symlink_to(path)
    with claim(path), pytest.raises(ValueError, match="no other run"), claim(tmp_path / "link"):
        pytest.fail("claimed by another name")
    with pytest.raises(FileNotFoundError) as caught, claim(tmp_path / "no" / "folder"):
        pass
    assert caught.value.filename == str(tmp_path / "no" / "folder")


def test_of_processes_that_start_at_once_one_gets_the_file(tmp_path):
    path = tmp_path / "checkpoint"
    children = [child(CLAIMED, path) for _ in range(4)]
    for process in children:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.stdout.readline() for process in children]
    assert answers.count("mine\n") == 1
    assert sum("no other run is using" in answer for answer in answers) == 3
    owner = children[answers.index("mine\n")]
    owner.kill()
    for process in children:
        process.communicate(timeout=60)
    with claim(path):  # the owner's claim ended with it
        pass
    assert os.listdir(tmp_path) == []
