"""Standardising: mean 0, variance 1, the way back, and the chain rule for scores and log densities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npscore import datasets
from npscore.datasets import Standardisation

seeds = st.integers(0, 2**32 - 1)


def table_of(seed, n, d):
    """n x d numbers of every scale from 1e-3 to 1e3, each column about a mean of its own."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-3, 3, d) + rng.standard_normal(d)


@given(seed=seeds, n=st.integers(2, 40), d=st.integers(1, 5))
def test_standardised_columns_have_mean_0_and_variance_1_and_go_back(seed, n, d):
    x = table_of(seed, n, d)
    units = Standardisation.fit(x)
    u = units.forward(x)
    error = 8 * np.finfo(float).eps * (1 + np.abs(units.mean) / units.scale)
    assert (np.abs(u.mean(axis=0)) <= error).all()
    assert (np.abs((u**2).mean(axis=0) - 1) <= 4 * error).all()  # with n − 1 it would be 1 − 1/n
    assert (np.abs(units.inverse(u) - x) <= 4 * np.finfo(float).eps * (np.abs(x) + np.abs(units.mean))).all()


@given(seed=seeds, d=st.integers(1, 4))
def test_fit_follows_a_change_of_units(seed, d):
    x = table_of(seed, 30, d)
    slope, shift = 10.0 ** np.random.default_rng(seed).uniform(-2, 2, (2, d))
    there, here = Standardisation.fit(shift - slope * x), Standardisation.fit(x)
    assert np.allclose(there.scale, slope * here.scale, rtol=1e-9)
    assert np.allclose(there.forward(shift - slope * x), -here.forward(x), rtol=0, atol=1e-8)


def test_the_covariance_in_standard_units_is_the_correlation():
    values = datasets.fiji_quakes().values
    u = Standardisation.fit(values).forward(values)
    assert np.abs(u.T @ u / len(u) - np.corrcoef(values.T)).max() < 1e-12


def log_prob_standard(u):
    """Some smooth log density, up to a constant; analytic, so that the complex step passes."""
    return -0.25 * np.sum(u**4, axis=1) + 0.3 * np.sin(u[:, 0] + 2.0 * u[:, -1])


def score_standard(u):
    wave = 0.3 * np.cos(u[:, 0] + 2.0 * u[:, -1])  # (n,)
    score = -(u**3)  # (n, d)
    score[:, 0] += wave
    score[:, -1] += 2.0 * wave
    return score


@given(seed=seeds, d=st.integers(1, 4))
def test_chain_rule_for_scores(seed, d):
    x = table_of(seed, 12, d)
    units = Standardisation.fit(x)
    score = units.score_to_data_units(score_standard(units.forward(x)))
    for j in range(d):
        shifted = x.astype(complex)
        shifted[:, j] += 1e-30j
        gradient = log_prob_standard(units.forward(shifted)).imag / 1e-30
        assert np.abs(score[:, j] - gradient).max() <= 1e-12 * np.abs(gradient).max()


