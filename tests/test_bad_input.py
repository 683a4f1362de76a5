"""Bad input at every public call: one TypeError or ValueError, one line, that names argument, value, expectation.

A table of bad arrays goes through every argument that is a batch of rows; then each call's own mistakes.
Samplers, ``fit``, files and data have fuller tables of their own beside their other tests.
"""

import numpy as np
import pytest
from support.bad_calls import BAD, CALLS, GAUSSIAN, LINEAR, MIXTURE, MODEL, ONES, STUDENT, V, X

import npscore as ns
from npscore import datasets, diagnostics
from npscore.models import MODELS

UNITS = datasets.Standardisation(np.zeros(3), np.ones(3))


def holding(value):
    """A (5, 3) array that is right but for one entry."""
    array = np.zeros((5, 3))
    array[2, 1] = value
    return array


#: What is no (5, 3) batch of finite numbers, and what the message says after the argument's name.
BAD_BATCHES = {
    "a vector": (np.zeros(3), ValueError, "must have", "got shape (3,)"),
    "a number": (1.0, ValueError, "must have", "got shape ()"),
    "rank four": (np.zeros((1, 1, 5, 3)), ValueError, "must have", "got shape (1, 1, 5, 3)"),
    "another d": (np.zeros((5, 2)), ValueError, "must have", "got shape (5, 2)"),
    "no rows": (np.zeros((0, 3)), ValueError, "must have", "got shape (0, 3)"),
    "no columns": (np.zeros((5, 0)), ValueError, "must have", "got shape (5, 0)"),
    "ragged": (
        [[1.0, 2.0, 3.0], [1.0]],
        TypeError,
        "must be a rectangular array of numbers",
        "got list [[1.0",
    ),
    "NaN": (holding(np.nan), ValueError, "must be finite", "got nan at index (2, 1)"),
    "infinity": (holding(-np.inf), ValueError, "must be finite", "got -inf at index (2, 1)"),
    "text": ([["a", "b", "c"]] * 5, TypeError, "must hold real numbers", "got list [['a'"),
    "digits as text": (np.full((5, 3), "1"), TypeError, "must hold real numbers", "of dtype <U1"),
    "objects": (np.full((5, 3), None), TypeError, "must hold real numbers", "of dtype object"),
    "None": (None, TypeError, "must hold real numbers", "got NoneType None"),
    "truth values": (np.ones((5, 3), bool), TypeError, "must hold real numbers", "of dtype bool"),
}

#: Every argument that is such a batch: its name, and the call.
BATCH_ARGUMENTS = {
    "MLP.score": ("x", lambda x: MODEL.score(x)),
    "MLP.divergence": ("x", lambda x: MODEL.divergence(x)),
    "MLP.jacobian": ("x", lambda x: MODEL.jacobian(x)),
    "MLP.score_vjp": ("x", lambda x: MODEL.score_vjp(x)),
    "MLP.divergence_vjp": ("x", lambda x: MODEL.divergence_vjp(x)),
    "MLP.quadratic_form_vjp": ("x", lambda x: MODEL.quadratic_form_vjp(x, V)),
    "probes": ("v", lambda v: MODEL.quadratic_form_vjp(X, v)),
    "pullback of score_vjp": ("ds", lambda ds: MODEL.score_vjp(X)[-1](ds)),
    "pullback of divergence_vjp": ("ds", lambda ds: MODEL.divergence_vjp(X)[-1](ds, ONES)),
    "pullback of quadratic_form_vjp": ("ds", lambda ds: MODEL.quadratic_form_vjp(X, V)[-1](ds, ONES)),
    "LinearScore.score": ("x", lambda x: LINEAR.score(x)),
    "esm": ("x", lambda x: ns.esm(MODEL, x, GAUSSIAN.score)),
    "esm, values": ("target_score", lambda s: ns.esm(MODEL, X, s)),
    "esm, callable": ("target_score(x)", lambda s: ns.esm(MODEL, X, lambda x: s)),
    "ism": ("x", lambda x: ns.ism(MODEL, x)),
    "ssm": ("x", lambda x: ns.ssm(MODEL, x, V)),
    "ssm, probes": ("v", lambda v: ns.ssm(MODEL, X, v)),
    "ssm_vr": ("x", lambda x: ns.ssm_vr(MODEL, x, V)),
    "ssm_vr, probes": ("v", lambda v: ns.ssm_vr(MODEL, X, v)),
    "dsm": ("x", lambda x: ns.dsm(MODEL, x, V, 0.1)),
    "dsm, noise": ("noise", lambda noise: ns.dsm(MODEL, X, noise, 0.1)),
    "Gaussian.log_prob": ("x", lambda x: GAUSSIAN.log_prob(x)),
    "GaussianMixture.score": ("x", lambda x: MIXTURE.score(x)),
    "StudentT.score_divergence": ("x", lambda x: STUDENT.score_divergence(x)),
    "langevin_step": ("z", lambda z: ns.langevin_step(GAUSSIAN.score, X, 0.1, z)),
    "langevin": ("x0", lambda x0: ns.langevin(GAUSSIAN.score, x0, 0.1, 2, rng=0)),
    "mala_step": ("z", lambda z: ns.mala_step(GAUSSIAN.log_prob, GAUSSIAN.score, X, 0.1, z, ONES)),
    "mala": ("x0", lambda x0: ns.mala(GAUSSIAN.log_prob, GAUSSIAN.score, x0, 0.1, 2, rng=0)),
    "kinetic_step": ("p", lambda p: ns.kinetic_step(GAUSSIAN.score, X, p, 0.1, 1.0, X[None])),
    "gradient_ascent": ("x0", lambda x0: ns.gradient_ascent(GAUSSIAN.score, x0, 0.1, 2)),
    "fit": ("x", lambda x: ns.fit(MODEL, x, steps=1, rng=0)),
    "fit, validation": ("validation", lambda x: ns.fit(MODEL, X, validation=x, steps=1, rng=0)),
    "energy_distance": ("y", lambda y: diagnostics.energy_distance(X, y)),
    "sliced_wasserstein": ("y", lambda y: diagnostics.sliced_wasserstein(X, y, rng=0)),
    "Standardisation.forward": ("x", lambda x: UNITS.forward(x)),
    "Standardisation.score_to_data_units": ("score", lambda s: UNITS.score_to_data_units(s)),
}


