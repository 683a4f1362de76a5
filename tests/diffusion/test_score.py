"""DiffusionScore and its forms: each at its own target is −ε/σ, all conversions agree, gradients by complex step."""

import pickle

import numpy as np
import pytest
from support.strategies import ACTIVATIONS, gradient_error

import npscore as ns
from npscore import diffusion
from npscore.checks import complex_step_gradient, complex_step_jacobian, relative_error
from npscore.diffusion import (
    EDM,
    FORMS,
    VE,
    VP,
    Cosine,
    DiffusionScore,
    Discrete,
    Flow,
    Fourier,
    Sinusoidal,
    SubVP,
)

SCHEDULES = [VP(), SubVP(), VE(0.05, 9.0), EDM(), Cosine(), Flow(), Discrete(np.linspace(0.02, 0.3, 9))]
N, D, M = 5, 3, 2
RNG = np.random.default_rng(0)
X, V, EPS, X0 = RNG.standard_normal((N, D)), RNG.standard_normal((M, N, D)), *RNG.standard_normal((2, N, D))


def times(schedule):
    return (
        np.array([2, 7, 1, 9, 4]) if isinstance(schedule, Discrete) else np.array([0.2, 0.7, 0.15, 0.93, 0.4])
    )


def network(hidden=(5, 4), activation="tanh", condition=1, seed=1):
    rng = np.random.default_rng(seed)
    widths = [(D + condition, *hidden), (*hidden, D)]
    layers = [
        (1.4 * rng.standard_normal((b, a)) / np.sqrt(a), rng.standard_normal(b)) for a, b in zip(*widths)
    ]
    return ns.MLP(layers, activation, condition=condition)


def marginals(schedule, t):
    return schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_at_its_own_target_is_the_denoising_score(form, schedule):
    alpha, sigma = marginals(schedule, times(schedule))
    x = alpha * X0 + sigma * EPS
    p, q, u, w, _ = diffusion.reading(form, alpha, sigma, 0.6)
    target = diffusion.expressed(form, X0, EPS, alpha, sigma, 0.6)
    assert relative_error(p * x + q * target, X0) < 1e-13
    assert relative_error(u * x + w * target, EPS) < 1e-13
    a, b, _ = diffusion.forms.factors(form, "score", alpha, sigma, 0.6)
    assert relative_error(a * x + b * target, -EPS / sigma) < 1e-13


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("form", FORMS)
def test_the_loss_of_a_form_is_the_score_s_over_b_squared(form, schedule):
    """‖F − F*‖² = ‖s + ε/σ‖²/b², with α ≠ 1 too."""
    t = times(schedule)
    alpha, sigma = marginals(schedule, t)
    model = DiffusionScore(network(), schedule, form, sigma_data=0.6)
    x = alpha * X0 + sigma * EPS
    F, target = model.output(x, t, form), diffusion.expressed(form, X0, EPS, alpha, sigma, 0.6)
    _, b, _ = diffusion.forms.factors(form, "score", alpha, sigma, 0.6)
    residual = model.score(x, t) + EPS / sigma
    np.testing.assert_allclose(((F - target) ** 2).sum(1), ((residual / b) ** 2).sum(1), rtol=1e-10)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("form", FORMS)
def test_outputs_convert_among_each_other(form, schedule):
    """Whatever is read off a network of one form is what any other form of the same score would return."""
    t = times(schedule)
    alpha, sigma = marginals(schedule, t)
    model = DiffusionScore(network(), schedule, form, sigma_data=0.6)
    s = model.output(X, t, "score")
    assert relative_error(s, model.score(X, t)) < 1e-13
    noise = -sigma * s
    x0 = (X - sigma * noise) / alpha
    for other in FORMS:
        want = diffusion.expressed(other, x0, noise, alpha, sigma, 0.6)
        assert relative_error(model.output(X, t, other), want) < 1e-11, other


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_the_network_is_asked_as_published(schedule):
    """EDM: D = c_skip x̃ + c_out F(c_in x̃; ¼ log σ̃) on x̃ = x/α at σ̃ = σ/α, table 1. Other forms: F(x; ¼ log σ̃)."""
    t, net, data = times(schedule), network(), 0.6
    alpha, sigma = marginals(schedule, t)
    scaled, level = X / alpha, sigma / alpha
    square = level**2 + data**2
    F = net.score(scaled / np.sqrt(square), 0.25 * np.log(level))
    D_ = data**2 / square * scaled + level * data / np.sqrt(square) * F
    model = DiffusionScore(net, schedule, "edm", sigma_data=data)
    assert relative_error(model.score(X, t), (alpha * D_ - X) / sigma**2) < 1e-11
    for form in FORMS[:-1]:
        plain = DiffusionScore(net, schedule, form).output(X, t, form)
        assert relative_error(plain, net.score(X, 0.25 * np.log(level))) < 1e-13


