"""What is done about rounded data: noise that hides the grid, and a warning where there is none."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npscore import datasets
from npscore.datasets import (
    RoundedDataWarning,
    comb_information,
    comb_ripple,
    dequantise,
    rounding_report,
    suggested_jitter,
    warn_if_rounded,
)


@given(ratio=st.floats(0.2, 1.5), step=st.floats(1e-3, 1e3), place=st.floats(0, 1))
def test_ripple_of_a_smoothed_comb(ratio, step, place):
    """Poisson summation, (9.11): the comb of Gaussians against its cosine series."""
    sd, x = ratio * step, place * step
    k = np.arange(-60, 61)
    comb = step * np.exp(-0.5 * ((x - k * step) / sd) ** 2).sum() / (sd * np.sqrt(2 * np.pi))
    j = np.arange(2, 20)
    higher = 2 * np.exp(-2 * (np.pi * j * sd / step) ** 2) @ np.cos(2 * np.pi * j * x / step)
    series = 1 + comb_ripple(sd, step) * np.cos(2 * np.pi * x / step) + higher  # eq-9.11
    assert comb == pytest.approx(series, abs=1e-13)


def test_the_stated_ripples():
    assert comb_ripple(0.5, 1.0) == pytest.approx(1.4e-2, rel=0.05)
    assert comb_ripple(0.75, 1.0) == pytest.approx(3.0e-5, rel=0.01)


def comb_ism(x, step, amplitude):
    """J_ISM of the score −A sin(2πx/Δ), which a flexible model adds to see a grid: ½s² + s′, averaged."""
    phase = 2 * np.pi * x / step
    return np.mean(0.5 * (amplitude * np.sin(phase)) ** 2 - amplitude * 2 * np.pi / step * np.cos(phase))


def test_implicit_score_matching_is_unbounded_below_until_dequantised():
    x = datasets.old_faithful().values[:, 1:]
    amplitudes = 10.0 ** np.arange(1, 7)
    rounded = [comb_ism(x, 1.0, a) for a in amplitudes]
    assert np.allclose(rounded, -2 * np.pi * amplitudes, rtol=1e-6)  # as low as you please
    smooth = dequantise(np.repeat(x, 50, axis=0), suggested_jitter(x), rng=0)
    assert min(comb_ism(smooth, 1.0, a) for a in amplitudes) > 0  # nothing to be gained


def sine_on_a_gaussian(sd, jitter):
    """J_ISM of the best Gaussian for N(0, sd²) rounded to whole numbers plus N(0, jitter²), and with a sine added.

    Over the exact law: the grid points k with weights ∝ exp(−k²/2sd²), and the noise by the trapezoid rule.
    """
    k = np.arange(-8 * round(sd), 8 * round(sd) + 1)
    z = np.linspace(-9, 9, 1801)
    x = (k[:, None] + jitter * z).ravel()
    weights = np.outer(np.exp(-0.5 * (k / sd) ** 2), np.exp(-0.5 * z**2)).ravel()
    weights /= weights.sum()
    variance = weights @ x**2
    gaussian = -0.5 / variance
    sine, slope = np.sin(2 * np.pi * x), 2 * np.pi * np.cos(2 * np.pi * x)
    linear = weights @ (slope - sine * x / variance)  # J(A) = J(0) + A · linear + ½ A² · E sin²
    return gaussian, gaussian - 0.5 * linear**2 / (weights @ sine**2)


@pytest.mark.parametrize(("steps", "beats"), [(0.5, 10.2), (0.6, 0.133), (0.75, 4.5e-5)])
def test_half_a_step_of_noise_leaves_a_sine_worth_ten_gaussians_and_three_quarters_none(steps, beats):
    """At sd = 50 steps, with the theorem's number: ISM sees the ripple of the score, not of the density."""
    gaussian, with_sine = sine_on_a_gaussian(50, steps)
    gain = (with_sine - gaussian) / gaussian
    assert gain == pytest.approx(comb_information(steps, 1.0, 50.0), rel=2e-3)
    assert gain == pytest.approx(beats, rel=0.02)
    enough = gain < 0.02
    rounded = np.rint(50 * np.random.default_rng(0).standard_normal((2000, 1)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_if_rounded(rounded, jitter=steps)
    assert [w.category for w in caught] == ([] if enough else [RoundedDataWarning])


def test_three_quarters_of_a_step_are_enough_for_every_step_that_counts():
    assert comb_information(0.75, 1.0, 1000.0) == pytest.approx(0.0178, rel=0.01)
    assert comb_information(0.7, 1.0, 1000.0) > 0.2
    for exponent in (-900, 0, 900):  # only ratios count
        scale = 2.0**exponent
        assert comb_information(0.6 * scale, scale, 5 * scale) == comb_information(0.6, 1.0, 5.0)
    assert comb_information(1e300, 1e-300, 1.0) == 0.0 == comb_ripple(1e300, 1e-300)
    with pytest.raises(ValueError, match=r"^deviation and resolution must have a quotient"):
        comb_information(0.0, 1e-200, 1.0)


def test_dequantise_is_x_plus_jitter_times_normal_noise():
    x = datasets.old_faithful().values
    z = np.random.default_rng(5).standard_normal(x.shape)
    assert np.array_equal(dequantise(x, 0.3, rng=5), x + 0.3 * z)
    out = dequantise(x, (0.0, 2.0), rng=np.random.default_rng(5))
    assert np.array_equal(out[:, 0], x[:, 0]) and np.array_equal(out[:, 1], x[:, 1] + 2.0 * z[:, 1])
    assert not np.shares_memory(dequantise(x, 0.0, rng=0), x)
    for dtype in (np.float32, np.float64, np.longdouble):
        assert dequantise(x.astype(dtype), 0.3, rng=5).dtype == dtype


def test_the_law_of_the_noise():
    """E cos(2π(x+σz)/Δ) = exp(−2π²σ²/Δ²) on a grid, half the ripple; σ² for σ, or uniform noise, is rejected."""
    n, step, sd = 40_000, 2.0, 0.5
    x = step * np.random.default_rng(0).integers(0, 9, (n, 1))
    expected, error = 0.5 * comb_ripple(sd, step), 1 / np.sqrt(2 * n)

    def deviation(noisy):
        return abs(np.mean(np.cos(2 * np.pi * noisy / step)) - expected) / error

    assert deviation(dequantise(x, sd, rng=1)) < 4
    assert deviation(dequantise(x, sd**2, rng=1)) > 10
    uniform = np.random.default_rng(1).uniform(-1, 1, x.shape) * sd * np.sqrt(3)
    assert deviation(x + uniform) > 4


def test_nothing_is_seen_after_the_suggested_noise():
    table = datasets.fiji_quakes()
    smooth = dequantise(table.values, suggested_jitter(table.values), rng=0)
    assert not any(column.is_rounded or column.resolution for column in rounding_report(smooth))


def test_the_warning_names_column_step_and_cure():
    table = datasets.old_faithful()
    with pytest.warns(RoundedDataWarning) as caught:
        warn_if_rounded(table.values, table.columns)
    assert len(caught) == 1 and caught[0].filename == __file__
    message = str(caught[0].message)
    assert "column 'waiting' (steps of 1, 81% of rows repeat a value; jitter 0, suggested 0.75)" in message
    assert "column 'eruptions' (steps of 0.01667, 54%" in message and "suggested 0.0125" in message
    assert "unbounded below" in message and "add noise with jitter=" in message


def test_the_warning_depends_on_the_jitter():
    table = datasets.old_faithful()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_rounded(table.values, table.columns, 0.65)
        warn_if_rounded(table.values, jitter=suggested_jitter(table.values))
        warn_if_rounded(np.random.default_rng(0).standard_normal((300, 3)))
    for jitter in (0.4, 0.5):  # half a step is not enough: its sd is 14 steps
        with pytest.warns(
            RoundedDataWarning, match=rf"column 'waiting' .*jitter {jitter}, suggested 0.75"
        ) as caught:
            warn_if_rounded(table.values, table.columns, (0.1, jitter))
        assert "eruptions" not in str(caught[0].message)
    with pytest.warns(RoundedDataWarning, match="column 'pixel_0_0' is constant .*; and 61 more columns"):
        warn_if_rounded(datasets.digits().values, datasets.digits().columns)
    heap = np.repeat([0.0, 1.0, np.pi], 20)[:, None]
    with pytest.warns(RoundedDataWarning, match="no common step"):
        warn_if_rounded(heap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_rounded(heap, jitter=0.1)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: rounding_report([1.0, 2.0]), ValueError, "values must have shape"),
        (lambda: rounding_report([[np.nan]]), ValueError, "values must be finite"),
        (lambda: rounding_report([["a"]]), TypeError, "values must hold real numbers"),
        (lambda: rounding_report([[1.0]], ("a", "b")), ValueError, "columns must be 1"),
        (lambda: suggested_jitter(np.empty((0, 1))), ValueError, "at least one row"),
        (lambda: warn_if_rounded([[1.0]], jitter=-1.0), ValueError, "jitter must be >= 0, got -1.0"),
        (lambda: warn_if_rounded([[1.0]], jitter=(1.0, 2.0)), ValueError, "jitter must have shape (1,)"),
        (lambda: dequantise([[1.0]], -0.5, rng=0), ValueError, "jitter must be >= 0, got -0.5"),
        (lambda: dequantise([[1.0]], np.inf, rng=0), ValueError, "jitter must be finite"),
        (lambda: dequantise([[1.0]], "auto", rng=0), TypeError, "jitter must hold real numbers"),
        (lambda: dequantise([[1.0]], True, rng=0), TypeError, "jitter must hold real numbers"),
        (lambda: dequantise([[1.0]], 1.0, rng="seed"), TypeError, "rng must be"),
        (lambda: dequantise([[1j]], 1.0, rng=0), TypeError, "x must hold real numbers"),
        (lambda: comb_ripple(1.0, 0.0), ValueError, "resolution must be a finite number > 0"),
        (lambda: comb_information(1.0, 1.0, 0.0), ValueError, "deviation must be a finite number > 0"),
        (lambda: comb_ripple(-1.0, 1.0), ValueError, "jitter must be a finite number >= 0"),
    ],
)
def test_bad_arguments_about_rounding(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_jitter_in_the_type_of_the_data_or_not_at_all():
    x = np.ones((3, 1), np.float32)
    for jitter in (1e-50, 1e50):
        with pytest.raises(ValueError, match=r"^jitter must be 0 or a number that float32 holds, got 1e"):
            dequantise(x, jitter, rng=0)
    with pytest.raises(
        ValueError, match=r"^x and jitter must have finite sums in float64, got x up to 1.7e\+308"
    ):
        dequantise(np.full((50, 1), 1.7e308), 1e308, rng=0)
    assert dequantise(np.full((2, 1), 1e200), 1e199, rng=0)[0, 0] != 1e200


def test_a_warning_at_any_scale():
    rounded = np.rint(20 * np.random.default_rng(0).standard_normal((300, 1)))
    for exponent in (-1000, -500, 0, 500, 1000):
        x, unit = np.ldexp(rounded, exponent), 2.0**exponent
        with np.errstate(all="raise"), pytest.warns(RoundedDataWarning, match="column 'x1'"):
            warn_if_rounded(x, jitter=0.5 * unit)
        with np.errstate(all="raise"):
            warn_if_rounded(x, jitter=0.75 * unit)
