"""Which bug is this covariance: each mistake in MALA's ratio has a stationary covariance of its own on a Gaussian.

With proposals reversible for the precision P − αP²/2, a chain that accepts by min(1, ρ(y)/ρ(x)), ρ a Gaussian factor of
precision R, settles at P − αP²/2 + R. Both are shown exactly: by detailed balance between any two states, and by the
chain's whole transition matrix on a grid.
"""

import numpy as np
import pytest

import npscore as ns

P, ALPHA = 0.8, 0.3  # precision and step, in one dimension


def log_p(x):
    return -0.5 * P * x * x


def score(x):
    return -P * x


def log_q(y, x, s=score, variance=2.0, drift=1.0):
    """log of the proposal's density, up to a constant: drift α s(x), variance 2α unless a mistake is made."""
    return -((y - x - drift * ALPHA * s(x)) ** 2) / (2 * variance * ALPHA)


def gap(x, y):
    return log_p(y) - log_p(x)


def correction(x, y, **wrong):
    return log_q(x, y, **wrong) - log_q(y, x, **wrong)


def flipped(x):
    return -score(x)


def forward_reused(x, y):
    """The reverse density with the score at x for the score at y."""
    return gap(x, y) + log_q(x, y, lambda _: score(x)) - log_q(y, x)


#: The log ratio with a mistake in it, and the precision at which the chain then settles.
RATIOS = {
    "none": (lambda x, y: gap(x, y) + correction(x, y), P),
    "always accepts": (lambda x, y: 0 * x * y, P - ALPHA * P**2 / 2),
    "no q terms": (gap, 2 * P - ALPHA * P**2 / 2),
    "q ratio inverted": (lambda x, y: gap(x, y) - correction(x, y), 3 * P - ALPHA * P**2),
    "whole ratio inverted": (lambda x, y: -gap(x, y) - correction(x, y), P - ALPHA * P**2),
    "score's sign flipped in q": (lambda x, y: gap(x, y) + correction(x, y, s=flipped), 3 * P),
    "twice drift and variance in q": (
        lambda x, y: gap(x, y) + correction(x, y, variance=4.0, drift=2.0),
        P + ALPHA * P**2 / 2,
    ),
    "q's variance α": (lambda x, y: gap(x, y) + correction(x, y, variance=1.0), ALPHA * P**2 / 2),
    "q's variance 4α": (lambda x, y: gap(x, y) + correction(x, y, variance=4.0), 1.5 * P - ALPHA * P**2 / 4),
    "forward score reused": (forward_reused, P - ALPHA * P**2 / 2),
}
every_mistake = pytest.mark.parametrize("mistake", RATIOS)
GRID = np.linspace(-14, 14, 561)


@every_mistake
def test_every_mistake_has_detailed_balance_with_another_gaussian(mistake):
    """π(x) q(y|x) min(1, e^r) is symmetric for the π of the table, pointwise, and not for any other of them."""
    log_ratio, precision = RATIOS[mistake]
    x, y = np.random.default_rng(0).normal(size=(2, 50))

    def unbalanced(precision):
        flow, back = (
            -0.5 * precision * a * a + log_q(b, a) + np.minimum(0, log_ratio(a, b))
            for a, b in ((x, y), (y, x))
        )
        return np.abs(flow - back).max()

    assert unbalanced(precision) < 1e-13  # eq-16.9
    others = {round(other, 10) for _, other in RATIOS.values()} - {round(precision, 10)}
    assert len(others) == 8 and min(map(unbalanced, others)) > 0.1


@every_mistake
def test_every_mistake_settles_at_its_precision(mistake):
    """πK = π with the transition matrix of the chain on a grid, and only the right chain keeps the density itself."""
    log_ratio, precision = RATIOS[mistake]
    x, y = GRID[:, None], GRID[None, :]
    spacing = GRID[1] - GRID[0]
    move = np.exp(log_q(y, x) + np.minimum(0, log_ratio(x, y))) * spacing / np.sqrt(4 * np.pi * ALPHA)
    kernel = move - np.diag(move.sum(axis=1)) + np.eye(len(GRID))

    def defect(precision):
        law = np.exp(-0.5 * precision * GRID**2)
        law /= law.sum()
        return np.abs(law @ kernel - law).max() / law.max()

    assert defect(precision) < 1e-13  # eq-16.9
    assert (defect(P) < 1e-13) == (mistake == "none")
    assert mistake == "none" or defect(P) > 0.005


def test_npscore_makes_none_of_them():
    x, y = np.random.default_rng(1).normal(size=(2, 50))
    z = (y - x - ALPHA * score(x)) / np.sqrt(2 * ALPHA)
    move = ns.mala_step(lambda x: log_p(x[:, 0]), score, x[:, None], ALPHA, z[:, None], np.full(50, 0.5))
    for mistake, (log_ratio, _) in RATIOS.items():
        off = np.abs(move.log_ratio - log_ratio(x, y))
        assert off.max() < 1e-13 if mistake == "none" else np.median(off) > 0.01, mistake


def test_two_mistakes_with_one_covariance_differ_in_the_log_ratio():
    """So a ratio is what to certify: always accepting and reusing the forward score settle at the same law."""
    (always, one), (reused, other) = RATIOS["always accepts"], RATIOS["forward score reused"]
    x, y = np.random.default_rng(1).normal(size=(2, 50))
    assert one == other and np.median(np.abs(always(x, y) - reused(x, y))) > 0.1
