"""What diffusion is for: a mixture whose modes are apart, learned from rows and sampled with the right shares."""

import numpy as np
import pytest

import npscore as ns
from npscore import diffusion
from npscore.diffusion import EDM, Denoising, DiffusionScore, LogNormal
from npscore.targets import GaussianMixture

P = GaussianMixture(
    [0.25, 0.75], [[-4.5, -0.75], [1.5, 0.25]], [[[0.3, 0.0], [0.0, 0.6]], [[0.5, 0.2], [0.2, 0.4]]]
)
TABLE = diffusion.heun(EDM(), diffusion.karras_sigmas(12, 0.02, 20.0))
ROWS, SEEDS = 10_000, range(5)


def share(x):
    """Of the rows, those in the smaller mode."""
    return (x[:, 0] < -1.5).mean()


def energy_distance(x, y):
    """In two dimensions that of projections, averaged over directions: |v| is π/2 times the mean of |u·v|."""
    angles = np.pi * np.arange(16) / 16
    directions = np.stack([np.cos(angles), np.sin(angles)])
    projected = ((x @ directions).T, (y @ directions).T)
    return (
        np.pi
        / 2
        * np.mean([ns.diagnostics.energy_distance(a[:, None], b[:, None]) for a, b in zip(*projected)])
    )


def sampled(model, dtype=np.float64):
    starts = (diffusion.prior_sample(EDM(), 20.0, ROWS, 2, rng=seed, dtype=dtype) for seed in SEEDS)
    return [diffusion.sample(model, TABLE, x_T).x.astype(np.float64) for x_T in starts]


@pytest.fixture(scope="module")
def network():
    x = P.sample(50_000, rng=0).astype(np.float32)
    net = ns.MLP.init((2, 48, 48, 2), "silu", rng=0, condition=1)
    model = DiffusionScore(net.with_theta(net.theta.astype(np.float32)), EDM(), sigma_data=2.0)
    objective = Denoising(EDM(), times=LogNormal(0.2, 1.2), sigma_data=2.0)
    options = {"batch_size": 512, "learning_rate": 8e-3, "ema": 0.995, "schedule": "cosine"}
    return ns.fit(model, x, objective, steps=2500, rng=0, **options).model


def test_shares_and_energy_distance_are_those_of_the_exact_score(network):
    """10,000 samples, the mean of five seeds: at most twice the distance of the exact score with the same table."""
    exact = sampled(lambda t: P.diffused(1.0, t).score)
    learned = sampled(network, np.float32)
    others = [P.sample(ROWS, rng=100 + seed) for seed in SEEDS]
    distances = [np.mean([energy_distance(x, y) for x, y in zip(runs, others)]) for runs in (learned, exact)]
    assert distances[0] < 2 * distances[1]
    assert np.mean([share(x) for x in learned]) == pytest.approx(0.25, abs=0.015)


def test_langevin_alone_keeps_the_shares_that_it_started_with(network):
    """With the exact score no chain crosses between the modes; with the same network at its lowest level too few."""
    for share_at_start in (0.5, 0.9):
        left = np.arange(500) < 500 * share_at_start
        x0 = np.where(left[:, None], P.means[0], P.means[1])
        for score in (P.score, network.at(0.1).score):
            x = ns.langevin(score, x0, 0.02, 500, rng=0).x
            assert np.abs(share(x) - 0.25) > 0.2
            if score == P.score:
                assert share(x) == pytest.approx(share_at_start, abs=0.01)
