"""The committed benchmark of Langevin: peers took the same steps, samplers have the law, claims fit the numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

SHOWN = json.loads(
    Path(__file__).parents[2].joinpath("figures/speed/langevin_speed.json").read_text(encoding="utf-8")
)
PEERS = {"PyTorch, eager", "JAX, jitted scan"}


def test_every_peer_was_there_and_took_npscores_steps():
    assert len(SHOWN["cases"]) == 14  # Gaussian and mixture in three dimensions, an MLP, in two precisions
    for name, row in SHOWN["cases"].items():
        assert row["largest_difference"].keys() == PEERS and row["seconds"].keys() > PEERS
        assert max(row["largest_difference"].values()) < (1e-10 if "float64" in name else 1e-3)


def test_every_sampler_had_the_exact_law_with_its_own_noise():
    for off in SHOWN["standard_errors_off_the_exact_law"].values():
        assert len(off) == 5 and max(off.values()) < 5


def test_ratios_and_claims_are_those_of_the_medians():
    for name, row in SHOWN["cases"].items():
        rate = {who: row["chain_steps"] / seconds["median"] for who, seconds in row["seconds"].items()}
        ours = max(rate[f"npscore, {how}"] for how in ("one core", "threads", "processes"))
        for peer in PEERS:
            assert SHOWN["ratios"][name][peer] == pytest.approx(ours / rate[peer])
    for claim, row in SHOWN["claims"].items():
        peer = next(peer for peer in PEERS if peer.split(",")[0] in claim)
        cases = [
            shown[peer] for name, shown in SHOWN["ratios"].items() if ("MLP" in name) == ("MLP" in claim)
        ]
        assert row["smallest_ratio"] == min(cases)
        assert row["held"] == (min(cases) >= (1 / 1.5 if "1.5" in claim else 1))
        assert f"{row['smallest_ratio']:.2f}" in SHOWN["claim"]


def test_memory_grows_as_predicted_and_time_in_proportion():
    growth = SHOWN["growth"]
    assert growth["measured_bytes_per_chain"] == pytest.approx(growth["predicted_bytes_per_chain"], rel=0.02)
    chains, seconds = np.log(growth["chains"]), np.log(growth["seconds"])
    assert growth["slope_of_time"] == pytest.approx(np.polyfit(chains[-3:], seconds[-3:], 1)[0])
    assert growth["slope_of_time"] == pytest.approx(1, abs=0.15)
