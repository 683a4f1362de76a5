"""An objective over shards: what the second process brings, measured, and what the thousandth would, on paper."""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from figures.speed._metered import Metered
from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

D, H = 16, 256  # s: 16 -> 256 -> 256 -> 16
BYTES_PER_SECOND = 1.25e9  # the sender's link, 10 Gbit/s
SECONDS_A_JOB = 5e-3  # of the sender: what Dask took, measured below
WORKERS = np.unique(np.round(np.logspace(0, 4, 81)).astype(int))


def flops_per_row(d: int, h: int) -> int:
    """Of the matrix products of exact ISM with two hidden layers: loss, trace and gradient."""
    forward = 2 * (d * h + h * h + h * d)
    backward = 2 * (d * h + h * h + h * d) + 2 * (h * h + h * d)  # for weights, for activations
    trace = 3 * 2 * h * h  # the bilinear form, its two derivatives
    return forward + backward + trace


def step_time(n: Any, workers: Any, rate: float, p: int, tau: float, link: float) -> Any:
    """T(W) = c p n / (W r) + W (16 p / B + τ): computing, then sending θ and gradients one after the other."""
    return flops_per_row(D, H) * n / (workers * rate) + workers * (16 * p / link + tau)


def critical_path(model: ns.MLP, total: Any, meter: Metered) -> tuple[float, float]:
    """An evaluation's seconds by the clock, and of processor time: the busiest worker's and then the sender's."""
    meter.spent.clear()
    clock, own = time.perf_counter(), time.process_time()
    total(model)
    return time.perf_counter() - clock, max(meter.spent.values()) + time.process_time() - own


def shortest(calls: list[Any], budget: float) -> np.ndarray:
    """The least of what each call returns, in turns until ``budget`` seconds are over, three at least."""
    until, found = time.perf_counter() + budget, []
    [call() for call in calls]  # the first reads the file
    while len(found) < 3 or time.perf_counter() < until:
        found.append([call() for call in calls])
    return np.min(found, axis=0)


def measure(model: ns.MLP, pools: list[Any], folder: Path, sizes: list[int], budget: float) -> list[dict]:
    """For every number of rows the shortest of many evaluations, one process and two, a shard each, in turns."""
    meters, found = [Metered(pool) for pool in pools], []
    for n in sizes:
        np.save(folder / f"{n}.npy", np.random.default_rng(0).standard_normal((n, D)))
        x = np.load(folder / f"{n}.npy", mmap_mode="r")
        totals = [ns.sharded("ism", meter, np.array_split(x, k)) for k, meter in enumerate(meters, start=1)]
        calls = [partial(critical_path, model, total, meter) for total, meter in zip(totals, meters)]
        clock, processor = shortest(calls, budget).T.tolist()
        row = {"rows": n, "processor": processor, "clock": clock}
        found.append({**row, "speedup": processor[0] / processor[1], "clock_speedup": clock[0] / clock[1]})
    return found


def seconds_per_job(model: ns.MLP, executor: Any, jobs: int, budget: float) -> float:
    """The sender's processor time for a job: θ pickled, the job handed out, a gradient unpickled and added."""
    total = ns.sharded("ism", executor, [np.zeros((1, D))] * jobs)

    def seconds() -> float:
        started = time.process_time()
        total(model)
        return time.process_time() - started

    return float(np.min(shortest([seconds], budget))) / jobs


@contextlib.contextmanager
def pool(workers: int) -> Iterator[Any]:
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as executor:
        yield executor


@contextlib.contextmanager
def dask(workers: int) -> Iterator[Any]:
    """Dask's executor on processes of this machine; None where Dask is not installed."""
    try:
        import distributed
    except ImportError:
        yield None
        return
    settings = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    settings["silence_logs"] = logging.CRITICAL
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


