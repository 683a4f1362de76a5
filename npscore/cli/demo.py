"""The main job, from the theorem to samples of real data: ``npscore demo``."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from .. import datasets
from .._run.atomic import as_path
from .._run.borders import as_count, as_rng
from .._run.npz import PathLike
from ..density.stored import sample_table
from ..density.table import Comparison, FittedTable, compare, fit_table
from ..diagnostics import energy_distance
from ..plots import (
    DATA,
    MODEL,
    draw_distances,
    draw_identity,
    draw_score_field,
    draw_training,
    new_figure,
    save_figure,
)
from ..storage import save
from .verify import Identity, example_networks, gaussian_example, theorem_identities

Array = np.ndarray
JITTER = 0.15  # standard deviations: 2.0 minutes of waiting, 10 seconds of eruption


class Demo(NamedTuple):
    """All the numbers behind the picture. Distances are energy distances to the held-out rows."""

    identities: list[Identity]
    fitted: FittedTable
    comparison: Comparison
    samples: datasets.Table
    distances: dict[str, float]
    n_diverged: int


def run_demo(
    out: PathLike = "npscore-demo",
    *,
    seed: int = 0,
    steps: int = 3000,
    n_samples: int = 2000,
    say: Any = print,
    progress: Any = None,
) -> Demo:
    """Check the theorem, fit Old Faithful by exact ISM, sample it, and write picture, model and samples.

    Writes demo.png, model.npz and samples.csv into the folder ``out`` (made if missing) and says what it
    finds through ``say``, a line at a time. Ctrl-C ends it with nothing written: KeyboardInterrupt.
    """
    rng, steps, n_samples = as_rng(seed), as_count(steps, "steps"), as_count(n_samples, "n", minimum=2)
    if os.path.exists(as_path(out, "out")) and not os.path.isdir(out):
        raise ValueError(f"--out must be a folder, new or there already, got the file {os.fspath(out)!r}")
    os.makedirs(out, exist_ok=True)
    identities = _show_theorem(say)
    fitted, comparison = _fit_old_faithful(rng, steps, say, progress)
    samples, distances, n_diverged = _sample(fitted, n_samples, rng, say, progress)
    demo = Demo(identities, fitted, comparison, samples, distances, n_diverged)
    paths = {name: os.path.join(out, name) for name in ("demo.png", "model.npz", "samples.csv")}
    save_figure(demo_figure(demo), paths["demo.png"])
    model, standardisation, info = fitted.stored
    save(paths["model.npz"], model, standardisation=standardisation, info=info)
    datasets.write_csv(paths["samples.csv"], samples, digits=6)
    say("\n4. Written")
    for path, content in zip(paths.values(), ("the picture", "the fitted model", f"{n_samples} samples")):
        say(f"   {path}  ({content})")
    return demo


def _show_theorem(say: Any) -> list[Identity]:
    rows = theorem_identities(gaussian_example(), example_networks(6), order=160)
    say("1. The theorem on a Gaussian, by quadrature: J_ISM = J_ESM + C with C = -1/2 E|grad log p|^2")
    say(f"   C = {rows[0].constant:.12f}")
    say(f"   {'network':>8} {'J_ESM':>18} {'J_ISM':>18} {'J_ISM - J_ESM':>18} {'gap to C':>10}")
    for number, row in enumerate(rows, start=1):
        difference = row.ism - row.esm
        say(f"   {number:>8} {row.esm:>18.12f} {row.ism:>18.12f} {difference:>18.12f} {row.gap:>10.1e}")
    return rows


def _fit_old_faithful(
    rng: np.random.Generator, steps: int, say: Any, progress: Any
) -> tuple[FittedTable, Comparison]:
    table = datasets.old_faithful()
    say(f"\n2. Old Faithful: {len(table.values)} eruptions, {' and '.join(table.columns)} in minutes")
    fitted = fit_table(
        table,
        hidden=(32, 32),
        jitter=JITTER,
        validation=0.25,
        rng=rng,
        steps=steps,
        learning_rate=1e-3,
        progress=progress,
    )
    if fitted.run.stopped == "interrupted":  # what fit keeps of an interrupted run is not what is to be shown
        raise KeyboardInterrupt
    comparison = compare(fitted, rng=rng)
    say(f"   {fitted.run.model}, exact ISM, {steps} steps; kept: step {fitted.run.best_step}")
    say(f"   held-out ISM on {len(fitted.validation)} rows (lower is better):")
    say(f"     network        {comparison.model:9.3f}")
    say(f"     best Gaussian  {comparison.gaussian:9.3f}   (closed form)")
    say(
        f"     difference     {comparison.difference:9.3f} +- {comparison.standard_error:.3f} (standard error)"
    )
    return fitted, comparison


def _sample(
    fitted: FittedTable, n: int, rng: np.random.Generator, say: Any, progress: Any
) -> tuple[datasets.Table, dict[str, float], int]:
    """Samples in minutes, and how far they, the Gaussian's and the training rows are from the held-out rows."""
    samples, run = sample_table(fitted.stored, n, rng=rng, progress=progress)
    standardisation = fitted.stored.standardisation
    covariance = -np.linalg.inv(fitted.gaussian.A)  # of the jittered training rows; their mean is 0
    baseline = rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=n)
    held_out = fitted.validation
    distances = {
        "Langevin samples": energy_distance(standardisation.forward(samples.values), held_out, unbiased=True),
        "best Gaussian": energy_distance(baseline, held_out, unbiased=True),
        "training rows": energy_distance(fitted.train, held_out, unbiased=True),
    }
    say(f"\n3. {n} Langevin chains, {run.n_steps} steps each; {run.n_diverged} diverged")
    say("   energy distance to the held-out rows, unbiased (standard units; 0 +- chance is the same law):")
    for name, distance in distances.items():
        say(f"     {name:<17}{distance:8.4f}")
    return samples, distances, run.n_diverged


