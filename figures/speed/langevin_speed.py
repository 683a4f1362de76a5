"""Langevin over thousands of chains: chain steps per second, PyTorch and JAX beside it, and growth with the chains.

Every peer is first checked to take npscore's steps when given the same noise (float64 to 1e-10), and every sampler to
have the exact law on a Gaussian with noise of its own; then all are timed in turns. The whole run takes about five
minutes; ``--only PART …`` measures some cases anew and keeps the others' numbers.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write, write_numbers
from figures.speed._bench import QUICK, Pace, check, interleaved, machine, once, peak_bytes
from figures.speed._langevin_cases import Case, floor, make, our_runs
from figures.speed._langevin_picture import draw, rates
from npscore.samplers import langevin_blocks, langevin_law

SIZES = {  # kind, d, chains, steps in one timed run
    "Gaussian, d = 2": ("Gaussian", 2, 10_000, 50),
    "Gaussian, d = 10": ("Gaussian", 10, 10_000, 50),
    "Gaussian, d = 64": ("Gaussian", 64, 10_000, 20),
    "mixture, d = 2": ("mixture", 2, 10_000, 50),
    "mixture, d = 10": ("mixture", 10, 10_000, 20),
    "mixture, d = 64": ("mixture", 64, 10_000, 20),
    "MLP, 2-128-128-2": ("MLP", 2, 4096, 50),
}
QUICK_SIZES = {name: (kind, d, 100, 2) for name, (kind, d, *_) in SIZES.items() if d == 2}
DTYPES = ("float32", "float64")
CHAINS = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
PACE = Pace(rounds=7, burst=0.2, budget=6.0)
FLOOR = "floor: random numbers and products"
PEERS = {"torch": "figures.speed._langevin_torch", "jax": "figures.speed._langevin_jax"}


def load_peers() -> list[Any]:
    """The modules of the peers that are installed; says which are not."""
    found = []
    for package, module in PEERS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{package} is not installed: its contender is skipped")
        else:
            found.append(importlib.import_module(module))
    return found


# ---- the same numbers ----------------------------------------------------------------------------------


def check_steps(case: Case, runs: dict[str, Callable[..., Any]]) -> dict[str, float]:
    """The largest difference of each peer from npscore after a few steps with npscore's noise."""
    blocks = langevin_blocks(*case.x0.shape, rng=0)
    noise = [np.concatenate([block.noise(case.x0.dtype) for block in blocks]) for _ in range(5)]
    ours = ns.langevin(case.score, case.x0, case.step, len(noise), rng=0, progress=False).x
    errors = {
        name: float(np.abs(run(np.array(noise), len(noise)) - ours).max()) for name, run in runs.items()
    }
    return {name: check(name, error, case.x0.dtype) for name, error in errors.items()}


def check_law(peers: list[Any], dtype: str, n: int, pool: Any) -> dict[str, float]:
    """Mean and covariance after 20 steps on a Gaussian, in standard errors off the exact law (1.4), (1.5)."""
    case = make("Gaussian", 2, n, dtype, 20)._replace(step=0.2)
    case = case._replace(x0=np.ones_like(case.x0))
    law = langevin_law(case.parameters["mean"], case.parameters["cov"], np.ones(2), np.zeros((2, 2)), 0.2, 20)
    runs = dict(our_runs(case, 2, pool))
    for peer in peers:
        runs.update(peer.runs(case))
    off = {name: standard_errors_off(run(), law) for name, run in runs.items()}
    for name, error in off.items():
        if not error < 5:
            raise AssertionError(f"{name} is {error:.1f} standard errors off the exact law in {dtype}")
    return off


def standard_errors_off(x: Any, law: Any) -> float:
    """The largest deviation of sample mean and covariance from the law's."""
    n, d = x.shape
    w = np.linalg.solve(np.linalg.cholesky(law.cov), (x - law.mean).T)  # (d, n), N(0, I)
    of_cov = (w @ w.T / n - np.eye(d)) * np.sqrt(n / (1 + np.eye(d)))
    return float(max(np.abs(w.mean(axis=1)).max() * np.sqrt(n), np.abs(of_cov).max()))


# ---- measuring -------------------------------------------------------------------------------------------


def measure(case: Case, peers: list[Any], pool: Any, arguments: Any) -> dict[str, Any]:
    """Seconds of a run for every contender, and how far the peers' steps are from ours."""
    theirs: dict[str, Callable[..., Any]] = {}
    for peer in peers:
        theirs.update(peer.runs(case))
    errors = check_steps(case, theirs)
    runs = {**our_runs(case, os.cpu_count() or 1, pool), **theirs, FLOOR: floor(case)}
    for run in runs.values():
        run()  # compiles, starts threads
    first = {name: once(run)[0] for name, run in runs.items()}
    seconds = interleaved(runs, first, QUICK if arguments.quick else PACE)
    return {"chain_steps": len(case.x0) * case.n_steps, "seconds": seconds, "largest_difference": errors}


