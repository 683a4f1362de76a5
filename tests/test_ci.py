"""The script of continuous integration names files and modules: all of them exist where it looks for them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / ".ci" / "run"
TEXT = SCRIPT.read_text(encoding="utf-8") if SCRIPT.is_file() else ""

pytestmark = pytest.mark.skipif(not TEXT, reason="the script is not part of this copy")


def test_every_file_that_it_names_exists():
    paths = re.findall(r"\b(?:tests|figures|npscore)/[\w/]+\.\w+", TEXT)
    assert "tests/test_readme.py" in paths
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_every_module_that_it_runs_exists():
    figures = re.search(r"for figure in ([\w ]+);", TEXT)[1].split()
    modules = re.findall(r"-m \"?(\w+\.[\w.$]+)", TEXT)
    assert {"support.numpy_alone", "independent.run", "figures.speed.$figure"} == set(modules)
    for module in (module.replace("$figure", figure) for module in modules for figure in figures):
        folder = ROOT if module.startswith("figures") else ROOT / "tests"
        assert (folder / module.replace(".", "/")).with_suffix(".py").is_file(), module


def test_helpers_of_the_tests_are_run_as_modules():
    """By its path Python would look beside the script, where it finds no package ``support`` to import from."""
    assert not re.findall(r"/support/\w+\.py", TEXT)
