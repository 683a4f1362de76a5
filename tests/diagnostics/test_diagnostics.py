"""Distances between samples: against double loops, closed forms, SciPy, and the symmetries they must have."""

from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import seeds

from npscore import diagnostics
from npscore.diagnostics import energy_distance, sliced_wasserstein

sizes = st.integers(1, 12)
dimensions = st.integers(1, 5)
orders = st.sampled_from([1, 1.5, 2, 3])


def two_samples(seed, n, m, d):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), 1.5 * rng.standard_normal((m, d)) + 0.5


def rotation(seed, d):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def mean_distance(x, y):
    """The definition, pair by pair."""
    return sum(np.linalg.norm(a - b) for a in x for b in y) / (len(x) * len(y))


# Energy distance ------------------------------------------------------------------------------------------


@given(seeds, sizes, sizes, dimensions)
def test_energy_distance_is_its_definition_pair_by_pair(seed, n, m, d):
    x, y = two_samples(seed, n, m, d)
    expected = 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)  # eq-9.3
    assert energy_distance(x, y) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@given(seeds, st.integers(2, 12), st.integers(2, 12), dimensions)
def test_unbiased_energy_distance_leaves_out_the_pairs_of_a_point_with_itself(seed, n, m, d):
    x, y = two_samples(seed, n, m, d)
    within_x = sum(np.linalg.norm(a - b) for a, b in permutations(x, 2)) / (n * (n - 1))
    within_y = sum(np.linalg.norm(a - b) for a, b in permutations(y, 2)) / (m * (m - 1))
    expected = 2 * mean_distance(x, y) - within_x - within_y
    assert energy_distance(x, y, unbiased=True) == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_unbiased_energy_distance_is_zero_on_average_over_all_ways_to_split_one_sample():
    pool = np.random.default_rng(0).standard_normal((7, 2))
    splits = [sorted(rows) for rows in combinations(range(7), 3)]
    rest = [sorted(set(range(7)) - set(rows)) for rows in splits]
    values = [energy_distance(pool[a], pool[b], unbiased=True) for a, b in zip(splits, rest)]
    assert abs(np.mean(values)) < 1e-15
    assert np.mean([energy_distance(pool[a], pool[b]) for a, b in zip(splits, rest)]) > 0.1


def test_unbiased_energy_distance_needs_two_rows():
    with pytest.raises(ValueError, match="at least two rows each for unbiased=True, got 1 and 2"):
        energy_distance([[0.0]], [[0.0], [1.0]], unbiased=True)


@pytest.mark.parametrize("block", [1, 7, 50, 10**9])
def test_the_size_of_the_blocks_does_not_matter(monkeypatch, block):
    x, y = two_samples(0, 23, 17, 3)
    expected = energy_distance(x, y)
    monkeypatch.setattr(diagnostics.distances, "_BLOCK", block)
    assert energy_distance(x, y) == pytest.approx(expected, rel=1e-13)


@given(seeds, sizes, sizes)
def test_on_a_line_the_two_routes_agree(seed, n, m):
    x, y = two_samples(seed, n, m, 1)
    in_the_plane = energy_distance(
        np.c_[x, np.zeros(n)], np.c_[y, np.zeros(m)]
    )  # by pairs, not by 2 ∫ (F−G)²
    assert energy_distance(x, y) == pytest.approx(in_the_plane, rel=1e-12, abs=1e-14)


def test_ties_on_a_line_are_counted_right():
    x, y = np.array([[0.0], [0], [1], [2]]), np.array([[0.0], [1], [1]])
    expected = 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)
    assert energy_distance(x, y) == pytest.approx(expected, rel=1e-13)


@given(seeds, dimensions)
def test_two_points_are_twice_their_distance_apart(seed, d):
    x, y = two_samples(seed, 1, 1, d)
    assert energy_distance(x, y) == pytest.approx(2 * np.linalg.norm(x - y), rel=1e-14)


@given(seeds, sizes, sizes, dimensions)
def test_it_is_a_distance_between_laws_that_moves_and_scales_with_the_data(seed, n, m, d):
    x, y = two_samples(seed, n, m, d)
    distance, rng = energy_distance(x, y), np.random.default_rng(seed)
    same = {"rel": 1e-11, "abs": 1e-13}
    assert energy_distance(x, x) == 0.0
    assert energy_distance(x, rng.permutation(x)) == pytest.approx(0.0, abs=1e-14)
    assert energy_distance(x, np.repeat(x, 3, axis=0)) == pytest.approx(0.0, abs=1e-14)
    assert energy_distance(y, x) == pytest.approx(distance, **same)
    assert energy_distance(rng.permutation(x), y) == pytest.approx(distance, **same)
    moved = rotation(seed, d) * 2.5
    assert energy_distance(x @ moved + 3, y @ moved + 3) == pytest.approx(2.5 * distance, **same)


