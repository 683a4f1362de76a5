"""The plan of the package: imports point one way, samplers know callables only, and importing changes nothing."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "npscore"

#: The rooms in the order in which data flows: a room imports from those before it, and from itself.
ROOMS = (
    "_version",
    "_run",
    "datasets",
    "activations",
    "models",
    "objectives",
    "targets",
    "samplers",
    "diffusion",
    "fitting",
    "diagnostics",
    "checks",
    "storage",
    "density",
    "plots",
    "conformance",
    "cli",
    "__main__",
)
#: What a room may not know, though it stands before it.
UNKNOWN = {
    "samplers": {"models", "targets", "objectives", "datasets", "activations"},
    "targets": {"models", "objectives", "datasets"},
    "diagnostics": {"models", "targets", "samplers", "fitting", "diffusion", "objectives"},
    "objectives": {"targets", "datasets"},
    "models": {"datasets"},
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "adapters" not in path.parts)


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path):
    """The rooms that a file imports from, anywhere in it."""
    package = ["npscore", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module or "").split(".")] if node.module else base
            if module[:1] == ["npscore"]:
                yield from [module[1]] if len(module) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("npscore."))


def test_every_file_has_a_room():
    assert {room(path) for path in FILES} - {"__init__"} == set(ROOMS)


def test_no_two_files_of_tests_have_one_name():
    """The folders of tests are no packages, so that two files of one name cannot be run together."""
    names = sorted(path.name for path in (PACKAGE.parent / "tests").rglob("test_*.py"))
    assert len(names) > 50 and len(set(names)) == len(names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path):
    if path == PACKAGE / "__init__.py":
        return
    own = room(path)
    allowed = set(ROOMS[: ROOMS.index(own) + 1]) - UNKNOWN.get(own, set())
    assert set(imported_rooms(path)) <= allowed


def test_no_two_files_of_a_room_import_each_other():
    """No circle anywhere: every file stands above what it imports."""
    names = {".".join(["npscore", *path.relative_to(PACKAGE).with_suffix("").parts]): path for path in FILES}
    edges = {}
    for name, path in names.items():
        package, found = name.split(".")[:-1], set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = [
                    *package[: len(package) - node.level + 1],
                    *(node.module.split(".") if node.module else []),
                ]
                found |= {".".join(base), *(".".join([*base, alias.name]) for alias in node.names)}
        edges[name] = found & names.keys()
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, f"a circle: {' -> '.join([*open_[open_.index(name) :], name])}"
        if name not in done:
            open_.append(name)
            for other in edges[name]:
                visit(other)
            open_.pop()
            done.add(name)

    for name in names:
        visit(name)


def test_an_import_changes_nothing_in_its_process():
    """No thread, signal handler, warning filter, NumPy setting, environment variable or kept memory."""
    script = """
import os, signal, sys, threading, warnings
import numpy as np

def state():
    return (
        np.geterr(), np.get_printoptions(), list(warnings.filters), dict(os.environ), threading.active_count(),
        [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)], sys.excepthook, sys.getrecursionlimit(),
        np.random.get_state()[1].tolist(),
    )

def freed():
    # Pages that freeing a block of 8 MB gives back at once, while malloc's limits are where they were.
    before = resident(); block = np.ones(2**20); mapped = resident() - before; del block
    return resident() - before < mapped / 2

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

first = state()
import npscore as ns
import npscore.cli, npscore.conformance, npscore.density
assert state() == first
if os.path.exists("/proc/self/statm"):
    assert freed(), "the C library keeps freed memory"
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_first_gradient_moves_the_limits_of_memory_unless_it_is_told_not_to():
    script = """
import functools, sys
import numpy as np, npscore as ns
from npscore._run import memory
seen = []
memory.np = type("np", (), {"empty": staticmethod(lambda *a, **k: seen.append(a)), "uint8": np.uint8})
model, x = ns.MLP.init((2, 4, 2), rng=0), np.ones((3, 2))
model.score(x)
print(len(seen), end=" ")
ns.ism(model, x); ns.ism(model, x)
print(len(seen))
"""
    for told, expected in ((None, "0 1\n"), ("0", "0 0\n"), ("1", "0 1\n")):
        environment = {} if told is None else {"NPSCORE_KEEP_MEMORY": told}
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **environment}
        )
        assert run.stdout == expected, run.stderr
