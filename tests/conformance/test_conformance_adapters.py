"""The adapters that are shipped, and the program in the guide, do what they say: each is run on certified cases."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import npscore.conformance
from npscore.conformance import check, grade
from npscore.conformance.runner import run_program
from npscore.conformance.selection import select

HERE = Path(npscore.conformance.__file__).parent
ADAPTERS = HERE / "adapters"
GUIDE = (HERE / "v1" / "GUIDE.md").read_text(encoding="utf-8")
NETWORKS = ("esm", "ism", "ssm", "ssm_vr", "dsm")


def node(source=ADAPTERS / "adapter.mjs"):
    """The command line for Node 18 or newer, or the reason why not."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.match(r"v(\d+)", version)[1]) < 18:
        pytest.skip(f"node is {version.strip()}, older than v18")
    return shlex.join(["node", str(source)])


def cpp(folder, source=ADAPTERS / "adapter.cpp"):
    """The C++ adapter, built without a warning."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    built = folder / "mine"
    strict = ["-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["g++", *strict, str(source), "-o", str(built)], check=True, timeout=120)
    return str(built)


def torch():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    return shlex.join([sys.executable, str(ADAPTERS / "adapter_pytorch.py")])


def graded(command, cases, dtype):
    """Cases right by operation, after the report has found nothing wrong."""
    run = run_program(command, cases, dtype=dtype, timeout=60)
    report = grade(run.answers, dtype)
    assert report.exit_code == 0, report.text()
    assert (run.restarts, run.garbage) == (0, 0), run.notes()
    return Counter(case.operation for case in report.cases if case.status == "graded")


def networks(asked, dtype):
    """Of some cases those about networks that can be asked in this type, by operation."""
    asked = [case for case in asked if case.operation in NETWORKS]
    return Counter(case.operation for case in asked if dtype == "float64" or "not-float32" not in case.flags)


def test_cpp(tmp_path):
    asked = select(("smoke", "esm", "dsm"))
    right = graded(cpp(tmp_path), asked, "float64")
    plain = Counter(c.operation for c in asked if c.model.get("activation") in ("tanh", "identity"))
    assert right == {name: plain[name] for name in ("esm", "dsm")} and min(right.values()) >= 10


def test_javascript():
    asked = select("smoke,ism,rational")
    right = graded(node(), asked, "float64")
    assert right.keys() == {"esm", "dsm", "ism", "ssm_vr"} and right["ism"] >= 20 and right["ssm_vr"] >= 10


@pytest.mark.parametrize(
    ("file", "line", "wrong", "operation", "name"),
    [
        ("adapter.cpp", "weights.empty() ? 1.0 / n", "weights.empty() ? 1.0", "esm", "sum"),
        ("adapter.cpp", "-noise[i * d + j] / s", "-noise[i * d + j]", "dsm", "target-epsilon"),
        ("adapter.mjs", "-8 * Math.tanh(z) * slope(2 * z)", "0", "ism", "curvature-dropped-everywhere"),
        ("adapter.mjs", "1 / v.length", "1", "ssm_vr", "probes-summed"),
    ],
)
def test_a_mistake_in_another_language_is_named(file, line, wrong, operation, name, tmp_path):
    """One expression of an adapter changed as people get it wrong."""
    text = (ADAPTERS / file).read_text(encoding="utf-8")
    assert text.count(line) == 1
    (tmp_path / file).write_text(text.replace(line, wrong), encoding="utf-8")
    command = cpp(tmp_path, tmp_path / file) if file.endswith("cpp") else node(tmp_path / file)
    cases = [case for case in select("esm,dsm,ism,rational") if case.operation == operation]
    report = grade(run_program(command, cases).answers)
    assert report.exit_code == 1 and report.verdict(operation).mistakes == (name,), report.text()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pytorch(dtype):
    """Every network, saturated ones too: its own gelu and tanh′ = 1 − t² are no mistakes."""
    right = graded(torch(), select("all"), dtype)
    assert right == networks(select("all"), dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_jax(dtype, monkeypatch):
    pytest.importorskip("jax", reason="JAX is not installed")
    monkeypatch.syspath_prepend(str(ADAPTERS))
    from adapter_jax import FUNCTIONS

    # It compiles for every shape, which takes minutes for all: a few of each kind, and the saturated ones.
    asked = select("smoke,esm-0020,edge-0010,edge-0038,edge-0041")
    report = check(FUNCTIONS, dtype, cases=[case.id for case in asked])
    assert report.exit_code == 0, report.text()
    done = Counter(case.operation for case in report.cases if case.status == "graded")
    assert done == networks(asked, dtype)


def test_the_program_in_the_guide(tmp_path):
    (program,) = [
        block for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "sys.stdin" in block
    ]
    (tmp_path / "sine.py").write_text(program, encoding="utf-8")
    asked = select("activations")
    right = graded(shlex.join([sys.executable, str(tmp_path / "sine.py")]), asked, "float64")
    assert right == {"activation": sum(case.model["activation"] == "sin" for case in asked)}


def test_the_results_file_in_the_guide_is_one():
    (text,) = [
        block for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL) if "npscore-results" in block
    ]
    document = json.loads(text)
    assert document["format"] == "npscore-results"
    assert {key for answer in document["answers"].values() for key in answer} >= {"loss", "skipped", "error"}


@pytest.mark.parametrize("name", ["adapter_pytorch.py", "adapter_jax.py", "adapter.cpp", "adapter.mjs"])
def test_adapters_are_short_and_in_the_guide(name):
    lines = (ADAPTERS / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 80 and max(map(len, lines)) <= 120
    assert f"`{name}`" in GUIDE
