"""The choices of a fit, checked in one place and written into its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Optional

import numpy as np

from .._run.borders import as_array, as_choice, as_count, as_number, as_positive
from .optimizers import learning_rate_at

OPTIMIZERS = ("adam", "lbfgs")
SCHEDULES = ("cosine", "constant")
OPTIONAL = ("clip_norm", "ema", "sigma", "validate_every", "patience")


@dataclass(frozen=True)
class Settings:
    """Everything that decides a fit besides the data, the model and the seed.

    Checked when it is made, and turned into Python's own numbers: those have no floating type to impose on a
    float32 model, and JSON can hold them.
    """

    objective: str
    steps: int
    batch_size: int
    optimizer: str
    learning_rate: float
    schedule: str
    clip_norm: Optional[float]
    weight_decay: float
    ema: Optional[float]
    sigma: Optional[float]
    n_probes: int
    probe: str
    jitter: tuple[float, ...]
    validate_every: Optional[int]
    patience: Optional[int]

    def __post_init__(self) -> None:
        as_choice(self.optimizer, "optimizer", OPTIMIZERS)
        as_choice(self.schedule, "schedule", SCHEDULES)
        for name in ("steps", "batch_size", "n_probes", "validate_every", "patience"):
            self._convert(name, as_count)
        for name in ("learning_rate", "clip_norm", "sigma"):
            self._convert(name, as_positive)
        self._convert("weight_decay", as_number, at_least=0.0)
        self._convert("ema", as_number, above=0.0, below=1.0)

    def _convert(self, name: str, check: Callable[..., Any], **bounds: float) -> None:
        value = getattr(self, name)
        if value is not None or name not in OPTIONAL:
            object.__setattr__(self, name, check(value, name, **bounds))

    @property
    def validation_interval(self) -> int:
        """Steps between two looks at the held-out rows: ``validate_every``, or a hundred looks in all."""
        return self.validate_every or max(1, self.steps // 100)

    def rate(self, step: int) -> float:
        """The learning rate of step 0, 1, …"""
        return learning_rate_at(step, self.steps, self.learning_rate, self.schedule)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def checked_jitter(jitter: Any, d: int) -> np.ndarray:
    """The dequantisation noise's standard deviation per column, (d,), from one number or (d,), each >= 0."""
    array = as_array(jitter, "jitter")
    if array.shape not in ((), (d,)):
        raise ValueError(f"jitter must be one number or have shape ({d},), got shape {array.shape}")
    if (array < 0).any():
        raise ValueError(f"jitter must be >= 0, got {array.min()}")
    return np.broadcast_to(array, (d,))
