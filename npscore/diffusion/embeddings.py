"""How a network is told the noise level: features of t without parameters, which become columns of its condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Protocol, Union

import numpy as np

from .._run.borders import as_array, as_count, as_number
from .discrete import Discrete
from .schedule import Array, Schedule


class Embedding(Protocol):
    """Features (n, dim) of times (n,), and how the embedding is written down."""

    dim: int

    def __call__(self, t: Array, schedule: Schedule) -> Array:
        """Features of clean times (n,) of a schedule, (n, dim)."""

    def spec(self) -> dict[str, Any]:
        """Its name and parameters, JSON-ready."""


@dataclass(frozen=True)
class LogSNR:
    """One feature, ¼ log(σ/α) = −⅛ log SNR: EDM's c_noise. Karras et al. 2022, table 1."""

    dim = 1

    def __call__(self, t: Array, schedule: Schedule) -> Array:
        """(n, 1)."""
        return noise_feature(t, schedule)[:, None]

    def spec(self) -> dict[str, Any]:
        """Its name."""
        return {"embedding": "log_snr"}


@dataclass(frozen=True)
class Fourier:
    """sin 2πfu and cos 2πfu of u = ¼ log(σ/α) at frequencies f, (k,): sines first, 2k features. Tancik et al. 2020."""

    freqs: tuple[float, ...]

    def __post_init__(self) -> None:
        freqs = as_array(self.freqs, "freqs")
        if freqs.ndim != 1 or freqs.size == 0:
            raise ValueError(f"freqs must have shape (k,) with k >= 1, got shape {freqs.shape}")
        object.__setattr__(self, "freqs", tuple(freqs.astype(float).tolist()))

    @property
    def dim(self) -> int:
        """2k."""
        return 2 * len(self.freqs)

    def __call__(self, t: Array, schedule: Schedule) -> Array:
        """(n, 2k)."""
        angle = 2 * np.pi * noise_feature(t, schedule)[:, None] * np.array(self.freqs)
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)  # eq-12.22

    def spec(self) -> dict[str, Any]:
        """Its name and frequencies."""
        return {"embedding": "fourier", "freqs": list(self.freqs)}


@dataclass(frozen=True)
class Sinusoidal:
    """Sines, then cosines of (scale·t + shift) at ``dim``/2 frequencies 10000^(−k/(dim/2 − 1)), k = 0, 1, ….

    The default for `Discrete` is scale 1 and shift −1, since other code counts its first noisy step as 0; for
    continuous times scale 1000 and shift 0. ``dim`` is even and at least 4. Vaswani et al. 2017; Ho et al. 2020.
    """

    dim: int
    scale: Optional[float] = None
    shift: Optional[float] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", as_count(self.dim, "dim", 4))
        if self.dim % 2:
            raise ValueError(f"dim must be even, half of it sines, got {self.dim}")
        for name in ("scale", "shift"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_number(getattr(self, name), name))

    def __call__(self, t: Array, schedule: Schedule) -> Array:
        """(n, dim)."""
        scale, shift = (1.0, -1.0) if isinstance(schedule, Discrete) else (1000.0, 0.0)
        scale = scale if self.scale is None else self.scale
        shift = shift if self.shift is None else self.shift
        half = self.dim // 2
        angle = (scale * t + shift)[:, None] * 10000.0 ** (-np.arange(half) / (half - 1))
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)  # eq-12.23

    def spec(self) -> dict[str, Any]:
        """Its name and parameters."""
        return {"embedding": "sinusoidal", "dim": self.dim, "scale": self.scale, "shift": self.shift}


def noise_feature(t: Array, schedule: Schedule) -> Array:
    """u = ¼ log(σ/α), (n,); where α = 0, at the end of Flow and Cosine, α is read as 10⁻³.

    That is where the default times of training end: a network that is asked at the end sees an input that it knows.
    """
    alpha = schedule._alpha(t)
    return 0.25 * (np.log(schedule._sigma(t)) - np.log(np.where(alpha == 0, 1e-3, alpha)))  # eq-12.22


def as_embedding(value: Union[str, Embedding]) -> Embedding:
    """ "log_snr", or an embedding as it is; TypeError or ValueError for anything else."""
    if isinstance(value, str):
        if value == "log_snr":
            return LogSNR()
        raise ValueError(
            f"embedding must be 'log_snr', diffusion.Fourier(freqs) or diffusion.Sinusoidal(dim), got {value!r}"
        )
    if isinstance(value, type) or not (callable(value) and hasattr(value, "dim") and hasattr(value, "spec")):
        raise TypeError(
            f"embedding must be 'log_snr' or an embedding object, got {type(value).__name__} {value!r}"
        )
    return value
