"""EnergyMLP: pullbacks by complex step, s = −∇E, a symmetric Jacobian and its trace, fast rules as the plain one."""

import functools
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.strategies import ACTIVATIONS, TAME, gradient_error

import npscore as ns
from npscore import diffusion
from npscore.checks import complex_step_gradient, complex_step_jacobian, relative_error
from npscore.diffusion import FORMS, VP, DiffusionScore
from npscore.models import FixedScaling, rows
from npscore.models._network import laplacian as _laplacian
from npscore.models._network.energy import descend, laplacian_by_directions, pull
from npscore.models._network.passes import forward

TIGHT = 1e-12
D, C, N, M = 3, 2, 7, 2
HIDDEN = [(5,), (5, 4), (2, 6, 4), (4, 5, 2, 6)]  # depths 1 to 4; h ≠ d = 3 ≠ n = 7, and h_1 < d
RNG = np.random.default_rng(1)
X, TARGET, NOISE = RNG.standard_normal((3, N, D))
COND, V = RNG.standard_normal((N, C)), RNG.standard_normal((M, N, D))
SIGMA, WEIGHTS = RNG.uniform(0.3, 1.5, N), RNG.dirichlet(np.ones(N))
OBJECTIVES = {
    "esm": lambda model, cond=None: ns.esm(model, X, TARGET, WEIGHTS, cond),
    "ism": lambda model, cond=None: ns.ism(model, X, WEIGHTS, cond),
    "ssm": lambda model, cond=None: ns.ssm(model, X, V, WEIGHTS, cond),
    "ssm_vr": lambda model, cond=None: ns.ssm_vr(model, X, V, WEIGHTS, cond),
    "dsm": lambda model, cond=None: ns.dsm(model, X, NOISE, SIGMA, WEIGHTS, cond),
}
each_objective = pytest.mark.parametrize("objective", OBJECTIVES)
each_depth = pytest.mark.parametrize("hidden", HIDDEN)
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def energy(hidden=(5, 4), activation="tanh", d=D, condition=0, confinement=None, seed=0):
    """O(1) weights and biases."""
    rng = np.random.default_rng(seed)
    layers = [
        (1.5 * rng.standard_normal((b, a)) / np.sqrt(a), rng.standard_normal(b))
        for a, b in zip((d + condition, *hidden), (*hidden, 1))
    ]
    return ns.EnergyMLP(layers, activation, condition, confinement)


def by_complex_step(loss, model):
    return complex_step_gradient(lambda theta: loss(model.with_theta(theta)).loss, model.theta)


# ---- gradients in θ ------------------------------------------------------------------------------------


@each_objective
@each_activation
@each_depth
def test_every_gradient_is_the_complex_step(hidden, activation, objective):
    # eq-15.6, eq-15.7, eq-15.8, eq-15.9, eq-15.11
    model, loss = energy(hidden, activation), OBJECTIVES[objective]
    assert gradient_error(model, loss(model).grad, by_complex_step(loss, model)) < TIGHT


@each_objective
@each_depth
def test_with_a_condition_and_a_confinement_too(hidden, objective):
    model = energy(hidden, "gelu", condition=C, confinement=0.7)
    for cond in (COND, COND[0]):
        loss = functools.partial(OBJECTIVES[objective], cond=cond)
        assert gradient_error(model, loss(model).grad, by_complex_step(loss, model)) < TIGHT


@each_objective
@pytest.mark.parametrize("hidden", [(3,), (3, 3), (3, 3, 3)])
def test_square_weights_hide_no_transpose(hidden, objective):
    model, loss = energy(hidden, "silu"), OBJECTIVES[objective]
    assert gradient_error(model, loss(model).grad, by_complex_step(loss, model)) < TIGHT


