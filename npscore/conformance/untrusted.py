"""What comes from outside: JSON within fixed bounds, and text that is safe in a terminal, a file and XML."""

from __future__ import annotations

import json
from collections import Counter
from itertools import accumulate
from typing import Any

#: No line of a program or of a file may be longer. The largest answer to a certified case takes about 15 kB.
LINE_BYTES = 2**20
#: No file of results may be larger. The answers to all certified cases take about 2 MB.
FILE_BYTES = 2**25
#: Objects and lists may be nested so deep; an answer needs 5 levels.
DEPTH = 32
#: So many quotes, commas and brackets at most in one line or document: each may cost 100 bytes of memory.
MARKS = 2**20
#: No text from outside is repeated at greater length, in characters.
TEXT = 500


class OutOfBounds(ValueError):
    """JSON that is too long, too deep, of too many values, or an object that gives a name twice."""


def parse(data: bytes, most_bytes: int = LINE_BYTES) -> Any:
    """The value of a JSON text in UTF-8.

    Integers of more than 18 characters become floats (inf beyond the range), so that none takes long to convert.
    Raises OutOfBounds, before anything large is allocated, for a text beyond the bounds above, and ValueError for what
    is no JSON.
    """
    if len(data) > most_bytes:
        raise OutOfBounds(f"longer than {most_bytes:,} bytes")
    if sum(map(data.count, b'",[]{}')) > MARKS:
        raise OutOfBounds(f"more than {MARKS:,} quotes, commas and brackets")
    if _depth(data) > DEPTH:
        raise OutOfBounds(f"nested more than {DEPTH} deep")
    return json.loads(data.decode("utf-8"), parse_int=_number, object_pairs_hook=_object)


def printable(text: str, most: int = TEXT) -> str:
    """The text in one line of at most ``most`` characters, those that are not printable as escapes like ``\\x1b``.

    Control characters, surrogates, and the marks that change the direction of writing are not printable.
    """
    words = " ".join(text[: 4 * most].split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1] + "…"


def shown(value: Any, most: int = 60) -> str:
    """A value from outside as an error message names it."""
    return printable(repr(value), most)


STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
NOT_BRACKETS = bytes(set(range(256)) - STEPS.keys())


def _depth(data: bytes) -> int:
    """How deep lists and objects are nested; never less than a parser meets before its first error."""
    unescaped = data.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    brackets = outside_strings.translate(None, NOT_BRACKETS)
    return max(accumulate(map(STEPS.__getitem__, brackets)), default=0)


def _number(digits: str) -> float:
    return int(digits) if len(digits) < 19 else float(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        (twice, _), *_ = (Counter(name for name, _ in pairs)).most_common(1)
        raise OutOfBounds(f"an object that gives the name {shown(twice)} twice")
    return names
