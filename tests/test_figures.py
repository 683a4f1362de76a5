"""Every figure runs, is committed with its numbers, is shown with a sentence, and its numbers bear out its claim."""

import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "figures"
SCRIPTS = {path.stem: path.parent for path in sorted(FIGURES.glob("*/*.py")) if path.stem[0] != "_"}
NAMES = list(SCRIPTS)


@lru_cache
def numbers(name):
    """What the committed picture shows."""
    return json.loads((SCRIPTS[name] / f"{name}.json").read_text(encoding="utf-8"))


# ---- they run ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    """All scripts by the one command, small, our warnings being errors: (folder, what was printed)."""
    out = tmp_path_factory.mktemp("figures")
    ours = ["-W", "error::RuntimeWarning"]  # an old Matplotlib has warnings of its own
    command = [sys.executable, *ours, str(FIGURES / "all.py"), "--quick", "--out", str(out)]
    environment = {
        **os.environ,
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
    }
    run = subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    return out, run.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_script_writes_its_picture_and_numbers(name, quick_run):
    out, said = quick_run
    assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    small = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    assert f"{name}: {small['claim']}" in said
    assert small.keys() == numbers(name).keys()  # the committed numbers come from this script


def test_one_that_fails_is_named_and_the_others_still_run(tmp_path):
    (tmp_path / "figures" / "theory").mkdir(parents=True)
    tmp_path = tmp_path / "figures"
    (tmp_path / "all.py").write_bytes((FIGURES / "all.py").read_bytes())
    (tmp_path / "theory" / "first.py").write_text("raise RuntimeError('planted')")
    (tmp_path / "theory" / "second.py").write_text("print('second ran')")
    command = [sys.executable, str(tmp_path / "all.py")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert "failed: first.py" in run.stderr and "planted" in run.stderr
    assert "second ran" in run.stdout


# ---- they are there, small, and shown --------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_committed_small_and_shown_with_a_sentence(name):
    size = (SCRIPTS[name] / f"{name}.png").stat().st_size
    assert size < 200_000, f"{size} bytes"
    assert numbers(name)["claim"]
    picture = SCRIPTS[name] / f"{name}.png"
    texts = [*ROOT.glob("*.md"), *ROOT.glob("derivations/*.md"), *ROOT.glob("docs/*.md")]
    assert any(picture in pictures_shown(text) for text in texts), (
        f"no text shows {name}.png and says what to see"
    )


def pictures_shown(text):
    """The pictures that a Markdown file shows with a description and, below it, what there is to see."""
    shown = r"^!\[[^\]]{20,}\]\(([^)]+\.png)\)\n\n\*What to see: [^*]{60,}\*$"
    links = re.findall(shown, text.read_text(encoding="utf-8"), re.MULTILINE)
    return [(text.parent / link).resolve() for link in links]


def test_a_picture_without_its_sentence_is_not_shown(tmp_path):
    text, sentence = tmp_path / "text.md", "*What to see: " + 60 * "x" + "*"
    picture = "![a description of the picture](a.png)\n\n"
    text.write_text(picture + sentence + "\n\n" + picture.replace("a.png", "b.png") + "No sentence.\n")
    assert pictures_shown(text) == [(tmp_path / "a.png").resolve()]


def test_no_picture_is_without_its_script():
    made = {path.stem for path in FIGURES.rglob("*") if path.suffix in (".png", ".json")}
    assert made == set(NAMES)


# ---- the committed numbers bear out the claims -------------------------------------------------------------


def test_the_theorem_is_a_line_of_slope_one():
    shown = numbers("theorem")
    densities = [row for row in shown.values() if isinstance(row, dict)]
    assert len(densities) == 3
    for row in densities:
        explicit, implicit = np.array(row["esm"]), np.array(row["ism"])
        assert len(explicit) == shown["networks"] >= 20 and np.ptp(explicit) > 5
        assert np.abs(np.polyfit(explicit, implicit, 1) - [1, row["constant"]]).max() < 1e-10  # eq-2.3
        assert row["slope"] == pytest.approx(1, abs=1e-10)
        assert row["largest_gap"] < 1e-10 and row["largest_gradient_gap"] < 1e-9
        unhalved = 2 * explicit  # eq-2.6: without the half the slope is not one
        assert abs(np.polyfit(unhalved, implicit, 1)[0] - 1) > 0.4


def test_broken_assumptions_move_the_gap_by_the_boundary_term():
    shown = numbers("assumptions")
    theta = np.array(shown["theta"])
    cases = {name: row for name, row in shown.items() if isinstance(row, dict)}
    assert len(cases) == 4
    for name, row in cases.items():
        assert row["largest_error"] < 1e-12
        assert row["spread"] < 1e-12 if "kink" in name else row["spread"] > 0.9
    uniform = cases["uniform"]  # eq-2.9, once more: (s(3) - s(-1))/4 with s = -2 tanh(x - θ), and C = 0
    expected = -0.5 * (np.tanh(3 - theta) - np.tanh(-1 - theta))
    assert np.abs(uniform["ism_minus_esm"] - expected).max() < 1e-12


def test_the_score_of_a_mixture_is_learned():
    shown = numbers("mixture_score")
    assert shown["relative_loss_network"] < 0.02 < 0.5 < shown["relative_loss_gaussian"]


def test_a_free_field_circulates_and_an_energy_does_not():
    shown = numbers("energy_field")
    free, bound = shown["MLP, two outputs"], shown["EnergyMLP"]
    assert np.abs(bound["circulation"]).max() < 1e-12 < 0.1 < np.abs(free["circulation"]).max()  # eq-15.14
    assert bound["largest_curl"] < 1e-13 < 1 < free["largest_curl"]
    gap = np.array(free["circulation"]) - free["flux_of_curl"]  # eq-15.15
    assert np.abs(gap).max() < 1e-4
    assert free["relative_loss"] < 0.04 and bound["relative_loss"] < 0.04  # both are fits


def test_ascent_loses_the_spread_and_langevin_keeps_it():
    shown = numbers("ascent_and_langevin")
    assert shown["ascent_converged"] == shown["chains"]
    assert len(shown["ascent_end_points"]) == 2
    distance = shown["energy_distance"]
    assert distance["langevin"] < 0.005 < 0.2 < distance["ascent"]
    truth = np.array(shown["cov_truth"])
    assert np.abs(shown["cov_langevin"] - truth).max() < 0.1 * truth.max()
    assert shown["cov_ascent"][1][1] < 0.5 * truth[1, 1]


def test_langevin_is_biased_as_the_exact_curve_says():
    shown = numbers("langevin_bias")
    alpha, variances = np.array(shown["alpha"])[:, None], np.array(shown["variances"])
    exact = variances / (1 - alpha / (2 * variances))  # eq-1.6
    assert np.abs(exact / np.array(shown["exact"]) - 1).max() < 1e-12
    z = (np.array(shown["measured"]) / exact - 1) / np.sqrt(2 / shown["chains"])
    assert np.abs(z).max() < 4 and (z**2).mean() < 1.8
    first_order = variances + alpha / 2
    assert np.abs((shown["measured"] / first_order - 1) / np.sqrt(2 / shown["chains"])).max() > 10
    assert shown["largest_z_if_unbiased"] > 100


def test_every_wrong_ratio_has_a_covariance_of_its_own():
    shown = numbers("which_bug")
    a, n = np.array(shown["alpha"]), shown["chains"]
    precisions = {
        "none": 1 + 0 * a,
        "always accepts (Langevin)": 1 - a / 2,
        "whole ratio inverted": 1 - a,
        "twice drift and variance in q": 1 + a / 2,
        "no q terms": 2 - a / 2,
        "q ratio inverted": 3 - a,
        "score's sign flipped in q": 3 + 0 * a,
    }
    assert shown["measured"].keys() == precisions.keys()
    z = {
        name: (shown["measured"][name] * p - 1) / np.sqrt(2 / n) for name, p in precisions.items()
    }  # eq-16.9
    assert np.abs(list(z.values())).max() < 4 and (np.array(list(z.values())) ** 2).mean() < 1.6
    for name, measured in shown["measured"].items():  # and none lies on another's curve
        others = [(measured * p - 1) / np.sqrt(2 / n) for other, p in precisions.items() if other != name]
        assert np.abs(others).max(axis=1).min() > 5


def test_probe_variances_are_the_closed_forms_over_m():
    shown = numbers("probe_variance")
    for name in ("SSM-VR (Hutchinson's trace)", "SSM"):
        laws = shown[name]
        for law in laws.values():  # eq-7.5, eq-7.6, eq-7.7
            assert np.abs(law["z_of_variance"]).max() < 4 and np.abs(law["z_of_mean"]).max() < 4
            ratio = np.array(law["measured"]) * shown["probes"] / law["closed_form_one_probe"]
            assert np.abs(ratio - 1).max() < 0.1
        one = {law: row["closed_form_one_probe"] for law, row in laws.items()}
        assert one["rademacher"] < one["spherical"] < one["gaussian"]
    left = shown["SSM-VR (Hutchinson's trace)"]
    ratio = left["gaussian"]["closed_form_one_probe"] / left["rademacher"]["closed_form_one_probe"]
    assert 17 < ratio < 19  # "eighteen", says the caption


def test_denoising_trades_bias_for_variance():
    shown = numbers("dsm_sigma")
    sigma, bias, variance = (np.array(shown[key]) for key in ("sigma", "bias", "variance"))
    assert np.abs(bias - sigma**2 / (1 + sigma**2)).max() < 1e-12  # 1/S - 1/(S + σ²) with S = 1
    assert np.all(np.diff(bias) > 0) and np.all(np.diff(variance) < 0)
    assert np.abs(shown["z_of_mean"]).max() < 4 and np.abs(shown["z_of_variance"]).max() < 4
    assert np.abs(np.array(shown["measured_mse"]) / (bias**2 + variance) - 1).max() < 0.05
    assert shown["largest_gradient_at_minimum"] < 1e-11
    assert sigma[0] < shown["best_sigma"] < sigma[-1]
    assert shown["ism_mse"] < shown["best_mse"]


def test_shares_of_separate_modes_are_learned_by_a_diffusion_and_not_by_langevin():
    shown = numbers("separate_modes")
    off = {
        name: np.abs(np.array(found) - shown["true_shares"]).max() for name, found in shown["shares"].items()
    }
    langevin, annealed, heun = off.values()
    assert langevin > 0.2 and annealed < 0.03 and heun < 0.03
    start = np.array(shown["shares_of_the_start"])
    assert np.abs(start - 1 / 3).max() < 0.02 and off["Langevin, exact score of the data"] == langevin
    distance = list(shown["energy_distance"].values())
    assert max(distance[1:]) < 0.02 < 0.5 < distance[0]


def test_the_bound_s_gap_is_in_the_last_steps_and_the_samplers_hardly_see_it():
    shown = numbers("bound_gap")
    bounds, likelihoods = (
        list(shown[key].values()) for key in ("bound_above_entropy", "likelihood_above_entropy")
    )
    assert shown["entropy"] == pytest.approx(
        0.5 * np.log(2 * np.pi * np.e * np.array(shown["variances"])).sum()
    )
    assert bounds == pytest.approx([0.00194537, 0.34295919, 1.39138162, 1.73239544], rel=1e-5)
    assert [bounds[1] - bounds[0], bounds[3] - bounds[2]] == pytest.approx([0.3410, 0.3410], abs=5e-5)
    assert 0 < max(likelihoods) < 1e-4 and likelihoods[0] < 5e-6 < 8e-5 < likelihoods[2]
    posterior = np.array(list(shown["last_steps"].values())[2])
    assert (posterior[1:5] > 0.07).all() and posterior[:5].sum() > 1.0 and posterior[5] < 1e-7


def test_the_final_variance_of_samplers_is_the_law_s():
    shown = numbers("final_variance")
    at_18 = {name: curve[shown["steps"].index(18)] - 1 for name, curve in shown["exact"].items()}
    assert list(at_18.values()) == pytest.approx([0.82, -0.43, 0.34, -0.26, 0.09], abs=5e-3)
    angles = [np.arctan([*levels_of_edm(k), 0.0]) for k in shown["steps"]]  # eq-14.19, with λ = 1
    kept = [np.prod(np.cos(np.diff(angle)) ** 2) for angle in angles]
    assert np.abs(np.array(shown["exact"]["Euler = DDIM"]) / kept - 1).max() < 1e-10
    z = np.concatenate([row["z"] for row in shown["measured"].values()])
    assert np.abs(z).max() < 4 and (z**2).mean() < 2
    assert shown["kept_by_8_equal_angles"] == pytest.approx(np.cos(np.pi / 16) ** 16)
    unbiased = [
        np.abs(np.array(row["variance"])[:4] - 1).min()
        for name, row in shown["measured"].items()
        if name != "Heun"
    ]
    assert min(unbiased) > 10 * np.sqrt(2 / shown["chains"])  # no error at all is rejected


def levels_of_edm(n):
    """EDM's noise levels, written once more."""
    return np.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), n) ** 7