def test_edm_on_vp_with_unit_data_is_v_with_the_sign_changed():
    t = times(VP())
    alpha, sigma = marginals(VP(), t)
    edm, v = (diffusion.reading(form, alpha, sigma, 1.0) for form in ("edm", "v"))
    for name in "pu":
        assert relative_error(getattr(edm, name), getattr(v, name)) < 1e-14
    for name in "qw":
        assert relative_error(getattr(edm, name), -getattr(v, name)) < 1e-14


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4), (4, 5, 3)])
@pytest.mark.parametrize("form", FORMS)
def test_trace_quadratic_form_and_gradients_are_complex_steps(form, hidden):
    schedule, t = VP(), times(VP())
    model = DiffusionScore(network(hidden, "gelu"), schedule, form, sigma_data=0.6)
    jacobian = complex_step_jacobian(lambda x: model.score(x, t), X)
    assert relative_error(model.jacobian(X, t), jacobian) < 1e-12
    trace = np.trace(jacobian, axis1=1, axis2=2)
    for divergence in (
        model.divergence(X, t),
        model.divergence_vjp(X, t)[1],
        model.score_and_divergence(X, t)[1],
    ):
        assert relative_error(divergence, trace) < 1e-12
    q = model.quadratic_form_vjp(X, V, t)[1]
    assert relative_error(q, np.einsum("mni,nij,mnj->mn", V, jacobian, V)) < 1e-12
    for loss in (
        lambda m: ns.ism(m, X, cond=t),
        lambda m: ns.ssm(m, X, V, cond=t),
        lambda m: ns.ssm_vr(m, X, V[0], cond=t),
        lambda m: ns.dsm(m, X, EPS, 0.3, cond=t),
        lambda m: ns.esm(m, X, X0, cond=t),
    ):
        expected = complex_step_gradient(
            lambda theta, loss=loss: loss(model.with_theta(theta)).loss, model.theta
        )
        assert gradient_error(model, loss(model).grad, expected) < 1e-12


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_within_a_form(activation):
    model, t = DiffusionScore(network((4, 3), activation), EDM(), "edm", sigma_data=0.6), times(EDM())
    expected = complex_step_gradient(
        lambda theta: ns.ism(model.with_theta(theta), X, cond=t).loss, model.theta
    )
    assert gradient_error(model, ns.ism(model, X, cond=t).grad, expected) < 1e-12


@pytest.mark.parametrize("embedding", ["log_snr", Fourier([0.5, 1.0, 3.0]), Sinusoidal(6)], ids=repr)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_at_a_time_it_is_a_plain_model(embedding, schedule):
    dim = getattr(embedding, "dim", 1)
    model = DiffusionScore(network(condition=dim), schedule, "v", embedding)
    for t in times(schedule):
        plain = model.at(t)
        assert plain.condition == 0
        assert relative_error(plain.score(X), model.score(X, t)) < 1e-13
        assert relative_error(plain.divergence(X), model.divergence(X, np.full(N, t))) < 1e-12
    run = ns.langevin(model.at(times(schedule)[0]).score, X, 1e-4, 3, rng=0)
    assert run.n_diverged == 0


def test_a_label_stands_beside_the_time():
    model = DiffusionScore(network(condition=3), EDM(), "edm", "log_snr")
    assert model.condition == 3  # t and two numbers
    label, t = RNG.standard_normal((N, 2)), times(EDM())
    cond = np.column_stack([t, label])
    for i in range(N):
        one = model.at(t[i], label[i])
        assert relative_error(one.score(X[[i]]), model.score(X[[i]], cond[i])) < 1e-13
    assert relative_error(model.output(X, t, "score", label), model.score(X, cond)) < 1e-13
    expected = complex_step_gradient(
        lambda theta: ns.ism(model.with_theta(theta), X, cond=cond).loss, model.theta
    )
    assert gradient_error(model, ns.ism(model, X, cond=cond).grad, expected) < 1e-12


def test_the_network_s_own_output_is_there_where_alpha_is_0():
    model = DiffusionScore(network(), Flow(), "flow")
    F = model.output(X, 1.0, "flow")
    assert np.isfinite(F).all()
    np.testing.assert_allclose(model.output(X, 1.0, "epsilon"), X, rtol=1e-13)  # x_1 is noise alone
    np.testing.assert_allclose(model.output(X, 1.0, "x0"), X - F, rtol=1e-13)


