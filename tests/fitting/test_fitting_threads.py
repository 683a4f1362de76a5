"""The bits of a fit depend on no number of BLAS threads, and the limit it holds is taken back."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support.fitting_cases import QUICK, Watched, ctrl_c, data, failing, same, small

import npscore as ns

threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
pytest.importorskip("scipy.optimize")  # which brings a BLAS of its own


def threads():
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("BLAS has one thread only here")
        yield


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_blas_has_one_thread_in_training_and_in_judging_and_two_afterwards(optimizer, two_threads):
    seen = []

    class Noting(Watched):
        def values(self, *arguments, **keywords):
            seen.append(threads())
            return super().values(*arguments, **keywords)

    objective = Noting(lambda *_: seen.append(threads()))
    ns.fit(small(), data(), objective, validation=data(5, seed=1), **{**QUICK, "optimizer": optimizer})
    assert len(seen) > 6 and seen == [{1}] * len(seen)
    assert threads() == {2}
    ns.fit(small(), data(), failing(3, ctrl_c), **{**QUICK, "optimizer": optimizer})
    assert threads() == {2}


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_bits_are_those_of_one_thread(optimizer, two_threads):
    """At this size products on two threads are rounded differently, so a run that used them would be found out."""
    x = np.random.default_rng(0).standard_normal((4096, 24))
    model = ns.MLP.init((24, 200, 24), rng=0)
    settings = {"optimizer": optimizer, "steps": 3, "batch_size": 4096, "rng": 0}
    on_two, gradient = ns.fit(model, x, **settings), ns.ism(model, x).grad
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        if np.array_equal(gradient, ns.ism(model, x).grad):
            pytest.skip("products have the same bits on two threads here")
        assert same(ns.fit(model, x, **settings), on_two)


LATER = """
import sys
sys.path[:0] = {path!r}
import npscore as ns, threadpoolctl
from support.fitting_cases import QUICK, Watched, data, small
assert "scipy" not in sys.modules
ns.fit(small(), data(), **QUICK)
seen = []
note = lambda *_: seen.extend(p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas")
ns.fit(small(), data(), Watched(note), optimizer="lbfgs", steps=3, rng=0)
assert seen and set(seen) == {{1}}, seen
"""


def test_scipys_own_blas_is_limited_too_when_it_is_loaded_later():
    code = LATER.format(path=sys.path)
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
