"""Checks of arguments: what is accepted comes back clean and with its value, what is not is named."""

import re
import warnings
from fractions import Fraction

import numpy as np
import pytest

from npscore._run import borders as v

KEPT = (np.float32, np.float64, np.longdouble)


@pytest.mark.parametrize("dtype", KEPT)
def test_floating_types_pass_through_untouched(dtype):
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    assert v.as_array(x, "x") is x
    assert v.as_batch(x, "x", n=2, d=3) is x
    assert v.as_shaped(x, "x", (2, 3)) is x


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.int64, np.float16])
def test_integers_and_half_precision_become_float64(dtype):
    x = v.as_array(np.array([1, 2, 3], dtype=dtype), "x")
    assert x.dtype == np.float64
    np.testing.assert_array_equal(x, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.clongdouble])
def test_complex_passes_only_where_asked(dtype):
    x = np.ones(2, dtype)
    assert v.as_array(x, "x", allow_complex=True) is x
    with pytest.raises(TypeError, match=r"x must hold real numbers, got .*complex"):
        v.as_array(x, "x")


@pytest.mark.parametrize(
    "value", [True, [True, False], "text", ["1", "2"], None, object(), [None], {1: 2}, b"12", [[1], [1, 2]]]
)
def test_what_is_not_a_rectangle_of_numbers_is_a_type_error(value):
    with pytest.raises(TypeError, match=r"^thing must (hold real|be a rectangular array of) numbers, got "):
        v.as_array(value, "thing")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_with_its_index(bad):
    x = np.zeros((2, 3))
    x[1, 2] = bad
    with pytest.raises(ValueError, match=re.escape(f"x must be finite, got {bad} at index (1, 2)")):
        v.as_array(x, "x")
    assert v.as_array(x, "x", finite=False) is x


def test_a_scalar_that_is_not_finite_has_the_empty_index():
    with pytest.raises(ValueError, match=r"t must be finite, got nan at index \(\)"):
        v.as_array(np.nan, "t")


@pytest.mark.parametrize(
    "shape, kwargs, message",
    [
        ((3,), {}, r"x must have shape (n, d), got shape (3,); one-dimensional data is x[:, None]"),
        ((), {}, "x must have shape (n, d), got shape ()"),
        ((1, 2, 3), {"d": 3}, "x must have shape (n, 3), got shape (1, 2, 3)"),
        ((0, 3), {}, "x must have at least one row and one column, got shape (0, 3)"),
        ((3, 0), {}, "x must have at least one row and one column, got shape (3, 0)"),
        ((2, 3), {"n": 4}, "x must have shape (4, d), got shape (2, 3)"),
        ((2, 3), {"n": 2, "d": 2}, "x must have shape (2, 2), got shape (2, 3)"),
    ],
)
def test_a_batch_of_another_shape_is_named(shape, kwargs, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        v.as_batch(np.zeros(shape), "x", **kwargs)


@pytest.mark.parametrize("dtype", KEPT)
@pytest.mark.parametrize("n", [1, 3, 7])
def test_no_weights_means_the_mean_to_the_last_bit_of_the_type(dtype, n):
    w = v.as_weights(None, n, dtype)
    assert w.dtype == dtype and w.shape == (n,)
    assert (w == dtype(1) / dtype(n)).all()


def test_weights_are_one_per_row():
    w = np.array([0.5, 0.25])
    assert v.as_weights(w, 2, np.float64) is w
    with pytest.raises(ValueError, match=r"weights must have shape \(3,\), got shape \(2,\)"):
        v.as_weights(w, 3, np.float64)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2), np.array(2.0), np.longdouble(2)])
def test_any_real_scalar_is_a_number(value):
    number = v.as_number(value, "t", above=0, at_most=2)
    assert type(number) is float and number == 2.0


@pytest.mark.parametrize("value", [True, np.bool_(True), "2", None, 2j, [2.0], np.array([2.0]), object()])
def test_what_is_no_real_scalar_is_a_type_error(value):
    with pytest.raises(TypeError, match="t must be a finite number > 0, got "):
        v.as_number(value, "t", above=0)


