"""Denoising at all levels: each weighting is the loss it is named after, gradients, draws, and a fit."""

import numpy as np
import pytest
from support.strategies import gradient_error

import npscore as ns
from npscore import diffusion
from npscore.checks import complex_step_gradient, relative_error
from npscore.diffusion import (
    EDM,
    VE,
    VP,
    Cosine,
    Denoising,
    DiffusionScore,
    Discrete,
    Flow,
    LogNormal,
    LogUniform,
    Uniform,
)

RNG = np.random.default_rng(2)
N, D = 6, 3
X0, EPS = RNG.standard_normal((2, N, D))
NET = ns.MLP.init((D, 7, 5, D), "silu", rng=1, condition=1)
NET = NET.with_theta(2.0 * NET.theta)
DISCRETE = Discrete(np.linspace(0.02, 0.3, 9))
TIMES = {repr(s): np.array([0.2, 0.7, 0.15, 0.93, 0.4, 0.5]) for s in (VP(), EDM(), Cosine(), Flow(), VE())}
TIMES[repr(DISCRETE)] = np.array([2, 7, 3, 9, 4, 2])
SCHEDULES = [VP(), EDM(), Cosine(), Flow(), DISCRETE]
GAMMA, SIGMA_DATA = 0.8, 0.6


def setting(schedule, form="edm"):
    t = TIMES[repr(schedule)]
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    model = DiffusionScore(NET, schedule, form, sigma_data=SIGMA_DATA)
    return model, t, alpha, sigma, alpha * X0 + sigma * EPS


def square(a):
    return (a * a).sum(axis=1)


