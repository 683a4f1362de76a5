"""A new model, objective and sampler step, each defined here in one place, runs through everything there is."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pytest

import npscore as ns
from npscore.checks import complex_step_gradient, complex_step_jacobian, relative_error
from npscore.models import ScoreModel
from npscore.models.registry import REGISTERED
from npscore.objectives import Objective
from npscore.samplers.run import walk
from npscore.samplers.step import Motion, Step


class Shifted(ScoreModel):
    """s(x, cond) = −eᵃ (x − m − G cond), cond (n, 1): a scalar a, a vector m, a matrix G of any shape in θ."""

    def __init__(self, log_precision, mean, gain):
        mean, gain = np.asarray(mean, dtype=float), np.asarray(gain, dtype=float)
        parts = {"a": np.array(log_precision, dtype=float), "m": mean, "G": gain}
        super().__init__(len(mean), parts, condition=gain.shape[1])

    @property
    def config(self):
        return {"d": self.d, "condition": self.condition}

    @classmethod
    def from_config(cls, config, theta):
        d, c = config["d"], config["condition"]
        return cls(0.0, np.zeros(d), np.zeros((d, c))).with_theta(theta)

    def _at(self, cond):
        a, m, G = self.parts.values()
        return Shifted(a, m + G @ cond, np.zeros((self.d, 0)))

    def _gap(self, x, cond):
        a, m, G = self.parts.values()
        return np.exp(a), x - m if cond is None else x - m - cond @ G.T

    def _flat(self, da, dm, cond):
        dG = dm.T @ cond if cond is not None else np.zeros((self.d, self.condition), dm.dtype)
        return np.concatenate([[da], dm.sum(axis=0), dG.ravel()])

    def _score_vjp(self, x, cond=None):
        precision, gap = self._gap(x, cond)
        s = -precision * gap
        return s, lambda ds: self._flat((ds * s).sum(), precision * ds, cond)

    def _divergence_vjp(self, x, cond=None):
        s, pull = self._score_vjp(x, cond)
        div = np.full(len(x), -self.d * np.exp(self.parts["a"]))
        more = np.eye(1, len(self.theta))[0]
        return s, div, lambda ds, ddiv: pull(ds) + (ddiv * div).sum() * more

    def _quadratic_form_vjp(self, x, v, cond=None):
        s, pull = self._score_vjp(x, cond)
        q = -np.exp(self.parts["a"]) * (v * v).sum(axis=-1)
        more = np.eye(1, len(self.theta))[0]
        return s, q, lambda ds, dq: pull(ds) + (dq * q).sum() * more

    def _jacobian(self, x, cond=None):
        return np.tile(-np.exp(self.parts["a"]) * np.eye(self.d), (len(x), 1, 1))


@dataclass(frozen=True)
class Pairs(Objective):
    """Sliced score matching with the two probes v and −v, which is what it is with one: a draw of its own."""

    scale: float

    def draw(self, x, rng):
        return rng.choice([-1.0, 1.0], x.shape)

    def loss(self, model, x, draw=None, weights=None, cond=None):
        loss, grad, per_sample = ns.ssm_vr(model, x, np.stack([draw, -draw]), weights, cond)
        return ns.LossGrad(self.scale * loss, self.scale * grad, self.scale * per_sample)

    def spec(self):
        return {"objective": "pairs", "scale": self.scale}


@dataclass(frozen=True)
class Barker(Step):
    """A step that moves with probability σ(s·Δ) along a random sign: uniforms beside normals, the count
    carried along."""

    score: object
    h: float
    name, uniforms = "barker", 1

    def start(self, x):
        return x, np.zeros(len(x))

    def motion(self, x, moved):
        def move(t, z, u):
            direction = (self.h * z * self.score(x)).sum(axis=1)
            forward = u < 1 / (1 + np.exp(-direction))
            x[...] += np.where(forward, 1.0, -1.0)[:, None] * self.h * z
            moved[forward] += 1

        return Motion(move)


def pull_in(x):
    return -x


RNG = np.random.default_rng(0)
X, COND, V = RNG.standard_normal((40, 3)), RNG.standard_normal((40, 2)), RNG.standard_normal((2, 40, 3))
MODEL = Shifted(0.3, [0.5, -1.0, 0.2], RNG.standard_normal((3, 2)))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(REGISTERED, "Shifted", Shifted)


@pytest.mark.parametrize(
    "objective", [ns.objectives.ISM(), ns.objectives.SSM(2), ns.objectives.DSM(0.3), Pairs(0.5)]
)
def test_the_model_has_every_objective(objective):
    draw = objective.draw(X, np.random.default_rng(1))

    def loss(theta):
        return objective.loss(MODEL.with_theta(theta), X, draw, cond=COND)

    expected = complex_step_gradient(lambda theta: loss(theta).loss, MODEL.theta)
    assert relative_error(loss(MODEL.theta).grad, expected) < 1e-12
    assert (
        relative_error(MODEL.jacobian(X, COND), complex_step_jacobian(lambda x: MODEL.score(x, COND), X))
        < 1e-12
    )
    parts = MODEL.unravel(loss(MODEL.theta).grad)
    assert {name: part.shape for name, part in parts.items()} == {"a": (), "m": (3,), "G": (3, 2)}


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_fit_finds_the_truth_of_a_conditional_gaussian(optimizer):
    rng = np.random.default_rng(2)
    cond = rng.standard_normal((4000, 2))
    x = MODEL.parts["m"] + cond @ MODEL.parts["G"].T + np.exp(-0.15) * rng.standard_normal((4000, 3))
    start = Shifted(0.0, np.zeros(3), np.zeros((3, 2)))
    run = ns.fit(start, x, Pairs(0.5), cond=cond, optimizer=optimizer, steps=400, rng=0, learning_rate=0.02)
    np.testing.assert_allclose(run.model.theta, MODEL.theta, atol=0.06)


def test_a_fit_with_a_checkpoint_goes_on(tmp_path):
    path, start = tmp_path / "run", Shifted(0.0, np.zeros(3), np.zeros((3, 2)))
    whole = ns.fit(start, X, Pairs(0.5), cond=COND, steps=20, rng=0)
    ns.fit(
        start, X, Pairs(0.5), cond=COND, steps=20, rng=0, checkpoint=path, callback=lambda step, *_: step == 7
    )
    rest = ns.fit(start, X, Pairs(0.5), cond=COND, steps=20, rng=0, checkpoint=path, resume=True)
    np.testing.assert_array_equal(rest.model.theta, whole.model.theta)
    with pytest.raises(ValueError, match="same"):
        ns.fit(start, X, Pairs(0.6), cond=COND, steps=20, rng=0, checkpoint=path, resume=True)


def test_shards_give_the_same_bits_here_and_in_processes():
    shards = [(X[:15], COND[:15]), (X[15:], COND[15:])]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        here, there = (ns.sharded(Pairs(0.5), engine, shards)(MODEL, rng=1) for engine in (None, pool))
    assert here.loss == there.loss
    np.testing.assert_array_equal(here.grad, there.grad)


def test_save_and_load(tmp_path):
    ns.save(tmp_path / "m.npz", MODEL)
    again = ns.load(tmp_path / "m.npz").model
    assert type(again) is Shifted
    np.testing.assert_array_equal(again.score(X, COND), MODEL.score(X, COND))


def test_langevin_samples_its_density_at_a_condition():
    plain = MODEL.at(COND[0])
    run = ns.langevin(plain.score, np.zeros((4000, 3)), 0.1, 200, rng=0)
    np.testing.assert_allclose(run.x.mean(axis=0), plain.parts["m"], atol=0.06)


def test_the_step_walks_in_threads_and_processes():
    x0 = np.random.default_rng(3).standard_normal((9000, 2))
    runs = [walk(Barker(pull_in, 0.3), x0, 30, rng=5), walk(Barker(pull_in, 0.3), x0, 30, rng=5, workers=2)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        runs.append(walk(Barker(pull_in, 0.3), x0, 30, rng=5, executor=pool))
    for run in runs[1:]:
        np.testing.assert_array_equal(run.state[0], runs[0].state[0])
        np.testing.assert_array_equal(run.state[1], runs[0].state[1])
    assert 0.5 < runs[0].state[1].mean() / 30 < 0.7
