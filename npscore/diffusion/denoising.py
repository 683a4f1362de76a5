"""Denoising score matching at every noise level at once: the objective that diffusion models are trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import as_array, as_batch, as_choice, as_positive, as_shaped
from ..models import ScoreModel, dimension, sum_over_rows
from ..objectives.base import LossGrad, Objective
from .discrete import Discrete
from .schedule import Array, Schedule
from .times import LOWEST, Times, default_times

#: Factors on ℓ = ½‖s(x_t, t) + ε/σ‖², the loss of one row; with x_t = α x₀ + σ ε and SNR = α²/σ². By name:
#: what the loss is.
WEIGHTINGS = {
    "score": "½‖s + ε/σ‖²",
    "epsilon": "½‖ε̂ − ε‖²; also NCSN's σ²-weighted loss (Song and Ermon 2019, eq. 6)",
    "simple": "‖ε̂ − ε‖² (Ho et al. 2020, eq. 14, summed over dimensions)",
    "x0": "‖x̂₀ − x₀‖²",
    "edm": "λ(σ/α)‖D − x₀‖² with λ(σ) = (σ² + σ_d²)/(σ σ_d)² (Karras et al. 2022, table 1)",
    "likelihood": "½ g²‖s − ∇log p_t‖² up to a constant (Song, Durkan, Murray and Ermon 2021, eq. 7)",
    "min_snr": "min(SNR, γ)‖x̂₀ − x₀‖² = ‖ε̂ − ε‖² min(SNR, γ)/SNR (Hang et al. 2023, eq. 8)",
    "min_snr_v": "‖v̂ − v‖² min(SNR, γ)/(SNR + 1), where α² + σ² = 1 (Hang et al. 2023)",
    "bound": "the part of the variational bound that depends on θ, with the posterior's variance (Discrete, t ≥ 2)",
}


def weighting(name: str, schedule: Schedule, t: Any, *, sigma_data: float = 1.0, gamma: float = 5.0) -> Array:
    """The factor on ℓ = ½‖s + ε/σ‖² that makes it the named loss, at times t: a number or (n,).

    ``WEIGHTINGS`` says what each name stands for, with its source. Raises ValueError for an unknown name and where
    the factor is infinite or the loss is not defined: "min_snr_v" where α² + σ² is not 1, "bound" but for
    Discrete at t ≥ 2.
    """
    as_choice(name, "weighting", WEIGHTINGS)
    t = schedule.times(t)
    alpha, sigma = schedule._alpha(t), schedule._sigma(t)
    with np.errstate(divide="ignore", over="ignore"):
        factor = _factor(
            name,
            schedule,
            t,
            alpha,
            sigma,
            as_positive(sigma_data, "sigma_data"),
            as_positive(gamma, "gamma"),
        )
    if not np.isfinite(factor).all():
        raise ValueError(
            f"t must be a time with a finite weight for {name!r}, got {t[~np.isfinite(factor)].flat[0]}"
        )
    return factor[()]


def _factor(
    name: str, schedule: Schedule, t: Array, alpha: Array, sigma: Array, sigma_data: float, gamma: float
) -> Array:
    noise = sigma * sigma  # ‖ε̂ − ε‖² = σ²‖s + ε/σ‖², and x̂₀ − x₀ = σ²(s + ε/σ)/α
    if name == "score":
        return np.ones_like(sigma)
    if name in ("epsilon", "simple"):
        return noise if name == "epsilon" else 2.0 * noise  # eq-12.27
    if name == "x0":
        return 2.0 * (noise / alpha) ** 2  # eq-12.27
    if name == "edm":
        data = (alpha * sigma_data) ** 2
        return 2.0 * noise * (noise + data) / data  # eq-12.27
    if name == "likelihood":
        return np.broadcast_to(schedule.g2(t), sigma.shape)  # eq-14.24
    if name == "bound":
        return _bound_factor(schedule, t)
    square = alpha * alpha
    least = np.minimum(square, gamma * noise)  # σ² min(SNR, γ)
    if name == "min_snr":
        return 2.0 * noise * least / square
    if (np.abs(square + noise - 1.0) > 1e-6).any():
        raise ValueError(f"weighting 'min_snr_v' needs a schedule with α² + σ² = 1, got {schedule!r}")
    return 2.0 * noise * least / square


def _bound_factor(schedule: Schedule, t: Array) -> Array:
    """w²/(r² β̃) of the step from t to t − 1: (SNR_s − SNR_t) σ_t⁴/α_t²."""
    if not isinstance(schedule, Discrete) or (t < 2).any():
        raise ValueError(
            "weighting 'bound' needs a Discrete schedule and t >= 2 (into t = 0 the variance is the decoder's), "
            f"got {schedule!r} and t down to {np.min(t)}"
        )
    r, w = schedule.transition(t, t - 1)
    return w**2 / (r**2 * schedule.posterior(t, t - 1).variance)  # eq-13.8


# ---- the objective -------------------------------------------------------------------------------------


class NoisyDraw(NamedTuple):
    """A time and a noise for every row: t (n,) and ε (n, d)."""

    t: Array
    noise: Array


@dataclass(frozen=True)
class Denoising(Objective):
    """The mean over rows of λ(t) ½‖s(x_t, t) + ε/σ_t‖², x_t = α_t x₀ + σ_t ε, with t and ε drawn.

    ``weighting`` is a name in ``WEIGHTINGS`` and says which loss that is. ``times`` is the law of t:
    ``Uniform(lo, hi)``, ``LogNormal(mean, std)`` or ``LogUniform(lo, hi)`` of σ/α; by default LogNormal(−1.2,
    1.2) for EDM and VE, otherwise uniform from 10⁻³ t_max to t_max (1 − 10⁻³ where α is 0 at the end), or on 1
    … T for Discrete. t is drawn by stratified uniforms, one stratum a row, in random order. ``sigma_data`` and
    ``gamma`` are those of "edm" and "min_snr".

    The model is a ``DiffusionScore`` of the same schedule or any model whose condition starts with t. ``cond``
    is a further condition (a label), (n, c) or (c,): t is put in front of it.
    """

    smooths = True

    schedule: Schedule
    weighting: str = "edm"
    times: Optional[Times] = None
    sigma_data: float = 1.0
    gamma: float = 5.0

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule must be a diffusion schedule, got {type(self.schedule).__name__}")
        as_choice(self.weighting, "weighting", WEIGHTINGS)
        if self.times is None:
            object.__setattr__(self, "times", default_times(self.schedule, self.weighting))
        elif not (callable(self.times) and hasattr(self.times, "spec")):
            raise TypeError(
                f"times must be diffusion.Uniform, LogNormal or LogUniform, got {type(self.times).__name__}"
            )
        for name in ("sigma_data", "gamma"):
            object.__setattr__(self, name, as_positive(getattr(self, name), name))
        self._check_ends()

    def _check_ends(self) -> None:
        """The first and the last time that may be drawn, and the weights there."""
        t = self.schedule.times(self.times(np.array([LOWEST, 1.0 - LOWEST]), self.schedule), "times")
        if not (self.schedule._sigma(t) > 0).all():
            raise ValueError(
                f"times must be times with noise, σ > 0, got {self.times!r}, which begins at {t[0]}"
            )
        weighting(self.weighting, self.schedule, t, sigma_data=self.sigma_data, gamma=self.gamma)

    def draw(self, x: Array, rng: np.random.Generator) -> NoisyDraw:
        """t (n,) by stratified uniforms, and ε (n, d) in the type of x."""
        u = (rng.permutation(len(x)) + rng.random(len(x))) / len(x)
        t = self.times(np.clip(u, LOWEST, 1.0 - LOWEST), self.schedule)
        return NoisyDraw(t, rng.standard_normal(x.shape).astype(x.dtype, copy=False))

    def loss(
        self, model: ScoreModel, x: Any, draw: Any = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """Loss, gradient and per-sample losses λ(t) ℓ for times and noise (t, ε) = ``draw``."""
        return self._loss(model, x, draw, weights, cond)

    def values(self, model: ScoreModel, x: Any, draw: Any = None, cond: Any = None) -> Array:
        """λ(t) ℓ (n,) alone, without a gradient."""
        return self._loss(model, x, draw, None, cond, gradient=False).per_sample

    def _loss(
        self, model: ScoreModel, x: Any, draw: Any, weights: Any, cond: Any, gradient: bool = True
    ) -> LossGrad:
        x = as_batch(x, "x", d=dimension(model))
        schedule, real = self.schedule, x.dtype.type
        if not (isinstance(draw, (tuple, list)) and len(draw) == 2):
            raise TypeError(f"draw must be (t, noise), as draw(x, rng) makes it, got {type(draw).__name__}")
        t = schedule.times(as_shaped(draw[0], "t", (len(x),)))
        noise = as_shaped(draw[1], "noise", x.shape)
        alpha, sigma = schedule._alpha(t), schedule._sigma(t)
        if not (sigma > 0).all():
            raise ValueError(f"t must be times with noise, σ > 0, got {t[sigma <= 0][0]}")
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            factor = _factor(self.weighting, schedule, t, alpha, sigma, self.sigma_data, self.gamma).astype(
                real
            )
        alpha, sigma = alpha.astype(real)[:, None], sigma.astype(real)[:, None]
        target = -noise / sigma  # (n, d)

        def terms(rows: slice, s: Array) -> tuple[Array, Array]:
            residual = s - target[rows]  # (n, d)
            weighted = factor[rows, None] * residual
            return 0.5 * np.einsum("nd,nd->n", residual, weighted), weighted  # eq-12.24

        noisy, condition = alpha * x + sigma * noise, with_time(t, cond, len(x))  # eq-12.1
        return LossGrad(
            *sum_over_rows(
                model, ScoreModel.score_vjp, terms, noisy, weights=weights, cond=condition, gradient=gradient
            )
        )

    def spec(self) -> dict[str, Any]:
        """Schedule, weighting, law of times and parameters."""
        return {
            "objective": "denoising",
            "schedule": self.schedule.spec(),
            "weighting": self.weighting,
            "times": self.times.spec(),
            "sigma_data": self.sigma_data,
            "gamma": self.gamma,
        }


def with_time(t: Array, cond: Any, n: int) -> Array:
    """The condition of a model that takes t and a label: t (n,) alone, or (n, 1 + c)."""
    if cond is None:
        return t[:, None]
    label = as_array(cond, "cond")
    if label.ndim not in (1, 2) or (label.ndim == 2 and len(label) != n):
        raise ValueError(f"cond must have shape ({n}, c) or (c,), got shape {label.shape}")
    label = np.broadcast_to(label, (n, label.shape[-1]))
    return np.concatenate([t[:, None], label], axis=1)