def message_of(call, *arguments, error, **named):
    with pytest.raises(error) as caught:
        call(*arguments, **named)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


#: Where such a value is no mistake, or another argument's: any d starts a chain, and validation may be a fraction.
NOT_THERE = {
    ("langevin", "another d"),
    ("mala", "another d"),
    ("gradient_ascent", "another d"),
    ("fit, validation", "a number"),
    ("fit, validation", "None"),
}


@pytest.mark.parametrize("batch", BAD_BATCHES)
@pytest.mark.parametrize("argument", BATCH_ARGUMENTS)
def test_a_bad_batch_is_named_in_every_argument(argument, batch):
    if (argument, batch) in NOT_THERE:
        return
    name, call = BATCH_ARGUMENTS[argument]
    value, error, expectation, shown = BAD_BATCHES[batch]
    message = message_of(call, value, error=error)
    assert message.startswith(f"{name} {expectation}") and shown in message


@pytest.mark.parametrize("name", CALLS)
def test_the_good_arguments_are_good(name):
    call, arguments = CALLS[name]
    call(**arguments)


@pytest.mark.parametrize(
    "name, argument, value, error, message", BAD, ids=[f"{row[0]}-{row[1]}-{i}" for i, row in enumerate(BAD)]
)
def test_a_bad_argument_is_named(name, argument, value, error, message):
    call, arguments = CALLS[name]
    assert message_of(call, error=error, **{**arguments, argument: value}).startswith(message)


@pytest.mark.parametrize(
    "cotangents, error, message",
    [
        ((X,), TypeError, "pullback takes (ds, ddiv), got 1 arguments"),
        ((X, ONES, ONES), TypeError, "pullback takes (ds, ddiv), got 3 arguments"),
        ((X, X), ValueError, "ddiv must have shape (5,), got shape (5, 3)"),
        ((X, ONES[:4]), ValueError, "ddiv must have shape (5,), got shape (4,)"),
        ((X, np.nan * ONES), ValueError, "ddiv must be finite, got nan at index (0,)"),
    ],
)
def test_a_bad_cotangent_is_named(cotangents, error, message):
    assert message_of(MODEL.divergence_vjp(X)[-1], *cotangents, error=error) == message


def test_what_save_and_load_refuse(tmp_path):
    path = tmp_path / "model.npz"
    other = datasets.Standardisation([0.0], [1.0])
    for call, error, message in (
        (
            lambda: ns.save(path, GAUSSIAN),
            TypeError,
            f"model must be one of {', '.join(MODELS)}, got Gaussian; npscore.storage.register adds "
            f"a class of your own",
        ),
        (lambda: ns.save(3, MODEL), TypeError, "path must be a file name (str or PathLike), got int 3"),
        (
            lambda: ns.save(path, MODEL, standardisation=other),
            ValueError,
            "standardisation must have d = 3, got 1",
        ),
        (lambda: ns.load(None), TypeError, "path must be a file name (str or PathLike), got NoneType None"),
    ):
        assert message_of(call, error=error) == message
    assert not path.exists()