def test_close_pairs_far_from_the_origin_keep_their_digits():
    x, y = (np.round(s * 2**20) / 2**20 for s in two_samples(0, 40, 30, 3))  # x + 2³⁰ is then exact
    assert energy_distance(x + 2.0**30, y + 2.0**30) == energy_distance(x, y)


def test_for_samples_of_one_law_its_mean_is_the_mean_distance_times_one_over_n_plus_one_over_m():
    points, n, m = np.array([[0.0, 0.0], [1.0, 0.5], [-0.5, 2.0]]), 2, 3
    samples = (points[list(rows)] for rows in product(range(3), repeat=n + m))  # all 3⁵, equally likely
    mean = np.mean([energy_distance(s[:n], s[n:]) for s in samples])
    assert mean == pytest.approx((1 / n + 1 / m) * mean_distance(points, points), rel=1e-12)


def test_single_precision_data_is_measured_in_double_precision():
    for d in (1, 3):
        x, y = (s.astype(np.float32) for s in two_samples(0, 9, 8, d))
        assert energy_distance(x, y) == energy_distance(x.astype(np.float64), y.astype(np.float64))
        wide = energy_distance(x.astype(np.longdouble), y.astype(np.longdouble))
        assert energy_distance(x, y) == pytest.approx(wide, rel=1e-13)


@given(seeds, sizes, sizes)
def test_it_is_the_square_of_scipys_on_a_line(seed, n, m):
    stats = pytest.importorskip("scipy.stats")
    x, y = two_samples(seed, n, m, 1)
    assert energy_distance(x, y) == pytest.approx(stats.energy_distance(x[:, 0], y[:, 0]) ** 2, rel=1e-11)


# Sliced Wasserstein distance ------------------------------------------------------------------------------


def wasserstein_by_copies(x, y, p):
    """W_p on a line with each point of one sample copied as often as the other has points; to the p-th power."""
    return np.mean(np.abs(np.sort(np.repeat(x, len(y))) - np.sort(np.repeat(y, len(x)))) ** p)


@given(seeds, sizes, sizes, dimensions, st.integers(1, 4), orders)
def test_sliced_wasserstein_is_exact_for_given_directions_and_any_sizes(seed, n, m, d, k, p):
    x, y = two_samples(seed, n, m, d)
    projections = np.random.default_rng(seed + 1).standard_normal((k, d))
    units = projections / np.linalg.norm(projections, axis=1, keepdims=True)
    expected = np.mean([wasserstein_by_copies(x @ u, y @ u, p) for u in units]) ** (1 / p)  # eq-9.4
    assert sliced_wasserstein(x, y, p=p, projections=projections) == pytest.approx(expected, rel=1e-12)


@given(seeds, sizes, sizes)
def test_in_one_dimension_it_is_scipys_wasserstein_distance_whatever_the_seed(seed, n, m):
    stats = pytest.importorskip("scipy.stats")
    x, y = two_samples(seed, n, m, 1)
    expected = stats.wasserstein_distance(x[:, 0], y[:, 0])
    assert sliced_wasserstein(x, y, p=1) == pytest.approx(expected, rel=1e-12)
    assert sliced_wasserstein(x, y, p=1, rng=seed, n_projections=3) == sliced_wasserstein(x, y, p=1)


@given(seeds, sizes, sizes, dimensions, orders)
def test_it_moves_and_scales_with_the_data_and_vanishes_for_one_law(seed, n, m, d, p):
    x, y = two_samples(seed, n, m, d)
    turn, rng = rotation(seed, d), np.random.default_rng(seed)
    units = rotation(seed + 1, d)
    distance = sliced_wasserstein(x, y, p=p, projections=units)
    same = {"rel": 1e-11, "abs": 1e-13}
    assert sliced_wasserstein(x, x, p=p, rng=seed) == 0.0
    assert sliced_wasserstein(x, np.repeat(x, 3, axis=0), p=p, projections=units) == 0.0
    assert sliced_wasserstein(y, x, p=p, projections=units) == pytest.approx(distance, **same)
    assert sliced_wasserstein(rng.permutation(x), y, p=p, projections=units) == pytest.approx(
        distance, **same
    )
    moved = sliced_wasserstein(2.5 * x @ turn + 3, 2.5 * y @ turn + 3, p=p, projections=units @ turn)
    assert moved == pytest.approx(2.5 * distance, **same)


