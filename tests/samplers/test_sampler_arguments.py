"""Every wrong argument of a sampler gives one error that names it, its value and what was expected."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.sampler_runs import curved, start

import npscore as ns


class Submits:
    """Has what an executor must have; its submit must not be called."""

    def submit(self, *job):
        raise AssertionError(job)


BAD_FOR_BOTH = [
    ({"score": None}, TypeError, "score must be a callable"),
    ({"score": 3.0}, TypeError, "score must be a callable"),
    ({"score": lambda x: x[:, :1]}, ValueError, "score(x) must have shape (5, 3), got shape (5, 1)"),
    ({"score": lambda x: x[0]}, ValueError, "score(x) must have shape (5, 3), got shape (3,)"),
    ({"score": lambda x: x.T}, ValueError, "score(x) must have shape (5, 3), got shape (3, 5)"),
    ({"score": lambda x: None}, TypeError, "score(x) must hold real numbers, got NoneType"),
    ({"score": lambda x: x > 0}, TypeError, "score(x) must hold real numbers"),
    ({"score": lambda x: x + 0j}, TypeError, "score(x) must hold real numbers"),
    ({"score": lambda x: x.astype(object)}, TypeError, "score(x) must hold real numbers"),
    ({"x0": [1.0, 2.0]}, ValueError, "x0 must have shape (n, d), got shape (2,)"),
    ({"x0": 1.0}, ValueError, "x0 must have shape (n, d)"),
    ({"x0": np.zeros((0, 2))}, ValueError, "x0 must have at least one row"),
    ({"x0": [[np.nan, 0.0]]}, ValueError, "x0 must be finite, got nan at index (0, 0)"),
    ({"x0": [[1.0, 2.0], [3.0]]}, TypeError, "x0 must be a rectangular array"),
    ({"x0": "here"}, TypeError, "x0 must hold real numbers"),
    ({"x0": [[1j]]}, TypeError, "x0 must hold real numbers"),
    ({"step": 0.0}, ValueError, "step must be a finite number > 0, got 0.0"),
    ({"step": -0.1}, ValueError, "step must be a finite number > 0, got -0.1"),
    ({"step": np.inf}, ValueError, "step must be a finite number > 0, got inf"),
    ({"step": "0.1"}, TypeError, "step must be a finite number > 0"),
    ({"step": [0.1, 0.2]}, TypeError, "step must be a finite number > 0"),
    (
        {"step": 1e300, "x0": start(dtype=np.float32)},
        ValueError,
        "step must be within the range of float32, got 1e+300",
    ),
    (
        {"step": 1e-60, "x0": start(dtype=np.float32)},
        ValueError,
        "step must be within the range of float32, got 1e-60",
    ),
    ({"step": 1.7e308}, ValueError, "step must be within the range of float64, got 1.7e+308"),
    ({"n_steps": 0}, ValueError, "n_steps must be a whole number >= 1, got 0"),
    ({"n_steps": 10.0}, TypeError, "n_steps must be a whole number >= 1"),
    ({"n_steps": True}, TypeError, "n_steps must be a whole number >= 1"),
    ({"on_divergence": "panic"}, ValueError, "on_divergence must be one of warn, raise, ignore"),
    ({"on_divergence": None}, TypeError, "on_divergence must be one of warn, raise, ignore"),
    ({"bound": 0.5, "x0": [[1.0]]}, ValueError, "bound must be a finite number > 1, got 0.5"),
    ({"bound": np.inf}, ValueError, "bound must be a finite number"),
    ({"bound": "far"}, TypeError, "bound must be a finite number"),
    ({"callback": "print"}, TypeError, "callback must be a callable"),
    ({"progress": "yes"}, TypeError, "progress must be True or False"),
    ({"progress": 1}, TypeError, "progress must be True or False"),
]
BAD = [
    *((run, *case) for run in ("langevin", "gradient_ascent") for case in BAD_FOR_BOTH),
    ("langevin", {"rng": -1}, ValueError, "rng must be a seed >= 0, got -1"),
    ("langevin", {"rng": "0"}, TypeError, "rng must be a numpy Generator"),
    ("langevin", {"burn_in": -1}, ValueError, "burn_in must be a whole number >= 0, got -1"),
    ("langevin", {"burn_in": 4}, ValueError, "burn_in must be < n_steps = 4"),
    ("langevin", {"burn_in": 1.0}, TypeError, "burn_in must be a whole number >= 0"),
    ("langevin", {"record_every": 0}, ValueError, "record_every must be a whole number >= 1, got 0"),
    ("langevin", {"record_every": 5}, ValueError, "record_every must be <= n_steps - burn_in = 4, got 5"),
    (
        "langevin",
        {"record_every": 2, "burn_in": 3},
        ValueError,
        "record_every must be <= n_steps - burn_in = 1",
    ),
    ("langevin", {"workers": 0}, ValueError, "workers must be a whole number >= 1, got 0"),
    ("langevin", {"workers": 1.5}, TypeError, "workers must be a whole number >= 1"),
    ("langevin", {"workers": None}, TypeError, "workers must be a whole number >= 1"),
    ("langevin", {"executor": 4}, TypeError, "executor must be None or an executor with a submit method"),
    ("langevin", {"executor": ThreadPoolExecutor}, TypeError, "executor must be None or an executor with"),
    ("langevin", {"executor": Submits(), "workers": 2}, ValueError, "workers must be 1 where an executor is"),
    (
        "langevin",
        {"executor": Submits(), "callback": print},
        ValueError,
        "callback must be None with an executor",
    ),
    ("langevin_blocks", {"n": 0}, ValueError, "n must be a whole number >= 1, got 0"),
    ("langevin_blocks", {"d": 2.0}, TypeError, "d must be a whole number >= 1"),
    ("langevin_blocks", {"rng": -1}, ValueError, "rng must be a seed >= 0, got -1"),
    ("gradient_ascent", {"tol": -1e-9}, ValueError, "tol must be a finite number >= 0"),
    ("gradient_ascent", {"tol": np.nan}, ValueError, "tol must be a finite number >= 0"),
    ("gradient_ascent", {"tol": None}, TypeError, "tol must be a finite number >= 0"),
    ("langevin_step", {"z": start(n=4)}, ValueError, "z must have shape (5, 3), got shape (4, 3)"),
    ("langevin_step", {"z": start() + 0j}, TypeError, "z must hold real numbers"),
    ("langevin_step", {"z": np.full((5, 3), np.nan)}, ValueError, "z must be finite"),
]
BAD_FOR_STEPS = [
    ({"score": "s"}, TypeError, "score must be a callable"),
    ({"score": lambda x: x / 0.0}, ValueError, "score(x) must be finite"),
    ({"score": lambda x: x + 0j}, TypeError, "score(x) must hold real numbers"),
    ({"score": lambda x: x.sum()}, ValueError, "score(x) must have shape (5, 3), got shape ()"),
    ({"x": [1.0]}, ValueError, "x must have shape (n, d)"),
    ({"x": [[np.inf]]}, ValueError, "x must be finite"),
    ({"step": 0}, ValueError, "step must be a finite number > 0"),
    (
        {"step": 1e300, "x": start(dtype=np.float32)},
        ValueError,
        "step must be within the range of float32, got 1e+300",
    ),
]
BAD += [(step, *case) for step in ("langevin_step", "gradient_ascent_step") for case in BAD_FOR_STEPS]
GOOD = {
    "langevin": {"score": curved, "x0": start(), "step": 0.1, "n_steps": 4},
    "gradient_ascent": {"score": curved, "x0": start(), "step": 0.1, "n_steps": 4},
    "langevin_blocks": {"n": 5, "d": 3, "rng": 0},
    "langevin_step": {"score": curved, "x": start(), "step": 0.1, "z": start()},
    "gradient_ascent_step": {"score": curved, "x": start(), "step": 0.1},
}


@pytest.mark.parametrize("function, wrong, error, message", BAD)
def test_a_wrong_argument_is_named_with_its_value_and_what_was_expected(function, wrong, error, message):
    with np.errstate(all="ignore"), pytest.raises(error, match="^" + re.escape(message)):
        getattr(ns.samplers, function)(**{**GOOD[function], **wrong})
