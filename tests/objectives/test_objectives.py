"""The values of the objectives against their formulas, written out from score and Jacobian; and their weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import OBJECTIVES, cases, gradient_error, make_case, sign_vectors

import npscore as ns
from npscore.models import mlp, rows
from npscore.models._network import passes as _backprop

#: ℓ of one row from s (d,) and J (d, d): its target, its probes v (m, d), its noise and σ.
FORMULAS = {
    "esm": lambda s, J, target, v, eps, sigma: np.sum((s - target) ** 2) / 2,  # eq-2.1
    "ism": lambda s, J, target, v, eps, sigma: s @ s / 2 + np.trace(J),  # eq-2.2
    "ssm": lambda s, J, target, v, eps, sigma: np.mean([(u @ s) ** 2 / 2 + u @ J @ u for u in v]),  # eq-7.1
    "ssm_vr": lambda s, J, target, v, eps, sigma: s @ s / 2 + np.mean([u @ J @ u for u in v]),  # eq-7.2
    "dsm": lambda s, J, target, v, eps, sigma: np.sum((s + eps / sigma) ** 2) / 2,  # eq-8.1
}


def by_formula(name, case):
    """ℓ row by row, (n,)."""
    rows = zip(case.x, case.target, case.v.swapaxes(0, 1), case.noise, case.sigma)
    values = []
    for x, target, v, eps, sigma in rows:
        at = (x + sigma * eps if name == "dsm" else x)[None]
        s, J = case.model.score(at)[0], case.model.jacobian(at)[0]
        values.append(FORMULAS[name](s, J, target, v, eps, sigma))
    return np.array(values)


@pytest.mark.parametrize("name", OBJECTIVES)
@given(case=cases())
def test_per_sample_values_are_the_formulas_and_the_loss_their_weighted_sum(name, case):
    expected = by_formula(name, case)
    loss, grad, per_sample = OBJECTIVES[name](case.model, case)
    scale = max(1.0, np.abs(expected).max(), np.abs(case.model.jacobian(case.x)).max())
    np.testing.assert_allclose(per_sample, expected, rtol=1e-12, atol=1e-12 * scale)
    np.testing.assert_allclose(loss, case.weights @ expected, rtol=1e-12, atol=1e-12 * scale)
    assert grad.shape == case.model.theta.shape


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_no_weights_is_the_mean_in_the_type_of_the_data(name, dtype):
    case = make_case(0, n=7)
    cast = {field: getattr(case, field).astype(dtype) for field in ("x", "v", "target", "noise", "sigma")}
    model = case.model.with_theta(case.model.theta.astype(dtype))
    case = case._replace(model=model, weights=None, **cast)
    loss, grad, per_sample = OBJECTIVES[name](model, case)
    assert loss.dtype == grad.dtype == per_sample.dtype == dtype
    eps = np.finfo(dtype).eps
    assert abs(loss - per_sample.mean()) < 8 * eps * np.abs(per_sample).mean()
    equal = OBJECTIVES[name](model, case._replace(weights=np.full(7, 1, dtype) / dtype(7)))
    np.testing.assert_array_equal(equal.grad, grad)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_row_that_is_there_twice_counts_as_twice_its_weight(name):
    case = make_case(1, n=5)
    twice = [0, 1, 2, 2, 3, 4]
    double = case._replace(
        x=case.x[twice],
        v=case.v[:, twice],
        target=case.target[twice],
        noise=case.noise[twice],
        sigma=case.sigma[twice],
        weights=None,
    )
    single = case._replace(weights=np.array([1, 1, 2, 1, 1]) / 6)
    one, two = OBJECTIVES[name](case.model, single), OBJECTIVES[name](case.model, double)
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-13)
    assert gradient_error(case.model, one.grad, two.grad) < 1e-13


@pytest.mark.parametrize("name", OBJECTIVES)
def test_weights_are_not_normalised_and_may_be_negative(name):
    case = make_case(2)
    one = OBJECTIVES[name](case.model, case)
    scaled = OBJECTIVES[name](case.model, case._replace(weights=-3 * case.weights))
    np.testing.assert_allclose(scaled.loss, -3 * one.loss, rtol=1e-14)
    np.testing.assert_allclose(scaled.grad, -3 * one.grad, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(scaled.per_sample, one.per_sample)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_argument_is_written_to_and_no_output_aliases_one(name):
    case = make_case(3)
    arrays = [a for a in case if isinstance(a, np.ndarray)]
    before = [a.copy() for a in arrays]
    for a in arrays:
        a.setflags(write=False)
    out = OBJECTIVES[name](case.model, case)
    assert not any(np.shares_memory(o, a) for o in (out.grad, out.per_sample) for a in arrays)
    out.grad[:], out.per_sample[:] = 0, 0
    for a, copy in zip(arrays, before):
        np.testing.assert_array_equal(a, copy)


@pytest.mark.parametrize("name", ["ssm", "ssm_vr"])
def test_probes_are_averaged(name):
    case = make_case(4, m=3)
    alone = [OBJECTIVES[name](case.model, case._replace(v=v)) for v in case.v]  # (n, d) each
    together = OBJECTIVES[name](case.model, case)
    for field in ns.LossGrad._fields:
        mean = np.mean([getattr(one, field) for one in alone], axis=0)
        np.testing.assert_allclose(getattr(together, field), mean, rtol=1e-12, atol=1e-13)


@given(case=cases())
def test_all_sign_vectors_as_probes_give_implicit_score_matching_exactly(case):  # eq-7.3, eq-7.4
    signs = sign_vectors(case.model.d, len(case.x))
    exact = ns.ism(case.model, case.x, case.weights)
    scale = max(1.0, np.abs(exact.per_sample).max(), np.abs(case.model.jacobian(case.x)).max())
    for objective in (ns.ssm, ns.ssm_vr):
        sliced = objective(case.model, case.x, signs, case.weights)
        np.testing.assert_allclose(sliced.per_sample, exact.per_sample, rtol=1e-12, atol=1e-12 * scale)
        np.testing.assert_allclose(sliced.loss, exact.loss, rtol=1e-12, atol=1e-12 * scale)
        assert gradient_error(case.model, sliced.grad, exact.grad) < 1e-10


def test_in_one_dimension_a_single_sign_is_enough():
    case = make_case(5, d=1)
    signs = np.array([[1.0], [-1.0]])[np.arange(len(case.x)) % 2]
    for objective in (ns.ssm, ns.ssm_vr):
        np.testing.assert_allclose(
            objective(case.model, case.x, signs).grad, ns.ism(case.model, case.x).grad, rtol=1e-12
        )


def test_esm_takes_a_callable_or_its_values():
    case = make_case(6)
    target = ns.LinearScore(-np.eye(3), np.ones(3))
    for a, b in zip(
        ns.esm(case.model, case.x, target.score), ns.esm(case.model, case.x, target.score(case.x))
    ):
        np.testing.assert_array_equal(a, b)
    assert ns.esm(case.model, case.x, case.model.score).loss == 0.0


def test_one_sigma_is_the_same_sigma_in_every_row():
    case = make_case(7)
    one, each = (ns.dsm(case.model, case.x, case.noise, s) for s in (0.3, np.full(len(case.x), 0.3)))
    for a, b in zip(one, each):
        np.testing.assert_array_equal(a, b)


def test_dsm_is_esm_at_the_noisy_points_with_the_conditional_score():  # eq-8.1
    case = make_case(8)
    sigma = case.sigma[:, None]
    noisy = case.x + sigma * case.noise
    expected = ns.esm(case.model, noisy, -(noisy - case.x) / sigma**2, case.weights)
    actual = OBJECTIVES["dsm"](case.model, case)
    np.testing.assert_allclose(actual.loss, expected.loss, rtol=1e-12)
    assert gradient_error(case.model, actual.grad, expected.grad) < 1e-11


@given(case=cases(dimensions=st.just(2)))
def test_hutchinson_is_unbiased_over_the_circle(case):  # eq-7.3
    """Probes √2 (cos φ, sin φ) at k ≥ 3 equal angles have Σ v vᵀ/k = I, so their mean is the exact trace."""
    angles = 2 * np.pi * np.arange(5) / 5
    circle = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (5, 2)
    v = np.repeat(circle[:, None, :], len(case.x), axis=1)
    actual, expected = ns.ssm_vr(case.model, case.x, v), ns.ism(case.model, case.x)
    assert gradient_error(case.model, actual.grad, expected.grad) < 1e-10


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_an_overflowing_row_is_an_error_that_names_it(name):
    case = make_case(0, d=3, hidden=(), n=5, m=2)
    case.x[3] = 1e300
    with pytest.raises(ValueError, match=r"loss per sample must be finite, got (inf|nan) at index \(3,\)"):
        OBJECTIVES[name](case.model, case)


@pytest.mark.parametrize("block_numbers", [1, rows.BLOCK_NUMBERS])
@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_weights_too_large_for_their_rows_are_refused(name, block_numbers, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", block_numbers)
    case = make_case(0, n=5)
    with pytest.raises(ValueError, match=r"(loss|gradient) must be finite, got "):
        OBJECTIVES[name](case.model, case._replace(weights=np.full(5, 1.7e308)))


def test_noise_that_takes_x_beyond_the_range_is_refused():
    """tanh would make a finite score of an infinite point."""
    case, huge = make_case(0, d=2, n=3), np.full((3, 2), 1e308)
    with pytest.raises(ValueError, match=r"x \+ sigma \* noise must be finite, got inf at index \(0, 0\)"):
        ns.dsm(case.model, huge, huge, 1.5)


def test_a_complex_target_for_real_x_is_refused():
    case = make_case(0, d=3, hidden=(4,), n=5, m=2)
    with pytest.raises(TypeError, match="must hold real numbers"):
        ns.esm(case.model, case.x, lambda x: x * 1j)


@pytest.mark.parametrize("block_numbers", [1, 300])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_many_rows_are_summed_in_blocks_each_run_forward_once(name, block_numbers, monkeypatch):
    case = make_case(12, hidden=(5, 4), n=23, m=3)
    whole, forwards = OBJECTIVES[name](case.model, case), []
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", block_numbers)
    monkeypatch.setattr(
        mlp, "forward", lambda *a, **k: forwards.append(len(a[2])) or _backprop.forward(*a, **k)
    )
    loss, grad, per_sample = OBJECTIVES[name](case.model, case)
    assert len(forwards) > 1 and sum(forwards) == 23
    np.testing.assert_allclose(loss, whole.loss, rtol=1e-13)
    np.testing.assert_allclose(per_sample, whole.per_sample, rtol=1e-12)
    assert gradient_error(case.model, grad, whole.grad) < 1e-13


@pytest.mark.parametrize("name", OBJECTIVES)
def test_float32_rows_are_weighted_in_the_model_s_float64(name):
    """1/n is no float32: rounded to one, the loss of a float64 model was off by 5e-8."""
    case = make_case(13, n=7)
    case = case._replace(
        weights=None, **{k: getattr(case, k).astype(np.float32) for k in ("x", "noise", "v", "target")}
    )
    loss, _, per_sample = OBJECTIVES[name](case.model, case)
    np.testing.assert_allclose(loss, per_sample.astype(np.float64).mean(), rtol=1e-14)
