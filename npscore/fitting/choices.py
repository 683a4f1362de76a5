"""What ``fit`` takes by keyword beside its own arguments: whose each keyword is, and objects made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from .._run.borders import as_choice, as_count, as_flag
from .adam import Adam
from .checkpoint import Checkpoint
from .lbfgs import LBFGS
from .run import Optimizer

OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "lbfgs": LBFGS}
ADAM = ("learning_rate", "schedule", "clip_norm", "weight_decay", "ema")
OBJECTIVE = ("sigma", "n_probes", "probe")


class Choices(NamedTuple):
    """The settings that are neither the optimiser's nor the objective's."""

    jitter: Any = 0.0
    columns: Optional[Sequence[str]] = None
    validate_every: Optional[int] = None
    metric: Any = None
    checkpoint_every: Optional[int] = None
    resume: bool = False


def sorted_settings(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Choices]:
    """The settings of the optimiser, of the objective, and the rest; TypeError for one that is nobody's."""
    known = (*ADAM, *OBJECTIVE, *Choices._fields)
    for name in settings:
        if name not in known:
            raise TypeError(f"fit has no setting {name!r}: it must be one of {', '.join(known)}")

    def of(names: Sequence[str]) -> dict[str, Any]:
        return {name: settings[name] for name in names if name in settings}

    choices = Choices(**of(Choices._fields))
    if choices.validate_every is not None:
        choices = choices._replace(validate_every=as_count(choices.validate_every, "validate_every"))
    return of(ADAM), of(OBJECTIVE), choices


def as_optimizer(value: Any, fields: Mapping[str, Any]) -> Optimizer:
    """An optimiser from its name and Adam's fields, which are checked and play no part for another name.

    An object has its fields: TypeError or ValueError for anything else, and for fields beside an object.
    """
    if isinstance(value, Optimizer):
        for name in fields:
            raise ValueError(f"{name} must be left out with an optimizer object, which has its own fields")
        return value
    as_choice(value, "optimizer", OPTIMIZERS)
    adam = Adam(**fields)
    return adam if value == "adam" else OPTIMIZERS[value]()


def as_checkpoint(value: Any, choices: Choices) -> Optional[Checkpoint]:
    """Where the state is kept: None, a path with ``checkpoint_every`` and ``resume``, or a Checkpoint."""
    every, resume = choices.checkpoint_every, choices.resume
    if isinstance(value, Checkpoint):
        if every is not None or resume is not False:
            raise ValueError(
                "checkpoint_every and resume must be left out with a Checkpoint, which has its own"
            )
        return value
    if value is None:
        if as_flag(resume, "resume"):
            raise ValueError("resume must be False without a checkpoint file to resume from, got True")
        return None
    return Checkpoint(value, every, resume)
