"""How far apart are two samples: energy distance and sliced Wasserstein distance.

Both are homogeneous: samples twice as large are twice as far apart. So they are computed on samples divided by a power
of two near the largest range of a column, where no square or power overflows or vanishes, and multiplied by
it at the end. Neither step rounds: in other units that differ by a power of two the digits are the same.
"""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np

from .._run.borders import Array, as_batch, as_count, as_flag, as_number, as_rng
from .._run.scale import exponents, in_units

_BLOCK = 1 << 16  # numbers in one temporary: small enough for the cache, large enough for NumPy
MAX_DIRECTIONS = 10**8  # numbers in all drawn directions together


def energy_distance(x: Any, y: Any, *, unbiased: bool = False) -> float:
    """Squared energy distance 2 E|X−Y| − E|X−X'| − E|Y−Y'| between two samples.

    ``x`` (n, d), ``y`` (m, d), Euclidean |·|. By default the V-statistic: every mean runs over all pairs, a
    point with itself included, so it is the exact distance of the two empirical laws, ≥ 0, and 0 for the
    same sample in any order. For samples of one law it is therefore not 0 on average but
    (1/n + 1/m) E|X−X'|: two values compare only at equal sizes. ``unbiased=True`` leaves the pairs of a point
    with itself out (the U-statistic, n, m ≥ 2): 0 on average for samples of one law, of any sizes, and so
    below 0 about half the time. Not the square root, which ``scipy.stats.energy_distance`` returns. The unit
    is that of the data, at any scale.

    Distances are taken from differences, in float64 or longdouble, in blocks: O(nmd) time (in one dimension
    O(n log n) through 2 ∫ (F−G)²), O(n + m) memory. Raises TypeError or ValueError for a wrong argument, and where
    the distance is beyond the largest float.
    Source: Székely & Rizzo (2013), "Energy statistics: a class of statistics based on distances", J. Stat.
    Plan. Inference 143(8), eq. 1.1 and 6.1 without its factor nm/(n+m).
    """
    x, y = _two_samples(x, y)  # (n, d), (m, d)
    unbiased = as_flag(unbiased, "unbiased")
    if unbiased and min(len(x), len(y)) < 2:
        raise ValueError(
            f"x and y must have at least two rows each for unbiased=True, got {len(x)} and {len(y)}"
        )
    x, y, _, exponent = _in_units_of_the_range(x, y)
    with np.errstate(under="ignore"):  # beside the range it is nothing
        if x.shape[1] == 1 and not unbiased:
            distance = _energy_distance_1d(x[:, 0], y[:, 0])
        else:
            distance = _energy_distance(x, y, unbiased)  # eq-9.3
    return _in_the_units_of_the_data(distance, exponent)


def sliced_wasserstein(
    x: Any,
    y: Any,
    *,
    p: float = 2.0,
    n_projections: int = 200,
    projections: Optional[Any] = None,
    rng: Any = None,
) -> float:
    """Sliced p-Wasserstein distance: the p-th mean, over directions θ, of W_p between the samples' projections.

    SW_p = (mean_θ W_pᵖ(x·θ, y·θ))^(1/p), W_pᵖ = ∫₀¹ |F⁻¹(u) − G⁻¹(u)|ᵖ du with the two empirical quantile
    functions: exact for the given directions, for any sizes n and m. ``x`` (n, d), ``y`` (m, d), ``p`` ≥ 1:
    W_2 unless said otherwise, W_1 at p=1. Directions: the rows of ``projections`` (k, d), scaled to unit
    length, or else ``n_projections`` uniform ones drawn from ``rng``. In one dimension there is one
    direction, and the result is the exact Wasserstein distance. The p-th root is taken: the unit is that of
    the data, at any scale.

    Raises TypeError or ValueError for a wrong argument, and where the distance is beyond the largest float.
    Source: Rabin, Peyré, Delon & Bernot (2012), "Wasserstein barycenter and its application to texture
    mixing"; Bonneel et al. (2015), "Sliced and Radon Wasserstein barycenters of measures", J. Math. Imaging
    Vis. 51.
    """
    x, y = _two_samples(x, y)  # (n, d), (m, d)
    p = as_number(p, "p", at_least=1)
    directions = _directions(projections, n_projections, x.shape[1], rng).astype(x.dtype)  # (k, d)
    x, y, varying, exponent = _in_units_of_the_range(x, y)
    i, j, du = _quantile_pairs(len(x), len(y))
    distances = np.empty(len(directions), x.dtype)  # (k,)  W_p
    with np.errstate(under="ignore"):  # beside the range it is nothing
        for k, theta in enumerate(np.compress(varying, directions, axis=1)):
            distances[k] = _power_mean(np.abs(np.sort(x @ theta)[i] - np.sort(y @ theta)[j]), du, p)
        mean = _power_mean(distances, np.full(len(distances), 1.0 / len(distances)), p)  # eq-9.4
    return _in_the_units_of_the_data(mean, exponent)


def _two_samples(x: Any, y: Any) -> tuple[Array, Array]:
    x = as_batch(x, "x")
    y = as_batch(y, "y", d=x.shape[1])
    dtype = np.result_type(x, y, np.float64)
    return x.astype(dtype, copy=False), y.astype(dtype, copy=False)


# The units ----------------------------------------------------------------------------------------------


