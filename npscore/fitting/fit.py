"""``fit``: from a model and rows of data to a fitted model, reproducibly."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

import numpy as np

from .._run.atomic import PathLike, as_path
from .._run.borders import _show, as_array, as_batch, as_callable, as_count, as_flag, as_number, as_rng
from ..datasets.rounding import dequantise, unchecked_dequantise, warn_if_rounded
from ..datasets.splitting import train_validation_split
from ..models.base import ScoreModel
from ..objectives import Objective, as_objective, named_objective
from .adam import run_adam
from .checkpoint import Checkpoint
from .lbfgs import run_lbfgs
from .problem import Callback, Problem, State, first_state
from .result import FitResult, Recorder
from .settings import Settings, checked_jitter
from .sharded import Sharded

Array = np.ndarray

LOOK_ROWS = 2**16  # of a first shard, looked at for rounding


def fit(
    model: ScoreModel,
    x: Any,
    objective: Union[str, Objective] = "ism",
    *,
    steps: int = 2000,
    batch_size: int = 128,
    rng: Any = None,
    optimizer: str = "adam",
    learning_rate: float = 3e-3,
    schedule: str = "cosine",
    clip_norm: Optional[float] = None,
    weight_decay: float = 0.0,
    ema: Optional[float] = None,
    sigma: Optional[float] = None,
    n_probes: int = 1,
    probe: str = "rademacher",
    jitter: Any = 0.0,
    validation: Any = None,
    validate_every: Optional[int] = None,
    patience: Optional[int] = None,
    columns: Optional[Sequence[str]] = None,
    checkpoint: Optional[PathLike] = None,
    checkpoint_every: Optional[int] = None,
    resume: bool = False,
    callback: Callback = None,
    progress: Optional[bool] = None,
) -> FitResult:
    """Fit a score model to rows of data: ``run = fit(model, x, objective="ism", steps=2000, rng=0)``.

    x is (n, d), in the units the model is to work in (standardise first); it is computed with in the model's
    floating type. A seed for ``rng`` makes the run reproducible bit for bit on one machine.

    objective
        "ism" (exact trace), "ssm", "ssm-vr" (``n_probes`` probes of law ``probe``), "dsm" (noise ``sigma``), or any
        callable (model, batch, rng) -> LossGrad. With ``npscore.sharded(…)``, which holds the rows and its own
        sigma and probes, x is None and the optimizer "lbfgs"; held-out rows are an array; jitter is drawn by the
        shards' streams; the first shard's first 65,536 rows are looked at for rounding.
    optimizer
        "adam" over shuffled minibatches, with ``learning_rate`` under a "cosine" or "constant" ``schedule``,
        ``clip_norm`` (global norm), decoupled ``weight_decay`` and ``ema`` (decay of the averaged weights); or
        "lbfgs" on the full batch, at most ``steps`` iterations, where those and ``batch_size`` play no part.
        L-BFGS needs one fixed loss: noise, probes and jitter are drawn once.
    jitter
        Standard deviation(s) of fresh Gaussian noise added to every batch, in the units of x: dequantisation.
        Rounded data without it draws a ``RoundedDataWarning`` naming the column (by ``columns``), because ISM is
        unbounded below there. The model then learns the score of the jittered density.
    validation, patience
        Held-out rows (nv, d), or the fraction of x to hold out. Their exact ISM, after one fixed draw of the noise
        that training sees (``jitter``, and ``sigma`` for "dsm"), picks the model that is returned;
        ``patience`` looks without a better one end the run. A look every ``validate_every`` steps.
    checkpoint, checkpoint_every, resume
        A file that holds the whole state, written at the start, every so many steps (default: a tenth of ``steps``)
        and at the end. With ``resume=True`` and the same arguments a run goes on from it, bit for bit as if it
        had never stopped (a seed, or a Generator fresh from one, is part of that); with ``resume=False`` an
        existing file is an error, so that nothing is lost. Adam only.
    callback, progress
        ``callback(step, loss, model)`` after each step, with the parameters it led to, ends the run by
        returning True. A progress line is shown on a terminal only, unless ``progress`` insists.

    Ctrl-C ends the run and returns the best model so far, ``stopped="interrupted"``. Raises
    NonFiniteLossError (with the last good state in ``.result``) where the loss is no longer finite,
    FileFormatError for a damaged checkpoint, and ValueError or TypeError naming the argument for bad input.
    """
    rng = as_rng(rng)
    if not isinstance(model, ScoreModel) or model.dtype.kind != "f":
        raise TypeError(f"model must be an npscore model with real parameters, got {type(model).__name__}")
    if isinstance(objective, Sharded):
        _check_sharded(x, optimizer, sigma, n_probes, probe, validation)
        name, sigma, objective = objective.name, objective.sigma, objective.prepared(model, jitter)
    else:
        name, x = objective if isinstance(objective, str) else "callable", _rows(x, "x", model)
    settings = Settings(
        objective=name,
        steps=steps,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        clip_norm=clip_norm,
        weight_decay=weight_decay,
        ema=ema,
        sigma=sigma,
        n_probes=n_probes,
        probe=probe,
        jitter=tuple(checked_jitter(jitter, model.d).tolist()),
        validate_every=validate_every,
        patience=patience,
    )
    if callback is not None:
        as_callable(callback, "callback", "(step, loss, model)")
    if progress is not None:
        as_flag(progress, "progress")
    problem = _problem(model, x, objective, validation, settings, rng)
    if settings.objective != "dsm":
        seen = x if x is not None else objective.first_rows(LOOK_ROWS)
        warn_if_rounded(seen, columns, jitter=settings.jitter, stacklevel=3)
    if optimizer == "lbfgs":
        if checkpoint is not None:
            raise ValueError(f"checkpoint must be None with optimizer 'lbfgs', got {checkpoint!r}")
        return run_lbfgs(problem, rng, callback=callback, progress=progress)
    every = max(1, settings.steps // 10) if checkpoint_every is None else checkpoint_every
    every = as_count(every, "checkpoint_every")
    state, record, save = _start(problem, rng, checkpoint, as_flag(resume, "resume"))
    return run_adam(
        problem, state, record, rng, callback=callback, save=save, save_every=every, progress=progress
    )


def _rows(value: Any, name: str, model: ScoreModel) -> Array:
    """Clean rows in the model's floating type."""
    rows = as_batch(value, name, d=model.d)
    with np.errstate(over="ignore"):
        return as_batch(rows.astype(model.dtype, copy=False), f"{name} in the model's {model.dtype}")


