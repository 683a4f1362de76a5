"""Runs of MALA, HMC and kinetic Langevin: the iterated bare step bit for bit, wherever the blocks are moved."""

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from support.sampler_runs import start

import npscore as ns
from npscore._run.blas import one_blas_thread
from npscore.samplers.blocks import fill_standard_normal

N, STEPS = 9000, 5  # four blocks of 2,250 rows
MIXTURE = ns.targets.GaussianMixture([0.3, 0.7], [[-1.0, 0], [1, 1]], [np.eye(2), 0.5 * np.eye(2)])


def log_prob(x):
    """A density that is no npscore target, row by row."""
    return (-0.5 * (x * x).sum(axis=1) + 0.3 * np.cos(2 * x[:, 0])).astype(x.dtype)


def score(x):
    s = -x
    s[:, 0] -= x.dtype.type(0.6) * np.sin(2 * x[:, 0])
    return s


def beyond_three(x):
    if x.max() > 3.0:
        raise OSError("planted")
    return score(x)


DENSITIES = {"a function": (log_prob, score), "a target": (MIXTURE.log_prob, MIXTURE.score)}
RUNS = {
    "mala": lambda p, q, x0, **more: ns.mala(p, q, x0, 0.7, STEPS, **more),
    "hmc": lambda p, q, x0, **more: ns.hmc(p, q, x0, 0.9, 3, STEPS, **more),
    "kinetic": lambda p, q, x0, **more: ns.kinetic(q, x0, 0.4, 1.5, STEPS, **more),
    "kinetic ABOBA": lambda p, q, x0, **more: ns.kinetic(q, x0, 0.4, 1.5, STEPS, scheme="ABOBA", **more),
    "kinetic OBABO": lambda p, q, x0, **more: ns.kinetic(q, x0, 0.4, 1.5, STEPS, scheme="OBABO", **more),
}
METROPOLIS = ["mala", "hmc"]
every_run = pytest.mark.parametrize("run", RUNS)
every_density = pytest.mark.parametrize("density", DENSITIES)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


def noise(block, normals, dtype):
    z = np.empty((1, normals, *block.shape), dtype)
    fill_standard_normal(block.rng, z)
    return z[0]


def metropolis_states(step, x0, rng):
    """x after every step (STEPS, n, d) and the share accepted, by the bare step, with what is known at x."""
    states, accepted = np.empty((STEPS, *x0.shape), x0.dtype), np.zeros(len(x0))
    for block in ns.samplers.langevin_blocks(*x0.shape, rng=rng):
        x, here = x0[block.rows], None
        for t in range(STEPS):
            z = noise(block, 1, x.dtype)[0]
            move = step(x, z, (1 - block.rng.random((1, len(x))))[0].astype(x.dtype), here)
            states[t, block.rows] = x = move.x
            here = move.here
            accepted[block.rows] += move.accepted
    return states, accepted / STEPS


def kinetic_states(q, x0, scheme, rng):
    """x and p after every step (STEPS, n, d), by the bare step."""
    rng = np.random.default_rng(rng)
    p0 = rng.standard_normal(x0.shape).astype(x0.dtype)
    states = np.empty((2, STEPS, *x0.shape), x0.dtype)
    for block in ns.samplers.langevin_blocks(*x0.shape, rng=rng):
        x, p = x0[block.rows], p0[block.rows]
        for t in range(STEPS):
            x, p = ns.kinetic_step(q, x, p, 0.4, 1.5, noise(block, scheme.count("O"), x.dtype), scheme)
            states[:, t, block.rows] = x, p
    return states


def assert_same(run, other):
    for part, same in zip(run, other):
        np.testing.assert_array_equal(part, same)
        assert getattr(part, "dtype", None) == getattr(same, "dtype", None)


@every_density
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_metropolis_run_is_the_iterated_step_bit_for_bit(dtype, density):
    (p, q), x0 = DENSITIES[density], start(1, N, 2, dtype)
    steps = {
        "mala": lambda x, z, u, here: ns.mala_step(p, q, x, 0.7, z, u, here),
        "hmc": lambda x, z, u, here: ns.hmc_step(p, q, x, 0.9, 3, z, u, here),
    }
    for name, step in steps.items():
        with one_blas_thread():
            states, accepted = metropolis_states(step, x0, 3)
        run = RUNS[name](p, q, x0, rng=3, record_every=1)
        np.testing.assert_array_equal(run.trajectory, states)
        np.testing.assert_array_equal(run.x, states[-1])
        np.testing.assert_array_equal(run.acceptance, accepted)
        assert run.x.dtype == dtype and 0.1 < run.acceptance.mean() < 0.99


