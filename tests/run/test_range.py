"""The range of floats: exact units, and one error where a result leaves it."""

import math

import numpy as np
import pytest

from npscore._run.scale import as_float64, exponents, in_units, within_range


def test_a_result_beyond_floats_is_one_error_that_names_the_argument():
    @within_range("x", "its square")
    def square(x):
        return np.asarray(x) ** 2

    assert square(3.0) == 9.0 and square(1e-300) == 0.0  # underflow is no error
    message = r"^x must be of a size at which its square can be computed in floats, got overflow .*: rescale$"
    for _ in range(2):  # a decorator serves more than one call
        with pytest.raises(ValueError, match=message):
            square(1e200)
    with pytest.raises(ValueError, match="x must be of a size"), within_range("x", "1/x"):
        np.log(np.zeros(1))
    with pytest.raises(ValueError, match="x must be of a size"), within_range("x", "1/x"):
        raise ZeroDivisionError("float division by zero")
    with pytest.raises(KeyError), within_range("x", "anything"):
        raise KeyError("another")
    assert np.geterr()["over"] == "warn"


def test_units_are_the_powers_of_two_just_above():
    x = np.array([[0.5, -3.0], [1e-310, 0.0], [2.0**1023, 1.0]])
    e = exponents(x, axis=1)
    assert e.tolist() == [2, -1029, 1024]
    np.testing.assert_array_equal(
        np.abs(in_units(x, e[:, None])).max(axis=1), [0.75, math.ldexp(1e-310, 1029), 0.5]
    )
    assert exponents(np.zeros(3)) == 0


def test_a_longdouble_beyond_float64_is_refused_by_name():
    x = np.array([1.0, 2.0], np.longdouble)
    assert as_float64(x, "x").dtype == np.float64
    with np.errstate(over="ignore"):
        far = np.longdouble(1e308) * 100
    if np.isfinite(far):
        with pytest.raises(ValueError, match="x must be within the range of float64"):
            as_float64(np.array([far]), "x")