def test_sinusoidal_is_the_peers_formula():
    """sin, then cos, of (t − 1)·10000^(−k/(half − 1)): their first noisy step is 0."""
    features = Sinusoidal(6)(np.array([1, 8]), SCHEDULES[-1])
    angle = np.array([0.0, 7.0])[:, None] * 10000.0 ** (-np.arange(3) / 2)
    np.testing.assert_allclose(features, np.concatenate([np.sin(angle), np.cos(angle)], axis=1), rtol=1e-15)
    np.testing.assert_allclose(Sinusoidal(4)(np.array([0.25]), VP())[0, 0], np.sin(250.0), rtol=1e-12)
    u = 0.25 * np.log(0.7)
    got = Fourier([2.0])(np.array([0.7]), EDM())[0]
    np.testing.assert_allclose(got, [np.sin(4 * np.pi * u), np.cos(4 * np.pi * u)], rtol=1e-13)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("embedding", ["log_snr", Fourier([0.5, 2.0]), Sinusoidal(4, 3.0)], ids=repr)
def test_files_and_pickles(schedule, embedding, tmp_path):
    model = DiffusionScore(network(condition=getattr(embedding, "dim", 1)), schedule, "x0", embedding, 0.4)
    ns.save(tmp_path / "m.npz", model)
    plain = model.at(times(schedule)[0])
    ns.save(tmp_path / "plain.npz", plain)
    t = times(schedule)
    for again in (ns.load(tmp_path / "m.npz").model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.score(X, t), model.score(X, t))
        assert again.config == model.config and (again.form, again.sigma_data) == ("x0", 0.4)
    np.testing.assert_array_equal(ns.load(tmp_path / "plain.npz").model.score(X), plain.score(X))
    size = len(pickle.dumps(model))
    model.score(X, t)
    assert len(pickle.dumps(model)) == size < 3 * model.theta.nbytes + 2500  # θ once


def test_float32_stays_float32():
    model = DiffusionScore(network(), VP(), "v")
    model = model.with_theta(model.theta.astype(np.float32))
    result = ns.ism(model, X.astype(np.float32), cond=times(VP()))
    assert result.loss.dtype == result.grad.dtype == np.float32
    assert model.at(0.3).score(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: DiffusionScore(network(condition=0), VP()),
            ValueError,
            "network must have a condition of at least 1",
        ),
        (lambda: DiffusionScore(3, VP()), TypeError, "network must be an npscore model"),
        (lambda: DiffusionScore(network(), "vp"), TypeError, "schedule must be a diffusion schedule"),
        (lambda: DiffusionScore(network(), VP(), "eps"), ValueError, "form must be one of score, epsilon"),
        (lambda: DiffusionScore(network(), VP(), "v", "time"), ValueError, "embedding must be 'log_snr'"),
        (
            lambda: DiffusionScore(network(), VP(), "v", 3),
            TypeError,
            "embedding must be 'log_snr' or an embedding",
        ),
        (lambda: Sinusoidal(2), ValueError, "dim must be a whole number >= 4"),
        (lambda: Sinusoidal(5), ValueError, "dim must be even"),
        (lambda: Fourier([]), ValueError, r"freqs must have shape \(k,\)"),
        (lambda: DiffusionScore(network(), VP()).score(X), ValueError, "cond must be t, a number or"),
        (lambda: DiffusionScore(network(), VP()).score(X, [0.1, 0.2]), ValueError, r"got shape \(2,\)"),
        (lambda: DiffusionScore(network(), VP()).score(X, 1.5), ValueError, r"t must be in \[0, 1\]"),
        (lambda: DiffusionScore(network(), VP()).score(X, 0.0), ValueError, "t must be a time with noise"),
        (lambda: DiffusionScore(network(), VP()).at(0.0), ValueError, "t must be a time with noise"),
        (
            lambda: DiffusionScore(network(), Flow(), "flow").score(X, 1.0),
            ValueError,
            "t must be a time with signal",
        ),
        (lambda: DiffusionScore(network(), VP()).at([0.1, 0.2]), ValueError, "t must be one number"),
        (lambda: DiffusionScore(network(), VP()).at(0.1, [1.0]), ValueError, r"cond must have shape \(0,\)"),
        (lambda: DiffusionScore(network(), VP()).output(X, 0.1, "u"), ValueError, "form must be one of"),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
