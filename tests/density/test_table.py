"""What ``fit_table`` says of a fit is true, whatever the objective."""

import numpy as np
import pytest

import npscore as ns
from npscore.density import compare, fit_table

SETTINGS = {"hidden": (6,), "steps": 40, "learning_rate": 0.01, "rng": 4}
OBJECTIVES = {
    "ism": {},
    "ssm": {"objective": "ssm", "n_probes": 2},
    "ssm-vr": {"objective": "ssm-vr"},
    "dsm": {"objective": "dsm", "sigma": 0.3},
    "dsm object": {"objective": ns.objectives.DSM(0.3)},
    "judged by dsm": {"metric": ns.objectives.DSM(0.3)},
}


def table():
    x = np.random.default_rng(0).standard_normal((80, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]]) + 5.0
    return ns.datasets.Table(("a", "b"), x)


@pytest.mark.parametrize("case", OBJECTIVES)
def test_held_out_ism_is_held_out_ism(case):
    fitted = fit_table(table(), jitter=0, **{**SETTINGS, **OBJECTIVES[case]})
    told = fitted.stored.info["held_out_ism"]
    exact = ns.ism(fitted.run.model, fitted.validation).loss
    if (
        "sigma" in OBJECTIVES[case] or case == "dsm object"
    ):  # of the smoothed density: one draw of its noise, against the mean of many
        rows = np.repeat(fitted.validation, 400, axis=0)
        noisy = rows + 0.3 * np.random.default_rng(1).standard_normal(rows.shape)
        values = ns.ism(fitted.run.model, noisy, gradient=False).per_sample.reshape(-1, 400)
        error = values.std(axis=1).mean() / np.sqrt(len(values))
        assert abs(told - values.mean()) < 4 * error
        assert abs(fitted.run.validation_loss - values.mean()) > 40 * error  # the DSM that it was judged by
    else:
        assert told == pytest.approx(exact, rel=1e-12)
    assert (told == fitted.run.validation_loss) == (case == "ism")


def test_compare_is_of_held_out_ism_for_every_objective():
    fitted = fit_table(table(), jitter=0, **{**SETTINGS, **OBJECTIVES["ssm"]})
    found = compare(fitted, draws=1, rng=0)
    assert found.model == pytest.approx(ns.ism(fitted.run.model, fitted.validation).loss, rel=1e-12)
    assert found.gaussian == pytest.approx(ns.ism(fitted.gaussian, fitted.validation).loss, rel=1e-12)


def test_an_object_is_its_name_with_its_fields(tmp_path):
    by_name, by_object = (
        fit_table(table(), **{**SETTINGS, **OBJECTIVES[case]}) for case in ("dsm", "dsm object")
    )
    np.testing.assert_array_equal(by_name.run.model.theta, by_object.run.model.theta)
    np.testing.assert_array_equal(by_name.noise, by_object.noise)
    assert by_name.stored.info == by_object.stored.info
    np.testing.assert_array_equal(by_name.noise, 0.3)  # no jitter beside it
    ns.save(tmp_path / "m", by_object.stored.model, info=by_object.stored.info)


def test_the_warning_of_a_discrete_column_points_at_the_call():
    values = np.column_stack([np.arange(80) % 2, np.random.default_rng(0).standard_normal(80)])
    with pytest.warns(ns.datasets.RoundedDataWarning, match="column 'a' has so few values") as caught:
        fit_table(ns.datasets.Table(("a", "b"), values), **{**SETTINGS, "steps": 1})
    assert [warning.filename for warning in caught] == [__file__]
