"""Fitting: minibatch Adam and full-batch L-BFGS, their history and their checkpoints."""

from .fit import fit
from .result import FitResult, History, NonFiniteLossError

__all__ = ["FitResult", "History", "NonFiniteLossError", "fit"]
