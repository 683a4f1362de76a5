"""Noise schedules of T steps (DDPM's), and the lists of numbers that people make them and their grids from."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._run.borders import as_array, as_count, as_flag, as_number
from .schedule import Array, Schedule, Transition
from .schedules import Cosine


class Discrete(Schedule):
    """DDPM's schedule of T steps with variances β₁ … β_T: α_t = ∏ √(1 − β_i), σ_t² = 1 − α_t², at t = 0, 1, …, T.

    Index 0 is clean data, α₀ = 1 and σ₀ = 0: t here is the index of OpenAI's code and of diffusers plus one.
    ``beta`` is (T,), each in (0, 1). Times are whole numbers. There is no f or g².
    Sums of log(1 − β) are formed, not products, and w over (s, t] from the sum over (s, t].
    Source: Ho, Jain and Abbeel 2020, eq. 2 and 4.
    """

    def __init__(self, beta: Any):
        beta = as_array(beta, "beta")
        if beta.ndim != 1 or beta.size == 0:
            raise ValueError(f"beta must have shape (T,), got shape {beta.shape}")
        if not ((beta > 0) & (beta < 1)).all():
            at = int(np.argmin((beta > 0) & (beta < 1)))
            raise ValueError(f"beta must be in (0, 1), got {beta[at]} at step {at + 1}")
        self.beta = beta.astype(np.promote_types(beta.dtype, np.float64))
        self.beta.setflags(write=False)
        self.t_max = len(beta)
        self._logs = np.append(np.log1p(-self.beta), 0.0)  # log(1 − β_i) of step i + 1, and an end for sums
        log_alpha = 0.5 * np.concatenate([[0.0], np.cumsum(self._logs[:-1])])
        self._alphas, self._sigmas = np.exp(log_alpha), np.sqrt(-np.expm1(2.0 * log_alpha))

    def times(self, t: Any, name: str = "t") -> Array:
        """Whole numbers from 0 to T; ValueError for others."""
        t = as_array(t, name)
        outside = (t < 0) | (t > self.t_max) | (t != np.rint(t))
        if outside.any():
            raise ValueError(
                f"{name} must be a whole number from 0 to {self.t_max} for {self!r}, got {t[outside].flat[0]}"
            )
        return t.astype(np.int64)

    def _clean(self, t: Array) -> Array:
        return t.astype(np.int64)

    def _alpha(self, t: Array) -> Array:
        return self._alphas[t]

    def _sigma(self, t: Array) -> Array:
        return self._sigmas[t]

    def _f(self, t: Array) -> Array:
        raise ValueError(
            f"{self!r} has steps and no f or g2: a continuous schedule has, such as VP or Cosine"
        )

    _g2 = _f

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        raise ValueError(f"{self!r} has steps and no slopes: a continuous schedule has, such as VP or Cosine")

    def from_ratio(self, ratio: Any) -> Any:
        """ValueError: between the steps there is no time."""
        raise ValueError(
            f"{self!r} has steps and no time at every noise level: a continuous schedule has, such as VP or Cosine"
        )

    nearest = from_ratio

    def _transition(self, t: Array, s: Array) -> Transition:
        """Sums over the steps s + 1 … t, which are all of one sign."""
        ends = np.stack(
            [s.ravel(), t.ravel()], axis=1
        ).ravel()  # s, t, s, t, …: reduceat sums from each to the next
        log_r = 0.5 * np.add.reduceat(self._logs, ends)[::2].reshape(t.shape)
        return Transition(np.exp(log_r), -np.expm1(2.0 * log_r))  # eq-12.12

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Discrete) and np.array_equal(self.beta, other.beta)

    def __hash__(self) -> int:
        return hash(self.beta.tobytes())

    def spec(self) -> dict[str, Any]:
        """Its name and variances."""
        return {"schedule": "Discrete", "beta": self.beta.astype(np.float64).tolist()}

    def __repr__(self) -> str:
        return f"Discrete(T={self.t_max})"


def linear_beta(T: int, start: float = 1e-4, end: float = 0.02, rescale: bool = True) -> Array:
    """β₁ … β_T evenly spaced from ``start`` to ``end``, (T,).

    ``rescale`` multiplies both by 1000/T, so that the noise at the end hardly depends on T, as improved-diffusion does;
    diffusers does not. ValueError where a β is not in (0, 1), as for T ≤ 20 with it. Ho et al. 2020, §4.
    """
    T, factor = _steps(T, rescale)
    return _checked(np.linspace(factor * as_number(start, "start"), factor * as_number(end, "end"), T))


def scaled_linear_beta(T: int, start: float = 1e-4, end: float = 0.02, rescale: bool = True) -> Array:
    """β₁ … β_T whose square roots are evenly spaced, (T,); arguments as for `linear_beta`. Rombach et al. 2022."""
    T, factor = _steps(T, rescale)
    start, end = as_number(start, "start", above=0.0), as_number(end, "end", above=0.0)
    return _checked(np.linspace(np.sqrt(factor * start), np.sqrt(factor * end), T) ** 2)


def cosine_beta(T: int, s: float = 0.008, cap: float = 0.999) -> Array:
    """β_i = 1 − ᾱ(i/T)/ᾱ((i − 1)/T) of the cosine schedule with offset ``s``, (T,), at most ``cap``.

    On the grid i/T it is `Cosine` but for the steps that are capped. Nichol and Dhariwal 2021, eq. 17.
    """
    T, cap = as_count(T, "T"), as_number(cap, "cap", above=0.0, below=1.0)
    grid = np.arange(T + 1) / T
    return np.minimum(Cosine(s).transition(grid[1:], grid[:-1]).w, cap)


def karras_sigmas(n: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Array:
    """n noise levels from ``sigma_max`` down to ``sigma_min``, and then 0: n + 1 numbers.

    (σ_max^(1/ρ) + i/(n − 1) (σ_min^(1/ρ) − σ_max^(1/ρ)))^ρ for i = 0 … n − 1. Karras et al. 2022, eq. 5.
    """
    n = as_count(n, "n", 2)
    low = as_number(sigma_min, "sigma_min", above=0.0)
    high, rho = as_number(sigma_max, "sigma_max", above=low), as_number(rho, "rho", above=0.0)
    levels = np.linspace(high ** (1 / rho), low ** (1 / rho), n) ** rho  # eq-12.13
    levels[[0, -1]] = high, low
    return np.append(levels, 0.0)


def _steps(T: Any, rescale: Any) -> tuple[int, float]:
    T = as_count(T, "T")
    return T, 1000.0 / T if as_flag(rescale, "rescale") else 1.0


def _checked(beta: Array) -> Array:
    if not ((beta > 0) & (beta < 1)).all():
        raise ValueError(
            f"start and end must give β in (0, 1), got {beta.min():.4g} to {beta.max():.4g} with T "
            f"= {len(beta)}: take more "
            "steps, smaller numbers, or rescale=False"
        )
    return beta