@given(seeds, sizes, dimensions)
def test_a_shift_is_its_length_over_root_d_for_any_orthonormal_directions(seed, n, d):
    x, _ = two_samples(seed, n, n, d)
    shift = np.random.default_rng(seed).standard_normal(d)
    distance = sliced_wasserstein(x, x + shift, projections=7 * rotation(seed, d))  # lengths do not matter
    assert distance == pytest.approx(np.linalg.norm(shift) / np.sqrt(d), rel=1e-12)


def test_drawn_directions_are_uniform_and_directions_from_a_cube_would_be_caught():
    # For θ uniform on the sphere in R⁸, E (θ·a)⁴ = 3/(8·10) and E (θ·a)⁸ = 105/(8·10·12·14) for any unit a.
    k, rng = 4000, np.random.default_rng(0)
    expected = 3 / 80
    standard_error = np.sqrt((105 / (8 * 10 * 12 * 14) - expected**2) / k)
    axes = [np.eye(8)[:1], np.full((1, 8), np.sqrt(1 / 8))]

    def error(**directions):
        fourths = [sliced_wasserstein(np.zeros((1, 8)), a, p=4, **directions) ** 4 for a in axes]
        return max(abs(f - expected) for f in fourths) / standard_error

    assert error(rng=0, n_projections=k) < 3.5
    assert error(projections=rng.uniform(-1, 1, (k, 8))) > 5


def test_directions_come_from_the_seed_alone():
    x, y = two_samples(0, 9, 8, 3)
    assert sliced_wasserstein(x, y, rng=1) == sliced_wasserstein(x, y, rng=np.random.default_rng(1))
    assert sliced_wasserstein(x, y, rng=1) != sliced_wasserstein(x, y, rng=2)
    units = np.random.default_rng(1).standard_normal((50, 3))
    assert sliced_wasserstein(x, y, rng=1, n_projections=50) == sliced_wasserstein(x, y, projections=units)


def test_neither_writes_to_its_arguments():
    x, y = two_samples(0, 6, 5, 3)
    units = np.eye(3)
    for array in (x, y, units):
        array.flags.writeable = False
    energy_distance(x, y)
    sliced_wasserstein(x, y, projections=units)
    sliced_wasserstein(x[:, :1], y[:, :1])


# Bad input ------------------------------------------------------------------------------------------------

X = np.zeros((4, 2))


@pytest.mark.parametrize("distance", [energy_distance, sliced_wasserstein])
@pytest.mark.parametrize(
    "x, y, error, name",
    [
        (X[:, 0], X, ValueError, "x"),
        (X, X[0], ValueError, "y"),
        (X, X[:, :1], ValueError, "y"),
        (X[:0], X, ValueError, "x"),
        (X, X[:0], ValueError, "y"),
        (X + np.nan, X, ValueError, "x"),
        (X, X + np.inf, ValueError, "y"),
        ("ab", X, TypeError, "x"),
        (X, None, TypeError, "y"),
        (X, X + 0j, TypeError, "y"),
        ([[1.0], [2.0, 3.0]], X, TypeError, "x"),
    ],
)
def test_a_wrong_sample_is_named(distance, x, y, error, name):
    with pytest.raises(error, match=f"^{name} must "):
        distance(x, y)


@pytest.mark.parametrize(
    "argument, value, error",
    [
        ("p", 0.5, ValueError),
        ("p", np.inf, ValueError),
        ("p", "2", TypeError),
        ("n_projections", 0, ValueError),
        ("n_projections", 2.0, TypeError),
        ("projections", np.eye(3), ValueError),
        ("projections", [1.0, 0.0], ValueError),
        ("projections", [[1.0, 0.0], [0.0, 0.0]], ValueError),
        ("projections", [[np.nan, 0.0]], ValueError),
        ("projections", "all", TypeError),
        ("rng", "seed", TypeError),
        ("rng", -3, ValueError),
    ],
)
def test_a_wrong_option_of_the_sliced_distance_is_named(argument, value, error):
    with pytest.raises(error, match=f"^{argument} must "):
        sliced_wasserstein(X, X, **{argument: value})
