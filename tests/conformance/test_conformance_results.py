"""Files of results that are damaged, huge or hostile: no traceback, no case silently lost, bounded memory."""

import json
import tracemalloc

import numpy as np
import pytest
from support.conformance_plans import CASES, IDS, conform, right

from npscore.conformance import untrusted
from npscore.conformance.offline import read_results
from npscore.conformance.untrusted import (
    DEPTH,
    FILE_BYTES,
    LINE_BYTES,
    MARKS,
    TEXT,
    OutOfBounds,
    parse,
    printable,
)

ASKED = ("--cases", ",".join(IDS))
LINES = b"".join(json.dumps(right(case)).encode() + b"\n" for case in CASES)
ANSWERS = {case.id: right(case)["answer"] for case in CASES}
DOCUMENT = json.dumps({"format": "npscore-results", "dtype": "float64", "answers": ANSWERS}).encode()


@pytest.fixture
def graded(tmp_path, capsys):
    """A function from the bytes of a file of results to the exit code and what was said."""

    def grade(data, *arguments):
        path = tmp_path / "results"
        path.write_bytes(data)
        code = conform("grade", path, *ASKED, *arguments)
        said = capsys.readouterr()
        assert all(c.isprintable() or c == "\n" for c in said.out + said.err), said
        assert len(said.out) + len(said.err) < 20_000
        return code, said

    return grade


@pytest.mark.parametrize("data", [LINES, DOCUMENT], ids=["lines", "document"])
def test_whole_files_pass(data, graded):
    assert graded(data)[0] == 0
    assert graded(b"\xef\xbb\xbf" + data)[0] == 0  # a byte order mark, as some editors write it


@pytest.mark.parametrize("data", [LINES, DOCUMENT], ids=["lines", "document"])
def test_no_change_of_a_byte_loses_a_case(data, graded):
    """Exit code 0 only where all six cases are still graded and right."""
    rng = np.random.default_rng(21)
    codes = []
    for place in rng.integers(len(data), size=60):
        byte = bytes([rng.choice([*b'{}[]",:\\\n\x00\xff0a', *rng.integers(256, size=4)])])
        code, said = graded(data[:place] + byte + data[place + 1 :], "--format", "json")
        codes.append(code)
        if code == 0:
            assert json.loads(said.out)["summary"].startswith("6 of 6 cases pass")
    assert {1, 2} <= set(codes)


@pytest.mark.parametrize("data", [LINES, DOCUMENT], ids=["lines", "document"])
def test_no_cut_inside_a_result_loses_a_case(data, graded):
    for share in (0.01, 0.3, 0.5, 0.77, 0.999):
        assert graded(data[: int(share * len(data))])[0] == 2


def test_damaged_lines_are_said_and_the_rest_is_graded(graded):
    first, second, *rest = LINES.splitlines(keepends=True)
    for damaged in (
        first[:-9] + b"\n",
        b"\x00" + first[1:],
        first.replace(b'"result"', b'"resulu"'),
        b"[" + first,
    ):
        code, said = graded(damaged + second + b"".join(rest))
        assert code == 2 and "5/5 pass" in said.out
        assert "1 lines look like replies that cannot be read, and 1 cases have no result" in said.err
    code, said = graded(
        b"loading weights\n" + b"".join(rest)
    )  # words of the program, and cases it was not asked
    assert code == 0 and "1 lines" in said.err
    code, said = graded(first[:-9] + b"\n" + LINES)  # damaged, and then written again
    assert code == 0 and "1 lines" in said.err


def document(answers=None, **parts):
    return json.dumps({"answers": ANSWERS if answers is None else answers} | parts).encode()


