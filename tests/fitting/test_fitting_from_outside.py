"""An objective and an optimiser written outside the package are fitted, sharded, held out and kept like its own."""

from dataclasses import dataclass

import numpy as np
import pytest
from support.fitting_cases import QUICK, affine, data, same, small
from support.shard_cases import executor

import npscore as ns
from npscore.fitting import Optimizer, Run
from npscore.objectives import DSM, Objective


@dataclass(frozen=True)
class Antithetic(Objective):
    """DSM with each noise and its negative: the mean of the two losses. Picklable, and its draw is an array."""

    sigma: float

    def draw(self, x, rng):
        return rng.standard_normal(x.shape).astype(x.dtype)

    def loss(self, model, x, draw=None, weights=None, cond=None):
        parts = [ns.dsm(model, x, sign * draw, self.sigma, weights, cond) for sign in (1, -1)]
        return ns.LossGrad(*(0.5 * (one + other) for one, other in zip(*parts)))

    def spec(self):
        return {"objective": "antithetic", "sigma": self.sigma}


@dataclass(frozen=True)
class Descent(Optimizer):
    """Gradient descent on all rows."""

    rate: float

    def first_memory(self, problem, rng):
        return None

    def minimise(self, run: Run) -> str:
        while (reason := run.reason_to_stop()) is None:
            problem, state = run.problem, run.state
            loss, grad, norm = run.evaluate(
                lambda model, problem=problem: problem.rows.evaluate(problem.objective, model, (0,)),
                state.theta,
            )
            theta = state.theta - self.rate * grad
            run.take(state._replace(step=state.step + 1, theta=theta, average=theta), loss, norm, self.rate)
        return reason


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", Descent(0.01)])
def test_an_objective_from_outside(optimizer, tmp_path):
    settings = {**QUICK, "optimizer": optimizer, "validation": data(9, seed=5)}
    if optimizer not in ("adam", "lbfgs"):
        del settings["learning_rate"]
    run = ns.fit(small(), data(), Antithetic(0.4), **settings)
    rng = np.random.default_rng(QUICK["rng"])
    noise = rng.standard_normal((9, 2))
    held_out = data(9, seed=5)
    loss = sum(ns.dsm(run.model, held_out, sign * noise, 0.4).loss for sign in (1, -1)) / 2
    assert run.validation_loss == pytest.approx(loss, rel=1e-12)
    kept = {**settings, "checkpoint": tmp_path / "run", "resume": True}
    ns.fit(small(), data(), Antithetic(0.4), **kept, callback=lambda step, *_: step == 3)
    with pytest.raises(ValueError, match="must come from the same"):
        ns.fit(small(), data(), Antithetic(0.5), **kept)
    resumed = ns.fit(small(), data(), Antithetic(0.4), **kept)
    if optimizer != "lbfgs":
        assert same(resumed, run)


def test_a_spec_that_json_cannot_hold_is_refused(tmp_path):
    objective = Antithetic(np.float32(0.4))
    with pytest.raises(TypeError, match=r"objective must have a spec\(\) that JSON can hold, got dict"):
        ns.fit(small(), data(), objective, checkpoint=tmp_path / "run", **QUICK)
    assert not list(tmp_path.iterdir())


def test_it_is_sharded_too():
    with executor("processes") as where:
        here, there = (
            ns.fit(small(), None, ns.sharded(Antithetic(0.4), w, [data()[:5], data()[5:]]), steps=3,
                   optimizer="lbfgs", rng=0)
            for w in (None, where)
        )  # fmt: skip
    assert same(here, there)
    total = ns.sharded(Antithetic(0.4), None, [data()])
    plain = ns.sharded(DSM(0.4), None, [data()])
    assert total(small(), rng=1).loss != plain(small(), rng=1).loss


def test_an_optimiser_from_outside_finds_the_minimum():
    x = data(60)
    run = ns.fit(affine(), x, optimizer=Descent(0.05), steps=4000, rng=0)
    np.testing.assert_allclose(run.model.theta, ns.LinearScore.fit(x).theta, rtol=1e-6)
    assert (np.diff(run.history.loss) <= 1e-14).all() and run.stopped == "steps"
    total = ns.sharded("ism", None, [x[:20], x[20:]])
    apart = ns.fit(affine(), None, total, optimizer=Descent(0.05), steps=50, rng=0)
    np.testing.assert_allclose(apart.history.loss, run.history.loss[:50], rtol=1e-12)
    for adam in ("adam", ns.fitting.Adam()):
        with pytest.raises(ValueError, match="optimizer must be 'lbfgs' with a sharded objective"):
            ns.fit(affine(), None, total, optimizer=adam)
