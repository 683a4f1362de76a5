"""What samplers refuse: one error that names the argument, its value and what was expected, where it is given."""

import numpy as np
import pytest

import npscore as ns
from npscore import diffusion
from npscore.diffusion import EDM, VE, VP, Cosine, DiffusionScore, Discrete, Flow, SubVP

STEPS = Discrete([0.1, 0.3, 0.2])
MAKERS = {
    "ancestral": diffusion.ancestral,
    "ddim": diffusion.ddim,
    "reverse_sde": diffusion.reverse_sde,
    "probability_flow": diffusion.probability_flow,
    "heun": diffusion.heun,
    "edm": diffusion.edm,
    "predictor_corrector": diffusion.predictor_corrector,
    "annealed_langevin": lambda schedule, times: diffusion.annealed_langevin(schedule, times, 1e-3),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "times, error, message",
    [
        ([0.1, 0.5], ValueError, "times must decrease, from noise to data, got 0.1 and then 0.5 at index 0"),
        ([0.5, 0.5], ValueError, "times must decrease"),
        ([0.5, 0.2, 0.3], ValueError, "got 0.2 and then 0.3 at index 1"),
        ([], ValueError, r"times must have shape \(k \+ 1,\)"),
        ([[0.5, 0.2]], ValueError, r"times must have shape \(k \+ 1,\) for k >= 1 steps, got shape \(1, 2\)"),
        ([1.2, 0.5], ValueError, r"times must be in \[0, 1\] for VE.*, got 1.2"),
        ([0.5, -0.1], ValueError, r"times must be in \[0, 1\]"),
        ([np.nan, 0.1], ValueError, r"times must be finite, got nan at index \(0,\)"),
        ("noon", TypeError, "times must hold real numbers"),
        ([0.5j, 0.1], TypeError, "times must hold real numbers"),
    ],
)
def test_times(name, times, error, message):
    with pytest.raises(error, match=message):
        MAKERS[name](VE(0.1, 5.0, exact=True), times)


@pytest.mark.parametrize("name", MAKERS)
def test_no_schedule_and_no_noise(name):
    with pytest.raises((TypeError, ValueError), match="schedule must "):
        MAKERS[name]("vp", [0.5, 0.1])
    if name == "annealed_langevin":
        with pytest.raises(ValueError, match="times must have noise, σ > 0"):
            MAKERS[name](EDM(), [0.5, 0.0])


NET = ns.MLP.init((2, 4, 2), rng=0, condition=1)
MODEL = DiffusionScore(NET, VP(), "v")
X = np.ones((3, 2))
TABLE = diffusion.ddim(VP(), [0.9, 0.1])


