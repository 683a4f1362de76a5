"""Pictures: axes-level drawings that say what they show, and the figures the command line writes.

Matplotlib is imported on use, without pyplot, so no global state is touched and no display is needed.
Colours are Okabe and Ito's colour-blind-safe set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._run.atomic import PathLike, atomic_write
from .datasets import Table
from .fitting import History

Array = np.ndarray

DATA, MODEL, GAUSSIAN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"


def new_figure(width: float, height: float) -> Any:
    """An empty figure with a layout that keeps labels apart."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def picture_format(path: PathLike) -> str:
    """The format that a file's ending names, PNG without one; ValueError lists the formats there are."""
    known = new_figure(1, 1).canvas.get_supported_filetypes()
    ending = os.path.splitext(os.fspath(path))[1].lstrip(".").lower() or "png"
    if ending not in known:
        raise ValueError(f"path must end in one of {', '.join(sorted(known))}, got {os.fspath(path)!r}")
    return ending


def save_figure(figure: Any, path: PathLike, dpi: int = 110) -> None:
    """Write a figure, complete or not at all, in the format that the file's ending names."""
    format = picture_format(path)
    with atomic_write(path) as file:
        figure.savefig(file, format=format, dpi=dpi)


def draw_score_field(
    axes: Any,
    score: Callable[[Array], Array],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    *,
    arrows: int = 22,
) -> None:
    """Arrows along the score on a grid: they point uphill in log p. Length shows size, compressed by a log.

    ``score`` takes and returns (n, 2) in the units of the axes.
    """
    gx, gy = np.meshgrid(np.linspace(*xlim, arrows), np.linspace(*ylim, arrows))
    s = score(np.column_stack([gx.ravel(), gy.ravel()]))
    span = np.array([xlim[1] - xlim[0], ylim[1] - ylim[0]])
    on_screen = s * span  # the same arrow whatever the units of the axes
    length = np.sqrt((on_screen**2).sum(axis=1, keepdims=True)) + 1e-12
    shown = on_screen / length * np.log1p(length) / np.log1p(length).max()
    axes.quiver(
        gx, gy, shown[:, 0], shown[:, 1], color=GREY, angles="uv", scale=arrows * 0.9, width=0.0028, zorder=1
    )
    axes.set_xlim(xlim)
    axes.set_ylim(ylim)


def draw_training(axes: Any, history: History, *, gaussian: float, best_step: int) -> None:
    """Batch loss and held-out ISM against the step, with the Gaussian's held-out ISM as the line to beat."""
    if len(history.step):
        width = max(1, len(history.step) // 100)
        smooth = np.convolve(history.loss, np.ones(width) / width, mode="valid")
        axes.plot(history.step[width - 1 :], smooth, color=GREY, lw=0.9, label="training batches")
    axes.plot(history.validation_step, history.validation_loss, color=MODEL, lw=1.8, label="held-out ISM")
    axes.axhline(gaussian, color=GAUSSIAN, ls="--", label="best Gaussian, held-out ISM")
    axes.axvline(best_step, color=MODEL, lw=0.8, ls=":", label="model kept")
    low = min(gaussian, history.validation_loss.min())
    room = 0.6 * abs(gaussian - low) + 1.0
    axes.set_ylim(low - room, gaussian + 2.5 * room)
    axes.set_xlabel("step")
    axes.set_ylabel("loss  ½‖s‖² + tr J")
    axes.legend(fontsize=7, loc="upper right")


def draw_identity(axes: Any, explicit: Sequence[float], implicit: Sequence[float], constant: float) -> None:
    """J_ISM against J_ESM for several networks, on the line of slope one through C."""
    explicit, implicit = np.asarray(explicit), np.asarray(implicit)
    ends = np.array([0.0, explicit.max() * 1.08])
    axes.plot(ends, ends + constant, color=GREY, lw=1, label=f"J_ISM = J_ESM + C,  C = {constant:.4f}")
    axes.plot(explicit, implicit, "o", color=MODEL, ms=6, label="random networks, by quadrature")
    axes.set_xlabel("J_ESM  (needs the true score)")
    axes.set_ylabel("J_ISM  (needs only the model)")
    axes.legend(fontsize=7, loc="upper left")


def draw_distances(axes: Any, distances: dict[str, float]) -> None:
    """Unbiased energy distances to the held-out rows as bars: shorter is closer, 0 ± chance is the same law."""
    names, colours = list(distances), [MODEL, GAUSSIAN, DATA]
    axes.barh(names, [distances[name] for name in names], color=colours[: len(names)])
    for row, name in enumerate(names):
        axes.text(max(distances[name], 0.0), row, f" {distances[name]:.4f}", va="center", fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0.0, color="black", lw=0.8)
    axes.set_xlim(1.1 * min(0.0, *distances.values()), 1.3 * max(distances.values()))
    axes.set_xlabel("energy distance to held-out rows\n(unbiased; 0 ± chance: the same law)", fontsize=9)


def sample_figure(table: Table, *, most: int = 5) -> Any:
    """Samples as a picture: a histogram for one column, a scatter for two, all pairs of the first few beyond."""
    shown = min(len(table.columns), most)
    values, names = table.values[:, :shown], table.columns[:shown]
    if shown <= 2:
        figure = new_figure(5.2, 4.4)
        axes = figure.subplots()
        if shown == 1:
            axes.hist(values[:, 0], bins="auto", color=MODEL)
            axes.set_ylabel("samples per bin")
        else:
            axes.plot(values[:, 0], values[:, 1], ".", color=MODEL, ms=3, alpha=0.5)
            axes.set_ylabel(names[1])
        axes.set_xlabel(names[0])
    else:
        figure = _all_pairs(values, names)
    extra = "" if shown == len(table.columns) else f", the first {shown} of {len(table.columns)} columns"
    figure.suptitle(f"{len(values):,} Langevin samples{extra}", fontsize=10)
    return figure


def _all_pairs(values: Array, names: Sequence[str]) -> Any:
    count = len(names)
    figure = new_figure(2.0 * count, 2.0 * count)
    grid = figure.subplots(count, count)
    for i in range(count):
        for j in range(count):
            axes = grid[i, j]
            if i == j:
                axes.hist(values[:, i], bins=40, color=MODEL)
            else:
                axes.plot(values[:, j], values[:, i], ".", color=MODEL, ms=2, alpha=0.4)
            axes.tick_params(labelsize=6)
            if i == count - 1:
                axes.set_xlabel(names[j], fontsize=8)
            if j == 0:
                axes.set_ylabel(names[i], fontsize=8)
    return figure