def test_flow_lines_keep_the_probability_below_them():
    shown = numbers("flow_lines")
    assert shown["largest_change_of_a_share"] < 1e-4
    apart = np.abs(np.array(shown["ends_of_the_lines"]) - shown["quantiles_of_the_data"])
    assert np.median(apart) < 1e-4 and apart.max() < 1e-2  # the largest where there is hardly any probability
    assert (np.diff(shown["ends_of_the_lines"]) > 0).all()
    assert shown["kolmogorov_distance_of_the_chains"] < 1.63 / np.sqrt(shown["chains"])  # the 1 % point


def test_wrong_samplers_have_the_wrong_laws_that_are_known():
    shown = numbers("wrong_samplers")
    rows, ratio = shown["samplers"], shown["start_over_end"]
    limits = [1, 2 - 1 / ratio, 1 + np.log(ratio), 0.5 + 0.5 / ratio**2, 1 / ratio]  # eq-14.22
    assert [row["small_steps"] for row in rows.values()] == pytest.approx(limits)
    exact = np.array([row["exact"] for row in rows.values()])
    assert np.abs(exact / limits - 1).max() < 0.05
    z = (np.array([row["measured"] for row in rows.values()]) / exact - 1) / np.sqrt(2 / shown["chains"])
    assert np.abs(z).max() < 4 and z == pytest.approx(shown["z"])
    assert np.abs((exact[1:] - 1) / np.sqrt(2 / shown["chains"])).min() > 50  # none passes for the right one


