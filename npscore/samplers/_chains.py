"""What every run over chains shares: their states, what the score sees of them, the watch for divergence.

A chain diverges when its state stops being finite or leaves the box max|x| <= bound. Its row of ``x`` is
NaN from that step on, and stays so by itself (NaN plus anything is NaN). The score never sees that NaN:
in the copy it is given, a diverged chain stands at its starting point, so batches keep their shape, stay
finite, and a chain that is gone cannot disturb the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import (
    Array,
    as_batch,
    as_callable,
    as_choice,
    as_count,
    as_flag,
    as_number,
    as_positive,
    as_shaped,
)

Score = Callable[[Array], Any]
Callback = Callable[[int, Array], Any]

ON_DIVERGENCE = ("warn", "raise", "ignore")
LARGEST = float(np.finfo(np.float64).max)


class DivergenceError(FloatingPointError):
    """A chain stopped being finite or left the box max|x| <= bound, under ``on_divergence="raise"``.

    The message names the sampler, the number of chains, the step number and the step size.
    """


class Setting(NamedTuple):
    """What a run was asked to do, checked."""

    sampler: str
    score: Score
    x0: Array  # (n, d), only read
    step: float
    n_steps: int
    bound: float
    on_divergence: str

    def check(self, gone: Array) -> None:
        """DivergenceError under ``on_divergence="raise"`` if a chain is gone: the story as of the first such step."""
        if self.on_divergence == "raise" and gone.any():
            first = gone[gone > 0].min()
            raise DivergenceError(self._story(np.where(gone == first, gone, 0)))

    def report(self, gone: Array) -> None:
        """One RuntimeWarning for the whole run, where chains diverged and ``on_divergence="warn"``."""
        if self.on_divergence == "warn" and gone.any():
            warnings.warn(self._story(gone) + "; their rows are NaN", RuntimeWarning, stacklevel=3)

    def _story(self, gone: Array) -> str:
        return (
            f"{self.sampler}: {np.count_nonzero(gone)} of {len(gone)} chains diverged, the first at step "
            f"{gone[gone > 0].min()} of {self.n_steps} (not finite, or beyond max|x| = {self.bound:.3g}); step = "
            f"{self.step:g} is probably too large for this score: take a smaller one (a Gaussian of covariance "
            "Σ needs step < 2 λ_min(Σ))"
        )


def checked_setting(
    sampler: str, score: Any, x0: Any, step: Any, n_steps: Any, bound: Any, on_divergence: Any
) -> Setting:
    """The arguments that all samplers share; TypeError or ValueError naming the wrong one."""
    x0 = as_batch(x0, "x0")
    return Setting(
        sampler,
        as_callable(score, "score", "(n, d) -> (n, d)"),
        x0,
        as_positive(step, "step"),
        as_count(n_steps, "n_steps"),
        _ball(x0, bound),
        as_choice(on_divergence, "on_divergence", ON_DIVERGENCE),
    )


class Chains:
    """The states ``x`` (n, d) of n chains, moved in place by a sampler and watched after every step.

    ``gone`` (n,) holds the number of the step at which a chain diverged, 0 for those that have not. ``scratch``
    (n, d) is what the score is given: ``watch`` fills it, ``score`` hands it out, and from then to the next
    ``watch`` it is free for the sampler's own use.
    """

    def __init__(self, score: Score, start: Array, x: Array, gone: Array, bound: float):
        self._score, self.start, self.x, self.gone, self.bound = score, start, x, gone, bound
        self._safe = min(0.5 * bound * bound, LARGEST)
        self._lost = np.flatnonzero(gone)  # rows
        self.scratch = np.empty_like(x)  # (n, d)
        self._flat = self.scratch.reshape(-1)  # (n d,)
        self._show()

    @property
    def diverged(self) -> Array:
        """Which chains are gone, (n,) bool."""
        return self.gone > 0

    @property
    def n_diverged(self) -> int:
        """How many chains are gone."""
        return self._lost.size

    def score(self) -> Array:
        """score(x) at the current states, (n, d), checked for shape and a real type; not to be written to."""
        s = self._score(self.scratch)
        if type(s) is np.ndarray and s.dtype == self.x.dtype and s.shape == self.x.shape:
            return s
        return as_shaped(s, "score(x)", self.x.shape, finite=False)

    def watch(self, t: int) -> bool:
        """After step t: prepare the score's copy of the states, set aside the chains that diverged; any new?"""
        self._show()
        # One product over the batch: x·x <= bound²/2 keeps every |x| below the bound, and a NaN fails it.
        # Single entries are looked at only where this fails.
        if float(self._flat.dot(self._flat)) <= self._safe:
            return False
        bad = ~(np.abs(self.scratch).max(axis=1) <= self.bound)  # (n,)
        self.gone[bad] = t
        self.x[bad] = np.nan
        self.scratch[bad] = self.start[bad]
        self._lost = np.flatnonzero(self.gone)
        return bool(bad.any())

    def _show(self) -> None:
        np.copyto(self.scratch, self.x)
        if self._lost.size:  # keeps the cheap test enough
            self.scratch[self._lost] = self.start[self._lost]


def _ball(x0: Array, bound: Optional[float]) -> float:
    """The bound on max|x|: as given, or 1e6 (1 + max|x0|); within the range of the floating type."""
    largest = float(np.finfo(np.float32).max) if x0.dtype == np.float32 else LARGEST
    reach = float(np.abs(x0).max())
    if bound is None:
        return min(1e6 * (1.0 + reach), largest)
    return min(as_number(bound, "bound", above=reach), largest)


def states_from(x0: Array) -> Array:
    """A copy of x0 for a run to move, (n, d), C-ordered, of x0's floating type."""
    return np.array(x0, dtype=x0.dtype.newbyteorder("="), order="C")


def read_only(x: Array) -> Array:
    """The same memory, for callbacks."""
    view = x.view()
    view.flags.writeable = False
    return view


def optional_callback(callback: Any) -> Optional[Callback]:
    """None, or something to call after every step."""
    return None if callback is None else as_callable(callback, "callback", "(step number, x)")


def optional_progress(progress: Any) -> Optional[bool]:
    """None for "on a terminal", True or False."""
    return None if progress is None else as_flag(progress, "progress")
