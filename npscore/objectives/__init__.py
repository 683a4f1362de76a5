"""The score-matching objectives: a value and two cotangents each, over any model's three primitives."""

from .drawn import OBJECTIVES, PROBES, draw_probes, named_objective
from .losses import LossGrad, dsm, esm, ism, ism_values, ssm, ssm_vr

__all__ = [
    "OBJECTIVES",
    "PROBES",
    "LossGrad",
    "draw_probes",
    "dsm",
    "esm",
    "ism",
    "ism_values",
    "named_objective",
    "ssm",
    "ssm_vr",
]
