"""Samplers: one per file, a pure step and what moves chains by it. They know callables, no models and no targets.

`step` says what a new sampler provides; `run` walks all of them over chains.
"""

from .blocks import Block, langevin_blocks
from .gradient_ascent import AscentResult, gradient_ascent, gradient_ascent_step
from .langevin import LangevinResult, langevin, langevin_step
from .langevin_law import LangevinLaw, langevin_law, stationary_covariance
from .reports import DivergenceError

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
