"""Ends of schedules and ranges: one row, one column, σ near 0, levels far out, all types of times."""

import pickle

import numpy as np
import pytest
from support.diffusion_cases import TIMES, forms_at, samplers

import npscore as ns
from npscore import diffusion
from npscore.diffusion import EDM, VE, VP, Cosine, Discrete, Flow, SubVP
from npscore.targets import Gaussian

CONTINUOUS = [VP(), SubVP(), VE(0.02, 30.0), VE(0.02, 30.0, exact=True), EDM(), Cosine(), Cosine(0.0), Flow()]


@pytest.mark.parametrize("schedule", TIMES, ids=repr)
def test_one_row_and_one_column(schedule):
    """A sampler of one chain in one dimension is that of many, row by row."""
    x0_at = lambda x, t: np.tanh(x)  # noqa: E731
    for name, make in samplers(schedule).items():
        table = make(schedule, TIMES[schedule], "score")
        x_T = np.array([[0.7], [-1.2]])
        both = x_T
        for row in table:
            both = diffusion.step(forms_at(x0_at, schedule, "score"), both, row, np.ones((2, 1)))
        alone = x_T[:1]
        for row in table:
            alone = diffusion.step(forms_at(x0_at, schedule, "score"), alone, row, np.ones((1, 1)))
        np.testing.assert_array_equal(alone, both[:1], err_msg=name)
        assert diffusion.sample(forms_at(x0_at, schedule, "score"), table, x_T[:1], rng=0).x.shape == (1, 1)


@pytest.mark.parametrize("schedule", CONTINUOUS, ids=repr)
def test_close_to_the_data_nothing_cancels(schedule):
    """At t = 1e-9 σ, g²/σ and the time of a level are those of long arithmetic."""
    t = np.array([1e-9, 1e-7])
    wide = t.astype(np.longdouble)
    np.testing.assert_allclose(schedule.sigma(t), schedule.sigma(wide).astype(float), rtol=1e-14)
    np.testing.assert_allclose(schedule.slopes(t)[1], schedule.slopes(wide)[1].astype(float), rtol=1e-13)
    ratio = schedule.sigma(t) / schedule.alpha(t)
    if schedule != VE(0.02, 30.0):  # whose level hardly moves there
        np.testing.assert_allclose(schedule.from_ratio(ratio), t, rtol=1e-13)
    assert schedule.transition(t[1], t[0]).w > 0


@pytest.mark.parametrize("schedule", CONTINUOUS, ids=repr)
def test_levels_and_times_are_each_other_s_inverse_and_ends_are_clamped(schedule):
    t = np.linspace(0.002, 0.99, 300)
    np.testing.assert_allclose(schedule.from_ratio(schedule.sigma(t) / schedule.alpha(t)), t, rtol=1e-12)
    low, high = schedule.nearest([1e-200, 1e200])
    assert 0 <= low < 1e-100 and high == pytest.approx(1.0 if schedule != EDM() else 1e200, rel=1e-15)
    assert isinstance(schedule.from_ratio(0.3), float)


def test_a_user_s_schedule_finds_its_times_by_bisection():
    class Quadratic(Flow):
        """α = 1 − t², σ = t², without a closed form of its own."""

        def _alpha(self, t):
            return 1.0 - t * t

        def _sigma(self, t):
            return t * t

        _from_ratio = diffusion.Schedule._from_ratio

    ratio = np.array([1e-12, 0.2, 1.0, 50.0])
    np.testing.assert_allclose(Quadratic().from_ratio(ratio), np.sqrt(ratio / (1 + ratio)), rtol=1e-14)


@pytest.mark.parametrize("top", [1e6, 1e70])
def test_levels_far_out(top):
    """EDM has no end: with data of that scale every sampler has the law that it has at 1, in those units."""
    times = np.array([5.0, 1.5, 0.4, 0.0])
    for make in (
        diffusion.ancestral,
        diffusion.ddim,
        diffusion.probability_flow,
        diffusion.heun,
        diffusion.edm,
    ):
        covs = []
        for unit in (1.0, top):
            p = Gaussian([0.3 * unit], [[0.5 * unit**2]])
            table = make(EDM(), unit * times, of="x0")
            law = diffusion.law(table, lambda t, p=p: p.diffused(1.0, t), [0.0], [[26.0 * unit**2]])
            covs.append(law.cov[:, 0, 0] / unit**2)
        np.testing.assert_allclose(covs[1], covs[0], rtol=1e-12)


def test_a_discrete_schedule_at_its_ends():
    one = Discrete([0.3])
    assert one.alpha(0) == 1 and one.sigma(0) == 0 and one.alpha(1) ** 2 == pytest.approx(0.7, rel=1e-15)
    assert one.transition(1, 0).w == pytest.approx(0.3, rel=1e-15)
    assert one.posterior(1, 0) == (0.0, pytest.approx(1.0, rel=1e-15), 0.0)
    assert len(diffusion.ancestral(one, [1, 0])) == 1 and diffusion.ancestral(one, [1, 0])[0].N == 0
    tiny = Discrete(np.full(4, 1e-18))
    assert tiny.sigma(4) == pytest.approx(2e-9, rel=1e-14)
    assert tiny.transition(3, 1).w == pytest.approx(2e-18, rel=1e-14)


@pytest.mark.parametrize("schedule", TIMES, ids=repr)
def test_schedules_pickle_compare_and_hash(schedule):
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule and hash(again) == hash(schedule) and repr(again) == repr(schedule)
    assert len({*TIMES, again}) == len(TIMES)


@pytest.mark.parametrize("dtype", [np.float32, np.longdouble])
@pytest.mark.parametrize("schedule", CONTINUOUS, ids=repr)
def test_types_of_times_stay(schedule, dtype):
    t, s = np.array([0.5, 0.9], dtype), np.array([0.1, 0.3], dtype)
    for value in (
        schedule.alpha(t),
        schedule.sigma(t),
        schedule.f(t),
        schedule.g2(t),
        schedule.log_snr(t),
        *schedule.slopes(t),
        *schedule.transition(t, s),
        *schedule.posterior(t, s),
    ):
        assert value.dtype == dtype and value.shape == (2,)
    assert schedule.alpha(1 if schedule != Flow() else 0).dtype == np.float64


def test_a_network_of_one_row_and_a_longdouble_one():
    net = ns.MLP.init((1, 4, 1), "tanh", rng=0, condition=1)
    model = diffusion.DiffusionScore(net, VP(), "v")
    wide = model.with_theta(model.theta.astype(np.longdouble))
    x = np.array([[0.3]], np.longdouble)
    assert wide.score(x, 0.4).dtype == wide.at(0.4).score(x).dtype == np.longdouble
    assert abs(float((wide.score(x, 0.4) - wide.at(0.4).score(x))[0, 0])) < 1e-17
    table = diffusion.ddim(VP(), [0.9, 0.3, 0.0])
    assert diffusion.sample(wide, table, x).x.dtype == np.longdouble
    np.testing.assert_allclose(
        diffusion.sample(model, table, x.astype(float)).x, diffusion.sample(wide, table, x).x.astype(float)
    )
