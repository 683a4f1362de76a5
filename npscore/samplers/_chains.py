"""What every run over chains shares: their states, what the score sees of them, the watch for divergence.

A chain diverges when its state stops being finite or leaves the box max|x| <= bound. Its row of ``x`` is
NaN from that step on, and stays so by itself (NaN plus anything is NaN). The score never sees that NaN:
in the copy it is given, a diverged chain stands at its starting point, so batches keep their shape, stay
finite, and a chain that is gone cannot disturb the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Optional

import numpy as np

from .._validation import (
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


class DivergenceError(FloatingPointError):
    """A chain stopped being finite or left the box max|x| <= bound, under ``on_divergence="raise"``.

    The message names the sampler, the number of chains, the step number and the step size.
    """


class Chains:
    """The states ``x`` (n, d) of n chains, moved in place by a sampler and watched after every step.

    ``x`` is private to the run, C-ordered, of x0's floating type. ``scratch`` (n, d) is what the score is
    given: ``watch`` fills it, ``score`` hands it out, and from then to the next ``watch`` it is free for the
    sampler's own use.
    """

    def __init__(
        self,
        sampler: str,
        score: Score,
        x0: Any,
        step: Any,
        n_steps: Any,
        bound: Optional[float],
        on_divergence: str,
    ):
        x0 = as_batch(x0, "x0")
        self.sampler = sampler
        self._score = as_callable(score, "score", "(n, d) -> (n, d)")
        self.step = as_positive(step, "step")
        self.n_steps = as_count(n_steps, "n_steps")
        self.on_divergence = as_choice(on_divergence, "on_divergence", ON_DIVERGENCE)
        self.bound = _ball(x0, bound)
        self.start = x0  # (n, d), only read
        self.x = np.array(x0, dtype=x0.dtype.newbyteorder("="), order="C")  # (n, d)
        self.scratch = self.x.copy()  # (n, d)
        self.view = self.x.view()  # (n, d), for callbacks
        self.view.flags.writeable = False
        self.diverged = np.zeros(len(x0), dtype=bool)  # (n,)
        self.n_diverged = 0
        self._first_divergence = 0  # step number

    def score(self) -> Array:
        """score(x) at the current states, (n, d), checked for shape and a real type; not to be written to."""
        s = self._score(self.scratch)
        return as_shaped(s, "score(x)", self.x.shape, finite=False)

    def watch(self, t: int) -> None:
        """After step t: prepare the score's copy of the states and set aside the chains that diverged."""
        seen = self.scratch
        np.copyto(seen, self.x)
        if self.n_diverged:  # keeps the cheap test below enough
            seen[self.diverged] = self.start[self.diverged]
        # Two reductions over the batch; a NaN fails both. Rows are looked at only when this fails.
        if not (seen.max() <= self.bound and seen.min() >= -self.bound):
            self._set_aside(t)

    def _set_aside(self, t: int) -> None:
        bad = ~(np.abs(self.scratch).max(axis=1) <= self.bound)  # (n,)
        self.x[bad] = np.nan
        self.scratch[bad] = self.start[bad]
        self.diverged |= bad
        self.n_diverged = int(np.count_nonzero(self.diverged))
        self._first_divergence = self._first_divergence or t
        if self.on_divergence == "raise":
            raise DivergenceError(self._story())

    def report(self) -> None:
        """One RuntimeWarning for the whole run, where chains diverged and ``on_divergence="warn"``."""
        if self.n_diverged and self.on_divergence == "warn":
            warnings.warn(self._story() + "; their rows are NaN", RuntimeWarning, stacklevel=3)

    def _story(self) -> str:
        return (
            f"{self.sampler}: {self.n_diverged} of {len(self.x)} chains diverged, the first at step "
            f"{self._first_divergence} of {self.n_steps} (not finite, or beyond max|x| = {self.bound:.3g}); step = "
            f"{self.step:g} is probably too large for this score: take a smaller one (a Gaussian of covariance "
            "Σ needs step < 2 λ_min(Σ))"
        )


def _ball(x0: Array, bound: Optional[float]) -> float:
    """The bound on max|x|: as given, or 1e6 (1 + max|x0|); within the range of the floating type."""
    largest = float(np.finfo(np.float32 if x0.dtype == np.float32 else np.float64).max)
    reach = float(np.abs(x0).max())
    if bound is None:
        return min(1e6 * (1.0 + reach), largest)
    return min(as_number(bound, "bound", above=reach), largest)


def optional_callback(callback: Any) -> Optional[Callback]:
    """None, or something to call after every step."""
    return None if callback is None else as_callable(callback, "callback", "(step number, x)")


def optional_progress(progress: Any) -> Optional[bool]:
    """None for "on a terminal", True or False."""
    return None if progress is None else as_flag(progress, "progress")