def _check_sharded(x: Any, optimizer: Any, sigma: Any, n_probes: Any, probe: Any, validation: Any) -> None:
    """What must be left out, or said, with an objective that holds its rows."""
    if x is not None:
        raise ValueError(f"x must be None with a sharded objective, which holds the rows, got {_show(x)}")
    if optimizer != "lbfgs":
        raise ValueError(f"optimizer must be 'lbfgs' with a sharded objective, got {_show(optimizer)}")
    if sigma is not None:
        raise ValueError(f"sigma must be None with a sharded objective, which has its own, got {sigma!r}")
    if n_probes != 1 or probe != "rademacher":
        raise ValueError(
            "n_probes and probe must be left out with a sharded objective, which has its own, "
            f"got {n_probes!r} and {probe!r}"
        )
    if validation is not None and as_array(validation, "validation").ndim == 0:
        raise ValueError(
            f"validation must be None or rows (nv, d) with a sharded objective, whose shards are all trained on, "
            f"got {validation!r}"
        )


def _problem(
    model: ScoreModel,
    x: Optional[Array],
    objective: Any,
    validation: Any,
    settings: Settings,
    rng: np.random.Generator,
) -> Problem:
    """Split off and perturb the held-out rows, and bind objective and dequantisation."""
    seed = rng.bit_generator.state
    jitter = np.array(settings.jitter, dtype=model.dtype)
    any_jitter = jitter.any()

    def perturb(batch: Array, rng: np.random.Generator) -> Array:
        return unchecked_dequantise(batch, jitter, rng) if any_jitter else batch

    drawn = _objective(objective, settings)
    train, held_out = _split(model, x, validation, settings, rng)
    if held_out is not None:
        held_out = perturb(held_out, rng)
        if settings.sigma is not None:  # DSM learns the smoothed density's score: judge it there
            held_out = dequantise(held_out, settings.sigma, rng=rng)
    return Problem(model, train, held_out, drawn, perturb, settings, seed)


def _objective(objective: Any, settings: Settings) -> Objective:
    if isinstance(objective, Sharded):
        return objective
    if isinstance(objective, str):
        return named_objective(
            objective, sigma=settings.sigma, n_probes=settings.n_probes, probe=settings.probe
        )
    checked = as_objective(objective)
    if settings.sigma is not None:
        raise ValueError(
            f"sigma must be None unless objective is 'dsm', got {settings.sigma} with a callable"
        )
    return checked


def _split(
    model: ScoreModel, x: Optional[Array], validation: Any, settings: Settings, rng: np.random.Generator
) -> tuple[Optional[Array], Optional[Array]]:
    if validation is None:
        if settings.patience is not None:
            raise ValueError(
                f"patience must be None without validation rows to watch, got {settings.patience}"
            )
        return x, None
    if as_array(validation, "validation").ndim == 0:
        return train_validation_split(x, as_number(validation, "validation", above=0.0, below=1.0), rng=rng)
    return x, _rows(validation, "validation", model)


def _start(
    problem: Problem, rng: np.random.Generator, path: Optional[PathLike], resume: bool
) -> tuple[State, Recorder, Callable[[State, Recorder], None]]:
    """The first state, or the checkpoint's, with its history; and where to save the next ones."""
    if path is None:
        if resume:
            raise ValueError("resume must be False without a checkpoint file to resume from, got True")
        return first_state(problem, rng), Recorder(), lambda state, record: None
    if os.path.exists(as_path(path, "checkpoint")) and not resume:
        raise ValueError(f"checkpoint must be a new file unless resume=True, got existing {os.fspath(path)}")
    checkpoint = Checkpoint(path, problem)
    if os.path.exists(path):
        return (*checkpoint.load(rng), checkpoint.save)
    state, record = first_state(problem, rng), Recorder()
    checkpoint.save(state, record)  # now, so that a path that cannot be written costs no training
    return state, record, checkpoint.save
