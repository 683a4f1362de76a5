"""Rounded data is seen, on any grid and in any units, and continuous data raises no alarm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npscore import datasets
from npscore.datasets import Standardisation, rounding_report, suggested_jitter

seeds = st.integers(0, 2**32 - 1)

FAMILIES = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "uniform": lambda rng, n: rng.random(n),
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "exponential": lambda rng, n: rng.standard_exponential(n),
    "narrow clusters": lambda rng, n: rng.integers(0, 3, n) + 0.01 * rng.standard_normal(n),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_no_false_alarm_on_continuous_data(family):
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n, scale, shift = (
            int(rng.integers(1, 400)),
            10.0 ** rng.integers(-200, 200),
            10 * rng.standard_normal(),
        )
        x = scale * (shift + FAMILIES[family](rng, n))[:, None]  # (n, 1)
        (column,) = rounding_report(x)
        assert not column.is_rounded and column.resolution is None and column.suggested_jitter == 0
        assert column.n_distinct == n


@pytest.mark.parametrize("n", [3, 4, 6, 10])
def test_few_continuous_values_are_not_taken_for_a_grid(n):
    report = rounding_report(np.random.default_rng(n).random((n, 800)))
    assert not any(column.is_rounded or column.resolution for column in report)


def test_no_false_alarm_on_float32_or_finely_printed_numbers():
    x = np.random.default_rng(0).standard_normal((100_000, 1))
    for fine in (x.astype(np.float32), x.astype(np.float32).astype(np.float64), np.round(x, 5)):
        (column,) = rounding_report(fine)
        assert not column.is_rounded and column.suggested_jitter == 0


@pytest.mark.parametrize("step", [1.0, 5.0, 0.5, 0.25, 0.1, 0.05, 0.01, 1 / 3, 1 / 7, 1 / 60, 1e-9, 3e7])
@pytest.mark.parametrize("n", [100, 1000])
def test_grids_are_found_wherever_they_begin(step, n):
    rng = np.random.default_rng(n)
    for spread in (3.0, 30.0):  # standard deviation, in steps
        k = np.rint(spread * rng.standard_normal(n))
        for offset in (0.0, step * rng.random()):
            (column,) = rounding_report((offset + k * step)[:, None], ("c",))
            assert column.is_rounded and column.column == "c"
            assert column.resolution == pytest.approx(step, rel=1e-9)
            assert column.suggested_jitter == pytest.approx(0.75 * step, rel=1e-9)


@given(seed=seeds, n=st.integers(60, 300), digits=st.integers(0, 1))
def test_the_report_follows_a_change_of_units(seed, n, digits):
    rng = np.random.default_rng(seed)
    x = np.round(2.0 * rng.standard_normal((n, 1)), digits)
    slope, shift = 10.0 ** rng.uniform(-6, 6), 10.0 * rng.standard_normal()
    (here,), (there,) = rounding_report(x), rounding_report(slope * (x + shift))
    assert (there.n_distinct, there.tie_fraction, there.is_rounded) == (here[1], here[2], True)
    assert there.resolution == pytest.approx(slope * here.resolution, rel=1e-9)
    assert there.suggested_jitter == pytest.approx(slope * here.suggested_jitter, rel=1e-9)


def test_ties_are_counted():
    (column,) = rounding_report(np.array([[1.0], [2.0], [2.0], [2.0], [4.0]]))
    assert (column.n_distinct, column.tie_fraction, column.is_rounded) == (3, 0.4, True)
    assert column.resolution == 1.0


def test_one_row_twice_is_no_rounding():
    for n in (2, 5, 10, 50):
        x = np.random.default_rng(n).standard_normal((n, 2))
        x[-1] = x[0]
        assert not any(column.is_rounded for column in rounding_report(x))


def test_the_line_of_five_per_cent():
    x = np.random.default_rng(0).standard_normal((100, 1))
    for repeats, verdict in ((5, False), (6, True)):
        tied = x.copy()
        tied[:repeats] = x[50 : 50 + repeats]
        assert rounding_report(tied)[0].is_rounded is verdict


def test_stray_values_do_not_hide_the_grid():
    x = datasets.old_faithful().values[:, 1:].copy()
    for stray in (77.123, 12.25, 200.5):
        x[3] = stray
        (column,) = rounding_report(x)
        assert column.is_rounded and column.resolution == pytest.approx(1.0, rel=2e-3)


def test_floating_point_error_does_not_hide_the_grid():
    rng = np.random.default_rng(0)
    k = rng.integers(0, 30, 500)
    x = (k / 10 * (1 + rng.integers(-2, 3, 500) * np.finfo(float).eps))[:, None]  # as 3 * 0.1 is not 3 / 10
    assert np.unique(x).size > 3 * np.unique(k).size
    assert rounding_report(x)[0].resolution == pytest.approx(0.1, rel=1e-12)


def test_ties_without_a_grid_are_atoms():
    rng = np.random.default_rng(0)
    heap = np.where(rng.random(400) < 0.4, 0.0, rng.standard_normal(400))
    resampled = rng.standard_normal(400)[rng.integers(0, 400, 400)]
    for x in (heap, resampled, rng.choice([0.0, 1.0, np.pi], 400)):
        (column,) = rounding_report(x[:, None])
        assert column.is_rounded and column.resolution is None
        assert column.suggested_jitter == pytest.approx(1.06 * x.std() * 400**-0.2)


def test_small_columns():
    yes_or_no = np.random.default_rng(0).integers(0, 2, (50, 1)) * 3.0
    assert rounding_report(yes_or_no)[0].resolution == 3.0
    (constant,) = rounding_report(np.full((9, 1), 0.1))
    assert constant.is_rounded and constant.resolution is None and constant.suggested_jitter == 0
    (single,) = rounding_report([[1.0]])
    assert not single.is_rounded


def test_what_is_seen_in_old_faithful():
    table = datasets.old_faithful()
    eruptions, waiting = rounding_report(table.values, table.columns)
    assert eruptions[:3] == ("eruptions", 126, 146 / 272) and waiting[:3] == ("waiting", 51, 221 / 272)
    assert eruptions.is_rounded and waiting.is_rounded
    assert waiting.resolution == 1.0  # minute
    assert eruptions.resolution == pytest.approx(1 / 60, rel=2e-5)  # a second; printed as 0.017 and so on
    assert np.allclose(suggested_jitter(table.values), [0.75 / 60, 0.75], rtol=2e-5)
    units = Standardisation.fit(table.values)
    assert np.allclose(
        suggested_jitter(units.forward(table.values)), [0.75 / 60, 0.75] / units.scale, rtol=2e-5
    )


def test_what_is_seen_in_the_other_data():
    quakes = rounding_report(datasets.fiji_quakes().values)
    assert np.allclose([column.resolution for column in quakes], [0.01, 0.01, 1, 0.1, 1], rtol=1e-9)
    assert all(column.is_rounded for column in quakes)
    pixels = rounding_report(datasets.digits().values)
    assert [column.resolution for column in pixels].count(1.0) == 62  # all but the three constant ones
