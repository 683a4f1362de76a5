"""What a run reports: where its chains ended and which diverged; on the way, to a callback and the status line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array
from .._run.progress import Progress
from .step import Step

Callback = Callable[[int, Array], Any]


class Run(NamedTuple):
    """What all blocks of a run share."""

    step: Step
    n_steps: int
    recorded: range  # step numbers
    bound: float  # on max|x|
    widens: bool  # is the bound wider for a chain whose first step was long?
    stops: bool  # does a block end at its first divergence?
    floating_point_errors: dict[str, str]  # numpy.geterr() of the caller, for functions of the user

    def check(self, diverged_at: Array) -> None:
        """DivergenceError if a chain of a run that stops has diverged: the message as of the first such step."""
        if self.stops and diverged_at.any():
            first = diverged_at[diverged_at > 0].min()
            raise DivergenceError(self.message(np.where(diverged_at == first, first, 0)))

    def message(self, diverged_at: Array) -> str:
        """How many chains diverged, when, and what to do about it."""
        return (
            f"{self.step.name}: {np.count_nonzero(diverged_at)} of {len(diverged_at)} chains diverged, the first at "
            f"step {diverged_at[diverged_at > 0].min()} of {self.n_steps} (not finite, or beyond max|x| = "
            f"{self.bound:.3g}); {self.step.advice}"
        )


class Walked(NamedTuple):
    """Where a run, or some of its chains, ended."""

    state: tuple[Array, ...]  # x (n, d) first; NaN rows where diverged
    trajectory: Array  # (records, k, n, d); NaN rows where diverged
    diverged_at: Array  # (n,) number of the step at which a chain diverged, or 0
    converged: Array  # (n,) bool
    n_steps: int  # taken: fewer than asked where every chain has converged or diverged

    @property
    def diverged(self) -> Array:
        """Which chains diverged, (n,) bool."""
        return self.diverged_at > 0


class DivergenceError(FloatingPointError):
    """A chain stopped being finite or left the box max|x| <= bound, under ``on_divergence="raise"``.

    The message names the sampler, the number of chains, the step number and the step size.
    """


def report(run: Run, walked: Walked, callback: Optional[Callback], line: Progress) -> None:
    """Between steps: raise if a chain diverged that must not, call the callback, renew the status line."""
    run.check(walked.diverged_at)
    x, n_diverged = walked.state[0], np.count_nonzero(walked.diverged_at)
    if callback is not None and walked.n_steps > 0:
        shown = x.copy() if n_diverged else x.view()
        shown[walked.diverged] = np.nan
        shown.flags.writeable = False
        callback(walked.n_steps, shown)
    text = f"{n_diverged:,} diverged" if n_diverged else ""
    if run.step.converges:
        text = f"{np.count_nonzero(walked.converged):,} of {len(x):,} converged"
    line.update(walked.n_steps, text)