@pytest.mark.parametrize(
    "value, bounds, expected",
    [
        (0.0, {"above": 0}, "> 0"),
        (-1.0, {"at_least": 0}, ">= 0"),
        (1.0, {"above": 0, "below": 1}, "> 0 and < 1"),
        (3.0, {"at_most": 2}, "<= 2"),
        (np.nan, {"above": 0}, "> 0"),
        (np.inf, {"above": 0}, "> 0"),
    ],
)
def test_a_number_out_of_bounds_is_named_with_them(value, bounds, expected):
    with pytest.raises(ValueError, match=re.escape(f"t must be a finite number {expected}, got {value!r}")):
        v.as_number(value, "t", **bounds)


@pytest.mark.parametrize("value", [3, np.int32(3), np.uint8(3)])
def test_whole_numbers_count(value):
    count = v.as_count(value, "n")
    assert type(count) is int and count == 3


@pytest.mark.parametrize("value", [True, 3.0, "3", None, np.float64(3), [3]])
def test_what_is_not_whole_does_not_count(value):
    with pytest.raises(TypeError, match="n must be a whole number >= 1, got "):
        v.as_count(value, "n")


def test_counts_have_a_minimum():
    assert v.as_count(0, "burn_in", minimum=0) == 0
    with pytest.raises(ValueError, match="n must be a whole number >= 1, got 0"):
        v.as_count(0, "n")


BEYOND = {
    "large": 10**400,
    "negative": -(10**400),
    "too long to print": 10**5000,
    "fraction": Fraction(10**400),
}


@pytest.mark.parametrize("value", list(BEYOND.values()), ids=list(BEYOND))
def test_numbers_beyond_floats_and_words_are_named(value):
    with pytest.raises(ValueError, match=r"^t must be a finite number > 0, got ") as caught:
        v.as_number(value, "t", above=0)
    assert str(caught.value).endswith("one beyond the range of floats")
    if isinstance(value, int):
        for check in (v.as_count, lambda value, name: v.as_rng(-abs(value))):
            with pytest.raises(
                ValueError, match=r"^(t must be a whole number >= 1|rng must be a seed >= 0)"
            ) as caught:
                check(value, "t")
            assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "value", [np.timedelta64(3, "D"), np.timedelta64(3, "s"), np.datetime64("2020"), np.ma.masked]
)
def test_what_numpy_calls_a_number_and_a_user_does_not_is_a_type_error(value):
    with pytest.raises(TypeError, match="t must be a finite number, got "):
        v.as_number(value, "t")
    with pytest.raises(TypeError, match="t must be a whole number >= 1, got "):
        v.as_count(value, "t")
    with pytest.raises(TypeError, match="rng must be a numpy Generator or a whole-number seed, got "):
        v.as_rng(value)
    with pytest.raises(TypeError, match=r"t must (hold real|be a rectangular)"):
        v.as_array(value, "t")


RAGGED = (
    [[1.0], [1.0, 2.0]],
    [1.0, [2.0]],
    [np.zeros(2), np.zeros(3)],
    [np.zeros((2, 3)), np.zeros((2, 4))],
    ([[1.0, 2.0], [3.0]], [[1.0], [2.0]]),
)


@pytest.mark.parametrize("value", RAGGED)
def test_ragged_lists_are_refused_without_touching_the_processs_warning_filters(value, monkeypatch):
    """Filters belong to all threads: one that is set and put back in this thread undoes those of the others."""

    def touched(*arguments, **settings):
        pytest.fail("the filters were touched")

    for name in ("catch_warnings", "simplefilter", "filterwarnings"):
        monkeypatch.setattr(warnings, name, touched)
    with pytest.raises(TypeError, match="x must be a rectangular array of numbers, got "):
        v.as_array(value, "x")
    assert v.as_array([[1, 2], [3, 4]], "x").dtype == np.float64
    monkeypatch.undo()


