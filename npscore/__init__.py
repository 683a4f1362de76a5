"""npscore: score matching in plain NumPy, every gradient derived by hand.

    import npscore as ns

    model = ns.MLP.init((2, 64, 64, 2), activation="tanh", rng=0)
    run = ns.fit(model, x, objective="ism", steps=2000, batch_size=128, rng=0)
    out = ns.langevin(run.model.score, x0, step=1e-2, n_steps=1000, rng=0)

Conventions: x is (n, d), rows are samples; s = +∇ log p; a loss is the mean over samples of a sum over
dimensions, ESM and DSM with the ½; Langevin is x + α s(x) + √(2α) z. The derivations are in derivations.md.
"""

from ._run import command as _command  # noqa: F401  (first, before anything that takes time: see there)

# isort: split
from . import activations, checks, datasets, diagnostics, diffusion, objectives, samplers, targets
from ._run.npz import FileFormatError
from ._version import __version__
from .fitting import FitResult, History, NonFiniteLossError, fit
from .fitting.sharded import sharded
from .models import MLP, EnergyMLP, LinearScore, ScoreModel
from .objectives import LossGrad, dsm, esm, ism, ssm, ssm_vr
from .samplers import (
    gradient_ascent,
    hmc,
    hmc_step,
    kinetic,
    kinetic_step,
    langevin,
    langevin_step,
    mala,
    mala_step,
)
from .storage import StoredModel, load, save

__all__ = [
    "MLP",
    "EnergyMLP",
    "FileFormatError",
    "FitResult",
    "History",
    "LinearScore",
    "LossGrad",
    "NonFiniteLossError",
    "ScoreModel",
    "StoredModel",
    "__version__",
    "activations",
    "checks",
    "datasets",
    "diagnostics",
    "diffusion",
    "dsm",
    "esm",
    "fit",
    "gradient_ascent",
    "hmc",
    "hmc_step",
    "ism",
    "kinetic",
    "kinetic_step",
    "langevin",
    "langevin_step",
    "load",
    "mala",
    "mala_step",
    "objectives",
    "samplers",
    "save",
    "sharded",
    "ssm",
    "ssm_vr",
    "targets",
]