def demo_figure(demo: Demo) -> Any:
    """The demonstration in five panels: identity, data with score field, samples, training, distances."""
    fitted, table = demo.fitted, datasets.old_faithful()
    standardisation = fitted.stored.standardisation
    columns = [f"{name} (min)" for name in table.columns]

    def score(x: Array) -> Array:
        return standardisation.score_to_data_units(fitted.run.model.score(standardisation.forward(x)))

    figure = new_figure(12.5, 7.6)
    figure.suptitle("npscore: implicit score matching on Old Faithful, gradients by hand, NumPy only")
    grid = figure.add_gridspec(2, 3)
    data, samples = table.values, demo.samples.values
    low, high = data.min(axis=0), data.max(axis=0)
    limits = np.stack([low - 0.12 * (high - low), high + 0.12 * (high - low)], axis=1)

    axes = figure.add_subplot(grid[0, 0])
    draw_score_field(axes, score, tuple(limits[0]), tuple(limits[1]))
    axes.plot(*data.T, ".", color=DATA, ms=4, alpha=0.8)
    axes.set(title="1. Data and learned score: arrows point uphill", xlabel=columns[0], ylabel=columns[1])

    axes = figure.add_subplot(grid[0, 1])
    axes.plot(*samples.T, ".", color=MODEL, ms=2.5, alpha=0.35, label="Langevin samples")
    axes.plot(*data.T, ".", color=DATA, ms=4, alpha=0.8, label="data")
    axes.set(title="2. Samples fall where the data is", xlabel=columns[0], ylabel=columns[1])
    axes.set(xlim=limits[0], ylim=limits[1])
    axes.legend(fontsize=7, loc="upper left")

    axes = figure.add_subplot(grid[0, 2])
    draw_distances(axes, demo.distances)
    axes.set_title("3. Closer than the best Gaussian")

    axes = figure.add_subplot(grid[1, :2])
    draw_training(axes, fitted.run.history, gaussian=demo.comparison.gaussian, best_step=fitted.run.best_step)
    axes.set_title("4. Held-out ISM falls below the best Gaussian's; the best model is kept")

    axes = figure.add_subplot(grid[1, 2])
    draw_identity(
        axes,
        [row.esm for row in demo.identities],
        [row.ism for row in demo.identities],
        demo.identities[0].constant,
    )
    axes.set_title("5. Why it works: ISM = ESM + C")
    return figure