#: Each weighting written out as the loss of its paper, from what the model says of noise, data and velocity.
LOSSES = {
    "score": lambda m, s, t, a, b, x: 0.5 * square(m.score(x, t) + EPS / b),
    "epsilon": lambda m, s, t, a, b, x: 0.5 * square(m.output(x, t, "epsilon") - EPS),
    "simple": lambda m, s, t, a, b, x: square(m.output(x, t, "epsilon") - EPS),
    "x0": lambda m, s, t, a, b, x: square(m.output(x, t, "x0") - X0),
    "edm": lambda m, s, t, a, b, x: (
        (((b / a) ** 2 + SIGMA_DATA**2) / (b / a * SIGMA_DATA) ** 2)[:, 0] * square(m.output(x, t, "x0") - X0)
    ),
    "min_snr": lambda m, s, t, a, b, x: (
        np.minimum((a / b) ** 2, GAMMA)[:, 0] * square(m.output(x, t, "x0") - X0)
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("form", ["epsilon", "v", "edm"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_weighting_is_the_loss_it_is_named_after(name, form, schedule):
    model, t, alpha, sigma, x = setting(schedule, form)
    objective = Denoising(schedule, name, None, SIGMA_DATA, GAMMA)
    want = LOSSES[name](model, schedule, t, alpha, sigma, x)
    np.testing.assert_allclose(objective.values(model, X0, (t, EPS)), want, rtol=1e-9)


def test_edm_s_weight_makes_the_network_s_own_loss_flat():
    """λ(σ) ‖D − x₀‖² = ‖F − F*‖²: the factor is 2/b²."""
    model, t, alpha, sigma, x = setting(EDM())
    own = square(model.output(x, t, "edm") - diffusion.expressed("edm", X0, EPS, alpha, sigma, SIGMA_DATA))
    got = Denoising(EDM(), "edm", LogNormal(), SIGMA_DATA).values(model, X0, (t, EPS))
    np.testing.assert_allclose(got, own, rtol=1e-10)


@pytest.mark.parametrize("schedule", [VP(), Cosine(), DISCRETE], ids=repr)
def test_min_snr_for_velocities(schedule):
    model, t, alpha, sigma, x = setting(schedule, "v")
    snr = (alpha / sigma)[:, 0] ** 2
    v_loss = square(model.output(x, t, "v") - (alpha * EPS - sigma * X0))
    want = np.minimum(snr, GAMMA) / (snr + 1) * v_loss
    got = Denoising(schedule, "min_snr_v", None, 1.0, GAMMA).values(model, X0, (t, EPS))
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_likelihood_weighting_is_g_squared():
    model, t, _, sigma, x = setting(VP())
    got = Denoising(VP(), "likelihood").values(model, X0, (t, EPS))
    np.testing.assert_allclose(got, VP().g2(t) * 0.5 * square(model.score(x, t) + EPS / sigma), rtol=1e-12)


def test_the_bound_s_weight_is_a_kl_of_two_gaussians():
    """KL(q(x_s | x_t, x₀) ‖ p_θ(x_s | x_t)) at the posterior's variance: ½‖difference of the means‖²/β̃."""
    model, t, _, _, x = setting(DISCRETE, "epsilon")
    coef_xt, coef_x0, variance = (part[:, None] for part in DISCRETE.posterior(t, t - 1))
    means = [coef_xt * x + coef_x0 * x0 for x0 in (X0, model.output(x, t, "x0"))]
    want = 0.5 * square((means[0] - means[1]) / np.sqrt(variance))
    got = Denoising(DISCRETE, "bound").values(model, X0, (t, EPS))
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_gradient_weights_and_spared_gradient(schedule):
    model, t, *_ = setting(schedule)
    objective, weights = Denoising(schedule, "epsilon"), RNG.dirichlet(np.ones(N))
    result = objective.loss(model, X0, (t, EPS), weights)
    expected = complex_step_gradient(
        lambda theta: objective.loss(model.with_theta(theta), X0, (t, EPS), weights).loss, model.theta
    )
    assert gradient_error(model, result.grad, expected) < 1e-12
    assert result.loss == pytest.approx(weights @ objective.values(model, X0, (t, EPS)), rel=1e-13)


def test_ho_s_simple_loss_is_a_weighted_dsm():
    """mean ‖ε̂ − ε‖² = dsm(model, α x₀, ε, σ, weights = 2σ²/n, cond = t), gradient included."""
    model, t, alpha, sigma, _ = setting(DISCRETE, "epsilon")
    simple = Denoising(DISCRETE, "simple").loss(model, X0, (t, EPS))
    weighted = ns.dsm(model, alpha * X0, EPS, sigma[:, 0], 2 * sigma[:, 0] ** 2 / N, t)
    assert simple.loss == pytest.approx(weighted.loss, rel=1e-13)
    assert relative_error(simple.grad, weighted.grad) < 1e-12


@pytest.mark.parametrize(
    "label", [RNG.standard_normal((N, 2)), np.array([0.4, -1.3])], ids=["a row each", "shared"]
)
def test_a_label_stands_behind_the_time(label):
    """Also where the model is one of the user's, with t and the label among the columns of its condition."""
    t = TIMES[repr(VP())]
    alpha, sigma = VP().alpha(t)[:, None], VP().sigma(t)[:, None]
    cond = np.column_stack([t, np.broadcast_to(label, (N, 2))])
    net = ns.MLP.init((D, 7, D), "silu", rng=1, condition=3)
    for model in (DiffusionScore(net, VP(), "v"), net):
        got = Denoising(VP(), "simple").loss(model, X0, (t, EPS), cond=label)
        want = ns.dsm(model, alpha * X0, EPS, sigma[:, 0], 2 * sigma[:, 0] ** 2 / N, cond)
        assert got.loss == pytest.approx(want.loss, rel=1e-13)
        assert relative_error(got.grad, want.grad) < 1e-12
    with pytest.raises(ValueError, match=r"cond must have shape \(6, c\) or \(c,\), got shape \(4, 2\)"):
        Denoising(VP()).loss(DiffusionScore(net, VP()), X0, (t, EPS), cond=np.ones((4, 2)))


@pytest.mark.parametrize("schedule", [VP(), EDM(), Flow()], ids=repr)
def test_implicit_and_denoising_score_matching_agree_at_every_level(schedule):
    """E ISM(x_t) − E DSM = −d/(2σ²) by quadrature over a Gaussian x₀, and the gradients are equal."""
    net = ns.MLP.init((1, 6, 1), "tanh", rng=3, condition=1)
    model = DiffusionScore(net.with_theta(1.5 * net.theta), schedule, "edm")
    p = ns.targets.Gaussian([0.4], [[0.5]])
    for t in (0.15, 0.4, 0.8):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        data, noise = p.quadrature(200), ns.targets.Gaussian([0.0], [[1.0]]).quadrature(200)
        x0, eps = (np.repeat(data.nodes, 200, axis=0), np.tile(noise.nodes, (200, 1)))
        weights = np.multiply.outer(data.weights, noise.weights).ravel()
        plain = model.at(t)
        implicit = ns.ism(plain, alpha * x0 + sigma * eps, weights)
        denoising = ns.dsm(plain, alpha * x0, eps, sigma, weights)
        assert implicit.loss - denoising.loss == pytest.approx(-1 / (2 * sigma**2), rel=1e-9)
        assert relative_error(implicit.grad, denoising.grad) < 1e-8


# ---- draws ---------------------------------------------------------------------------------------------


def test_times_are_stratified_and_have_their_law():
    x = np.zeros((2000, 2))
    for times, cdf in (
        (Uniform(0.2, 0.9), lambda t: (t - 0.2) / 0.7),
        (LogUniform(0.01, 10.0), lambda t: np.log(t / 0.01) / np.log(1000)),
        (LogNormal(-1.2, 1.2), lambda t: None),
    ):
        t = Denoising(EDM(), times=times).draw(x, np.random.default_rng(0)).t
        if (u := cdf(t)) is not None:  # one in each of n strata
            np.testing.assert_array_equal(np.sort(np.floor(np.clip(u, 0, 1 - 1e-15) * 2000)), np.arange(2000))
        assert (np.argsort(t) != np.arange(2000)).any()
    z = (np.log(t) + 1.2) / 1.2
    assert abs(z.mean()) < 1e-3 and z.std() == pytest.approx(1, abs=5e-3)
    steps = Denoising(DISCRETE, "simple").draw(np.zeros((900, 2)), np.random.default_rng(1)).t
    np.testing.assert_array_equal(np.bincount(steps.astype(int))[1:], np.full(9, 100))


def test_log_levels_are_those_of_sigma_over_alpha():
    t = Denoising(VP(), times=LogUniform(0.1, 3.0)).draw(np.zeros((500, 1)), np.random.default_rng(0)).t
    ratio = np.log(VP().sigma(t) / VP().alpha(t))
    assert ratio.min() >= np.log(0.1) - 1e-9 and ratio.max() <= np.log(3.0) + 1e-9
    assert ratio.mean() == pytest.approx(0.5 * (np.log(0.1) + np.log(3)), abs=1e-2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_stays_float32(dtype):
    model = setting(EDM())[0]
    model = model.with_theta(model.theta.astype(dtype))
    objective = Denoising(EDM())
    x = X0.astype(dtype)
    result = objective.loss(model, x, objective.draw(x, np.random.default_rng(0)))
    assert result.loss.dtype == result.grad.dtype == result.per_sample.dtype == dtype


def test_it_fits_a_gaussian_s_scores_at_all_levels():
    p = ns.targets.Gaussian([0.5, -0.3], [[0.8, 0.3], [0.3, 0.5]])
    x = p.sample(4000, rng=0)
    model = DiffusionScore(ns.MLP.init((2, 32, 2), "silu", rng=0, condition=1), EDM())
    run = ns.fit(model, x, Denoising(EDM()), steps=1500, learning_rate=5e-3, rng=0)
    at = p.sample(500, rng=1)
    for sigma in (0.2, 1.0):
        smooth = ns.targets.Gaussian(p.mean, p.cov + sigma**2 * np.eye(2))
        noisy = at + sigma * np.random.default_rng(2).standard_normal(at.shape)
        error = run.model.score(noisy, sigma) - smooth.score(noisy)
        assert np.sqrt(square(error).mean() / square(smooth.score(noisy)).mean()) < 0.15


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: Denoising("edm"), TypeError, "schedule must be a diffusion schedule"),
        (lambda: Denoising(EDM(), "snr"), ValueError, "weighting must be one of"),
        (lambda: Denoising(EDM(), times=0.5), TypeError, "times must be diffusion.Uniform"),
        (lambda: Denoising(EDM(), gamma=0.0), ValueError, "gamma must be a finite number > 0"),
        (lambda: Denoising(Discrete([0.1]), "bound"), ValueError, "hi must be"),
        (lambda: diffusion.weighting("bound", VP(), 0.5), ValueError, "needs a Discrete schedule"),
        (lambda: diffusion.weighting("bound", DISCRETE, 1), ValueError, "t >= 2"),
        (lambda: diffusion.weighting("min_snr_v", EDM(), 0.5), ValueError, "α² \\+ σ² = 1"),
        (lambda: diffusion.weighting("x0", Flow(), 1.0), ValueError, "finite weight for 'x0', got 1.0"),
        (lambda: Uniform(0.5, 0.1), ValueError, "hi must be a finite number >= 0.5"),
        (lambda: LogNormal(0.0, 0.0), ValueError, "std must be a finite number > 0"),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_spec_tells_all_that_matters():
    specs = [
        Denoising(EDM()),
        Denoising(VE(0.01, 50.0)),
        Denoising(EDM(), "epsilon"),
        Denoising(EDM(), times=LogNormal(-1.0, 1.2)),
        Denoising(EDM(), sigma_data=0.5),
        Denoising(DISCRETE, "simple"),
    ]
    texts = [repr(one.spec()) for one in specs]
    assert len(set(texts)) == len(texts)
