"""Values that nobody meant, for every argument of every public call: what ``test_attacks.py`` tries one after another.

``ODD`` are wrong kinds of things and numbers beyond every type; ``extremes`` are arrays of the right shape at the
ends of the range of floats. ``MORE_CALLS`` are public calls beside those of ``bad_calls.CALLS``, with good arguments.
"""

from __future__ import annotations

import contextlib
import decimal
import fractions

import numpy as np
from support.bad_calls import EYE, GAUSSIAN, LINEAR, MIXTURE, MODEL, STUDENT, ZEROS, V, X

import npscore as ns
from npscore import datasets, density, diagnostics, fitting, objectives, samplers

__all__ = ["MORE_CALLS", "ODD", "extremes"]


class Mute:
    """An object that refuses to be shown."""

    def __repr__(self):
        raise RuntimeError("no repr")


class Foreign:
    """An array of another library that refuses to be one of NumPy's, in its own way."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("it requires grad")


ODD = {
    "a large int": 10**400,
    "a large negative int": -(10**400),
    "an int too long to print": 10**5000,
    "a large fraction": fractions.Fraction(10**400),
    "a decimal": decimal.Decimal(1),
    "beyond words": 2**63 + 2**62,
    "true": True,
    "none": None,
    "text": "1",
    "bytes": b"1",
    "a list": [1],
    "a list of a large int": [10**400],
    "a list of one too long to print": [10**5000],
    "a deep list": [[[[[[[[1]]]]]]]],
    "a set": {1},
    "a frozen set": frozenset("a"),
    "a mapping": {},
    "a type": dict,
    "mute": Mute(),
    "mute in a list": [Mute()],
    "foreign": Foreign(),
    "a time difference": np.timedelta64(1, "D"),
    "seconds": np.timedelta64(1, "s"),
    "a date": np.datetime64("2020"),
    "masked": np.ma.masked,
    "an empty array": np.array([]),
    "an array of no sides": np.array("x"),
    "complex": 1j,
    "nan": np.nan,
    "infinite": np.inf,
    "beyond float64": np.finfo(np.longdouble).max,
}


def extremes(good):
    """Arrays like ``good``, (label, value), whose entries are finite and as large or small as they can be."""
    good = np.asarray(good, dtype=float)
    sign = np.where(good < 0, -1.0, 1.0)
    for dtype in (np.float32, np.float64, np.longdouble):
        info = np.finfo(dtype)
        yield f"largest {info.dtype}", sign.astype(dtype) * info.max
        yield f"smallest {info.dtype}", sign.astype(dtype) * info.smallest_subnormal
    for power in (300, 200, 155, -155, -200, -300):
        yield f"1e{power}", (good if good.any() else sign) * 10.0**power
    odd = np.arange(good.size).reshape(good.shape) % 2 == 1
    yield "mixed", np.where(odd, 1e308, 1e-308)
    yield "large ints", np.full(good.shape, 2**63, np.uint64)


UNITS = datasets.Standardisation(ZEROS, np.ones(3))
TABLE = datasets.Table(("a", "b", "c"), X)
STORED = ns.StoredModel(LINEAR, None, {})
RUN = {"steps": 1, "hidden": (2,), "jitter": 0.1, "validation": 0.4, "rng": 0}


MORE_CALLS = {
    "MLP.score": (MODEL.score, {"x": X}),
    "MLP.divergence": (MODEL.divergence, {"x": X}),
    "MLP.jacobian": (MODEL.jacobian, {"x": X}),
    "MLP.score_vjp": (MODEL.score_vjp, {"x": X}),
    "MLP.divergence_vjp": (MODEL.divergence_vjp, {"x": X}),
    "LinearScore.score": (LINEAR.score, {"x": X}),
    **{
        f"{type(target).__name__}.{method}": (getattr(target, method), {"x": X})
        for target in (GAUSSIAN, MIXTURE, STUDENT)
        for method in ("log_prob", "score", "score_divergence")
    },
    "StudentT.sample": (STUDENT.sample, {"n": 2, "rng": 0}),
    "GaussianMixture.quadrature": (MIXTURE.quadrature, {"order": 4}),
    "langevin_law": (
        samplers.langevin_law,
        {"mean": ZEROS, "cov": EYE, "mean0": ZEROS, "cov0": EYE, "step": 0.1, "n_steps": 3},
    ),
    "langevin_blocks": (samplers.langevin_blocks, {"n": 3, "d": 2, "rng": 0}),
    "objectives.DSM": (objectives.DSM, {"sigma": 0.1}),
    "objectives.ESM": (objectives.ESM, {"target_score": GAUSSIAN.score}),
    "objectives.SSM": (objectives.SSM, {"n_probes": 1, "probe": "gaussian"}),
    "objectives.SSMVR": (objectives.SSMVR, {"n_probes": 1, "probe": "gaussian"}),
    "objectives.named": (objectives.named, {"name": "mine", "objective": objectives.ISM()}),
    "fit with settings": (
        ns.fit,
        {
            "model": MODEL,
            "x": X,
            "objective": "dsm",
            "sigma": 0.1,
            "steps": 1,
            "batch_size": 3,
            "rng": 0,
            "optimizer": "adam",
            "validation": V,
            "patience": 2,
            "learning_rate": 0.1,
            "clip_norm": 1.0,
            "weight_decay": 0.1,
            "ema": 0.5,
            "jitter": 0.1,
            "validate_every": 1,
            "callback": lambda step, loss, model: None,
        },
    ),
    "fitting.Adam": (fitting.Adam, {"learning_rate": 0.1, "schedule": "cosine", "clip_norm": 1.0}),
    "fitting.LBFGS": (fitting.LBFGS, {"memory": 3, "tolerance": 1e-3}),
    "split_rhat, scaled": (diagnostics.split_rhat, {"trajectory": np.stack([X, V, -V, -X])}),
    "Table": (datasets.Table, {"columns": ("a", "b", "c"), "values": X}),
    "Table.select": (TABLE.select, {"columns": ["a"]}),
    "Standardisation": (
        datasets.Standardisation,
        {"mean": ZEROS, "scale": np.ones(3), "columns": ("a", "b", "c")},
    ),
    "Standardisation.forward": (UNITS.forward, {"x": X}),
    "Standardisation.inverse": (UNITS.inverse, {"u": X}),
    "Standardisation.score_to_data_units": (UNITS.score_to_data_units, {"score": X}),
    "rounding_report": (datasets.rounding_report, {"values": X, "columns": ["a", "b", "c"]}),
    "suggested_jitter": (datasets.suggested_jitter, {"values": X}),
    "comb_ripple": (datasets.comb_ripple, {"jitter": 0.1, "resolution": 1.0}),
    "fit_table": (density.fit_table, {"table": TABLE, "activation": "tanh", "objective": "ism", **RUN}),
    "sample_table": (
        density.sample_table,
        {"stored": STORED, "n": 2, "start": TABLE, "step": 0.1, "n_steps": 2, "rng": 0},
    ),
    "load": (lambda path: _refused_or_absent(ns.load, path), {"path": "/absent"}),
    "read_csv": (lambda path: _refused_or_absent(datasets.read_csv, path), {"path": "/absent"}),
    "save": (
        lambda **given: _refused_or_absent(ns.save, **given),
        {"path": "/absent/file", "model": MODEL, "standardisation": UNITS, "info": {}},
    ),
    "write_csv": (
        lambda **given: _refused_or_absent(datasets.write_csv, **given),
        {"path": "/absent/file", "table": TABLE, "digits": 3},
    ),
}


def _refused_or_absent(call, *arguments, **given):
    """The call, for which a file that is not there is as good as one that is."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        call(*arguments, **given)
