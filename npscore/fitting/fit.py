"""``fit``: from a model and rows of data to a fitted model, reproducibly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._run.blas import one_blas_thread
from .._run.borders import _show, as_callable, as_choice, as_count, as_flag, as_rng
from ..datasets.rounding import warn_if_rounded
from ..models.base import ScoreModel
from ..objectives import FIELDS, Objective, as_objective
from .adam import Adam
from .checkpoint import Checkpoint
from .held_out import hold_out
from .lbfgs import LBFGS
from .result import FitResult
from .rows import Rows, as_jitter, in_models_type
from .run import Callback, Optimizer, Problem, Run
from .sharded import Sharded
from .shards import Shard


def fit(
    model: ScoreModel,
    x: Any,
    objective: Union[str, Objective, Any] = "ism",
    *,
    cond: Any = None,
    steps: int = 2000,
    batch_size: int = 128,
    rng: Any = None,
    optimizer: Any = "adam",
    validation: Any = None,
    patience: Optional[int] = None,
    checkpoint: Any = None,
    callback: Callback = None,
    progress: Optional[bool] = None,
    **settings: Any,
) -> FitResult:
    """Fit a score model to rows of data: ``run = fit(model, x, objective="ism", steps=2000, rng=0)``.

    x is (n, d), in the units the model is to work in (standardise first); it is computed with in the model's
    floating type. A seed for ``rng`` makes the run reproducible bit for bit on one machine: BLAS keeps to one
    thread meanwhile, where threadpoolctl is installed.

    objective
        "ism" (exact trace), "ssm", "ssm-vr" (``n_probes`` probes of law ``probe``), "dsm" (noise ``sigma``); an
        object of ``npscore.objectives``; or any callable (model, batch, rng) -> LossGrad. With
        ``npscore.sharded(…)``, which holds the rows and its own sigma and probes, x is None and the optimizer
        "lbfgs"; held-out rows are an array; jitter is drawn by the shards' streams; the first shard's first 65,536
        rows are examined for rounding.
    cond
        For a model with a condition: the rows' conditions (n, c), or one for all, (c,). They go with their rows into
        batches and held-out parts; ``validation`` and shards are pairs (rows, cond) then. No noise is added to them.
    optimizer
        "adam" over shuffled minibatches, with ``learning_rate`` (3e-3) under a "cosine" or "constant" ``schedule``,
        ``clip_norm`` (global norm), decoupled ``weight_decay`` and ``ema`` (decay of the averaged weights); or
        "lbfgs" on the full batch, at most ``steps`` iterations, where those and ``batch_size`` play no part; or an
        object, ``npscore.fitting.Adam(…)`` or ``LBFGS(…)``. L-BFGS needs one fixed loss: its noise, probes and
        jitter are drawn anew from the same streams at every evaluation.
    jitter, columns
        Standard deviation(s) of fresh Gaussian noise added to every batch, in the units of x: dequantisation.
        Rounded data without it draws a ``RoundedDataWarning`` naming the column (by ``columns``), because ISM is
        unbounded below there. The model then learns the score of the jittered density.
    validation, validate_every, metric, patience
        Held-out rows (nv, d), or the fraction of x to hold out. The objective's own loss on them, after one fixed
        draw of jitter, noise and probes, picks the model that is returned; ``metric`` (a name or an objective) judges
        in its place. It is evaluated every ``validate_every`` steps (default: a hundred times in all); after
        ``patience`` evaluations without a better one the run ends.
    checkpoint, checkpoint_every, resume
        A file that holds the whole state, written at the start, every so many steps (default: a tenth of ``steps``)
        and at the end; or a ``npscore.fitting.Checkpoint``. With ``resume=True`` and the same arguments a run
        goes on from it, bit for bit as if it had never stopped (a seed, or a Generator fresh from one, is part of
        that); with ``resume=False`` an existing file is an error, so that nothing is lost. ``steps`` may be more than
        before: the new total's learning rates hold from the step reached, which does not give the bits of one long
        run. L-BFGS starts again from the saved θ, without its memory, which does not give the same bits either. A
        callable objective needs a name for it (``npscore.objectives.named``). A file that can't be written later on
        (a full disk) is a ``CheckpointWarning``.
    callback, progress
        ``callback(step, loss, model)`` after each step, with the parameters it led to, ends the run by
        returning True. A progress line is shown on a terminal only, unless ``progress`` insists.

    Ctrl-C ends the run and returns the best model so far, ``stopped="interrupted"``. Raises
    NonFiniteLossError (with the last good state in ``.result``) where the loss is no longer finite,
    FileFormatError for a damaged checkpoint, and ValueError or TypeError naming the argument for bad input.
    """
    rng = as_rng(rng)
    seed = rng.bit_generator.state
    if not isinstance(model, ScoreModel) or model.dtype.kind != "f":
        raise TypeError(f"model must be an npscore model with real parameters, got {type(model).__name__}")
    if callback is not None:
        as_callable(callback, "callback", "(step, loss, model)")
    if progress is not None:
        as_flag(progress, "progress")
    adam_fields, objective_fields, options = sorted_settings(settings)
    minimiser = as_optimizer(optimizer, adam_fields)
    steps, batch_size = as_count(steps, "steps"), as_count(batch_size, "batch_size")
    if isinstance(objective, Sharded):
        _check_sharded(objective, model, x, cond, optimizer, minimiser, objective_fields)
        rows, objective = objective.rows, objective.objective
    else:
        objective = as_objective(objective, **objective_fields)
        rows = Rows((Shard("x", *in_models_type(x, cond, model)),), in_memory=True)
    rows = replace(rows, dtype=model.dtype, jitter=as_jitter(options.jitter, model.d, model.dtype))
    if not objective.smooths:
        warn_if_rounded(rows.to_examine(), options.columns, options.jitter, stacklevel=3)
    held_out = None
    if validation is not None:
        rows, held_out = hold_out(rows, validation, objective, options.metric, model, rng)
    elif patience is not None or options.metric is not None:
        _refuse_without_held_out(patience=patience, metric=options.metric)
    if patience is not None:
        patience = as_count(patience, "patience")
    every = options.validate_every
    problem = Problem(model, rows, objective, held_out, steps, batch_size, every, patience, seed)
    run = Run(problem, minimiser, rng, callback)
    kept = as_checkpoint(checkpoint, options.checkpoint_every, options.resume)
    # One BLAS thread: the bits depend on their number, and small products gain nothing from a second.
    with one_blas_thread(), np.errstate(all="ignore"), nullcontext() if kept is None else kept.kept(run):
        return run.carry_out(progress)


class Options(NamedTuple):
    """The settings that are neither the optimiser's nor the objective's."""

    jitter: Any = 0.0
    columns: Optional[Sequence[str]] = None
    validate_every: Optional[int] = None
    metric: Any = None
    checkpoint_every: Optional[int] = None
    resume: bool = False


OPTIMIZERS: dict[str, Optimizer] = {"adam": Adam(), "lbfgs": LBFGS()}
ADAM = ("learning_rate", "schedule", "clip_norm", "weight_decay", "ema")


def sorted_settings(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Options]:
    """The settings of the optimiser, of the objective, and the rest; TypeError for one that is none of these."""
    adam, objective, options = {}, {}, {}
    for name, value in settings.items():
        if name in ADAM:
            adam[name] = value
        elif name in FIELDS:
            objective[name] = value
        elif name in Options._fields:
            options[name] = value
        else:
            known = ", ".join((*ADAM, *FIELDS, *Options._fields))
            raise TypeError(f"fit has no setting {name!r}: it must be one of {known}")
    if options.get("validate_every") is not None:
        options["validate_every"] = as_count(options["validate_every"], "validate_every")
    return adam, objective, Options(**options)


def as_optimizer(value: Any, fields: Mapping[str, Any]) -> Optimizer:
    """An optimiser from its name and Adam's fields, which are checked and play no part for another name.

    An object has its fields: TypeError or ValueError for anything else, and for fields beside an object.
    """
    if isinstance(value, Optimizer):
        for name in fields:
            raise ValueError(f"{name} must be left out with an optimizer object, which has its own fields")
        return value
    named = OPTIMIZERS[as_choice(value, "optimizer", OPTIMIZERS)]
    adam = Adam(**fields) if fields else OPTIMIZERS["adam"]
    return adam if value == "adam" else named


def as_checkpoint(value: Any, every: Any, resume: Any) -> Optional[Checkpoint]:
    """Where the state is kept, from None, a path with ``checkpoint_every`` and ``resume``, or a Checkpoint."""
    if isinstance(value, Checkpoint):
        if every is not None or resume is not False:
            raise ValueError(
                "checkpoint_every and resume must be left out with a Checkpoint, which has its own"
            )
        return value
    if value is not None:
        return Checkpoint(value, every, resume)
    if resume is not False and as_flag(resume, "resume"):
        raise ValueError("resume must be False without a checkpoint file to resume from, got True")
    return None


def _refuse_without_held_out(**settings: Any) -> None:
    """What only held-out rows give a meaning."""
    for name, value in settings.items():
        if value is not None:
            raise ValueError(f"{name} must be None without validation rows to watch, got {_show(value)}")


def _check_sharded(
    total: Sharded,
    model: ScoreModel,
    x: Any,
    cond: Any,
    optimizer: Any,
    minimiser: Optimizer,
    fields: Mapping[str, Any],
) -> None:
    """What must be left out, or said, with an objective that holds its rows."""
    total.check(model)
    for name, value in (("x", x), ("cond", cond)):
        if value is not None:
            raise ValueError(
                f"{name} must be None with a sharded objective, which holds the rows, got {_show(value)}"
            )
    if minimiser.minibatches:
        raise ValueError(f"optimizer must be 'lbfgs' with a sharded objective, got {_show(optimizer)}")
    sigma, n_probes, probe = (fields.get(name) for name in ("sigma", "n_probes", "probe"))
    if sigma is not None:
        raise ValueError(f"sigma must be None with a sharded objective, which has its own, got {sigma!r}")
    if n_probes not in (None, 1) or probe not in (None, "rademacher"):
        raise ValueError(
            "n_probes and probe must be left out with a sharded objective, which has its own, "
            f"got {n_probes!r} and {probe!r}"
        )
