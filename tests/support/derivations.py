"""The derivations read as a program: the blocks of each chapter, its equations, and the index of them all.

python tests/support/derivations.py run derivations/04-network.md  runs the blocks of a chapter
python tests/support/derivations.py index                          writes the index of derivations.md anew
"""

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple, Optional

ROOT = Path(__file__).resolve().parents[2]
FRONT = ROOT / "derivations.md"
CHAPTERS = sorted((ROOT / "derivations").glob("*.md"))
DOCUMENTS = [FRONT, *CHAPTERS]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EQUATION = re.compile(r'^<a id="eq-([\d.]+)"></a>\*\*\(([\d.]+)\)\*\* (.+)$', re.MULTILINE)
CITATION = re.compile(r"\[`(\w+)`\]\(([\w./]+)\)")
INDEX_HEAD = "| | what | code · test |\n|---|---|---|\n"


class Equation(NamedTuple):
    """One numbered line of a chapter; the files of its citations are paths from the root."""

    number: str
    title: str
    document: Path
    code: Optional[tuple[str, str]]  # (function, file); None for a definition or a result
    test: Optional[tuple[str, str]]  # None for a definition
    is_definition: bool


def read(document):
    return document.read_text(encoding="utf-8")


def python_blocks(document):
    """(line of the document on which it starts, source) of every Python block."""
    text = read(document)
    for match in BLOCK.finditer(text):
        if match[1] == "python":
            yield text.count("\n", 0, match.start(2)) + 1, match[2]


def compiled(document, line, source):
    """Code whose tracebacks show the document and its line numbers."""
    return compile("\n" * (line - 1) + source, str(document), "exec")


def run(document):
    """Run all blocks of a document from top to bottom in one namespace of its own, and return that."""
    namespace = {"__name__": document.stem}
    for line, source in python_blocks(document):
        exec(compiled(document, line, source), namespace)
    return namespace


def from_root(document, link):
    """The path from the root of the file that a link in a document names."""
    return Path(os.path.relpath(os.path.normpath(document.parent / link), ROOT)).as_posix()


def _cited(document, cell):
    match = CITATION.fullmatch(cell)
    return match and (match[1], from_root(document, match[2]))


def equations(document):
    """The numbered equations of a document, in the order in which they stand."""
    for anchor, number, rest in EQUATION.findall(read(document)):
        assert anchor == number, f"({number}) has the anchor of ({anchor})"
        title, where, *cited = rest.split(" · ")
        code = _cited(document, where)
        assert code or where in ("definition", "result"), f"({number}) must say where its code is: {where!r}"
        test = _cited(document, cited[0]) if cited else None
        yield Equation(number, title, document, code, test, where == "definition")


def index_row(equation):
    """The line of the index that belongs to an equation."""
    place = f"{from_root(FRONT, equation.document)}#eq-{equation.number}"
    kind = [] if equation.code else ["definition" if equation.is_definition else "result"]
    cited = [f"[`{name}`]({file})" for name, file in filter(None, (equation.code, equation.test))]
    return f"| [({equation.number})]({place}) | {equation.title} | {' · '.join(kind + cited)} |"


def index():
    """The table at the end of derivations.md, made from the chapters."""
    found = [equation for chapter in CHAPTERS for equation in equations(chapter)]
    found.sort(key=lambda equation: [int(part) for part in equation.number.split(".")])
    return INDEX_HEAD + "".join(index_row(equation) + "\n" for equation in found)


def write_index():
    before, head, _ = read(FRONT).partition(INDEX_HEAD)
    assert head, "derivations.md has no index"
    FRONT.write_text(before + index(), encoding="utf-8")


def main(arguments):
    if arguments == ["index"]:
        return write_index()
    if arguments[:1] != ["run"]:
        raise SystemExit(__doc__)
    for name in arguments[1:]:
        print(f"{name}: {len(run(Path(name).resolve()))} names")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # npscore of this checkout, installed or not
    main(sys.argv[1:])
