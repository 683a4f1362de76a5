"""Values that an argument of a public call may be given by mistake or by accident, whatever it should be."""

from __future__ import annotations

import datetime
import decimal
import fractions
import warnings

import numpy as np


class Refuses:
    """An object that does not want to be an array."""

    def __array__(self, *arguments, **named):
        raise TypeError("not an array")


#: One value of each kind that is hardly ever meant.
ODD = {
    "10**400": 10**400,
    "-10**400": -(10**400),
    "a fraction": fractions.Fraction(1, 3),
    "a huge fraction": fractions.Fraction(10**400),
    "a decimal": decimal.Decimal("0.5"),
    "a decimal NaN": decimal.Decimal("NaN"),
    "a set": {1, 2},
    "a dict": {"a": 1},
    "timedelta64": np.timedelta64(3, "D"),
    "datetime64": np.datetime64("2020"),
    "a timedelta": datetime.timedelta(1),
    "NaN": float("nan"),
    "inf": float("inf"),
    "-inf": -float("inf"),
    "None": None,
    "empty text": "",
    "text": "abc",
    "digits": "9" * 5000,
    "bytes": b"abc",
    "True": True,
    "np.True_": np.True_,
    "1j": 1j,
    "complex NaN": complex("nan"),
    "a range": range(3),
    "a function": lambda *arguments: 0,
    "a type": dict,
    "an object": object(),
    "refuses": Refuses(),
    "empty": [],
    "empty twice": [[]],
    "ragged": [[1], [1, 2]],
    "nested": [[1, [2]]],
    "huge in a list": [10**400],
    "None in a list": [None],
    "texts": ["a", "b", "c"],
    "the same text twice": ["a", "a", "b"],
    "-1": -1,
    "0": 0,
    "-0.0": -0.0,
    "5e-324": 5e-324,
    "1.7e308": 1.7e308,
    "2**63": 2**63,
    "-2**70": -(2**70),
    "int8": np.int8(3),
    "float16": np.float16(0.5),
    "longdouble": np.longdouble(10) ** 4000 if np.finfo(np.longdouble).maxexp > 2000 else 1e308,
    "no dimension": np.array(0.3),
    "an object without dimension": np.array(None),
    "Ellipsis": ...,
    "a slice": slice(3),
    "objects": np.zeros(3, "O"),
    "a memoryview": memoryview(b"abc"),
}


def variants(value):
    """The good array ``value`` at every scale, in every type, and in wrong shapes, by name."""
    v = np.asarray(value, float)
    scaled = {}
    with np.errstate(over="ignore", under="ignore"):
        for scale in (1e-323, 1e-310, 1e-200, 1e-155, 1e155, 1e200, 1e307, 1.7e308):
            scaled[f"times {scale:g}"] = np.clip(v * scale, -1.7e308, 1.7e308)
        if np.finfo(np.longdouble).maxexp > 2000:
            scaled["times 1e4000"] = v * np.longdouble(10) ** 4000
            scaled["times 1e-4000"] = v * np.longdouble(10) ** -4000
        scaled["float32, large"] = np.clip(v * 1e38, -3e38, 3e38).astype(np.float32)
        scaled["float32, small"] = (v * 1e-44).astype(np.float32)
    alternating = np.full(v.shape, 1.79e308)
    alternating.flat[::2] *= -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        types = {str(t): v.astype(t) for t in ("f2", "f4", ">f8", "O", "U", "S", "?", "c16")}
    return {
        **scaled,
        **types,
        "all the largest": np.full(v.shape, np.finfo(float).max),
        "alternately the largest": alternating,
        "all NaN": v * np.nan,
        "all inf": np.full(v.shape, np.inf),
        "all masked": np.ma.masked_array(v, mask=np.ones(v.shape, bool)),
        "none masked": np.ma.masked_array(v),
        "huge whole numbers": np.full(v.shape, 10**400, object),
        "uint64": np.full(v.shape, 2**64 - 1, np.uint64),
        "times": np.zeros(v.shape, "m8[s]"),
        "dates": np.zeros(v.shape, "M8[s]"),
        "void": np.zeros(v.shape, "V3"),
        "records": np.zeros(v.shape, [("a", float)]),
        "zeros": np.zeros(v.shape),
        "ones": np.ones(v.shape),
        "no rows": v[:0] if v.ndim else np.zeros(0),
        "one dimension more": v[None],
        "a list": v.tolist(),
        "negative": -v,
        "Fortran order": np.asfortranarray(v),
        "strided": np.repeat(v, 2, axis=-1)[..., ::2] if v.ndim else v,
    }
