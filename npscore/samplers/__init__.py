"""Samplers: one per file, a pure step and a run over all chains. They know a score, and no models."""

from ._chains import DivergenceError
from ._noise import Block, langevin_blocks
from .gradient_ascent import AscentResult, gradient_ascent, gradient_ascent_step
from .langevin import LangevinResult, langevin, langevin_step
from .langevin_law import LangevinLaw, langevin_law, stationary_covariance

__all__ = [
    "AscentResult",
    "Block",
    "DivergenceError",
    "LangevinLaw",
    "LangevinResult",
    "gradient_ascent",
    "gradient_ascent_step",
    "langevin",
    "langevin_blocks",
    "langevin_law",
    "langevin_step",
    "stationary_covariance",
]
