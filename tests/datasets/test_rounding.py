"""Rounded data is seen, on any grid and in any units, and continuous data raises no alarm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npscore import datasets
from npscore.datasets import (
    RoundedDataWarning,
    Standardisation,
    rounding_report,
    suggested_jitter,
    warn_if_rounded,
)

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


# Grids that are not uniform -------------------------------------------------------------------------------


def significant(x, digits):
    return np.array([float(f"{value:.{digits}g}") for value in x])


MIXED = {  # name: (draw, the coarsest step that more than 5 % of the rows hold)
    "one significant digit, lognormal": (lambda rng, n: significant(np.exp(rng.standard_normal(n)), 1), 1.0),
    "two significant digits, lognormal": (lambda rng, n: significant(np.exp(rng.standard_normal(n)), 2), 0.1),
    "one significant digit, wide": (lambda rng, n: significant(np.exp(2 * rng.standard_normal(n)), 1), 10.0),
    "two significant digits, normal": (lambda rng, n: significant(rng.standard_normal(n), 2), 0.1),
    "half at 0.1, half at 0.001": (lambda rng, n: either(rng, n, 0.5, 3), 0.1),
    "half at 0.1, half in full": (lambda rng, n: either(rng, n, 0.5, 15), 0.1),
    "at 0.1, a tenth -9999": (lambda rng, n: np.where(rng.random(n) < 0.1, -9999, either(rng, n, 1, 1)), 0.1),
    "at 0.1, half -9999": (lambda rng, n: np.where(rng.random(n) < 0.5, -9999, either(rng, n, 1, 1)), 0.1),
    "at 0.1, heavy tails": (lambda rng, n: np.round(rng.standard_cauchy(n), 1), 0.1),
    "ages, a third heaped at fives": (lambda rng, n: heaped(rng, n), 5.0),
}


def either(rng, n, share, digits):
    """N(0, 1) rounded to 0.1 in a ``share`` of the rows, to more ``digits`` in the others."""
    z = rng.standard_normal(n)
    return np.where(rng.random(n) < share, np.round(z, 1), np.round(z, digits))


def heaped(rng, n):
    age = rng.integers(0, 80, n)
    return np.where(rng.random(n) < 1 / 3, 5 * np.rint(age / 5), age).astype(float)


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("n", [500, 3000])
def test_of_several_grids_the_coarsest_is_found(name, n):
    draw, step = MIXED[name]
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = draw(rng, n)[:, None]
        (column,) = rounding_report(x, ("c",))
        assert column.is_rounded and column.resolution is not None
        found.append(column.resolution)
        assert column.suggested_jitter == pytest.approx(0.75 * column.resolution)
        with pytest.warns(RoundedDataWarning, match="column 'c' "):
            warn_if_rounded(x, ("c",))
    assert np.isclose(found, step, rtol=1e-3).mean() >= 0.8, found  # which rows hold 5 % is chance


@pytest.mark.parametrize("name", ["half at 0.1, half at 0.001", "two significant digits, lognormal"])
def test_mixed_grids_follow_a_change_of_units_too(name):
    draw, step = MIXED[name]
    x = draw(np.random.default_rng(0), 2000)[:, None]
    for slope, shift in ((1e-200, 0.0), (1 / 60, 3.7), (-7.3e5, 1.0), (1e200, 0.0)):
        (column,) = rounding_report(slope * (x + shift))
        assert column.is_rounded and column.resolution == pytest.approx(abs(slope) * step, rel=1e-4)


GRIDS = {
    "normal": lambda rng, n: np.rint(rng.choice([0.7, 3, 30, 200]) * rng.standard_normal(n)),
    "exponential": lambda rng, n: np.rint(20 * rng.standard_exponential(n)),
    "Poisson": lambda rng, n: rng.poisson(5, n).astype(float),
    "geometric": lambda rng, n: rng.geometric(0.05, n).astype(float),
    "zeros and counts": lambda rng, n: np.where(rng.random(n) < 0.4, 0.0, rng.poisson(30, n)),
    "Cauchy": lambda rng, n: np.rint(10 * rng.standard_cauchy(n)),
    "rows drawn again": lambda rng, n: np.rint(50 * rng.standard_normal(n))[rng.integers(0, n // 3, n)],
    "two heaps": lambda rng, n: np.rint(20 * rng.standard_normal(n) + 300 * rng.integers(0, 2, n)),
}


@pytest.mark.parametrize("family", GRIDS)
def test_one_grid_is_never_taken_for_a_coarser_one(family):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = GRIDS[family](rng, int(rng.integers(100, 2000)))
        assert rounding_report(x[:, None])[0].resolution == pytest.approx(1.0, rel=1e-6), seed


@pytest.mark.parametrize("n", [50, 400, 3000])
def test_bounds_and_zeros_in_continuous_data_are_atoms_and_no_grid(n):
    """A clipped column, with a heap in the middle besides: ties, but a few round numbers make no step."""
    for seed in range(40):
        x = np.random.default_rng(seed).standard_normal(n)
        x[: n // 8] = 0.0
        clipped = np.clip(x, -1.0, 1.0)
        for column in rounding_report(np.c_[clipped, clipped.astype(np.float32), np.round(clipped, 5)]):
            assert column.is_rounded and column.resolution is None


@pytest.mark.parametrize("family", FAMILIES)
def test_ties_by_chance_on_a_grid_too_fine_to_be_seen_raise_no_alarm(family):
    """Up to a third of 20,000 rows; drawn again from among themselves they are atoms."""
    ties = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = FAMILIES[family](rng, 20_000)
        quarter = np.subtract(*np.quantile(x, [0.6, 0.4]))
        fine = np.rint(x / (quarter * 10.0 ** rng.uniform(-4.5, -3.5)))
        (column,) = rounding_report(fine[:, None])
        assert not column.is_rounded
        ties.append(column.tie_fraction)
        (again,) = rounding_report(fine[rng.integers(0, x.size, x.size), None])
        assert again.is_rounded and again.resolution is None and again.suggested_jitter > 0
    assert max(ties) > 0.2 and np.median(ties) > 0.05


def test_no_false_alarm_on_few_ties_in_any_family():
    """4 % of ties: from rows drawn twice, a bound, or float32; as without the search for coarser grids."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for family in FAMILIES.values():
            x = family(rng, 1000)
            x[:20] = x[500:520]
            x[20:40] = x.min()
            columns = rounding_report(np.c_[x, x.astype(np.float32)])
            assert not any(column.is_rounded or column.suggested_jitter for column in columns)


