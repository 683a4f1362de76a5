"""Dequantisation in ``fit``: the noise it adds, and the warning where it should have been asked for."""

import warnings

import numpy as np
import pytest
from support.fitting_cases import QUICK, affine, data, same, small, watched

import npscore as ns
from npscore.datasets.rounding import RoundedDataWarning
from npscore.objectives import ISM


def test_jitter_is_fresh_gaussian_noise_column_by_column():
    x, seen = data(4000, 3), []
    deviations = np.array([0.5, 0.0, 0.1])
    ns.fit(affine(3), x, watched(seen), steps=2, batch_size=4000, jitter=deviations, rng=0)
    noise = []
    for batch in seen:
        order = np.argsort(batch[:, 1])  # the untouched column says which row is which
        noise.append(batch[order] - x[np.argsort(x[:, 1])])
        np.testing.assert_array_equal(noise[-1][:, 1], 0.0)
    z = np.concatenate(noise)[:, [0, 2]] / deviations[[0, 2]]  # (8000, 2), N(0, I) if all is well
    root = np.sqrt(len(z))
    assert np.abs(z.mean(axis=0) * root).max() < 4
    assert np.abs((z**2).mean(axis=0) - 1).max() < 4 * np.sqrt(2) / root
    assert np.abs((z**4).mean(axis=0) - 3).max() < 4 * np.sqrt(96) / root
    assert abs((z[:, 0] * z[:, 1]).mean() * root) < 4
    assert abs((z[:4000] * z[4000:]).mean(axis=0) * np.sqrt(4000)).max() < 4  # two batches, two draws


def test_one_jitter_is_the_same_jitter_in_every_column():
    assert same(*(ns.fit(small(), data(), jitter=j, **QUICK) for j in (0.1, [0.1, 0.1])))


def rounded(n=60):
    x = np.random.default_rng(0).standard_normal((n, 2))
    x[:, 1] = np.round(x[:, 1], 1)
    return x


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("objective", ["ism", "ssm", "ssm-vr", ISM()])
def test_rounded_data_draws_a_warning_that_names_the_column(objective, optimizer):
    settings = {**QUICK, "steps": 2, "optimizer": optimizer}
    with pytest.warns(RoundedDataWarning, match="column 'waiting'") as caught:
        ns.fit(small(), rounded(), objective, columns=["eruptions", "waiting"], **settings)
    assert len(caught) == 1 and caught[0].filename == __file__ and "eruptions" not in str(caught[0].message)
    with pytest.warns(RoundedDataWarning, match="column 'x2'"):
        ns.fit(small(), rounded(), objective, jitter=[0.1, 0.0], **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ns.fit(small(), rounded(), objective, jitter=[0.0, 0.1], **settings)


def test_denoising_brings_its_own_noise_and_draws_no_warning():
    ns.fit(small(), rounded(), "dsm", sigma=0.3, **QUICK)
    ns.fit(small(), rounded(), ns.objectives.named("mine", ns.objectives.DSM(0.3)), **QUICK)


def test_jitter_beyond_the_type_of_the_model_is_refused_by_name():
    narrow = ns.MLP.init((2, 4, 2), rng=0, dtype=np.float32)
    for jitter in (1e39, [0.1, 1e-50]):
        with pytest.raises(ValueError, match="jitter must be 0 or a number that float32 holds"):
            ns.fit(narrow, data().astype(np.float32), jitter=jitter, **QUICK)
    with pytest.raises(ValueError, match="x and jitter must have finite sums in float64"):
        ns.fit(small(), data(), jitter=1.79e308, validation=0.5, **QUICK)
