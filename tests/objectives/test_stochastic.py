"""Objectives that draw: the probes' laws, and that a drawn objective is the pure one on those draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import dimensions, network, seeds

import npscore as ns
from npscore.objectives import OBJECTIVES, PROBES, draw_probes, named_objective

TYPES = (np.float32, np.float64, np.longdouble)


def second_moment_z(v):
    """How many standard errors the mean of v vᵀ is away from I, the worst entry; v is (n, d)."""
    products = v[:, :, None] * v[:, None, :]  # (n, d, d)
    error = products.std(axis=0) / np.sqrt(len(v))
    gap = np.abs(products.mean(axis=0) - np.eye(v.shape[1]))
    return (gap / np.maximum(error, 1e-12)).max()


@pytest.mark.parametrize("law", PROBES)
@pytest.mark.parametrize("d", [2, 3, 5])
def test_probes_have_the_identity_as_second_moment(law, d):
    v = draw_probes((40_000, d), law, np.random.default_rng(7), np.float64)
    assert second_moment_z(v) < 4.5  # eq-7.3
    assert np.abs(v.mean(axis=0) * np.sqrt(len(v))).max() < 4.5
    assert second_moment_z(v / np.sqrt((v * v).sum(axis=1, keepdims=True))) > 30  # the unit sphere: I/d
    assert second_moment_z(1.05 * v) > 10
    assert second_moment_z(np.abs(v)) > 30


@given(seeds, st.integers(1, 3), st.integers(1, 5), dimensions)
def test_rademacher_probes_are_signs(seed, m, n, d):
    v = draw_probes((m, n, d), "rademacher", np.random.default_rng(seed))
    assert v.shape == (m, n, d) and v.dtype == np.float64
    np.testing.assert_array_equal(np.abs(v), 1.0)


def test_every_sign_vector_is_equally_likely():
    v = draw_probes((80_000, 3), "rademacher", np.random.default_rng(3))
    counts = np.bincount(((v > 0) @ [1, 2, 4]).astype(int), minlength=8)
    chi_square = ((counts - 10_000) ** 2 / 10_000).sum()
    assert chi_square < 24.3  # P(χ²₇ > 24.3) = 1e-3


@given(seeds, st.integers(1, 3), st.integers(1, 5), st.integers(1, 7))
def test_spherical_probes_have_squared_norm_d(seed, m, n, d):
    v = draw_probes((m, n, d), "spherical", np.random.default_rng(seed))
    np.testing.assert_allclose((v * v).sum(axis=-1), d, rtol=4 * np.finfo(float).eps)


@pytest.mark.parametrize("law, kurtosis", [("rademacher", 1.0), ("gaussian", 3.0), ("spherical", 3 * 4 / 6)])
def test_the_fourth_moment_tells_the_laws_apart(law, kurtosis):
    """E v₁⁴ is 1 for signs, 3 for a Gaussian and 3d/(d+2) on the sphere of radius √d; here d = 4."""
    fourth = draw_probes((40_000, 4), law, np.random.default_rng(5))[:, 0] ** 4
    error = max(fourth.std() / np.sqrt(len(fourth)), 1e-12)
    assert abs(fourth.mean() - kurtosis) < 4 * error


@pytest.mark.parametrize("law", PROBES)
@pytest.mark.parametrize("dtype", TYPES)
def test_probes_come_in_the_type_asked_for_and_from_the_generator_given(law, dtype):
    v = draw_probes((2, 4, 3), law, np.random.default_rng(1), dtype)
    assert v.dtype == dtype
    np.testing.assert_array_equal(
        v, draw_probes((2, 4, 3), law, np.random.default_rng(1), np.float64).astype(dtype)
    )
    assert (v != draw_probes((2, 4, 3), law, np.random.default_rng(2), dtype)).any()


def pure(name, model, batch, twin, m, law):
    """The pure objective on what a twin of the generator draws."""
    if name == "ism":
        return ns.ism(model, batch)
    if name == "dsm":
        return ns.dsm(model, batch, twin.standard_normal(batch.shape).astype(batch.dtype), 0.4)
    v = draw_probes((m, *batch.shape), law, twin, batch.dtype)
    return (ns.ssm if name == "ssm" else ns.ssm_vr)(model, batch, v)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("law, m", [("rademacher", 1), ("gaussian", 3), ("spherical", 2)])
def test_a_drawn_objective_is_the_pure_one_on_its_draws(name, law, m, dtype):
    rng = np.random.default_rng(11)
    model = network(rng, 3, (5, 4))
    model = model.with_theta(model.theta.astype(dtype))
    batch = rng.standard_normal((7, 3)).astype(dtype)
    batch.setflags(write=False)
    objective = named_objective(name, sigma=0.4 if name == "dsm" else None, n_probes=m, probe=law)
    drawn, twin = np.random.default_rng(5), np.random.default_rng(5)
    got, want = objective(model, batch, drawn), pure(name, model, batch, twin, m, law)
    for a, b in zip(got, want):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == dtype
    assert drawn.bit_generator.state == twin.bit_generator.state
    fresh = objective(model, batch, drawn)
    assert (fresh.loss == got.loss) == (name == "ism")  # new draws each time, none for the exact trace


@pytest.mark.parametrize("law", ["rademacher", "spherical"])
@pytest.mark.parametrize("name", ["ssm", "ssm-vr"])
def test_in_one_dimension_slicing_is_exact(name, law):
    """v² = 1: ½(vs)² + v J v = ½s² + J."""
    rng = np.random.default_rng(2)
    model, batch = network(rng, 1, (4, 3)), rng.standard_normal((6, 1))
    got, want = named_objective(name, probe=law)(model, batch, rng), ns.ism(model, batch)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"name": "esm"}, ValueError, "objective must be one of ism, ssm, ssm-vr, dsm, got 'esm'"),
        ({"name": None}, TypeError, "objective must be one of"),
        ({"name": "ism", "sigma": 0.1}, ValueError, "sigma must be None unless objective is 'dsm', got 0.1"),
        ({"name": "dsm"}, TypeError, "sigma must be a finite number > 0, got NoneType"),
        ({"name": "dsm", "sigma": 0.0}, ValueError, "sigma must be a finite number > 0, got 0.0"),
        ({"name": "dsm", "sigma": np.inf}, ValueError, "sigma must be a finite number > 0, got inf"),
        ({"name": "dsm", "sigma": [0.1]}, TypeError, "sigma must be"),
        ({"name": "ssm", "n_probes": 0}, ValueError, "n_probes must be a whole number >= 1, got 0"),
        ({"name": "ssm", "n_probes": 1.0}, TypeError, "n_probes must be a whole number"),
        (
            {"name": "ssm", "probe": "uniform"},
            ValueError,
            "probe must be one of rademacher, gaussian, spherical",
        ),
        ({"name": "ism", "probe": 3}, TypeError, "probe must be one of"),
    ],
)
def test_bad_choices_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        named_objective(**arguments)
