"""The noise schedules in continuous time: α_t, σ_t, drift and diffusion, and transitions without cancellation.

The times of noise levels are in closed form as well. What follows from these alone stands in ``schedule``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._run.borders import as_flag, as_number
from .schedule import Array, Schedule, Transition


@dataclass(frozen=True)
class VP(Schedule):
    """Variance preserving: α = e^L, σ² = 1 − α², L = −½(β_min t + ½(β_max − β_min) t²). Song et al. 2021, eq. 33."""

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta_min", as_number(self.beta_min, "beta_min", above=0.0))
        object.__setattr__(self, "beta_max", as_number(self.beta_max, "beta_max", at_least=self.beta_min))

    def beta(self, t: Any) -> Any:
        """β(t) = β_min + (β_max − β_min) t."""
        return self._beta(self.times(t))[()]

    def _beta(self, t: Array) -> Array:
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def _log_alpha(self, t: Array) -> Array:
        return -0.5 * (self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * (t * t))  # eq-12.6

    def _log_r(self, t: Array, s: Array) -> Array:
        """L(t) − L(s), by the factor t − s that it has."""
        return -0.5 * (t - s) * (self.beta_min + 0.5 * (self.beta_max - self.beta_min) * (t + s))  # eq-12.6

    def _alpha(self, t: Array) -> Array:
        return np.exp(self._log_alpha(t))

    def _sigma(self, t: Array) -> Array:
        return np.sqrt(-np.expm1(2.0 * self._log_alpha(t)))  # eq-12.6

    def _f(self, t: Array) -> Array:
        return -0.5 * self._beta(t)

    def _g2(self, t: Array) -> Array:
        return self._beta(t)

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        alpha, half_beta = self._alpha(t), 0.5 * self._beta(t)
        return -half_beta * alpha, half_beta * alpha**2 / self._sigma(t)

    def _from_ratio(self, ratio: Array) -> Array:
        """From ∫β = log(1 + ratio²)."""
        with np.errstate(under="ignore"):
            return self._time(np.log1p(ratio * ratio))

    def _time(self, integral: Array) -> Array:
        """The t with β_min t + ½(β_max − β_min) t² = ``integral``."""
        root = np.sqrt(self.beta_min**2 + 2.0 * (self.beta_max - self.beta_min) * integral)
        return np.minimum(2.0 * integral / (self.beta_min + root), self.t_max)

    def _transition(self, t: Array, s: Array) -> Transition:
        log_r = self._log_r(t, s)
        return Transition(np.exp(log_r), -np.expm1(2.0 * log_r))  # eq-12.6


@dataclass(frozen=True)
class SubVP(VP):
    """The sub-VP SDE: α as for VP, σ = 1 − α². Song et al. 2021, eq. 35."""

    def _sigma(self, t: Array) -> Array:
        return -np.expm1(2.0 * self._log_alpha(t))  # eq-12.7

    def _g2(self, t: Array) -> Array:
        return -self._beta(t) * np.expm1(4.0 * self._log_alpha(t))  # eq-12.7

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        alpha, beta = self._alpha(t), self._beta(t)
        return -0.5 * beta * alpha, beta * alpha**2

    def _from_ratio(self, ratio: Array) -> Array:
        """From (1 − α²)/α = 2 sinh(½∫β)."""
        return self._time(2.0 * np.arcsinh(0.5 * ratio))

    def _transition(self, t: Array, s: Array) -> Transition:
        log_r = self._log_r(t, s)
        both = self._log_alpha(t) + self._log_alpha(s)
        return Transition(np.exp(log_r), np.expm1(2.0 * log_r) * np.expm1(2.0 * both))  # eq-12.7


@dataclass(frozen=True)
class VE(Schedule):
    """Variance exploding: α = 1, σ = σ_min R^t with R = σ_max/σ_min; ``exact``: σ_min √(R^(2t) − 1), which is
    0 at t = 0.

    Without ``exact`` the density at t = 0 is the data's blurred by σ_min, as Song et al. 2021, eq. 30, have
    it; f and g² are the same.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    exact: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma_min", as_number(self.sigma_min, "sigma_min", above=0.0))
        object.__setattr__(self, "sigma_max", as_number(self.sigma_max, "sigma_max", above=self.sigma_min))
        object.__setattr__(self, "exact", as_flag(self.exact, "exact"))

    @property
    def _log_R(self) -> float:
        return float(np.log(self.sigma_max / self.sigma_min))

    def _alpha(self, t: Array) -> Array:
        return np.ones_like(t)

    def _sigma(self, t: Array) -> Array:
        if self.exact:
            return self.sigma_min * np.sqrt(np.expm1(2.0 * self._log_R * t))
        return self.sigma_min * np.exp(self._log_R * t)  # eq-12.8

    def _f(self, t: Array) -> Array:
        return np.zeros_like(t)

    def _g2(self, t: Array) -> Array:
        return (2.0 * self._log_R * self.sigma_min**2) * np.exp(2.0 * self._log_R * t)  # eq-12.8

    def _from_ratio(self, ratio: Array) -> Array:
        levels = ratio / self.sigma_min
        logs = 0.5 * np.log1p(levels * levels) if self.exact else np.log(levels)
        return np.clip(logs / self._log_R, 0.0, self.t_max)

    def _transition(self, t: Array, s: Array) -> Transition:
        growth = np.expm1(2.0 * self._log_R * (t - s))  # eq-12.8
        return Transition(np.ones_like(t), self.sigma_min**2 * np.exp(2.0 * self._log_R * s) * growth)

    def prior_std(self, t: Any) -> float:
        """σ_t."""
        return float(np.real(self.sigma(t)))


