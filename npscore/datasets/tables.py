"""Tables of numbers with named columns, in memory and as CSV."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np

from .._run.atomic import PathLike, as_path, atomic_write
from .._run.borders import as_batch, as_count
from .._run.scale import as_float64
from ._columns import as_columns, choose
from ._csv import is_header, parse

Array = np.ndarray
Choice = Union[str, int, Sequence[Union[str, int]]]
MOST_DIGITS = 767  # no float64 has more significant digits


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of finite numbers: ``values`` is ``(n, d)`` float64, read-only, rows are samples.

    ``columns`` are ``d`` different one-line names. Raises TypeError or ValueError otherwise.
    """

    columns: tuple[str, ...]
    values: Array  # (n, d)

    def __post_init__(self) -> None:
        values = as_float64(as_batch(self.values, "values"), "values").copy()  # (n, d)
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "columns", as_columns(self.columns, values.shape[1]))

    def select(self, columns: Choice) -> Table:
        """The table of some columns, by name or 1-based position, in the order asked for."""
        at = choose(columns, self.columns)
        return Table(tuple(self.columns[j] for j in at), self.values[:, list(at)])


def read_csv(path: PathLike, columns: Optional[Choice] = None) -> Table:
    """The numeric columns of a CSV file, or of those ``columns`` that are asked for.

    The file may begin with a header or not: the first line is one if some cell in it is text. Without
    one the columns are called ``x1, x2, …``. Cells are separated by semicolons, tabs, commas or blanks,
    whichever cuts the first two lines alike; cells may be quoted; blank lines and lines that begin with
    ``#`` are skipped; the text is UTF-8, gzip-compressed or not. The decimal mark is a point.

    ``columns`` names the wanted columns in the wanted order, each by its name in the header or by its
    position, counted from 1, as a number or as digits: ``("waiting",)``, ``(2,)``, ``("2", "1")``.
    Columns not asked for may hold anything. With None every column must be numeric and named.

    Raises ValueError, naming file, line and column, for: an empty file, a header alone, a cell that is
    missing, not finite or not a number, lines of different length, a repeated or empty name, an unknown
    column, bytes that are no UTF-8 text, a damaged gzip file. OSError where the file cannot be opened.
    """
    file = as_path(path)
    with open(file, "rb") as stream:
        data = stream.read()
    return Table(*parse(data, file, columns))


def write_csv(path: PathLike, table: Table, *, digits: Optional[int] = None) -> None:
    """Write a table as comma-separated UTF-8 with a header, all at once or not at all.

    By default every number is written in full, so that ``read_csv`` gives back the same bits; ``digits``
    rounds to that many significant ones. A name ending in ``.gz`` is compressed.

    Raises ValueError where no column name could be told from a number, since the header would be read
    back as data; OSError where the file cannot be written (what was there before is then untouched).
    """
    file = as_path(path)
    if not isinstance(table, Table):
        raise TypeError(f"table must be a Table, got {type(table).__name__}")
    if not is_header(table.columns):
        raise ValueError(f"columns must include a name that is not a number, got {table.columns!r}")
    cell = repr if digits is None else f"{{:.{min(as_count(digits, 'digits'), MOST_DIGITS)}g}}".format
    lines = [_header(table.columns)]
    lines += [",".join(map(cell, row)) for row in table.values.tolist()]
    data = ("\n".join(lines) + "\n").encode("utf-8")
    with atomic_write(file) as stream:
        stream.write(gzip.compress(data, mtime=0) if file.endswith(".gz") else data)


def _header(columns: Sequence[str]) -> str:
    """The names as one CSV line, quoted where they need it (a leading # would make it a comment)."""
    line = io.StringIO()
    quoting = csv.QUOTE_ALL if columns[0].startswith("#") else csv.QUOTE_MINIMAL
    csv.writer(line, quoting=quoting, lineterminator="").writerow(columns)
    return line.getvalue()
