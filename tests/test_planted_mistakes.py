"""A check of the checks: each mistake, planted in a copy of the real source, makes its tests fail.

Every copy is tested in a process of its own, forked from one that has NumPy, pytest and Hypothesis loaded.
"""

import multiprocessing
import shutil
from pathlib import Path

import pytest
from support.planted import MISTAKES, run_tests

ROOT = Path(__file__).resolve().parent.parent
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
EVERY_TEST = sorted({test for mistake in MISTAKES for test in mistake.tests})


def source(mistake):
    return (ROOT / "npscore" / mistake.file).read_text(encoding="utf-8")


def plant(mistake, folder):
    """A copy of the package with the mistake in its place (None: as it is)."""
    shutil.copytree(ROOT / "npscore", folder / "npscore", ignore=shutil.ignore_patterns("__pycache__"))
    if mistake is not None:
        file = folder / "npscore" / mistake.file
        file.write_text(source(mistake).replace(mistake.right, mistake.wrong), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """The run of every mistake that pytest has selected, two at a time, by mistake: wait with ``get``."""
    chosen = [
        item.callspec.params["mistake"] for item in request.session.items if "runs" in item.fixturenames
    ]
    context = multiprocessing.get_context(METHOD)
    if METHOD == "forkserver":
        context.set_forkserver_preload(["numpy", "pytest", "hypothesis.strategies"])
    with context.Pool(2, maxtasksperchild=1) as pool:

        def start(mistake):
            folder = plant(mistake, tmp_path_factory.mktemp("copy"))
            tests = list(mistake.tests) if mistake else EVERY_TEST
            return pool.apply_async(run_tests, (str(folder), tests))

        yield {mistake: start(mistake) for mistake in chosen}


@pytest.mark.parametrize("mistake", [None], ids=["nothing planted"])
def test_without_a_mistake_the_same_tests_pass(runs, mistake):
    code, output = runs[mistake].get(timeout=300)
    assert code == pytest.ExitCode.OK, output


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name for mistake in MISTAKES])
def test_a_planted_mistake_is_caught(runs, mistake):
    code, output = runs[mistake].get(timeout=300)
    assert code == pytest.ExitCode.TESTS_FAILED, output
    for test in mistake.tests:
        assert f"FAILED tests/{test}" in output


def test_mistakes_have_a_name_each():
    names = [mistake.name for mistake in MISTAKES]
    assert len(names) == len(set(names)) >= 25


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name for mistake in MISTAKES])
def test_what_a_mistake_replaces_stands_exactly_once(mistake):
    assert source(mistake).count(mistake.right) == 1
