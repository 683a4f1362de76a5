"""What the speed scripts share: cases, contenders that agree before they are timed, interleaved rounds."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import numpy as np

import npscore as ns

Array = np.ndarray
Step = Callable[[], Any]

TOLERANCE = {"float64": 1e-10, "float32": 1e-3}


class Pace(NamedTuple):
    """How contenders take turns: so many rounds, each a burst of about so many seconds after a pause.

    In the pause, threads that another library keeps spinning go to sleep. Where a contender's turns would take
    longer than ``budget`` seconds in all it has fewer, at least two; where one call takes longer than ``once``
    seconds, that call is its one measurement.
    """

    rounds: int = 5
    burst: float = 0.03
    pause: float = 0.05
    budget: float = 3.0
    once: float = 10.0


QUICK = Pace(rounds=2, burst=0.001, pause=0.0)


class Case(NamedTuple):
    """One problem: a network and a batch, with a probe and a noise vector for every row."""

    model: Union[ns.MLP, ns.EnergyMLP]
    x: Array
    v: Array
    noise: Array
    sigma: float = 0.5

    @classmethod
    def make(cls, d: int, hidden: Sequence[int], n: int, activation: str, dtype: str) -> Case:
        return cls.of(ns.MLP.init((d, *hidden, d), activation, rng=1, dtype=dtype), n)

    @classmethod
    def of(cls, model: Any, n: int) -> Case:
        """A batch of n rows and what goes with it, for this model and of its type."""
        rng, d, dtype = np.random.default_rng(0), model.d, model.dtype
        x, noise = (rng.standard_normal((n, d)).astype(dtype) for _ in range(2))
        return cls(model, x, np.copysign(np.ones_like(x), rng.standard_normal((n, d))).astype(dtype), noise)

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def direction_bytes(self) -> int:
        """About what a peer holds that carries all d directions through the network for every row."""
        return 6 * self.n * self.model.d * sum(self.model.sizes) * self.x.itemsize


def our_steps(case: Case) -> dict[str, Step]:
    """npscore's contenders: the public functions on this case's numbers."""
    return {
        "npscore, exact": lambda: ns.ism(case.model, case.x),
        "npscore, sliced": lambda: ns.ssm_vr(case.model, case.x, case.v),
        "npscore, DSM": lambda: ns.dsm(case.model, case.x, case.noise, case.sigma),
    }


def kind(contender: str) -> str:
    """Which loss a contender computes: "exact", "sliced" or "DSM"."""
    return next((name for name in ("sliced", "DSM") if name in contender), "exact")


# ---- the peers -------------------------------------------------------------------------------------


def load_peers() -> dict[str, Any]:
    """The modules of the peers that are installed; says which are not."""
    peers = {}
    for package, module in (("torch", "figures.speed._peers_torch"), ("jax", "figures.speed._peers_jax")):
        try:
            importlib.import_module(package)
        except ImportError:
            print(f"{package} is not installed: its contenders are skipped")
        else:
            peers[package] = importlib.import_module(module)
    return peers


def disagreement(ours: ns.objectives.LossGrad, loss: Any, gradients: Sequence[Any]) -> float:
    """The largest relative difference of loss and gradient (relative to its largest entry)."""
    flat = np.concatenate([np.asarray(gradient).ravel() for gradient in gradients])
    of_loss = abs(float(loss) / float(ours.loss) - 1)
    return max(of_loss, float(np.abs(flat - ours.grad).max() / np.abs(ours.grad).max()))


def check(name: str, error: float, dtype: Any) -> float:
    """The disagreement, if it is small enough: a peer that computes something else is not timed."""
    if not error <= TOLERANCE[str(dtype)]:
        raise AssertionError(f"{name} disagrees with npscore by {error:.1e} in {dtype}")
    return error


# ---- timing ------------------------------------------------------------------------------------------


def once(step: Step) -> tuple[float, Any]:
    """Seconds that one call takes, and its result."""
    started = time.perf_counter()
    result = step()
    return time.perf_counter() - started, result


def turn(step: Step, expected: float, pace: Pace) -> list[float]:
    """The times of the calls in one burst; where calls are short, after one that does not count."""
    time.sleep(pace.pause)
    if expected < 10 * pace.burst:
        once(step)
    times = [once(step)[0]]
    while sum(times) < pace.burst:
        times.append(once(step)[0])
    return times


def interleaved(steps: dict[str, Step], first: dict[str, float], pace: Pace) -> dict[str, dict[str, Any]]:
    """Median, quartiles and number of turns by name, and the least call: in each round every contender has one turn.

    ``first`` holds what a call took before, which for the slowest is the one measurement.
    """
    times = {name: [[first[name]]] if first[name] > pace.once else [] for name in steps}
    turns = {name: max(2, min(pace.rounds, int(pace.budget / first[name]))) for name in steps}
    for number in range(pace.rounds):
        for name, step in steps.items():
            if first[name] <= pace.once and number < turns[name]:
                times[name].append(turn(step, first[name], pace))
    return {
        name: {**summary([statistics.median(one) for one in found]), "least": min(map(min, found))}
        for name, found in times.items()
    }


def summary(times: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles and how many."""
    low, high = np.quantile(times, (0.25, 0.75)).tolist()
    return {
        "median": statistics.median(times),
        "quartiles": [low, high],
        "least": min(times),
        "repeats": len(times),
    }


def peak_bytes(step: Step) -> int:
    """The most memory that NumPy and Python held at once for the call, by tracemalloc, after a first call."""
    step()
    tracemalloc.start()
    step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


# ---- where -------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Versions, BLAS and threads: what the numbers depend on. Numbers of other machines are other numbers."""
    versions = {"python": platform.python_version(), "npscore": ns.__version__}
    for package in ("numpy", "torch", "jax", "jaxlib"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    threads = {"cores": os.cpu_count(), "blas": blas_threads()}
    if versions["torch"]:
        threads["torch"] = importlib.import_module("torch").get_num_threads()
    return {"versions": versions, "blas": blas_name(), "threads": threads}


def blas_name() -> str:
    """NumPy's BLAS and its version, where NumPy (1.26 and later) can tell."""
    try:
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    except TypeError:
        return "unknown"
    return f"{found['name']} {found['version']}"


def blas_threads() -> Any:
    """NumPy's BLAS threads where threadpoolctl can tell, else the environment's word, else None."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return os.environ.get("OPENBLAS_NUM_THREADS")
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return pools[0]["num_threads"] if pools else None
