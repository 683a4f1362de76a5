"""The command line, run in process: what it writes, what it says, how it fails."""

import subprocess
import sys

import numpy as np
import pytest

import npscore as ns
from npscore import cli
from npscore.datasets import Table, read_csv, write_csv


@pytest.fixture
def data(tmp_path):
    """A CSV of two correlated Gaussian columns with a header."""
    x = ns.targets.Gaussian([3.0, -1.0], [[4.0, 1.0], [1.0, 0.5]]).sample(400, rng=0)
    path = tmp_path / "data.csv"
    write_csv(path, Table(("width", "height"), x))
    return path


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def fit(data, out, *more):
    return run("fit", data, "--out", out, "--steps", 60, "--hidden", "8", *more)


def test_fit_sample_score_round_trip(data, tmp_path, capsys):
    model, samples, scores = (tmp_path / name for name in ("m.npz", "s.csv", "g.csv"))
    assert fit(data, model) == 0
    said = capsys.readouterr()
    assert "held-out ISM" in said.out and said.err == ""
    assert run("sample", model, "--n", 50, "--out", samples, "--plot", tmp_path / "s.png") == 0
    assert run("score", model, data, "--out", scores) == 0
    drawn = read_csv(samples)
    assert drawn.columns == ("width", "height") and drawn.values.shape == (50, 2)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    stored, x = ns.load(model), read_csv(data).values
    units = stored.standardisation
    expected = stored.model.score((x - units.mean) / units.scale) / units.scale  # chain rule, by hand
    np.testing.assert_allclose(read_csv(scores).values, expected, rtol=1e-13)


def test_an_energy_is_fitted_and_sampled_by_mala(data, tmp_path, capsys):
    model, plain, samples = (tmp_path / name for name in ("e.npz", "m.npz", "s.csv"))
    assert fit(data, model, "--energy", "--learning-rate", 0.01) == 0
    assert isinstance(ns.load(model).model, ns.EnergyMLP)
    assert run("sample", model, "--mala", "--n", 200, "--out", samples) == 0
    assert " MALA steps, 5" in capsys.readouterr().out  # 57 % of them accepted
    assert read_csv(samples).values.shape == (200, 2)
    assert fit(data, plain) == 0
    assert run("sample", plain, "--mala", "--out", samples) == 2
    said = capsys.readouterr().err
    assert said.startswith("npscore: --mala must be left out for MLP(") and "by a score alone" in said
    assert run("fit", data, "--energy", "--hidden", "", "--out", model) == 2
    assert "--hidden must have at least one width with --energy, got none" in capsys.readouterr().err


def test_same_seed_same_files(data, tmp_path):
    for name in ("a", "b"):
        fit(data, tmp_path / f"{name}.npz", "--seed", 7)
        run("sample", tmp_path / f"{name}.npz", "--n", 20, "--seed", 3, "--out", tmp_path / f"{name}.csv")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("objective", ["ism", "ssm", "ssm-vr", "dsm"])
@pytest.mark.parametrize("columns", ["width", "height,width", "2"])
def test_every_objective_and_chosen_columns(objective, columns, data, tmp_path):
    more = ("--sigma", 0.3) if objective == "dsm" else ()
    assert fit(data, tmp_path / "m.npz", "--objective", objective, "--columns", columns, *more) == 0
    stored = ns.load(tmp_path / "m.npz")
    names = {"2": ("height",)}.get(columns, tuple(columns.split(",")))
    assert stored.standardisation.columns == names
    assert stored.info["objective"] == objective


