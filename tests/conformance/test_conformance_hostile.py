"""Programs that try to hang, exhaust, deceive or outlive the runner."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from support.conformance_plans import CASES, IDS, conform, is_right, program_in, right

from npscore.conformance.runner import run_program
from npscore.conformance.signals import exit_on_signals, signals_deferred
from npscore.conformance.untrusted import LINE_BYTES

ASKED = ("--cases", ",".join(IDS))
ALIVE = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to see processes in")


@pytest.fixture
def program(tmp_path):
    return program_in(tmp_path)


def alive(pid):
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid, seconds=10):
    """Whether a process ends within some seconds."""
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def message(**parts):
    return json.dumps({"type": "result", "id": IDS[1]} | parts) + "\n"


#: What a program writes in reply to one case -> words of that case's error.
REPLIES = {
    "800 deep": (message(answer={"loss": 0}).replace("0", "[" * 800 + "]" * 800), "nested more than 32 deep"),
    "100,000 deep": ('{"type": "result", "answer": ' + "[" * 10**5 + "\n", "nested more than 32 deep"),
    "too long": (message(answer={"loss": "1" * LINE_BYTES}), "longer than 1,048,576 bytes"),
    "a name twice": (message(answer={"loss": 1, "x": 1}).replace('"x"', '"loss"'), "the name 'loss' twice"),
    "a long id": (message(id="x" * 10**6), "a reply about 'xxx"),
    "an id that is none": ('{"type": "result", "id": [1], "answer": {}}\n', "a reply about [1] to"),
    "a long name": (message(answer={"y" * 10**6: 1}), "yyy… is no output"),
    "a long text": (message(answer={"loss": "z" * 10**6}), "loss must be an array of real numbers, got str 'zzz"),
    "a long reason": (message(type="error", message="w" * 10**6), "www…"),
    "a surrogate": ('{"type": "error", "message": "half \\ud800 a pair"}\n', r"half \ud800 a pair"),
    "a surrogate's name": ('{"type": "result", "answer": {"\\udfff": 1}}\n', r"\udfff"),
    "escapes": ('{"type": "error", "message": "\\u001b[2J\\u001b]0;title\\u0007"}\n', r"\x1b[2J\x1b]0;title\x07"),
    "writing from the right": ('{"type": "error", "message": "a\\u202eb\\u2066c"}\n', r"a\u202eb\u2066c"),
    "lines": ('{"type": "error", "message": "a\\nb\\u2028c\\u0085d"}\n', "a b c d"),
    "no real numbers": (message(answer={"loss": {"re": 1}}), "loss must be an array of real numbers"),
    "true": (message(answer={"loss": True}), "loss must be an array of real numbers"),
    "another type": ('{"type": "ready", "operations": 5}\n', "'ready' message in reply"),
}  # fmt: skip


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_that_cannot_be_used_costs_its_own_case_only(name, program, tmp_path, capsys):
    raw, words = REPLIES[name]
    command = program(raw={IDS[1]: raw})
    for form in ("text", "json", "junit", "markdown"):
        report = tmp_path / f"report.{form}"
        assert conform("run", "--cmd", command, *ASKED, "--format", form, "--output", report) == 1
        text = report.read_text("utf-8")
        assert len(text) < 10_000 and all(c.isprintable() or c == "\n" for c in text)
        if form == "json":
            cases = {case["id"]: case for case in json.loads(text)["cases"]}
            assert words in cases[IDS[1]]["reason"] and len(cases[IDS[1]]["reason"]) <= 500
            assert all(cases[id]["passed"] for id in IDS if id != IDS[1])
    said = capsys.readouterr().err
    assert len(said) < 1000 and all(c.isprintable() or c == "\n" for c in said)


NUMBERS = {
    "10**400": "1" + "0" * 400,
    "10**5000": "1" + "0" * 5000,
    "a million digits": "7" * 10**6,
    "1e999": "1e999",
    "NaN": "NaN",
    "text nan": '"nan"',
    "text -nan": '"-NaN"',
    "Infinity": "-Infinity",
    "hexadecimal": '"0x1p+1000"',
    "a fraction of a million digits": "0." + "3" * 10**6,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_beyond_every_range_are_wrong_numbers(name, program):
    raw = f'{{"type": "result", "answer": {{"loss": {NUMBERS[name]}}}}}\n'
    run = run_program(program(raw={IDS[1]: raw}), CASES[:3], timeout=5.0)
    (loss,) = run.answers[IDS[1]].values()
    assert loss.shape == () and loss != CASES[1].expected()["loss"]
    assert is_right(CASES[2], run.answers[IDS[2]])


CHATTER = {
    "bytes that are no text": "\xff\xfe\x00\x80\n",
    "a long line": "x" * (3 * LINE_BYTES) + "\n",
    "a deep list": "[" * 10**5 + "]" * 10**5 + "\n",
    "many values": "[" + "0," * LINE_BYTES + "0]\n",
    "half an object": '{"type": "result", "answer": {"loss"\n',
    "escapes": "\x1b[31mred\x1b[0m\n",
    "an unknown type": '{"type": ["result"]}\n',
    "empty lines": "\n" * 10**5,
    "carriage returns": "10 %\r20 %\r\n",
    "quotes that never end": '{"a": "' + '\\"' * 10**5 + "\n",
}


@pytest.mark.parametrize("name", CHATTER)
def test_lines_that_are_no_messages_are_passed_over(name, program):
    raw = CHATTER[name] + json.dumps(right(CASES[1])) + "\n"
    run = run_program(program(raw={IDS[1]: raw}), CASES[:3], timeout=5.0)
    assert all(is_right(case, run.answers[case.id]) for case in CASES[:3])
    assert run.restarts == 0 and run.garbage == (name != "empty lines")
    assert all(note.replace("\n", "").isprintable() and len(note) < 500 for note in run.notes())


def test_a_reply_without_its_line_end_counts_where_the_program_then_ends(program):
    run = run_program(program(deeds={IDS[1]: "no line end"}), CASES[:2])
    assert all(is_right(case, run.answers[case.id]) for case in CASES[:2])


@pytest.mark.parametrize("deed", ["never a newline", "ignore SIGTERM", "late"])
def test_what_never_becomes_a_message_costs_its_time_limit(deed, program):
    run = run_program(program(deeds={IDS[0]: deed}), CASES, timeout=1.0)
    assert "no answer within 1 seconds" in run.answers[IDS[0]].reason
    assert all(is_right(case, run.answers[case.id]) for case in CASES[1:]) and run.restarts == 1


def test_the_program_ends_even_where_its_child_holds_the_pipe(program):
    run = run_program(program(deeds={IDS[0]: "crash with a child"}), CASES[:2], timeout=60.0)
    assert run.answers[IDS[0]].reason.startswith("the program ended with exit code 3")
    assert is_right(CASES[1], run.answers[IDS[1]])


def test_errors_without_end_on_standard_error_harm_nothing(program):
    run = run_program(program(deeds={IDS[0]: "flood of errors"}), CASES)
    assert all(is_right(case, run.answers[case.id]) for case in CASES) and run.restarts == 0
    assert len(run.stderr) <= 40 and max(map(len, run.stderr)) <= 2000


def test_two_replies_to_one_case_are_noticed(program):
    run = run_program(program(deeds={IDS[0]: "twice"}), CASES)
    assert "a reply about" in run.answers[IDS[1]].reason
    assert all(is_right(case, run.answers[case.id]) for case in CASES if case.id != IDS[1])


def test_a_reply_of_60_megabytes_takes_little_memory(program):
    tracemalloc.start()
    try:
        run = run_program(program(deeds={IDS[0]: "a large reply"}), CASES[:2], timeout=30.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "longer than 1,048,576 bytes" in run.answers[IDS[0]].reason and peak < 2e7
    assert is_right(CASES[1], run.answers[IDS[1]])


def test_a_ready_message_of_many_names_is_shortened(program, capsys):
    names = ["dsm", *(f"\x1b{k}" * 10 for k in range(5000))]
    assert conform("run", "--cmd", program(ready={"type": "ready", "operations": names}), *ASKED) == 0
    said = capsys.readouterr().err
    assert "no case for" in said and len(said) < 700 and "\x1b" not in said


def test_a_ready_message_that_is_too_large_ends_the_check(program, capsys):
    command = program(ready={"type": "ready", "operations": ["x"] * 400_000})
    assert conform("run", "--cmd", command, *ASKED) == 2
    assert "must answer start with ready, got a message longer than" in capsys.readouterr().err


def test_a_program_that_replies_to_nothing_was_not_checked(program, capsys):
    ready = {"type": "ready", "operations": ["dsm"]}
    command = program(deeds=dict.fromkeys(IDS, "kill"), ready=ready)
    for asked in (ASKED, ("--cases", f"{ASKED[1]},esm")):
        assert conform("run", "--cmd", command, *asked) == 2
        assert "replied to none of the cases" in capsys.readouterr().err


def test_a_program_that_vanishes_loses_no_answers(program, tmp_path):
    script = tmp_path / "mine"
    command = program(deeds={IDS[3]: "kill"})
    script.write_text(f"#!/bin/sh\nrm {script}\nexec {command}\n")
    script.chmod(0o755)
    run = run_program(str(script), CASES)
    assert all(is_right(case, run.answers[case.id]) for case in CASES[:3])
    assert all("not asked: " in run.answers[id].reason for id in IDS[4:]) and run.lost == 3


# ---- signals ---------------------------------------------------------------------------------------------


def running(program, tmp_path, deed):
    """``npscore conform run`` in a process of its own, and the process id of the program, once it hangs."""
    command = program(deeds={IDS[0]: deed})
    runner = subprocess.Popen(
        [sys.executable, "-m", "npscore", "conform", "run", "--cmd", command, *ASKED, "--timeout", "100"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    heard = tmp_path / "heard.jsonl"
    deadline = time.monotonic() + 30
    while not (heard.exists() and heard.read_text().count("\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    children = Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()
    return runner, *map(int, children)


@ALIVE
@pytest.mark.parametrize(
    ("number", "code", "deed"),
    [
        (signal.SIGTERM, 143, "never a newline"),
        (signal.SIGTERM, 143, "ignore SIGTERM"),
        (signal.SIGHUP, 129, "hang"),
        (signal.SIGINT, 130, "hang"),
    ],
)
def test_a_signal_ends_the_program_too(number, code, deed, program, tmp_path):
    runner, child = running(program, tmp_path, deed)
    assert alive(child)
    runner.send_signal(number)
    out, err = runner.communicate(timeout=30)
    assert runner.returncode == code and out == b"" and b"Traceback" not in err
    assert ends(child)


def test_signals_that_somebody_handles_stay_theirs():
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with exit_on_signals():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, former)


def test_a_signal_becomes_an_exit_and_the_handlers_return():
    former = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit, exit_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert exit.value.code == 143 and signal.getsignal(signal.SIGTERM) == former


def test_a_deferred_signal_arrives_after_the_block():
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with signals_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            steps.append("whole")
        steps.append("never")
    assert steps == ["whole"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_threads_leave_signals_alone(program):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(run_program(program(), CASES[:2])))
    thread.start()
    thread.join(60)
    assert all(is_right(case, runs[0].answers[case.id]) for case in CASES[:2])
