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


def streams(n, d, rng):
    """The contract of ``langevin``'s random numbers, spelled out: first row, stop and Generator of each block."""
    words = np.random.default_rng(rng).integers(0, 2**32, size=4, dtype=np.uint32)
    k = -(-n // min(1024, max(64, 2**15 // d)))  # ⌈n/r⌉
    seeds = np.random.SeedSequence(words.tolist()).spawn(k)
    generators = [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]
    return [(i * n // k, (i + 1) * n // k, generator) for i, generator in enumerate(generators)]


def iterate(score, x0, step, n_steps, rng):
    """The plain run: states after steps 1 … n_steps, (n_steps, n, d), by the pure step, block by block."""
    states = np.empty((n_steps, *x0.shape), x0.dtype)
    noise_dtype = np.float32 if x0.dtype == np.float32 else np.float64
    for start, stop, generator in streams(*x0.shape, rng):
        x = x0[start:stop]
        for t in range(n_steps):
            z = generator.standard_normal(x.shape, dtype=noise_dtype)
            states[t, start:stop] = x = ns.langevin_step(score, x, step, z)
    return states
