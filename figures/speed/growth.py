"""How time and peak memory of an exact ISM step grow with d, width, depth and batch, and what the shapes predict.

Time is predicted by the multiplications of the step's matrix products, memory by the numbers that it holds
at once; both are counted from the shapes, and each curve has one factor, set at its largest point. Peaks
are those of NumPy's and Python's own allocations, by tracemalloc, in a call apart from the timed ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from figures.common import options, write
from figures.speed._bench import QUICK, Case, Pace, interleaved, machine, once, our_steps, peak_bytes
from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

Point = tuple[int, tuple[int, ...], int]  # d, hidden widths, batch

DEPTHS = {1: ("one hidden layer", DATA, "o"), 2: ("two", GAUSSIAN, "^"), 3: ("three", MODEL, "s")}
AXES = {"d": "dimension d", "width": "width of the hidden layers", "depth": "hidden layers", "batch": "batch"}
TITLES = {"d": "the dimension", "width": "the width", "depth": "the depth", "batch": "the batch"}
BLOCK, FEW = (
    2**22,
    1024,
)  # numbers in one block of rows, or four times as many where that were fewer rows than these
END = 2**20  # and a merged matrix at an end of the ring
UNIT, CARRIED = (
    250,
    50,
)  # what the passes over a unit, and over a direction at a unit, cost: in multiplications
D, WIDTH, N = 16, 128, 512  # where the others stay
FULL = {
    "d": (2, 8, 32, 128, 512),
    "width": (16, 32, 64, 128, 256, 512),
    "depth": tuple(range(1, 9)),
    "batch": (16, 64, 256, 1024, 4096, 16384, 65536),
}
SMALL = {"d": (2, 8), "width": (4, 8), "depth": (1, 2, 3), "batch": (4, 16)}


def directions(d: int, hidden: Sequence[int]) -> tuple[int, int]:
    """The number of directions on the ring and the multiplications that a row spends on them, at the best cut."""
    edges = [a * b for a, b in zip([*hidden[-1:], *hidden], hidden)]  # the edge into each node, W_1 W_L first
    cuts = [(d * sum(edges[1:]), d)]
    for m, width in enumerate(hidden):
        cuts.append((width * (sum(edges) - edges[m] - edges[(m + 1) % len(hidden)]), width))
    cost, count = min(cuts)  # eq-5.16
    return count, cost


def multiplications(d: int, hidden: Sequence[int], n: int) -> float:
    """Of the step's matrix products, three for each layer and the trace's; passes over arrays in the same coin."""
    sizes = (d, *hidden, d)
    cost = 3 * n * sum(a * b for a, b in zip(sizes, sizes[1:])) - n * d * hidden[0]
    cost += UNIT * n * sum(hidden)
    if len(hidden) == 1:
        return cost + d * hidden[0]
    if len(hidden) == 2:
        return cost + 3 * (n + d) * hidden[0] * hidden[1]
    count, products = directions(d, hidden)
    return cost + 3 * n * products + CARRIED * n * count * sum(hidden)


def numbers_held(d: int, hidden: Sequence[int], n: int) -> float:
    """About what the step holds at once: a block's intermediates, data and cotangents, parameters and gradient."""
    sizes = (d, *hidden, d)
    row, fixed = 7 * sum(hidden), 4 * n * d + 3 * sum(a * b for a, b in zip(sizes, sizes[1:]))
    if len(hidden) > 2:  # so many directions at a time that the ends' merged matrices keep to END numbers
        k = max(1, min(directions(d, hidden)[0], END // max(hidden) ** 2))
        row, fixed = row + 2 * k * len(hidden[1:]) * max(hidden), fixed + 3 * k * max(hidden) ** 2
    rows = max(BLOCK // row, min(FEW, 4 * BLOCK // row))
    return min(n, rows) * row + fixed


def point(axis: str, depth: int, value: int) -> Point:
    """The problem with one of its sizes changed."""
    d, width, n = (
        value if axis == name else usual for name, usual in zip(("d", "width", "batch"), (D, WIDTH, N))
    )
    return d, (width,) * (value if axis == "depth" else depth), n


def lines(axis: str, values: Sequence[int]) -> dict[str, list[Point]]:
    """The points of a panel by line."""
    if axis == "depth":
        return {"any depth": [point(axis, 0, value) for value in values]}
    return {name: [point(axis, depth, value) for value in values] for depth, (name, *_) in DEPTHS.items()}


def measure(axis: str, values: Sequence[int], pace: Pace) -> dict[str, Any]:
    """Seconds and peak bytes of every line along one axis, with what the shapes predict."""
    panel: dict[str, Any] = {"values": list(values)}
    todo = {(name, i): p for name, points in lines(axis, values).items() for i, p in enumerate(points)}
    steps = {key: our_steps(Case.make(*p, "tanh", "float64"))["npscore, exact"] for key, p in todo.items()}
    peaks = {key: peak_bytes(step) for key, step in steps.items()}
    times = interleaved(steps, {key: once(step)[0] for key, step in steps.items()}, pace)
    for name, points in lines(axis, values).items():
        keys = [(name, i) for i in range(len(points))]
        panel[name] = {
            "seconds": compared(
                [times[key]["median"] for key in keys], [multiplications(*p) for p in points]
            ),
            "bytes": compared([peaks[key] for key in keys], [8 * numbers_held(*p) for p in points]),
        }
        panel[name]["seconds"]["quartiles"] = [times[key]["quartiles"] for key in keys]
    return panel


def compared(measured: list[float], counted: list[float]) -> dict[str, Any]:
    """Measured beside counted, with the factor between them at the last point."""
    factor = measured[-1] / counted[-1]
    return {"measured": measured, "counted": counted, "factor": factor}


def draw(numbers: dict[str, Any]) -> Any:
    """Time above, memory below; dots are measured, lines are predicted."""
    figure = new_figure(13, 6.4)
    panels = figure.subplots(2, len(AXES), sharey="row", sharex="col")
    for column, (axis, words) in zip(panels.T, AXES.items()):
        for axes, quantity in zip(column, ("seconds", "bytes")):
            draw_panel(axes, numbers[axis], quantity)
        if axis == "depth":
            column[1].set_xscale("linear")
        column[1].set_xlabel(words)
        column[0].set_title(f"against {TITLES[axis]}")
        column[1].set_xticks(ticks(numbers[axis]["values"]), map(str, ticks(numbers[axis]["values"])))
        column[1].minorticks_off()
    panels[0, 0].set_ylabel("seconds per exact ISM step")
    panels[1, 0].set_ylabel("peak memory, bytes")
    panels[0, 0].legend(fontsize=9)
    return figure


def ticks(values: list[int]) -> list[int]:
    """At most five of them."""
    return values[:: (len(values) + 4) // 5]


def draw_panel(axes: Any, panel: dict[str, Any], quantity: str) -> None:
    styles = {name: (colour, marker) for name, colour, marker in DEPTHS.values()}
    for name, line in panel.items():
        if name == "values":
            continue
        colour, marker = styles.get(name, (GREY, "D"))
        found, x = line[quantity], panel["values"]
        axes.loglog(x, np.array(found["counted"]) * found["factor"], color=colour, lw=1.2)
        axes.loglog(x, found["measured"], marker, color=colour, ms=6, label=name)
    axes.grid(lw=0.3)


def main() -> None:
    arguments = options(__doc__)
    values, pace = (SMALL, QUICK) if arguments.quick else (FULL, Pace())
    numbers: dict[str, Any] = {"claim": "", "d_width_batch": [D, WIDTH, N], "machine": machine()}
    for axis in AXES:
        numbers[axis] = measure(axis, values[axis], pace)
    cost = {name: row["seconds"]["measured"] for name, row in numbers["d"].items() if name != "values"}
    growth = [f"{name} {times[-1] / times[0]:.1f}" for name, times in cost.items()]
    low, high = values["d"][0], values["d"][-1]
    numbers["claim"] = f"time at d = {high} over time at d = {low}: {', '.join(growth)}"
    write(draw(numbers), numbers, arguments.out, "growth")


if __name__ == "__main__":
    main()
