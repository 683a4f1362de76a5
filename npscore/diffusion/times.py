"""Which noise levels are drawn in training: laws of t, each by its quantile function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Union

import numpy as np

from .._run.borders import as_number, as_positive
from .discrete import Discrete
from .normal import normal_quantile
from .schedule import Array, Schedule
from .schedules import EDM, VE

LOWEST = 1e-12  # quantiles are drawn between this and 1 less this


class Times(Protocol):
    """A law of times: its quantile function."""

    def __call__(self, u: Array, schedule: Schedule) -> Array:
        """Times (n,) at quantiles u in (0, 1), (n,)."""

    def spec(self) -> dict[str, Any]:
        """Its name and parameters, JSON-ready."""


@dataclass(frozen=True)
class Uniform:
    """t uniform on [lo, hi]; for `Discrete` the whole numbers lo, …, hi."""

    lo: float
    hi: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lo", as_number(self.lo, "lo", at_least=0.0))
        object.__setattr__(self, "hi", as_number(self.hi, "hi", at_least=self.lo))

    def __call__(self, u: Array, schedule: Schedule) -> Array:
        """lo + (hi − lo) u, or lo + ⌊(hi − lo + 1) u⌋."""
        if isinstance(schedule, Discrete):
            return np.minimum(self.lo + np.floor((self.hi - self.lo + 1) * u), self.hi)
        return self.lo + (self.hi - self.lo) * u

    def spec(self) -> dict[str, Any]:
        """Its name and ends."""
        return {"times": "Uniform", "lo": self.lo, "hi": self.hi}


@dataclass(frozen=True)
class LogNormal:
    """log(σ/α) ~ N(mean, std²): EDM's law of training noise levels. Karras et al. 2022, table 1."""

    mean: float = -1.2
    std: float = 1.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", as_number(self.mean, "mean"))
        object.__setattr__(self, "std", as_positive(self.std, "std"))

    def __call__(self, u: Array, schedule: Schedule) -> Array:
        """The time whose σ/α is exp(mean + std Φ⁻¹(u)), or the end of the schedule that is nearest."""
        return schedule.nearest(np.exp(self.mean + self.std * normal_quantile(u)))

    def spec(self) -> dict[str, Any]:
        """Its name, mean and standard deviation."""
        return {"times": "LogNormal", "mean": self.mean, "std": self.std}


@dataclass(frozen=True)
class LogUniform:
    """log(σ/α) uniform between log lo and log hi."""

    lo: float
    hi: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lo", as_positive(self.lo, "lo"))
        object.__setattr__(self, "hi", as_number(self.hi, "hi", above=self.lo))

    def __call__(self, u: Array, schedule: Schedule) -> Array:
        """The time whose σ/α is lo (hi/lo)^u, or the end of the schedule that is nearest."""
        return schedule.nearest(self.lo * (self.hi / self.lo) ** u)

    def spec(self) -> dict[str, Any]:
        """Its name and ends."""
        return {"times": "LogUniform", "lo": self.lo, "hi": self.hi}


def default_times(schedule: Schedule, name: str) -> Union[Uniform, LogNormal]:
    """The law of t where none is given."""
    if isinstance(schedule, Discrete):
        return Uniform(2 if name == "bound" else 1, schedule.t_max)
    if isinstance(schedule, (EDM, VE)):
        return LogNormal()
    end = schedule.t_max if schedule.alpha(schedule.t_max) > 0 else (1 - 1e-3) * schedule.t_max
    return Uniform(1e-3 * schedule.t_max, end)
