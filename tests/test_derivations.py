"""derivations.md is part of the program: its blocks run, its equations are in the code, its links lead somewhere."""

import ast
import re
import traceback
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Optional

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "derivations.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
HERE = "tests/test_derivations.py"

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EQUATION = re.compile(r'^<a id="eq-([\d.]+)"></a>\*\*\(([\d.]+)\)\*\* (.+)$', re.MULTILINE)
CITATION = re.compile(r"\[`(\w+)`\]\(([\w./]+)\)")
TAG = re.compile(r"eq-(\d+\.\d+)")
INLINE = re.compile(r"\$`([^`\n]*)`\$")


class Equation(NamedTuple):
    number: str
    title: str
    code: Optional[tuple[str, str]]  # (function, file); None for a definition or a result
    test: Optional[tuple[str, str]]  # None for a definition
    is_definition: bool


def python_blocks():
    """(line of the document on which it starts, source) of every python block."""
    for match in BLOCK.finditer(TEXT):
        if match[1] == "python":
            yield TEXT.count("\n", 0, match.start(2)) + 1, match[2]


def compiled(line, source):
    """Code whose tracebacks show this document and its line numbers."""
    return compile("\n" * (line - 1) + source, str(DOCUMENT), "exec")


def equations():
    for anchor, number, rest in EQUATION.findall(TEXT):
        assert anchor == number, f"({number}) has the anchor of ({anchor})"
        title, where, *cited = rest.split(" · ")
        code = CITATION.fullmatch(where)
        assert code or where in ("definition", "result"), f"({number}) must say where its code is: {where!r}"
        test = CITATION.fullmatch(cited[0]) if cited else None
        yield Equation(number, title, code and code.groups(), test and test.groups(), where == "definition")


EQUATIONS = list(equations())


