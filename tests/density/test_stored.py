"""Samples of a stored model by MALA: of the right law, in the table's units, and refused without an energy."""

import numpy as np
import pytest

import npscore as ns
from npscore.density import fit_table, sample_table

COV = np.array([[4.0, 1.0], [1.0, 0.5]])


def stored(model):
    scale = np.sqrt(np.diag(COV))
    return ns.StoredModel(
        model, ns.datasets.Standardisation([3.0, -1.0], scale, ("a", "b")), {"curvature": 1.0}
    )


def normal(confinement=1.0):
    """An energy that is N(0, τ² I): its network is 0."""
    zero = ns.EnergyMLP.init((2, 3, 1), rng=0, confinement=confinement)
    return zero.with_theta(0 * zero.theta)


def test_mala_has_no_bias_where_langevin_has_one():
    """N(0, I) in standard units at step 0.9: Langevin's variance is 1/(1 − 0.45), MALA's is right."""
    n = 20_000
    means = {}
    for mala in (False, True):
        table, run = sample_table(stored(normal()), n, mala=mala, step=0.9, n_steps=30, rng=0)
        assert table.columns == ("a", "b") and run.n_steps == 30
        means[mala] = (((table.values - [3.0, -1.0]) / np.sqrt(np.diag(COV))) ** 2).mean(axis=0)
    assert np.abs(means[True] - 1).max() < 4.5 * np.sqrt(2 / n)
    np.testing.assert_allclose(means[False], 1 / 0.55, rtol=0.06)


def test_without_a_step_one_is_found():
    table, run = sample_table(stored(normal()), 600, mala=True, rng=1)
    assert abs(run.acceptance.mean() - 0.574) < 0.03 and len(table.values) == 600 and run.n_steps >= 100


def test_a_fitted_energy_can_be_sampled_by_mala(tmp_path):
    rows = np.random.default_rng(0).standard_normal((500, 2)) @ np.linalg.cholesky(COV).T
    settings = {"hidden": (16,), "steps": 600, "learning_rate": 0.01, "rng": 0}
    fitted = fit_table(ns.datasets.Table(("a", "b"), rows), energy=True, **settings)
    model = fitted.stored.model
    assert (
        isinstance(model, ns.EnergyMLP) and model.confinement == 1.5 and model.activation.name == "softplus"
    )
    ns.save(tmp_path / "m", model, standardisation=fitted.stored.standardisation, info=fitted.stored.info)
    table, _ = sample_table(ns.load(tmp_path / "m"), 4000, mala=True, rng=1)
    noisy = np.cov(rows.T) + np.diag((fitted.noise * fitted.stored.standardisation.scale) ** 2)
    np.testing.assert_allclose(np.cov(table.values.T) / np.sqrt(np.outer(np.diag(noisy), np.diag(noisy))),
                               noisy / np.sqrt(np.outer(np.diag(noisy), np.diag(noisy))), atol=0.15)  # fmt: skip


@pytest.mark.parametrize("kind", ["an MLP", "a linear score"])
def test_a_model_without_an_energy_is_refused_and_the_message_says_why(kind):
    model = ns.MLP.init((2, 4, 2), rng=0) if kind == "an MLP" else ns.LinearScore(-np.eye(2), np.zeros(2))
    message = (
        r"^mala must be False for .*, whose score has no energy: no proposal can be accepted or rejected by a"
    )
    with pytest.raises(ValueError, match=message):
        sample_table(stored(model), 5, mala=True)


def test_an_energy_without_a_hidden_layer_is_named():
    rows = np.random.default_rng(0).standard_normal((30, 2))
    with pytest.raises(
        ValueError, match=r"^hidden must have at least one width where energy is True, got none"
    ):
        fit_table(ns.datasets.Table(("a", "b"), rows), energy=True, hidden=(), rng=0)
