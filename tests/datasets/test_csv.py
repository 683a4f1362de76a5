"""Reading CSV: many spellings of one table; of a bad file the error names file, line and column."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from npscore.datasets import Table, read_csv
from npscore.datasets._columns import as_columns, choose
from npscore.datasets._csv import is_header


@pytest.fixture
def write(tmp_path):
    """Write bytes or text to ``data.csv`` and give its path."""

    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write


# What is read


AS_EXPECTED = Table(("a", "b"), [[1.0, -2.5], [3e-3, 4.0]])

SAME_TABLE = {
    "plain": "a,b\n1,-2.5\n3e-3,4\n",
    "no last line end": "a,b\n1,-2.5\n3e-3,4",
    "CRLF": "a,b\r\n1,-2.5\r\n3e-3,4\r\n",
    "CR": "a,b\r1,-2.5\r3e-3,4\r",
    "byte-order mark": b"\xef\xbb\xbfa,b\n1,-2.5\n3e-3,4\n",
    "quotes": '"a","b"\n"1","-2.5"\n"3e-3",4\n',
    "spaces": " a , b \n 1 , -2.5\n3e-3,\t4 \n",
    "space before a quote": 'a, "b"\n1, "-2.5"\n3e-3, "4"\n',
    "blank lines": "\n\na,b\n\n1,-2.5\n   \n3e-3,4\n\n",
    "comments": "# by hand\na,b\n  # more\n1,-2.5\n3e-3,4\n#end",
    "semicolons": "a;b\n1;-2.5\n3e-3;4\n",
    "tabs": "a\tb\n1\t-2.5\n3e-3\t4\n",
    "blanks": "a b\n1 -2.5\n3e-3 4\n",
    "aligned blanks": "  a       b\n  1    -2.5 \n3e-3\t 4\n",
    "gzip": gzip.compress(b"a,b\n1,-2.5\n3e-3,4\n"),
    "plus signs": "a,b\n+1,-2.5\n+3e-3,+4.0E0\n",
}


@pytest.mark.parametrize("kind", SAME_TABLE)
def test_many_spellings_of_one_table(write, kind):
    table = read_csv(write(SAME_TABLE[kind]))
    assert table.columns == AS_EXPECTED.columns
    assert np.array_equal(table.values, AS_EXPECTED.values)


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("1,2\n3,4\n", ("x1", "x2"), [[1, 2], [3, 4]]),
        ("1\n2\n", ("x1",), [[1], [2]]),
        ("7", ("x1",), [[7]]),
        ("waiting\n79\n54\n", ("waiting",), [[79], [54]]),
        ("waiting time (min)\n79\n54\n", ("waiting time (min)",), [[79], [54]]),
        ("waiting time,n\n79,1\n", ("waiting time", "n"), [[79, 1]]),
        ("1 2 3\n4 5 6\n", ("x1", "x2", "x3"), [[1, 2, 3], [4, 5, 6]]),
        ('"a;b",c\n1,2\n', ("a;b", "c"), [[1, 2]]),
        ('"a,b";c\n1;2\n', ("a,b", "c"), [[1, 2]]),
        ('"say ""hi""",c\n1,2\n', ('say "hi"', "c"), [[1, 2]]),
        ("größe,Δt\n1,2\n", ("größe", "Δt"), [[1, 2]]),
        ("2020,b\n1,2\n", ("2020", "b"), [[1, 2]]),
    ],
)
def test_headers_and_delimiters(write, text, columns, values):
    table = read_csv(write(text))
    assert table.columns == columns
    assert np.array_equal(table.values, values)


