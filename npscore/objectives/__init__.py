"""The score-matching objectives: a value and two cotangents each, over any model's three primitives."""

from .base import LossGrad, Objective
from .denoising import DSM, dsm
from .explicit import ESM, esm
from .given import FIELDS, OBJECTIVES, as_objective, named, named_objective
from .implicit import ISM, ism
from .sliced import PROBES, SSM, SSMVR, draw_probes, ssm, ssm_vr

__all__ = [
    "DSM",
    "ESM",
    "FIELDS",
    "ISM",
    "OBJECTIVES",
    "PROBES",
    "SSM",
    "SSMVR",
    "LossGrad",
    "Objective",
    "as_objective",
    "draw_probes",
    "dsm",
    "esm",
    "ism",
    "named",
    "named_objective",
    "ssm",
    "ssm_vr",
]
