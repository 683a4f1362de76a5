"""The bundled data: facts about it, its provenance, and that it loads from an installed package; splitting."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npscore
from npscore import datasets
from npscore.datasets import train_validation_split

seeds = st.integers(0, 2**32 - 1)


# The data sets


def test_old_faithful():
    table = datasets.old_faithful()
    assert table.columns == ("eruptions", "waiting") and table.values.shape == (272, 2)
    assert np.array_equal(np.rint(table.values * [1000, 1]).sum(axis=0), [948677, 19284])
    assert np.array_equal(table.values[0], [3.6, 79]) and np.array_equal(table.values[-1], [4.467, 74])
    assert np.array_equal(table.values.min(axis=0), [1.6, 43])
    assert np.array_equal(table.values.max(axis=0), [5.1, 96])


def test_fiji_quakes():
    table = datasets.fiji_quakes()
    assert table.columns == ("lat", "long", "depth", "mag", "stations") and table.values.shape == (1000, 5)
    sums = np.rint(table.values * [100, 100, 1, 10, 1]).sum(axis=0)
    assert np.array_equal(sums, [-2064275, 17946202, 311371, 46204, 33418])
    assert np.array_equal(table.values.min(axis=0), [-38.59, 165.67, 40, 4.0, 10])
    assert np.array_equal(table.values.max(axis=0), [-10.72, 188.13, 680, 6.4, 132])


def test_digits():
    table = datasets.digits()
    assert table.columns[:2] == ("pixel_0_0", "pixel_0_1") and table.columns[63:] == ("pixel_7_7", "label")
    pixels, labels = table.values[:, :64], table.values[:, 64]
    assert pixels.shape == (1797, 64) and pixels.min() == 0 and pixels.max() == 16
    assert np.array_equal(pixels, np.rint(pixels))
    assert np.array_equal(np.bincount(labels.astype(int)), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    images = pixels.reshape(-1, 8, 8)
    zeros, ones = images[labels == 0].mean(axis=0), images[labels == 1].mean(axis=0)
    assert ones[3:5, 3:5].min() > 10 > 3 > zeros[3:5, 3:5].max()  # a 0 has a hole where a 1 has its stroke
    assert [table.columns[j] for j in np.flatnonzero(pixels.max(axis=0) == 0)] == [
        "pixel_0_0",
        "pixel_4_0",
        "pixel_4_7",
    ]


def test_the_readme_beside_the_data_has_the_checksum_of_every_file():
    folder = files("npscore.datasets")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    stated = dict(zip(re.findall(r"^## .*`(.+)`$", readme, re.M), re.findall(r"`([0-9a-f]{64})`", readme)))
    shipped = {entry.name for entry in folder.iterdir() if entry.name.endswith((".csv", ".csv.gz"))}
    assert set(stated) == shipped
    for name, digest in stated.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_the_data_loads_from_inside_an_archive(tmp_path):
    package = Path(npscore.__file__).parent
    archive = tmp_path / "npscore.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in package.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                file.write(path, Path("npscore") / path.relative_to(package))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r}); import npscore, npscore.datasets as d;"
        "assert '.zip' in npscore.__file__;"
        "print([load().values.shape for load in (d.old_faithful, d.fiji_quakes, d.digits)])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert run.stdout.strip() == "[(272, 2), (1000, 5), (1797, 65)]", run.stderr


# Splitting


@given(seed=seeds, n=st.integers(2, 60), fraction=st.floats(0.01, 0.99))
def test_a_split_deals_every_row_once(seed, n, fraction):
    x = np.arange(2.0 * n).reshape(n, 2)
    held_out = int(np.floor(fraction * n + 0.5))
    if held_out in (0, n):
        with pytest.raises(ValueError, match=f"at least one of {n} rows on either side"):
            train_validation_split(x, fraction, rng=seed)
        return
    train, validation = train_validation_split(x, fraction, rng=seed)
    assert train.shape == (n - held_out, 2) and validation.shape == (held_out, 2)
    together = np.concatenate([train, validation])
    assert np.array_equal(together[np.argsort(together[:, 0])], x)
    again = train_validation_split(x, fraction, rng=np.random.default_rng(seed))
    assert np.array_equal(again[0], train) and np.array_equal(again[1], validation)
    assert not (np.shares_memory(train, x) or np.shares_memory(validation, x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("exponent", [-1070, -660, 0, 660, 1020])
def test_a_split_changes_no_bit_of_a_row_at_any_scale(dtype, exponent):
    with np.errstate(over="ignore", under="ignore"):
        x = np.ldexp(np.random.default_rng(0).standard_normal((20, 2)), exponent).astype(dtype)
    x = x[np.isfinite(x).all(axis=1)]
    if len(x) > 4:
        parts = train_validation_split(x, 0.3, rng=1)
        order = np.random.default_rng(1).permutation(len(x))
        np.testing.assert_array_equal(np.concatenate(parts[::-1]), x[order])
        assert all(part.dtype == dtype for part in parts)


def test_every_row_is_held_out_equally_often():
    n, runs, fraction = 10, 4000, 0.3
    counts = np.zeros(n)
    for seed in range(runs):
        validation = train_validation_split(np.arange(float(n))[:, None], fraction, rng=seed)[1]
        counts[validation[:, 0].astype(int)] += 1
    error = np.sqrt(runs * fraction * (1 - fraction))
    assert np.abs(counts - runs * fraction).max() < 4 * error


@pytest.mark.parametrize(
    ("x", "fraction", "error", "words"),
    [
        ([[1.0]], 0.5, ValueError, "at least one of 1 rows on either side"),
        (np.ones((4, 1)), 0.0, ValueError, "fraction must be a finite number > 0 and < 1, got 0.0"),
        (np.ones((4, 1)), 1.0, ValueError, "got 1.0"),
        (np.ones((4, 1)), 0.1, ValueError, "got 0.1 (0 rows)"),
        (np.ones((4, 1)), "half", TypeError, "fraction must be a finite number"),
        (np.ones(4), 0.5, ValueError, "x must have shape (n, d)"),
    ],
)
def test_bad_splits(x, fraction, error, words):
    with pytest.raises(error) as caught:
        train_validation_split(x, fraction, rng=0)
    assert words in str(caught.value)
