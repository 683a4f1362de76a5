"""Samplers: one per file, a pure step and what moves chains by it. They know callables, no models and no targets.

`step` says what a new sampler provides; `run` walks all of them over chains.
"""

from .blocks import Block, langevin_blocks
from .gradient_ascent import AscentResult, gradient_ascent, gradient_ascent_step
from .hmc import MetropolisResult, hmc, mala
from .kinetic import KineticResult, kinetic, kinetic_step
from .kinetic_law import KineticLaw, kinetic_law
from .langevin import LangevinResult, langevin, langevin_step
from .langevin_law import LangevinLaw, langevin_law, stationary_covariance
from .metropolis import Here, Move, hmc_step, mala_step
from .reports import DivergenceError
from .tuning import Tuned, tune_step

__all__ = [
    "AscentResult",
    "Block",
    "DivergenceError",
    "Here",
    "KineticLaw",
    "KineticResult",
    "LangevinLaw",
    "LangevinResult",
    "MetropolisResult",
    "Move",
    "Tuned",
    "gradient_ascent",
    "gradient_ascent_step",
    "hmc",
    "hmc_step",
    "kinetic",
    "kinetic_law",
    "kinetic_step",
    "langevin",
    "langevin_blocks",
    "langevin_law",
    "langevin_step",
    "mala",
    "mala_step",
    "stationary_covariance",
    "tune_step",
]
