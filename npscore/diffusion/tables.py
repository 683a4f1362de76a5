"""Samplers as tables: a sequence of rows, one for each step, made from a schedule and decreasing times.

    table = diffusion.ddim(schedule, times, eta=0.0)
    x = diffusion.sample(model, table, x_T, rng=0).x

Steps are linear in (x, o, z), with o what the model returns, so on Gaussian data the law of every row is
exact: ``law``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from .._run.borders import as_array, as_choice, as_count, as_flag, as_number, as_positive
from . import rows
from .discrete import Discrete
from .rows import AnyRow, CorrectorRow, Ends, ends_of, level_of
from .schedule import Array, Schedule
from .schedules import EDM, VE

#: What rows can multiply: forms that are linear readings of x₀ and ε without a scale of their own.
OF = ("score", "epsilon", "x0", "v", "flow")
VARIANCES = ("posterior", "forward")


class SamplerTable(Sequence):
    """The rows of a sampler, from the noisiest time to the cleanest: ``table[i]`` is a row, read off by name.

    ``of`` is the form of what the rows multiply, one of ``forms``; ``table.reading(of)`` is the same sampler for
    another.
    """

    def __init__(
        self,
        name: str,
        schedule: Schedule,
        times: Array,
        of: str,
        make: Callable[[Schedule, Array, str], list[AnyRow]],
        forms: tuple[str, ...] = OF,
    ):
        self.name, self.schedule, self.times = name, schedule, times
        self.of, self.forms, self._make = as_choice(of, "of", forms), forms, make

    @cached_property
    def rows(self) -> tuple[AnyRow, ...]:
        """All rows; ValueError where one is infinite, as in the score where α = 0."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            made = tuple(self._make(self.schedule, self.times, self.of))
        for row in made:
            if not np.isfinite(row[2:]).all():
                if self.schedule.alpha(row.t) > 0:
                    raise ValueError(
                        f"times must have steps within the range of float64, got one from {row.t} to {row.s}"
                    )
                raise ValueError(
                    f"of must be a form that is finite at t = {row.t} of {self.schedule!r}, got "
                    f"{self.of!r}: there α = 0, and "
                    "'flow', 'v' or 'x0' may serve; or start a little below"
                )
        return made

    def reading(self, of: str) -> SamplerTable:
        """The same sampler with rows that multiply another form, one of ``forms``."""
        return SamplerTable(self.name, self.schedule, self.times, of, self._make, self.forms)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[AnyRow]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"<{self.name} on {self.schedule!r} at {len(self.times)} times, of {self.of!r}>"


def ancestral(schedule: Schedule, times: Any, variance: str = "posterior", of: str = "score") -> SamplerTable:
    """DDPM's sampler: the posterior's mean at x̂₀, and noise of variance β̃ ("posterior") or w ("forward").

    In the score: A = 1/r, B = w/r, N = √β̃ or √w, and 0 into σ = 0. ``times`` decrease; those of a Discrete schedule are
    whole numbers, also with steps left out. Ho et al. 2020, algorithm 2.
    """
    as_choice(variance, "variance", VARIANCES)
    make = partial(_each, row=partial(rows.ancestral_row, variance=variance))
    return _table("ancestral", schedule, times, of, make)


def ddim(schedule: Schedule, times: Any, eta: float = 0.0, of: str = "score") -> SamplerTable:
    """DDIM: x ← α_s x̂₀ + √(σ_s² − η²β̃) ε̂ + η√β̃ z; η = 0 is deterministic, η = 1 is ``ancestral``.

    Raises ValueError where η > σ_t/√w, whose root would be negative. Song, Meng and Ermon 2021, eq. 12.
    """
    make = partial(_each, row=partial(rows.ddim_row, eta=as_number(eta, "eta", at_least=0.0)))
    return _table("ddim", schedule, times, of, make)


def reverse_sde(schedule: Schedule, times: Any, denoise: bool = False, of: str = "score") -> SamplerTable:
    """Euler–Maruyama of the reverse SDE: A = 1 − h f, B = h g², N = g√h with f and g at t; ``denoise``: none
    in the last.

    Anderson 1982; Song et al. 2021, eq. 6.
    """
    as_flag(denoise, "denoise")
    return _table("reverse_sde", schedule, times, of, partial(_reverse_sde_rows, denoise=denoise))


