"""Score models: one file each, every one offering the same three primitives (see ``base.ScoreModel``)."""

from .base import ScoreModel
from .energy import EnergyMLP
from .layers import Layer
from .linear import LinearScore, Population
from .mlp import MLP
from .registry import MODELS, built, described
from .rows import dimension, sum_over_rows
from .scaled import FixedScaling, ScaledScore, Scaling
from .with_energy import WithEnergy

MODELS |= {"MLP": MLP, "LinearScore": LinearScore, "EnergyMLP": EnergyMLP, "FixedScaling": FixedScaling}

__all__ = [
    "MLP",
    "MODELS",
    "EnergyMLP",
    "FixedScaling",
    "Layer",
    "LinearScore",
    "Population",
    "ScaledScore",
    "Scaling",
    "ScoreModel",
    "WithEnergy",
    "built",
    "described",
    "dimension",
    "sum_over_rows",
]
