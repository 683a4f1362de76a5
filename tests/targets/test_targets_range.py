"""Every density over the whole range of every type: scales, positions and types against 150-digit decimals."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from support import exact_densities as exact
from support.oracle_activations import exact as decimal

from npscore.targets import (
    Exponential,
    Gaussian,
    GaussianMixture,
    Gumbel,
    Laplace,
    Logistic,
    StudentT,
    TruncatedGaussian,
    Uniform,
)

EVALUATIONS = ("log_prob", "score", "score_divergence")
TYPES = (np.float32, np.float64, np.longdouble)
BOUND = 30  # in eps times the size that the formula adds up
SCALES = (1e-160, 1e-150, 1e-80, 1e-30, 1e-20, 1e-3, 1.0, 1e3, 1e20, 1e30, 1e80, 1e150)
#: Positions in units of the scale: at and near the centre, some deviations out, and far away.
DISTANCES = (0.0, 1e-12, 1e-3, -0.7, 3.0, -40.0, 1e4, -1e8, 1e17)
wide_range = pytest.mark.skipif(
    np.finfo(np.longdouble).maxexp < 2000,
    reason="the ends of float64's range need a longdouble with more exponents",
)


def off(value, number):
    """The error of a float in units of eps times the size; 0 where the exact value rounds to it, ±inf included."""
    info = np.finfo(value.dtype)
    with localcontext(exact.CONTEXT):
        eps, largest = decimal(info.eps), decimal(info.max)
        if np.isinf(value):
            beyond = abs(number.value) * (1 + 100 * eps) > largest and (number.value > 0) == (value > 0)
            return 0.0 if beyond else np.inf
        if np.isnan(value) or number.value.is_infinite():
            return np.inf
        error = abs(decimal(value) - number.value) - 4 * decimal(info.smallest_subnormal)
        return float(error / (eps * max(number.size, abs(number.value)))) if error > 0 else 0.0


def worst(target, x, reference):
    """The largest error of log_prob, score and divergence over the rows of x, and where it is."""
    if len(x) == 0:
        return 0.0, "nowhere", None
    values = {name: getattr(target, name)(x) for name in EVALUATIONS}
    assert all(value.dtype == x.dtype for value in values.values())
    errors = [(0.0, "nowhere", None)]
    for i, row in enumerate(x):
        at = reference(target, row)
        errors.append((off(values["log_prob"][i], at.log_prob), "log_prob", row))
        errors.append((off(values["score_divergence"][i], at.score_divergence), "score_divergence", row))
        errors += [(off(value, number), "score", row) for value, number in zip(values["score"][i], at.score)]
    return max(errors, key=lambda error: error[0])


def placed(location):
    """A location, rounded to float32 where that can hold it: the rounding of a parameter is not what is looked for."""
    return float(np.float32(location)) if 1e-30 < abs(location) < 1e30 else float(location)


def points(centre, scale, dtype, directions=((1.0,),)):
    """Rows at `DISTANCES` along each direction from the centre, those within the range of the type."""
    with np.errstate(over="ignore", under="ignore"):
        steps = np.array(DISTANCES, np.longdouble)[:, None, None] * np.array(directions, np.longdouble)
        x = (
            np.asarray(centre, np.longdouble) + np.longdouble(scale) * steps.reshape(-1, steps.shape[-1])
        ).astype(dtype)
    return x[np.isfinite(x).all(axis=1)]


@wide_range
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", [Laplace, Logistic, Gumbel])
def test_location_and_scale(kind, scale, dtype):
    for loc in (0.0, placed(3.3 * scale), placed(-1e6 * scale)):
        target = kind(loc, scale)
        x = points([loc], scale, dtype)
        if kind is Laplace:  # whose kink may be moved by the rounding of loc
            from_kink = np.abs(x - np.longdouble(loc))[:, 0]
            x = x[(from_kink == 0) | (from_kink > 8 * float(np.finfo(dtype).eps) * scale)]
        error = worst(target, x, exact.on_the_line)
        assert error[0] < BOUND, (loc, *error)


@wide_range
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scale", SCALES)
def test_exponential_and_uniform(scale, dtype):
    for target in (
        Exponential(1 / scale),
        Uniform(0.0, scale),
        Uniform(placed(1e7 * scale), placed(1e7 * scale) + 3 * scale),
    ):
        x = points([target.low], scale, dtype)
        with np.errstate(over="ignore"):
            x = x[(x[:, 0] >= dtype(target.low)) & (x[:, 0] <= dtype(target.high))]
        error = worst(target, x, exact.on_the_line)
        assert error[0] < BOUND, (target, *error)


@wide_range
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scale", SCALES)
def test_gaussian(scale, dtype):
    shapes = ([[1.0]], [[2.0, 0.6], [0.6, 1.0]])
    for shape in shapes:
        d = len(shape)
        directions = np.array([[1.0], [-1.0]]) if d == 1 else np.array([[1.0, 0.3], [-0.2, 1.0]])
        for centre in (0.0, placed(5.0 * scale), placed(-1e5 * scale)):
            target = Gaussian(np.full(d, centre), (np.longdouble(scale) ** 2 * np.array(shape)))
            error = worst(target, points(target.mean, scale, dtype, directions), exact.gaussian)
            assert error[0] < BOUND, (centre, *error)


@wide_range
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("df", [1e-3, 0.1, 3.0, 1e13])
@pytest.mark.parametrize("scale", SCALES[::2])
def test_student_t(scale, df, dtype):
    for shape in ([[1.0]], np.eye(2), [[2.0, 0.6], [0.6, 1.0]]):
        d = len(shape)
        directions = np.array([[1.0], [-1.0]]) if d == 1 else np.array([[1.0, 0.3], [-0.2, 1.0]])
        target = StudentT(np.full(d, placed(2 * scale)), np.longdouble(scale) ** 2 * np.array(shape), df)
        error = worst(target, points(target.loc, scale, dtype, directions), exact.student_t)
        assert error[0] < BOUND, (shape, *error)


MIXTURES = {  # means and variances in units of the scale
    "near": ([[-1.0, 0.0], [1.0, 0.5]], [1.0, 1.0]),
    "apart": ([[-1e3, 0.0], [1e3, 0.0]], [1.0, 1.0]),
    "far apart": ([[-5e5, 1.0], [5e5, 1.0]], [1.0, 1.0]),
    "apart, unequal": ([[-1e3, 0.1], [1e3, 0.2]], [1.0, 1.5]),
    "one in another": ([[0.0, 0.0], [0.0, 0.0]], [1.0, 9.0]),
    "at odd places": ([[0.1, 0.0], [1e6 + 0.7, 0.3]], [1.0, 1.0]),
    "on a hill": ([[1e8, 0.0], [1e8 + 3.0, 0.0]], [1.0, 1.0]),
}


@wide_range
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1.0, 1e20, 1e150])
def test_mixture(scale, name, dtype):
    """Near the midpoint of the means, along the axis between them, across it, and far away off it.

    As far as longdouble can tell the components apart: their log-ratio there is 8 ‖yₖ − yⱼ‖ ‖yₖ + yⱼ‖ roundings wrong.
    """
    means, variances = MIXTURES[name]
    scale = np.longdouble(scale)
    covs = scale**2 * np.multiply.outer(np.array(variances), np.array([[1.0, 0.3], [0.3, 0.7]]))
    means = (scale * np.array(means, np.longdouble)).astype(np.float64)
    target = GaussianMixture([0.4, 0.6], means, covs)
    middle = 0.5 * (means[0].astype(np.longdouble) + means[1])
    across = np.linalg.solve([[1.0, 0.3], [0.3, 0.7]], [1.0, 0.0])  # the posterior does not change along it
    x = points(middle, scale, dtype, [[1.0, 0.0], [0.1, 1.0], [across[1], -across[0]]])
    separation = np.abs(means[1] - means[0]).max()
    close = points(middle, scale * scale / separation, dtype, [[1.0, 0.2]]) if separation else x
    x = np.concatenate([x, close])
    certain = [exact.longdouble_roundings(target, row) * np.finfo(dtype).eps < 1e-2 for row in x]
    error = worst(target, x[certain], exact.mixture)
    assert sum(certain) >= 15 or len(x) < 15
    assert error[0] < BOUND, error


def test_the_checker_sees_a_wrong_digit():
    """A factor 1 + 100 eps, NaN, and infinity where the value is finite."""
    at = exact.gaussian(Gaussian([0.0], [[1.0]]), np.array([3.0]))
    assert off(np.float64(-3.0), at.score[0]) == 0
    assert off(np.float64(-3.0 * (1 + 100 * np.finfo(float).eps)), at.score[0]) > BOUND
    assert off(np.float64(np.nan), at.score[0]) == off(np.float64(-np.inf), at.score[0]) == np.inf
    assert off(np.float64(-np.inf), exact.Number(Decimal("-1e400"), Decimal(1))) == 0
    assert off(np.float64(np.inf), exact.Number(Decimal("-1e400"), Decimal(1))) == np.inf


@wide_range
@pytest.mark.parametrize("dtype", [np.complex128, np.clongdouble])
@pytest.mark.parametrize(
    "target, x",
    [
        (Gaussian([0.0], [[1e-300]]), 1.3e-150),
        (Gaussian([0.0], [[1e300]]), 1.3e150),
        (StudentT([0.0], [[1e-300]], 3.0), 2e-150),
        (StudentT([0.0], [[1e300]], 0.1), 2e150),
        (Laplace(0.0, 1e-200), 3e-200),
        (Logistic(0.0, 1e150), 3e150),
        (Gumbel(0.0, 1e-150), 3e-150),
        (GaussianMixture([0.5, 0.5], [[-1e150], [1e150]], [[[1e300]]] * 2), 0.3e150),
        (TruncatedGaussian(0.0, 1e100, 1e100, 3e100), 2e100),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_complex_step_at_extreme_scales(target, x, dtype):
    """The score is the derivative of log p and the divergence that of the score, where squares leave the range."""
    z = np.array([[x]], dtype)
    z.imag = h = x * 1e-30
    score, divergence = target.score([[x]])[0, 0], target.score_divergence([[x]])[0]
    assert target.log_prob(z).imag[0] / h == pytest.approx(score, rel=1e-14)
    assert target.score(z).imag[0, 0] / h == pytest.approx(divergence, rel=1e-14)
    single = np.array([[0.5 + 1e-3j]], np.complex64)
    assert target.score(single).dtype == target.log_prob(single).dtype == np.complex64