def test_chosen_columns_leave_the_rest_unread(write):
    path = write(",name,a,b\n1,Ann,2.5,NA\n2,Bo,3.5,\n")  # a row index, as other tools write it
    for choice in ("a", ("a",), 3, "3"):
        table = read_csv(path, choice)
        assert table.columns == ("a",) and np.array_equal(table.values, [[2.5], [3.5]])
    semicolons = write("last, first;b\nLee, Ann;2\nRay, Bo;3\n", "semicolons.csv")  # not the comma
    assert np.array_equal(read_csv(semicolons, "b").values, [[2], [3]])
    headless = write("1,2\n3,4\n", "headless.csv")
    for choice in (("x2", "x1"), ("2", "1"), (2, 1)):
        table = read_csv(headless, choice)
        assert table.columns == ("x2", "x1") and np.array_equal(table.values, [[2, 1], [4, 3]])


def test_is_header():
    assert is_header(["a"]) and is_header(["1", "b"]) and is_header(["", "b"]) and is_header(["1_000"])
    assert not any(is_header([cell]) for cell in ("1", "-1e5", "nan", "inf", "NA", "", " 2 ", "?"))


# What is refused


WIDE = 100_001
BAD_FILES = {
    "empty": ("", (" is empty",)),
    "blank": ("\n  \n# nothing\n", (" is empty",)),
    "header only": ("a,b\n", (" holds a header and nothing else",)),
    "text cell": ("a,b\n1,2\n3,four\n", (", line 3, column 'b': 'four' is not a number",)),
    "line counts blanks": ("a,b\n\n# c\n1,2\n\n3,four\n", (", line 6, column 'b'",)),
    "line counts CRLF once": ("a,b\r\n1,2\r\n3,four\r\n", (", line 3, column 'b'",)),
    "no header": ("1,2\n3,x\n", (", line 2, column 'x2': 'x' is not a number",)),
    "empty cell": ("a,b\n1,2\n3,\n", (", line 3, column 'b': missing value (empty cell)",)),
    "NA": ("a,b\n1,2\nNA,4\n", (", line 3, column 'a': missing value 'NA'",)),
    "NA in the first line": ("1,NA\n3,4\n", (", line 1, column 'x2': missing value 'NA'",)),
    "nan": ("a,b\n1,nan\n", (", line 2, column 'b': missing value 'nan'",)),
    "infinite": ("a,b\n1,2\n-inf,2\n", (", line 3, column 'a': '-inf' is not a finite",)),
    "too large": ("a,b\n1,1e999\n", (", line 2, column 'b': '1e999' is not a finite",)),
    "grouped digits": ("a,b\n1,1_000\n", (", line 2, column 'b': '1_000' is not a number",)),
    "decimal comma": ("a;b\n1;2,5\n", (", line 2, column 'b': '2,5' is not a number",)),
    "hexadecimal": ("a,b\n1,0x10\n", (", line 2, column 'b': '0x10' is not a number",)),
    "long cell": ("a\n1\n" + "y" * 500, (", line 3, column 'a': 'yyyy", "...' is not a number")),
    "short row": ("a,b\n1,2\n3\n", (", line 3: expected 2 cells, got 1",)),
    "long row": ("a,b\n1,2\n3,4,5\n", (", line 3: expected 2 cells, got 3",)),
    "short header": ("a,b\n1,2,3\n4,5,6\n", (", line 2: expected 2 cells, got 3",)),
    "short header, semicolons": ("a;b\n1;2;3\n4;5;6\n", (", line 2: expected 2 cells, got 3",)),
    "short header, blanks": ("a b\n1 2 3\n4 5 6\n", (", line 2: expected 2 cells, got 3",)),
    "trailing delimiter": ("1,2,\n3,4,\n", (", line 1, column 'x3': missing value (empty cell)",)),
    "same name twice": ("a,b,a\n1,2,3\n", (", line 1: columns 1 and 3 are both called 'a'",)),
    "nameless": (",a\n1,2\n", (", line 1: column 1 has no name",)),
    "unprintable name": ("a,b\x07\n1,2\n", (", line 1: column 2 has an unprintable name",)),
    "open quote": ('a,b\n1,"2\n3,4\n', (", line 2: cannot cut", "'1,\"2' into cells")),
    "latin-1": ("a,b\n1,2\ngröße,2\n".encode("latin-1"), (", line 3: byte 0xf6 is not UTF-8",)),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), (", line 1: byte 0x", "is not UTF-8")),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", (", line 1: byte 0x89 is not UTF-8",)),
    "zero bytes": (b"a,b\n1,2\n\0\0\0\0", (", line 3: a zero byte",)),
    "truncated gzip": (gzip.compress(b"a,b\n1,2\n" * 50)[:-9], (" is a damaged gzip file",)),
    "corrupt gzip": (b"\x1f\x8b" + bytes(40), (" is a damaged gzip file",)),
    "gzip bomb": (
        gzip.compress(b"1,2\n" * 5_000_000),
        (" is a gzip file of ", " bytes that unpacks to more than 18,", "unpack it first (gunzip)"),
    ),
    "too many cells": (b"1," * WIDE, (", line 1: expected at most 100,000 cells, got more: if rows and",)),
    "too many blank cells": (b"1 " * WIDE, (", line 1: expected at most 100,000 cells, got more",)),
    "too many cells below": (
        b"a,b\n1,2\n" + b"," * WIDE,
        (", line 3: expected at most 100,000 cells, got more",),
    ),
    "a line of one cell": (
        b"1" * 10**6,
        (
            ", line 1: cannot cut '1111",
            "field larger than field limit",
        ),
    ),
    "a long name twice": (
        "n" * 500 + ",a," + "n" * 500 + "\n1,2,3\n",
        (", line 1: columns 1 and 3 are both called 'nnnn",),
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_are_one_line_with_file_line_and_column(write, kind):
    content, expected = BAD_FILES[kind]
    path = write(content)
    with pytest.raises(ValueError) as caught:
        read_csv(path)
    message = str(caught.value)
    assert message.startswith(str(path) + expected[0])
    assert all(part in message for part in expected) and "\n" not in message


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("c", "columns must be among a, b or a position 1 to 3, got 'c'"),
        ((4,), "got 4"),
        (("a", "2"), "columns must be different columns, got 'a' more than once"),
        ((1,), "line 1: column 1 has no name"),
    ],
)
def test_bad_choices_name_the_file(write, choice, words):
    path = write(",a,b\n1,2,3\n")
    with pytest.raises(ValueError) as caught:
        read_csv(path, choice)
    assert str(caught.value).startswith(str(path)) and words in str(caught.value)


