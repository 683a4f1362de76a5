"""From a stored model to a table: what ``npscore sample`` and ``npscore score`` do, in the user's units."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._run.borders import as_count, as_flag, as_number, as_positive, as_rng
from ..datasets import Table
from ..models import ScoreModel
from ..samplers import LangevinResult, MetropolisResult, langevin, mala, tune_step
from ..storage import StoredModel
from .table import check_kind

Array = np.ndarray
MOST_STEPS = 10**6  # of the default: a curvature of 20,000
TUNED_CHAINS = 500  # in these many chains a step for MALA is looked for


class Plan(NamedTuple):
    """How far each chain is moved."""

    step: float
    n_steps: int
    mala: bool


def sample_table(
    stored: StoredModel,
    n: int,
    *,
    mala: bool = False,
    start: Optional[Table] = None,
    step: Optional[float] = None,
    n_steps: Optional[int] = None,
    rng: Any = None,
    progress: Optional[bool] = None,
) -> tuple[Table, Union[LangevinResult, MetropolisResult]]:
    """n Langevin samples of a stored model, in the user's units with the user's columns.

    Chains start from N(0, I) in standard units, or at rows of ``start`` drawn with replacement: where the
    density has separate modes, a chain keeps to the one it starts near, and only a start in the right
    proportions gives samples in the right proportions. ``step`` (standard units squared) defaults to a tenth of
    the inverse curvature, a bias of about 5 % in the narrowest variance; ``n_steps`` to what makes five units of
    time, e⁻⁵ of the slowest mode of unit variance, at least 100. Chains that diverged are left out of the table.

    With ``mala`` proposals are accepted or rejected, so that the step has no bias; the model must have an energy. Then
    ``step`` defaults to one at which 57 % are accepted, and ``n_steps`` to twice as much time.

    Raises ValueError where those defaults come to more than a million steps, as a file may make them.
    """
    n, rng, mala = as_count(n, "n"), as_rng(rng), as_flag(mala, "mala")
    check_kind(stored, StoredModel, "stored")
    if start is not None:
        check_kind(start, Table, "start")
    model = stored.model
    if mala and not hasattr(model, "log_density"):
        raise ValueError(
            f"mala must be False for {model!r}, whose score has no energy: no proposal can be accepted or rejected by "
            "a score alone"
        )
    sharpness = _number(stored.info.get("curvature"), 10.0)
    step = None if step is None else as_positive(step, "step")
    n_steps = None if n_steps is None else as_count(n_steps, "n_steps")
    x0 = _starts(stored, start, n, rng).astype(model.dtype)
    plan = _plan(model, x0, sharpness, step, n_steps, mala, rng)
    out = _walk(model, x0, plan, rng, progress)
    if out.n_diverged == n:
        raise ValueError(f"step must be small enough for some chain to stay finite, got {plan.step:g}")
    x = out.x[~out.diverged]
    standardisation = stored.standardisation
    if standardisation is None:
        return Table(tuple(f"x{j + 1}" for j in range(model.d)), x), out
    return Table(standardisation.columns, standardisation.inverse(x)), out


def _plan(
    model: ScoreModel,
    x0: Array,
    sharpness: float,
    step: Optional[float],
    n_steps: Optional[int],
    mala: bool,
    rng: np.random.Generator,
) -> Plan:
    """The step and the number of steps, as given or as the docstring of ``sample_table`` says."""
    if mala and step is None:
        step = tune_step(model.log_density, model.score, x0[:TUNED_CHAINS], 0.5 / sharpness, rng=rng).step
    elif step is None:
        step = 0.1 / sharpness
    elif not mala and step >= 2 / sharpness:
        warnings.warn(
            f"step {step:g} is too large to be stable: 2 / curvature is {2 / sharpness:.3g}", stacklevel=3
        )
    time = 10.0 if mala else 5.0
    return Plan(step, _default_steps(step, sharpness, time) if n_steps is None else n_steps, mala)


def _walk(
    model: ScoreModel, x0: Array, plan: Plan, rng: np.random.Generator, progress: Optional[bool]
) -> Union[LangevinResult, MetropolisResult]:
    options = {"rng": rng, "progress": progress}
    if plan.mala:
        return mala(model.log_density, model.score, x0, plan.step, plan.n_steps, **options)
    return langevin(model.score, x0, plan.step, plan.n_steps, **options)


def _default_steps(step: float, sharpness: float, time: float) -> int:
    """Steps that make so many units of time: the file's curvature may ask for a million at most."""
    wanted = time / step
    if wanted > MOST_STEPS:
        raise ValueError(
            f"n_steps must be given where {time:g} / step is more than {MOST_STEPS:,}, got step {step:.3g} "
            f"(the model's curvature is {sharpness:.3g}) and so {wanted:.3g} steps"
        )
    return max(100, math.ceil(wanted))


def _starts(stored: StoredModel, start: Optional[Table], n: int, rng: np.random.Generator) -> Array:
    """Where the chains start, (n, d), in standard units."""
    if start is None:
        return rng.standard_normal((n, stored.model.d))
    rows = _standard_rows(stored, start)
    return rows[rng.integers(len(rows), size=n)]


def _standard_rows(stored: StoredModel, table: Table) -> Array:
    """A table's rows in the model's units: its columns by name, or as they come for a model without units."""
    if stored.standardisation is None:
        return table.values
    missing = [name for name in stored.standardisation.columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"table must have the model's columns {', '.join(stored.standardisation.columns)}; "
            f"{', '.join(map(repr, missing))} is not among {', '.join(table.columns)}"
        )
    return stored.standardisation.forward(table.select(stored.standardisation.columns).values)


def score_table(stored: StoredModel, table: Table) -> Table:
    """The score at each row, in the user's units: ∂ log p/∂column, columns named d_logp/d_<column>.

    A stored model looks its columns up by name; raises ValueError where one is missing.
    """
    check_kind(stored, StoredModel, "stored")
    check_kind(table, Table, "table")
    score, columns = stored.model.score(_standard_rows(stored, table)), table.columns
    if stored.standardisation is not None:
        score, columns = stored.standardisation.score_to_data_units(score), stored.standardisation.columns
    return Table(tuple(f"d_logp/d_{name}" for name in columns), score)


def _number(value: Any, default: float) -> float:
    """A positive number out of a file's free-form info, or the default."""
    try:
        return as_number(value, "curvature", above=0.0)
    except (TypeError, ValueError):
        return default