def test_rounded_data_have_no_floor_without_noise():
    shown = numbers("rounded_data")
    none, quarter, enough = (shown[key] for key in ("no jitter", "jitter 0.25 steps", "jitter 0.75 steps"))
    assert none["loss_at_end"] < 3 * none["loss_at_quarter"] < -10_000
    assert -50 < quarter["loss_at_end"] < enough["loss_at_end"] < 0
    assert none["largest_score"] > 10 * quarter["largest_score"] > 10 * enough["largest_score"]


def test_activations_keep_their_digits_where_the_textbook_has_none():
    rows = [row for row in numbers("activation_tails").values() if isinstance(row, dict)]
    assert len(rows) == 4
    for row in rows:
        assert row["largest_error_npscore"] < 1e-15 and row["largest_error_textbook"] == pytest.approx(1)


@pytest.mark.parametrize(("name", "samples"), [("demo", "Langevin samples"), ("fiji", "Langevin")])
def test_samples_of_real_data_beat_the_best_gaussian(name, samples):
    shown = numbers(name)
    (gaussian,) = (value for key, value in shown["energy_distance"].items() if "Gaussian" in key)
    assert shown["n_diverged"] == 0
    assert shown["energy_distance"][samples] < 0.2 * gaussian
    held_out = shown["held_out_ism"]
    assert held_out["difference"] < -4 * held_out["standard_error"] < 0