def probability_flow(schedule: Schedule, times: Any, of: str = "score") -> SamplerTable:
    """Euler steps of the probability flow: A = 1 − h f, B = ½ h g², N = 0. Song et al. 2021, eq. 13."""
    return _table("probability_flow", schedule, times, of, partial(_each, row=rows.probability_flow_row))


def heun(schedule: Schedule, times: Any, of: str = "score") -> SamplerTable:
    """Heun steps of the probability flow in t, second order; an Euler step into σ = 0."""
    return _table("heun", schedule, times, of, partial(_each, row=rows.heun_row))


def edm(
    schedule: Schedule,
    times: Any,
    churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = float("inf"),
    s_noise: float = 1.0,
    of: str = "score",
) -> SamplerTable:
    """EDM's stochastic Heun sampler on x/α at the noise levels σ/α of ``times``; deterministic with ``churn`` = 0.

    γ = min(churn/N, √2 − 1) where s_tmin ≤ σ/α ≤ s_tmax, for N steps. Karras et al. 2022, algorithm 2.
    """
    options = {
        "churn": as_number(churn, "churn", at_least=0.0),
        "s_tmin": as_number(s_tmin, "s_tmin", at_least=0.0),
        "s_tmax": float("inf") if s_tmax == float("inf") else as_number(s_tmax, "s_tmax"),
        "s_noise": as_positive(s_noise, "s_noise"),
    }
    return _table("edm", schedule, times, of, partial(_edm_rows, **options))


def annealed_langevin(
    schedule: Schedule, times: Any, step: float, n_each: int = 1, denoise: bool = True, of: str = "score"
) -> SamplerTable:
    """NCSN's sampler: ``n_each`` Langevin steps α = step · (σ/σ_L)² at each noise level, σ_L the last of ``times``.

    For schedules with α = 1 (VE, EDM). ``denoise`` ends with x + σ_L² s(x), without noise. Song and Ermon's update
    is x + ½ε s + √ε z: for the same chain ``step`` is half of their ε.
    Song and Ermon 2019, algorithm 1; Jolicoeur-Martineau et al. 2021.
    """
    if not isinstance(schedule, (VE, EDM)):
        raise ValueError(f"schedule must have α = 1 (VE or EDM) for annealed Langevin, got {schedule!r}")
    step, n_each = as_positive(step, "step"), as_count(n_each, "n_each")
    make = partial(_annealed_rows, step=step, n_each=n_each, denoise=as_flag(denoise, "denoise"))
    return _table("annealed_langevin", schedule, times, of, make, last_is_noisy=True)


def predictor_corrector(
    schedule: Schedule, times: Any, snr: float = 0.16, n_corrector: int = 1, predictor: str = "reverse_sde"
) -> SamplerTable:
    """score_sde's sampler: a row of ``predictor``, then ``n_corrector`` Langevin steps at the time it led to.

    A corrector's step is 2α_c (snr · mean‖z‖/mean‖s‖)², the means over all chains of the call: ``sample``
    keeps them in one block, and it has no law. Rows multiply the score.
    α_c = 1, or 1 − β of the step for Discrete. Nothing is corrected at σ = 0.
    Song et al. 2021, algorithms 2 to 5.
    """
    makers = {"reverse_sde": reverse_sde, "ancestral": ancestral, "probability_flow": probability_flow}
    as_choice(predictor, "predictor", makers)
    make = partial(
        _corrected_rows,
        predicted=makers[predictor](schedule, times)._make,
        snr=as_positive(snr, "snr"),
        n_corrector=as_count(n_corrector, "n_corrector"),
    )
    return _table("predictor_corrector", schedule, times, "score", make, forms=("score",))


# ---- rows out of times ---------------------------------------------------------------------------------


