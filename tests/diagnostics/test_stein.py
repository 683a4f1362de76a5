"""The kernel Stein discrepancy: Stein's identity by quadrature, its formula pair by pair, its test, its blindness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import gaussian_parameters, seeds

import npscore as ns
from npscore import diagnostics
from npscore.diagnostics import ksd, ksd_test

T = ns.targets
LOGISTIC, GAUSSIAN = T.Logistic(0.3, 0.7), T.Gaussian([0.1], [[1.3]])


def curved(x):
    return np.tanh(x[:, ::-1] - 0.5) - x


def kernel(x, y, c, beta):
    return (c * c + ((x - y) ** 2).sum()) ** beta


def stein(x, y, sx, sy, c, beta):
    """(s(x) + ∂ₓ)·(s(y) + ∂_y) k(x, y), every derivative of k by complex step; x, y (d,)."""
    step, axes = 1e-30, np.eye(len(x))

    def in_x(y):  # ∂k/∂x as a function of y, the inner derivative of ‖r‖² by hand
        return beta * (c * c + ((x - y) ** 2).sum()) ** (beta - 1) * 2 * (x - y)

    dx = np.array([kernel(x + 1j * step * e, y, c, beta).imag / step for e in axes])
    dy = np.array([kernel(x, y + 1j * step * e, c, beta).imag / step for e in axes])
    mixed = sum(in_x(y + 1j * step * e)[i].imag / step for i, e in enumerate(axes))
    np.testing.assert_allclose(in_x(y), dx, rtol=1e-12, atol=1e-14)
    return sx @ sy * kernel(x, y, c, beta) + sx @ dy + sy @ dx + mixed  # eq-9.20


def pairs(score, x, c, beta):
    s = score(x)
    return np.array([[stein(a, b, sa, sb, c, beta) for b, sb in zip(x, s)] for a, sa in zip(x, s)])


def stein_matrix(score, x, c=1.0, beta=-0.5):
    """u of all pairs of x (n, 1) from ksd itself: 4 KSD² of two rows is u(x,x) + u(y,y) + 2u(x,y)."""
    alone = np.array([ksd(score, row[None], c, beta) for row in x])
    both = np.array([[4 * ksd(score, np.stack([a, b]), c, beta) for b in x] for a in x])
    return (both - alone[:, None] - alone) / 2


@given(
    seeds,
    st.integers(2, 5),
    st.integers(1, 3),
    st.sampled_from([-0.9, -0.5, -0.1]),
    st.sampled_from([0.3, 1.0, 7.0]),
)
def test_the_discrepancy_is_its_formula_pair_by_pair(seed, n, d, beta, c):
    x = np.random.default_rng(seed).standard_normal((n, d))
    u = pairs(curved, x, c, beta)
    np.testing.assert_allclose(ksd(curved, x, c, beta), u.mean(), rtol=1e-10, atol=1e-12)
    off = (u.sum() - np.trace(u)) / (n * (n - 1))
    np.testing.assert_allclose(
        ksd(curved, x, c, beta, unbiased=True), off, rtol=1e-10, atol=1e-11 * abs(u).max()
    )


def weighted(score, nodes, c, beta):
    """u of all pairs of nodes in one dimension, (m, m), by the formula."""
    r, s = nodes - nodes.T, score(nodes)
    q = c * c + r * r
    k1 = beta * q ** (beta - 1)
    k2 = beta * (beta - 1) * q ** (beta - 2)
    return s * s.T * q**beta + 2 * k1 * (s.T - s) * r - 2 * k1 - 4 * k2 * r * r


@pytest.mark.parametrize("c, beta", [(1.0, -0.5), (1.3, -0.8)])
def test_steins_identity(c, beta):
    """E_p u(x, y) = 0 for every y, and E_q u = E δ δ' k with δ = s_p − s_q, both by 300 nodes."""
    nodes, w = GAUSSIAN.quadrature(300)
    u = weighted(GAUSSIAN.score, nodes, c, beta)
    sample = nodes[100:200:20]
    np.testing.assert_allclose(
        weighted(GAUSSIAN.score, sample, c, beta), pairs(GAUSSIAN.score, sample, c, beta), rtol=1e-10
    )
    np.testing.assert_allclose(u @ w, 0, atol=1e-12)
    other = weighted(LOGISTIC.score, nodes, c, beta)
    delta = w[:, None] * (LOGISTIC.score(nodes) - GAUSSIAN.score(nodes))  # (m, 1)
    gap = (delta.T @ (c * c + (nodes - nodes.T) ** 2) ** beta @ delta).item()
    np.testing.assert_allclose(w @ other @ w, gap, rtol=1e-11)
    assert gap > 1e-3


