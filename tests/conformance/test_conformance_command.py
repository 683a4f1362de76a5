"""``npscore conform``: what it prints and writes, its exit codes, and the same work offline."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.conformance_plans import CASES, IDS, conform, halved, program_in, right

from npscore.conformance.selection import select


@pytest.fixture
def program(tmp_path):
    return program_in(tmp_path)


def test_a_program_that_offers_nothing_there_is_fails_the_check(program, capsys):
    command = program(ready={"type": "ready", "operations": ["DSM"]})
    assert conform("run", "--cmd", command, "--cases", "dsm") == 2
    said = capsys.readouterr().err
    assert "no case for: DSM" in said and "every case was skipped" in said


def test_exit_codes_say_right_wrong_and_not_made(program, capsys):
    asked = ("--cases", ",".join(IDS))
    assert conform("run", "--cmd", program(), *asked) == 0
    assert "dsm" in capsys.readouterr().out
    assert conform("run", "--cmd", program(replies=halved(CASES)), *asked) == 1
    assert "dsm" in capsys.readouterr().out
    assert conform("run", "--cmd", program(deeds={IDS[3]: "crash"}), *asked) == 1
    said = capsys.readouterr()
    assert "something is badly wrong" in said.out and "started again 1 times" in said.err


@pytest.mark.parametrize("format", ["text", "markdown", "json", "junit"])
def test_a_report_goes_where_it_is_sent(format, program, tmp_path, capsys):
    arguments = ("run", "--cmd", program(), "--cases", ",".join(IDS), "--format", format)
    assert conform(*arguments, "--output", tmp_path / "report") == 0
    assert capsys.readouterr().out == ""
    assert conform(*arguments) == 0
    written, shown = (tmp_path / "report").read_text(encoding="utf-8"), capsys.readouterr().out
    assert written == shown
    if format == "json":
        json.loads(shown)
    if format == "junit":
        import xml.etree.ElementTree as ElementTree

        assert ElementTree.fromstring(shown).tag in ("testsuites", "testsuite")


def bad_calls(command, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    (tmp_path / "text.json").write_text("no results here\n")
    (tmp_path / "list.json").write_text('{"answers": [1]}')
    (tmp_path / "other.json").write_text('{"answers": {"dsm-9999": {"loss": 1}}}')
    (tmp_path / "narrow.json").write_text('{"dtype": "float32", "answers": {}}')
    run = ("run", "--cmd", command)
    return {
        "no such program": (("run", "--cmd", "./no-such-program"), "no-such-program"),
        "no program": (("run", "--cmd", " "), "cmd must"),
        "quotes": (("run", "--cmd", "'mine"), "quotation"),
        "cases": ((*run, "--cases", "smoke,ims"), "'ims'"),
        "no cases": ((*run, "--cases", ","), "cases must"),
        "timeout": ((*run, "--timeout", "0"), "--timeout must"),
        "start": ((*run, "--start-timeout", "nan"), "--start-timeout must"),
        "output": ((*run, "--output", tmp_path / "none" / "report"), "--output must"),
        "declare": ((*run, "--declare", "dsm"), "--declare must"),
        "folder": (("export", tmp_path / "full"), "folder must"),
        "no results": (("grade", tmp_path / "none.json"), "none.json"),
        "text": (("grade", tmp_path / "text.json"), "results must"),
        "list": (("grade", tmp_path / "list.json"), '"answers" must'),
        "unknown id": (("grade", tmp_path / "other.json"), "'dsm-9999'"),
        "dtype": (("grade", tmp_path / "narrow.json"), "float32"),
        "id": (("show", "dsm"), "id must"),
        "no such id": (("show", "dsm-9999"), "'dsm-9999'"),
    }


def test_every_bad_call_is_one_line_and_exit_code_2(program, tmp_path, capsys):
    for name, (arguments, named) in bad_calls(program(), tmp_path).items():
        assert conform(*arguments) == 2, name
        said = capsys.readouterr()
        assert said.out == "" and said.err.startswith("npscore: ") and said.err.count("\n") == 1, (name, said)
        assert named in said.err, (name, said)


@pytest.mark.parametrize(
    "arguments", [(), ("run",), ("run", "--cmd", "x", "--dtype", "float16"), ("grade",), ("dance",)]
)
def test_wrong_usage_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        conform(*arguments)
    assert exit.value.code == 2 and capsys.readouterr().err.startswith("npscore: ")


@pytest.mark.parametrize("command", [(), ("run",), ("export",), ("grade",), ("list",), ("show",)])
def test_help_exits_0(command, capsys):
    with pytest.raises(SystemExit) as exit:
        conform(*command, "--help")
    assert exit.value.code == 0 and "usage: npscore conform" in capsys.readouterr().out


def test_list_and_show(capsys):
    assert conform("list", "--cases", "dsm") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [c.id for c in select("dsm")]
    assert conform("show", IDS[0]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (
        shown["id"] == IDS[0] and float(shown["output"]["loss"]["decimal"][0]) == CASES[0].expected()["loss"]
    )


def test_export_computes_anywhere_and_grades_the_same(program, tmp_path, capsys):
    folder, asked = tmp_path / "asked", ("--cases", ",".join(IDS))
    assert conform("export", folder, *asked) == 0
    names = capsys.readouterr().out.split()
    assert {os.path.relpath(name, folder) for name in names} >= {"requests.jsonl", "cases.json", "GUIDE.md"}
    assert not [
        n for n in names if n.endswith((".json", ".jsonl")) and '"decimal"' in Path(n).read_text("utf-8")
    ]
    document = json.loads((folder / "cases.json").read_text())
    assert [case["id"] for case in document["cases"]] == IDS
    command = shlex.split(program(replies=halved(CASES), deeds={IDS[0]: "garbage"}))
    with open(folder / "requests.jsonl") as questions, open(tmp_path / "results.jsonl", "w") as results:
        subprocess.run(command, stdin=questions, stdout=results, check=True, timeout=60)
    assert conform("grade", tmp_path / "results.jsonl", *asked, "--format", "json") == 1
    offline = capsys.readouterr()
    assert "6 lines" in offline.err
    assert conform("run", "--cmd", program(replies=halved(CASES)), *asked, "--format", "json") == 1
    assert capsys.readouterr().out == offline.out
    answers = {id: reply["answer"] for id, reply in halved(CASES).items()}
    document = {"format": "npscore-results", "dtype": "float64", "answers": answers}
    (tmp_path / "results.json").write_text(json.dumps(document))
    assert conform("grade", tmp_path / "results.json", *asked, "--format", "json") == 1
    assert capsys.readouterr().out == offline.out


def test_results_may_be_partial_skipped_and_errors(tmp_path, capsys):
    answers = {
        IDS[0]: right(CASES[0])["answer"],
        IDS[1]: {"skipped": "too large"},
        IDS[2]: {"error": "overflow"},
    }
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"answers": answers}))
    assert conform("grade", path, "--cases", "dsm") == 1  # for the error alone
    assert "overflow" in capsys.readouterr().out
    del answers[IDS[2]]
    path.write_text(json.dumps({"answers": answers}))
    assert conform("grade", path, "--cases", "dsm") == 0


def test_a_terminal_without_the_letters_of_mathematics_gets_escapes(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"answers": {id: reply["answer"] for id, reply in halved(CASES).items()}}))
    command = [sys.executable, "-m", "npscore", "conform", "grade", str(path), "--cases", ",".join(IDS)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    assert run.returncode == 1 and rb"one \xbd too many" in run.stdout and run.stdout.isascii(), run.stderr


def test_a_declared_convention_passes_and_is_said(program, capsys):
    command, asked = program(replies=halved(CASES)), ("--cases", ",".join(IDS))
    assert conform("run", "--cmd", command, *asked, "--declare", "dsm=half") == 0
    assert "declared: half" in capsys.readouterr().out
