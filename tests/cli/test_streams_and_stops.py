"""The command line among other processes: results on standard output and pipes, and Ctrl-C at any moment."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import npscore as ns
from npscore import cli
from npscore.cli import demo
from npscore.datasets import Table, read_csv, write_csv

COMMAND = [sys.executable, "-m", "npscore"]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    write_csv(path, Table(("a", "b"), np.random.default_rng(0).standard_normal((60, 2))))
    return path


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.npz"
    ns.save(path, ns.LinearScore(-np.eye(2), np.zeros(2)), info={"curvature": 1.0})
    return path


def call(*arguments, **more):
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, **more)


@pytest.mark.parametrize("out", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_holds_the_result_and_nothing_else(data, model, tmp_path, out):
    sampled = call("sample", model, "--n", 5, "--n-steps", 2, "--out", out)
    assert sampled.returncode == 0 and b"wrote 5 samples" in sampled.stderr
    (tmp_path / "s.csv").write_bytes(sampled.stdout)
    assert read_csv(tmp_path / "s.csv").values.shape == (5, 2)
    fitted = call("fit", data, "--steps", 5, "--hidden", 4, "--out", out)
    assert fitted.returncode == 0 and b"held-out ISM" in fitted.stderr
    (tmp_path / "m.npz").write_bytes(fitted.stdout)
    assert ns.load(tmp_path / "m.npz").standardisation.columns == ("a", "b")
    assert sorted(os.listdir(tmp_path)) == ["data.csv", "m.npz", "model.npz", "s.csv"]


def test_a_file_that_standard_output_leads_to_keeps_what_it_had(model, tmp_path):
    """As in ``npscore … --out /dev/stdout >> file``."""
    with open(tmp_path / "log", "wb") as log:
        log.write(b"before\n")
        log.flush()
        command = [*COMMAND, "sample", str(model), "--n", "3", "--n-steps", "2", "--out", "/dev/stdout"]
        assert subprocess.run(command, stdout=log, stderr=subprocess.DEVNULL, timeout=120).returncode == 0
        log.write(b"after\n")
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "before" and lines[1] == "x1,x2" and len(lines) == 6 and lines[-1] == "after"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash's >(…)")
def test_a_shells_process_substitution_is_written_to(data, model, tmp_path):
    script = '"$1" -m npscore score "$2" "$3" --out >(gzip > "$4"; echo > "$5"); cat < "$5"'
    os.mkfifo(tmp_path / "done")
    arguments = [sys.executable, model, data, tmp_path / "scores.csv.gz", tmp_path / "done"]
    done = subprocess.run(
        ["bash", "-c", script, "bash", *map(str, arguments)], capture_output=True, timeout=120
    )
    assert done.returncode == 0 and done.stderr == b""
    assert read_csv(tmp_path / "scores.csv.gz").columns == ("d_logp/d_a", "d_logp/d_b")


def test_streams_are_refused_where_they_cannot_serve(data, capsys):
    for arguments, named in (
        (("--out", "-", "--checkpoint", "/dev/stdout"), "--checkpoint must be a file that can be read again"),
        (("--out", "/dev/fd/999"), "--out must be a stream that is open, got '/dev/fd/999'"),
    ):
        assert cli.main(["fit", str(data), "--steps", "1", "--hidden", "1", *arguments]) == 2
        assert named in capsys.readouterr().err
    model = ["sample", "none", "--out", "-", "--plot", "-"]
    assert cli.main(model) == 2
    assert "--plot must not be a file that is used already" in capsys.readouterr().err


def test_a_value_of_two_dashes_is_refused_in_one_line(data, capsys):
    for option in ("--columns", "--hidden", "--out"):
        with pytest.raises(SystemExit) as exit:
            cli.main(["fit", str(data), f"{option}=--"])
        assert exit.value.code == 2
        said = capsys.readouterr().err
        assert (
            said.startswith(f"npscore: argument {option}: expected a value, got '--'")
            and said.count("\n") == 1
        )


def test_a_files_curvature_does_not_make_sample_run_for_ever(model, tmp_path, capsys):
    for curvature in (1e9, 1e308):
        ns.save(model, ns.LinearScore(-np.eye(2), np.zeros(2)), info={"curvature": curvature})
        assert cli.main(["sample", str(model), "--n", "5", "--out", str(tmp_path / "s.csv")]) == 2
        said = capsys.readouterr().err
        assert said.startswith("npscore: --n-steps must be given where 5 / step is more than 1,000,000")
        assert said.count("\n") == 1 and not (tmp_path / "s.csv").exists()
    given = ["--n-steps", "3", "--step", "1e-310"]  # the way round, which the message names
    assert cli.main(["sample", str(model), "--n", "5", *given, "--out", str(tmp_path / "s.csv")]) == 0


# Ctrl-C


def test_an_interrupted_demo_writes_nothing_and_says_nothing_that_was_not_done(tmp_path, monkeypatch, capsys):
    def stopped(step, loss, model):
        if step == 7:
            raise KeyboardInterrupt  # as Ctrl-C in the middle of the training, which fit itself answers

    monkeypatch.setattr(demo, "fit_table", partial(demo.fit_table, callback=stopped))
    assert cli.main(["demo", "--out", str(tmp_path / "out"), "--steps", "20", "--n", "10"]) == 130
    said = capsys.readouterr()
    assert said.err == "npscore: interrupted\n"
    assert "1. The theorem" in said.out and "held-out" not in said.out and "Written" not in said.out
    assert os.listdir(tmp_path / "out") == []


INTERRUPTED_IMPORT = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("how", ["module", "script"])
def test_ctrl_c_while_the_command_is_being_imported_is_one_line(tmp_path, how):
    """The interrupt comes in the middle of the imports: from a module that stands where NumPy would."""
    (tmp_path / "numpy.py").write_text(INTERRUPTED_IMPORT)
    script = tmp_path / "npscore"
    script.write_text("import sys\nfrom npscore.cli import main\nsys.exit(main())\n")
    (tmp_path / "other.py").write_text("import npscore\n")
    root = os.path.dirname(os.path.dirname(ns.__file__))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), root])}

    def run(*command):
        return subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, timeout=60, env=environment
        )

    done = run("-m", "npscore", "verify") if how == "module" else run(str(script), "verify")
    assert done.returncode == 130 and done.stderr == "npscore: interrupted\n" and done.stdout == ""
    other = run(str(tmp_path / "other.py"))  # a program of somebody else's keeps its traceback
    assert other.returncode == -signal.SIGINT and "Traceback" in other.stderr
