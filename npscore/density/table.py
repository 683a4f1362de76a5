"""From a table to a stored model, and from a stored model to a table: what the command line does.

The spine of the library in three functions: ``fit_table``, ``sample_table``, ``score_table``. They add
nothing to the maths but the user's units: standardise on the way in, undo it on the way out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import _show, as_count, as_number, as_positive, as_rng
from .._run.scale import within_range
from ..datasets import Standardisation, Table, train_validation_split
from ..datasets.rounding import RoundedDataWarning, dequantise, suggested_jitter
from ..fitting import FitResult, fit
from ..fitting.rows import as_jitter
from ..models import MLP, LinearScore, ScoreModel
from ..objectives import DSM, ISM, Objective, as_objective, ism
from ..samplers import LangevinResult, langevin
from ..storage import StoredModel

Array = np.ndarray
MOST_STEPS = 10**6  # of the default: a curvature of 20,000


class FittedTable(NamedTuple):
    """What ``fit_table`` returns: the model in its units, the run, the rows (standardised) and the Gaussian.

    In standard units, (d,) each: ``jitter`` is what was asked for against rounding, ``noise`` all the noise in
    the density that was learned, DSM's σ included. ``gaussian`` is the closed-form best affine score for the
    training rows with that noise.
    """

    stored: StoredModel
    run: FitResult
    train: Array
    validation: Array
    jitter: Array
    noise: Array
    gaussian: LinearScore


class Comparison(NamedTuple):
    """Held-out ISM of two models on the same rows and noise, and the difference with its standard error."""

    model: float
    gaussian: float
    difference: float
    standard_error: float


def fit_table(
    table: Table,
    *,
    objective: Any = "ism",
    hidden: Sequence[int] = (64, 64),
    activation: str = "tanh",
    jitter: Any = "auto",
    validation: float = 0.2,
    rng: Any = None,
    **settings: Any,
) -> FittedTable:
    """Standardise a table, hold rows out, fit an MLP score; ``settings`` go on to ``fit``.

    Mean and scale come from the training rows alone. ``objective`` is as in ``fit``. ``jitter`` is in standard
    units, one number or one a column, or "auto": see ``automatic_jitter`` (none for "dsm", which brings its own).
    The model that is kept is the best by the objective's own held-out loss; ``info["held_out_ism"]`` is its
    held-out ISM, whatever the objective.
    Raises as ``fit`` and the table functions do.
    """
    rng = as_rng(rng)
    _check_kind(table, Table, "table")
    hidden = _widths(hidden)
    train, held_out = train_validation_split(table.values, validation, rng=rng)
    standardisation = Standardisation.fit(train, table.columns)
    train, held_out = standardisation.forward(train), standardisation.forward(held_out)
    fields = {name: settings.pop(name, None) for name in ("sigma", "n_probes", "probe")}
    objective = as_objective(objective, **fields)
    d = train.shape[1]
    jitter = _as_deviations(jitter, table, standardisation.scale, objective)
    noise = np.hypot(jitter, objective.sigma if isinstance(objective, DSM) else 0.0)  # (d,)
    gaussian = _best_gaussian(train, noise)
    model = MLP.init((d, *hidden, d), activation, rng=rng)
    run = fit(
        model,
        train,
        objective,
        jitter=jitter,
        validation=held_out,
        columns=table.columns,
        rng=rng,
        **settings,
    )
    by_ism = isinstance(objective, ISM) and settings.get("metric", "ism") == "ism"
    info = {
        "objective": _name(objective),
        "noise": noise.tolist(),
        "curvature": curvature(run.model, train),
        "rows": len(train),
        "steps": run.best_step,
        "held_out_ism": run.validation_loss if by_ism else _held_out_ism(run, held_out, noise, rng),
    }
    stored = StoredModel(run.model, standardisation, info)
    return FittedTable(stored, run, train, held_out, jitter, noise, gaussian)


def _as_deviations(jitter: Any, table: Table, scale: Array, objective: Objective) -> Array:
    """Noise (d,) in standard units, from "auto", one number or (d,)."""
    if isinstance(jitter, str):
        if jitter != "auto":
            raise ValueError(f"jitter must be 'auto', one number or one a column, got {jitter!r}")
        jitter = 0.0 if objective.smooths else automatic_jitter(table, scale)
    deviations = as_jitter(jitter, len(scale), scale.dtype)
    return np.zeros(len(scale)) if deviations is None else deviations


def _name(objective: Objective) -> str:
    """What a model file calls the objective."""
    spec = objective.spec()
    return "callable" if spec is None else str(spec.get("name", spec.get("objective", "objective")))


def _held_out_ism(run: FitResult, held_out: Array, noise: Array, rng: np.random.Generator) -> float:
    """Held-out ISM (3.6) of the model that was kept, with one draw of all the noise in the density it learned."""
    return float(ism(run.model, dequantise(held_out, noise, rng=rng), gradient=False).loss)


def _widths(hidden: Any) -> tuple[Any, ...]:
    listed = isinstance(hidden, (Sequence, np.ndarray)) and getattr(hidden, "ndim", 1) == 1
    if isinstance(hidden, (str, bytes)) or not listed:
        raise TypeError(f"hidden must be a list of widths like (64, 64), or () for none, got {_show(hidden)}")
    return tuple(hidden)


@within_range("jitter and sigma", "the covariance of the rows with that noise")
def _best_gaussian(train: Array, noise: Array) -> LinearScore:
    """The best affine score for the training rows with noise; found before the long work, as it may not exist."""
    n, d = train.shape
    cov = np.cov(train.T, bias=True).reshape(d, d) + np.diag(noise**2)
    smallest = np.linalg.eigvalsh(cov)[0]
    if smallest <= 10 * d * np.finfo(float).eps * np.trace(cov):
        raise ValueError(
            f"table must have independent columns and more than {d} training rows without noise, got {n} training "
            "rows whose covariance is singular: leave a dependent column out, or add jitter"
        )
    return LinearScore.from_gaussian(train.mean(axis=0), cov)


def automatic_jitter(table: Table, scale: Array) -> Array:
    """Noise for a table fitted by ISM, (d,) in standard units: against rounding, and against sharpening.

    The larger of what hides a column's rounding and 0.3 n^(-1/(d+4)), three tenths of Scott's bandwidth for a
    kernel estimate. Finitely many rows are a grid of their own: without noise a network goes on sharpening
    its score onto them, until Langevin needs tiny steps and chains stay at single rows. ``scale`` (d,) are the
    columns' standard deviations. Warns, naming the column, where hiding the rounding takes noise of the size of
    the data: that is a discrete column. Source of the bandwidth: Scott 1992.
    """
    n, d = table.values.shape
    hiding = suggested_jitter(table.values) / scale
    for j in np.flatnonzero(hiding > 0.5):
        warnings.warn(
            f"column {table.columns[j]!r} has so few values that hiding them takes noise of {hiding[j]:.2g} "
            "standard deviations: it is discrete, and a score is not what describes it",
            RoundedDataWarning,
            stacklevel=4,  # where fit_table was called
        )
    return np.maximum(hiding, 0.3 * n ** (-1 / (d + 4)))


def curvature(model: ScoreModel, x: Array) -> float:
    """How sharply the log-density bends where the data is: the 95 % quantile of λ_max(-(J + Jᵀ)/2) over rows.

    It sets the Langevin step: on a Gaussian of precision λ, a step α inflates the variance by
    1/(1 - αλ/2) (1.6). At least 1, the curvature of standardised data without structure.
    """
    jacobian = model.jacobian(x[:1024])
    symmetric = -0.5 * (jacobian + jacobian.transpose(0, 2, 1))
    return max(1.0, float(np.quantile(np.linalg.eigvalsh(symmetric)[:, -1], 0.95)))


def compare(fitted: FittedTable, *, draws: int = 50, rng: Any = None) -> Comparison:
    """Held-out ISM of the model and of the best Gaussian, averaged over draws of the same noise.

    The standard error is over held-out rows, paired: it is of the difference.
    """
    rng = as_rng(rng)
    rows = np.repeat(fitted.validation, as_count(draws, "draws"), axis=0)
    if fitted.noise.any():
        rows = dequantise(rows, fitted.noise, rng=rng)
    values = []
    for model in (fitted.run.model, fitted.gaussian):
        values.append(
            ism(model, rows, gradient=False).per_sample.reshape(-1, draws).mean(axis=1)
        )  # (n,)  eq-3.6
    difference = values[0] - values[1]
    error = difference.std(ddof=1) / math.sqrt(len(difference)) if len(difference) > 1 else math.inf
    return Comparison(values[0].mean(), values[1].mean(), difference.mean(), float(error))


def sample_table(
    stored: StoredModel,
    n: int,
    *,
    start: Optional[Table] = None,
    step: Optional[float] = None,
    n_steps: Optional[int] = None,
    rng: Any = None,
    progress: Optional[bool] = None,
) -> tuple[Table, LangevinResult]:
    """n Langevin samples of a stored model, in the user's units with the user's columns.

    Chains start from N(0, I) in standard units, or at rows of ``start`` drawn with replacement: where the
    density has separate modes, a chain keeps to the one it starts near, and only a start in the right
    proportions gives samples in the right proportions. ``step`` (standard units squared) defaults to a tenth of
    the inverse curvature, a bias of about 5 % in the narrowest variance; ``n_steps`` to what makes five units of
    time, e⁻⁵ of the slowest mode of unit variance, at least 100. Chains that diverged are left out of the table.
    Raises ValueError where those defaults come to more than a million steps, as a file may make them.
    """
    n, rng = as_count(n, "n"), as_rng(rng)
    _check_kind(stored, StoredModel, "stored")
    if start is not None:
        _check_kind(start, Table, "start")
    sharpness = _number(stored.info.get("curvature"), 10.0)
    step = 0.1 / sharpness if step is None else as_positive(step, "step")
    if step >= 2 / sharpness:
        warnings.warn(
            f"step {step:g} is too large to be stable: 2 / curvature is {2 / sharpness:.3g}", stacklevel=2
        )
    n_steps = _default_steps(step, sharpness) if n_steps is None else as_count(n_steps, "n_steps")
    model = stored.model
    x0 = _starts(stored, start, n, rng).astype(model.dtype)
    out = langevin(model.score, x0, step, n_steps, rng=rng, progress=progress)
    if out.n_diverged == n:
        raise ValueError(f"step must be small enough for some chain to stay finite, got {step:g}")
    x = out.x[~out.diverged]
    standardisation = stored.standardisation
    if standardisation is None:
        return Table(tuple(f"x{j + 1}" for j in range(model.d)), x), out
    return Table(standardisation.columns, standardisation.inverse(x)), out


def _default_steps(step: float, sharpness: float) -> int:
    """Steps that make five units of time: the file's curvature may ask for a million at most."""
    wanted = 5.0 / step
    if wanted > MOST_STEPS:
        raise ValueError(
            f"n_steps must be given where 5 / step is more than {MOST_STEPS:,}, got step {step:.3g} "
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
    _check_kind(stored, StoredModel, "stored")
    _check_kind(table, Table, "table")
    score, columns = stored.model.score(_standard_rows(stored, table)), table.columns
    if stored.standardisation is not None:
        score, columns = stored.standardisation.score_to_data_units(score), stored.standardisation.columns
    return Table(tuple(f"d_logp/d_{name}" for name in columns), score)


def _check_kind(value: Any, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")


def _number(value: Any, default: float) -> float:
    """A positive number out of a file's free-form info, or the default."""
    try:
        return as_number(value, "curvature", above=0.0)
    except (TypeError, ValueError):
        return default