def test_what_is_ragged_is_found_without_numpys_warning():
    """The way of NumPy < 1.24, which only warns, on any version."""
    assert all(map(v._is_ragged, RAGGED[:3] + RAGGED[4:]))
    for value in (
        [[1.0, 2.0], [3.0, 4.0]],
        [np.zeros(2)] * 3,
        ["ab", "c"],
        [np.float32(1)],
        [],
        [[]],
        [None],
        [{1: 2}],
    ):
        assert not v._is_ragged(value)
    v._is_ragged([np.zeros((2, 3)), np.zeros((2, 3))])


def test_a_foreign_array_that_refuses_in_its_own_way_is_a_type_error():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("Can't call numpy() on a tensor that requires grad")

    with pytest.raises(TypeError, match="x must be a rectangular array of numbers, got Tensor"):
        v.as_array(Tensor(), "x")


def test_a_picture_is_short_and_never_raises():
    class Odd:
        def __repr__(self):
            raise RuntimeError

    for value in (
        Odd(),
        [Odd()],
        10**5000,
        [10**5000],
        "x" * 10**6,
        [[0.0] * 10**6] * 3,
        np.zeros((9, 9, 9)),
    ):
        assert len(v.picture(value)) <= 80 and "\n" not in v.picture(value)
    assert v.picture("a  b") == "'a  b'" and v.picture([1.0, 2.0]) == "[1.0, 2.0]"


def test_choices_and_flags():
    assert v.as_choice("b", "law", ("a", "b")) == "b"
    with pytest.raises(ValueError, match="law must be one of a, b, got 'c'"):
        v.as_choice("c", "law", ("a", "b"))
    with pytest.raises(TypeError, match="law must be one of a, b, got int 1"):
        v.as_choice(1, "law", ("a", "b"))
    assert v.as_flag(np.bool_(True), "resume") is True
    with pytest.raises(TypeError, match="resume must be True or False, got int 1"):
        v.as_flag(1, "resume")


def test_rng_is_a_generator_or_a_seed_and_a_generator_is_used_as_it_is():
    generator = np.random.default_rng(3)
    assert v.as_rng(generator) is generator
    assert v.as_rng(3).random() == v.as_rng(np.int64(3)).random() == np.random.default_rng(3).random()
    assert v.as_rng(np.random.SeedSequence(3)).random() == np.random.default_rng(3).random()
    with pytest.raises(ValueError, match="rng must be a seed >= 0, got -1"):
        v.as_rng(-1)
    for bad in (1.0, "0", True, np.random.RandomState(0), [1, 2]):
        with pytest.raises(TypeError, match="rng must be a numpy Generator or a whole-number seed, got "):
            v.as_rng(bad)


def test_a_score_must_return_the_shape_of_x():
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"score\(x\) must have the shape of x, \(3, 2\), got shape \(3,\)"):
        v.call_score(lambda x: x.sum(axis=1), x)
    with pytest.raises(TypeError, match=r"p\(x\) must hold real numbers, got NoneType None"):
        v.call_score(lambda x: None, x, "p")
    with pytest.raises(TypeError, match=r"score must be a callable \(n, d\), got float 1.0"):
        v.as_callable(1.0, "score", "(n, d)")


def test_long_values_are_shown_short_and_on_one_line():
    with pytest.raises(TypeError) as info:
        v.as_number(np.zeros((50, 50)), "t")
    assert "\n" not in str(info.value) and len(str(info.value)) < 150


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_masked_entries_are_refused_and_a_matrix_is_an_array():
    values = np.arange(6.0).reshape(3, 2)
    with pytest.raises(TypeError, match="x must be a rectangular array of numbers"):
        v.as_batch(np.ma.masked_equal(values, 2.0), "x")
    assert type(v.as_batch(np.ma.array(values), "x")) is np.ndarray
    assert type(v.as_batch(np.asmatrix(values), "x")) is np.ndarray
