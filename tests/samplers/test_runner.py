"""The runner walks samplers that it has never seen: each is its plain loop, in threads and processes too."""

import ast
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support import toy_steps as toys
from support.sampler_runs import start

import npscore as ns
from npscore.samplers.blocks import fill_standard_normal
from npscore.samplers.run import walk

N, BOUND, ESCAPES = 9000, 6.0, [0, 2500, 2501, 8999]  # four blocks of 2,250 rows
ROWS = tuple(toys.Row(t, 1 - 0.1 * t, 0.1 * t, 0.3 * np.sqrt(t) if t > 0.25 else 0.0) for t in
             (1.0, 0.9, 0.7, 0.55, 0.4, 0.3, 0.2, 0.1))  # fmt: skip
SAMPLERS = {
    "metropolis": (toys.Metropolis(toys.log_density, 1.5), toys.metropolis_loop),
    "kinetic": (toys.Kinetic(toys.pulls, 0.3, 1.5), toys.kinetic_loop),
    "table": (toys.Table(toys.score_at, ROWS), toys.table_loop),
    "table without noise": (
        toys.Table(toys.score_at, tuple(r._replace(N=0.0) for r in ROWS)),
        toys.table_loop,
    ),
}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


def chains(dtype):
    x0 = start(1, N, 2, dtype)
    x0[ESCAPES] = [[4.5, 0.5]]
    return x0


def carried(sampler, dtype):
    return (start(2, N, 2, dtype),) if sampler == "kinetic" else ()


def run(sampler, dtype, **options):
    settings = {"rng": 3, "record_every": 1, "bound": BOUND, "on_divergence": "ignore", **options}
    return walk(SAMPLERS[sampler][0], chains(dtype), len(ROWS), carried=carried(sampler, dtype), **settings)


def noise_of(block, step, dtype):
    """The noise of every step of a block, as the contract says: its normal arrays, then its uniform ones."""
    for _ in ROWS:
        z = np.empty((1, step.normals, *block.shape), dtype)
        fill_standard_normal(block.rng, z)
        yield (*z[0], *(1 - block.rng.random((step.uniforms, block.shape[0]))).astype(dtype))


def written_out(sampler, dtype):
    """Recorded arrays (records, n_steps, n, d) and what else is carried, by the plain loop, nothing watched."""
    step, loop = SAMPLERS[sampler]
    recorded = np.empty((step.records, len(ROWS), N, 2), dtype)
    rest = []
    for block in ns.samplers.langevin_blocks(N, 2, rng=3):
        beside = [array[block.rows] for array in carried(sampler, dtype)]
        steps = list(loop(step, chains(dtype)[block.rows], noise_of(block, step, dtype), *beside))
        for t, (shown, _) in enumerate(steps):
            recorded[:, t, block.rows] = shown
        rest.append(steps[-1][1])
    return recorded, [np.concatenate(parts) for parts in zip(*rest)]


def assert_same(walked, other):
    for part, same in zip((*walked.state, *walked[1:]), (*other.state, *other[1:])):
        np.testing.assert_array_equal(part, same)
        assert np.asarray(part).dtype == np.asarray(same).dtype


@every_sampler
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_run_is_the_written_out_loop(dtype, sampler):
    recorded, rest = written_out(sampler, dtype)
    outside = np.abs(recorded[0]).max(axis=2) > BOUND  # (t, n)
    first = np.where(outside.any(axis=0), outside.argmax(axis=0) + 1, 0)
    walked = run(sampler, dtype)
    np.testing.assert_array_equal(walked.diverged_at, first)
    assert walked.diverged[ESCAPES].any() and np.count_nonzero(first) < N / 2
    expected = np.where((first > 0) & (np.arange(1, len(ROWS) + 1)[:, None] >= first), np.nan, 1)[:, :, None]
    np.testing.assert_array_equal(walked.trajectory, recorded * expected.astype(dtype))
    for array, plain in zip(walked.state, [*recorded[:, -1], *rest]):
        np.testing.assert_array_equal(array[first == 0], plain[first == 0])
        assert array.dtype == plain.dtype and (array.dtype.kind != "f" or np.isnan(array[first > 0]).all())


