"""The messages between the runner and a program under test: one JSON object a line, both ways.

    -> {"type": "start", "version": 1, "dtype": "float64", "operations": ["dsm", …]}
    <- {"type": "ready", "operations": ["dsm"]}
    -> {"type": "run", "case": {"id": "dsm-0001", "operation": "dsm", "input": {…}, …}}
    <- {"type": "result", "id": "dsm-0001", "answer": {"loss": 1.5, "grad.W1": [[…], …]}}
     | {"type": "skipped", "id": "dsm-0001", "reason": "…"}  |  {"type": "error", "id": "dsm-0001", "message": "…"}
    -> {"type": "stop"}

Lines that are no such message are counted and passed over. The expected output is never sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Optional

from .answers import AnswerError, Errored, Outcome, Skipped, answer_of
from .untrusted import OutOfBounds, parse, shown

VERSION = 1
REPLIES = ("ready", "result", "skipped", "error")


def start_message(dtype: str, operations: Iterable[str]) -> dict[str, Any]:
    """The first message to a program."""
    return {"type": "start", "version": VERSION, "dtype": dtype, "operations": sorted(set(operations))}


def run_message(case: Any) -> dict[str, Any]:
    """The message that asks one case, without its output, expected error and certificate."""
    return {"type": "run", "case": case.to_json()}


def encode(message: dict[str, Any]) -> bytes:
    """A message as one line of ASCII."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Optional[dict[str, Any]]:
    """The message in a line of a program's output, or None where it is none.

    Raises OutOfBounds for a line that looks like a message and is too large to be read.
    """
    try:
        message = parse(line)
    except OutOfBounds:
        if looks_like_a_message(line):
            raise
        return None
    except ValueError:
        return None
    known = isinstance(message, dict) and isinstance(message.get("type"), str) and message["type"] in REPLIES
    return message if known else None


def looks_like_a_message(line: bytes) -> bool:
    """Whether a line that cannot be read may have been meant as a message."""
    return line.lstrip()[:1] == b"{" or b'"type"' in line or b'"answer"' in line


def offered(ready: dict[str, Any]) -> Optional[frozenset[str]]:
    """The operations that a ready message offers; None where it does not say, which means all of them."""
    names = ready.get("operations")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f'"operations" of the ready message must be a list of names, got {shown(names)}')
    return frozenset(names)


def outcome_of(case: Any, reply: dict[str, Any]) -> Outcome:
    """What a reply to ``run`` says of the case; a reply about another case, or a malformed answer, is Errored."""
    if reply.get("id", case.id) != case.id:
        return Errored(f"a reply about {shown(reply['id'])} to {case.id}")
    if reply["type"] == "skipped":
        return Skipped(_text(reply, "reason"))
    if reply["type"] == "error":
        return Errored(_text(reply, "message"), refused=True)
    if reply["type"] != "result":
        return Errored(f"a {reply['type']!r} message in reply to a case")
    answer = reply.get("answer")
    if not isinstance(answer, dict):
        return Errored('the result message holds no object "answer"')
    return checked(case, answer)


def checked(case: Any, answer: dict[str, Any]) -> Outcome:
    """An answer as arrays, or Errored where it does not have the names and shapes of the case's outputs."""
    try:
        return answer_of(case, answer)
    except AnswerError as error:
        return Errored(str(error))


def _text(reply: dict[str, Any], key: str) -> str:
    return str(reply.get(key) or "no reason given")