def _table(
    name: str,
    schedule: Schedule,
    times: Any,
    of: str,
    make: Any,
    last_is_noisy: bool = False,
    forms: tuple[str, ...] = OF,
) -> SamplerTable:
    """The table, with its rows made once: what is wrong is raised here.

    Where α = 0 at the start, rows in the score are infinite but others are not: `sample` reads the table in the form
    of its network.
    """
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a diffusion schedule, got {type(schedule).__name__}")
    table = SamplerTable(name, schedule, as_times(schedule, times, last_is_noisy), of, make, forms)
    finite = schedule.alpha(table.times[0]) > 0 or of not in ("score", "epsilon") or "x0" not in forms
    _ = (table if finite else table.reading("x0")).rows
    return table


def as_times(schedule: Schedule, times: Any, last_is_noisy: bool = False) -> Array:
    """Decreasing times of a schedule (k + 1,), the last of which may have σ = 0; ValueError naming what is wrong."""
    times = as_array(times, "times")
    if times.ndim != 1 or len(times) < (1 if last_is_noisy else 2):
        raise ValueError(f"times must have shape (k + 1,) for k >= 1 steps, got shape {times.shape}")
    times = schedule.times(times, "times")
    if not (np.diff(times) < 0).all():
        at = int(np.argmax(np.diff(times) >= 0))
        raise ValueError(
            f"times must decrease, from noise to data, got {times[at]} and then {times[at + 1]} at index {at}"
        )
    noisy = times if last_is_noisy else times[:-1]
    if not (schedule._sigma(noisy) > 0).all():
        raise ValueError(f"times must have noise, σ > 0, before the end, got {noisy[-1]}")
    return times


def _each(schedule: Schedule, times: Array, of: str, row: Callable[[Ends], AnyRow]) -> list[AnyRow]:
    return [row(ends) for ends in ends_of(schedule, times, of)]


def _reverse_sde_rows(schedule: Schedule, times: Array, of: str, denoise: bool) -> list[AnyRow]:
    *all_but_last, last = ends_of(schedule, times, of)
    return [rows.reverse_sde_row(ends, True) for ends in all_but_last] + [
        rows.reverse_sde_row(last, not denoise)
    ]


def _edm_rows(
    schedule: Schedule, times: Array, of: str, churn: float, s_tmin: float, s_tmax: float, s_noise: float
) -> list[AnyRow]:
    steps = ends_of(schedule, times, of)
    most = min(churn / len(steps), np.sqrt(2.0) - 1.0)
    made = []
    for ends in steps:
        gamma = most if s_tmin <= ends.sigma_t / ends.alpha_t <= s_tmax else 0.0
        made.append(rows.edm_row(ends, float(gamma), s_noise))
    return made


def _annealed_rows(
    schedule: Schedule, times: Array, of: str, step: float, n_each: int, denoise: bool
) -> list[AnyRow]:
    levels = [level_of(schedule, t, of) for t in times.tolist()]
    made: list[AnyRow] = []
    for level in levels:
        made += [
            rows.langevin_row(level, step * float(level.sigma_t / levels[-1].sigma_t) ** 2)
        ] * n_each  # eq-12.28
    if denoise:
        made.append(rows.denoising_row(levels[-1])._replace(s=0.0))  # eq-12.28
    return made


def _corrected_rows(
    schedule: Schedule, times: Array, of: str, predicted: Any, snr: float, n_corrector: int
) -> list[AnyRow]:
    made: list[AnyRow] = []
    for row in predicted(schedule, times, of):
        made.append(row)
        if schedule.sigma(row.s) > 0:
            scale = 1.0 - float(schedule.beta[row.s - 1]) if isinstance(schedule, Discrete) else 1.0
            made += [CorrectorRow(row.s, row.s, snr, scale)] * n_corrector
    return made


def takes_noise(table: Sequence[AnyRow]) -> bool:
    """Whether any row adds noise."""
    return any(isinstance(row, CorrectorRow) or row.N != 0 for row in table)


def output_at(model: Any, of: str) -> Callable[[Any], Callable[[Array], Array]]:
    """``t -> function`` that the rows multiply, of a model with ``at(t, of=…)``."""
    return partial(_function_at, model, of)


def _function_at(model: Any, of: str, t: Any) -> Callable[[Array], Array]:
    return model.at(t, of=of).score
