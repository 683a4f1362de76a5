"""A run's numbers are its own: the same for any number of threads, on any executor, however jobs are cut."""

import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from support.sampler_runs import curved, iterate, start

import npscore as ns
from npscore._run.blas import one_blas_thread
from npscore.samplers import DivergenceError, elsewhere

N = 9000  # four blocks of 2,250 rows
MODEL = ns.MLP.init((2, 16, 16, 2), activation="tanh", rng=0)
MIXTURE = ns.targets.GaussianMixture([0.3, 0.7], [[-1.0, 0], [1, 1]], [np.eye(2), 0.5 * np.eye(2)])


def some_escape(x):
    """Row by row: pulls to the origin, but outwards for rows beyond 4 in the first coordinate."""
    return np.where(x[:, :1] > 4.0, 30.0, -1.0) * x


def fails_beyond_three(x):
    if x.max() > 3.0:
        raise OSError("planted")
    return -x


def of_wrong_shape(x):
    return x[:, :1]


SCORES = {"curved": curved, "MLP": MODEL.score, "mixture": MIXTURE.score, "some escape": some_escape}


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():  # theirs
        warnings.simplefilter("ignore")
        options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
            yield client.get_executor()


def chains(dtype=np.float64, n=N):
    x0 = start(1, n, 2, dtype)
    x0[[0, 2500, 2501, 8999]] = [[4.5, 0.5]]  # in blocks 0, 1 and 3
    return x0


def run(score, dtype=np.float64, **options):
    settings = {"rng": 3, "burn_in": 1, "record_every": 3, "on_divergence": "ignore", **options}
    return ns.langevin(score, chains(dtype), 0.1, 11, **settings)


def assert_same(run, other):
    for part, same in zip(run, other):
        np.testing.assert_array_equal(part, same)
        assert getattr(part, "dtype", None) == getattr(same, "dtype", None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_many_blocks_are_the_iterated_step_block_by_block(dtype):
    states = iterate(curved, chains(dtype), 0.1, 11, 3)
    out = run(curved, dtype)
    np.testing.assert_array_equal(out.x, states[-1])
    np.testing.assert_array_equal(out.trajectory, states[[3, 6, 9]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", SCORES)
def test_any_number_of_threads_gives_the_same_bits(score, dtype):
    plain = run(SCORES[score], dtype)
    assert plain.n_diverged == (4 if score == "some escape" else 0)
    for workers in (2, 3, 7):
        assert_same(run(SCORES[score], dtype, workers=workers), plain)
    with ThreadPoolExecutor(2) as pool:
        assert_same(run(SCORES[score], dtype, executor=pool), plain)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", SCORES)
def test_a_pool_of_processes_gives_the_same_bits(score, dtype, processes):
    assert_same(run(SCORES[score], dtype, executor=processes), run(SCORES[score], dtype))


@pytest.mark.parametrize("score", SCORES)
def test_a_dask_cluster_gives_the_same_bits(score, dask):
    assert_same(run(SCORES[score], executor=dask), run(SCORES[score]))


def test_any_layout_of_x0_gives_the_same_bits_elsewhere(processes):
    x0, options = chains(), {"rng": 0, "executor": processes}
    expected = ns.langevin(curved, x0, 0.1, 2, rng=0).x
    for same in (np.asfortranarray(x0), x0.astype(">f8"), np.repeat(x0, 2, axis=1)[:, ::2]):
        out = ns.langevin(curved, same, 0.1, 2, **options)
        np.testing.assert_array_equal(out.x, expected)
        assert out.x.dtype.isnative


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_how_blocks_are_grouped_into_jobs_alters_no_bit(most, monkeypatch):
    plain, jobs = run(some_escape), []
    monkeypatch.setattr(elsewhere.make_jobs, "__defaults__", (most,))
    with ThreadPoolExecutor(2) as pool:
        submit = pool.submit
        pool.submit = lambda function, job: jobs.append(job) or submit(function, job)
        assert_same(run(some_escape, executor=pool), plain)
    assert len(jobs) == most
    assert [row for job in jobs for row in range(N)[job.rows]] == list(range(N))


# Callback and progress -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_the_callback_sees_all_chains_after_every_step(workers):
    seen = []
    out = run(curved, workers=workers, callback=lambda t, x: seen.append((t, x.copy())))
    assert [t for t, _ in seen] == list(range(1, 12))
    np.testing.assert_array_equal([x for _, x in seen], iterate(curved, chains(), 0.1, 11, 3))
    assert_same(out, run(curved))


@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"executor": "pool"}])
def test_progress_counts_steps_and_diverged_chains_and_changes_nothing(options, capsys):
    plain = run(some_escape)
    with ThreadPoolExecutor(2) as pool:
        options = {key: pool if value == "pool" else value for key, value in options.items()}
        assert_same(run(some_escape, progress=True, **options), plain)
    assert "langevin  11/11  4 diverged\n" in capsys.readouterr().err


# Divergence -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["here", "threads", "thread pool", "process pool"])
def where(request, processes):
    """Options of ``langevin`` that say where the blocks are moved."""
    with ThreadPoolExecutor(2) as pool:
        options = {"threads": {"workers": 2}, "thread pool": {"executor": pool}, "here": {}}
        yield options.get(request.param, {"executor": processes})


def test_one_warning_at_the_caller_has_the_same_message_on_every_executor(where):
    with pytest.warns(RuntimeWarning) as caught:
        out = run(some_escape, on_divergence="warn", bound=1000.0, **where)
    assert [w.filename for w in caught] == [__file__]
    assert "4 of 9000 chains diverged, the first at step 4 of 11" in str(caught[0].message)  # 4.5·4⁴ > 1000
    assert_same(out, run(some_escape, bound=1000.0))


