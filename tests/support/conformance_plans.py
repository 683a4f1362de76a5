"""What the tests of ``npscore conform`` share: command lines of programs that follow a plan, and replies for them."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np

from npscore import cli
from npscore.conformance.selection import select

PROGRAM = Path(__file__).parent / "conformance_program.py"
CASES = select("dsm")[:6]
IDS = [case.id for case in CASES]


def conform(*arguments):
    """``npscore conform`` in this process; returns the exit code."""
    return cli.main(["conform", *map(str, arguments)])


def right(case):
    """A reply with the certified numbers."""
    answer = {name: value.tolist() for name, value in case.expected().items()}
    return {"type": "result", "id": case.id, "answer": answer}


def halved(cases):
    """Replies in which every number of a loss or gradient is half of what it should be."""
    replies = {case.id: right(case) for case in cases}
    for reply in replies.values():
        for name, value in reply["answer"].items():
            if name == "loss" or name.startswith("grad."):
                reply["answer"][name] = (0.5 * np.asarray(value)).tolist()
    return replies


def is_right(case, answer):
    """Whether an answer has the certified numbers, to the last bit."""
    expected = case.expected()
    return answer.keys() == expected.keys() and all(np.array_equal(answer[k], expected[k]) for k in expected)


def program_in(folder):
    """A function from a plan to the command line of a program that follows it (see conformance_program.py)."""

    def command(cases=CASES, **plan):
        replies = {case.id: right(case) for case in cases} | plan.pop("replies", {})
        plan = {"heard": str(folder / "heard.jsonl"), "replies": replies, **plan}
        (folder / "plan.json").write_text(json.dumps(plan))
        return shlex.join([sys.executable, str(PROGRAM), str(folder / "plan.json")])

    return command
