"""What a fit gives back: the model, and the history of how it came about."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from ..models.base import ScoreModel

Array = np.ndarray


class History(NamedTuple):
    """A fit step by step, as arrays. Steps count from 1.

    ``step``, ``loss`` (of that step's batch, before the step; L-BFGS: after it), ``grad_norm`` (likewise, and
    before clipping) and ``learning_rate`` (L-BFGS has none: NaN) have one entry a step; ``validation_step`` and
    ``validation_loss`` (the held-out loss) one for each evaluation on the held-out rows, the first at step 0.
    """

    step: Array
    loss: Array
    grad_norm: Array
    learning_rate: Array
    validation_step: Array
    validation_loss: Array


class FitResult(NamedTuple):
    """The outcome of ``fit``.

    ``model`` is the best by held-out loss where there were held-out rows, else the last (averaged, with
    ``ema``); ``final_model`` the last either way. ``best_step`` is where ``model`` was reached,
    ``validation_loss`` its held-out loss (None before one was evaluated). ``stopped`` says why the run
    ended: "steps", "patience", "callback", "interrupted" (Ctrl-C), "not finite" (in a NonFiniteLossError), and of
    L-BFGS "converged" or "line search" (no lower loss was found along the search direction: usually the end of
    precision).
    """

    model: ScoreModel
    final_model: ScoreModel
    history: History
    best_step: int
    validation_loss: Optional[float]
    stopped: str


class NonFiniteLossError(FloatingPointError):
    """A loss, its gradient or the parameters stopped being finite.

    ``step`` says when, ``result`` holds the last good state.
    """

    def __init__(self, step: int, what: str, result: FitResult):
        super().__init__(
            f"{what} at step {step}; the model of step {result.best_step} is kept in .result "
            "(a smaller learning_rate, clip_norm, or jitter on rounded data usually helps)"
        )
        self.step, self.result = step, result
