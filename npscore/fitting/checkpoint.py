"""Checkpoints: the whole state of a run in one file, so that resuming gives what never stopping gives."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from .._run.atomic import PathLike, as_path
from .._run.borders import as_count, as_shaped
from .._run.npz import FileFormatError, read_npz, write_npz
from .optimizers import Adam
from .problem import Problem, State
from .result import History, Recorder

Array = np.ndarray

FORMAT, VERSION = "npscore-checkpoint", 1
_VECTORS = ("theta", "average", "best_theta")
_COUNTS = ("step", "cursor", "looks", "best_step")


class Checkpoint:
    """The file of one run: ``save`` the state there, ``load`` it back into the same run."""

    def __init__(self, path: PathLike, problem: Problem):
        self.path, self.problem = as_path(path, "checkpoint"), problem
        self.fingerprint = fingerprint(problem)

    def save(self, state: State, record: Recorder) -> None:
        """Write the state and the history so far, complete or not at all."""
        header = {name: getattr(state, name) for name in _COUNTS}
        header |= {"fingerprint": self.fingerprint, "rng": _jsonable(state.rng), "adam_t": state.adam.t}
        arrays = {name: getattr(state, name) for name in _VECTORS}
        arrays |= {"order": state.order, "adam_m": state.adam.m, "adam_v": state.adam.v}
        arrays |= {"best_loss": np.float64(state.best_loss)}
        history = record.history(state.step, state.looks)
        arrays |= {f"history_{name}": column for name, column in history._asdict().items()}
        write_npz(self.path, FORMAT, VERSION, header, **arrays)

    def load(self, rng: np.random.Generator) -> tuple[State, Recorder]:
        """The state and history of a checkpoint of this very run; ``rng`` is put where it was.

        Raises FileFormatError for a damaged, foreign or inconsistent file, ValueError where data, start, seed
        or settings differ.
        """
        header, arrays = read_npz(self.path, FORMAT, VERSION)
        if header.get("fingerprint") != self.fingerprint:
            raise ValueError(
                "checkpoint must come from the same data, start, seed and settings, "
                f"got another run's in {self.path}"
            )
        try:
            state, record = self._state(header, arrays), self._record(header, arrays)
            rng.bit_generator.state = state.rng
        except KeyError as error:
            raise FileFormatError(f"{self.path}: an incomplete checkpoint (no {error})") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise FileFormatError(f"{self.path}: an inconsistent checkpoint ({error})") from error
        return state, record

    def _state(self, header: dict[str, Any], arrays: dict[str, Array]) -> State:
        theta, n = self.problem.model.theta, len(self.problem.train)
        vectors = {}
        for name in (*_VECTORS, "adam_m", "adam_v"):
            vectors[name] = as_shaped(arrays[name], name, theta.shape).astype(theta.dtype, copy=False)
        counts = {name: as_count(header[name], name, minimum=0) for name in _COUNTS}
        adam_t = as_count(header["adam_t"], "adam_t", minimum=0)
        order = arrays["order"]
        if order.dtype.kind != "i" or not np.array_equal(np.sort(order), np.arange(n)):
            raise ValueError(f"order must be a permutation of {n} rows")
        return State(
            adam=Adam(adam_t, vectors.pop("adam_m"), vectors.pop("adam_v")),
            order=order,
            rng=_from_jsonable(header["rng"]),
            best_loss=float(arrays["best_loss"]),
            **vectors,
            **counts,
        )

    def _record(self, header: dict[str, Any], arrays: dict[str, Array]) -> Recorder:
        history = History(*(arrays[f"history_{name}"] for name in History._fields))
        lengths = [header["step"]] * 4 + [header["looks"]] * 2
        for name, column, length in zip(History._fields, history, lengths):
            as_shaped(column, f"history_{name}", (length,))
        return Recorder(history)


def fingerprint(problem: Problem) -> str:
    """A digest of data, architecture, start, seed and settings: what must agree for a run to be continued."""
    choices = [problem.settings.as_dict(), problem.model.config, _jsonable(problem.seed)]
    digest = hashlib.sha256(json.dumps(choices, sort_keys=True).encode())
    arrays = [problem.model.theta, problem.train]
    arrays += [] if problem.validation is None else [problem.validation]
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        high = array.astype(np.float64, order="C")
        digest.update(high.tobytes())
        if array.dtype == np.longdouble:  # by value: its padding bytes may hold anything
            digest.update((array - high).astype(np.float64, order="C").tobytes())
    return digest.hexdigest()


def _jsonable(state: Any) -> Any:
    """A bit generator's state for JSON: arrays (Mersenne twister, Philox) become tagged lists."""
    if isinstance(state, dict):
        return {key: _jsonable(value) for key, value in state.items()}
    if isinstance(state, np.ndarray):
        return {"array": state.tolist(), "dtype": str(state.dtype)}
    return int(state) if isinstance(state, np.integer) else state


def _from_jsonable(state: Any) -> Any:
    if isinstance(state, dict) and set(state) == {"array", "dtype"}:
        return np.array(state["array"], dtype=state["dtype"])
    if isinstance(state, dict):
        return {key: _from_jsonable(value) for key, value in state.items()}
    return state
