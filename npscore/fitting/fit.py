"""``fit``: from a model and rows of data to a fitted model, reproducibly."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Optional, Union

from .._run.borders import _show, as_callable, as_count, as_flag, as_rng
from ..datasets.rounding import warn_if_rounded
from ..models.base import ScoreModel
from ..objectives import DSM, Objective, as_objective
from .choices import as_checkpoint, as_optimizer, sorted_settings
from .held_out import HeldOut, hold_out
from .lbfgs import LBFGS
from .result import FitResult
from .rows import as_jitter, rows_in_memory
from .run import Callback, Problem, Run, first_state
from .sharded import Sharded


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
    adam_fields, objective_fields, choices = sorted_settings(settings)
    minimiser, checkpoint = as_optimizer(optimizer, adam_fields), as_checkpoint(checkpoint, choices)
    steps, batch_size = as_count(steps, "steps"), as_count(batch_size, "batch_size")
    if callback is not None:
        as_callable(callback, "callback", "(step, loss, model)")
    if progress is not None:
        as_flag(progress, "progress")
    if isinstance(objective, Sharded):
        _check_sharded(objective, model, x, cond, optimizer, objective_fields)
        rows, objective = objective.rows, objective.objective
    else:
        objective, rows = as_objective(objective, **objective_fields), rows_in_memory(x, cond, model)
    rows = replace(rows, dtype=model.dtype, jitter=as_jitter(choices.jitter, model.d))
    if not isinstance(objective, DSM):
        warn_if_rounded(rows.to_examine(), choices.columns, choices.jitter, stacklevel=3)
    rows, held_out = hold_out(rows, validation, objective, choices.metric, model, rng)
    if patience is not None:
        patience = _as_patience(patience, held_out)
    problem = Problem(
        model, rows, objective, held_out, steps, batch_size, choices.validate_every, patience, seed
    )
    run, first = Run(problem, rng, callback), first_state(problem, minimiser, rng)
    kept = nullcontext(first) if checkpoint is None else checkpoint.kept(run, minimiser, first)
    with kept as state:
        return run.carry_out(minimiser, state, progress)


def _check_sharded(
    total: Sharded, model: ScoreModel, x: Any, cond: Any, optimizer: Any, fields: Mapping[str, Any]
) -> None:
    """What must be left out, or said, with an objective that holds its rows."""
    total.check(model)
    for name, value in (("x", x), ("cond", cond)):
        if value is not None:
            raise ValueError(
                f"{name} must be None with a sharded objective, which holds the rows, got {_show(value)}"
            )
    if optimizer != "lbfgs" and not isinstance(optimizer, LBFGS):
        raise ValueError(f"optimizer must be 'lbfgs' with a sharded objective, got {_show(optimizer)}")
    sigma, n_probes, probe = (fields.get(name) for name in ("sigma", "n_probes", "probe"))
    if sigma is not None:
        raise ValueError(f"sigma must be None with a sharded objective, which has its own, got {sigma!r}")
    if n_probes not in (None, 1) or probe not in (None, "rademacher"):
        raise ValueError(
            "n_probes and probe must be left out with a sharded objective, which has its own, "
            f"got {n_probes!r} and {probe!r}"
        )


def _as_patience(patience: Any, held_out: Optional[HeldOut]) -> int:
    if held_out is None:
        raise ValueError(f"patience must be None without validation rows to watch, got {patience}")
    return as_count(patience, "patience")