ID = json.dumps(IDS[0]).encode()
#: A file that cannot be graded -> words of the one error.
REFUSED = {
    "two results": (LINES + LINES.splitlines()[0], "two for dsm-0001"),
    "a name twice": (b'{"answers": {%s: {"loss": 1}, %s: {"loss": 2}}}' % (ID, ID), "gives the name 'dsm-0001' twice"),
    "800 deep": (b'{"answers": {%s: %s1%s}}' % (ID, b"[" * 800, b"]" * 800), "nested more than 32 deep"),
    "a million deep": (b"[" * 10**6, "nested more than 32 deep"),
    "many values": (b'{"answers": [%s0]}' % (b"0," * MARKS), "more than 1,048,576 quotes, commas and brackets"),
    "too large": (b" " * (FILE_BYTES + 1), "at most 33,554,432 bytes"),
    "nothing": (b"", "got neither"),
    "no text": (bytes(range(256)) * 9, "got neither"),
    "another format": (document(format="\x1b[2J"), r"got '\x1b[2J'"),
    "another type": (document(dtype=["float64"] * 10**4), "['float64', "),
    "answers in a list": (document(answers=[1]), "must be an object of answers by id, got list"),
    "an id of escapes": (document(answers={"\x1b[2J\u202e" + "x" * 10**6: {}}), r"got id '\x1b[2J\u202exxx"),
    "a surrogate": (b'{"answers": {"\\ud800": {}}}', r"got id '\ud800'"),
    "an id that is a list": (b'{"type": "result", "id": ["dsm"]}', "got id ['dsm']"),
    "an id too few": (b'{"type": "result", "answer": {}}', "got id None"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_cannot_be_graded(name, graded):
    data, words = REFUSED[name]
    code, said = graded(data)
    assert code == 2 and said.out == "" and said.err.count("\n") == 1 and len(said.err) < 1000
    assert words in said.err


#: The answer to one case in a document -> words of its error.
ANSWERS_REFUSED = {
    "no object": ([1.0], "the answer is no object"),
    "a number and a reason": ({"loss": 1.0, "skipped": "no"}, "numbers and a reason"),
    "a reason of escapes": ({"error": "\x1b]0;title\x07" * 1000}, r"\x1b]0;title\x07"),
    "a reason that is a list": ({"error": ["a"] * 1000}, "['a', 'a'"),
    "a name": ({"\x00" * 1000: 1}, r"\x00"),
    "rows of two lengths": ({"score": [[1.0], [1.0, 2.0]]}, "score must be an array"),
    "a hole": ({"per_sample": [None] * 5}, "per_sample must be an array"),
}


@pytest.mark.parametrize("name", ANSWERS_REFUSED)
def test_answers_that_are_none_are_errors_of_their_case(name, graded):
    answer, words = ANSWERS_REFUSED[name]
    code, said = graded(document({**ANSWERS, IDS[0]: answer}), "--format", "json")
    cases = {case["id"]: case for case in json.loads(said.out)["cases"]}
    assert code == 1 and cases[IDS[0]]["status"] == "errored" and words in cases[IDS[0]]["reason"]
    assert all(cases[id]["passed"] for id in IDS[1:])


@pytest.mark.parametrize("value", ["1" + "0" * 400, "1e999", "-Infinity", "NaN", '"nan"', "7" * 10**5])
def test_numbers_beyond_every_range_are_wrong_numbers(value, graded):
    code, said = graded(b'{"answers": {%s: {"loss": %s}}}' % (ID, value.encode()))
    assert code == 1 and "0/1 pass" in said.out


def test_a_file_without_end_is_read_as_far_as_its_bound(capsys):
    assert conform("grade", "/dev/zero", *ASKED) == 2
    assert "at most 33,554,432 bytes, /dev/zero is larger" in capsys.readouterr().err


@pytest.mark.parametrize("piece", ["[],", '{"":0},', "1.5,", '"\U0001f600",', '{"":{}},', "{}\n", "\n"])
def test_a_hostile_file_takes_bounded_memory(piece, tmp_path):
    """As large as a file may be, and as many marks as there may be."""
    piece = piece.encode()
    marks = sum(map(piece.count, b'",[]{}')) or 1
    for count in (FILE_BYTES // len(piece) - 10, MARKS // marks - 10):
        (tmp_path / "large").write_bytes(b'{"answers": [' + piece * count + b"0]}")
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=r"got neither|got list|at most"):
                read_results(tmp_path / "large", CASES, "float64")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6 * FILE_BYTES


# ---- the bounds themselves -------------------------------------------------------------------------------


def nested(depth):
    return b'{"a":' * (depth - 1) + b"[1]" + b"}" * (depth - 1)


def test_the_bounds_divide_what_is_read_from_what_is_not():
    assert parse(nested(DEPTH))
    with pytest.raises(OutOfBounds, match="deep"):
        parse(nested(DEPTH + 1))
    assert len(parse(b'"' + b"x" * (LINE_BYTES - 2) + b'"')) == LINE_BYTES - 2
    with pytest.raises(OutOfBounds, match="longer"):
        parse(b'"' + b"x" * (LINE_BYTES - 1) + b'"')
    assert len(parse(b"[" + b"0," * (MARKS // 2) + b"0]", FILE_BYTES)) == MARKS // 2 + 1
    with pytest.raises(OutOfBounds, match="commas"):
        parse(b"[" + b"0," * MARKS + b"0]", FILE_BYTES)


@pytest.mark.parametrize(
    "text", ['{"a": "[[[[["}', r'{"\\": "\\\"]]]", "b": ["\\"]}', '"\\\\"', "[]", " 1 ", '""']
)
def test_what_python_reads_is_read_the_same(text):
    data = text.encode()
    assert parse(data) == json.loads(data)
    assert untrusted._depth(data) == depth(json.loads(data))


def depth(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, (dict, list)) + max(map(depth, inside), default=0)


def test_the_depth_is_that_of_random_values_with_any_strings():
    rng = np.random.default_rng(3)

    def value(left):
        kind = rng.integers(4) if left else 0
        text = "".join(rng.choice(list('[]{}",:\\ax\n'), size=rng.integers(6)))
        if kind == 1:
            return [value(left - 1) for _ in range(rng.integers(4))]
        return {text: value(left - 1)} if kind == 2 else text

    for _ in range(300):
        made = value(6)
        assert untrusted._depth(json.dumps(made).encode()) == depth(made)


def test_integers_are_exact_up_to_18_characters_and_floats_beyond():
    assert parse(b"[9007199254740993, -12345678901234567]") == [9007199254740993, -12345678901234567]
    assert parse(b"12345678901234567890") == float(12345678901234567890)
    assert parse(b"1" + b"0" * 400) == float("inf")


def test_printable_text():
    assert printable("½‖s‖² + tr J, naïve, 漢字") == "½‖s‖² + tr J, naïve, 漢字"
    assert printable("a\tb\n c\x00\x1b\x85\u2028d\u200f\ufeff\ud83d") == r"a b c\x00\x1b d\u200f\ufeff\ud83d"
    assert len(printable("x" * 10**7)) == TEXT and printable("x" * TEXT) == "x" * TEXT
    assert printable("x" * (TEXT + 1)).endswith("x…") and printable("\n" * 10**6 + "x").endswith("…")
