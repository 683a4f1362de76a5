"""Score models: one file each, every one offering the same three primitives (see ``base.ScoreModel``)."""

from .base import ScoreModel
from .layers import Layer
from .linear import LinearScore, Population
from .mlp import MLP
from .rows import dimension, sum_over_rows

#: The models a file can name.
MODELS = {"MLP": MLP, "LinearScore": LinearScore}

__all__ = ["MLP", "MODELS", "Layer", "LinearScore", "Population", "ScoreModel", "dimension", "sum_over_rows"]
