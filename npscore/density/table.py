"""From a table to a stored model: what ``npscore fit`` does.

The spine of the library in three functions: ``fit_table`` here, ``sample_table`` and ``score_table`` in `stored`. They
add nothing to the maths but the user's units: standardise on the way in, undo it on the way out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import _show, as_count, as_flag, as_rng
from .._run.scale import within_range
from ..datasets import Standardisation, Table, train_validation_split
from ..datasets.rounding import RoundedDataWarning, dequantise, suggested_jitter
from ..fitting import FitResult, fit
from ..fitting.rows import as_jitter
from ..models import MLP, EnergyMLP, LinearScore, ScoreModel
from ..objectives import DSM, ISM, Objective, as_objective, ism
from ..storage import StoredModel

Array = np.ndarray
# Of an energy, in standard units: wider than the data, narrow enough for its tails to hold little.
CONFINEMENT = 1.5


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
    activation: Optional[str] = None,
    energy: bool = False,
    jitter: Any = "auto",
    validation: float = 0.2,
    rng: Any = None,
    **settings: Any,
) -> FittedTable:
    """Standardise a table, hold rows out, fit an MLP score; ``settings`` go on to ``fit``.

    With ``energy`` the network is an ``EnergyMLP`` with confinement 1.5 (standard units), whose log-density is known
    up to a constant, as ``sample_table(…, mala=True)`` needs. ``activation`` is "tanh" unless given, and "softplus" for
    an energy: that of a bounded activation is bounded, and leaves mass in the confinement's tails.
    Mean and scale come from the training rows alone. ``objective`` is as in ``fit``. ``jitter`` is in standard
    units, one number or one a column, or "auto": see ``automatic_jitter`` (none for "dsm", which brings its own).
    The model that is kept is the best by the objective's own held-out loss; ``info["held_out_ism"]`` is its
    held-out ISM, whatever the objective.
    Raises as ``fit`` and the table functions do.
    """
    rng = as_rng(rng)
    check_kind(table, Table, "table")
    hidden = _widths(hidden)
    train, held_out = train_validation_split(table.values, validation, rng=rng)
    standardisation = Standardisation.fit(train, table.columns)
    train, held_out = standardisation.forward(train), standardisation.forward(held_out)
    fields = {name: settings.pop(name, None) for name in ("sigma", "n_probes", "probe")}
    objective = as_objective(objective, **fields)
    jitter = _as_deviations(jitter, table, standardisation.scale, objective)
    noise = np.hypot(jitter, objective.sigma if isinstance(objective, DSM) else 0.0)  # (d,)
    gaussian = _best_gaussian(train, noise)
    model = _random_model(train.shape[1], hidden, activation, as_flag(energy, "energy"), rng)
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


def _random_model(
    d: int, hidden: tuple[Any, ...], activation: Optional[str], energy: bool, rng: np.random.Generator
) -> ScoreModel:
    if not energy:
        return MLP.init((d, *hidden, d), "tanh" if activation is None else activation, rng=rng)
    if not hidden:
        raise ValueError("hidden must have at least one width where energy is True, got none")
    activation = "softplus" if activation is None else activation
    return EnergyMLP.init((d, *hidden, 1), activation, rng=rng, confinement=CONFINEMENT)


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


def check_kind(value: Any, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")