@each_depth
def test_each_pullback_is_linear_in_its_cotangents_and_can_be_called_again(hidden):
    """The gradient of Σ ds·s + Σ ddiv·div for any cotangents, not only those of a loss; nothing kept is written to."""
    model = energy(hidden, "softplus")
    _, _, pullback = model.divergence_vjp(X)
    ds, ddiv = NOISE, COND[:, 0]

    def total(theta):
        s, div = model.with_theta(theta).score_and_divergence(X)
        return (ds * s).sum() + (ddiv * div).sum()

    first = pullback(ds, ddiv)
    assert gradient_error(model, first, complex_step_gradient(total, model.theta)) < TIGHT
    np.testing.assert_array_equal(pullback(ds, ddiv), first)
    halves = pullback(ds, np.zeros(N)) + pullback(np.zeros((N, D)), ddiv)
    np.testing.assert_allclose(halves, first, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(model.score_vjp(X)[1](ds), pullback(ds, np.zeros(N)), rtol=1e-11, atol=1e-14)


@each_objective
def test_the_last_bias_moves_energies_and_nothing_else(objective):
    model = energy()
    moved = model.with_theta(model.theta + np.eye(1, model.theta.size, model.theta.size - 1)[0])
    np.testing.assert_allclose(moved.energy(X), model.energy(X) + 1)
    one, other = OBJECTIVES[objective](model), OBJECTIVES[objective](moved)
    np.testing.assert_array_equal(one.per_sample, other.per_sample)
    np.testing.assert_array_equal(one.grad, other.grad)
    assert one.grad[-1] == 0


# ---- the score is a gradient ---------------------------------------------------------------------------


@each_activation
@each_depth
def test_the_score_is_minus_the_gradient_of_the_energy(hidden, activation):  # eq-15.1, eq-15.2, eq-15.3
    for model, cond in (
        (energy(hidden, activation), None),
        (energy(hidden, activation, condition=C, confinement=0.7), COND),
    ):
        gradient = complex_step_jacobian(lambda x, m=model, cond=cond: m.energy(x, cond), X)
        assert relative_error(model.score(X, cond), -gradient) < TIGHT
        for s in (model.score_vjp(X, cond)[0], model.divergence_vjp(X, cond)[0]):
            assert relative_error(s, -gradient) < TIGHT
        np.testing.assert_array_equal(model.log_density(X, cond), -model.energy(X, cond))


@each_activation
@each_depth
def test_the_jacobian_is_symmetric_and_the_laplacian_its_trace(hidden, activation):
    # eq-15.4, eq-15.5, eq-15.10
    model = energy(hidden, activation, condition=C, confinement=0.7)
    J = complex_step_jacobian(lambda x: model.score(x, COND), X)
    assert relative_error(model.jacobian(X, COND), J) < TIGHT
    asymmetry = np.abs(model.jacobian(X, COND) - model.jacobian(X, COND).transpose(0, 2, 1)).max()
    assert asymmetry <= 4 * np.finfo(float).eps * np.abs(J).max()
    trace = np.trace(J, axis1=1, axis2=2)
    for div in (model.divergence(X, COND), model.divergence_vjp(X, COND)[1]):
        assert relative_error(div, trace) < TIGHT
    forms = np.einsum("mni,nij,mnj->mn", V, J, V)
    assert relative_error(model.quadratic_form_vjp(X, V, COND)[1], forms) < TIGHT


def test_a_quadratic_energy_by_hand():
    """E = Σ wᵢ (Wx + b)ᵢ²: s = −2 Wᵀ(w ∘ (Wx + b)), ΔE = 2 Σ wᵢ ‖Wᵢ‖²."""
    model = energy((5,), "square")
    (W, b), (w, c) = model.layers
    z = X @ W.T + b
    np.testing.assert_allclose(model.energy(X), z**2 @ w[0] + c, rtol=1e-13)
    np.testing.assert_allclose(model.score(X), -2 * (w * z) @ W, rtol=1e-13)
    np.testing.assert_allclose(model.divergence(X), np.full(N, -2 * w[0] @ (W**2).sum(axis=1)), rtol=1e-13)


def circulation(score, loop, steps=400):
    """∮ s·dx around the ellipse c + A (cos, sin) by the trapezoid rule, which converges faster than any power."""
    centre, axes = loop
    angle = 2 * np.pi * np.arange(steps) / steps
    x = centre + np.column_stack([np.cos(angle), np.sin(angle)]) @ axes
    dx = np.column_stack([-np.sin(angle), np.cos(angle)]) @ axes
    return 2 * np.pi / steps * np.einsum("nd,nd->", score(x), dx)


@each_depth
def test_the_score_of_an_energy_has_no_circulation(hidden):  # eq-15.14
    rng = np.random.default_rng(3)
    loop = rng.standard_normal(D), rng.standard_normal((2, D))
    model = energy(hidden, "tanh", confinement=2.0)
    assert abs(circulation(model.score, loop)) < 1e-12
    free = ns.MLP.init((D, *hidden, D), rng=2)
    assert abs(circulation(free.score, loop)) > 5e-3  # a network with d outputs is no gradient


# ---- confinement ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", TAME)
def test_with_a_confinement_the_density_is_integrable(activation):  # eq-15.12
    """In one dimension, by quadrature: the mass outside 60 τ is 0, and E[s] = 0, E[s x] = −1 hold for s = ∇log p."""
    model = energy((6, 5), activation, d=1, confinement=1.5)
    x, step = np.linspace(-90, 90, 20_001, retstep=True)
    log_p = model.log_density(x[:, None])
    p = np.exp(log_p - log_p.max())
    p /= step * p.sum()
    assert p[[0, -1]].max() < 1e-300
    s = model.score(x[:, None])[:, 0]
    assert abs(step * p @ s) < 1e-10 and abs(step * p @ (s * x) + 1) < 1e-10
    assert abs(step * p @ (s * s + model.divergence(x[:, None]))) < 1e-9  # Fisher: E s² = −E s′


def test_without_one_a_bounded_energy_is_not_integrable():
    far = energy((6, 5), "tanh", d=1).log_density([[1e3], [1e6], [-1e3], [-1e6]])
    assert far[0] == far[1] and far[2] == far[3]  # e^{−E} tends to constants


def test_the_confinement_is_the_wrapper_with_a_minus_one_over_its_square():
    free, model = energy(), energy(confinement=0.6)
    same = FixedScaling(free, -1 / 0.6**2, 1.0, 1.0)
    for name, more in (("score_vjp", ()), ("divergence_vjp", ()), ("quadratic_form_vjp", (V,))):
        *outputs, pullback = getattr(model, name)(X, *more)
        *expected, pull_same = getattr(same, name)(X, *more)
        for one, other in zip(outputs, expected):
            assert relative_error(one, other) < 1e-15
        np.testing.assert_array_equal(pullback(*outputs), pull_same(*outputs))
    assert relative_error(model.energy(X), same.energy(X)) < 1e-15
    assert relative_error(model.jacobian(X), same.jacobian(X)) < 1e-15


# ---- the wrapper ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(5,), (5, 4)])
@pytest.mark.parametrize("form", FORMS)
def test_in_every_form_the_score_is_minus_the_gradient_of_its_energy(form, hidden):  # eq-15.12
    t = np.array([0.2, 0.7, 0.15, 0.93, 0.4, 0.6, 0.33])
    network = energy(hidden, "gelu", condition=1, confinement=0.9)
    model = DiffusionScore(network, VP(), form, sigma_data=0.6)
    gradient = complex_step_jacobian(lambda x: model.energy(x, t), X)
    assert relative_error(model.score(X, t), -gradient) < TIGHT
    np.testing.assert_array_equal(model.log_density(X, t), -model.energy(X, t))
    plain = model.at(0.4)
    np.testing.assert_allclose(plain.energy(X), model.energy(X, 0.4), rtol=1e-12)
    for objective in OBJECTIVES.values():
        loss = functools.partial(objective, cond=t)
        assert gradient_error(network, loss(model).grad, by_complex_step(loss, model)) < TIGHT


def test_a_wrapper_around_a_field_that_is_no_gradient_has_no_energy():
    with pytest.raises(TypeError, match=r"network must have an energy, as EnergyMLP has, got MLP\(3-5-3"):
        FixedScaling(ns.MLP.init((3, 5, 3), rng=0), 0.0, 1.0, 1.0).energy(X)
    with pytest.raises(ValueError, match="c must not be 0 for an energy"):
        FixedScaling(energy(), 0.0, 1.0, 0.0).energy(X)


# ---- fast and plain --------------------------------------------------------------------------------------


def ways(model, x, ddiv, ds):
    """(div, flat gradient) by the fast rules and by the plain one."""
    run = forward(model.layers, model.activation, x, order=3)
    down = descend(model.layers, run)
    for rule in (_laplacian.laplacian, laplacian_by_directions):
        div, bend = rule(model.layers, run, down)
        gradients, more = pull(model.layers, run, down, ds, bend(ddiv))
        yield div, [*more, *(part for layer in gradients for part in layer)]
    s, div, pullback = _laplacian.divergence_vjp(model.layers, run)
    assert relative_error(s, down.s) < 1e-14
    gradients, more = pullback(ds, ddiv)
    yield div, [*more, *(part for layer in gradients for part in layer)]


@pytest.mark.parametrize("numbers", [1, 45, 2**22])  # one direction at a time, a few, all
@pytest.mark.parametrize(
    "merged_from", [0.5, 100]
)  # the first step's matrices merged, or one after the other
@pytest.mark.parametrize("d", [2, 9])  # fewer than units in the first layer, and more
@pytest.mark.parametrize("hidden", [(4,), (4, 5), (5, 3, 6), (4, 5, 3, 6)])
def test_the_fast_rules_are_the_sum_over_directions(hidden, d, merged_from, numbers, monkeypatch):
    # eq-15.5, eq-15.11, eq-15.13
    monkeypatch.setattr(_laplacian, "FIRST_NUMBERS", numbers)
    monkeypatch.setattr(_laplacian, "MERGED_FROM", merged_from)
    rng = np.random.default_rng(4)
    model = energy(hidden, "silu", d=d)
    found = list(
        ways(model, rng.standard_normal((N, d)), rng.standard_normal(N), rng.standard_normal((N, d)))
    )
    assert len(found) == 3
    for div, gradients in (found[0], found[2]):
        assert relative_error(div, found[1][0]) < TIGHT
        for one, other in zip(gradients, found[1][1]):
            assert one.shape == other.shape and relative_error(one, other) < TIGHT


def test_no_more_directions_than_units_in_the_first_layer():
    assert _laplacian.directions((784, 64, 64, 1)) == 64
    assert _laplacian.directions((16, 64, 64, 1)) == 16
    assert _laplacian.directions((784, 64, 1)) == 0  # one hidden layer: none
    turned, turn_back = _laplacian.narrowed(energy((4, 4), d=9).layers[0].weight)
    assert turned.shape == (4, 4) and turn_back(turned).shape == (4, 9)


@pytest.mark.parametrize(
    "sizes, n", [((300, 200, 1), 4000), ((64, 96, 96, 1), 3000), ((8, 40, 40, 40, 1), 30_000)]
)
def test_peak_memory_is_parameters_data_and_256_MB(sizes, n):
    model = ns.EnergyMLP.init(sizes, rng=0)
    x = np.random.default_rng(1).standard_normal((n, sizes[0]))
    tracemalloc.start()
    ns.ism(model, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * x.nbytes + 4 * model.theta.nbytes + 256e6


@each_depth
def test_blocks_of_rows_change_nothing_but_rounding(hidden, monkeypatch):
    model = energy(hidden, condition=C, confinement=1.1)
    whole, E = ns.ism(model, X, WEIGHTS, COND), model.energy(X, COND)
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", 1)
    monkeypatch.setattr(rows, "FEW_ROWS", 1)
    parts = ns.ism(model, X, WEIGHTS, COND)
    np.testing.assert_allclose(parts.per_sample, whole.per_sample, rtol=1e-12)
    np.testing.assert_allclose(parts.grad, whole.grad, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(model.energy(X, COND), E, rtol=1e-13)


# ---- types -----------------------------------------------------------------------------------------------


@each_objective
@pytest.mark.parametrize("dtype, bound", [(np.float32, 3e-4), (np.longdouble, 1e-13)])
@each_depth
def test_every_result_keeps_the_floating_type(hidden, dtype, bound, objective):
    model = energy(hidden, "gelu", confinement=0.8)
    other = model.with_theta(model.theta.astype(dtype))
    of_type = [a.astype(dtype) for a in (X, TARGET, V, NOISE, SIGMA, WEIGHTS)]
    x, target, v, noise, sigma, w = of_type
    calls = {
        "esm": lambda m: ns.esm(m, x, target, w),
        "ism": lambda m: ns.ism(m, x, w),
        "ssm": lambda m: ns.ssm(m, x, v, w),
        "ssm_vr": lambda m: ns.ssm_vr(m, x, v, w),
        "dsm": lambda m: ns.dsm(m, x, noise, sigma, w),
    }
    got = calls[objective](other)
    assert got.loss.dtype == got.grad.dtype == other.energy(x).dtype == other.jacobian(x).dtype == dtype
    assert gradient_error(model, got.grad.astype(float), OBJECTIVES[objective](model).grad) < bound


@each_depth
def test_narrow_parameters_are_taken_in_the_type_of_the_rows(hidden):
    narrow = ns.EnergyMLP.init((D, *hidden, 1), rng=0, dtype=np.float32)
    wide = narrow.with_theta(narrow.theta.astype(np.float64))
    for one, other in zip(ns.ism(narrow, X), ns.ism(wide, X)):
        assert relative_error(one, other) < 1e-14


# ---- what else a model does --------------------------------------------------------------------------------


def test_at_a_condition_the_model_is_a_plain_energy():
    model = energy(condition=C, confinement=0.7)
    for row, cond in zip(X, COND):
        plain, one = model.at(cond), row[None]
        assert plain.condition == 0 and plain.sizes == model.sizes and plain.confinement == 0.7
        for name in ("energy", "score", "divergence", "log_density"):
            assert relative_error(getattr(plain, name)(one), getattr(model, name)(one, cond)) < 1e-13


def test_init_config_state_dict_files_and_pickles(tmp_path):
    model = ns.EnergyMLP.init((3, 8, 6, 1), "silu", rng=0, condition=2, confinement=3)
    assert [layer.weight.shape for layer in model.layers] == [(8, 5), (6, 8), (1, 6)] and model.d == 3
    assert model.config == {"sizes": [3, 8, 6, 1], "activation": "silu", "condition": 2, "confinement": 3.0}
    assert repr(model) == "EnergyMLP(3-8-6-1, condition=2, confinement=3, silu, 109 parameters, float64)"
    ns.save(tmp_path / "m.npz", model)
    others = [
        ns.EnergyMLP.from_config(model.config, model.theta),
        ns.load(tmp_path / "m.npz").model,
        ns.EnergyMLP.from_state_dict(model.to_state_dict(), "silu", condition=2, confinement=3),
        pickle.loads(pickle.dumps(model)),
    ]
    for other in others:
        assert type(other) is ns.EnergyMLP and other.condition == 2 and other.confinement == 3
        np.testing.assert_array_equal(other.energy(X, COND), model.energy(X, COND))
        np.testing.assert_array_equal(other.score(X, COND), model.score(X, COND))
    assert model.parts.keys() == {"W1", "b1", "W2", "b2", "W3", "b3"}
    plain = ns.EnergyMLP.init((3, 8, 1), rng=0)
    assert plain.config == {"sizes": [3, 8, 1], "activation": "tanh"} and plain.confinement is None


def test_a_diffusion_score_around_an_energy_is_saved_and_read(tmp_path):
    model = DiffusionScore(energy(condition=1, confinement=2.0), diffusion.EDM())
    ns.save(tmp_path / "m.npz", model)
    again = ns.load(tmp_path / "m.npz").model
    for other in (again, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.energy(X, 0.5), model.energy(X, 0.5))


@pytest.mark.parametrize("objective", ["ism", "ssm", "ssm-vr", "dsm"])
def test_it_is_fitted_by_every_objective(objective):
    """A Gaussian's energy is learned: the fitted score comes near −x on the data."""
    x = np.random.default_rng(0).standard_normal((600, 2))
    more = {"sigma": 0.3} if objective == "dsm" else {}
    model = ns.EnergyMLP.init((2, 24, 1), "softplus", rng=1, confinement=2.0)
    run = ns.fit(model, x, objective, steps=300, batch_size=200, learning_rate=2e-2, rng=2, **more)
    assert isinstance(run.model, ns.EnergyMLP)
    factor = 1 / (1 + 0.09) if more else 1.0
    error = ((run.model.score(x) + factor * x) ** 2).sum(axis=1).mean()
    assert error < 0.15 * (x**2).sum(axis=1).mean()


def test_sharded_is_the_whole_and_langevin_walks_it():
    model = energy(confinement=1.0)
    with ThreadPoolExecutor(2) as pool:
        shared = ns.sharded("ism", pool, [X[:3], X[3:]])
        loss, grad = shared(model)[:2]
    whole = ns.ism(model, X)
    np.testing.assert_allclose(loss, whole.loss, rtol=1e-13)
    np.testing.assert_allclose(grad, whole.grad, rtol=1e-11, atol=1e-14)
    run = ns.langevin(model.score, X, 0.01, 3, rng=0)
    again = ns.langevin(lambda x: -complex_step_jacobian(model.energy, x), X, 0.01, 3, rng=0)
    np.testing.assert_allclose(run.x, again.x, rtol=1e-10)


def test_it_is_fitted_in_diffusion_and_sampled_with_accept_or_reject():
    x = np.random.default_rng(0).standard_normal((200, D))
    model = DiffusionScore(ns.EnergyMLP.init((D, 16, 1), rng=1, condition=1), VP())
    run = ns.fit(model, x, diffusion.Denoising(VP()), steps=5, batch_size=50, rng=2)
    level = run.model.at(0.05)
    inside = ns.hmc(level.log_density, level.score, X, 0.3, 4, 5, rng=3)
    outside = ns.hmc(lambda x: level.log_density(x), lambda x: level.score(x), X, 0.3, 4, 5, rng=3)
    np.testing.assert_array_equal(inside.x, outside.x)  # past the border, the same bits
    assert (inside.x != X).any()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ns.EnergyMLP([(np.ones((1, 3)), [0.0])]), "layers must be at least one hidden layer"),
        (
            lambda: ns.EnergyMLP([(np.ones((4, 3)), np.ones(4)), (np.ones((3, 4)), np.ones(3))]),
            "and 3 outputs",
        ),
        (lambda: ns.EnergyMLP.init((3, 8, 3)), r"sizes must be d, at least one hidden width, and 1"),
        (lambda: ns.EnergyMLP.init((3, 1)), r"like \(2, 64, 64, 1\), got \(3, 1\)"),
        (lambda: energy(confinement=0), "confinement must be a finite number > 0, got 0"),
        (lambda: energy(confinement=1e-30), "confinement must be between 1e-18 and 1e\\+18, got 1e-30"),
        (lambda: energy(activation="relu"), "relu"),
        (lambda: energy().energy(np.ones((2, 4))), "x must have shape"),
        (lambda: energy(condition=2).log_density(X), "cond must have shape"),
    ],
)
def test_a_wrong_argument_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
