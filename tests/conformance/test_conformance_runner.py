"""The runner: programs that answer, crash, hang, or write what is no message."""

import json
import time
from pathlib import Path

import pytest
from support.conformance_plans import CASES, IDS, conform, is_right, program_in, right

from npscore.conformance.answers import Errored, Skipped
from npscore.conformance.runner import LOST_IN_A_ROW, ProgramError, run_program
from npscore.conformance.selection import select


@pytest.fixture
def program(tmp_path):
    return program_in(tmp_path)


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


def test_a_program_lost_too_often_is_asked_no_more(program):
    cases = select("dsm")[: LOST_IN_A_ROW + 3]
    run = run_program(program(cases, deeds={case.id: "kill" for case in cases}), cases)
    reasons = [run.answers[case.id].reason for case in cases]
    assert ["signal 9" in reason for reason in reasons] == [True] * LOST_IN_A_ROW + [False] * 3
    assert all("did not reply 10 times in a row" in reason for reason in reasons[LOST_IN_A_ROW:])


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


def test_progress_on_a_terminal_only(program, capsys):
    run_program(program(), CASES)
    assert capsys.readouterr().err == ""
    run_program(program(), CASES, progress=True)
    assert f"conform  {len(CASES)}/{len(CASES)}  {IDS[-1]}" in capsys.readouterr().err
