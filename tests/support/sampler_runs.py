"""What the samplers' tests share: a score, starting points, and a run spelled out as the iterated pure step."""

import numpy as np
import pytest

import npscore as ns

DTYPES = (np.float32, np.float64, np.longdouble)


def langevin(score, x0, step=0.1, n_steps=5, **options):
    return ns.langevin(score, x0, step, n_steps, rng=0, **options)


def ascent(score, x0, step=0.1, n_steps=5, **options):
    return ns.gradient_ascent(score, x0, step, n_steps, **options)


both = pytest.mark.parametrize("run", [langevin, ascent])


def curved(x):
    """A score that is not linear, couples the coordinates and keeps the chains near the origin."""
    return np.tanh(x[:, ::-1] - 0.5) - x


def start(seed=0, n=5, d=3, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def iterate(score, x0, step, n_steps, rng):
    """The plain run: states after steps 1 … n_steps, (n_steps, n, d), by the pure step, block by block."""
    states = np.empty((n_steps, *x0.shape), x0.dtype)
    for block in ns.samplers.langevin_blocks(*x0.shape, rng=rng):
        x = x0[block.rows]
        for t in range(n_steps):
            states[t, block.rows] = x = ns.langevin_step(score, x, step, block.noise(x.dtype))
    return states
