"""Checking without a runner: the questions are written to files, and the results are read from one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from .._run.atomic import PathLike, as_path, atomic_write
from .answers import Errored, Outcome, Skipped
from .protocol import (
    checked,
    decode,
    encode,
    looks_like_a_message,
    outcome_of,
    run_message,
    start_message,
)
from .selection import not_asked
from .untrusted import FILE_BYTES, OutOfBounds, parse, shown

HERE = Path(__file__).parent
RESULTS = "npscore-results"
LINES = 2**17  # of a file of replies, other lines included


def export(folder: PathLike, cases: Sequence[Any], dtype: str = "float64") -> list[str]:
    """Write all that is needed to answer the cases on another machine, and return the names of the files.

    ``requests.jsonl`` is what the runner would send to a program, so that ``./mine < requests.jsonl > results.jsonl``
    answers all of it; ``cases.json`` holds the same cases in one document; GUIDE.md explains both; adapters/ holds
    worked examples. No expected value is among them.
    Raises ValueError where the folder exists and is not empty.
    """
    folder = Path(as_path(folder, "folder"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"folder must be a new or an empty folder, got {str(folder)!r}")
    os.makedirs(folder, exist_ok=True)
    asked = [case for case in cases if not not_asked(case, dtype)]
    with atomic_write(folder / "requests.jsonl") as file:
        file.write(encode(start_message(dtype, (case.operation for case in asked))))
        file.writelines(encode(run_message(case)) for case in asked)
        file.write(encode({"type": "stop"}))
    with atomic_write(folder / "cases.json") as file:
        head = {"format": "npscore-conformance", "version": 1, "dtype": dtype}
        file.write(json.dumps(head)[:-1].encode() + b', "cases": [\n')
        file.write(b",\n".join(encode(case.to_json()).rstrip() for case in asked) + b"\n]}\n")
    shutil.copy(HERE / "v1" / "GUIDE.md", folder)
    shutil.copytree(HERE / "adapters", folder / "adapters", ignore=shutil.ignore_patterns("__*"))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Results(NamedTuple):
    """What a file of results says of each case: {id: answer | Skipped | Errored}.

    ``garbage`` counts lines that are no messages, ``unreadable`` those among them that were meant as one.
    """

    answers: dict[str, Outcome]
    garbage: int = 0
    unreadable: int = 0

    @property
    def lost(self) -> int:
        """How many cases have no result where unreadable lines may have held it; 0 where every line was read."""
        missing = sum(answer == NOT_AMONG_THEM for answer in self.answers.values())
        return missing if self.unreadable else 0


NOT_AMONG_THEM = Skipped("not among the results")


def read_results(path: PathLike, cases: Sequence[Any], dtype: str) -> Results:
    """The results of every case from a file.

    The file is either one JSON document {"format": "npscore-results", "answers": {id: {"loss": …} |
    {"skipped": reason} | {"error": message}}} or a program's replies, one JSON object a line. A case without a
    result is skipped. Raises ValueError for a file of neither form or of more than FILE_BYTES, another dtype, unknown
    ids, and two results for one case.
    """
    with open(as_path(path), "rb") as file:
        data = file.read(FILE_BYTES + 1).removeprefix(b"\xef\xbb\xbf")
    if len(data) > FILE_BYTES:
        raise ValueError(f"results must take at most {FILE_BYTES:,} bytes, {path} is larger")
    by_id = {case.id: case for case in cases}
    try:
        document, why = parse(data, FILE_BYTES), "it is something else"
    except ValueError as error:
        document, why = None, str(error)
    if isinstance(document, dict) and "answers" in document:
        found = Results(_from_document(document, by_id, dtype))
    else:
        found = _from_lines(data, by_id)
    if not found.answers and document is None:
        raise ValueError(f'results must hold "answers" or replies, one a line, got neither in {path} ({why})')
    answers = {
        case.id: found.answers.get(case.id) or not_asked(case, dtype) or NOT_AMONG_THEM for case in cases
    }
    return found._replace(answers=answers)


def _from_document(document: dict[str, Any], by_id: dict[str, Any], dtype: str) -> dict[str, Outcome]:
    if document.get("format", RESULTS) != RESULTS:
        raise ValueError(f"results must have format {RESULTS!r}, got {shown(document['format'])}")
    if document.get("dtype", dtype) != dtype:
        raise ValueError(f"dtype must be that of the results, {shown(document['dtype'])}, got {dtype}")
    answers = document["answers"]
    if not isinstance(answers, dict):
        raise ValueError(f'"answers" must be an object of answers by id, got {type(answers).__name__}')
    return {id: _outcome(_case(id, by_id), answer) for id, answer in answers.items()}


def _outcome(case: Any, answer: Any) -> Outcome:
    """What a document says of one case: its numbers, or why there are none."""
    if not isinstance(answer, dict):
        return Errored("the answer is no object")
    if len(answer) > 1 and not answer.keys().isdisjoint(("skipped", "error")):
        return Errored("the answer holds numbers and a reason why there are none")
    if "skipped" in answer:
        return Skipped(str(answer["skipped"]))
    if "error" in answer:
        return Errored(str(answer["error"]), refused=True)
    return checked(case, answer)


def _from_lines(data: bytes, by_id: dict[str, Any]) -> Results:
    if data.count(b"\n") > LINES:
        raise ValueError(f"results must have at most {LINES:,} lines, got more")
    garbage = unreadable = 0
    outcomes: dict[str, Outcome] = {}
    for line in filter(bytes.strip, BytesIO(data)):
        try:
            reply = decode(line)
        except OutOfBounds:
            reply = None
        if reply is None:
            garbage += 1
            unreadable += looks_like_a_message(line)
        elif reply["type"] != "ready":
            case = _case(reply.get("id"), by_id)
            if case.id in outcomes:
                raise ValueError(f"results must hold one result for each case, got two for {case.id}")
            outcomes[case.id] = outcome_of(case, reply)
    return Results(outcomes, garbage, unreadable)


def _case(id: Any, by_id: dict[str, Any]) -> Any:
    if not isinstance(id, str) or id not in by_id:
        raise ValueError(f"results must be about cases that were selected, got id {shown(id)}")
    return by_id[id]