def draw_measured(axes: Any, rows: list[dict]) -> None:
    axes.semilogx([row["rows"] for row in rows], [row["speedup"] for row in rows], "o-", color=DATA)
    axes.axhline(2, color="black", ls=":", lw=1)
    axes.set(xlabel="rows n", ylabel="two processes: times as fast as one", ylim=(0, 2.2))
    axes.set_title("Measured, in processor time")


def draw_paper(axes: Any, paper: dict[str, Any]) -> None:
    axes.loglog(WORKERS, WORKERS, color="black", ls=":", lw=1, label="all of them of use")
    styles = [(GAUSSIAN, "-."), (MODEL, "--"), (DATA, "-")]
    for (rows, speedup), (colour, style) in zip(paper["speedup"].items(), styles):
        axes.loglog(WORKERS, speedup, color=colour, ls=style, label=f"n = {float(rows):.0e} rows")
        best = int(np.argmax(speedup))
        axes.loglog(WORKERS[best], speedup[best], "o", color=colour, ms=5)
    axes.axvline(1000, color=GREY, lw=1)
    axes.set(xlabel="workers W", ylabel="times as fast as one worker", ylim=(0.5, 2e4))
    axes.set_title("On paper, 10 Gbit/s and 5 ms a job")
    axes.legend(fontsize=9, loc="upper left")


def on_paper(rate: float, p: int) -> dict[str, Any]:
    """T(1)/T(W) for three numbers of rows, and where it is largest: W* = √(c p n / (r (16 p/B + τ)))."""
    cost = 16 * p / BYTES_PER_SECOND + SECONDS_A_JOB
    result: dict[str, Any] = {"workers": WORKERS.tolist(), "speedup": {}, "best_workers": {}, "at_1000": {}}
    for n in (1e7, 1e8, 1e9):
        alone = flops_per_row(D, H) * n / rate
        result["speedup"][f"{n:.0e}"] = (
            alone / step_time(n, WORKERS, rate, p, SECONDS_A_JOB, BYTES_PER_SECOND)
        ).tolist()
        result["best_workers"][f"{n:.0e}"] = math.sqrt(alone / cost)
        result["at_1000"][f"{n:.0e}"] = {
            "computing": alone / 1000,
            "sending": 1000 * 16 * p / BYTES_PER_SECOND,
            "handing_out": 1000 * SECONDS_A_JOB,
        }
    return result


def main() -> None:
    arguments = options(__doc__)
    sizes = [1000, 2000] if arguments.quick else [300, 1000, 3000, 10_000, 30_000, 100_000]
    jobs, budget = (4, 0.0) if arguments.quick else (100, 10.0)
    model = ns.MLP.init((D, H, H, D), rng=0)
    p = model.theta.size
    with tempfile.TemporaryDirectory() as folder, pool(1) as one, pool(2) as two:
        rows = measure(model, [one, two], Path(folder), sizes, budget)
        tau = {"process pool": seconds_per_job(model, two, jobs, budget), "Dask": None}
    with contextlib.nullcontext() if arguments.quick else dask(2) as executor:
        if executor is not None:
            tau["Dask"] = seconds_per_job(model, executor, jobs, budget)
    rate = flops_per_row(D, H) * rows[-1]["rows"] / rows[-1]["processor"][0]
    numbers = {
        "claim": f"two processes are {rows[-1]['speedup']:.2f} times as fast as one at {rows[-1]['rows']:,} rows, "
        "in processor time along the slower one",
        "model": repr(model),
        "parameters": p,
        "flops_per_row": flops_per_row(D, H),
        "flops_per_second_one_core": rate,
        "bytes_per_worker_and_step": 16 * p,
        "seconds_per_job": tau,
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "measured": rows,
        "paper": on_paper(rate, p),
    }
    figure = new_figure(10, 4.2)
    left, right = figure.subplots(1, 2)
    draw_measured(left, rows)
    draw_paper(right, numbers["paper"])
    write(figure, numbers, arguments.out, "sharded_scaling")


if __name__ == "__main__":
    main()