def _in_units_of_the_range(x: Array, y: Array) -> tuple[Array, Array, Array, int]:
    """Both samples without the columns that are one number throughout, over 2^e; which columns are left; and e.

    2^e is just above the largest range of a column. A constant column adds nothing to any difference, and
    one that varies is at most 1/eps times as large as its range: so no number left is large in these units.
    """
    low = np.minimum(x.min(axis=0), y.min(axis=0))  # (d,)
    high = np.maximum(x.max(axis=0), y.max(axis=0))  # (d,)
    varying = low < high  # (d,)
    half_range = in_units(high, 1) - in_units(low, 1)  # (d,): the range itself may overflow
    exponent = int(exponents(np.append(half_range, np.finfo(x.dtype).smallest_subnormal))) + 1
    x, y = (np.compress(varying, rows, axis=1) for rows in (x, y))
    return in_units(x, exponent), in_units(y, exponent), varying, exponent


def _in_the_units_of_the_data(value: Any, exponent: int) -> float:
    try:
        return math.ldexp(float(value), exponent)
    except OverflowError:
        raise ValueError(
            "x and y must be near enough for their distance to be a float, got one beyond 1.8e308"
        ) from None


# Energy distance ----------------------------------------------------------------------------------------


def _energy_distance(x: Array, y: Array, unbiased: bool) -> Any:
    """Over all pairs, or with ``unbiased`` those of different points: n(n−1) and m(m−1) within x and y."""
    within_x, within_y = _mean_distance(x, x), _mean_distance(y, y)
    if unbiased:
        within_x *= len(x) / (len(x) - 1)
        within_y *= len(y) / (len(y) - 1)
    distance = 2.0 * _mean_distance(x, y) - within_x - within_y  # eq-9.3
    return distance if unbiased else max(distance, 0.0)  # below 0 by rounding only


def _mean_distance(x: Array, y: Array) -> np.floating:
    """The mean of |xᵢ − yⱼ| over all pairs; |x|² + |y|² − 2x·y would lose half the digits of close pairs."""
    columns = np.ascontiguousarray(y.T)  # (d, m)
    rows = max(1, _BLOCK // len(y))
    total = x.dtype.type(0.0)
    for start in range(0, len(x), rows):
        block = x[start : start + rows]  # (b, d)
        squared = np.zeros((len(block), len(y)), x.dtype)  # (b, m)
        for k, column in enumerate(columns):
            difference = block[:, k, None] - column  # (b, m)
            difference *= difference
            squared += difference
        total += np.sqrt(squared).sum()
    return total / (len(x) * len(y))


def _energy_distance_1d(x: Array, y: Array) -> Any:
    """2 ∫ (F − G)² with the two empirical distribution functions; x (n,), y (m,)."""
    pooled = np.sort(np.concatenate([x, y]))  # (n + m,)
    f = np.searchsorted(np.sort(x), pooled[:-1], side="right") / len(x)  # (n + m - 1,)
    g = np.searchsorted(np.sort(y), pooled[:-1], side="right") / len(y)  # (n + m - 1,)
    return 2.0 * np.sum((f - g) ** 2 * np.diff(pooled))  # eq-9.3


# Sliced Wasserstein distance ----------------------------------------------------------------------------


def _directions(projections: Any, n_projections: Any, d: int, rng: Any) -> Array:
    """Unit rows (k, d): the given ones scaled to length one, or uniform on the sphere."""
    n_projections, rng = as_count(n_projections, "n_projections"), as_rng(rng)
    if n_projections * d > MAX_DIRECTIONS:
        raise ValueError(
            f"n_projections must be at most {MAX_DIRECTIONS // d} for d = {d}, got {n_projections}"
        )
    if projections is not None:
        rows = as_batch(projections, "projections", d=d)
    elif d == 1:
        rows = np.ones((1, 1))
    else:
        rows = rng.standard_normal((n_projections, d))
    rows = in_units(rows, exponents(rows, axis=1)[:, None])  # (k, d): squares neither overflow nor vanish
    with np.errstate(under="ignore"):
        length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))  # (k, 1)
    if not (length > 0).all():
        raise ValueError(f"projections must have no zero row, got one at index {int(np.argmin(length))}")
    return rows / length


def _quantile_pairs(n: int, m: int) -> tuple[Array, Array, Array]:
    """The n + m − gcd(n, m) intervals of (0, 1) on which both quantile functions are constant.

    Sorted x has steps at i/n, sorted y at j/m. In units of 1/lcm(n, m) all of these are whole numbers, so
    the merge is exact. Returns, per interval, the index into sorted x, that into sorted y, and its length.
    """
    units = math.lcm(n, m)
    steps_x = np.arange(n + 1, dtype=np.int64) * (units // n)  # (n + 1,)
    steps_y = np.arange(m + 1, dtype=np.int64) * (units // m)  # (m + 1,)
    edges = np.union1d(steps_x, steps_y)  # (n_intervals + 1,)
    return edges[:-1] // (units // n), edges[:-1] // (units // m), np.diff(edges) / units


def _power_mean(values: Array, weights: Array, p: float) -> Any:
    """(Σ wᵢ vᵢᵖ)^(1/p) for vᵢ ≥ 0, with powers of vᵢ/max v, which cannot all vanish whatever p is."""
    largest = values.max()
    if not largest > 0:
        return 0.0
    return largest * (weights @ (values / largest) ** p) ** (1.0 / p)
