"""The main job, small: everything it promises to write and to find."""

import numpy as np

import npscore as ns
from npscore import cli
from npscore.cli.demo import run_demo
from npscore.datasets import read_csv


def test_demo_writes_the_story_and_beats_the_gaussian(tmp_path):
    said = []
    demo = run_demo(tmp_path / "out", steps=800, n_samples=400, say=said.append)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "demo.png",
        "model.npz",
        "samples.csv",
    ]
    assert max(row.gap for row in demo.identities) < 1e-10
    assert len({round(row.esm, 3) for row in demo.identities}) == len(demo.identities) >= 5
    # Clearly: by more than twice the standard error of the paired difference.
    assert demo.comparison.difference < -2 * demo.comparison.standard_error
    assert demo.distances["Langevin samples"] < 0.5 * demo.distances["best Gaussian"]
    samples = read_csv(tmp_path / "out" / "samples.csv")
    assert samples.columns == ("eruptions", "waiting") and len(samples.values) == 400
    assert np.abs(samples.values.mean(axis=0) - [3.5, 71]).max() < 5  # minutes
    assert ns.load(tmp_path / "out" / "model.npz").standardisation.columns == samples.columns
    text = "\n".join(said)
    for number in (f"{demo.comparison.model:.3f}", f"{demo.comparison.gaussian:.3f}", "gap to C"):
        assert number in text


def test_demo_is_reproducible(tmp_path):
    for name in ("a", "b"):
        assert cli.main(["demo", "--out", str(tmp_path / name), "--steps", "50", "--n", "30"]) == 0
    for file in ("model.npz", "samples.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
