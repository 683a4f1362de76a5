"""The mixture's score by one product a component and by two: the same numbers, and no digit lost with the faster."""

import copy

import numpy as np
import pytest

from npscore.checks import complex_step_jacobian
from npscore.targets import GaussianMixture
from npscore.targets import mixture as module
from npscore.targets.whitening import condition_number

wide_longdouble = np.finfo(np.longdouble).eps < 1e-18
needs_longdouble = pytest.mark.skipif(not wide_longdouble, reason="longdouble is float64 here")


def cov_with(rng, d, condition):
    """Random axes; variances from 1 to ``condition``, evenly spaced in their logarithms."""
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
    cov = (axes * np.geomspace(1, condition, d)) @ axes.T
    return 0.5 * (cov + cov.T)


def several(d, condition=8.0, seed=0, k=3):
    """Components of different axes and sizes."""
    rng = np.random.default_rng(seed)
    covs = [(1 + 0.5 * j) * cov_with(rng, d, condition) for j in range(k)]
    return GaussianMixture(rng.dirichlet(np.full(k, 5.0)), rng.standard_normal((k, d)), covs)


def one_in_another(d, condition, seed=0):
    """N(μ, Σ) and N(μ, 4Σ): s = −(r₁ + r₂/4) P (x − μ), so an error of r is one of the score, relatively.

    Also 200 points near the shell ‖y‖² = (8/3) d log 2, where both components are as likely.
    """
    rng = np.random.default_rng(seed)
    mean, cov = rng.standard_normal(d), cov_with(rng, d, condition)
    y = rng.standard_normal((200, d))
    y *= (np.sqrt(8 / 3 * d * np.log(2)) + 0.1 * rng.standard_normal((200, 1))) / np.linalg.norm(
        y, axis=1, keepdims=True
    )
    return GaussianMixture([0.5, 0.5], [mean, mean], [cov, 4 * cov]), mean + y @ np.linalg.cholesky(cov).T


def taking(target, one_product):
    """The same target, its score by one product or by two."""
    twin = copy.copy(target)
    object.__setattr__(twin, "_one_product", one_product)
    return twin


def rounding(target, x, dtype):
    """Root mean square over the rows of the score's relative error, in units of rounding."""
    x = x.astype(dtype)
    exact = target.score(x.astype(np.longdouble))
    error = np.abs(target.score(x) - exact).max(axis=1) / np.abs(exact).max(axis=1)
    return float(np.sqrt((error**2).mean())) / np.finfo(dtype).eps


def test_which_score_takes_one_product():
    """Dimensions where it is as exact and faster, and every component well conditioned and in range."""
    good, bad = several(32, condition=9.9), several(32, condition=10.2)
    assert good._one_product and not bad._one_product
    mixed = [good.covs[0], bad.covs[0]]
    assert not GaussianMixture([0.5, 0.5], good.means[:2], mixed)._one_product
    assert not several(31)._one_product
    for d, scale, expected in (
        (32, 1e29, True),
        (32, 1e31, False),
        (32, 1e-31, False),
        (64, 1.0, True),
        (65, 1.0, False),
    ):
        assert module._one_product_will_do(scale * np.eye(d)[None]) is expected


@pytest.mark.parametrize("condition", [1.0, 7.0, 1e6])
def test_the_condition_number(condition):
    cov = cov_with(np.random.default_rng(3), 12, condition)
    for scale in (1.0, 1e-200, 1e200):
        assert condition_number(scale * cov) == pytest.approx(np.linalg.cond(cov), rel=1e-8)
    assert condition_number(np.longdouble("1e-30") * cov.astype(np.longdouble)) == pytest.approx(
        condition, rel=1e-8
    )
    assert condition_number(np.diag([1.0, 0.0])) == np.inf


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("d", [32, 64])
def test_both_forms_agree(d, dtype):
    """eq-1.9 on samples, between the means and where rows are far, to 100 times rounding."""
    target = several(d)
    assert target._one_product
    x, means = target.sample(300, rng=1), target.means
    x[100:200] = means[0] + np.linspace(-0.5, 1.5, 100)[:, None] * (means[1] - means[0])
    x[200:] = means[2] + np.linspace(5, 50, 100)[:, None] * (x[200:] - means[2])
    x = x.astype(dtype)
    one, two = taking(target, True).score(x), taking(target, False).score(x)
    assert one.dtype == two.dtype == dtype and one.flags["C_CONTIGUOUS"]
    error = np.abs(one - two).max(axis=1) / np.abs(two).max(axis=1)
    assert 0 < error.max() < 100 * np.finfo(dtype).eps


def test_the_score_by_one_product_is_the_gradient_of_log_prob():
    """eq-1.1, by the complex step through either."""
    target = several(32)
    x = target.sample(4, rng=0)
    gradient = complex_step_jacobian(target.log_prob, x)
    np.testing.assert_allclose(target.score(x), gradient, rtol=1e-12, atol=1e-12)
    jacobian = complex_step_jacobian(target.score, x)
    np.testing.assert_allclose(
        np.trace(jacobian, axis1=1, axis2=2), target.score_divergence(x), rtol=1e-12, atol=1e-12
    )


@needs_longdouble
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [32, 64])
def test_one_product_loses_no_digits_where_it_is_taken_and_would_elsewhere(d, dtype):
    """Up to a condition number of 10 the responsibilities are as exact as through Wₖ; at 10⁴ they would not be."""
    for condition in (1.0, 3.0, 9.9):
        target, x = one_in_another(d, condition)
        assert target._one_product
        assert rounding(target, x, dtype) < 1.5 * rounding(taking(target, False), x, dtype)
    target, x = one_in_another(d, 1e4)
    assert not target._one_product
    assert rounding(taking(target, True), x, dtype) > 4 * rounding(target, x, dtype)


@needs_longdouble
def test_the_measure_above_sees_a_precision_that_lost_its_last_digits():
    """A planted mistake: Pₖ inverted in float64 and multiplied by 1 + 10⁻¹⁴, or rounded to float32."""
    target, x = one_in_another(32, 9.9)
    good = rounding(target, x, np.float64)
    exact = target._precisions.exact
    for planted in (exact * (1 + 1e-14), exact.astype(np.float32)):
        wrong = taking(target, True)
        rounded = target._precisions._replace(double=planted.astype(np.float64))
        object.__setattr__(wrong, "_precisions", rounded)
        assert rounding(wrong, x, np.float64) > 5 * good


def test_rows_do_not_depend_on_the_block_they_are_in(monkeypatch):
    target = several(32)
    x = target.sample(300, rng=0)
    whole = target.score(x)
    monkeypatch.setattr(module, "BLOCK", 7 * target.means.size)
    np.testing.assert_allclose(target.score(x), whole, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype, distance", [(np.float32, 1e25), (np.float64, 1e200)])
def test_beyond_the_range_of_squares_one_product_is_finite(dtype, distance):
    """Σ (μ − x)ᵢ sᵢ overflows with terms of both signs, ∞ − ∞; the row is then told apart as far ones are."""
    target = several(32)
    x = (distance * np.random.default_rng(0).standard_normal((20, 32))).astype(dtype)
    precisions = np.linalg.inv(target.covs)
    pulls = -x.astype(np.float64) @ precisions  # (K, n, d)
    nearest = -(pulls / distance * (x / distance)).sum(axis=2)  # (K, n)
    expected = pulls[nearest.argmin(axis=0), np.arange(20)]
    bound = 1e3 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(target.score(x), expected, rtol=0, atol=bound)