def test_many_columns_cost_each_as_much_as_one(write):
    """By counting: no name, cell or choice is compared with all the others."""
    compared = []

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            compared.append(1)
            return str.__eq__(self, other)

    names = tuple(Name(f"c{j}") for j in range(500))
    assert choose(names[::-1], names) == tuple(range(499, -1, -1))
    assert as_columns(names, 500) == names
    with pytest.raises(ValueError, match="'c499' more than once"):
        choose((*names, Name("c499")), names)
    assert len(compared) < 10 * 500  # all with all would be 125,000 and more
    header = ",".join(names)
    assert read_csv(write(f"{header}\n{','.join('1' * 500)}\n"), names[:2]).columns == ("c0", "c1")


@pytest.mark.parametrize(
    "choice", [{"a"}, frozenset("ab"), np.timedelta64(1, "D"), [np.timedelta64(1, "s")], [True], 10**400]
)
def test_what_chooses_no_column_in_order_is_named(write, choice):
    with pytest.raises((TypeError, ValueError), match="columns must be ") as caught:
        read_csv(write("a,b\n1,2\n"), choice)
    assert len(str(caught.value)) < 300


def test_files_that_cannot_be_opened_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.csv"):
        read_csv(tmp_path / "absent.csv")
    with pytest.raises(OSError, match=tmp_path.name):
        read_csv(tmp_path)
    for path in (7, None, b"data.csv", 1.5):
        with pytest.raises(TypeError, match="path must be a file name"):
            read_csv(path)
    for path in ("", "a\0b"):
        with pytest.raises(ValueError, match="path must be a file name"):
            read_csv(path)
