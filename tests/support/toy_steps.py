"""Samplers from outside the package, for the runner, each beside its plain loop with the noise as an argument."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from npscore.samplers.run import evaluator
from npscore.samplers.step import Motion, Step

OUTER = 4.0  # where chains start to run away


def log_density(x):
    """Row by row: a Gaussian within OUTER in the first coordinate, growing outwards beyond."""
    return np.where(x[:, 0] > OUTER, 1.0, -0.5).astype(x.dtype) * (x * x).sum(axis=1)


def pulls(x, scale=1.0):
    """A score, row by row: to the origin, but outwards for rows beyond OUTER in the first coordinate."""
    return np.where(x[:, :1] > OUTER, 30.0, -scale).astype(x.dtype) * x


# Metropolis: log p at x is carried along; a normal and a uniform array a step --------------------------------


@dataclass(frozen=True)
class Metropolis(Step):
    """The random walk of Metropolis et al. (1953), with the number of moves of every chain."""

    log_prob: Callable
    scale: float
    name, uniforms = "metropolis", 1

    def start(self, x):
        return x, self.log_prob(x), np.zeros(len(x), np.int64)

    def motion(self, x, log_p, n_accepted):
        log_prob = evaluator(self.log_prob, x, "log_prob(x)", (len(x),))

        def move(t, z, u):
            y = x + x.dtype.type(self.scale) * z
            log_q = log_prob(y)
            accepted = np.log(u) < log_q - log_p
            x[accepted], log_p[accepted] = y[accepted], log_q[accepted]
            n_accepted[accepted] += 1

        return Motion(move)


def metropolis_loop(step, x, noise):
    n_accepted = np.zeros(len(x), np.int64)
    for z, u in noise:
        y = x + x.dtype.type(step.scale) * z
        accepted = np.log(u) < step.log_prob(y) - step.log_prob(x)
        x, n_accepted = np.where(accepted[:, None], y, x), n_accepted + accepted
        yield (x,), (step.log_prob(x), n_accepted)


# Kinetic Langevin: momenta are carried along and recorded; two normal arrays a step ---------------------------


@dataclass(frozen=True)
class Kinetic(Step):
    """OBABO at mass and temperature 1: half a turn of noise, half a kick, a drift, half a kick, half a turn."""

    score: Callable
    h: float
    friction: float
    name, normals, records = "kinetic", 2, 2

    def start(self, x, p):
        return x, p, np.zeros_like(x)

    def motion(self, x, p, s):
        score = evaluator(self.score, x)
        h, keep, kick = obabo(self, x.dtype)

        def move(t, z1, z2):
            if t == 1:
                s[...] = score(x)
            p[...] = keep * p + kick * z1 + h / 2 * s
            x[...] = x + h * p
            s[...] = score(x)
            p[...] = keep * (p + h / 2 * s) + kick * z2

        return Motion(move)


def obabo(step, dtype):
    real, half = dtype.type, step.friction * step.h / 2
    return real(step.h), real(np.exp(-half)), real(np.sqrt(-np.expm1(-2 * half)))


def kinetic_loop(step, x, noise, p):
    h, keep, kick = obabo(step, x.dtype)
    for z1, z2 in noise:
        p = keep * p + kick * z1 + h / 2 * step.score(x)
        x = x + h * p
        p = keep * (p + h / 2 * step.score(x)) + kick * z2
        yield (x, p), (step.score(x),)


# A table: one row and one score per step ----------------------------------------------------------------------


class Row(NamedTuple):
    """x <- A x + B s(x, t) + N z."""

    t: float
    A: float
    B: float
    N: float


def score_at(t):
    """A callable (n, d) -> (n, d) that pickles."""
    return functools.partial(pulls, scale=t)


@dataclass(frozen=True)
class Table(Step):
    """Step number i takes row i. No noise is drawn where no row has any."""

    score_at: Callable
    rows: tuple
    name = "table"

    @property
    def normals(self):
        return int(any(row.N for row in self.rows))

    def start(self, x):
        return (x,)

    def motion(self, x):
        def move(i, *noise):
            row, real = self.rows[i - 1], x.dtype.type
            s = evaluator(self.score_at(row.t), x)(x)
            x[...] = real(row.A) * x + real(row.B) * s
            for z in noise:
                x[...] = x + real(row.N) * z

        return Motion(move)


def table_loop(step, x, noise):
    for row, zs in zip(step.rows, noise):
        A, B, N = map(x.dtype.type, row[1:])
        x = A * x + B * step.score_at(row.t)(x)
        x = x + N * zs[0] if zs else x
        yield (x,), ()


# All chains together ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corrector(Step):
    """Langevin whose step follows the mean norms of noise and score over all chains."""

    score: Callable
    ratio: float
    name, one_block = "corrector", True

    def start(self, x):
        return (x,)

    def motion(self, x):
        score = evaluator(self.score, x)

        def move(t, z):
            s = score(x)
            a = x.dtype.type(corrector_step(self, z, s))
            x[...] = x + a * s + np.sqrt(2 * a) * z

        return Motion(move)


def corrector_step(step, z, s):
    return 2 * (step.ratio * np.linalg.norm(z, axis=1).mean() / np.linalg.norm(s, axis=1).mean()) ** 2


# Done where all have arrived ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Halving(Step):
    """x <- x/2 for chains beyond ``within``, in blocks."""

    within: float
    name, normals, converges = "halving", 0, True

    def start(self, x):
        return (x,)

    def motion(self, x):
        def outside():
            return np.abs(x).max(axis=1) > self.within

        def move(t):
            x[outside()] *= 0.5

        return Motion(move, converged=lambda: ~outside())
