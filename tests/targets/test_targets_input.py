"""Every bad argument of every target is one TypeError or ValueError that names it."""

import math

import numpy as np
import pytest
from support.target_zoo import gaussian, mixture

from npscore.targets import (
    Exponential,
    Gaussian,
    GaussianMixture,
    Gumbel,
    Laplace,
    Logistic,
    Product,
    StudentT,
    TruncatedGaussian,
    Uniform,
)

EYE = np.eye(2)
ZERO = np.zeros(2)
NORMAL, MIX, LINE = gaussian(0, 2), mixture(0, 2), Laplace(0.0, 1.0)


def two(weights=(0.5, 0.5), means=((0.0, 0.0), (1.0, 1.0)), covs=(EYE, EYE)):
    return GaussianMixture(weights, means, covs)


CASES = [
    (lambda: Gaussian([[0.0, 0.0]], EYE), ValueError, "mean must have shape (d,)"),
    (lambda: Gaussian(0.0, [[1.0]]), ValueError, "mean must have shape (d,)"),
    (lambda: Gaussian([], EYE), ValueError, "mean must have shape (d,) with d >= 1"),
    (lambda: Gaussian([0.0, math.nan], EYE), ValueError, "mean must be finite, got nan"),
    (lambda: Gaussian(["a", "b"], EYE), TypeError, "mean must hold real numbers"),
    (lambda: Gaussian([0.0, [1.0]], EYE), TypeError, "mean must be a rectangular array"),
    (lambda: Gaussian([0j, 0j], EYE), TypeError, "mean must hold real numbers"),
    (lambda: Gaussian(ZERO, np.eye(3)), ValueError, "cov must have shape (2, 2)"),
    (lambda: Gaussian(ZERO, [1.0, 1.0]), ValueError, "cov must have shape (d, d)"),
    (lambda: Gaussian(ZERO, [[1.0, 0.5], [0.0, 1.0]]), ValueError, "cov must be symmetric"),
    (lambda: Gaussian(ZERO, [[1.0, 2.0], [2.0, 1.0]]), ValueError, "cov must be positive definite"),
    (lambda: Gaussian(ZERO, np.ones((2, 2))), ValueError, "cov must be positive definite"),
    (lambda: Gaussian(ZERO, np.zeros((2, 2))), ValueError, "cov must be positive definite"),
    (lambda: Gaussian(ZERO, [[1.0, math.inf], [math.inf, 1.0]]), ValueError, "cov must be finite"),
    (lambda: Gaussian(ZERO, None), TypeError, "cov must hold real numbers"),
    (lambda: two(weights=(0.5, 0.6)), ValueError, "weights must sum to 1"),
    (lambda: two(weights=(1.5, -0.5)), ValueError, "weights must be positive, got -0.5 at index 1"),
    (lambda: two(weights=(1.0, 0.0)), ValueError, "weights must be positive, got 0.0 at index 1"),
    (lambda: two(weights=(0.5, math.nan)), ValueError, "weights must be finite"),
    (lambda: two(weights=()), ValueError, "weights must have shape (d,)"),
    (lambda: two(weights=1.0), ValueError, "weights must have shape (d,)"),
    (lambda: two(weights=(0.2, 0.3, 0.5)), ValueError, "means must have shape (3, d), got shape (2, 2)"),
    (lambda: two(means=(0.0, 1.0)), ValueError, "means must have shape (2, d), got shape (2,)"),
    (lambda: two(means=((), ())), ValueError, "means must have shape (2, d), got shape (2, 0)"),
    (lambda: two(means=((0.0, 0.0), (1.0,))), TypeError, "means must be a rectangular array"),
    (lambda: two(covs=EYE), ValueError, "covs must have shape (2, 2, 2), got shape (2, 2)"),
    (lambda: two(covs=(EYE, EYE, EYE)), ValueError, "covs must have shape (2, 2, 2)"),
    (lambda: two(covs=(EYE, -EYE)), ValueError, "covs[1] must be positive definite"),
    (lambda: two(covs=(EYE, [[1.0, 0.5], [0.0, 1.0]])), ValueError, "covs[1] must be symmetric"),
    (lambda: StudentT(1.0, EYE, 3.0), ValueError, "loc must have shape (d,)"),
    (lambda: StudentT(ZERO, -EYE, 3.0), ValueError, "scale_matrix must be positive definite"),
    (lambda: StudentT(ZERO, np.eye(3), 3.0), ValueError, "scale_matrix must have shape (2, 2)"),
    (lambda: StudentT(ZERO, EYE, 0.0), ValueError, "df must be a finite number > 0, got 0.0"),
    (lambda: StudentT(ZERO, EYE, -1), ValueError, "df must be a finite number > 0, got -1.0"),
    (lambda: StudentT(ZERO, EYE, math.inf), ValueError, "df must be a finite number > 0, got inf"),
    (lambda: StudentT(ZERO, EYE, "3"), TypeError, "df must be a finite number > 0"),
    (lambda: StudentT(ZERO, EYE, None), TypeError, "df must be a finite number > 0"),
    *[
        case
        for kind in (Laplace, Logistic, Gumbel)
        for case in (
            (lambda kind=kind: kind(math.nan, 1.0), ValueError, "loc must be a finite number, got nan"),
            (lambda kind=kind: kind("0", 1.0), TypeError, "loc must be a finite number"),
            (lambda kind=kind: kind([0.0, 1.0], 1.0), TypeError, "loc must be a finite number"),
            (lambda kind=kind: kind(0.0, 0.0), ValueError, "scale must be a finite number > 0, got 0.0"),
            (lambda kind=kind: kind(0.0, -1.0), ValueError, "scale must be a finite number > 0"),
            (lambda kind=kind: kind(0.0, True), TypeError, "scale must be a finite number > 0"),
        )
    ],
    (lambda: Exponential(0.0), ValueError, "rate must be a finite number > 0"),
    (lambda: Exponential(math.inf), ValueError, "rate must be a finite number > 0"),
    (lambda: Exponential([1.0]), TypeError, "rate must be a finite number > 0"),
    (lambda: Uniform(1.0, 1.0), ValueError, "high must be a finite number > 1, got 1.0"),
    (lambda: Uniform(2.0, 1.0), ValueError, "high must be a finite number > 2, got 1.0"),
    (lambda: Uniform(-math.inf, 1.0), ValueError, "low must be a finite number"),
    (lambda: Uniform(0.0, math.inf), ValueError, "high must be a finite number"),
    (lambda: Uniform(-1.7e308, 1.7e308), ValueError, "high - low must be finite"),
    (lambda: TruncatedGaussian(math.nan, 1.0, 0.0, 1.0), ValueError, "loc must be a finite number"),
    (lambda: TruncatedGaussian(0.0, 0.0, 0.0, 1.0), ValueError, "scale must be a finite number > 0"),
    (
        lambda: TruncatedGaussian(0.0, 1.0, 1.0, 1.0),
        ValueError,
        "high must be > low, got low=1.0 and high=1.0",
    ),
    (lambda: TruncatedGaussian(0.0, 1.0, 2.0, 1.0), ValueError, "high must be > low"),
    (lambda: TruncatedGaussian(0.0, 1.0, math.inf, math.inf), ValueError, "high must be > low"),
    (
        lambda: TruncatedGaussian(0.0, 1.0, math.nan, 1.0),
        ValueError,
        "low must be a finite number or ±inf, got nan",
    ),
    (lambda: TruncatedGaussian(0.0, 1.0, 0.0, "1"), TypeError, "high must be a finite number or ±inf"),
    (lambda: Product([]), ValueError, "factors must hold at least one target"),
    (lambda: Product(LINE), TypeError, "factors must be a sequence of targets, got Laplace"),
    (lambda: Product(3), TypeError, "factors must be a sequence of targets, got int"),
    (lambda: Product([LINE, "x"]), TypeError, "factors[1] must be a target, got str"),
    (lambda: Product([LINE, Laplace]), TypeError, "factors[1] must be a target"),
    (lambda: Product([LINE, NORMAL]), ValueError, "factors[1] must have d = 1, got d = 2"),
    *[
        case
        for name in ("log_prob", "score", "score_divergence")
        for case in (
            (
                lambda name=name: getattr(NORMAL, name)(ZERO),
                ValueError,
                "x must have shape (n, 2), got shape (2,)",
            ),
            (lambda name=name: getattr(MIX, name)(np.zeros((3, 3))), ValueError, "x must have shape (n, 2)"),
            (
                lambda name=name: getattr(LINE, name)(np.zeros((0, 1))),
                ValueError,
                "x must have at least one row",
            ),
            (lambda name=name: getattr(LINE, name)([[math.nan]]), ValueError, "x must be finite, got nan"),
            (lambda name=name: getattr(NORMAL, name)([["a", "b"]]), TypeError, "x must hold real numbers"),
        )
    ],
    (lambda: NORMAL.sample(0, rng=0), ValueError, "n must be a whole number >= 1, got 0"),
    (lambda: MIX.sample(2.0, rng=0), TypeError, "n must be a whole number >= 1"),
    (lambda: LINE.sample(True, rng=0), TypeError, "n must be a whole number >= 1"),
    (lambda: LINE.sample(3, rng=-1), ValueError, "rng must be a seed >= 0"),
    (lambda: LINE.sample(3, rng="seed"), TypeError, "rng must be a numpy Generator or a whole-number seed"),
    (lambda: LINE.sample(3, 0), TypeError, "positional argument"),
    (lambda: NORMAL.quadrature(1), ValueError, "order must be a whole number >= 2, got 1"),
    (lambda: MIX.quadrature(20.0), TypeError, "order must be a whole number >= 2"),
    (lambda: LINE.quadrature(0), ValueError, "order must be a whole number >= 2"),
    (lambda: Product([LINE]).quadrature("9"), TypeError, "order must be a whole number >= 2"),
    (
        lambda: NORMAL.quadrature(9, rule="simpson"),
        ValueError,
        "rule must be one of trapezoid, gauss-hermite",
    ),
    (lambda: MIX.quadrature(9, rule=None), TypeError, "rule must be one of trapezoid, gauss-hermite"),
    (lambda: NORMAL.smoothed(0.0), ValueError, "sigma must be a finite number > 0, got 0.0"),
    (lambda: MIX.smoothed(-1.0), ValueError, "sigma must be a finite number > 0"),
    (lambda: MIX.smoothed([1.0, 2.0]), TypeError, "sigma must be a finite number > 0"),
]


@pytest.mark.parametrize(
    ("call", "kind", "message"), CASES, ids=[f"{i}: {c[2]}" for i, c in enumerate(CASES)]
)
def test_a_bad_argument_is_named(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)