def test_the_complex_step_has_the_digits_that_differences_lack():
    shown = numbers("gradient_check")
    steps = np.array(shown["log10_step"])
    assert shown["hand_derived"] < 1e-15
    assert max(shown["complex step"]["error"][k] for k in np.flatnonzero(steps <= -9)) < 1e-15  # eq-9.1
    central = shown["central difference"]
    assert 1e-12 < central["best"] < 1e-9 and 1e-7 < central["at_step"] < 1e-4
    assert 1e-10 < shown["forward difference"]["best"] < 1e-6
    early = (steps >= -4) & (steps <= -2)
    assert np.polyfit(steps[early], np.log10(np.array(central["error"])[early]), 1)[0] == pytest.approx(
        2, abs=0.02
    )


def test_shards_on_two_processes_and_on_paper_for_a_thousand():
    shown = numbers("sharded_scaling")
    speedup = [row["speedup"] for row in shown["measured"]]
    assert 1.8 < speedup[-1] < 2.1 and speedup[0] < speedup[-1]
    for row in shown["measured"]:
        assert row["speedup"] == pytest.approx(row["processor"][0] / row["processor"][1])
    p, c_p = shown["parameters"], shown["flops_per_row"]
    assert p == 16 * 256 + 256 + 256 * 256 + 256 + 256 * 16 + 16 and c_p == 12 * 256**2 + 10 * 16 * 256
    workers, rate, cost = (
        np.array(shown["paper"]["workers"]),
        shown["flops_per_second_one_core"],
        16 * p / 1.25e9 + 5e-3,
    )
    for n, gain in shown["paper"]["speedup"].items():
        alone = c_p * float(n) / rate
        np.testing.assert_allclose(gain, alone / (alone / workers + workers * cost), rtol=1e-12)
        best = shown["paper"]["best_workers"][n]
        assert (
            best == pytest.approx(np.sqrt(alone / cost)) == pytest.approx(workers[np.argmax(gain)], rel=0.07)
        )
    assert 4e-3 < shown["seconds_per_job"]["Dask"] < 5e-3  # 5 ms, says the title
    at = shown["paper"]["at_1000"]["1e+09"]
    assert [round(seconds) for seconds in at.values()] == [27, 1, 5]
    assert shown["bytes_per_worker_and_step"] == 16 * p
