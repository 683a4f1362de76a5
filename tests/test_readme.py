"""README and the guides in docs/ are true: their Python runs, their commands exist, their links lead somewhere.

Their numbers are in test_readme_numbers.py.
"""

import re
import shlex
from pathlib import Path

import pytest
from test_derivations import formula_problems, line_problems, lost_links

import npscore as ns
from npscore.cli.arguments import build_parser

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}
README = TEXTS["README.md"]
COMMANDS = ("demo", "verify", "fit", "sample", "score", "conform")
BLOCK = re.compile(r"(<!-- needs torch -->\n)?```python\n(.*?)```", re.DOTALL)
BLOCKS = {
    f"{name}-block{i}": (name, *found)
    for name, text in TEXTS.items()
    for i, found in enumerate(BLOCK.findall(text), start=1)
}

# Each of these has a test of its own below, which looks at what it did.
LOOKED_AT = {*(f"README.md-block{i}" for i in (1, 2, 3, 4)), "conformance.md-block1"}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the text of a block in an empty folder: (its names, what it printed)."""
    monkeypatch.chdir(tmp_path)

    def run(page, needs_torch, code):
        if needs_torch:
            pytest.importorskip("torch", reason="PyTorch is not installed")
        names = {"__name__": "__main__"}
        exec(compile(code, page, "exec"), names)
        return names, capsys.readouterr().out

    return run


# ---- the Python of every page -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in BLOCKS if name not in LOOKED_AT])
def test_python_block_runs(name, run):
    run(*BLOCKS[name])


def test_no_block_of_python_goes_untested():
    for name, text in TEXTS.items():
        assert text.count("```python") == len(BLOCK.findall(text)), name
        assert set(re.findall(r"^```(\w*)$", text, re.MULTILINE)) <= {"", "python", "sh", "text", "math"}, (
            name
        )


def test_a_ratio_of_one_and_equal_gradients_against_pytorch(run):
    _, printed = run(*BLOCKS["README.md-block1"])
    ratio, error = map(float, printed.split())
    assert abs(ratio - 1) < 1e-13 and error < 1e-13


def test_a_missing_half_is_seen_by_that_comparison(run):
    page, needs_torch, code = BLOCKS["README.md-block1"]
    assert code.count("loss = 0.5 * ((net") == 1
    _, printed = run(page, needs_torch, code.replace("loss = 0.5 * ((net", "loss = ((net"))
    ratio, error = map(float, printed.split())
    assert ratio == pytest.approx(2) and error == pytest.approx(1)


def test_the_theorems_gap_is_its_constant(run):
    _, printed = run(*BLOCKS["README.md-block2"])
    gap, constant = map(float, printed.split())
    assert gap == pytest.approx(constant, abs=1e-6) and constant == pytest.approx(-1.75)


def test_the_table_ends_as_samples_and_a_model_file(run, tmp_path):
    names, _ = run(*BLOCKS["README.md-block3"])
    assert (tmp_path / "quakes.npz").stat().st_size > 0
    assert names["out"].n_diverged == 0 and names["samples"].shape == (500, 2)


def moments_of_the_banana(names):
    """How far the draws are from E x₁ = 0, E x₂ = ½ in standard errors, and the variance across, ¼ in truth."""
    trajectory = names["run"].trajectory
    error = trajectory.mean(axis=(0, 1)) - [0.0, 0.5]
    across = trajectory[..., 1] - 0.5 * trajectory[..., 0] ** 2
    return abs(error / ns.diagnostics.mcse(trajectory)).max(), across.var()


def test_the_banana_is_sampled_right_with_the_rhat_and_sample_sizes_that_are_shown(run):
    names, printed = run(*BLOCKS["README.md-block4"])
    rhat, sizes = ([float(number) for number in line.strip("[] ").split()] for line in printed.splitlines())
    shown = re.findall(r"# (?:R̂: )?([\d.,]+) and ([\d.,]+)", BLOCKS["README.md-block4"][2])
    shown = [[float(number.replace(",", "")) for number in pair] for pair in shown]
    assert shown[0] == pytest.approx(rhat, abs=0.003) and shown[1] == pytest.approx(sizes, rel=0.2)
    off, across = moments_of_the_banana(names)
    assert off < 4 and abs(across - 0.25) < 0.015


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("- 2 *", "- 1.5 *"),
        ("ns.mala(log_p, score, tuned.x, tuned.step, 10_000,", "ns.langevin(score, tuned.x, 0.05, 10_000,"),
    ],
    ids=["another density", "Langevin without correction"],
)
def test_a_banana_sampled_wrong_is_seen_by_that_comparison(right, wrong, run):
    page, needs_torch, code = BLOCKS["README.md-block4"]
    assert code.count(right) == 1
    names, _ = run(page, needs_torch, code.replace(right, wrong))
    assert abs(moments_of_the_banana(names)[1] - 0.25) > 0.03


def test_the_report_is_the_one_that_is_shown(run):
    page, needs_torch, code = BLOCKS["conformance.md-block1"]
    _, printed = run(page, needs_torch, code)
    assert f"{code}```\n\nIt prints\n\n```text\n{printed.rstrip()}\n```" in TEXTS[page]
    wrong, right = "+ noise) ** 2", "+ noise / sigma) ** 2"
    assert wrong in code
    assert "nothing to do" in run(page, needs_torch, code.replace(wrong, right))[1]


# ---- commands, links, length ---------------------------------------------------------------------------------


def test_first_two_shell_blocks_are_the_two_commands():
    first, second = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[:2]
    for block in (first, second):
        assert block.startswith("python3 -m venv")
    assert "npscore demo" in first and "pytest" in second


def commands():
    """Every ``npscore …`` of a code block or between backticks, without the words that explain it."""
    for name, text in TEXTS.items():
        for line in re.findall(r"^(?:npscore|.*`npscore) [a-z].*$", text, re.MULTILINE):
            found = re.findall(r"`(npscore [^`]*)`", line) or [re.split(r"\s{3,}", line)[0]]
            yield from ((name, command) for command in found if "conformance, " not in command)


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_the_command_line_understands_every_command(page, command):
    parser = build_parser(dict.fromkeys(COMMANDS, print))
    words = shlex.split(command)[1:]
    if words[-1] == "--help":
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(words)
        assert ended.value.code == 0
    else:
        assert parser.parse_args(words).run is print


def test_links_lead_to_files_headings_and_equations():
    lost = [f"{path.name}: {target}" for path in PAGES for target in lost_links(path)]
    assert not lost, "\n".join(lost)
    assert sum(len(re.findall(r"\]\([^)]+\)", text)) for text in TEXTS.values()) > 30


def test_formulas_render_on_github():
    for name, text in TEXTS.items():
        prose = re.sub(r"^(<!-- needs torch -->\n)?```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert [problem for line in prose.splitlines() for problem in line_problems(line)] == [], name
        for formula in re.findall(r"\n\n```math\n(.*?)```\n\n", text, re.DOTALL):
            assert list(formula_problems(formula)) == [], name
        assert text.count("\n\n```math\n") == text.count("```math"), name


def test_the_readme_links_to_every_guide():
    for path in PAGES[1:]:
        assert f"](docs/{path.name})" in README, path.name


def test_the_readme_is_read_in_a_few_minutes():
    assert len(README.splitlines()) <= 200
    assert len(README.split()) <= 1800


def test_where_things_are_is_where_they_are():
    (tree,) = re.findall(r"```\n(npscore/ .*?)```", README, re.DOTALL)
    named = set(re.findall(r"^(?:npscore/)? +(\w+)/ ", tree, re.MULTILINE))
    there = {path.parent.name for path in (ROOT / "npscore").glob("*/__init__.py")}
    assert named == there
    for path in re.findall(r"^(\S+)  ", tree, re.MULTILINE):
        assert (ROOT / path).exists(), path
