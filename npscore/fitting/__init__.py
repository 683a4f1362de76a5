"""Fitting: minibatch Adam and full-batch L-BFGS, their history and their checkpoints."""

from .adam import Adam
from .checkpoint import Checkpoint, CheckpointWarning
from .fit import fit
from .lbfgs import LBFGS
from .result import FitResult, History, NonFiniteLossError
from .run import Optimizer, Run
from .sharded import sharded

__all__ = [
    "LBFGS",
    "Adam",
    "Checkpoint",
    "CheckpointWarning",
    "FitResult",
    "History",
    "NonFiniteLossError",
    "Optimizer",
    "Run",
    "fit",
    "sharded",
]
