"""``npscore conform``: programs that answer, lie, crash, hang and chatter; and the same work offline."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from npscore import cli
from npscore.conformance.answers import Errored, Skipped
from npscore.conformance.runner import LOST_IN_A_ROW, ProgramError, run_program
from npscore.conformance.selection import select

PROGRAM = Path(__file__).parent / "conformance_program.py"
CASES = select("dsm")[:6]
IDS = [case.id for case in CASES]


def right(case):
    """A reply with the certified numbers."""
    answer = {name: value.tolist() for name, value in case.expected().items()}
    return {"type": "result", "id": case.id, "answer": answer}


@pytest.fixture
def program(tmp_path):
    """A function from a plan to the command line of a program that follows it."""

    def command(cases=CASES, **plan):
        replies = {case.id: right(case) for case in cases} | plan.pop("replies", {})
        plan = {"heard": str(tmp_path / "heard.jsonl"), "replies": replies, **plan}
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        return shlex.join([sys.executable, str(PROGRAM), str(tmp_path / "plan.json")])

    return command


def is_right(case, answer):
    expected = case.expected()
    return answer.keys() == expected.keys() and all(np.array_equal(answer[k], expected[k]) for k in expected)


def test_answers_arrive_to_the_last_bit_in_the_order_of_the_cases(program):
    run = run_program(program(), CASES)
    assert list(run.answers) == IDS
    assert all(is_right(case, run.answers[case.id]) for case in CASES)
    assert (run.restarts, run.garbage, run.stderr, run.notes()) == (0, 0, (), [])


def test_nothing_of_the_answer_is_ever_sent(program, tmp_path):
    cases = [*select("smoke"), *select("invalid")]
    run_program(program(cases), cases, dtype="float32")
    lines = (tmp_path / "heard.jsonl").read_text().splitlines()
    start, *asked, stop = map(json.loads, lines)
    assert start["type"] == "start" and start["version"] == 1 and start["dtype"] == "float32"
    assert start["operations"] == sorted({case.operation for case in cases}) and stop == {"type": "stop"}
    sent = {message["case"]["id"]: message["case"] for message in asked}
    for case in cases:
        if case.id not in sent:
            assert "not-float32" in case.flags
            continue
        asked, text = sent[case.id], json.dumps(sent[case.id])
        assert not {"output", "error", "certified"} & asked.keys()
        whole = case.to_json(with_output=True)
        assert (
            all(asked[key] == whole[key] for key in asked)
            and asked.keys() | {"output", "error", "certified"} >= whole.keys()
        )
        for block in whole.get("output", {}).values():
            assert not [
                number for number in block["decimal"] + block["hex"] if len(number) > 8 and number in text
            ]


@pytest.mark.parametrize("deed", ["crash", "kill", "close"])
def test_a_crash_is_one_error_and_the_program_starts_again(deed, program):
    run = run_program(program(deeds={IDS[1]: deed, IDS[4]: deed}), CASES)
    said = {
        "crash": "exit code 3: something is badly wrong",
        "kill": "signal 9",
        "close": "closed its standard",
    }[deed]
    for case in CASES:
        answer = run.answers[case.id]
        if case.id in (IDS[1], IDS[4]):
            assert isinstance(answer, Errored) and said in answer.reason and not answer.refused
        else:
            assert is_right(case, answer)
    assert run.restarts == 2 and "started again 2 times" in run.notes()[0]
    assert (run.stderr == ("something is badly wrong",) * 2) == (deed == "crash")


@pytest.mark.parametrize("deed", ["hang", "half a line", "flood"])
def test_a_case_without_an_answer_costs_its_time_limit_and_no_more(deed, program):
    start = time.monotonic()
    run = run_program(program(deeds={IDS[0]: deed}), CASES, timeout=1.0)
    assert time.monotonic() - start < 20
    lost = run.answers[IDS[0]]
    assert isinstance(lost, Errored) and "within 1 seconds" in lost.reason and not lost.refused
    assert all(is_right(case, run.answers[case.id]) for case in CASES[1:])
    assert (run.garbage > 0) == (deed == "flood") and run.restarts == 1


def test_no_child_of_the_program_outlives_it(program):
    run = run_program(program(deeds={IDS[5]: "hang with a child"}), CASES, timeout=2.0)
    (line,) = run.stderr
    child = Path("/proc", line.split()[1], "stat")
    if Path("/proc").is_dir():
        deadline = time.monotonic() + 5
        while child.exists() and child.read_text().split()[2] != "Z" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not child.exists() or child.read_text().split()[2] == "Z"


def test_garbage_is_counted_and_survived(program):
    run = run_program(program(deeds={IDS[2]: "garbage", "start": "garbage"}), CASES)
    assert all(is_right(case, run.answers[case.id]) for case in CASES)
    assert run.garbage == 12 and run.first_garbage == "loading weights" and run.restarts == 0
    assert "12 lines" in run.notes()[0] and "loading weights" in run.notes()[0]


def test_skipped_refused_and_malformed_replies(program):
    replies = {
        IDS[0]: {"type": "skipped", "id": IDS[0], "reason": "no tanh here"},
        IDS[1]: {"type": "error", "id": IDS[1], "message": "x must be\nfinite"},
        IDS[2]: {"type": "result", "id": IDS[2], "answer": {"los": 1.0}},
        IDS[3]: {"type": "result", "id": IDS[3], "answer": {"loss": [1.0, 2.0]}},
        IDS[4]: {"type": "result", "id": IDS[4], "answer": None},
        IDS[5]: {"type": "ready"},
    }
    answers = run_program(program(replies=replies), CASES).answers
    assert answers[IDS[0]] == Skipped("no tanh here")
    assert answers[IDS[1]] == Errored("x must be finite", refused=True)
    for id, words in zip(
        IDS[2:], ("'los' is no output of dsm", "loss must have shape ()", '"answer"', "'ready'")
    ):
        assert words in answers[id].reason and not answers[id].refused


def test_a_reply_about_another_case_is_an_error_and_the_next_is_asked_anew(program):
    run = run_program(program(replies={IDS[1]: right(CASES[0])}), CASES)
    assert run.answers[IDS[1]] == Errored(f"a reply about '{IDS[0]}' to {IDS[1]}")
    assert all(is_right(case, run.answers[case.id]) for case in CASES if case.id != IDS[1])
    assert run.restarts == 1


def test_only_what_a_program_offers_is_asked(program, tmp_path):
    cases = [*CASES, *select("esm")[:2]]
    run = run_program(program(cases, ready={"type": "ready", "operations": ["esm"]}), cases)
    heard = (tmp_path / "heard.jsonl").read_text()
    assert all(run.answers[id] == Skipped("the program does not offer dsm") and id not in heard for id in IDS)
    assert all(is_right(case, run.answers[case.id]) for case in cases[6:])


def test_a_program_that_offers_nothing_there_is_fails_the_check(program, capsys):
    command = program(ready={"type": "ready", "operations": ["DSM"]})
    assert conform("run", "--cmd", command, "--cases", "dsm") == 2
    said = capsys.readouterr().err
    assert "no case for: DSM" in said and "every case was skipped" in said


def test_a_program_lost_too_often_is_asked_no_more(program):
    cases = select("dsm")[: LOST_IN_A_ROW + 3]
    run = run_program(program(cases, deeds={case.id: "kill" for case in cases}), cases)
    reasons = [run.answers[case.id].reason for case in cases]
    assert ["signal 9" in reason for reason in reasons] == [True] * LOST_IN_A_ROW + [False] * 3
    assert all("times in a row" in reason for reason in reasons[LOST_IN_A_ROW:])


@pytest.mark.parametrize("deed", ["crash", "hang"])
def test_what_was_answered_is_kept_where_a_program_does_not_come_back(deed, program):
    run = run_program(program(deeds={IDS[3]: "kill", "restart": deed}), CASES, start_timeout=2.0)
    assert all(is_right(case, run.answers[case.id]) for case in CASES[:3])
    assert "signal 9" in run.answers[IDS[3]].reason
    words = {"crash": "crashed 3 times while starting", "hang": "ready message within 2 seconds"}[deed]
    assert all(words in run.answers[id].reason and "not asked" in run.answers[id].reason for id in IDS[4:])


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (
            {"deeds": {"start": "crash"}},
            "crashed 3 times while starting: the program ended with exit code 3: something",
        ),
        ({"deeds": {"start": "hang"}}, "ready message within 1 seconds, got none"),
        ({"ready": {"type": "hello"}}, 'within 1 seconds, got none but \'{"type": "hello"}\''),
        ({"ready": {"type": "skipped"}}, "must answer start with ready, got 'skipped'"),
        ({"ready": {"type": "ready", "operations": "dsm"}}, "must be a list of names, got 'dsm'"),
    ],
)
def test_a_program_that_never_gets_ready(plan, words, program, capsys):
    command = program(**plan)
    with pytest.raises(ProgramError) as raised:
        run_program(command, CASES, start_timeout=1.0)
    assert words in str(raised.value)
    assert conform("run", "--cmd", command, "--cases", "smoke", "--start-timeout", "1") == 2
    said = capsys.readouterr()
    assert (
        said.out == ""
        and said.err.startswith("npscore: ")
        and said.err.count("\n") == 1
        and words in said.err
    )


def conform(*arguments):
    return cli.main(["conform", *map(str, arguments)])


def halved(cases):
    """Replies in which every number of a loss or gradient is half of what it should be."""
    replies = {case.id: right(case) for case in cases}
    for reply in replies.values():
        for name, value in reply["answer"].items():
            if name == "loss" or name.startswith("grad."):
                reply["answer"][name] = (0.5 * np.asarray(value)).tolist()
    return replies


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


def test_progress_on_a_terminal_only(program, capsys):
    run_program(program(), CASES)
    assert capsys.readouterr().err == ""
    run_program(program(), CASES, progress=True)
    assert f"conform  {len(CASES)}/{len(CASES)}  {IDS[-1]}" in capsys.readouterr().err


def test_a_declared_convention_passes_and_is_said(program, capsys):
    command, asked = program(replies=halved(CASES)), ("--cases", ",".join(IDS))
    assert conform("run", "--cmd", command, *asked, "--declare", "dsm=half") == 0
    assert "declared: half" in capsys.readouterr().out
