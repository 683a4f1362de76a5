"""``fit`` end to end against the same training loop in PyTorch and JAX: Old Faithful, 3,000 steps of Adam.

The same network, data, batches, noise, schedule and exact loss for all; drawing the batches and JAX's compiling are
inside the time, importing the packages is not. All must end at the same loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import npscore as ns
from figures.common import options, write
from figures.speed._bench import load_peers, machine, once, summary
from npscore.cli.demo import JITTER
from npscore.plots import DATA, GREY, MODEL, new_figure

HIDDEN, BATCH, RATE, SEED = (32, 32), 128, 1e-3, 0  # as in ``npscore demo``
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}  # of the final loss
Fit = Callable[[], np.ndarray]


def training_rows(dtype: str) -> np.ndarray:
    """Three quarters of the eruptions, standardised."""
    table = ns.datasets.old_faithful()
    train, _ = ns.datasets.train_validation_split(table.values, 0.25, rng=SEED)
    return ns.datasets.Standardisation.fit(train, table.columns).forward(train).astype(dtype)


def batches(x: np.ndarray) -> Iterator[np.ndarray]:
    """The batches that ``fit`` draws from this seed: shuffled epochs, fresh noise on every batch."""
    rng = np.random.default_rng(SEED)
    order, cursor = rng.permutation(len(x)), 0
    while True:
        if cursor + BATCH > len(x):
            order, cursor = rng.permutation(len(x)), 0
        rows, cursor = order[cursor : cursor + BATCH], cursor + BATCH
        noise = rng.standard_normal((BATCH, x.shape[1])).astype(x.dtype)
        yield x[rows] + x.dtype.type(JITTER) * noise


def contenders(x: np.ndarray, steps: int, peers: dict[str, Any]) -> tuple[ns.MLP, dict[str, Fit]]:
    """The starting model, and by name the fits from there to a final θ."""
    model = ns.MLP.init((2, *HIDDEN, 2), rng=SEED, dtype=x.dtype)
    settings = {"steps": steps, "batch_size": BATCH, "learning_rate": RATE, "jitter": JITTER}
    rates = [RATE * 0.5 * (1 + np.cos(np.pi * t / steps)).item() for t in range(steps)]  # eq-9.9

    def of_peer(fit: Any) -> Fit:
        def run() -> np.ndarray:
            params = fit(model.layers, batches(x), rates)["params"]
            return np.concatenate([np.asarray(part).ravel() for part in params])

        return run

    fits: dict[str, Fit] = {"npscore, fit": lambda: ns.fit(model, x, rng=SEED, **settings).model.theta}
    for peer in peers.values():
        fits |= {name: of_peer(fit) for name, fit in peer.FITS.items()}
    return model, fits


def measure(dtype: str, steps: int, repeats: int, peers: dict[str, Any]) -> dict[str, Any]:
    """Times of whole fits, in turns, and the loss that each ends at: exact ISM of the training rows."""
    x = training_rows(dtype)
    for warm_up in contenders(x, 2, peers)[1].values():  # what a library loads at its first step is no fit
        warm_up()
    model, fits = contenders(x, steps, peers)
    times: dict[str, list[float]] = {name: [] for name in fits}
    losses = {}
    for _ in range(repeats):
        for name, fit in fits.items():
            seconds, theta = once(fit)
            times[name].append(seconds)
            losses[name] = float(ns.ism(model.with_theta(theta), x).loss)
    found = {name: {**summary(times[name]), "final_loss": losses[name]} for name in fits}
    check_losses(found, dtype)
    return found


def check_losses(found: dict[str, Any], dtype: str) -> None:
    """The same start and the same batches lead to the same loss, or something else was fitted."""
    ours = found["npscore, fit"]["final_loss"]
    for name, row in found.items():
        row["loss_difference"] = abs(row["final_loss"] / ours - 1)
        if not row["loss_difference"] <= TOLERANCE[dtype]:
            raise AssertionError(f"{name} ends at {row['final_loss']}, npscore at {ours}, in {dtype}")


def ratios(seconds: dict[str, Any]) -> dict[str, Any]:
    """How many times longer than ours each peer's fit takes."""
    return {
        dtype: {name: row["median"] / rows["npscore, fit"]["median"] for name, row in rows.items()}
        for dtype, rows in seconds.items()
    }


def claim(table: dict[str, Any]) -> dict[str, Any]:
    """``fit`` is faster than every peer in both precisions."""
    values = [value for rows in table.values() for name, value in rows.items() if "npscore" not in name]
    number = min(values, default=None)
    what = "times faster than the fastest peer, compiling included"
    return {"what": what, "number": number, "at_least": 1, "held": None if number is None else number >= 1}


def draw(numbers: dict[str, Any]) -> Any:
    """A bar for every contender and precision."""
    figure = new_figure(9, 3.4)
    panels = figure.subplots(1, len(numbers["seconds"]), sharey=True)
    for axes, (dtype, rows) in zip(panels, numbers["seconds"].items()):
        names, medians = list(rows), [row["median"] for row in rows.values()]
        colours = [DATA if "npscore" in name else GREY if "PyTorch" in name else MODEL for name in names]
        axes.barh(names, medians, color=colours)
        low, high = zip(*(row["quartiles"] for row in rows.values()))
        axes.hlines(names, low, high, color="black", lw=1.5)
        for name, end, median in zip(names, high, medians):
            axes.annotate(f"{median:.2g} s", (end, name), (5, 0), textcoords="offset points", va="center")
        axes.set_xlim(0, 1.2 * max(high))
        axes.set(title=dtype, xlabel=f"seconds for {numbers['steps']} steps, end to end")
    panels[0].invert_yaxis()
    return figure


def main() -> None:
    arguments = options(__doc__)
    steps, repeats = (20, 1) if arguments.quick else (3000, 5)
    peers = load_peers()
    seconds = {dtype: measure(dtype, steps, repeats, peers) for dtype in ("float32", "float64")}
    table = ratios(seconds)
    made = claim(table)
    times = "no peer measured" if made["held"] is None else f"{made['number']:.1f} {made['what']}"
    numbers = {
        "claim": f"fit on Old Faithful, {steps} steps: {times}",
        "claims": {"6c": made},
        "ratios": table,
        "unit": "seconds for the whole fit; median and quartiles",
        "steps": steps,
        "machine": machine(),
        "seconds": seconds,
    }
    write(draw(numbers), numbers, arguments.out, "fit_speed")


if __name__ == "__main__":
    main()
