"""The picture of ``trace_speed``: time of a step, one row a size, one column a precision."""

from __future__ import annotations

from typing import Any

from figures.speed._speed_claims import EXACT, FLOOR, OURS, fastest, shape
from npscore.plots import DATA, GAUSSIAN, GREY, MODEL, new_figure

MARKS = {
    "npscore, exact": (DATA, "o", 8),
    "fastest exact peer": (MODEL, "s", 7),
    "fastest sliced peer (one projection, estimated trace)": (GAUSSIAN, "^", 6),
    "fastest DSM peer (no trace)": (GREY, "D", 5),
    "the step's matrix products alone (BLAS)": ("black", "|", 12),
}


def dots(row: dict[str, Any], of: str) -> dict[str, float]:
    """The seconds that each mark shows, medians or the least, those that were measured."""
    peers = [fastest(row, *words, of=of) for words in (EXACT, ("sliced",), ("DSM",))]
    names = (OURS, *peers, FLOOR)
    return {label: row[name][of] for label, name in zip(MARKS, names) if name in row}


def draw(numbers: dict[str, Any], of: str = "median") -> Any:
    """Dots on a log axis; the factor between npscore and the fastest exact peer stands on the line between them."""
    figure = new_figure(12, 0.55 * max(4, len(numbers["seconds"])) + 2.2)
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    sizes = list(numbers["seconds"])
    for axes, dtype in zip(panels, ("float32", "float64")):
        for y, size in enumerate(sizes):
            if row := numbers["seconds"][size].get(f"{dtype} tanh"):
                draw_row(axes, y, dots(row, of))
        axes.set_xscale("log")
        axes.margins(x=0.14, y=0.12)
        axes.set_title(f"{dtype}, tanh")
        axes.set_xlabel("seconds per step: loss and full gradient")
        axes.grid(axis="x", lw=0.4)
    panels[0].set_yticks(range(len(sizes)), [label(size) for size in sizes])
    panels[0].invert_yaxis()
    handles = {h.get_label(): h for axes in panels for h in axes.get_lines() if h.get_label()[0] != "_"}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def draw_row(axes: Any, y: int, shown: dict[str, float]) -> None:
    ours, exact = shown["npscore, exact"], shown.get("fastest exact peer")
    if exact:
        axes.plot([ours, exact], [y, y], color=MODEL, lw=1)
        factor = exact / ours
        text = f"{factor:.0f}×" if factor >= 10 else f"{factor:.1f}×"
        axes.annotate(text, (exact, y), (8, 0), textcoords="offset points", va="center", fontsize=9)
    for name, seconds in shown.items():
        colour, marker, size = MARKS[name]
        axes.plot(seconds, y, marker, color=colour, ms=size, ls="none", label=name if y == 0 else None)


def label(size: str) -> str:
    d, hidden, n = shape(size)
    return f"d = {d}, hidden {'×'.join(map(str, hidden))}\nbatch {n}"
