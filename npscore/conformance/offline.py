"""Without a runner: the questions as files, and the results that come back as one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .._run.atomic import PathLike, as_path, atomic_write
from .answers import AnswerError, Errored, Skipped, answer_of
from .protocol import Outcome, decode, encode, outcome_of, question, run_message, start_message
from .selection import not_asked

HERE = Path(__file__).parent
RESULTS = "npscore-results"


def export(folder: PathLike, cases: Sequence[Any], dtype: str = "float64") -> list[str]:
    """Write what is needed to answer anywhere, and return the names of the files.

    ``requests.jsonl`` is what a program would hear from the runner, so that ``./mine < requests.jsonl > results.jsonl``
    answers it all; ``cases.json`` holds the same cases in one document, for those who would rather write
    results.json; GUIDE.md explains both; adapters/ holds the worked examples. No expected value is among them.
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
        file.write(b",\n".join(encode(question(case)).rstrip() for case in asked) + b"\n]}\n")
    shutil.copy(HERE / "v1" / "GUIDE.md", folder)
    shutil.copytree(HERE / "adapters", folder / "adapters", ignore=shutil.ignore_patterns("__*"))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read_results(path: PathLike, cases: Sequence[Any], dtype: str) -> tuple[dict[str, Outcome], int]:
    """{id: answer | Skipped | Errored} of every case from a file of results, and how many lines were no messages.

    The file is either one JSON document {"format": "npscore-results", "answers": {id: {"loss": …} |
    {"skipped": reason} | {"error": message}}} or a program's replies, one JSON object a line. A case without a
    result is skipped. Raises ValueError for a file of neither form, another dtype, or unknown ids.
    """
    text = Path(as_path(path)).read_bytes()
    by_id = {case.id: case for case in cases}
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict) and "answers" in document:
        garbage, outcomes = 0, _from_document(document, by_id, dtype)
    else:
        garbage, outcomes = _from_lines(text.splitlines(), by_id)
        if not outcomes:
            raise ValueError(f'results must hold "answers" or replies, one a line, got neither in {path}')
    answers = {}
    for case in cases:
        answers[case.id] = outcomes.get(case.id) or not_asked(case, dtype) or Skipped("not among the results")
    return answers, garbage


def _from_document(document: dict[str, Any], by_id: dict[str, Any], dtype: str) -> dict[str, Outcome]:
    if document.get("format", RESULTS) != RESULTS:
        raise ValueError(f"results must have format {RESULTS!r}, got {document['format']!r}")
    if document.get("dtype", dtype) != dtype:
        raise ValueError(f"dtype must be that of the results, {document['dtype']}, got {dtype}")
    if not isinstance(document["answers"], dict):
        raise ValueError(
            f'"answers" must be an object of answers by id, got {type(document["answers"]).__name__}'
        )
    outcomes = {}
    for id, answer in document["answers"].items():
        case = _case(id, by_id)
        if not isinstance(answer, dict):
            outcomes[id] = Errored("the answer is no object")
        elif "skipped" in answer:
            outcomes[id] = Skipped(str(answer["skipped"]))
        elif "error" in answer:
            outcomes[id] = Errored(str(answer["error"]), refused=True)
        else:
            outcomes[id] = _checked(case, answer)
    return outcomes


def _from_lines(lines: Iterable[bytes], by_id: dict[str, Any]) -> tuple[int, dict[str, Outcome]]:
    garbage, outcomes = 0, {}
    for line in lines:
        reply = decode(line) if line.strip() else {"type": "ready"}
        if reply is None:
            garbage += 1
        elif reply["type"] != "ready":
            case = _case(reply.get("id"), by_id)
            outcomes[case.id] = outcome_of(case, reply)
    return garbage, outcomes


def _case(id: Any, by_id: dict[str, Any]) -> Any:
    if not isinstance(id, str) or id not in by_id:
        raise ValueError(f"results must be about cases that were selected, got id {id!r}")
    return by_id[id]


def _checked(case: Any, answer: dict[str, Any]) -> Outcome:
    try:
        return answer_of(case, answer)
    except AnswerError as error:
        return Errored(str(error))
