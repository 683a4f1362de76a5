"""Earthquakes near Fiji: a score fitted to longitude and latitude by ISM, and Langevin samples of it."""

from __future__ import annotations

import numpy as np

import npscore as ns
from figures.common import options, write
from npscore.density import compare, fit_table, sample_table
from npscore.diagnostics import energy_distance
from npscore.plots import DATA, MODEL, draw_distances, draw_score_field, new_figure


def main() -> None:
    arguments = options(__doc__)
    steps, n, hidden = (60, 100, 16) if arguments.quick else (2500, 1000, 48)
    table = ns.datasets.fiji_quakes().select(("long", "lat"))
    fitted = fit_table(
        table,
        hidden=(hidden, hidden),
        jitter=0.08,
        validation=0.25,
        rng=0,
        steps=steps,
        batch_size=256,
        learning_rate=2e-3,
    )
    comparison = compare(fitted, rng=1)
    samples, run = sample_table(fitted.stored, n, rng=2, n_steps=50 if arguments.quick else None)
    units = fitted.stored.standardisation
    covariance = -np.linalg.inv(fitted.gaussian.A)
    baseline = np.random.default_rng(3).multivariate_normal([0.0, 0.0], covariance, size=n)
    held_out = fitted.validation
    distances = {
        "Langevin": energy_distance(units.forward(samples.values), held_out, unbiased=True),
        "Gaussian": energy_distance(baseline, held_out, unbiased=True),
        "training": energy_distance(fitted.train, held_out, unbiased=True),
    }

    def score(x: np.ndarray) -> np.ndarray:
        return units.score_to_data_units(fitted.run.model.score(units.forward(x)))

    figure = new_figure(11, 4.1)
    data, drawn, bars = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 0.8]})
    limits = ((164.5, 189.5), (-40.0, -9.0))
    draw_score_field(data, score, *limits, arrows=20)
    data.plot(*table.values.T, ".", color=DATA, ms=3, alpha=0.6)
    drawn.plot(*samples.values.T, ".", color=MODEL, ms=3, alpha=0.6)
    for axes in (data, drawn):
        axes.set(xlim=limits[0], ylim=limits[1], xlabel="longitude (°E)", ylabel="latitude (°)")
    data.set_title("The quakes and the learned score")
    drawn.set_title(f"{len(samples.values):,} samples: the same arcs")
    draw_distances(bars, distances)
    bars.set_xlabel("energy distance to held-out quakes\n(unbiased; 0 ± chance: the same law)", fontsize=9)
    bars.set_title("Closer than the best Gaussian")
    numbers = {
        "claim": f"energy distance to held-out quakes: samples {distances['Langevin']:.4f}, "
        f"best Gaussian {distances['Gaussian']:.4f}",
        "held_out_ism": {name: float(value) for name, value in comparison._asdict().items()},
        "energy_distance": distances,
        "step_kept": int(fitted.run.best_step),
        "n_diverged": int(run.n_diverged),
    }
    write(figure, numbers, arguments.out, "fiji")


if __name__ == "__main__":
    main()
