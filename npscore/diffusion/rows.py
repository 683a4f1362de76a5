"""The rows of samplers: what one step from a noisier time t to a cleaner time s does with x, the model and noise.

A row multiplies what the model returns in one form, its ``of``: the score, or x̂₀, ε̂, v, flow. With the readings
x̂₀ = p x + q o and ε̂ = u x + w o of that form o (``forms.reading``), every sampler here is a combination of x, x̂₀ and ε̂,
so that a form which is finite where α = 0 has a row that is finite there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Union

import numpy as np

from .forms import reading
from .schedule import Array, Schedule


class Row(NamedTuple):
    """x ← A x + B o(x, t) + N z, into time s."""

    t: Any
    s: Any
    A: float
    B: float
    N: float


class HeunRow(NamedTuple):
    """Two evaluations: y = L x + N z at time ``t``, then x′ = A y + B o(y, t), into s; and, with o at both ends,

    x ← C y + D o(y, t) + E x′ + F o(x′, s). Without a second evaluation (``ends``, into σ = 0), x ← x′.
    ``t`` is the time of the first evaluation, after the noise N z was added.
    """

    t: Any
    s: Any
    L: float
    N: float
    A: float
    B: float
    ends: bool
    C: float
    D: float
    E: float
    F: float


class CorrectorRow(NamedTuple):
    """A Langevin step at time t whose size comes from the chains: x ← x + α s(x, t) + √(2α) z, into s = t.

    α = 2 α_c (snr · mean‖z‖ / mean‖s‖)², the means over all rows it is given; ``scale`` is α_c. It multiplies
    the score.
    """

    t: Any
    s: Any
    snr: float
    scale: float


AnyRow = Union[Row, HeunRow, CorrectorRow]
OutputAt = Callable[[Any], Callable[[Array], Array]]


def step(score_at: OutputAt, x: Array, row: AnyRow, z: Array) -> Array:
    """One row of a table at x (n, d), with noise z (n, d); the result is (n, d).

    ``score_at(t)`` returns the function (n, d) -> (n, d) that the row multiplies: the score at time t, or what the
    table's ``of`` says. Rows without noise ignore z.
    """
    if isinstance(row, Row):
        moved = row.A * x + row.B * score_at(row.t)(x)  # eq-14.10
        return moved + row.N * z if row.N else moved
    if isinstance(row, CorrectorRow):
        s = score_at(row.t)(x)
        alpha = corrector_step(row, s, z)
        return x + alpha * s + np.sqrt(2.0 * alpha) * z  # eq-1.3
    y = row.L * x + row.N * z if row.N else row.L * x
    o = score_at(row.t)(y)
    end = row.A * y + row.B * o
    if row.ends:
        return end
    return row.C * y + row.D * o + row.E * end + row.F * score_at(row.s)(end)


def corrector_step(row: CorrectorRow, s: Array, z: Array) -> Any:
    """α = 2 α_c (snr · mean‖z‖ / mean‖s‖)²."""
    mean_z, mean_s = (np.sqrt(np.einsum("nd,nd->n", a, a)).mean() for a in (z, s))
    return 2.0 * row.scale * (row.snr * mean_z / mean_s) ** 2  # eq-14.14


# ---- one row of each sampler ---------------------------------------------------------------------------


class Ends(NamedTuple):
    """Everything a row needs of its two times: α and σ there, the transition, and the readings at t of one form."""

    schedule: Schedule
    t: Any
    s: Any
    of: str
    alpha_t: float
    sigma_t: float
    alpha_s: float
    sigma_s: float
    r: float
    w: float

    @property
    def reading(self) -> Any:
        """(p, q, u, w) of x̂₀ and ε̂ at t."""
        return reading(self.of, self.alpha_t, self.sigma_t)[:4]

    @property
    def from_posterior(self) -> float:
        """β̃ = σ_s² w/σ_t², the posterior's variance."""
        return (self.sigma_s / self.sigma_t) ** 2 * self.w

    def mixed(self, of_x: float, of_x0: float, of_noise: float, N: float) -> Row:
        """The row of x ← of_x x + of_x0 x̂₀ + of_noise ε̂ + N z."""
        p, q, u, w = self.reading
        A, B = _sum((of_x, 1.0), (of_x0, p), (of_noise, u)), _sum((of_x0, q), (of_noise, w))
        return Row(self.t, self.s, A, B, N)


def ends_of(schedule: Schedule, times: Array, of: str) -> list[Ends]:
    """The two ends of every row between decreasing times (k + 1,), in float64."""
    times = times.astype(np.promote_types(times.dtype, np.float64)) if times.dtype.kind == "f" else times
    alpha, sigma = schedule.alpha(times), schedule.sigma(times)
    r, w = schedule.transition(times[:-1], times[1:])
    columns = (alpha[:-1], sigma[:-1], alpha[1:], sigma[1:], r, w)
    numbers, at = np.stack(columns, axis=1).astype(np.float64), times.tolist()
    return [Ends(schedule, t, s, of, *row) for t, s, row in zip(at, at[1:], numbers)]


def level_of(schedule: Schedule, t: Any, of: str) -> Ends:
    """A noise level that a row stays at: both ends are t."""
    alpha, sigma = np.float64(schedule.alpha(t)), np.float64(schedule.sigma(t))
    return Ends(schedule, t, t, of, alpha, sigma, alpha, sigma, np.float64(1.0), np.float64(0.0))


def ancestral_row(ends: Ends, variance: str) -> Row:
    """The posterior's mean at x̂₀, with noise of variance β̃ ("posterior") or w ("forward"); none into σ_s = 0."""
    e = ends
    noise = {"posterior": e.from_posterior, "forward": e.w}[variance] if e.sigma_s > 0 else 0.0
    of_x = e.r * (e.sigma_s / e.sigma_t) ** 2
    return e.mixed(of_x, e.alpha_s * e.w / e.sigma_t**2, 0.0, float(np.sqrt(noise)))  # eq-14.4


