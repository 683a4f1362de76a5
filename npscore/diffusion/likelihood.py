"""Exact log-likelihoods by the probability flow: the instantaneous change of variables with the exact divergence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Optional

import numpy as np

from .._run.blas import one_blas_thread
from .._run.borders import as_array, as_batch
from .._run.progress import Progress
from .schedule import Array, Schedule
from .score import DiffusionScore

Velocity = Callable[[Array], tuple[Array, Array]]


def log_likelihood(
    model: Any,
    x: Any,
    times: Any,
    *,
    schedule: Optional[Schedule] = None,
    prior: Any = None,
    progress: Optional[bool] = None,
) -> Array:
    """log p(x) of the density at times[0], in nats, (n,): by the probability flow to N(0, π²I) at times[-1].

    Along dx/dt = f x − ½ g² s(x, t) the log-density changes by −(f d − ½ g² div s) dt, so that

        log p(x) = log N(x_T; 0, π²I) + ∫ (f d − ½ g² div s) dt

    with the exact divergence, no estimate; RK4 on the grid of ``times``, which increase, from the data's level to the
    prior's. x is (n, d). ``model`` is a DiffusionScore, or with ``schedule`` a callable t -> something with
    ``score`` and ``score_divergence`` (a diffused target) or ``score_and_divergence`` (a model at a label).
    π is ``schedule.prior_std``'s: 1, or σ(times[-1]) for VE and EDM; a ``prior`` with ``log_prob`` stands for
    N(0, π²I) where it is given. The density of a model at a small time is that of data with that much noise.

    Raises TypeError or ValueError for a wrong argument; times end below 1 where α = 0 there (Flow, Cosine).
    Source: Chen et al. 2018, theorem 1; Song et al. 2021, eq. 39.
    """
    schedule, field_at = _flow(model, schedule)
    x = as_batch(x, "x", d=getattr(model, "d", None))
    times = _increasing(schedule, times, isinstance(model, DiffusionScore))
    state = (x.astype(np.promote_types(x.dtype, np.float32)), np.zeros(len(x), x.dtype))
    with one_blas_thread(), Progress("log_likelihood", len(times) - 1, enabled=progress) as line:
        here = _velocity(schedule, field_at, float(times[0]))
        for k, (t, s) in enumerate(zip(times[:-1].tolist(), times[1:].tolist())):
            middle, there = (_velocity(schedule, field_at, u) for u in (0.5 * (t + s), s))
            state = _rk4((here, middle, there), state, s - t)
            here = there
            line.update(k + 1)
    end, integral = state
    if prior is not None:
        return prior.log_prob(end) + integral
    std, d = schedule.prior_std(times[-1]), x.shape[1]
    square = np.einsum("nd,nd->n", end, end) / std**2
    return integral - 0.5 * square - d * math.log(std * math.sqrt(2 * math.pi))  # eq-14.8


def _rk4(
    velocities: tuple[Velocity, Velocity, Velocity], state: tuple[Array, Array], h: float
) -> tuple[Array, Array]:
    """One step of the classical fourth-order Runge–Kutta method for (x, ∫ div), of velocities at t, t + ½h, t + h."""
    (x, integral), (here, middle, there) = state, velocities
    k1, d1 = here(x)
    k2, d2 = middle(x + 0.5 * h * k1)
    k3, d3 = middle(x + 0.5 * h * k2)
    k4, d4 = there(x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), integral + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)  # eq-14.9


def _velocity(schedule: Schedule, field_at: Any, t: float) -> Velocity:
    """``x -> (dx/dt (n, d), its divergence (n,))`` of the probability flow at t."""
    f, half_g2, field = float(schedule.f(t)), 0.5 * float(schedule.g2(t)), field_at(t)

    def velocity(x: Array) -> tuple[Array, Array]:
        s, div = field(x)
        return f * x - half_g2 * s, f * x.shape[1] - half_g2 * div  # eq-14.7

    return velocity


def _flow(model: Any, schedule: Optional[Schedule]) -> tuple[Schedule, Any]:
    """The schedule, and ``t -> (x -> score and divergence)``."""
    if isinstance(model, DiffusionScore):
        if schedule is not None and schedule != model.schedule:
            raise ValueError(
                f"schedule must be left out, or the model's {model.schedule!r}, got {schedule!r}"
            )
        return model.schedule, lambda t: model.at(t).score_and_divergence
    if not callable(model) or isinstance(model, type):
        raise TypeError(
            "model must be a DiffusionScore, or a callable t -> something with score and score_divergence, "
            f"got {type(model).__name__}"
        )
    if not isinstance(schedule, Schedule):
        raise TypeError(
            f"schedule must be a diffusion schedule with a callable model, got {type(schedule).__name__}"
        )

    def field_at(t: Any) -> Any:
        p = model(t)
        return getattr(p, "score_and_divergence", None) or (lambda x: (p.score(x), p.score_divergence(x)))

    return schedule, field_at


def _increasing(schedule: Schedule, times: Any, has_network: bool) -> Array:
    times = as_array(times, "times")
    if times.ndim != 1 or len(times) < 2:
        raise ValueError(f"times must have shape (k + 1,) for k >= 1 steps, got shape {times.shape}")
    times = schedule._with_signal(schedule.times(times, "times"))
    if not (np.diff(times) > 0).all():
        at = int(np.argmax(np.diff(times) <= 0))
        raise ValueError(
            f"times must increase, from data to noise, got {times[at]} and then {times[at + 1]} at index {at}; a "
            "sampler's decrease"
        )
    if has_network and not schedule._sigma(times[:1]) > 0:
        raise ValueError(
            f"times must start at a time with noise, σ > 0, got {times[0]}: start a little above"
        )
    return times
