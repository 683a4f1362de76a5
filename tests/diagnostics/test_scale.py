"""No scale of the data is too large or too small: the same digits in units that differ by a power of two."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import seeds

from npscore.diagnostics import effective_sample_size, energy_distance, sliced_wasserstein, split_rhat

MEASURES = {
    "energy distance": lambda x, y: energy_distance(x, y),
    "unbiased energy distance": lambda x, y: energy_distance(x, y, unbiased=True),
    "sliced W1": lambda x, y: sliced_wasserstein(x, y, p=1, rng=0, n_projections=5),
    "sliced W2": lambda x, y: sliced_wasserstein(x, y, rng=0, n_projections=5),
    "sliced W200": lambda x, y: sliced_wasserstein(x, y, p=200, rng=0, n_projections=5),
}
exponents = st.integers(-960, 1000)  # the draws below stay normal numbers


def two_samples(seed, d):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((7, d)), 1.5 * rng.standard_normal((5, d)) + 0.5


def chains(seed, t=12, n_chains=3, d=2):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.standard_normal((t, n_chains, d)), axis=0)


@pytest.mark.parametrize("name", MEASURES)
@given(seed=seeds, d=st.integers(1, 3), exponent=exponents)
def test_a_distance_has_the_units_of_the_data_bit_for_bit(name, seed, d, exponent):
    x, y = two_samples(seed, d)
    with np.errstate(all="raise"):
        there = MEASURES[name](np.ldexp(x, exponent), np.ldexp(y, exponent))
    assert there == math.ldexp(MEASURES[name](x, y), exponent)


@given(seed=seeds, exponent=exponents)
def test_rhat_and_sample_size_have_no_units_bit_for_bit(seed, exponent):
    x = chains(seed)
    with np.errstate(all="raise"):
        there = split_rhat(np.ldexp(x, exponent)), effective_sample_size(np.ldexp(x, exponent))
    np.testing.assert_array_equal(there, (split_rhat(x), effective_sample_size(x)))


@pytest.mark.parametrize("scale", [1e155, 1e-155, 1e170, 1e-170, 1e300, 1e-300])
def test_what_overflowed_or_vanished_when_squared(scale):
    for d in (1, 3):
        x, y = two_samples(0, d)
        for measure in MEASURES.values():
            assert measure(scale * x, scale * y) == pytest.approx(scale * measure(x, y), rel=1e-12)
    x = chains(1)
    np.testing.assert_allclose(split_rhat(scale * x), split_rhat(x), rtol=1e-12)
    np.testing.assert_allclose(effective_sample_size(scale * x), effective_sample_size(x), rtol=1e-9)
    assert (effective_sample_size(scale * x) < 36).all()


def test_the_ends_of_the_float_range():
    """Subnormal numbers are whole multiples of 2⁻¹⁰⁷⁴, and a range of 3.4e308 is no float."""
    tiny, big = 5e-324, 1.7e308
    whole = np.random.default_rng(0).integers(-(2**20), 2**20, (2, 6, 2)).astype(float)
    for measure in MEASURES.values():
        expected = math.ldexp(measure(*whole), -1074)
        assert measure(*(tiny * whole)) == pytest.approx(expected, rel=0, abs=2 * tiny)
    draws = np.random.default_rng(0).integers(-(2**20), 2**20, (8, 3, 2)).astype(float)
    np.testing.assert_array_equal(split_rhat(tiny * draws), split_rhat(draws))
    np.testing.assert_array_equal(effective_sample_size(tiny * draws), effective_sample_size(draws))
    assert sliced_wasserstein([[big]], [[0.0]]) == big
    assert energy_distance([[-big], [big]], [[-big], [big]]) == 0.0
    assert energy_distance([[-big], [big]], [[-big], [big], [big]]) == pytest.approx(big / 9, rel=1e-15)
    for distance in (energy_distance, sliced_wasserstein):
        with pytest.raises(
            ValueError, match=r"^x and y must be near enough for their distance to be a float"
        ):
            distance([[-big], [-big]], [[big], [big]])


@pytest.mark.parametrize("p", [1, 2, 200, 1e4, 1e300])
def test_any_power_of_a_small_gap(p):
    assert sliced_wasserstein([[0.0]], [[0.01]], p=p) == 0.01
    largest = sliced_wasserstein([[0.0], [0.0]], [[0.01], [0.02]], p=p)
    assert largest == pytest.approx(0.02 * (0.5 * (1 + 0.5**p)) ** (1 / p), rel=1e-15)


def test_a_column_that_is_one_number_does_not_set_the_units():
    """Its differences are 0, however large it is."""
    x, y = (1e-200 * s for s in two_samples(0, 2))
    wide_x, wide_y = (np.c_[s[:, 0], np.full(len(s), 1e200), s[:, 1]] for s in (x, y))
    assert energy_distance(wide_x, wide_y) == energy_distance(x, y) > 0
    directions = np.random.default_rng(0).standard_normal((4, 3))
    along = [1e200 * sliced_wasserstein(x @ u, y @ u) for u in unit(directions)[:, [0, 2], None]]
    actual = 1e200 * sliced_wasserstein(wide_x, wide_y, projections=directions)
    assert actual == pytest.approx(np.sqrt(np.mean(np.square(along))), rel=1e-12)
    assert energy_distance(wide_x[:, [1]], wide_y[:, [1]]) == 0.0
    assert sliced_wasserstein(wide_x[:, [1]], wide_y[:, [1]]) == 0.0


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("scale", [1e-310, 1e-170, 1e170, 1e300])
def test_the_length_of_a_projection_does_not_matter_at_any_scale(scale):
    x, y = two_samples(0, 3)
    rows = np.random.default_rng(0).integers(-99, 99, (4, 3)).astype(float)
    expected = sliced_wasserstein(x, y, projections=rows)
    assert sliced_wasserstein(x, y, projections=scale * rows) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("ratio", [1e-10, 1e-100, 1e-170, 1e-300])
def test_chains_that_hardly_move_beside_how_far_they_are_apart(ratio):
    """Their R̂ is finite: 12 draws 0, r, 0, r … and two chains at 0, with one chain at 1, by hand."""
    x = np.zeros((24, 3, 1))
    x[1::2, 0, 0] = ratio
    x[:, 2, 0] = 1.0
    within = (
        2 * (3 / 11) / 6 * ratio * ratio if ratio > 1e-150 else None
    )  # the variance of 0, r, 0, r … is 3r²/11
    between = np.var([0, 0, 0, 0, 1, 1], ddof=1)
    rhat = split_rhat(x)[0]
    if within:
        assert rhat == pytest.approx(np.sqrt(11 / 12 + between / within), rel=1e-9)
    assert rhat * ratio == pytest.approx(np.sqrt(between * 11), rel=1e-9)
    # every ρ is 1, four pairs and the even lag of a fifth are counted: τ = −1 + 2·4·2 + 1
    assert effective_sample_size(x)[0] == pytest.approx(72 / 16)


def test_wider_types_than_the_result():
    x, y = (s.astype(np.longdouble) for s in two_samples(0, 2))
    if np.finfo(np.longdouble).maxexp > 2000:
        draws = chains(0).astype(np.longdouble)
        np.testing.assert_array_equal(split_rhat(np.ldexp(draws, 5000)), split_rhat(draws))
        for measure in MEASURES.values():
            with pytest.raises(ValueError, match=r"^x and y must be near enough"):
                measure(np.ldexp(x, 5000), np.ldexp(y, 5000))
            assert measure(np.ldexp(x, -5000), np.ldexp(y, -5000)) == 0.0  # nearest to it among the floats