def test_u_of_two_rows_comes_out_of_the_discrepancies_of_one_and_two():
    nodes = np.linspace(-2, 2, 7)[:, None]
    np.testing.assert_allclose(
        stein_matrix(LOGISTIC.score, nodes),
        weighted(LOGISTIC.score, nodes, 1.0, -0.5),
        rtol=1e-12,
        atol=1e-13,
    )


def test_the_size_of_the_blocks_of_rows_does_not_matter(monkeypatch):
    x, signs = (
        np.random.default_rng(0).standard_normal((37, 3)),
        np.random.default_rng(1).choice([-1, 1], (20, 37)),
    )
    whole = ksd(curved, x), ksd(curved, x, unbiased=True), *ksd_test(curved, x, signs)
    monkeypatch.setattr(diagnostics.stein, "_BLOCK", 100)
    parts = ksd(curved, x), ksd(curved, x, unbiased=True), *ksd_test(curved, x, signs)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


# Units ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [-280, -40, 40, 280])
def test_it_is_the_same_in_other_units_where_c_follows(exponent):
    """x and c times 2^k, the score over it: KSD² times 2^(k(2β − 2)), digit by digit; p is the same."""
    x, k = np.random.default_rng(0).standard_normal((30, 2)), 2.0**exponent
    signs = np.random.default_rng(1).choice([-1, 1], (99, 30))

    def score(y):
        return curved(y / k) / k

    assert ksd(score, k * x, k) == np.ldexp(ksd(curved, x), -3 * exponent)
    assert ksd_test(score, k * x, signs, k).p == ksd_test(curved, x, signs).p
    half = ksd(score, k * x, k, -0.75) / ksd(curved, x, beta=-0.75)
    assert np.log2(half) == pytest.approx(-3.5 * exponent, abs=1e-12 * abs(exponent))


@pytest.mark.parametrize("scale", [1e155, 1e-155])
def test_squares_that_leave_the_range_of_floats_do_no_harm(scale):
    """Rows that are far apart beside c have a kernel of 0; rows that are all alike beside c have that of one row."""
    x = scale * np.array([[0.0], [1.0], [-2.0]])
    flat = ksd(lambda x: 0 * x, x)
    expected = np.diag([1.0, 1, 1]).mean() if scale > 1 else 1.0  # u(x, x) = −2d k₁ = 1 at c = 1 and β = −½
    assert flat == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match=r"^x must be of a size at which the discrepancy can be computed"):
        ksd(lambda x: 1e200 + 0 * x, x)


@pytest.mark.parametrize("exponent", [-515, 515])
def test_the_p_value_is_the_same_at_1e155_where_the_discrepancy_has_no_number(exponent):
    x, k = np.random.default_rng(0).standard_normal((30, 2)), 2.0**exponent
    signs = np.random.default_rng(1).choice([-1, 1], (99, 30))

    def score(y):
        return curved(y / k) / k

    found = ksd_test(score, k * x, signs, k)
    assert found.p == ksd_test(curved, x, signs).p
    assert found.statistic == (0.0 if exponent > 0 else np.inf)


# The test ---------------------------------------------------------------------------------------------------


