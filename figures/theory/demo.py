"""Old Faithful from data to samples: the picture that ``npscore demo`` writes, and its numbers."""

from __future__ import annotations

import tempfile

from figures.common import options, write
from npscore.cli.demo import demo_figure, run_demo


def main() -> None:
    arguments = options(__doc__)
    steps, n_samples = (200, 200) if arguments.quick else (3000, 2000)
    with tempfile.TemporaryDirectory() as folder:
        demo = run_demo(folder, steps=steps, n_samples=n_samples, say=lambda line: None)
    numbers = {
        "claim": "the samples are as close to held-out rows as the training rows are",
        "theorem": [{"esm": row.esm, "ism": row.ism, "gap": row.gap} for row in demo.identities],
        "constant": demo.identities[0].constant,
        "held_out_ism": demo.comparison._asdict(),
        "energy_distance": demo.distances,
        "n_diverged": demo.n_diverged,
    }
    write(demo_figure(demo), numbers, arguments.out, "demo")


if __name__ == "__main__":
    main()
