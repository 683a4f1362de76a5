"""Sampling by a table on the one runner: the same bits in any grouping, the pure step, options, other forms."""

import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from support.diffusion_cases import curved_denoiser, forms_at

import npscore as ns
from npscore import diffusion
from npscore._run.borders import as_rng, draw_entropy
from npscore.diffusion import EDM, VE, VP, Cosine, DiffusionScore, Discrete, Flow, Fourier
from npscore.samplers.blocks import make_blocks

STEPS = Discrete(np.linspace(0.01, 0.3, 12))
TABLES = {
    "ancestral": diffusion.ancestral(STEPS, [12, 9, 4, 1, 0]),
    "ddim": diffusion.ddim(VP(), [0.9, 0.5, 0.2, 0.0]),
    "ddim 0.5": diffusion.ddim(VP(), [0.9, 0.5, 0.2, 0.0], 0.5),
    "reverse_sde": diffusion.reverse_sde(VP(), [0.4, 0.3, 0.2, 0.1, 0.0]),
    "heun": diffusion.heun(Flow(), [0.9, 0.5, 0.2, 0.0]),
    "edm": diffusion.edm(EDM(), [5.0, 2.0, 0.4, 0.0], churn=1.0, s_noise=1.1),
    "annealed_langevin": diffusion.annealed_langevin(VE(0.05, 4.0), [0.9, 0.5, 0.2], 1e-4, 2),
    "predictor_corrector": diffusion.predictor_corrector(VP(), [0.4, 0.3, 0.1, 0.0]),
}
DIMENSION, ROWS = 600, 300  # four blocks


def scores_of(schedule):
    return forms_at(curved_denoiser, schedule, "score")


class ScoreAt:
    """The same scores, as an object that pickles."""

    def __init__(self, schedule):
        self.schedule = schedule

    def __call__(self, t):
        return Score(self.schedule, t)


class Score:
    def __init__(self, schedule, t):
        self.schedule, self.t = schedule, t

    def __call__(self, x):
        return forms_at(curved_denoiser, self.schedule, "score")(self.t)(x)


def start(n=ROWS, d=DIMENSION, dtype=np.float64):
    return np.random.default_rng(1).standard_normal((n, d)).astype(dtype)


def written_out(table, x_T, rng):
    """The plain run: ``step`` row after row, block by block, with the noise of the block's stream."""
    rng, noisy, out = as_rng(rng), diffusion.tables.takes_noise(table), np.empty_like(x_T)
    for block in make_blocks(*x_T.shape, draw_entropy(rng), table.name == "predictor_corrector"):
        x = x_T[block.rows]
        for row in table:
            z = block.noise(x.dtype) if noisy else np.zeros_like(x)
            x = diffusion.step(scores_of(table.schedule), x, row, z).astype(x.dtype)
        out[block.rows] = x
    return out


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("dtype, error", [(np.float64, 1e-13), (np.float32, 2e-5), (np.longdouble, 1e-15)])
def test_a_run_is_the_step_in_a_loop(name, dtype, error):
    table, x_T = TABLES[name], start(dtype=dtype)
    got, want = diffusion.sample(scores_of(table.schedule), table, x_T, rng=5).x, written_out(table, x_T, 5)
    assert got.dtype == want.dtype == dtype
    assert np.abs(got - want).max() <= error * np.abs(want).max()
    if dtype == np.float64 and name != "predictor_corrector":
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", TABLES)
def test_the_same_bits_by_threads_and_executors(name):
    table, x_T = TABLES[name], start()
    score_at = ScoreAt(table.schedule)
    want = diffusion.sample(score_at, table, x_T, rng=5).x
    for workers in (2, 3, 7):
        np.testing.assert_array_equal(diffusion.sample(score_at, table, x_T, rng=5, workers=workers).x, want)
    with ThreadPoolExecutor(2) as pool:
        np.testing.assert_array_equal(diffusion.sample(score_at, table, x_T, rng=5, executor=pool).x, want)