def rejections(n, fit, runs=300, B=199):
    """How often the test rejects at 5 % with samples of a Gaussian, the score the true one or fitted to other rows."""
    mean, cov = gaussian_parameters(3, 2)
    p, rng, count = T.Gaussian(mean, cov), np.random.default_rng(0), 0
    for _ in range(runs):
        x = p.sample(n, rng=rng)
        score = ns.LinearScore.fit(x).score if fit else p.score
        count += ksd_test(score, x, rng.choice([-1, 1], (B, n))).p <= 0.05
    return count / runs


@pytest.mark.parametrize("n", [30, 100])
def test_the_size_of_the_test_is_what_it_says(n):
    assert abs(rejections(n, fit=False) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 300)


def test_on_the_rows_that_the_score_was_fitted_to_it_never_rejects():
    assert rejections(60, fit=True) == 0


def test_it_rejects_what_is_another_density():
    rng = np.random.default_rng(4)
    t = T.StudentT([0.0], [[1.0]], 3.0)
    x = t.sample(400, rng=rng)
    signs = rng.choice([-1, 1], (199, 400))
    assert ksd_test(T.Gaussian([0.0], [[3.0]]).score, x, signs).p == 1 / 200
    assert ksd_test(t.score, x, signs).p > 0.05


def test_the_p_value_is_a_count():
    x, rng = np.random.default_rng(5).standard_normal((40, 2)), np.random.default_rng(6)
    signs = rng.choice([-1.0, 1.0], (60, 40))
    u = pairs(curved, x, 1.0, -0.5)
    statistic, p = ksd_test(curved, x, signs)
    totals = np.einsum("bi,ij,bj->b", signs, u, signs)
    assert statistic == pytest.approx(u.mean(), rel=1e-10)
    assert p == (1 + np.count_nonzero(totals >= u.sum())) / 61  # eq-9.21
    assert 0.02 < p < 1 and ksd_test(curved, x, np.ones((3, 40))).p == 1.0


def test_it_cannot_see_how_much_lies_in_each_of_two_separate_modes():
    """Shares .5 for .9, modes 8 apart: 9e-8, where the energy distance is 2.2."""

    def make(share):
        return T.GaussianMixture([share, 1 - share], [[-4.0], [4.0]], [[[1.0]], [[1.0]]])

    nodes, w = make(0.9).quadrature(300)
    discrepancy = w @ weighted(make(0.5).score, nodes, 1.0, -0.5) @ w
    assert 1e-8 < discrepancy < 2e-7
    x, y = (make(share).sample(4000, rng=0) for share in (0.9, 0.5))
    assert diagnostics.energy_distance(x, y) > 1.5


# Wrong arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"score": None}, TypeError, r"^score must be a callable"),
        ({"score": lambda x: x[:, :1]}, ValueError, r"^score\(x\) must have the shape of x"),
        ({"score": lambda x: x * np.nan}, ValueError, r"^score\(x\) must be finite, got nan"),
        ({"x": np.zeros(3)}, ValueError, r"^x must have shape \(n, d\)"),
        ({"c": 0}, ValueError, r"^c must be a finite number > 0"),
        ({"beta": -1.0}, ValueError, r"^beta must be a finite number > -1 and < 0, got -1\.0"),
        ({"beta": 0.5}, ValueError, r"^beta must be a finite number > -1 and < 0"),
    ],
)
def test_a_wrong_argument_is_named(change, error, message):
    good = {"score": curved, "x": np.zeros((3, 2)), **change}
    with pytest.raises(error, match=message):
        ksd(**good)
    with pytest.raises(error, match=message):
        ksd_test(**good, signs=np.ones((2, 3)))


def test_wrong_signs_are_named():
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"^signs must have shape \(2, 3\), got shape \(2, 4\)"):
        ksd_test(curved, x, np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"^signs must all be 1 or -1, got 0\.5"):
        ksd_test(curved, x, [[1, -1, 0.5]])
    with pytest.raises(ValueError, match=r"^x must have at least two rows for unbiased=True, got 1"):
        ksd(curved, x[:1], unbiased=True)
    with pytest.raises(TypeError, match=r"^unbiased must be True or False"):
        ksd(curved, x, unbiased=1)