def test_headerless_single_column(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("\n".join(map(repr, np.random.default_rng(0).standard_normal(60).tolist())))
    assert fit(path, tmp_path / "m.npz") == 0
    assert run("sample", tmp_path / "m.npz", "--n", 5, "--out", tmp_path / "s.csv") == 0
    assert read_csv(tmp_path / "s.csv").columns == ("x1",)


def test_resume_gives_the_uninterrupted_model(data, tmp_path, monkeypatch):
    checkpoint = tmp_path / "state"
    whole, resumed = tmp_path / "whole.npz", tmp_path / "resumed.npz"
    assert fit(data, whole) == 0
    calls, ism = [], ns.ism

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 31:
            raise KeyboardInterrupt
        return ism(*arguments, **options)

    monkeypatch.setattr("npscore.objectives.implicit.ism", interrupted)
    assert fit(data, tmp_path / "half.npz", "--checkpoint", checkpoint) == 130
    assert ns.load(tmp_path / "half.npz").model.d == 2  # the best so far is kept
    assert fit(data, resumed, "--checkpoint", checkpoint, "--resume") == 0
    np.testing.assert_array_equal(ns.load(resumed).model.theta, ns.load(whole).model.theta)


def test_rounded_data_is_said_in_one_line(tmp_path, capsys):
    path = tmp_path / "rounded.csv"
    values = np.rint(10 * np.random.default_rng(0).standard_normal((300, 1)))
    write_csv(path, Table(("waiting",), values))
    assert fit(path, tmp_path / "m.npz", "--jitter", 0) == 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("npscore: warning: ") and "'waiting'" in line
    assert fit(path, tmp_path / "m.npz") == 0  # auto: the jitter that the column needs
    assert capsys.readouterr().err == ""
    assert ns.load(tmp_path / "m.npz").info["noise"][0] == pytest.approx(0.3 * 300**-0.2)
    write_csv(path, Table(("waiting",), np.rint(values / 5)))  # coarser: now rounding asks for more
    assert fit(path, tmp_path / "m.npz") == 0
    assert ns.load(tmp_path / "m.npz").info["noise"][0] == pytest.approx(0.75 / 2, rel=0.1)


def bad_calls(tmp_path, data):
    model = tmp_path / "model.npz"
    fit(data, model)
    (tmp_path / "text.csv").write_text("a,b\n1,2\n3,four\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.npz").write_bytes(model.read_bytes()[:200])
    out = ("--out", tmp_path / "out.npz")
    return {
        "no such data": (("fit", tmp_path / "none.csv", *out), "none.csv"),
        "no such model": (("sample", tmp_path / "none.npz", *out), "none.npz"),
        "not numbers": (("fit", tmp_path / "text.csv", *out), "four"),
        "empty file": (("fit", tmp_path / "empty.csv", *out), "empty.csv"),
        "broken model": (("sample", tmp_path / "broken.npz", *out), "broken.npz"),
        "data for model": (("sample", data, *out), "data.csv"),
        "no such column": (("fit", data, "--columns", "depth", *out), "depth"),
        "no such folder": (("fit", data, "--out", tmp_path / "none" / "m.npz"), "--out"),
        "folder as out": (("fit", data, "--out", tmp_path), "--out"),
        "hidden": (("fit", data, "--hidden", "8,x", *out), "--hidden"),
        "zero width": (("fit", data, "--hidden", "0", *out), "--hidden[1] must"),
        "relu": (("fit", data, "--activation", "relu", *out), "relu"),
        "steps": (("fit", data, "--steps", "0", *out), "steps"),
        "batch": (("fit", data, "--batch-size", "-1", *out), "--batch-size must"),
        "rate": (("fit", data, "--learning-rate", "nan", *out), "--learning-rate must"),
        "validation": (("fit", data, "--validation", "1.5", *out), "--validation must"),
        "sigma missing": (("fit", data, "--objective", "dsm", *out), "--sigma is needed"),
        "sigma not wanted": (("fit", data, "--sigma", "0.1", *out), "sigma"),
        "jitter": (("fit", data, "--jitter", "some", *out), "--jitter"),
        "probes not wanted": (("fit", data, "--probes", "5", *out), "--probes"),
        "ema not wanted": (("fit", data, "--ema", "0.9", "--optimizer", "lbfgs", *out), "--ema"),
        "jitter negative": (("fit", data, "--jitter=-1", *out), "jitter"),
        "seed": (("fit", data, "--seed", "-1", *out), "--seed must"),
        "resume": (("fit", data, "--resume", *out), "resume"),
        "n": (("sample", model, "--n", "0", *out), "--n must"),
        "step": (("sample", model, "--step", "0", *out), "step"),
        "plot": (("sample", model, "--n", "5", "--plot", tmp_path / "s.xyz", *out), "xyz"),
        "score columns": (("score", model, tmp_path / "text.csv"), "width"),
    }


def test_every_bad_call_is_one_line_and_exit_code_2(data, tmp_path, capsys):
    for name, (arguments, named) in bad_calls(tmp_path, data).items():
        capsys.readouterr()
        assert run(*arguments) == 2, name
        said = capsys.readouterr()
        lines = said.err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("npscore: ") and named in lines[0], (name, said)
        assert not (tmp_path / "out.npz").exists(), name


@pytest.mark.parametrize("arguments", [(), ("fit",), ("fit", "x.csv"), ("dance",), ("verify", "--fast")])
def test_wrong_usage_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        run(*arguments)
    assert exit.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("npscore: ") and said.count("\n") == 1 and "--help" in said


@pytest.mark.parametrize("command", [(), ("demo",), ("verify",), ("fit",), ("sample",), ("score",)])
def test_help_exits_0(command, capsys):
    with pytest.raises(SystemExit) as exit:
        run(*command, "--help")
    assert exit.value.code == 0
    assert "usage: npscore" in capsys.readouterr().out


def test_a_process_of_its_own_shows_no_progress_in_a_pipe_and_no_traceback(data, tmp_path):
    def call(*arguments):
        command = [sys.executable, "-m", "npscore", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    done = call("fit", data, "--out", tmp_path / "m.npz", "--steps", 30, "--hidden", 4)
    assert done.returncode == 0 and done.stderr == "" and "\r" not in done.stdout
    failed = call("fit", tmp_path / "none.csv", "--out", tmp_path / "m.npz")
    assert failed.returncode == 2 and "Traceback" not in failed.stderr and failed.stdout == ""


def test_no_output_may_be_an_input_or_another_output(data, tmp_path, capsys):
    model, before = tmp_path / "m.npz", data.read_bytes()
    fit(data, model)
    stored = model.read_bytes()
    (tmp_path / "link.csv").symlink_to(data)
    for arguments in (
        ("fit", data, "--out", data),
        ("fit", data, "--out", tmp_path / "link.csv"),
        ("fit", data, "--out", tmp_path / "new", "--checkpoint", tmp_path / "new"),
        ("sample", model, "--out", model),
        ("sample", model, "--out", tmp_path / "s.png", "--plot", tmp_path / "s.png"),
        ("sample", model, "--start", data, "--out", data),
        ("score", model, data, "--out", data),
    ):
        capsys.readouterr()
        assert run(*arguments) == 2, arguments
        assert "must not be a file that is used already" in capsys.readouterr().err
    assert data.read_bytes() == before and model.read_bytes() == stored
    assert not (tmp_path / "new").exists() and not (tmp_path / "s.png").exists()


def test_data_without_a_gaussian_is_refused_before_any_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("npscore.density.table.fit", None)  # calling it would fail differently
    x = np.random.default_rng(0).standard_normal((40, 2))
    write_csv(tmp_path / "d.csv", Table(("a", "b", "c"), np.column_stack([x, x.sum(axis=1)])))
    assert run("fit", tmp_path / "d.csv", "--out", tmp_path / "m.npz", "--jitter", 0) == 2
    assert "independent columns" in capsys.readouterr().err


def test_start_gives_the_proportions_of_its_rows(tmp_path):
    rng = np.random.default_rng(0)
    sides = np.where(rng.random(400) < 0.9, 1.0, -1.0)
    write_csv(tmp_path / "d.csv", Table(("a",), (sides + 0.1 * rng.standard_normal(400))[:, None]))
    assert fit(tmp_path / "d.csv", tmp_path / "m.npz", "--steps", 400) == 0
    shares = []
    for more in ((), ("--start", tmp_path / "d.csv")):
        run("sample", tmp_path / "m.npz", "--n", 400, "--n-steps", 2, "--out", tmp_path / "s.csv", *more)
        shares.append((read_csv(tmp_path / "s.csv").values > 0).mean())
    error = 3 * np.sqrt(0.9 * 0.1 / 400)  # three standard errors
    assert abs(shares[1] - (sides > 0).mean()) < error < abs(shares[0] - (sides > 0).mean())


def test_a_fit_that_went_nowhere_and_a_step_too_large_are_said(data, tmp_path, capsys):
    assert fit(data, tmp_path / "m.npz", "--learning-rate", 1e6) == 0
    assert "no step improved on the random start" in capsys.readouterr().err
    assert fit(data, tmp_path / "m.npz") == 0
    capsys.readouterr()
    run("sample", tmp_path / "m.npz", "--step", 100, "--n", 5, "--out", tmp_path / "s.csv")
    assert "too large to be stable" in capsys.readouterr().err


def test_a_discrete_column_is_named(tmp_path, capsys):
    x = np.column_stack([np.arange(300) % 2, np.random.default_rng(0).standard_normal(300)])
    write_csv(tmp_path / "d.csv", Table(("yes", "size"), x))
    assert fit(tmp_path / "d.csv", tmp_path / "m.npz") == 0
    assert "'yes'" in capsys.readouterr().err


def test_messages_are_in_the_words_of_the_command_line(data, tmp_path, capsys):
    model, other = tmp_path / "m.npz", tmp_path / "other.csv"
    assert fit(data, model) == 0
    other.write_text("p,q\n1,2\n3,4\n")
    for arguments, said in (
        (("score", model, other), f"{other} must have the model's columns "),
        (
            ("fit", data, "--out", tmp_path / "n.npz", "--sigma", 0.1),
            "--sigma must be left out unless --objective is",
        ),
        (
            ("fit", data, "--out", tmp_path / "n.npz", "--checkpoint", model),
            "--checkpoint must be a new file unless there is --resume",
        ),
        (("demo", "--out", other), "--out must be a folder, new or there already, got the file"),
    ):
        capsys.readouterr()
        assert run(*arguments) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith(f"npscore: {said}"), line