@lru_cache
def functions(file):
    """(first line, last line, name) of every function in a Python file, decorators included."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return [
        (min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno, node.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    ]


@lru_cache
def tags_by_function(file):
    """{tag: names of the functions around a line whose comment carries it} of a Python file."""
    tags = {}
    for line, text in enumerate((ROOT / file).read_text(encoding="utf-8").splitlines(), start=1):
        for tag in TAG.findall(text.partition("#")[2]):
            tags.setdefault(tag, set()).update(
                name for first, last, name in functions(file) if first <= line <= last
            )
    return tags


@lru_cache
def python_files(folder):
    """All Python files of a folder as paths from the root, this one left out."""
    files = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / folder).rglob("*.py"))]
    return [file for file in files if file != HERE]


def tags_under(folder):
    return {tag for file in python_files(folder) for tag in tags_by_function(file)}


# ---- it runs ----------------------------------------------------------------------------------------


def test_every_block_runs():
    namespace = {"__name__": "derivations"}
    blocks = list(python_blocks())
    assert len(blocks) > 30
    for line, source in blocks:
        exec(compiled(line, source), namespace)


def test_a_failing_block_points_into_the_document():
    line, source = next(python_blocks())
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compiled(line, source + "1 / 0\n"), {})
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert frame.filename == str(DOCUMENT)
    assert frame.lineno == line + source.count("\n")


# ---- text, code and tests agree, both ways ------------------------------------------------------------


def test_numbers_are_unique_and_every_equation_shows_its_formula():
    numbers = [equation.number for equation in EQUATIONS]
    assert len(numbers) == len(set(numbers)) > 100
    assert len(re.findall(r'<a id="eq-', TEXT)) == len(numbers)
    assert len(re.findall(EQUATION.pattern + r"\n\n```math\n", TEXT, re.MULTILINE)) == len(numbers)


def test_every_tag_in_code_and_tests_is_an_equation():
    known = {equation.number for equation in EQUATIONS}
    for file in python_files("npscore") + python_files("tests"):
        unknown = set(TAG.findall((ROOT / file).read_text(encoding="utf-8"))) - known
        assert not unknown, f"{file} mentions equations that derivations.md does not have: {sorted(unknown)}"


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda equation: equation.number)
def test_an_equation_is_where_it_says(equation):
    """In the code it cites, or nowhere in the code and then asserted by a block; and its test exists."""
    in_code = equation.number in tags_under("npscore")
    in_a_block = any(equation.number in TAG.findall(source) for _, source in python_blocks())
    if equation.code is None:
        assert not in_code, f"({equation.number}) is tagged in the code: cite it"
    else:
        function, file = equation.code
        assert function in tags_by_function(file).get(equation.number, ()), f"no such tag in {function}"
    if equation.is_definition:
        return
    assert in_a_block or equation.number in tags_under("tests"), f"nothing asserts ({equation.number})"
    function, file = equation.test
    assert function in {name for _, _, name in functions(file)}, f"no test {function} in {file}"
    if file == HERE:
        assert in_a_block, f"({equation.number}) cites the blocks, and none is tagged with it"


def test_the_index_lists_every_equation_as_it_stands():
    rows = re.findall(r"^\| \[\(([\d.]+)\)\]\(#eq-\1\) \| (.+) \|$", TEXT, re.MULTILINE)
    stated = {number: rest.removesuffix(" · ") for _, number, rest in EQUATION.findall(TEXT)}
    assert [number for number, _ in rows] == sorted(
        stated, key=lambda number: [int(k) for k in number.split(".")]
    )
    for number, cells in rows:
        assert " · ".join(cell.strip() for cell in cells.split(" | ") if cell.strip()) == stated[number]


def test_links_resolve():
    prose = BLOCK.sub("", TEXT)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    anchors |= set(re.findall(r'<a id="([^"]+)"', prose))
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        file, _, anchor = target.partition("#")
        assert (ROOT / file).is_file() if file else anchor in anchors, f"link to {target} leads nowhere"


# ---- it renders on GitHub -----------------------------------------------------------------------------

FORBIDDEN = (r"\operatorname", r"\newcommand", r"\tag", r"\label", r"\bm", "$$", "<details", "[^")


def formula_problems(formula):
    """What is wrong with one formula, in words."""
    if any(word in formula for word in FORBIDDEN):
        yield "uses what GitHub does not render"
    bare = formula.replace(r"\{", "").replace(r"\}", "")
    if bare.count("{") != bare.count("}"):
        yield "has unbalanced braces"
    if len(re.findall(r"\\left\b", formula)) != len(re.findall(r"\\right\b", formula)):
        yield "has \\left without \\right"
    if sorted(re.findall(r"\\begin{(\w+)}", formula)) != sorted(re.findall(r"\\end{(\w+)}", formula)):
        yield "has \\begin without \\end"
    if "<" in formula or ">" in formula.replace(" > ", ""):
        yield "has a bracket that HTML may swallow"


def line_problems(line):
    """What is wrong with one line of prose, in words."""
    for match in INLINE.finditer(line):
        before, after = line[: match.start()][-1:], line[match.end() :][:1]
        if before not in ("", " ") or after not in ("", " "):
            yield "has no space around its maths"
        if line.startswith("|") and "|" in match[1]:
            yield "has a bare pipe in the maths of a table"
        yield from formula_problems(match[1])
    if "$" in INLINE.sub("", re.sub(r"(?<!\$)`[^`$]*`(?!\$)", "", line)):
        yield "has a dollar that is no inline maths"
    if line.startswith("#") and "$" in line:
        yield "has maths in a heading"
    if re.search(r"(?<!\()\[[^\]]*\$`[^`]*`\$[^\]]*\]\(", line):
        yield "has maths in link text"
    if re.search(r"<(?!/?a\b)[a-z!]", INLINE.sub("", line)):
        yield "has HTML other than an anchor"
    if any(word in line for word in FORBIDDEN):
        yield "uses what GitHub does not render"


def test_only_constructs_that_render_on_github_are_used():
    problems = []
    for match in BLOCK.finditer(TEXT):
        line = TEXT.count("\n", 0, match.start()) + 1
        if match[1] not in ("math", "python"):
            problems.append(f"line {line}: a fence of kind {match[1]!r}")
        if match[1] == "math":
            problems += [f"line {line}: formula {problem}" for problem in formula_problems(match[2])]
            before, after = TEXT[: match.start()][-2:], TEXT[match.end() :][:2]
            if before != "\n\n" or after != "\n\n":
                problems.append(f"line {line}: a formula needs empty lines around it")
    prose = BLOCK.sub(lambda match: "\n" * match[0].count("\n"), TEXT)
    for number, line in enumerate(prose.splitlines(), start=1):
        problems += [f"line {number} {problem}: {line[:60]}" for problem in line_problems(line)]
    assert not problems, "\n".join(problems)
    assert "```" not in prose


@pytest.mark.parametrize(
    "line",
    [
        "no space before$`x`$ it",
        "no space after $`x`$, it",
        "a bare $x$ dollar",
        "two $$x$$ dollars",
        "unbalanced $`\\frac{1}{2`$ braces",
        "a $`\\operatorname{tr}`$ macro",
        "a $`\\left( x`$ half",
        "| a | $`|x|`$ |",
        "## maths $`x`$ in a heading",
        "maths in [a $`x`$ link](#eq-1.1)",
        "<details>hidden</details>",
    ],
)
def test_the_rules_catch_what_does_not_render(line):
    assert list(line_problems(line))