@every_sampler
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_processes_give_the_same_bits(dtype, sampler, processes):
    plain = run(sampler, dtype)
    assert plain.diverged.any()
    assert_same(run(sampler, dtype, workers=3), plain)
    assert_same(run(sampler, dtype, callback=lambda t, x: None), plain)
    with ThreadPoolExecutor(2) as pool:
        assert_same(run(sampler, dtype, executor=pool), plain)
    assert_same(run(sampler, dtype, executor=processes), plain)
    unrecorded = run(sampler, dtype, record_every=None, executor=processes)
    np.testing.assert_array_equal(unrecorded.state[0], plain.state[0])
    assert unrecorded.trajectory.shape == (len(plain.trajectory), 0, N, 2)


@every_sampler
def test_an_error_of_divergence_names_the_sampler(sampler, processes):
    with pytest.raises(
        ns.samplers.DivergenceError, match=rf"^{SAMPLERS[sampler][0].name}: \d+ of 9000 chains"
    ):
        run(sampler, np.float64, on_divergence="raise", executor=processes)


def test_metropolis_counts_the_moves_of_each_chain_and_has_the_right_law():
    step = toys.Metropolis(lambda x: -0.5 * (x * x).sum(axis=1), 2.0)
    walked = walk(step, np.zeros((20_000, 1)), 60, rng=0, record_every=1)
    x, _, n_accepted = walked.state
    moved = np.diff(walked.trajectory[0], axis=0, prepend=0.0) != 0.0  # (t, n, 1)
    np.testing.assert_array_equal(n_accepted, moved.sum(axis=(0, 2)))
    for moment, value, variance in ((1, 0, 1), (2, 1, 2), (4, 3, 96)):
        assert abs(np.mean(x**moment) - value) < 4.5 * np.sqrt(variance / len(x))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_step_over_all_chains_sees_them_as_one_block(workers):
    step, x0 = toys.Corrector(lambda x: -x, 0.16), start(0, N, 2)
    x, rng = x0, np.random.default_rng(3)
    entropy = tuple(rng.integers(0, 2**32, size=4, dtype=np.uint32).tolist())
    stream = np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy, spawn_key=(0,))))
    for _ in range(5):
        z = stream.standard_normal((N, 2))
        a = toys.corrector_step(step, z, -x)
        x = x + a * -x + np.sqrt(2 * a) * z
    np.testing.assert_array_equal(walk(step, x0, 5, rng=3, workers=workers).state[0], x)


@pytest.mark.parametrize(
    "options", [{}, {"workers": 2}, {"executor": "processes"}, {"callback": lambda t, x: None}]
)
def test_a_run_ends_where_every_chain_has_arrived_block_by_block(options, processes):
    x0 = np.ones((N, 1))
    x0[-1] = 16.5
    options = {key: processes if value == "processes" else value for key, value in options.items()}
    walked = walk(toys.Halving(1.0), x0, 100, **options)
    assert walked.n_steps == 5 and walked.converged.all() and not walked.diverged.any()
    np.testing.assert_array_equal(walked.state[0], np.where(x0 > 1, 16.5 / 32, 1.0))
    assert walk(toys.Halving(20.0), x0, 100, **options).n_steps == 0


def test_a_callback_is_not_called_where_no_step_is_taken():
    calls = []
    walk(toys.Halving(20.0), np.ones((5, 1)), 100, callback=lambda t, x: calls.append(t))
    assert calls == []


def test_samplers_import_no_models_and_no_targets():
    for file in Path(ns.samplers.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.ImportFrom, ast.Import)):
                names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
                assert not {"models", "targets", "objectives"} & {
                    part for n in names for part in n.split(".")
                }
