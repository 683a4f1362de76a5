"""What the tests of ``fit`` share: small data and networks, and things that watch a run or make it fail."""

from itertools import count

import numpy as np
from support.strategies import network

import npscore as ns
from npscore.objectives import Objective, as_objective

TYPES = (np.float32, np.float64, np.longdouble)
QUICK = {"steps": 6, "batch_size": 4, "rng": 3, "learning_rate": 0.02}


def data(n=12, d=2, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, d)) @ np.triu(np.full((d, d), 0.5)) + 0.3
    x.setflags(write=False)
    return x


def small(d=2, hidden=(4,), activation="tanh", seed=2):
    return network(np.random.default_rng(seed), d, hidden, activation)


def affine(d=2):
    return ns.MLP([(-np.eye(d), np.zeros(d))])


def held_out_ism(model, x):
    s = model.score(x)
    return float((0.5 * (s * s).sum(axis=1) + model.divergence(x)).mean())


def same(a, b):
    """Two results are the same, bit for bit."""
    for name in ("model", "final_model"):
        got, want = getattr(a, name).theta, getattr(b, name).theta
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype
    for got, want in zip(a.history, b.history):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype
    assert a[3:] == b[3:]  # best_step, validation_loss, stopped
    return True


class Watch:
    """A callback that keeps what it is told."""

    def __init__(self, stop=None):
        self.steps, self.losses, self.models, self.stop = [], [], [], stop

    def __call__(self, step, loss, model):
        self.steps.append(step)
        self.losses.append(loss)
        self.models.append(model)
        return step == self.stop


class Watched(Objective):
    """The named objective, whose results go through ``seen(model, x, result)``."""

    def __init__(self, seen, objective="ism", **fields):
        self.seen, self.objective = seen, as_objective(objective, **fields)

    def draw(self, x, rng):
        return self.objective.draw(x, rng)

    def loss(self, model, x, draw=None, weights=None, cond=None):
        result = self.objective.loss(model, x, draw, weights, cond)
        changed = self.seen(model, x, result)
        return result if changed is None else changed

    def values(self, model, x, draw=None, cond=None):
        return self.objective.values(model, x, draw, cond)

    def spec(self):
        return None


def watched(seen, objective="ism", **fields):
    """The named objective, keeping each batch it is given."""
    return Watched(lambda model, x, result: seen.append(x.copy()), objective, **fields)


def failing(at, failure):
    """ISM, but for its so-many-th evaluation, counted from 1, whose result goes through ``failure``."""
    evaluations = count(1)
    return Watched(lambda model, x, result: failure(result) if next(evaluations) == at else None)


def ctrl_c(result):
    raise KeyboardInterrupt
