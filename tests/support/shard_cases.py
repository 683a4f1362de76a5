"""What the tests of ``sharded`` share: rows in shards of unequal length, and the executors to spread them by."""

import contextlib
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from support.strategies import network

import npscore as ns
from npscore.checks import relative_error
from npscore.objectives import draw_probes

CUTS = (0, 7, 8, 308, 350)
BLOCK = 64  # so that one shard has five blocks
OBJECTIVES = {
    "ism": {},
    "dsm": {"sigma": 0.4},
    "ssm": {"n_probes": 3, "probe": "gaussian"},
    "ssm-vr": {"n_probes": 2},
}
EXECUTORS = ("here", "threads", "processes", "dask")


def rows(dtype=np.float64, d=3, n=CUTS[-1], seed=0):
    x = np.random.default_rng(seed).standard_normal((n, d)) @ np.triu(np.full((d, d), 0.6)) + 0.3
    x += np.linspace(-2, 2, n)[:, None]  # shards differ
    x = x.astype(dtype)
    x.setflags(write=False)
    return x


def parts(x):
    return [x[start:stop] for start, stop in zip(CUTS, CUTS[1:])]


def model(dtype=np.float64, d=3, hidden=(5, 4)):
    found = network(np.random.default_rng(2), d, hidden, "tanh")
    return found.with_theta(found.theta.astype(dtype))


def explicit_ism(model, x, rng):
    """A callable of the user's; picklable."""
    return ns.ism(model, x)


def draws(name, x, rng, sigma=None, n_probes=1, probe="rademacher"):
    """The arguments after (model, x) of a named objective, as a shard's stream gives them block after block."""
    if name == "dsm":
        return rng.standard_normal(x.shape).astype(x.dtype), sigma
    blocks = [x[start : start + BLOCK] for start in range(0, len(x), BLOCK)]
    return (np.concatenate([draw_probes((n_probes, *b.shape), probe, rng, b.dtype) for b in blocks], axis=1),)


def assert_close(got, want, tolerance):
    assert abs(got.loss - want.loss) <= tolerance * abs(want.loss)
    assert relative_error(got.grad, want.grad) <= tolerance
    assert got.grad.dtype == want.grad.dtype and got.loss.dtype == want.loss.dtype


@contextlib.contextmanager
def executor(name):
    """None, a pool of threads or processes, or Dask's executor on a cluster of two processes."""
    if name == "here":
        yield None
    elif name == "threads":
        with ThreadPoolExecutor(3) as pool:
            yield pool
    elif name == "processes":
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            yield pool
    else:
        distributed = pytest.importorskip("distributed", reason="Dask is not installed")
        options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with warnings.catch_warnings():  # theirs
            warnings.simplefilter("ignore")
            with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
                yield client.get_executor()