@dataclass(frozen=True)
class EDM(Schedule):
    """α = 1 and σ = t: time is the noise level itself, without an end. Karras et al. 2022."""

    t_max = float("inf")

    def _alpha(self, t: Array) -> Array:
        return np.ones_like(t)

    def _sigma(self, t: Array) -> Array:
        return 1.0 * t

    def _f(self, t: Array) -> Array:
        return np.zeros_like(t)

    def _g2(self, t: Array) -> Array:
        return 2.0 * t

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        return np.zeros_like(t), np.ones_like(t)

    def _transition(self, t: Array, s: Array) -> Transition:
        return Transition(np.ones_like(t), (t - s) * (t + s))  # eq-12.9

    def prior_std(self, t: Any) -> float:
        """σ_t."""
        return float(np.real(self.sigma(t)))

    def _from_ratio(self, ratio: Array) -> Array:
        return ratio


@dataclass(frozen=True)
class Cosine(Schedule):
    """α = cos u/cos u₀ with u = ½π(t + o)/(1 + o), normalised so that α = 1 and σ = 0 at t = 0; σ² = 1 − α².

    ``offset`` is o. At t = 1 α is 0. Nichol and Dhariwal 2021, eq. 17, whose ᾱ is α² here.
    """

    offset: float = 0.008

    def __post_init__(self) -> None:
        object.__setattr__(self, "offset", as_number(self.offset, "offset", at_least=0.0))

    @property
    def _rate(self) -> float:
        """u′."""
        return 0.5 * np.pi / (1.0 + self.offset)

    @property
    def _cos_u0(self) -> float:
        return float(np.cos(self._rate * self.offset))

    def _left(self, t: Array) -> Array:
        """½π − u, which is 0 at t = 1 exactly: cos u is its sine."""
        return self._rate * (1.0 - t)

    def _alpha(self, t: Array) -> Array:
        return np.sin(self._left(t)) / self._cos_u0  # eq-12.10

    def _sigma(self, t: Array) -> Array:
        rate, two_u0 = self._rate, 2.0 * self._rate * self.offset
        return np.sqrt(np.sin(rate * t) * np.sin(rate * t + two_u0)) / self._cos_u0  # eq-12.10

    def _sine(self, t: Array) -> Array:
        """sin u, right to all digits near u = 0, as the cosine of ½π − u is not."""
        return np.sin(self._rate * (t + self.offset))

    def _f(self, t: Array) -> Array:
        return -self._rate * self._sine(t) / np.sin(self._left(t))  # eq-12.10

    def _g2(self, t: Array) -> Array:
        return -2.0 * self._f(t)

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        dalpha = -self._rate * self._sine(t) / self._cos_u0
        return dalpha, -self._alpha(t) * dalpha / self._sigma(t)

    def _from_ratio(self, ratio: Array) -> Array:
        """From the sine and cosine of u − u₀, neither by a difference, with cos u = α cos u₀."""
        u0 = self._rate * self.offset
        size = np.hypot(1.0, ratio)
        cosine = np.cos(u0) / size  # cos u
        sine = np.hypot(np.sin(u0), np.cos(u0) * ratio / size)  # sin u: sin² u = sin² u₀ + σ² cos² u₀
        both = sine * np.cos(u0) + cosine * np.sin(u0)  # sin(u + u₀)
        squared = (np.cos(u0) * ratio / size) ** 2  # sin(u − u₀) sin(u + u₀)
        turn = np.arctan2(squared / both, cosine * np.cos(u0) + sine * np.sin(u0))
        return np.minimum(turn / self._rate, self.t_max)

    def _transition(self, t: Array, s: Array) -> Transition:
        both = self._rate * (t + s + 2.0 * self.offset)  # u_t + u_s
        w = np.sin(self._rate * (t - s)) * np.sin(both) / np.sin(self._left(s)) ** 2  # eq-12.10
        return Transition(np.sin(self._left(t)) / np.sin(self._left(s)), w)


@dataclass(frozen=True)
class Flow(Schedule):
    """Straight lines: α = 1 − t, σ = t. At t = 1 α is 0. Lipman et al. 2023; Liu et al. 2023 (their t may run
    backwards)."""

    def _alpha(self, t: Array) -> Array:
        return 1.0 - t

    def _sigma(self, t: Array) -> Array:
        return 1.0 * t

    def _f(self, t: Array) -> Array:
        return -1.0 / (1.0 - t)  # eq-12.11

    def _g2(self, t: Array) -> Array:
        return 2.0 * t / (1.0 - t)  # eq-12.11

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        return -np.ones_like(t), np.ones_like(t)

    def _transition(self, t: Array, s: Array) -> Transition:
        both = (t - s) + 2.0 * s * (1.0 - t)  # t + s − 2ts, of positive terms
        w = (t - s) * both / (1.0 - s) ** 2  # eq-12.11
        return Transition((1.0 - t) / (1.0 - s), w)

    def _from_ratio(self, ratio: Array) -> Array:
        return ratio / (1.0 + ratio)
