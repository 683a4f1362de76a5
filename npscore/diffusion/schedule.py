"""Noise schedules in continuous time: x_t = α_t x₀ + σ_t ε, and everything that follows from α_t and σ_t.

A schedule is the pair (α_t, σ_t), t growing with the noise. From it follow the drift f = (log α)′ and the
squared diffusion g² = (σ²)′ − 2 f σ² of dx = f x dt + g dW, the transition from a cleaner time s to a noisier
time t,

    x_t | x_s ~ N(r x_s, w I),   r = α_t/α_s,   w = σ_t² − r² σ_s²,

and the posterior of x_s given x_t and x₀. Each w is written so that nothing cancels: by subtraction it loses
eight digits of float32 between neighbouring steps. Every function takes numbers or arrays of t, and complex t,
for the complex step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .._run.borders import as_array

Array = np.ndarray


class Transition(NamedTuple):
    """x_t | x_s ~ N(r x_s, w I) for a noisier t and a cleaner s."""

    r: Any
    w: Any


class Posterior(NamedTuple):
    """x_s | x_t, x₀ ~ N(coef_xt x_t + coef_x0 x₀, variance I)."""

    coef_xt: Any
    coef_x0: Any
    variance: Any


class Schedule(ABC):
    """α_t and σ_t for 0 ≤ t ≤ ``t_max``, and what follows from them.

    Arguments are numbers or arrays of times and come back in their shape and floating type (integers become float64);
    complex times pass. Raises ValueError for times outside of the schedule, and where a value is infinite there.
    """

    t_max: float = 1.0

    # ---- what a schedule defines, for clean times --------------------------------------------------

    @abstractmethod
    def _alpha(self, t: Array) -> Array: ...

    @abstractmethod
    def _sigma(self, t: Array) -> Array: ...

    @abstractmethod
    def _f(self, t: Array) -> Array: ...

    @abstractmethod
    def _g2(self, t: Array) -> Array: ...

    @abstractmethod
    def _transition(self, t: Array, s: Array) -> Transition: ...

    # ---- what follows ------------------------------------------------------------------------------

    def alpha(self, t: Any) -> Any:
        """The signal's factor α_t."""
        return self._alpha(self.times(t))[()]

    def sigma(self, t: Any) -> Any:
        """The noise's standard deviation σ_t."""
        return self._sigma(self.times(t))[()]

    def f(self, t: Any) -> Any:
        """The drift's factor f = (log α_t)′; ValueError where it is infinite, at the end of a schedule with α = 0."""
        return self._f(self._with_signal(self.times(t)))[()]

    def g2(self, t: Any) -> Any:
        """The squared diffusion g² = (σ_t²)′ − 2 f σ_t² = −σ_t² (log SNR)′; ValueError where it is infinite."""
        return self._g2(self._with_signal(self.times(t)))[()]

    def log_snr(self, t: Any) -> Any:
        """log(α_t²/σ_t²), ∞ where σ_t = 0."""
        t = self.times(t)
        with np.errstate(divide="ignore"):
            return (2.0 * (np.log(self._alpha(t)) - np.log(self._sigma(t))))[()]

    def transition(self, t: Any, s: Any) -> Transition:
        """(r, w) of x_t | x_s ~ N(r x_s, w I) for times t > s, without cancellation."""
        r, w = self._transition(*self._pair(t, s))
        return Transition(r[()], w[()])

    def posterior(self, t: Any, s: Any) -> Posterior:
        """Coefficients of x_t and x₀, and the variance, of x_s given x_t and x₀, for times t > s.

        Mean (r σ_s²/σ_t²) x_t + (α_s w/σ_t²) x₀, variance β̃ = σ_s² w/σ_t².
        """
        t, s = self._pair(t, s)
        r, w = self._transition(t, s)
        ratio = (self._sigma(s) / self._sigma(t)) ** 2
        coef_x0 = self._alpha(s) * w / self._sigma(t) ** 2
        return Posterior((r * ratio)[()], coef_x0[()], (ratio * w)[()])  # eq-12.14

    def slopes(self, t: Any) -> tuple[Any, Any]:
        """α′ and σ′: the probability flow is dx/dt = α′ x̂₀ + σ′ ε̂, finite also where α = 0 for Flow and Cosine.

        ValueError where σ′ is infinite: at σ = 0 of VP, VE(exact=True) and Cosine with an offset.
        """
        t = self.times(t)
        with np.errstate(divide="ignore", invalid="ignore"):
            dalpha, dsigma = self._slopes(t)
        if not np.isfinite(dsigma).all():
            raise ValueError(
                f"t must be > 0 for the slopes of {self!r}: there σ = 0 and σ′ is infinite; start a little above"
            )
        return dalpha[()], dsigma[()]

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        f, sigma = self._f(t), self._sigma(t)
        return f * self._alpha(t), f * sigma + 0.5 * self._g2(t) / sigma  # eq-12.5

    def prior_std(self, t: Any) -> float:
        """The standard deviation π of the prior N(0, π²I) that stands for x_t at the noisy end: 1 here."""
        self.times(t)
        return 1.0

    def from_ratio(self, ratio: Any) -> Any:
        """The time at which σ/α is ``ratio`` > 0, in float64; ValueError for a ratio beyond those of [0, t_max]."""
        ratio = as_array(ratio, "ratio").astype(np.float64)
        least, most = self._ratios
        outside = (ratio <= 0) | (ratio < least) | (ratio > most)
        if outside.any():
            raise ValueError(
                f"ratio must be > 0 and in [{least:.6g}, {most:.6g}], which σ/α of {self!r} takes, "
                f"got {ratio[outside].flat[0]}"
            )
        return self._from_ratio(ratio)[()]

    def nearest(self, ratio: Any) -> Any:
        """`from_ratio`, with a ratio beyond those of the schedule taken for the nearest that it has."""
        return self._from_ratio(np.clip(as_array(ratio, "ratio"), *self._ratios))[()]

    @cached_property
    def _ratios(self) -> tuple[float, float]:
        """σ/α at the two ends."""
        with np.errstate(divide="ignore"):
            ends = [float(self._sigma(t) / self._alpha(t)) for t in np.array([0.0, self.t_max])]
        return ends[0], ends[1]

    def _from_ratio(self, ratio: Array) -> Array:
        """By bisection, where a schedule has no closed form: one of a user's own."""
        low, high = np.zeros_like(ratio), np.full_like(ratio, min(self.t_max, np.finfo(float).max))
        for _ in range(1100):  # enough for the smallest of floats
            middle = 0.5 * (low + high)
            below = self._sigma(middle) < ratio * self._alpha(middle)
            low, high = np.where(below, middle, low), np.where(below, high, middle)
            if (high <= np.nextafter(low, np.inf)).all():
                break
        return high

    # ---- the border --------------------------------------------------------------------------------

    def times(self, t: Any, name: str = "t") -> Array:
        """Clean times in [0, t_max], as an array (complex passes); ValueError naming one outside."""
        t = as_array(t, name, allow_complex=True)
        outside = (t.real < 0) | (t.real > self.t_max)
        if outside.any():
            raise ValueError(f"{name} must be in [0, {self.t_max:g}] for {self!r}, got {t[outside].flat[0]}")
        return t

    def _clean(self, t: Array) -> Array:
        """Times that have been checked, as the schedule's own functions take them."""
        return t

    def _pair(self, t: Any, s: Any) -> tuple[Array, Array]:
        t, s = self.times(t), self.times(s, "s")
        if not (t.real > s.real).all():
            raise ValueError(f"t must be > s, the noisier time first, got t = {t} and s = {s}")
        return np.broadcast_arrays(t, s)

    def _with_signal(self, t: Array) -> Array:
        if (self._alpha(t) == 0).any():
            raise ValueError(
                f"t must be < {self.t_max:g} for f and g2 of {self!r}: there α = 0 and both are infinite; "
                "start a little below"
            )
        return t

    def spec(self) -> dict[str, Any]:
        """Its name and parameters, JSON-ready: what a file and a checkpoint hold."""
        return {"schedule": type(self).__name__, **asdict(self)}