def column_of_any_make(rng):
    """Up to 2,000 numbers of any size and law, with round numbers, missing marks or few digits among them."""
    n = int(10 ** rng.uniform(0, 3.3))
    x = [
        lambda: rng.standard_normal(n),
        lambda: rng.standard_cauchy(n) ** 3,
        lambda: rng.integers(-5, 5, n) * 1.0,
        lambda: 2.0 ** rng.integers(-1070, 1020, n),
        lambda: rng.choice(rng.standard_normal(4), n),
        lambda: 10.0 ** rng.uniform(-300, 300, n),
        lambda: rng.choice([-1.6e308, 1.6e308, 5e-324, 0.0, 1.0], n),
    ][rng.integers(7)]()
    if rng.random() < 0.4 and np.abs(x).max() < 1e200:
        x = np.round(x, rng.integers(-2, 8))
    if rng.random() < 0.3:
        x = np.where(rng.random(n) < rng.random(), rng.choice([-9999, 0.0, 1e30, 1e-30]), x)
    return significant(x, rng.integers(2, 5)) if rng.random() < 0.3 else x


def test_columns_of_any_make_are_judged_without_an_error():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x = column_of_any_make(rng)[:, None]
        with np.errstate(all="raise"):
            try:
                (column,) = rounding_report(x)
            except ValueError as error:  # a step of 3.2e308
                assert str(error).startswith("values must be near enough for their step"), seed
                continue
        assert column.n_distinct == np.unique(x).size
        assert (column.suggested_jitter > 0) <= column.is_rounded and np.isfinite(column.suggested_jitter)
        assert column.resolution is None or 0 < column.resolution < np.inf


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