def sample(model=MODEL, table=TABLE, x=X, **options):
    return diffusion.sample(model, table, x, **options)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: diffusion.ddim(STEPS, [3.5, 0]), ValueError, "times must be a whole number from 0 to 3"),
        (
            lambda: diffusion.ddim(STEPS, [4, 0]),
            ValueError,
            r"whole number from 0 to 3 for Discrete\(T=3\), got 4",
        ),
        (lambda: diffusion.reverse_sde(STEPS, [3, 0]), ValueError, "has steps and no f or g2"),
        (lambda: diffusion.probability_flow(STEPS, [3, 0]), ValueError, "has steps and no slopes"),
        (lambda: diffusion.heun(STEPS, [3, 0]), ValueError, "has steps and no slopes"),
        (
            lambda: diffusion.edm(STEPS, [3, 1], churn=1.0),
            ValueError,
            "churn must lead to a noise level that Discrete",
        ),
        (
            lambda: diffusion.edm(VP(), [1.0, 0.5, 0.0], churn=1.0),
            ValueError,
            r"churn must lead to a noise level that VP.* has, got one from t = 1.0 to σ/α = 215",
        ),
        (lambda: diffusion.ddim(VP(), [0.9, 0.1], -0.1), ValueError, "eta must be a finite number >= 0"),
        (
            lambda: diffusion.ddim(STEPS, [3, 2, 0], 1.7),
            ValueError,
            "eta must be at most sigma_t/sqrt\\(w\\) = 1.57.* in the step from 3 to 2, got 1.7",
        ),
        (
            lambda: diffusion.ancestral(VP(), [0.9, 0.1], "beta"),
            ValueError,
            "variance must be one of posterior",
        ),
        (
            lambda: diffusion.ancestral(VP(), [0.9, 0.1], of="edm"),
            ValueError,
            "of must be one of score, epsilon",
        ),
        (lambda: TABLE.reading("ncsnv2"), ValueError, "of must be one of score, epsilon"),
        (lambda: diffusion.reverse_sde(VP(), [0.9, 0.1], 1), TypeError, "denoise must be True or False"),
        (lambda: diffusion.reverse_sde(Flow(), [1.0, 0.1]), ValueError, "t must be < 1 for f and g2 of Flow"),
        (
            lambda: list(diffusion.ddim(Cosine(), [1.0, 0.1])),
            ValueError,
            "of must be a form that is finite at t = 1",
        ),
        (
            lambda: diffusion.edm(Flow(), [1.0, 0.1], of="x0"),
            ValueError,
            "times must start where α > 0 for edm",
        ),
        (lambda: diffusion.ddim(EDM(), [1e200, 1e199]), ValueError, "times must have steps within the range"),
        (lambda: diffusion.edm(VP(), [0.9, 0.1], churn=-1), ValueError, "churn must be a finite number >= 0"),
        (
            lambda: diffusion.edm(VP(), [0.9, 0.1], s_noise=0),
            ValueError,
            "s_noise must be a finite number > 0",
        ),
        (
            lambda: diffusion.annealed_langevin(VP(), [0.9, 0.1], 1e-3),
            ValueError,
            r"schedule must have α = 1 \(VE or EDM\)",
        ),
        (
            lambda: diffusion.annealed_langevin(EDM(), [2.0], 0.0),
            ValueError,
            "step must be a finite number > 0",
        ),
        (
            lambda: diffusion.annealed_langevin(EDM(), [2.0], 0.1, n_each=0),
            ValueError,
            "n_each must be a whole number >= 1",
        ),
        (lambda: diffusion.predictor_corrector(VP(), [0.9, 0.1], snr=0), ValueError, "snr must be"),
        (
            lambda: diffusion.predictor_corrector(VP(), [0.9, 0.1], predictor="euler"),
            ValueError,
            "predictor must be one of reverse_sde, ancestral, probability_flow, got 'euler'",
        ),
        (lambda: sample(table=[1]), TypeError, "table must be a sampler's table, such as ddim.*, got list"),
        (
            lambda: sample(model=3),
            TypeError,
            "model must be a DiffusionScore or a callable t -> function, got int",
        ),
        (
            lambda: sample(table=diffusion.ddim(SubVP(), [0.9, 0.1])),
            ValueError,
            "table must be made for the model's schedule VP.*, got <ddim on SubVP",
        ),
        (
            lambda: sample(DiffusionScore(ns.MLP.init((2, 4, 2), rng=0, condition=2), VP())),
            ValueError,
            "model must have the condition t alone",
        ),
        (lambda: sample(x=np.ones((3, 4))), ValueError, r"x_T must have shape \(n, 2\), got shape \(3, 4\)"),
        (lambda: sample(x=np.ones(2)), ValueError, r"x_T must have shape \(n, 2\), got shape \(2,\)"),
        (lambda: sample(x=[[1.0, np.inf]]), ValueError, "x_T must be finite"),
        (lambda: sample(bound=0.5), ValueError, "bound must be a finite number > 1"),
        (
            lambda: sample(lambda t: lambda x: x[:, :1]),
            ValueError,
            r"the model at x must have shape \(3, 2\)",
        ),
        (lambda: sample(on_divergence="stop"), ValueError, "on_divergence must be one of warn"),
        (lambda: sample(record_every=2), ValueError, "record_every must be <= "),
        (
            lambda: diffusion.law([1], lambda t: t, [0.0], [[1.0]]),
            TypeError,
            "table must be a sampler's table",
        ),
        (lambda: diffusion.law(TABLE, 3, [0.0], [[1.0]]), TypeError, "target_at must be a callable"),
        (
            lambda: diffusion.law(TABLE, lambda t: t, [0.0], [1.0]),
            ValueError,
            r"cov must have shape \(1, 1\)",
        ),
        (lambda: diffusion.prior_sample(VP(), 2.0, 3, 2, rng=0), ValueError, r"t must be in \[0, 1\]"),
        (lambda: diffusion.prior_sample(VP(), 1.0, 0, 2, rng=0), ValueError, "n must be a whole number >= 1"),
        (
            lambda: diffusion.prior_sample(VP(), 1.0, 3, 2, rng=0, dtype=int),
            ValueError,
            "dtype must be a floating",
        ),
        (lambda: VP().slopes(0.0), ValueError, "t must be > 0 for the slopes of VP"),
        (lambda: STEPS.from_ratio(1.0), ValueError, "has steps and no time at every noise level"),
        (lambda: VP().from_ratio(200.0), ValueError, r"ratio must be > 0 and in \[0, 152.167\].*, got 200.0"),
        (lambda: VE(0.1, 5.0).from_ratio(0.05), ValueError, "ratio must be > 0 and in .0.1, 5."),
        (lambda: Flow().from_ratio(-1.0), ValueError, "ratio must be > 0"),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_times_of_training_are_checked_where_they_are_given():
    for times, schedule, message in (
        (diffusion.Uniform(0.5, 5.0), VP(), r"times must be in \[0, 1\] for VP"),
        (diffusion.Uniform(0, 3), STEPS, "times must be times with noise, σ > 0"),
        (diffusion.Uniform(0.5, 2.5), STEPS, "times must be a whole number"),
        (diffusion.LogNormal(), STEPS, "has steps and no time at every noise level"),
    ):
        with pytest.raises(ValueError, match=message):
            diffusion.Denoising(schedule, "simple", times)
    with pytest.raises(ValueError, match="min_snr_v"):
        diffusion.Denoising(EDM(), "min_snr_v")
    with pytest.raises(ValueError, match=r"t must be times with noise, σ > 0, got 0\.0"):
        diffusion.Denoising(VP(), "simple").loss(MODEL, X, ([0.5, 0.0, 0.2], X))
    with pytest.raises(TypeError, match=r"draw must be \(t, noise\)"):
        diffusion.Denoising(VP(), "simple").loss(MODEL, X)
