"""Diffusion in NumPy beside PyTorch and JAX: a training step, a whole fit, exact likelihoods, Heun samples.

One network in EDM's form on the same numbers for all. Every peer is first checked to give npscore's result;
then all are timed in turns in one run. JAX compiles outside of the time but in the fit, where compiling is
inside, as it is for a user.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.ticker import NullFormatter

import npscore as ns
from figures.common import options, write
from figures.speed._bench import QUICK, Pace, interleaved, machine, once, summary
from npscore import diffusion
from npscore.plots import DATA, GREY, MODEL, new_figure

SIGMA_DATA, BATCH, RATE = 0.8, 128, 2e-3
STEPS = {"2-64x64-2, batch 128": (2, (64, 64), 128), "16-256x256-16, batch 1024": (16, (256, 256), 1024)}
LIKELIHOODS = {"64-256-64": (64, (256,), 512), "64-256x256-64": (64, (256, 256), 512)}
TOLERANCE = {"float64": 1e-8, "float32": 2e-2}
PACE = Pace(rounds=7, burst=0.1, budget=8.0)
PEERS = {"torch": "figures.speed._diffusion_torch", "jax": "figures.speed._diffusion_jax"}
OURS = "npscore"
SCHEDULE = diffusion.EDM()


def load_peers() -> dict[str, Any]:
    """The modules of the peers that are installed; says which are not."""
    found = {}
    for package, module in PEERS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{package} is not installed: its contender is skipped")
        else:
            found[package] = importlib.import_module(module)
    return found


def network(d: int, hidden: tuple[int, ...], dtype: str) -> diffusion.DiffusionScore:
    net = ns.MLP.init((d, *hidden, d), "silu", rng=0, dtype=dtype, condition=1)
    return diffusion.DiffusionScore(net, SCHEDULE, "edm", sigma_data=SIGMA_DATA)


def agree(name: str, ours: Any, theirs: Any, dtype: str) -> float:
    """The largest relative difference; a peer that computes something else is not timed."""
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    error = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    if not error <= TOLERANCE[dtype]:
        raise AssertionError(f"{name} disagrees with npscore by {error:.1e} in {dtype}")
    return error


def timed(runs: dict[str, Callable[[], Any]], pace: Pace) -> dict[str, Any]:
    first = {name: once(run)[0] for name, run in runs.items()}
    return interleaved(runs, first, pace)


def training_steps(dtype: str, peers: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """Loss and gradient for given noise."""
    found = {}
    for size, (d, hidden, n) in STEPS.items():
        rng, model = np.random.default_rng(1), network(d, hidden, dtype)
        x = rng.standard_normal((n, d)).astype(dtype)
        objective = diffusion.Denoising(SCHEDULE, "edm", sigma_data=SIGMA_DATA)
        draw = objective.draw(x, rng)
        runs: dict[str, Callable[[], Any]] = {OURS: lambda m=model, x=x, o=objective, e=draw: o.loss(m, x, e)}
        for package, peer in peers.items():
            runs[package] = peer.step(model.network.layers, x, *draw, SIGMA_DATA)
            _, grads = runs[package]()
            flat = np.concatenate([np.asarray(g).ravel() for g in grads])
            agree(package, objective.loss(model, x, draw).grad, flat, dtype)
        found[size] = timed(runs, pace)
    return found


def draws(x: np.ndarray, objective: Any, seed: int) -> Iterator[Any]:
    """The batches, times and noise that ``fit`` draws from this seed."""
    rng = np.random.default_rng(seed)
    order, cursor = rng.permutation(len(x)), 0
    while True:
        if cursor + BATCH > len(x):
            order, cursor = rng.permutation(len(x)), 0
        batch, cursor = x[order[cursor : cursor + BATCH]], cursor + BATCH
        yield (batch, *objective.draw(batch, rng))


def fits(dtype: str, peers: dict[str, Any], steps: int, repeats: int) -> dict[str, Any]:
    """Whole fits of the small network, start to end, in turns; all end at the same parameters or nearly."""
    d, hidden, _ = STEPS["2-64x64-2, batch 128"]
    x = ns.targets.GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.5]], [0.2 * np.eye(2)] * 2)
    x = x.sample(5000, rng=0).astype(dtype)
    objective, model = diffusion.Denoising(SCHEDULE, "edm", sigma_data=SIGMA_DATA), network(d, hidden, dtype)

    def contenders(steps: int) -> dict[str, Callable[[], Any]]:
        rates = [RATE * 0.5 * (1 + np.cos(np.pi * k / steps)).item() for k in range(steps)]  # eq-9.9
        runs: dict[str, Callable[[], Any]] = {
            OURS: lambda: (
                ns.fit(
                    model, x, objective, steps=steps, batch_size=BATCH, learning_rate=RATE, rng=3
                ).model.theta
            )
        }
        for package, peer in peers.items():
            of_peer = getattr(peer, "FITS", {f"{package}, eager": getattr(peer, "fit", None)})
            for name, fit in of_peer.items():
                runs[name] = lambda fit=fit: np.concatenate(
                    [p.ravel() for p in fit(model.network.layers, draws(x, objective, 3), rates, SIGMA_DATA)]
                )
        return runs

    few = {name: run() for name, run in contenders(3).items()}  # what a library loads first is no fit
    for name, theta in few.items():
        agree(name, few[OURS], theta, dtype)
    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, run in contenders(steps).items():
            times.setdefault(name, []).append(once(run)[0])
    return {name: summary(values) for name, values in times.items()}


def likelihoods(dtype: str, peers: dict[str, Any], pace: Pace, levels: int) -> dict[str, Any]:
    """log p of rows by RK4 through the noise levels."""
    found, sigmas = {}, np.geomspace(0.05, 20.0, levels)
    for size, (d, hidden, n) in LIKELIHOODS.items():
        model = network(d, hidden, dtype)
        x = np.random.default_rng(2).standard_normal((n, d)).astype(dtype)
        runs: dict[str, Callable[[], Any]] = {
            OURS: lambda m=model, x=x: diffusion.log_likelihood(m, x, sigmas)
        }
        ours = runs[OURS]()
        for peer in peers.values():
            for name, run in peer.likelihoods(model.network.layers, x, sigmas, SIGMA_DATA).items():
                runs[name] = run
                if "probe" not in name:
                    agree(name, ours, run(), dtype)
        found[size] = timed(runs, pace)
    return found


def samples(dtype: str, peers: dict[str, Any], pace: Pace, n: int) -> dict[str, Any]:
    """n samples by 18 Heun steps."""
    model, sigmas = network(2, (64, 64), dtype), diffusion.karras_sigmas(18, 0.02, 20.0)
    table = diffusion.edm(SCHEDULE, sigmas)
    x = diffusion.prior_sample(SCHEDULE, sigmas[0], n, 2, rng=0, dtype=dtype)
    runs: dict[str, Callable[[], Any]] = {
        OURS: lambda: diffusion.sample(model, table, x).x,
        f"{OURS}, two threads": lambda: diffusion.sample(model, table, x, workers=2).x,
    }
    for package, peer in peers.items():
        runs[package] = peer.heun(model.network.layers, sigmas, x, SIGMA_DATA)
        agree(package, runs[OURS](), runs[package](), dtype)
    return timed(runs, pace)


def medians(rows: dict[str, Any]) -> dict[str, float]:
    return {name: row["median"] for name, row in rows.items()}


def claims(seconds: dict[str, Any]) -> dict[str, Any]:
    """The ratios that issue from the times; None where a peer was not installed."""

    def least(values: Iterator[float]) -> Any:
        return min(values, default=None)

    made = {
        "step": least(
            rows["torch"]["median"] / rows[OURS]["median"]
            for sizes in (seconds[dtype]["steps"] for dtype in seconds)
            for rows in sizes.values()
            if "torch" in rows
        ),
        "fit, PyTorch": least(
            rows["fit"]["torch, eager"]["median"] / rows["fit"][OURS]["median"]
            for rows in seconds.values()
            if "torch, eager" in rows["fit"]
        ),
        "fit, JAX": least(
            row["median"] / rows["fit"][OURS]["median"]
            for rows in seconds.values()
            for name, row in rows["fit"].items()
            if "JAX" in name
        ),
        "likelihood, exact peers": least(
            row["median"] / size[OURS]["median"]
            for rows in seconds.values()
            for size in rows["likelihoods"].values()
            for name, row in size.items()
            if "exact" in name
        ),
        "likelihood, one probe": least(
            size["PyTorch, one probe"]["median"] / size[OURS]["median"]
            for rows in seconds.values()
            for size in rows["likelihoods"].values()
            if "PyTorch, one probe" in size
        ),
        "samples": least(
            rows["samples"]["torch"]["median"] / rows["samples"][OURS]["median"]
            for rows in seconds.values()
            if "torch" in rows["samples"]
        ),
    }
    at_least = {
        "step": 1,
        "fit, PyTorch": 2,
        "fit, JAX": 1,
        "likelihood, exact peers": 20,
        "likelihood, one probe": 1,
    }
    return {
        name: {
            "what": "a peer's time over npscore's, the least of all cases",
            "number": number,
            "at_least": at_least.get(name, 1),
            "held": None if number is None else number >= at_least.get(name, 1),
        }
        for name, number in made.items()
    }


def draw(numbers: dict[str, Any]) -> Any:
    """Bars of the float32 times, a panel for each task."""
    figure = new_figure(11, 6.2)
    rows = numbers["seconds"]["float32"]
    tasks = {f"training step, {size}": found for size, found in rows["steps"].items()}
    tasks[f"fit of {numbers['fit_steps']:,} steps, start to end"] = rows["fit"]
    tasks |= {
        f"log p of {LIKELIHOODS[size][2]} rows, {size}": found for size, found in rows["likelihoods"].items()
    }
    tasks[f"{numbers['samples']:,} samples, 18 Heun steps"] = rows["samples"]
    for axes, (task, found) in zip(figure.subplots(3, 2).ravel(), tasks.items()):
        spoken = {"torch": "PyTorch, eager", "torch, eager": "PyTorch, eager", "jax": "JAX, jitted"}
        names, times = [spoken.get(name, name) for name in found], [row["median"] for row in found.values()]
        colours = [DATA if OURS in name else MODEL if "jax" in name.lower() else GREY for name in names]
        axes.barh(names, times, color=colours)
        for name, time in zip(names, times):
            axes.annotate(
                f"{time:.3g} s", (time, name), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(0.3 * min(times), 6 * max(times))
        axes.set_title(task, fontsize=10)
        axes.set_xlabel("seconds (logarithmic)", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.invert_yaxis()
    return figure


def main() -> None:
    arguments = options(__doc__)
    quick = arguments.quick
    pace, steps, repeats, n, levels = (QUICK, 20, 1, 200, 3) if quick else (PACE, 4000, 3, 10_000, 10)
    peers = load_peers()
    seconds = {
        dtype: {
            "steps": training_steps(dtype, peers, pace),
            "fit": fits(dtype, peers, steps, repeats),
            "likelihoods": likelihoods(dtype, peers, pace, levels),
            "samples": samples(dtype, peers, pace, n),
        }
        for dtype in ("float32", "float64")
    }
    made = claims(seconds)
    said = ", ".join(f"{name} {row['number']:.2g}" for name, row in made.items() if row["number"] is not None)
    numbers = {
        "claim": f"diffusion, a peer's time over npscore's at the least: {said or 'no peer measured'}",
        "claims": made,
        "unit": "seconds; median and quartiles",
        "fit_steps": steps,
        "samples": n,
        "machine": machine(),
        "seconds": seconds,
    }
    write(draw(numbers), numbers, arguments.out, "diffusion_speed")


if __name__ == "__main__":
    main()
