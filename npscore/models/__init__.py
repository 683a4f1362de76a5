"""Score models: one file each, every one offering the same three primitives (see ``base.ScoreModel``)."""

from .base import Layer, ScoreModel
from .linear import LinearScore, Population
from .mlp import MLP

#: The models a file can name.
MODELS = {"MLP": MLP, "LinearScore": LinearScore}

__all__ = ["MLP", "MODELS", "Layer", "LinearScore", "Population", "ScoreModel"]
