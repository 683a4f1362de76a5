"""The numbers in docs/ are those of the committed figures/*.json, to the digits that are written."""

import re
from pathlib import Path

import pytest
from test_figures import numbers

DOCS = Path(__file__).parent.parent / "docs"

PEERS = {
    "PyTorch, d backward passes": "PyTorch, d backward",
    "PyTorch, torch.func": "PyTorch, torch.func",
    "JAX, jacfwd": "JAX, jacfwd",
}


def page_of(name):
    """A page with its line breaks as spaces."""
    return " ".join((DOCS / name).read_text(encoding="utf-8").split())


def two_digits(value):
    """0.135 → 0.14, 13242.7 → 13,000: as the page writes a number."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def times_row(size, kind, row, of):
    """The line of the page for one size and type, from the measured medians, or the least times."""
    d, hidden, batch = size.split("-")
    times = {name: 1e3 * entry[of] for name, entry in row.items()}
    ours = times["npscore, exact"]
    exact = min(PEERS, key=times.get)
    sliced = min((name for name in times if ", sliced by" in name), key=times.get)
    cells = [
        f"{d} · {hidden.replace('x', '×')} · {batch}",
        kind,
        two_digits(ours),
        f"{two_digits(times[exact])} ({PEERS[exact]})",
        two_digits(times[exact] / ours),
        f"{two_digits(times[sliced])} ({sliced.split(',')[0]})",
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize(
    ("heading", "name", "of"),
    [("A training step", "trace_speed", "median"), ("Energies", "energy_speed", "least")],
)
def test_the_tables_of_times_are_the_measured_ones(heading, name, of):
    sections = (DOCS / "speed.md").read_text(encoding="utf-8").split("\n## ")
    (section,) = (text for text in sections if text.startswith(f"{heading}\n"))
    shown = numbers(name)["seconds"]
    rows = [times_row(s, t, shown[s][f"{t} tanh"], of) for s in shown for t in ("float32", "float64")]
    assert re.findall(r"^\| \d.*\|$", section, re.MULTILINE) == rows


def span(values):
    """The least and the largest, to two digits."""
    return f"{two_digits(min(values))} to {two_digits(max(values))}"


def test_what_an_energys_step_costs_beside_a_sliced_one_is_the_measured_number():
    ratios = numbers("energy_speed")["ratios"]

    def over(layers):
        rows = [
            row for size, kinds in ratios.items() if size.count("x") + 1 == layers for row in kinds.values()
        ]
        return span([row["npscore / JAX sliced"] for row in rows])

    said = f"takes {over(1)} times as long as JAX's sliced step, with two {over(2)} times."
    assert f"With one hidden layer an exact step {said}" in page_of("speed.md")


def test_what_is_slower_is_said_with_the_measured_numbers():
    page = page_of("speed.md")
    ratios = numbers("trace_speed")["ratios"]

    def over(name, keep):
        return [kind[name] for size, kinds in ratios.items() if keep(size) for kind in kinds.values()]

    def deep(size):
        return size.count("x") >= 2

    def shallow(size):
        return not deep(size)

    def at_most(values):
        return two_digits(max(values))

    dsm = [over("npscore / JAX DSM", keep) for keep in (shallow, deep)]
    assert f"{span(over('npscore / PyTorch sliced', deep))} times PyTorch's sliced step" in page
    assert f"by up to {at_most(over('npscore / JAX sliced', shallow))} and by {span(dsm[0])};" in page
    assert max(over("npscore / its own DSM", shallow)) < 2  # as fitting.md says of ISM
    slow = [over("npscore / JAX sliced", deep), dsm[1]]
    slow = [f"{min(v):.0f} to {max(v):.0f}" for v in slow]
    assert f"by {slow[0]} and by {slow[1]}." in page
    small = ratios["2-64x64-128"]
    lead = [small[f"float32 {phi}"]["fastest exact peer / npscore"] for phi in ("tanh", "isru")]
    assert f"is only {lead[0]:.1f} (tanh) and {lead[1]:.2f} (isru)" in page
    by_hand = small["float32 tanh"]["fastest exact peer / NumPy by hand"]
    assert f"is {by_hand:.1f} times as fast as JAX" in page
    one = [v["npscore / its BLAS products"] for v in ratios["64-256-1024"].values()]
    wide = over("npscore / its BLAS products", lambda size: "256x256" in size or "512x512" in size)
    assert f"takes {min(one):.1f} to {max(one):.1f} times its matrix products" in page
    assert f"it takes {min(wide):.1f} to {max(wide):.1f} times" in page


def test_a_whole_fit_and_langevin_are_said_with_the_measured_numbers():
    page = page_of("speed.md")
    shown = numbers("fit_speed")
    seconds = [row["npscore, fit"]["median"] for row in shown["seconds"].values()]
    assert f"{min(seconds):.1f} to {max(seconds):.1f} seconds" in page
    jax = [100 / row[name] for row in shown["ratios"].values() for name in row if "JAX" in name]
    assert f"{min(jax):.0f} to {max(jax):.0f} % of JAX's" in page
    torch = [1 / row["PyTorch, eager"] for row in shown["ratios"].values()]
    assert all(share == pytest.approx(1 / 3, abs=0.05) for share in torch)
    ratios = numbers("langevin_speed")["ratios"]
    exact = [row for name, row in ratios.items() if "MLP" not in name]
    assert len(exact) == 12 and all(min(r["PyTorch, eager"], r["JAX, jitted scan"]) > 1 for r in exact)
    network = [1 / row["JAX, jitted scan"] for name, row in ratios.items() if "MLP" in name]
    assert {f"{ratio:.1f}" for ratio in network} == {"1.5"} and "JAX steps the network 1.5 times" in page


def test_the_price_of_a_shard_is_the_measured_one():
    page = page_of("cores-and-shards.md")
    shown = numbers("sharded_scaling")
    seconds, paper = shown["seconds_per_job"], shown["paper"]
    assert f"p = {shown['parameters']:,}" in page
    assert round(shown["flops_per_row"] / shown["parameters"]) == 11 and "c = 11" in page
    assert round(shown["flops_per_second_one_core"] / 1e10) == 3 and "r = 3·10¹⁰" in page
    assert f"τ = {1e3 * seconds['process pool']:.1f} ms" in page and f"{1e3 * seconds['Dask']:.1f} ms" in page
    compute, send, hand_out = (round(s) for s in paper["at_1000"]["1e+09"].values())
    assert f"compute for {compute} s, send for {send} s and are handed their jobs in {hand_out} s" in page
    gain = paper["speedup"]["1e+09"][paper["workers"].index(1000)]
    assert f"{two_digits(gain)} times as fast" in page
    assert f"{two_digits(paper['best_workers']['1e+07'])} workers are best" in page
    assert f"sends {shown['bytes_per_worker_and_step'] / 1e6:.1f} MB" in page


def test_the_distances_of_the_quakes_are_the_committed_ones():
    distance = numbers("fiji")["energy_distance"]
    page = page_of("tables.md")
    assert f"distance {distance['Langevin']:.4f} from held-out" in page
    assert f"the best Gaussian's at {distance['Gaussian']:.3f}" in page


def test_the_shares_of_the_modes_are_the_committed_ones():
    shown, page = numbers("separate_modes"), page_of("diffusion.md")

    def off(name):
        return 100 * max(abs(a - b) for a, b in zip(shown["shares"][name], shown["true_shares"]))

    annealed, heun = off("Annealed Langevin, one network"), off("18 Heun steps, the same network")
    assert f"right to {annealed:.1f} % by annealed Langevin (third), and to {heun:.1f} % by 18 steps" in page
    assert max(abs(share - 1 / 3) for share in shown["shares_of_the_start"]) < 0.02


def test_the_errors_and_circulations_of_a_field_and_an_energy_are_the_committed_ones():
    shown, page = numbers("energy_field"), page_of("energies.md")
    field, energy = shown["MLP, two outputs"], shown["EnergyMLP"]
    errors = [f"{100 * fitted['relative_loss']:.1f} %" for fitted in (field, energy)]
    assert f"error of the field is {errors[0]} of the score's square, that of the energy {errors[1]}" in page
    assert f"the field gains up to {max(map(abs, field['circulation'])):.2f}," in page
    assert max(map(abs, energy["circulation"])) < 1e-13


def test_the_table_of_diffusion_is_the_measured_one():
    rows = []
    for kind, found in numbers("diffusion_speed")["seconds"].items():
        tasks = {f"training step, {size.replace('x', '×')}": row for size, row in found["steps"].items()}
        tasks |= {"fit of 4,000 steps": found["fit"], "10,000 samples, 18 Heun steps": found["samples"]}
        for task, row in tasks.items():
            least = {
                of: min(entry["median"] for name, entry in row.items() if of in name.lower())
                for of in ("npscore", "torch", "jax")
            }
            task = task.replace("-", " · ").replace(", batch ", " · ") if "training" in task else task
            ratios = [two_digits(least[of] / least["npscore"]) for of in ("torch", "jax")]
            rows.append(f"| {task} | {kind} | {' | '.join(ratios)} |")
    sections = (DOCS / "speed.md").read_text(encoding="utf-8").split("\n## ")
    (section,) = (text for text in sections if text.startswith("Diffusion\n"))
    assert re.findall(r"^\| .*float.*\|$", section, re.MULTILINE) == rows


def test_the_sentence_on_likelihoods_is_measured():
    found = [
        row
        for seconds in numbers("diffusion_speed")["seconds"].values()
        for row in seconds["likelihoods"].values()
    ]

    def ratios(part):
        values = [
            entry["median"] / row["npscore"]["median"]
            for row in found
            for name, entry in row.items()
            if part in name
        ]
        return two_digits(min(values)), two_digits(max(values))

    page = page_of("speed.md")
    assert "it is {} to {} times as fast as JAX's".format(*ratios("JAX, exact")) in page
    assert "and {} to {} times as fast as PyTorch's".format(*ratios("PyTorch, exact")) in page
    probe = [row["npscore"]["median"] / row["PyTorch, one probe"]["median"] for row in found]
    assert (
        f"takes {two_digits(min(probe))} to {two_digits(max(probe))} times as long as PyTorch's estimate"
        in page
    )
