"""What the property tests share: strategies that draw shapes and seeds, and the arrays a seed stands for.

Hypothesis draws only whole numbers and names; ``default_rng(seed)`` fills the arrays, so that an example
that fails is one line to type again. Weights and biases are O(1): small weights hide a dropped φ″.
"""

from __future__ import annotations

import pickle
from itertools import product
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

import npscore as ns
from npscore.checks import relative_error

#: Bounded slope: any depth is tame. Powers grow doubly exponentially with depth.
TAME = ("tanh", "softplus", "softplus(beta=2)", "silu", "gelu", "sin", "erf", "sigmoid", "isru", "identity")
ACTIVATIONS = (*TAME, "square", "cube")

seeds = st.integers(0, 2**32 - 1)
dimensions = st.integers(1, 4)
activations = st.sampled_from(ACTIVATIONS)
hidden_widths = st.lists(st.integers(1, 6), min_size=0, max_size=4)


class Case(NamedTuple):
    """A network with O(1) weights, and data, probes, noise and weights to go with it."""

    model: ns.ScoreModel
    x: np.ndarray  # (n, d)
    v: np.ndarray  # (m, n, d)
    target: np.ndarray  # (n, d)
    noise: np.ndarray  # (n, d)
    sigma: np.ndarray  # (n,)
    weights: np.ndarray  # (n,)
    rng: np.random.Generator


def network(rng, d, hidden, activation="tanh", scale=1.5):
    """An MLP with weights of about ``scale``/√fan_in and biases of about 1."""
    sizes = (d, *hidden, d)
    layers = [
        (scale * rng.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in), rng.standard_normal(fan_out))
        for fan_in, fan_out in zip(sizes, sizes[1:])
    ]
    return ns.MLP(layers, activation)


def moved(value):
    """``value`` as it arrives from a network: pickled with its arrays apart, and those one byte off any boundary."""
    apart = []
    text = pickle.dumps(value, protocol=5, buffer_callback=apart.append)
    buffers = []
    for part in apart:
        place = bytearray(part.raw().nbytes + 1)
        place[1:] = part.raw()
        buffers.append(memoryview(place)[1:])
    return pickle.loads(text, buffers=buffers)


def make_case(seed, d=3, hidden=(5, 4), activation="tanh", n=7, m=2, scale=1.5):
    """Everything an objective takes, from one seed."""
    rng = np.random.default_rng(seed)
    model = network(rng, d, hidden, activation, scale)
    x, target, noise = rng.standard_normal((3, n, d))
    v = rng.standard_normal((m, n, d))
    return Case(model, x, v, target, noise, rng.uniform(0.3, 1.5, n), rng.dirichlet(np.ones(n)), rng)


@st.composite
def cases(draw, activations=activations, hidden=hidden_widths, dimensions=dimensions):
    """Networks of depth 0 to 4 with any widths and activation, on batches of 1 to 6 rows."""
    return make_case(
        draw(seeds),
        d=draw(dimensions),
        hidden=draw(hidden),
        activation=draw(activations),
        n=draw(st.integers(1, 6)),
        m=draw(st.integers(1, 3)),
    )


#: Every objective as a function of the model alone, the rest of the case held fixed.
OBJECTIVES = {
    "esm": lambda model, case: ns.esm(model, case.x, case.target, case.weights),
    "ism": lambda model, case: ns.ism(model, case.x, case.weights),
    "ssm": lambda model, case: ns.ssm(model, case.x, case.v, case.weights),
    "ssm_vr": lambda model, case: ns.ssm_vr(model, case.x, case.v, case.weights),
    "dsm": lambda model, case: ns.dsm(model, case.x, case.noise, case.sigma, case.weights),
}


def gaussian_parameters(seed, d):
    """A random mean and a covariance with eigenvalues of about 1, well conditioned."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    cov = (rotation * rng.uniform(0.5, 1.5, d)) @ rotation.T
    return rng.standard_normal(d), 0.5 * (cov + cov.T)


def sign_vectors(d, n):
    """All 2^d sign vectors as probes for every row, shape (2^d, n, d)."""
    signs = np.array(list(product((-1.0, 1.0), repeat=d)))  # (2^d, d)
    return np.repeat(signs[:, None, :], n, axis=1)


def gradient_error(model, actual, expected):
    """The largest error over all parameters, each on the scale of the array (W_l or b_l) it belongs to."""
    parts = zip(model.unravel(actual), model.unravel(expected))
    return max(relative_error(a, e) for got, want in parts for a, e in zip(got, want))
