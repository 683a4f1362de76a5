"""From the bytes of a CSV file to numbers, with every complaint naming file, line and column.

The rules, in order: gzip is undone; UTF-8 with or without a byte-order mark; any line end; blank lines
and lines beginning with ``#`` are skipped; the delimiter is found once, from the first two lines; the
first line is a header if it has a cell that is text; every line has as many cells as the first.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._run.borders import shortened
from ._columns import _called, choose, default_names, first_repeated

GZIP_MAGIC = b"\x1f\x8b"
DELIMITERS = (";", "\t", ",", " ")  # in order of preference: a comma may be part of "1,5; 2,5"
#: A gzip file of n bytes may unpack to 100 n bytes and 16 MiB more: tables of numbers come to a tenth of that.
MOST_UNPACKED, UNPACKED_ANYWAY = 100, 2**24
MOST_COLUMNS = 100_000
MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?", "."})


class Row(NamedTuple):
    """The cells of one line, and the number of the line in the file, from 1."""

    line: int
    cells: list[str]


def parse(data: bytes, file: str, columns: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and ``(n, d)`` float64 values of the chosen (or all) columns; ValueError says what is wrong."""
    rows = _rows(_decode(data, file), file)
    if not rows:
        raise ValueError(f"{file} is empty: expected rows of numbers")
    names, body = _split_header(rows, file)
    if not body:
        raise ValueError(f"{file} holds a header and nothing else: expected rows of numbers below line 1")
    at = _chosen(columns, names, file, rows[0].line)
    for row in body:
        if len(row.cells) != len(names):
            raise ValueError(f"{file}, line {row.line}: expected {len(names)} cells, got {len(row.cells)}")
    values = [[_number(row, j, names, file) for j in at] for row in body]
    return tuple(names[j] for j in at), np.array(values, dtype=np.float64)  # (n, d)


def is_header(cells: Sequence[str]) -> bool:
    """Whether a first line names the columns: some cell is neither a number nor a mark for a missing one."""
    return any(_float(cell) is None and cell.strip().lower() not in MISSING for cell in cells)


def _decode(data: bytes, file: str) -> str:
    if data.startswith(GZIP_MAGIC):
        try:
            data = _unpacked(data, file)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{file} is a damaged gzip file: {error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{file}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8 text") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{file}, line {line}: a zero byte, so this is not a text file")
    return text


def _unpacked(data: bytes, file: str) -> bytes:
    """What a gzip file holds, unless that is so much more than the file that it can hardly be a table."""
    most = MOST_UNPACKED * len(data) + UNPACKED_ANYWAY
    with gzip.open(io.BytesIO(data)) as stream:
        unpacked = stream.read(most + 1)
    if len(unpacked) > most:
        raise ValueError(
            f"{file} is a gzip file of {len(data):,} bytes that unpacks to more than {most:,}: "
            "if it is yours, unpack it first (gunzip) and read what comes out"
        )
    return unpacked


def _rows(text: str, file: str) -> list[Row]:
    numbered = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    lines = [(i, line) for i, line in numbered if line.strip() and not line.lstrip().startswith("#")]
    delimiter = _delimiter([line for _, line in lines[:2]])
    rows = []
    for i, line in lines:
        if _too_many(line, delimiter):
            raise ValueError(
                f"{file}, line {i}: expected at most {MOST_COLUMNS:,} cells, got more: "
                "if rows and columns are exchanged, turn the table around"
            )
        try:
            rows.append(Row(i, _cells(line, delimiter)))
        except csv.Error as error:
            raise ValueError(f"{file}, line {i}: cannot cut {_short(line)} into cells ({error})") from error
    return rows


def _delimiter(first_lines: list[str]) -> str:
    """The first delimiter that cuts both lines into the same number of cells, more than one.

    Failing that, the first that cuts the last of them (its raggedness is reported later); failing that,
    there is one column, and the comma stands for "none".
    """
    counts = {delimiter: [_count(line, delimiter) for line in first_lines] for delimiter in DELIMITERS}
    agreeing = [delimiter for delimiter, n in counts.items() if n and min(n) == max(n) > 1]
    cutting = [delimiter for delimiter, n in counts.items() if n and n[-1] > 1]
    return (agreeing + cutting + [","])[0]


def _count(line: str, delimiter: str) -> int:
    if _too_many(line, delimiter):
        return MOST_COLUMNS + 1
    try:
        return len(_cells(line, delimiter))
    except csv.Error:
        return 0


def _too_many(line: str, delimiter: str) -> bool:
    """Whether a line has more cells than are read: found without cutting it up."""
    if delimiter == " ":
        return len(line.split(None, MOST_COLUMNS)) > MOST_COLUMNS
    return line.count(delimiter) >= MOST_COLUMNS


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":  # any run of blanks is one
        line = line.replace("\t", " ").strip()
    reader = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
    return [cell.strip() for cell in next(reader)]


def _split_header(rows: list[Row], file: str) -> tuple[tuple[str, ...], list[Row]]:
    first = rows[0]
    if not is_header(first.cells):
        return default_names(len(first.cells)), rows
    names = tuple(" ".join(cell.split()) for cell in first.cells)
    where = f"{file}, line {first.line}"
    twice = first_repeated(
        [name or (j,) for j, name in enumerate(names)]
    )  # the nameless differ by their places
    if twice is not None:
        before, again = twice
        raise ValueError(
            f"{where}: columns {before + 1} and {again + 1} are both called {_short(names[again])}"
        )
    for j, name in enumerate(names):
        if not name.isprintable():
            raise ValueError(f"{where}: column {j + 1} has an unprintable name, {_short(name)}")
    return names, rows[1:]


def _chosen(columns: Any, names: tuple[str, ...], file: str, line: int) -> tuple[int, ...]:
    """The positions to read; a nameless column (such as a row index) can only be left out."""
    try:
        at = tuple(range(len(names))) if columns is None else choose(columns, names)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    for j in at:
        if not names[j]:
            raise ValueError(f"{file}, line {line}: column {j + 1} has no name; choose columns that have one")
    return at


def _number(row: Row, j: int, names: tuple[str, ...], file: str) -> float:
    cell = row.cells[j]
    number = _float(cell)
    if number is not None and math.isfinite(number):
        return number
    if cell.lower() in MISSING:
        problem = f"missing value {cell!r}" if cell else "missing value (empty cell)"
    elif number is not None:
        problem = f"{_short(cell)} is not a finite float64 number"
    else:
        problem = f"{_short(cell)} is not a number"
    raise ValueError(f"{file}, line {row.line}, column {_called(names, j)}: {problem}")


def _float(cell: str) -> Any:
    """The number a cell spells, or None; Python's digit grouping (``1_000``) is not a number in a file."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _short(text: str) -> str:
    return repr(shortened(text, 40))