@every_density
@pytest.mark.parametrize("scheme", ["BAOAB", "ABOBA", "OBABO", "BAOA", "OAB"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_kinetic_run_is_the_iterated_step_bit_for_bit(dtype, scheme, density):
    (_, q), x0 = DENSITIES[density], start(1, N, 2, dtype)
    with one_blas_thread():
        states = kinetic_states(q, x0, scheme, 3)
    run = ns.kinetic(q, x0, 0.4, 1.5, STEPS, scheme=scheme, rng=3, record_every=1)
    np.testing.assert_array_equal(run.trajectory, states[0])
    np.testing.assert_array_equal(run.momenta, states[1])
    np.testing.assert_array_equal([run.x, run.p], states[:, -1])
    assert run.x.dtype == run.p.dtype == dtype


def test_momenta_may_be_given():
    x0, p0 = start(1, 50, 2), start(2, 50, 2)
    run = ns.kinetic(score, x0, 0.4, 0.0, 3, p0=p0, scheme="BAB", rng=0)  # no noise at all
    x, p = x0, p0
    for _ in range(3):
        x, p = ns.kinetic_step(score, x, p, 0.4, 0.0, np.empty((0, 50, 2)), "BAB")
    np.testing.assert_array_equal([run.x, run.p], [x, p])


@every_run
@every_density
def test_threads_and_processes_give_the_same_bits(density, run, processes):
    p, q = DENSITIES[density]
    x0, options = start(1, N, 2), {"rng": 3, "record_every": 2, "burn_in": 1}
    plain = RUNS[run](p, q, x0, **options)
    assert_same(RUNS[run](p, q, x0, workers=3, **options), plain)
    assert_same(RUNS[run](p, q, x0, executor=processes, **options), plain)
    with ThreadPoolExecutor(2) as pool:
        assert_same(RUNS[run](p, q, x0, executor=pool, **options), plain)
    seen = []
    assert_same(RUNS[run](p, q, x0, callback=lambda t, x: seen.append((t, x.copy())), **options), plain)
    assert [t for t, _ in seen] == list(range(1, STEPS + 1))
    np.testing.assert_array_equal([seen[2][1], seen[4][1]], plain.trajectory)


@pytest.mark.parametrize("run, calls", [("mala", (6, 6)), ("hmc", (6, 16)), ("kinetic", (0, 6)),
                                        ("kinetic ABOBA", (0, 5)), ("kinetic OBABO", (0, 6))])  # fmt: skip
def test_log_prob_and_score_are_called_once_a_leapfrog_step_and_once_at_the_start(run, calls):
    counts = [0, 0]

    def counted(function, k):
        def call(x):
            counts[k] += 1
            return function(x)

        return call

    RUNS[run](counted(log_prob, 0), counted(score, 1), start(1, 10, 2), rng=0)
    assert tuple(counts) == calls


class Tempered(ns.targets.Gaussian):
    """A target whose log-density is not its target's: half of it."""

    def log_prob(self, x):
        return 0.5 * super().log_prob(x)


def test_a_log_density_that_a_subclass_overrides_is_the_one_that_is_called():
    tempered, plain = (kind(np.ones(2), np.eye(2)) for kind in (Tempered, ns.targets.Gaussian))
    x0 = start(0, 50, 2)
    half = ns.mala(tempered.log_prob, plain.score, x0, 0.9, 9, rng=0).x
    spelled = ns.mala(lambda x: 0.5 * plain.log_prob(x), plain.score, x0, 0.9, 9, rng=0).x
    np.testing.assert_array_equal(half, spelled)
    assert (half != ns.mala(plain.log_prob, plain.score, x0, 0.9, 9, rng=0).x).any()


@pytest.mark.parametrize("run", METROPOLIS)
def test_chains_that_start_where_there_is_no_density_are_refused(run):
    p, x0 = ns.targets.Exponential(1.0), np.ones((N, 1))
    x0[4000] = -1.0
    message = (
        r"^x0 must have a density > 0 in every row, where a chain can start, got log_prob = -inf at \[-1\.0\]"
    )
    for options in ({}, {"workers": 2}):
        with pytest.raises(ValueError, match=message):
            RUNS[run](p.log_prob, p.score, x0, rng=0, **options)


@pytest.mark.parametrize("run", METROPOLIS)
def test_chains_never_leave_a_density_with_an_edge(run):
    p = ns.targets.Exponential(1.0)
    out = RUNS[run](p.log_prob, p.score, p.sample(500, rng=0), rng=1, record_every=1)
    assert (out.trajectory >= 0).all() and out.n_diverged == 0 and out.acceptance.mean() < 0.999


@pytest.mark.parametrize("run", METROPOLIS)
def test_a_score_without_a_density_is_refused_and_the_message_says_why(run):
    model = ns.MLP.init((2, 8, 2), activation="tanh", rng=0)
    message = (
        "log_prob must be a callable (n, d) -> (n,), the log density up to a constant: no proposal can be"
    )
    with pytest.raises(TypeError, match="^" + re.escape(message)):
        RUNS[run](None, model.score, np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"^log_prob\(x\) must have shape \(3,\), got shape \(3, 2\)"):
        RUNS[run](model.score, model.score, np.zeros((3, 2)))


@pytest.mark.parametrize("run", METROPOLIS)
def test_on_what_is_no_density_chains_diverge_and_the_advice_says_so(run):
    """log p = x²/20 grows without end: proposals outwards are accepted."""
    grows, pushes = (lambda x: x[:, 0] ** 2 / 20), (lambda x: x / 10)
    message = r"\d+ of 200 chains diverged, .* the density may have no finite integral"
    with pytest.warns(RuntimeWarning, match=message):
        out = RUNS[run](grows, pushes, np.full((200, 1), 6.0), rng=0, bound=8.0)
    assert 20 < out.n_diverged < 200
    np.testing.assert_array_equal(np.isnan(out.x[:, 0]), out.diverged)
    np.testing.assert_array_equal(np.isnan(out.acceptance), out.diverged)


def test_kinetic_chains_that_diverge_are_nan_from_there_and_the_others_go_on():
    def pulls(x):
        return np.where(x > 3, 1e3 * x, -x)

    x0 = np.array([[0.5], [4.0], [0.2]])
    with pytest.warns(
        RuntimeWarning, match=r"kinetic: 1 of 3 chains diverged, the first at step .* step = 0\.3 is"
    ):
        out = ns.kinetic(pulls, x0, 0.3, 1.0, 60, rng=0, record_every=1, bound=1e4)
    np.testing.assert_array_equal(out.diverged, [False, True, False])
    for states in (out.trajectory, out.momenta):
        assert np.isnan(states[-1, 1]).all() and np.isfinite(states[:, [0, 2]]).all()
    assert np.isnan(out.x[1]).all() and np.isnan(out.p[1]).all()
    last = ns.kinetic(lambda x: -1e200 * x, x0[:1], 1e160, 1.0, 1, scheme="B", rng=0, on_divergence="ignore")
    assert last.diverged.all() and np.isnan(last.x).all()  # its momenta alone are not finite


@pytest.mark.parametrize("run", ["mala", "hmc", "kinetic"])
def test_a_wide_density_is_no_divergence(run):
    """In units in which it is 10⁹ wide the same run is the same, in those units."""
    scale = 2.0**30

    def wide(run, **more):
        p, q = (lambda x: log_prob(x / scale)), (lambda x: score(x / scale) / scale)
        x0 = np.zeros((40, 2))
        if run == "mala":
            return ns.mala(p, q, x0, 0.7 * scale**2, 200, rng=1, **more)
        if run == "hmc":
            return ns.hmc(p, q, x0, 0.9 * scale, 3, 200, rng=1, **more)
        return ns.kinetic(q, x0, 0.4 * scale, 1.5 / scale, 200, p0=x0, rng=1, **more)

    out = wide(run)
    assert out.n_diverged == 0 and np.abs(out.x).max() > 1e9


def test_what_a_function_of_the_user_raises_comes_as_it_is():
    with pytest.raises(OSError, match="planted"):
        ns.mala(log_prob, beyond_three, np.full((3, 2), 2.9), 0.7, 50, rng=0)


# The law of whole runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", METROPOLIS)
def test_chains_that_start_with_the_right_law_keep_it_where_langevin_does_not(run):
    """Moments of 40,000 chains after 12 long steps are within 4.5 standard errors; Langevin's are far off."""
    p = ns.targets.Logistic(0.3, 0.7)
    x0 = p.sample(40_000, rng=0)
    moves = {
        "mala": lambda: ns.mala(p.log_prob, p.score, x0, 0.8, 12, rng=1),
        "hmc": lambda: ns.hmc(p.log_prob, p.score, x0, 1.2, 3, 12, rng=1),
    }
    nodes, weights = p.quadrature(200)
    out = moves[run]()

    def distances(x):
        """From the exact E x, E x², E x⁴ in standard errors."""
        found = []
        for power in (1, 2, 4):
            f, exact = ((points - p.mean) ** power for points in (x, nodes))
            found.append((f.mean() - weights @ exact[:, 0]) / (f.std() / np.sqrt(len(x))))
        return np.abs(found)

    assert distances(out.x).max() < 4.5
    assert (out.x != x0).all() and 0.3 < out.acceptance.mean() < 0.99
    assert distances(ns.langevin(p.score, x0, 0.8, 12, rng=1).x).max() > 20
