"""The derivations as a program: blocks run, equations are where they say in code and tests, links lead somewhere."""

import ast
import re
import subprocess
import sys
import traceback
from functools import lru_cache

import pytest
from support import derivations
from support.derivations import (
    BLOCK,
    CHAPTERS,
    DOCUMENTS,
    EQUATION,
    FRONT,
    ROOT,
    compiled,
    python_blocks,
    read,
)

HERE = "tests/test_derivations.py"
TAG = re.compile(r"eq-(\d+\.\d+)")
INLINE = re.compile(r"\$`([^`\n]*)`\$")
EQUATIONS = [equation for chapter in CHAPTERS for equation in derivations.equations(chapter)]
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)


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


@each_document
def test_every_block_runs(document):
    """Each document alone, in a namespace of its own."""
    derivations.run(document)


def test_there_are_blocks_in_every_document():
    assert len(CHAPTERS) >= 11 and all(list(python_blocks(document)) for document in DOCUMENTS)
    assert sum(len(list(python_blocks(document))) for document in DOCUMENTS) > 50


@each_chapter
def test_every_chapter_starts_with_the_same_names(chapter):
    """So that what is explained of them once, on the front page, holds in all of them."""
    (_, first), *_ = python_blocks(chapter)
    assert first == next(python_blocks(CHAPTERS[0]))[1]


def test_a_chapter_runs_by_the_command_on_the_front_page():
    command = "tests/support/derivations.py run derivations/04-network.md"
    assert f"python {command}" in read(FRONT)
    done = subprocess.run([sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "derivations/04-network.md" in done.stdout, done.stderr


@each_document
def test_a_failing_block_points_into_the_document(document):
    line, source = next(python_blocks(document))
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compiled(document, line, source + "1 / 0\n"), {})
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert frame.filename == str(document)
    assert frame.lineno == line + source.count("\n")


# ---- text, code and tests agree, both ways ------------------------------------------------------------


def test_numbers_are_unique_and_every_equation_shows_its_formula():
    numbers = [equation.number for equation in EQUATIONS]
    assert len(numbers) == len(set(numbers)) > 100
    text = "\n".join(read(document) for document in DOCUMENTS)
    assert len(re.findall(r'<a id="eq-', text)) == len(numbers)
    assert len(re.findall(EQUATION.pattern + r"\n\n```math\n", text, re.MULTILINE)) == len(numbers)


@each_chapter
def test_an_equation_has_the_number_of_its_chapter(chapter):
    heading = re.match(r"# (\d+) ", read(chapter))[1]
    assert int(chapter.stem[:2]) == int(heading)
    assert {equation.number.split(".")[0] for equation in derivations.equations(chapter)} <= {heading}


def test_every_tag_in_code_tests_and_blocks_is_an_equation():
    known = {equation.number for equation in EQUATIONS}
    for file in python_files("npscore") + python_files("tests"):
        unknown = set(TAG.findall((ROOT / file).read_text(encoding="utf-8"))) - known
        assert not unknown, f"{file} mentions equations that derivations.md does not have: {sorted(unknown)}"
    for document in DOCUMENTS:
        assert set(TAG.findall(read(document))) <= known, (
            f"{document.name} mentions an equation that is not there"
        )


@lru_cache
def tags_in_blocks(document):
    return {tag for _, source in python_blocks(document) for tag in TAG.findall(source)}


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda equation: equation.number)
def test_an_equation_is_where_it_says(equation):
    """In the code it cites, or nowhere in the code and then asserted by a block; and its test exists."""
    in_code = equation.number in tags_under("npscore")
    in_a_block = any(equation.number in tags_in_blocks(document) for document in DOCUMENTS)
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
    _, head, rows = read(FRONT).partition(derivations.INDEX_HEAD)
    stale = "write the index anew: python tests/support/derivations.py index"
    assert (head + rows).splitlines() == derivations.index().splitlines(), stale


def test_the_contents_list_every_chapter_by_its_title():
    listed = re.findall(r"^\| \[(.+)\]\((derivations/[\w-]+\.md)\) \|", read(FRONT), re.MULTILINE)
    assert listed == [
        (read(chapter).partition("\n")[0].removeprefix("# "), f"derivations/{chapter.name}")
        for chapter in CHAPTERS
    ]


@lru_cache
def anchors(document):
    """What a link with # can point to in a Markdown file: its headings, as GitHub names them, and its own anchors."""
    prose = BLOCK.sub("", read(document))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'<a id="([^"]+)"', prose))


def lost_links(document):
    """The links of a Markdown file, relative to it, that lead nowhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", read(document))):
        file, _, anchor = target.partition("#")
        place = (document.parent / file).resolve() if file else document
        if "://" in target:
            continue
        if not place.is_file() or (anchor and place.suffix == ".md" and anchor not in anchors(place)):
            yield target


@each_document
def test_links_resolve(document):
    prose = BLOCK.sub("", read(document))
    assert not list(lost_links(document))
    assert "](http" not in prose and len(re.findall(r"\]\(([^)\s]+)\)", prose)) == prose.count("](")


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# A heading\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md) [b](other.md#a-heading) [c](other.md#eq-1.1) [d](none.md) [e](#here)\n")
    assert list(lost_links(page)) == ["other.md#eq-1.1", "none.md", "#here"]


def test_links_into_the_derivations_from_other_pages_resolve():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        lost = [target for target in lost_links(page) if "derivations" in target]
        assert not lost, f"{page.name}: {lost}"


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


@each_document
def test_only_constructs_that_render_on_github_are_used(document):
    text, problems = read(document), []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match[1] not in ("math", "python"):
            problems.append(f"line {line}: a fence of kind {match[1]!r}")
        if match[1] == "math":
            problems += [f"line {line}: formula {problem}" for problem in formula_problems(match[2])]
            before, after = text[: match.start()][-2:], text[match.end() :][:2]
            if before != "\n\n" or after != "\n\n":
                problems.append(f"line {line}: a formula needs empty lines around it")
    prose = BLOCK.sub(lambda match: "\n" * match[0].count("\n"), text)
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