def test_the_same_bits_by_processes():
    net = ns.MLP.init((3, 8, 3), "silu", rng=0, condition=1)
    model, x_T = DiffusionScore(net, VP(), "v"), start(9000, 3)
    with ProcessPoolExecutor(2) as pool:
        for name in ("ddim 0.5", "reverse_sde", "predictor_corrector"):
            want = diffusion.sample(model, TABLES[name], x_T, rng=5)
            got = diffusion.sample(model, TABLES[name], x_T, rng=5, executor=pool)
            np.testing.assert_array_equal(got.x, want.x)


def test_a_seed_and_its_generator_give_the_same_and_another_seed_does_not():
    table, x_T = TABLES["reverse_sde"], start(50, 4)
    runs = [
        diffusion.sample(scores_of(VP()), table, x_T, rng=rng).x for rng in (3, np.random.default_rng(3), 4)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


# ---- options -------------------------------------------------------------------------------------------


def test_recording_and_callbacks_see_every_row():
    table, x_T, seen = TABLES["reverse_sde"], start(40, 3), []
    run = diffusion.sample(
        scores_of(VP()), table, x_T, rng=5, record_every=1, callback=lambda t, x: seen.append((t, x.copy()))
    )
    assert [t for t, _ in seen] == [1, 2, 3, 4] and run.trajectory.shape == (4, 40, 3)
    np.testing.assert_array_equal(run.trajectory, [x for _, x in seen])
    np.testing.assert_array_equal(run.trajectory[-1], run.x)
    every_other = diffusion.sample(scores_of(VP()), table, x_T, rng=5, record_every=2).trajectory
    np.testing.assert_array_equal(every_other, run.trajectory[1::2])
    assert diffusion.sample(scores_of(VP()), table, x_T, rng=5).trajectory is None


def exploding(t):
    return lambda x: np.where(x[:, :1] > 1.0, 1e12 * x, -x)


def test_chains_that_diverge_are_nan_and_leave_the_others_alone():
    table, x_T = TABLES["ddim 0.5"], start(60, 3)
    lost = x_T[:, 0] > 1.0
    with pytest.warns(RuntimeWarning, match="diverged"):
        run = diffusion.sample(exploding, table, x_T, rng=5)
    assert run.n_diverged == run.diverged.sum() >= lost.sum() > 0 and run.diverged[lost].all()
    assert np.isnan(run.x[run.diverged]).all() and np.isfinite(run.x[~run.diverged]).all()
    with pytest.raises(ns.samplers.DivergenceError):
        diffusion.sample(exploding, table, x_T, rng=5, on_divergence="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = diffusion.sample(exploding, table, x_T, rng=5, on_divergence="ignore")
    np.testing.assert_array_equal(again.x, run.x)


def test_no_noise_is_drawn_where_no_row_takes_any():
    x_T = start(30, 2)
    runs = [diffusion.sample(scores_of(VP()), TABLES["ddim"], x_T, rng=rng).x for rng in (1, 2, None)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_a_start_far_out_is_not_a_divergence():
    """σ = 80 and beyond, as EDM's samplers start."""
    for top in (80.0, 1e4):
        x_T = diffusion.prior_sample(EDM(), top, 500, 2, rng=0)
        table = diffusion.heun(EDM(), diffusion.karras_sigmas(30, 0.01, top))
        p = ns.targets.Gaussian([1.0, -1.0], [[0.5, 0.2], [0.2, 0.8]])
        run = diffusion.sample(lambda t, p=p: p.diffused(1.0, t).score, table, x_T)
        assert run.n_diverged == 0
        assert np.abs(run.x.mean(axis=0) - p.mean).max() < 0.2


def test_predictor_corrector_moves_all_chains_together_and_has_no_law():
    """Over more chains than a block holds: the means of norms run over all of them."""
    table, x_T = TABLES["predictor_corrector"], start(9000, 2)
    got = diffusion.sample(scores_of(VP()), table, x_T, rng=5).x
    np.testing.assert_allclose(got, written_out(table, x_T, 5), rtol=1e-10)
    with pytest.raises(ValueError, match="table must have a law, got predictor_corrector"):
        diffusion.law(table, lambda t: None, np.zeros(2), np.eye(2))
    with pytest.raises(ValueError, match="of must be one of score, got 'x0'"):
        table.reading("x0")


def test_prior_samples_have_the_prior_s_deviation():
    for schedule, t, std in (
        (VP(), 1.0, 1.0),
        (EDM(), 40.0, 40.0),
        (VE(0.1, 30.0), 1.0, 30.0),
        (STEPS, 12, 1.0),
    ):
        x = diffusion.prior_sample(schedule, t, 4000, 2, rng=0, dtype=np.float32)
        assert x.dtype == np.float32 and x.shape == (4000, 2)
        assert x.std() == pytest.approx(std, rel=0.03)


# ---- networks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", diffusion.FORMS)
@pytest.mark.parametrize("name", TABLES)
def test_a_network_of_any_form_is_its_score(form, name):
    """Whatever form the rows read off it, the run is that with the score."""
    table = TABLES[name]
    net = ns.MLP.init((3, 7, 3), "tanh", rng=2, condition=4)
    model = DiffusionScore(net, table.schedule, form, Fourier([0.3, 1.0]), sigma_data=0.7)
    x_T = start(20, 3)
    got = diffusion.sample(model, table, x_T, rng=5).x
    want = diffusion.sample(lambda t: model.at(t).score, table, x_T, rng=5).x
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("schedule", [Flow(), Cosine()], ids=repr)
@pytest.mark.parametrize("form", ["flow", "v", "x0", "edm"])
def test_from_the_very_end_with_the_network_s_own_form(schedule, form):
    """t = 1, where α = 0 and no score can be read off: by what the network returns."""
    net = ns.MLP.init((3, 7, 3), "tanh", rng=2, condition=1)
    model, x_T = DiffusionScore(net, schedule, form), start(20, 3)
    own = "x0" if form == "edm" else form
    for make in (diffusion.ddim, diffusion.probability_flow, diffusion.heun, diffusion.ancestral):
        table = make(schedule, [1.0, 0.7, 0.2, 0.0])
        x, z = x_T, np.zeros_like(x_T)
        runs = diffusion.sample(model, table, x_T, rng=5)
        assert runs.n_diverged == 0
        if diffusion.tables.takes_noise(table.reading(own)):
            continue
        for row in table.reading(own):
            x = diffusion.step(lambda t: lambda y: model.output(y, t, own), x, row, z)
        np.testing.assert_allclose(runs.x, x, rtol=1e-11, atol=1e-12)


def test_at_the_very_end_a_network_is_told_a_noise_level_that_it_knows():
    """¼ log(σ/α) at α = 0 is read at α = 10⁻³, where the default times of training end."""
    net = ns.MLP.init((3, 7, 3), "tanh", rng=2, condition=1)
    model, x = DiffusionScore(net, Flow(), "flow"), start(5, 3)
    trained = diffusion.Denoising(Flow()).times.hi
    gap = model.output(x, 1.0, "flow") - model.output(x, trained, "flow")
    assert np.abs(gap).max() < 1e-3


def test_float32_networks_sample_in_float32():
    net = ns.MLP.init((3, 7, 3), "tanh", rng=2, condition=1)
    model, x_T = DiffusionScore(net, VP(), "v"), start(50, 3)
    single = model.with_theta(model.theta.astype(np.float32))
    got = diffusion.sample(single, TABLES["ddim"], x_T.astype(np.float32)).x
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, diffusion.sample(model, TABLES["ddim"], x_T).x, rtol=1e-3, atol=1e-4)


def test_a_label_is_held_by_a_callable():
    net = ns.MLP.init((3, 7, 3), "tanh", rng=2, condition=3)
    model, label, x_T = DiffusionScore(net, VP(), "v"), [1.0, -0.5], start(20, 3)
    got = diffusion.sample(lambda t: model.at(t, label).score, TABLES["ddim"], x_T).x
    x = x_T
    for row in TABLES["ddim"]:
        x = row.A * x + row.B * model.score(x, [row.t, *label])
    np.testing.assert_allclose(got, x, rtol=1e-11, atol=1e-12)