def test_log_density_offset_on_a_gaussian():
    units = Standardisation([1.0, -2.0], [0.5, 300.0])
    x = np.array([[0.7, 100.0], [2.0, -500.0]])
    u = units.forward(x)
    in_data_units = -0.5 * np.sum(
        ((x - [1, -2]) / [0.5, 300]) ** 2 + np.log(2 * np.pi * np.square([0.5, 300])), axis=1
    )
    in_standard_units = -0.5 * np.sum(u**2 + np.log(2 * np.pi), axis=1)
    assert np.allclose(in_data_units, in_standard_units - units.log_det, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
def test_types_are_kept_and_arguments_left_alone(dtype):
    x = table_of(3, 9, 2).astype(dtype)
    before = x.copy()
    units = Standardisation.fit(x.real, ("a", "b"))
    for out in (units.forward(x), units.inverse(x), units.score_to_data_units(x)):
        assert out.dtype == dtype and not np.shares_memory(out, x)
    assert np.array_equal(x, before) and units.columns == ("a", "b")
    assert not (units.mean.flags.writeable or units.scale.flags.writeable)


@given(seed=seeds, exponent=st.integers(-950, 1000))
def test_fit_follows_units_of_two_bit_for_bit(seed, exponent):
    x = np.random.default_rng(seed).standard_normal((20, 3))
    with np.errstate(all="raise"):
        here, there = Standardisation.fit(x), Standardisation.fit(np.ldexp(x, exponent))
        np.testing.assert_array_equal(there.forward(np.ldexp(x, exponent)), here.forward(x))
    np.testing.assert_array_equal(there.mean, np.ldexp(here.mean, exponent))
    np.testing.assert_array_equal(there.scale, np.ldexp(here.scale, exponent))


def test_the_ends_of_the_float_range():
    units = Standardisation.fit(np.repeat([[1.7e308], [1.6e308]], 30, axis=0))  # its sum is no float
    assert units.mean[0] == pytest.approx(1.65e308) and units.scale[0] == pytest.approx(0.05e308)
    assert Standardisation.fit([[-1.7e308], [1.7e308]]).scale[0] == pytest.approx(1.7e308)


@pytest.mark.parametrize("scale", [1e-200, 1e-40, 1e30, 1e200])
def test_float32_has_constants_of_any_size(scale):
    """The mean's digits are not lost before it is subtracted, and a scale of 1e-45 is not 0."""
    units = Standardisation([1e3 * scale], [scale])
    u = np.array([[-1.5], [0.25]], np.float32)
    wide = units.inverse(u.astype(float))
    assert (np.abs(units.forward(wide) - u) < 1e-12).all()
    narrow = Standardisation([16777217.0], [1.0]).forward(np.float32([[16777216.0]]))  # 2²⁴ + 1 is no float32
    assert narrow.dtype == np.float32 and narrow[0, 0] == -1.0
    assert Standardisation([0.0], [1e-45]).score_to_data_units(np.float32([[1e-30]]))[0, 0] == np.float32(
        1e15
    )


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_fit_neither_overflows_nor_vanishes(scale):
    x = np.array([[-1.0], [0.0], [3.0]])
    with np.errstate(over="raise", invalid="raise"):
        assert Standardisation.fit(x * scale).scale == pytest.approx(scale * x.std(), rel=1e-14)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Standardisation.fit(np.full((5, 1), 0.1), ("hot",)),
            ValueError,
            "column 'hot' is constant (0.1)",
        ),
        (lambda: Standardisation.fit([[1, 2], [3, 2]]), ValueError, "column 'x2' is constant (2)"),
        (lambda: Standardisation.fit([[1.0, 2.0]]), ValueError, "column 'x1' is constant"),
        (
            lambda: Standardisation.fit([[0.0], [5e-324]], ("tiny",)),
            ValueError,
            "'tiny' spreads too little",
        ),
        (
            lambda: Standardisation([1e308], [1.0]).forward([[-1.7e308]]),
            ValueError,
            "x must be finite in the other units, in float64, got -1.7e+308 at index (0, 0)",
        ),
        (
            lambda: Standardisation([0.0], [1e300]).inverse(np.float32([[1.0]])),
            ValueError,
            "u must be finite in the other units, in float32",
        ),
        (
            lambda: Standardisation([0.0], [1e-300]).score_to_data_units([[1e10]]),
            ValueError,
            "score must be finite in the other units",
        ),
        (lambda: Standardisation.fit([1.0, 2.0]), ValueError, "values must have shape"),
        (lambda: Standardisation.fit([[1.0], [2.0]], ("a", "b")), ValueError, "columns must be 1"),
        (lambda: Standardisation([0.0], [0.0]), ValueError, "scale must be > 0, got 0.0 at index 0"),
        (lambda: Standardisation([0.0, 0.0], [1.0, -2.0]), ValueError, "got -2.0 at index 1"),
        (lambda: Standardisation([0.0, 0.0], [1.0]), ValueError, "scale must have shape (2,)"),
        (lambda: Standardisation([[0.0]], [[1.0]]), ValueError, "mean must have shape (d,)"),
        (lambda: Standardisation([np.nan], [1.0]), ValueError, "mean must be finite"),
        (lambda: Standardisation([0.0], ["1"]), TypeError, "scale must hold real numbers"),
        (lambda: Standardisation([0.0], [1.0]).forward([[1.0, 2.0]]), ValueError, "x must have shape (n, 1)"),
        (lambda: Standardisation([0.0], [1.0]).inverse([[np.inf]]), ValueError, "u must be finite"),
        (
            lambda: Standardisation([0.0], [1.0]).score_to_data_units([1.0]),
            ValueError,
            "score must have shape",
        ),
    ],
)
def test_bad_standardisations(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)
