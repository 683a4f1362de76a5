"""Sampling by a table: its rows are the steps of the one runner that walks all samplers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._run.borders import as_batch, as_count, as_rng
from ..samplers.reports import Callback
from ..samplers.run import evaluator, walk
from ..samplers.step import Motion, Step
from .rows import AnyRow, CorrectorRow, HeunRow, OutputAt, corrector_step
from .schedule import Array, Schedule
from .score import DiffusionScore
from .tables import OF, SamplerTable, output_at, takes_noise


class SampleResult(NamedTuple):
    """What ``sample`` returns."""

    x: Array  # (n, d) states after the last row; NaN rows where diverged
    trajectory: Optional[Array]  # (k, n, d) recorded states, or None
    diverged: Array  # (n,) bool
    n_diverged: int


def sample(
    model: Union[DiffusionScore, OutputAt],
    table: SamplerTable,
    x_T: Any,
    *,
    rng: Any = None,
    record_every: Optional[int] = None,
    on_divergence: str = "warn",
    bound: Optional[float] = None,
    callback: Optional[Callback] = None,
    progress: Optional[bool] = None,
    workers: int = 1,
    executor: Any = None,
) -> SampleResult:
    """Take the rows of a table, one after the other, with every row of x_T (n, d), a chain each.

    ``model`` is a ``DiffusionScore`` with a condition t alone, whose network is read in its own form where rows can
    multiply that (``table.reading``), or a callable t -> function (n, d) -> (n, d) that returns what the
    table's ``of`` says, the score at time t by default. x_T is drawn from the density at times[0], for which the
    prior stands: ``prior_sample``.

    Chains are walked in blocks with random streams of their own, as in ``langevin``, and so are the options:
    the numbers are the same for any ``workers`` and ``executor``. A block takes one (b, d) array z of its stream for
    every row of the table; none is drawn where no row adds noise. ``predictor_corrector`` keeps all chains in one
    block. A callable for other processes must be picklable. Computed in the type of x_T.

    Raises TypeError or ValueError for a wrong argument, ``DivergenceError`` if asked to.
    """
    if not isinstance(table, SamplerTable):
        raise TypeError(
            f"table must be a sampler's table, such as ddim(schedule, times), got {type(table).__name__}"
        )
    if isinstance(model, DiffusionScore):
        _check_schedule(model, table)
        own = own_form(model)
        table = table.reading(own) if own in table.forms else table
        function_at = output_at(model, table.of)
    elif not callable(model) or isinstance(model, type):
        raise TypeError(
            f"model must be a DiffusionScore or a callable t -> function, got {type(model).__name__}"
        )
    else:
        function_at = model
    walked = walk(
        TableStep(function_at, table.rows, table.name),
        as_batch(x_T, "x_T", d=getattr(model, "d", None)),
        len(table),
        rng=rng,
        record_every=record_every,
        on_divergence=on_divergence,
        bound=bound,
        callback=callback,
        progress=progress,
        workers=workers,
        executor=executor,
    )
    trajectory = None if record_every is None else walked.trajectory[0]
    return SampleResult(walked.state[0], trajectory, walked.diverged, int(np.count_nonzero(walked.diverged)))


def prior_sample(schedule: Schedule, t: Any, n: int, d: int, *, rng: Any, dtype: Any = np.float64) -> Array:
    """n draws (n, d) of the prior N(0, π²I) that stands for x_t at the noisy end t: π = 1, or σ_t for VE and EDM."""
    shape = as_count(n, "n"), as_count(d, "d")
    if np.dtype(dtype).kind != "f":
        raise ValueError(f"dtype must be a floating type, got {np.dtype(dtype)}")
    return (schedule.prior_std(t) * as_rng(rng).standard_normal(shape)).astype(dtype)


def own_form(model: DiffusionScore) -> str:
    """The form in which a network is read by rows: its own, where rows can multiply it."""
    return model.form if model.form in OF else "x0" if model.form == "edm" else "score"


@dataclass(frozen=True)
class TableStep(Step):
    """``rows.step`` in place, row t at step t; tested to give the same numbers."""

    function_at: OutputAt
    rows: tuple[AnyRow, ...]
    name: str

    advice = "take more and smaller steps, or look at the model's scores at that time"

    @property
    def normals(self) -> int:  # type: ignore[override]
        """One array a row where any row adds noise."""
        return int(takes_noise(self.rows))

    @property
    def one_block(self) -> bool:  # type: ignore[override]
        """A corrector's step is made of all chains."""
        return any(isinstance(row, CorrectorRow) for row in self.rows)

    def start(self, x: Array) -> tuple[Array]:
        """x alone."""
        return (x,)

    def motion(self, x: Array) -> Motion:
        """Row after row."""

        def move(t: int, *noise: Array) -> None:
            row = self.rows[t - 1]
            outputs = evaluator(self.function_at(row.t), x, "the model at x")
            if isinstance(row, HeunRow):
                _move_heun(row, x, outputs, self._end(row, x), *noise)
            elif isinstance(row, CorrectorRow):
                s = outputs(x)
                alpha = corrector_step(row, s, noise[0])
                _add(x, (1.0, x), (alpha, s), (np.sqrt(2.0 * alpha), noise[0]))
            else:
                _add(x, (row.A, x), (row.B, outputs(x)), *((row.N, z) for z in noise if row.N))

        return Motion(move)

    def _end(self, row: HeunRow, x: Array) -> Optional[Callable[[Array], Array]]:
        return None if row.ends else evaluator(self.function_at(row.s), x, "the model at x")


def _move_heun(
    row: HeunRow, x: Array, first: Any, second: Optional[Callable[[Array], Array]], *noise: Array
) -> None:
    """y = L x + N z in x's memory, then the two evaluations."""
    _add(x, (row.L, x), *((row.N, z) for z in noise if row.N))
    o = first(x)
    end = np.empty_like(x)
    _add(end, (row.A, x), (row.B, o))
    if second is None:
        x[...] = end
    else:
        _add(x, (row.C, x), (row.D, o))  # before o's memory may be taken for the second evaluation
        _add(x, (1.0, x), (row.E, end), (row.F, second(end)))


def _add(out: Array, *products: tuple[Any, Array]) -> None:
    """out ← Σ number · array, numbers in out's type; ``out`` may be the first array."""
    real = out.dtype.type
    number, array = products[0]
    np.multiply(array, real(number), out=out)
    for number, array in products[1:]:
        np.add(out, np.multiply(array, real(number)), out=out)


def _check_schedule(model: DiffusionScore, table: SamplerTable) -> None:
    if table.schedule != model.schedule:
        raise ValueError(f"table must be made for the model's schedule {model.schedule!r}, got {table!r}")
    if model.condition != 1:
        raise ValueError(
            f"model must have the condition t alone, got {model!r} with a label: lambda t: model.at(t, label).score"
        )