def test_raise_counts_those_of_the_first_such_step_whatever_block_they_are_in(where):
    outer = chains()
    outer[2500] = 200.0  # in block 1, one step before the others
    message = r"^langevin: 1 of 9000 chains diverged, the first at step 2 of 11 .* step = 0\.1 is"
    with pytest.raises(DivergenceError, match=message):
        ns.langevin(some_escape, outer, 0.1, 11, rng=0, bound=1000.0, on_divergence="raise", **where)
    outer[2500] = 4.5
    with pytest.raises(DivergenceError, match=r"^langevin: 4 of 9000 chains .* first at step 4 of 11"):
        ns.langevin(some_escape, outer, 0.1, 11, rng=0, bound=1000.0, on_divergence="raise", **where)


def test_a_run_in_which_every_chain_diverges_says_after_which_step(where):
    x0 = np.full((N, 2), 50.0)
    x0[-1] = 5.0  # 5·4⁴ > 1000
    out = ns.langevin(some_escape, x0, 0.1, 100, rng=0, bound=1000.0, on_divergence="ignore", **where)
    assert out.n_steps == 4 and out.diverged.all() and np.isnan(out.x).all()


# Errors ------------------------------------------------------------------------------------------


def test_what_the_score_raises_comes_as_it_is(where):
    with pytest.raises(OSError, match="planted"):
        run(fails_beyond_three, **where)
    with pytest.raises(ValueError, match=r"^score\(x\) must have shape \(2250, 2\), got shape \(2250, 1\)"):
        run(of_wrong_shape, **where)


def test_an_error_names_the_chains_of_its_job(processes):
    x0 = np.zeros((N, 2))
    x0[4000] = 5.0
    with pytest.raises(OSError, match="planted") as caught:
        ns.langevin(fails_beyond_three, x0, 1e-3, 3, rng=0, executor=processes)
    note = str(getattr(caught.value, "__notes__", caught.value.__cause__))
    assert "in langevin: chains 2250 to 4499 on ProcessPoolExecutor" in note


def test_the_score_runs_under_the_floating_point_settings_of_the_caller(where):
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        run(np.exp, on_divergence="ignore", bound=1e300, **where)


def test_a_score_that_cannot_be_pickled_is_refused_by_name(processes):
    with pytest.raises(
        TypeError, match=r"^score must be picklable to go to another process, got function .*lambda"
    ):
        run(lambda x: -x, executor=processes)
    with ThreadPoolExecutor(2) as pool:
        assert_same(run(lambda x: -x, executor=pool), run(lambda x: -x))


def test_an_interrupt_ends_all_threads_at_their_next_step():
    calls = []

    def interrupt(x):
        calls.append(len(x))
        if len(calls) == 9:
            raise KeyboardInterrupt
        return -x

    with pytest.raises(KeyboardInterrupt):
        ns.langevin(interrupt, chains(), 1e-3, 10**6, rng=0, workers=2)
    assert len(calls) < 100


def test_bits_do_not_depend_on_the_number_of_blas_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    x0, weights = start(0, 300, 784), -start(1, 784, 784) / 28
    runs = []
    for threads in (1, 2):  # a product of 784 terms is split among threads, and so rounded in another order
        with threadpoolctl.threadpool_limits(limits=threads, user_api="blas"):
            runs.append(ns.langevin(lambda x: x @ weights, x0, 1e-3, 3, rng=0).x)
    np.testing.assert_array_equal(*runs)


# npscore's own scores go past their border -------------------------------------------------------------------


class Tempered(ns.targets.Gaussian):
    """A target whose score is not its target's: half of it."""

    def score(self, x):
        return 0.5 * super().score(x)


def test_a_score_that_a_subclass_overrides_is_the_one_that_is_called():
    tempered, plain = (kind(np.ones(2), np.eye(2)) for kind in (Tempered, ns.targets.Gaussian))
    x0 = np.zeros((50, 2))
    half = ns.langevin(tempered.score, x0, 0.1, 5, rng=0).x
    np.testing.assert_array_equal(half, ns.langevin(lambda x: 0.5 * plain.score(x), x0, 0.1, 5, rng=0).x)
    assert (half != ns.langevin(plain.score, x0, 0.1, 5, rng=0).x).all()


@pytest.mark.parametrize("owner", [MODEL, MIXTURE])
def test_chains_of_another_dimension_are_refused_by_the_score(owner):
    with pytest.raises(ValueError, match=r"^x must have shape \(n, 2\), got shape \(50, 3\)"):
        ns.langevin(owner.score, np.zeros((50, 3)), 0.1, 5, rng=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("owner", [MODEL, MIXTURE, ns.targets.StudentT(np.zeros(2), np.eye(2), 3.0)])
def test_a_score_is_the_public_one_bit_for_bit(owner, dtype):
    with one_blas_thread():
        states = iterate(owner.score, chains(dtype), 0.1, 11, 3)
    np.testing.assert_array_equal(run(owner.score, dtype).x, states[-1])


def test_a_target_whose_score_overflows_diverges_without_a_warning():
    far = ns.targets.Gaussian(np.zeros(2), 1e-300 * np.eye(2))
    with np.errstate(all="raise"):
        out = ns.langevin(far.score, np.full((5, 2), 1e10), 0.1, 3, rng=0, on_divergence="ignore")
    assert out.n_diverged == 5
