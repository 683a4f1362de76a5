"""The README is true: its Python runs, its commands are the ones CI runs, its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(<!-- needs torch -->\n)?```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(
    ("needs_torch", "code"), BLOCKS, ids=[f"block{i}" for i in range(1, len(BLOCKS) + 1)]
)
def test_python_block_runs(needs_torch, code, tmp_path, monkeypatch, capsys):
    if needs_torch:
        pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    exec(compile(code, "README.md", "exec"), names)
    said = capsys.readouterr().out
    if "conformance" in code:
        assert f"{code}```\n\nIt prints\n\n```text\n{said.rstrip()}\n```" in TEXT
        wrong, right = "+ noise) ** 2", "+ noise / sigma) ** 2"
        assert wrong in code
        exec(compile(code.replace(wrong, right), "README.md", "exec"), {"__name__": "__main__"})
        assert "nothing to do" in capsys.readouterr().out
        return
    printed = [float(word) for word in said.split()]
    if needs_torch:
        ratio, error = printed
        assert abs(ratio - 1) < 1e-13 and error < 1e-13
    elif printed:  # the theorem's gap and its constant
        assert printed[0] == pytest.approx(printed[1], abs=1e-6)
    elif "quakes.npz" in code:
        assert (tmp_path / "quakes.npz").stat().st_size > 0
        assert names["out"].n_diverged == 0


def test_first_two_shell_blocks_are_the_two_commands():
    first, second = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)[:2]
    for block in (first, second):
        assert block.startswith("python3 -m venv")
    assert "npscore demo" in first and "pytest" in second


def test_links_lead_to_files():
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(targets) >= 4
    for target in targets:
        assert (ROOT / target).is_file(), target
