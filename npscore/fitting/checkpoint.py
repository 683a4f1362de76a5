"""Checkpoints: the state of a run in one file, so that resuming gives what never stopping gives."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Optional

import numpy as np

from .._run.atomic import PathLike, as_path, claim
from .._run.borders import _show, as_count, as_flag, as_shaped
from .._run.npz import FileFormatError, read_npz, write_npz
from ..models.base import Array
from ..objectives import Objective
from .generators import jsonable
from .result import History
from .run import Optimizer, Problem, Run, State
from .shards import Mapped

FORMAT, VERSION = "npscore-checkpoint", 2


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; the fit goes on, and the file holds what it held before."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a fit keeps its state: ``fit(…, checkpoint=Checkpoint("run.npz", every=100, resume=True))``.

    The state is written to ``path`` at the start, ``every`` so many steps (None: a tenth of them) and at the end.
    ``resume`` goes on from a file that is there; without it an existing file is an error. Raises TypeError or
    ValueError naming the field.
    """

    path: PathLike
    every: Optional[int] = None
    resume: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", as_path(self.path, "checkpoint"))
        if self.every is not None:
            object.__setattr__(self, "every", as_count(self.every, "checkpoint_every"))
        object.__setattr__(self, "resume", as_flag(self.resume, "resume"))

    @contextmanager
    def kept(self, run: Run) -> Iterator[None]:
        """A run that starts or goes on from the file, and is saved to it while this is open: no other run may be.

        The first state is written at once, so that a path that cannot be written costs no training.
        """
        file = CheckpointFile(self.path, run.problem, run.optimizer)
        with claim(self.path, "checkpoint"):
            if not os.path.exists(self.path):
                file.save(run)
            elif self.resume:
                file.load(run)
            else:
                raise ValueError(
                    f"checkpoint must be a new file unless resume=True, got existing {self.path}"
                )
            run.save_every = max(1, run.problem.steps // 10) if self.every is None else self.every
            run.file = file
            yield


class CheckpointFile:
    """The file of one run: ``save`` the state there, ``load`` it back into the same run."""

    def __init__(self, path: str, problem: Problem, optimizer: Optimizer):
        self.path, self.problem, self.optimizer = path, problem, optimizer
        self.fingerprint = fingerprint(problem, optimizer)

    def save(self, run: Run) -> None:
        """Write the state and the history so far, complete or not at all."""
        state = run.state
        header, arrays = self.optimizer.packed(state.memory)
        arrays |= {"theta": state.theta, "average": state.average, "best_theta": state.best_theta}
        arrays |= {f"history_{name}": column for name, column in run.history()._asdict().items()}
        write_npz(self.path, FORMAT, VERSION, {"fingerprint": self.fingerprint, **header}, **arrays)

    def save_or_warn(self, run: Run) -> None:
        """``save``; where the system refuses (a full disk), a warning in place of the loss of the run."""
        try:
            self.save(run)
        except OSError as error:
            warnings.warn(
                f"checkpoint {self.path} could not be written at step {run.state.step} "
                f"({error.strerror or error}): the fit goes on, and the file holds what it held before",
                CheckpointWarning,
                stacklevel=2,
            )

    def load(self, run: Run) -> None:
        """Put a run's state, history and generator where the checkpoint of this very run says.

        Raises FileFormatError for a damaged, foreign or inconsistent file, ValueError where data, start, seed
        or settings differ, or where more steps are done than asked for.
        """
        header, arrays = read_npz(self.path, FORMAT, VERSION)
        if header.get("fingerprint") != self.fingerprint:
            raise ValueError(
                "checkpoint must come from the same data, start, seed and settings, "
                f"got another run's in {self.path}"
            )
        try:
            history = checked_history(arrays, self.problem.held_out is not None)
            state = self._state(header, arrays, history, run)
        except KeyError as error:
            raise FileFormatError(f"{self.path}: an incomplete checkpoint (no {error})") from error
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise FileFormatError(f"{self.path}: an inconsistent checkpoint ({error})") from error
        if state.step > self.problem.steps:
            raise ValueError(
                f"steps must be at least the {state.step} that checkpoint {self.path} has reached, "
                f"got {self.problem.steps}"
            )
        columns = [column.tolist() for column in history]
        run.state, run.steps, run.validations = state, list(zip(*columns[:4])), list(zip(*columns[4:]))

    def _state(
        self, header: Mapping[str, Any], arrays: Mapping[str, Array], history: History, run: Run
    ) -> State:
        start = self.problem.model.theta
        theta, average, best = (
            as_shaped(arrays[name], name, start.shape).astype(start.dtype)
            for name in ("theta", "average", "best_theta")
        )
        memory = self.optimizer.unpacked(header, arrays, run)
        step, validations = len(history.step), len(history.validation_step)
        best_step, best_loss = step if self.problem.held_out is None else 0, float("inf")
        if validations:
            at = history.validation_loss.argmin()
            best_step, best_loss = int(history.validation_step[at]), float(history.validation_loss[at])
        return State(step, theta, average, memory, validations, best_step, best, best_loss)


def checked_history(arrays: Mapping[str, Array], held_out: bool) -> History:
    """The history of a checkpoint: steps 1, 2, …; held-out losses at steps that rise. ValueError for another one."""
    history = History(*(arrays[f"history_{name}"] for name in History._fields))
    steps, validations = history.step.size, history.validation_step.size
    for name, column, length in zip(History._fields, history, [steps] * 4 + [validations] * 2):
        as_shaped(column, f"history_{name}", (length,), finite=name != "learning_rate")
    at = history.validation_step
    if history.step.dtype.kind != "i" or not np.array_equal(history.step, np.arange(1, steps + 1)):
        raise ValueError("history_step must be 1, 2, …")
    if at.dtype.kind != "i" or (np.diff(at) <= 0).any() or ((at < 0) | (at > steps)).any():
        raise ValueError(f"history_validation_step must rise within 0 … {steps}")
    if (history.grad_norm < 0).any():
        raise ValueError("history_grad_norm must be >= 0")
    if validations and not held_out:
        raise ValueError("history_validation_loss must be empty without held-out rows")
    return history


def fingerprint(problem: Problem, optimizer: Optimizer) -> str:
    """A digest of data, architecture, start, seed and settings: what must agree for a run to be continued.

    The number of steps is not among them. Of rows in memory every number is; of rows in files, which may be too
    many to read, the shape, the type and the size of the file.
    """
    rows, held_out, model = problem.rows, problem.held_out, problem.model
    choices = {
        "model": [type(model).__name__, model.config],
        "seed": jsonable(problem.seed),
        "optimizer": [type(optimizer).__name__, asdict(optimizer)],
        "objective": spec_of(problem.objective, "objective"),
        "metric": None if held_out is None else spec_of(held_out.metric, "metric"),
        "jitter": None if rows.jitter is None else rows.jitter.astype(np.float64).tolist(),
        "settings": [problem.batch_size, problem.validate_every, problem.patience, rows.block_rows],
    }
    arrays = [model.theta]
    arrays += [part for shard in rows.shards for part in (shard.x, shard.cond) if part is not None]
    arrays += [] if held_out is None else [part for part in (held_out.x, held_out.cond) if part is not None]
    digest = hashlib.sha256(json.dumps(choices, sort_keys=True).encode())
    for array in arrays:
        _add(digest, array)
    return digest.hexdigest()


def _add(digest: Any, array: Any) -> None:
    digest.update(f"{array.dtype}{array.shape}".encode())
    if isinstance(array, Mapped):
        digest.update(f"{array.size}".encode())
        return
    high = array.astype(np.float64, order="C")
    digest.update(high.tobytes())
    if array.dtype == np.longdouble:  # by value: its padding bytes may hold anything
        digest.update((array - high).astype(np.float64, order="C").tobytes())


def spec_of(objective: Objective, name: str) -> Any:
    """What a checkpoint compares of an objective: ValueError for a callable, which says nothing of itself."""
    spec = objective.spec()
    try:
        json.dumps(spec)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must have a spec() that JSON can hold, got {_show(spec)} ({error})"
        ) from error
    if spec is None:
        raise ValueError(
            f"{name} must have a name to be kept in a checkpoint, got {_show(objective)}: give it one by "
            'npscore.objectives.named("my loss", f), and another one when it changes'
        )
    return spec