def growth(quick: bool) -> dict[str, Any]:
    """Seconds and peak memory of 20 steps on a Gaussian, d = 10, float64, one core, against the chains."""
    sizes, seconds, peaks = CHAINS[:2] if quick else CHAINS, [], []
    for n in sizes:
        case = make("Gaussian", 10, n, "float64", 20)
        run = our_runs(case, 1, None)["npscore, one core"]
        seconds.append(min(once(run)[0] for _ in range(3)))
        peaks.append(peak_bytes(run))
    return {
        "chains": list(sizes),
        "seconds": seconds,
        "peak_bytes": peaks,
        "predicted_bytes_per_chain": 10 * 8 + 8 + 1 + 1,  # state, step of divergence, two masks
        "measured_bytes_per_chain": (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0]),
        "slope_of_time": slope(sizes[-3:], seconds[-3:]),
    }


def slope(x: Any, y: Any) -> float:
    """Of log y against log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


# ---- what it shows -----------------------------------------------------------------------------------------


def ratios(rows: dict[str, Any]) -> dict[str, dict[str, float]]:
    """For each case: npscore's fastest over each peer, and one core's over the floor's on one core."""
    shown = {}
    for name, row in rows.items():
        rate = rates(row)
        best = max(value for who, value in rate.items() if who.startswith("npscore"))
        shown[name] = {who: best / value for who, value in rate.items() if who.startswith(("PyTorch", "JAX"))}
        shown[name]["floor over one core"] = rate[FLOOR] / rate["npscore, one core"]
        shown[name]["threads over one core"] = rate["npscore, threads"] / rate["npscore, one core"]
        shown[name]["processes over one core"] = rate["npscore, processes"] / rate["npscore, one core"]
    return shown


def claims(table: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The smallest ratio of each kind, what it should be, and whether it is; None where the peer is not installed."""
    wanted = {
        "ahead of PyTorch on exact targets": ("PyTorch, eager", False, 1.0),
        "ahead of JAX on exact targets": ("JAX, jitted scan", False, 1.0),
        "ahead of PyTorch with the MLP": ("PyTorch, eager", True, 1.0),
        "within 1.5 times of JAX with the MLP": ("JAX, jitted scan", True, 1 / 1.5),
    }
    result = {}
    for claim, (who, network, least) in wanted.items():
        found = {
            name: row[who] for name, row in table.items() if who in row and name.startswith("MLP") == network
        }
        worst = min(found, key=found.get) if found else None
        smallest = found.get(worst)
        result[claim] = {"smallest_ratio": smallest, "at": worst, "held": smallest and smallest >= least}
    return result


def headline(stated: dict[str, Any], load: Any) -> str:
    """One sentence of what was measured, and a warning where other work was going on."""
    said = [f"{claim}: {row['smallest_ratio']:.2f} at least" for claim, row in stated.items() if row["at"]]
    busy = f"beside other work (load average {load:.1f}); " if load and load > 1 else ""
    return f"{busy}npscore's rate over the peer's; " + "; ".join(said or ["no peer installed"])


def main() -> None:
    only = {"nargs": "*", "default": None, "help": "cases to measure anew, e.g. 'mixture, d = 64' [all]"}
    arguments = options(__doc__, only=only)
    load = (
        os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    )  # other work on the machine spoils the ratios
    sizes, peers = QUICK_SIZES if arguments.quick else SIZES, load_peers()
    file = arguments.out / "langevin_speed.json"
    rows = json.loads(file.read_text())["cases"] if arguments.only is not None and file.exists() else {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        n = 2000 if arguments.quick else 100_000
        law = {dtype: check_law(peers, dtype, n, pool) for dtype in DTYPES}
        for name, size in sizes.items():
            for dtype in DTYPES:
                if arguments.only is None or name in arguments.only:
                    kind, d, chains, n_steps = size
                    rows[f"{name}, {dtype}"] = measure(
                        make(kind, d, chains, dtype, n_steps), peers, pool, arguments
                    )
                    write_numbers({"cases": rows}, arguments.out, "langevin_speed")
    table = ratios(rows)
    stated = claims(table)
    numbers = {
        "claim": headline(stated, load),
        "ratios": table,
        "claims": stated,
        "cases": rows,
        "standard_errors_off_the_exact_law": law,
        "growth": growth(arguments.quick),
        "machine": {**machine(), "load_average_before": load},
    }
    write(draw(numbers), numbers, arguments.out, "langevin_speed")


if __name__ == "__main__":
    main()
