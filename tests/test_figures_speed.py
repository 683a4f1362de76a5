"""The committed speed numbers hang together: peers agreed before they were timed, claims follow from the times.

No test here asserts a time: those belong to the machine in the file. What a file says of itself must be true.
"""

import numpy as np
import pytest
from test_figures import numbers

EXACT = ("PyTorch, d backward passes", "PyTorch, torch.func", "JAX, jacfwd")
TOLERANCE = {"float32": 1e-3, "float64": 1e-10}
SIZES = {  # those of the figure: d, hidden widths, batch
    "2-64x64-128",
    "2-128x128-1024",
    "16-256x256-1024",
    "64-256-1024",
    "64-256x256-1024",
    "784-512x512-1024",
    "16-128x128x128-512",
    "32-128x128x128x128-256",
}


def rows(shown):
    """(size, "float32 tanh", its contenders) of a trace_speed file."""
    return [(size, kind, row) for size, kinds in shown["seconds"].items() for kind, row in kinds.items()]


def test_every_peer_was_checked_before_it_was_timed():
    shown = numbers("trace_speed")
    assert shown["seconds"].keys() == SIZES
    for size, kind, row in rows(shown):
        left_out = shown["left_out"].get(size, []) if kind.endswith("isru") else []
        assert set(EXACT) - row.keys() == set(left_out)
        for name, entry in row.items():
            ours = "npscore" in name or name == "BLAS"
            assert ours or 0 <= entry["disagreement"] <= TOLERANCE[kind.split()[0]]
            low, high = entry["quartiles"]
            assert 0 < low <= entry["median"] <= high and entry["repeats"] >= 1


def test_ratios_are_the_quotients_of_the_medians():
    shown = numbers("trace_speed")
    for size, kind, row in rows(shown):
        ours, ratio = row["npscore, exact"]["median"], shown["ratios"][size][kind]
        exact = min(row[name]["median"] for name in EXACT if name in row)
        sliced = min(entry["median"] for name, entry in row.items() if name.startswith("PyTorch, sliced"))
        assert ratio["fastest exact peer / npscore"] == pytest.approx(exact / ours, rel=1e-12)
        assert ratio["npscore / PyTorch sliced"] == pytest.approx(ours / sliced, rel=1e-12)
        if len(size.split("-")[1].split("x")) <= 2:
            floor = row["BLAS"]["median"]
            assert ratio["npscore / its BLAS products"] == pytest.approx(ours / floor, rel=1e-12)


def test_each_claim_says_what_its_number_says():
    made = numbers("trace_speed")["claims"] | numbers("fit_speed")["claims"]
    assert {name[0] for name in made} == set("123456")
    for claim in made.values():
        if "at_least" in claim:
            assert claim["held"] is (claim["number"] >= claim["at_least"])
        else:
            assert claim["held"] is (claim["number"] <= claim["at_most"])


def test_the_claims_numbers_are_the_worst_cases():
    shown = numbers("trace_speed")
    ratio, made = shown["ratios"], shown["claims"]
    faster = "fastest exact peer / npscore"
    at_64 = [row[faster] for size in ("64-256-1024", "64-256x256-1024") for row in ratio[size].values()]
    assert made["1a"]["number"] == min(at_64) and len(at_64) == 8
    assert made["1b"]["number"] == min(row[faster] for row in ratio["784-512x512-1024"].values())
    wide = ("16-256x256-1024", "64-256-1024", "64-256x256-1024", "784-512x512-1024")
    floors = [row["npscore / its BLAS products"] for size in wide for row in ratio[size].values()]
    assert made["4"]["number"] == max(floors)
    small = ratio["2-64x64-128"]
    assert made["6b"]["number"] == min(small[f"float32 {act}"][faster] for act in ("tanh", "isru"))
    assert made["6a"]["number"] == min(small[f"float64 {act}"][faster] for act in ("tanh", "isru"))


def test_energies_were_checked_and_their_ratios_are_those_of_the_least_times():
    shown = numbers("energy_speed")
    assert len(shown["seconds"]) == 6 and shown["machine"]["threads"]["torch"] == 1
    for size, kind, row in rows(shown):
        assert {"npscore, exact", *EXACT} <= row.keys()
        for name, entry in row.items():
            assert "npscore" in name or 0 <= entry["disagreement"] <= TOLERANCE[kind.split()[0]]
            low, high = entry["quartiles"]
            assert 0 < entry["least"] <= low <= entry["median"] <= high
        exact = min(row[name]["least"] for name in EXACT)
        ratio = shown["ratios"][size][kind]["fastest exact peer / npscore"]
        assert ratio == pytest.approx(exact / row["npscore, exact"]["least"], rel=1e-12)
    for claim, hidden in (("1", 1), ("2", 2)):
        sizes = [size for size in shown["seconds"] if len(size.split("-")[1].split("x")) == hidden]
        worst = min(
            row["fastest exact peer / npscore"] for size in sizes for row in shown["ratios"][size].values()
        )
        made = shown["claims"][claim]
        assert len(sizes) == 3 and made["number"] == worst and made["held"] is (worst >= made["at_least"])


def test_all_fits_end_at_the_same_loss():
    shown = numbers("fit_speed")
    for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-10)):
        found = shown["seconds"][dtype]
        assert len(found) == 4  # ours, PyTorch, and JAX in two forms
        losses = np.array([row["final_loss"] for row in found.values()])
        assert np.ptp(losses) <= 2 * tolerance * np.abs(losses).max() and losses.max() < -1


def test_memory_is_bounded_and_grows_as_counted():
    shown = numbers("growth")
    for axis in ("d", "width", "depth", "batch"):
        for name, line in shown[axis].items():
            if name == "values":
                continue
            found = line["bytes"]
            ratio = np.array(found["measured"]) / (np.array(found["counted"]) * found["factor"])
            assert ratio.min() > 1 / 3 and ratio.max() < 3, (axis, name, ratio)
            assert max(found["measured"]) < 256 * 2**20 + 2**20
    for memory in numbers("trace_speed")["memory"].values():
        assert memory["peak_bytes"] - memory["parameter_bytes"] - memory["data_bytes"] <= 256 * 2**20
