"""Tables in memory and as written: what is chosen, what is refused, and that bits come back as they went."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npscore.datasets import Table, read_csv, write_csv
from npscore.datasets._csv import is_header

names = st.text(min_size=1, max_size=12).map(lambda text: " ".join(text.split()))
name_lists = st.lists(
    names.filter(lambda text: text and text.isprintable()), min_size=1, max_size=4, unique=True
)
tame_doubles = st.floats(allow_nan=False, allow_infinity=False, width=64)

TABLE = Table(("a", "b"), [[1.0, -2.5], [3e-3, 4.0]])

# Tables


def test_table_is_a_read_only_copy():
    source = np.arange(6.0).reshape(3, 2)
    table = Table(["a", "b"], source)
    source[0, 0] = 9.0
    assert table.columns == ("a", "b") and table.values[0, 0] == 0.0 and table.values.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 1.0


@pytest.mark.parametrize("choice", [("c", "a"), (3, 1), ("3", "1"), ["c", 1], np.array([3, 1])])
def test_select_by_name_or_position_in_the_order_asked(choice):
    table = Table(("a", "b", "c"), np.arange(6.0).reshape(2, 3))
    chosen = table.select(choice)
    assert chosen.columns == ("c", "a")
    assert np.array_equal(chosen.values, table.values[:, [2, 0]])
    assert table.select("b").columns == table.select(2).columns == ("b",)


def test_a_name_made_of_digits_wins_over_the_position():
    table = Table(("2", "x"), [[1.0, 5.0]])
    assert table.select("2").columns == ("2",)
    assert table.select(2).columns == ("x",)


@pytest.mark.parametrize(
    ("choice", "error", "words"),
    [
        ("z", ValueError, "columns must be among a, b or a position 1 to 2, got 'z'"),
        (0, ValueError, "position 1 to 2, got 0"),
        (3, ValueError, "position 1 to 2, got 3"),
        (-1, ValueError, "position 1 to 2, got -1"),
        ("", ValueError, "got ''"),
        ((), ValueError, "at least one of a, b, got none"),
        (("a", 1), ValueError, "'a' more than once"),
        (True, TypeError, "bool True"),
        (1.0, TypeError, "float 1.0"),
        ((b"a",), TypeError, "bytes b'a'"),
        ({"a"}, TypeError, "set {'a'}"),
        (None, TypeError, "NoneType None"),
    ],
)
def test_bad_choices(choice, error, words):
    with pytest.raises(error) as caught:
        Table(("a", "b"), [[1.0, 2.0]]).select(choice)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "values", "error", "words"),
    [
        (("a",), [[1.0, 2.0]], ValueError, "columns must be 2 "),
        (("a", "a"), [[1.0, 2.0]], ValueError, "'a' more than once"),
        (("a", ""), [[1.0, 2.0]], ValueError, "got ''"),
        (("a", " b"), [[1.0, 2.0]], ValueError, "got ' b'"),
        (("a", "b  c"), [[1.0, 2.0]], ValueError, "got 'b  c'"),
        (("a", "b\nc"), [[1.0, 2.0]], ValueError, "got 'b\\nc'"),
        (("a", "b\0"), [[1.0, 2.0]], ValueError, "got 'b\\x00'"),
        ("ab", [[1.0, 2.0]], TypeError, "str 'ab'"),
        ((1, 2), [[1.0, 2.0]], TypeError, "tuple (1, 2)"),
        (7, [[1.0, 2.0]], TypeError, "int 7"),
        (("a", "b"), [1.0, 2.0], ValueError, "values must have shape (n, d)"),
        (("a", "b"), [[1.0, np.nan]], ValueError, "values must be finite, got nan"),
        (("a", "b"), np.empty((0, 2)), ValueError, "at least one row"),
        (("a", "b"), [["1", "2"]], TypeError, "values must hold real numbers"),
    ],
)
def test_bad_tables(columns, values, error, words):
    with pytest.raises(error) as caught:
        Table(columns, values)
    assert words in str(caught.value)


# What is written


@given(columns=name_lists, data=st.data())
def test_written_bits_are_read_back(tmp_path_factory, columns, data):
    n = data.draw(st.integers(1, 4))
    values = data.draw(
        st.lists(st.lists(tame_doubles, min_size=len(columns), max_size=len(columns)), min_size=n)
    )
    table = Table(columns, values)
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    if not is_header(table.columns):
        with pytest.raises(ValueError, match="a name that is not a number"):
            write_csv(path, table)
        return
    write_csv(path, table)
    again = read_csv(path)
    assert again.columns == table.columns
    assert again.values.tobytes() == table.values.tobytes()


@pytest.mark.parametrize(
    "columns", [("#a", "b"), ("b", "#a"), ("a,b", "c"), ('"', "a b"), ("a;b", "c;d"), ("a b", "c d")]
)
def test_awkward_names_come_back(tmp_path, columns):
    table = Table(columns, [[0.1, -0.0], [5e-324, 1.7976931348623157e308]])
    write_csv(tmp_path / "t.csv", table)
    again = read_csv(tmp_path / "t.csv")
    assert again.columns == columns and again.values.tobytes() == table.values.tobytes()
    alone = table.select(1)
    write_csv(tmp_path / "t.csv", alone)
    assert read_csv(tmp_path / "t.csv").columns == columns[:1]


def test_the_text_that_is_written(tmp_path):
    table = Table(("a", "b"), [[1 / 3, 2.0], [-1e-300, 123456.789]])
    path = tmp_path / "t.csv"
    write_csv(path, table)
    assert path.read_bytes() == b"a,b\n0.3333333333333333,2.0\n-1e-300,123456.789\n"
    write_csv(str(path), table, digits=3)
    assert path.read_bytes() == b"a,b\n0.333,2\n-1e-300,1.23e+05\n"
    write_csv(tmp_path / "t.csv.gz", table, digits=3)
    assert gzip.decompress((tmp_path / "t.csv.gz").read_bytes()) == path.read_bytes()


@pytest.mark.parametrize("digits", [17, 767, 10**6, 2**31, 2**62])
def test_more_digits_than_there_are_lose_nothing(tmp_path, digits):
    values = np.array([[5e-324, 0.1], [1.7976931348623157e308, -1 / 3]])
    write_csv(tmp_path / "t.csv", Table(("a", "b"), values), digits=digits)
    assert np.array_equal(read_csv(tmp_path / "t.csv").values, values)


@pytest.mark.parametrize(
    ("table", "digits", "error", "words"),
    [
        (np.ones((2, 2)), None, TypeError, "table must be a Table, got ndarray"),
        (TABLE, 0, ValueError, "digits must be a whole number >= 1, got 0"),
        (TABLE, 2.5, TypeError, "digits must be a whole number"),
        (Table(("1", "NA"), [[1.0, 2.0]]), None, ValueError, "got ('1', 'NA')"),
    ],
)
def test_bad_writes_leave_no_file(tmp_path, table, digits, error, words):
    with pytest.raises(error) as caught:
        write_csv(tmp_path / "t.csv", table, digits=digits)
    assert words in str(caught.value) and os.listdir(tmp_path) == []