def ddim_row(ends: Ends, eta: float) -> Row:
    """x ← α_s x̂₀ + √(σ_s² − η²β̃) ε̂ + η√β̃ z."""
    e = ends
    square = (1.0 - eta**2) * e.w + (e.r * e.sigma_s) ** 2  # (σ_s² − η²β̃) σ_t²/σ_s², without cancellation
    if square < -1e-12 * e.w:
        raise ValueError(
            f"eta must be at most sigma_t/sqrt(w) = {e.sigma_t / np.sqrt(e.w):.6g} in the step from "
            f"{e.t} to {e.s}, got {eta:g}"
        )
    root = float(e.sigma_s / e.sigma_t * np.sqrt(max(square, 0.0)))
    return e.mixed(0.0, e.alpha_s, root, float(eta * np.sqrt(e.from_posterior)))  # eq-14.11


def reverse_sde_row(ends: Ends, noise: bool) -> Row:
    """Euler–Maruyama of dx = (f x − g² s) dt + g dW backwards: x ← x − h (f x − g² s) + g √h z, s = −ε̂/σ."""
    e, h = ends, float(ends.t - ends.s)
    f, g2 = float(e.schedule.f(e.t)), float(e.schedule.g2(e.t))
    return e.mixed(1.0 - h * f, 0.0, -h * g2 / e.sigma_t, float(np.sqrt(g2 * h)) if noise else 0.0)  # eq-14.5


def probability_flow_row(ends: Ends) -> Row:
    """Euler of dx/dt = f x − ½ g² s = α′ x̂₀ + σ′ ε̂."""
    e, h = ends, float(ends.t - ends.s)
    dalpha, dsigma = map(float, e.schedule.slopes(e.t))
    return e.mixed(1.0, -h * dalpha, -h * dsigma, 0.0)  # eq-14.6


def heun_row(ends: Ends) -> HeunRow:
    """Heun's method for the probability flow; Euler's into σ_s = 0, where no network can be asked."""
    e, h = ends, float(ends.t - ends.s)
    euler = probability_flow_row(e)
    if e.sigma_s == 0:
        return HeunRow(e.t, e.s, 1.0, 0.0, euler.A, euler.B, True, 0.0, 0.0, 0.0, 0.0)
    dalpha, dsigma = map(float, e.schedule.slopes(e.s))
    p, q, u, w = reading(e.of, e.alpha_s, e.sigma_s)[:4]
    last = [-0.5 * h * _sum((dalpha, one), (dsigma, other)) for one, other in ((p, u), (q, w))]  # eq-14.12
    return HeunRow(e.t, e.s, 1.0, 0.0, euler.A, euler.B, False, 0.5 + 0.5 * euler.A, 0.5 * euler.B, *last)


def langevin_row(ends: Ends, step: float) -> Row:
    """x ← x + α s + √(2α) z with α = ``step``, s = −ε̂/σ."""
    return ends.mixed(1.0, 0.0, -step / ends.sigma_t, float(np.sqrt(2.0 * step)))  # eq-1.3


def denoising_row(ends: Ends) -> Row:
    """x ← x + σ² s = x − σ ε̂, where α = 1."""
    return ends.mixed(1.0, 0.0, -ends.sigma_t, 0.0)


def edm_row(ends: Ends, gamma: float, s_noise: float) -> HeunRow:
    """Algorithm 2 of Karras et al. 2022 on x/α at the noise level σ/α, churn γ; Euler's step into σ_s = 0."""
    e, schedule = ends, ends.schedule
    if e.alpha_t == 0:
        raise ValueError(
            f"times must start where α > 0 for edm, whose x/α is infinite at t = {e.t} of {schedule!r}: "
            "start a little below, or take heun or ddim"
        )
    level, next_level = e.sigma_t / e.alpha_t, e.sigma_s / e.alpha_s
    raised = (1.0 + gamma) * level
    t = _raised_time(e, raised) if gamma else e.t
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    added = float(s_noise * np.sqrt(gamma * (2.0 + gamma)) * level)  # √(σ̂² − σ²)
    _, _, u, w, _ = reading(e.of, alpha, sigma)
    move = next_level - raised
    # With x̃ = x/α: x̃′ = x̃ + move ε̂, and then x̃ + ½ move (ε̂ + ε̂′), times α_s again.
    start = (alpha / e.alpha_t, alpha * added, e.alpha_s * (1.0 / alpha + move * u), e.alpha_s * move * w)
    if e.sigma_s == 0:
        return HeunRow(t, e.s, *map(float, start), True, 0.0, 0.0, 0.0, 0.0)
    _, _, u_s, w_s, _ = reading(e.of, e.alpha_s, e.sigma_s)
    half = 0.5 * e.alpha_s * move
    end = (e.alpha_s / alpha + half * u, half * w, half * u_s, half * w_s)  # eq-14.13
    return HeunRow(t, e.s, *map(float, start), False, *map(float, end))


def _raised_time(ends: Ends, raised: float) -> float:
    """The time whose σ/α is ``raised``, the level that churn leads to."""
    try:
        return float(ends.schedule.from_ratio(raised))
    except ValueError as error:
        raise ValueError(
            f"churn must lead to a noise level that {ends.schedule!r} has, got one from t = {ends.t} to σ/α = "
            f"{raised:.6g}: take no churn there (s_tmax), or start a little below"
        ) from error


def _sum(*products: tuple[float, float]) -> float:
    """Σ a b over those with a ≠ 0: 0 times an infinite reading is nothing."""
    return float(sum(a * b for a, b in products if a != 0))
