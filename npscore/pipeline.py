"""From a table to a stored model, and from a stored model to a table: what the command line does.

The spine of the library in three functions: ``fit_table``, ``sample_table``, ``score_table``. They add
nothing to the maths but the user's units: standardise on the way in, undo it on the way out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from ._validation import as_count, as_number, as_positive, as_rng
from .datasets import Standardisation, Table, train_validation_split
from .datasets.rounding import dequantise, suggested_jitter
from .fitting import FitResult, fit
from .models import MLP, LinearScore, ScoreModel
from .samplers import LangevinResult, langevin
from .storage import StoredModel

Array = np.ndarray


class FittedTable(NamedTuple):
    """What ``fit_table`` returns: the model in its units, the run, the rows (standardised) and the Gaussian.

    ``jitter`` is the noise in standard units, (d,); ``gaussian`` the closed-form best affine score for the
    training rows with the same noise.
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
    objective: str = "ism",
    hidden: Sequence[int] = (64, 64),
    activation: str = "tanh",
    jitter: Any = "auto",
    validation: float = 0.2,
    rng: Any = None,
    **settings: Any,
) -> FittedTable:
    """Standardise a table, hold rows out, fit an MLP score; ``settings`` go on to ``fit``.

    Mean and scale come from the training rows alone. ``jitter`` is in standard units, one number or one a
    column, or "auto": just enough for columns that are visibly rounded, nothing for the others (none at all
    for "dsm", which brings its own noise). Raises as ``fit`` and the table functions do.
    """
    rng = as_rng(rng)
    train, held_out = train_validation_split(table.values, validation, rng=rng)
    standardisation = Standardisation.fit(train, table.columns)
    train, held_out = standardisation.forward(train), standardisation.forward(held_out)
    d = train.shape[1]
    if isinstance(jitter, str):
        if jitter != "auto":
            raise ValueError(f"jitter must be 'auto', one number or one a column, got {jitter!r}")
        jitter = np.zeros(d) if objective == "dsm" else suggested_jitter(table.values) / standardisation.scale
    jitter = np.broadcast_to(np.asarray(jitter, dtype=float), (d,))
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
    sigma = settings.get("sigma") or 0.0
    noise = np.sqrt(jitter**2 + sigma**2)  # (d,) all the noise in the density that was learned
    smoothed_cov = np.cov(train.T, bias=True).reshape(d, d) + np.diag(noise**2)
    gaussian = LinearScore.from_gaussian(train.mean(axis=0), smoothed_cov)
    info = {
        "objective": objective,
        "noise": noise.tolist(),
        "curvature": curvature(run.model, train),
        "rows": len(train),
        "steps": run.best_step,
        "held_out_ism": run.validation_loss,
    }
    stored = StoredModel(run.model, standardisation, info)
    return FittedTable(stored, run, train, held_out, jitter, noise, gaussian)


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
        s, div, _ = model.divergence_vjp(rows)
        values.append((0.5 * (s * s).sum(axis=1) + div).reshape(-1, draws).mean(axis=1))  # (n,)  eq-3.6
    difference = values[0] - values[1]
    error = difference.std(ddof=1) / math.sqrt(len(difference)) if len(difference) > 1 else math.inf
    return Comparison(values[0].mean(), values[1].mean(), difference.mean(), float(error))


def sample_table(
    stored: StoredModel,
    n: int,
    *,
    step: Optional[float] = None,
    n_steps: Optional[int] = None,
    rng: Any = None,
    progress: Optional[bool] = None,
) -> tuple[Table, LangevinResult]:
    """n Langevin samples of a stored model, in the user's units with the user's columns.

    Chains start from N(0, I) in standard units. ``step`` (standard units squared) defaults to a tenth of the
    inverse curvature, a bias of about 5 % in the narrowest variance; ``n_steps`` to what makes five units
    of time, e⁻⁵ of the slowest mode of unit variance. Chains that diverged are left out of the table.
    """
    n, rng = as_count(n, "n"), as_rng(rng)
    step = 0.1 / _number(stored.info.get("curvature"), 10.0) if step is None else as_positive(step, "step")
    n_steps = math.ceil(5.0 / step) if n_steps is None else as_count(n_steps, "n_steps")
    model = stored.model
    x0 = rng.standard_normal((n, model.d)).astype(model.dtype)
    out = langevin(model.score, x0, step, n_steps, rng=rng, progress=progress)
    if out.n_diverged == n:
        raise ValueError(f"step must be small enough for some chain to stay finite, got {step:g}")
    x = out.x[~out.diverged]
    standardisation = stored.standardisation
    if standardisation is None:
        return Table(tuple(f"x{j + 1}" for j in range(model.d)), x), out
    return Table(standardisation.columns, standardisation.inverse(x)), out


def score_table(stored: StoredModel, table: Table) -> Table:
    """The score at each row, in the user's units: ∂ log p/∂column, columns named d_logp/d_<column>.

    A stored model looks its columns up by name; raises ValueError where one is missing.
    """
    standardisation = stored.standardisation
    if standardisation is None:
        score = stored.model.score(table.values)
        columns = table.columns
    else:
        columns = standardisation.columns
        values = table.select(columns).values
        score = standardisation.score_to_data_units(stored.model.score(standardisation.forward(values)))
    return Table(tuple(f"d_logp/d_{name}" for name in columns), score)


def _number(value: Any, default: float) -> float:
    """A positive number out of a file's free-form info, or the default."""
    try:
        return as_number(value, "curvature", above=0.0)
    except (TypeError, ValueError):
        return default
