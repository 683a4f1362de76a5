"""The variational bound of DDPM, term by term, at given noise; and bits per dimension."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._run.borders import as_array, as_batch, as_count, as_number, as_positive, as_shaped
from .discrete import Discrete
from .schedule import Array, Schedule
from .score import DiffusionScore
from .tables import VARIANCES, as_times


class ElboTerms(NamedTuple):
    """−ELBO = L_T + Σ L_{t−1} + L_0 of each row, in nats; with noise averaged over, a bound on −log p(x₀).

    ``L_T`` (n,) is KL(q(x_T | x₀) ‖ prior), ``L_steps`` (K − 1, n) the KL of each step into s > 0, from the
    noisiest on, ``L_0`` (n,) the decoder's −log p(x₀ | x_1).
    """

    L_T: Array
    L_steps: Array
    L_0: Array

    @property
    def total(self) -> Array:
        """Their sum, (n,)."""
        return self.L_T + self.L_steps.sum(axis=0) + self.L_0


def elbo_terms(
    model: Any,
    schedule: Schedule,
    x0: Any,
    noise: Any,
    times: Any = None,
    *,
    variance: Union[str, Any] = "posterior",
    decoder_variance: Optional[float] = None,
) -> ElboTerms:
    """The terms of the variational bound at x₀ (n, d) for given noise (K, n, d): one ε for each of K noise levels.

    ``times`` (K + 1,) decrease to one with σ = 0; T, …, 1, 0 for a Discrete schedule if left out. ``model`` is a
    ``DiffusionScore`` or a callable t -> (function (n, d) -> (n, d), the score at t). With ℓ = ½‖s(x_t, t) + ε/σ_t‖²,

        L_T = ½[α_T²‖x₀‖²/π² + d (σ_T²/π² − 1 − log σ_T²/π²)],   the prior N(0, π²I) being ``schedule.prior_std``'s,
        L_{t−1} = w²/(r²τ²) ℓ + ½ d (β̃/τ² − 1 − log β̃/τ²),
        L_0 = ‖x₀ − (x_t + w s)/r‖²/(2τ₁²) + ½ d log 2πτ₁².

    The variance τ² of a step is β̃ ("posterior"), w ("forward") or an array (K − 1,), from the noisiest step on; the
    decoder's is τ₁², by default w of the last step. Raises TypeError or ValueError for a wrong argument.
    Source: Ho, Jain and Abbeel 2020, eq. 5 and 8; Sohl-Dickstein et al. 2015.
    """
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a diffusion schedule, got {type(schedule).__name__}")
    score_at = scores_of(model)
    if isinstance(model, DiffusionScore) and model.schedule != schedule:
        raise ValueError(f"schedule must be the model's {model.schedule!r}, got {schedule!r}")
    x0 = as_batch(x0, "x0", d=getattr(model, "d", None))
    if times is None:
        if not isinstance(schedule, Discrete):
            raise ValueError(
                f"times must be given for {schedule!r}: only a Discrete schedule has steps of its own"
            )
        times = np.arange(schedule.t_max, -1, -1)
    times = as_times(schedule, times)
    if schedule.sigma(times[-1]) != 0:
        raise ValueError(
            f"times must end at clean data, σ = 0, got {times[-1]} with σ = {schedule.sigma(times[-1])}"
        )
    if schedule.alpha(times[0]) == 0:
        raise ValueError(
            f"times must start where α > 0, got {times[0]} of {schedule!r}: start a little below"
        )
    K, (n, d) = len(times) - 1, x0.shape
    noise = as_shaped(noise, "noise", (K, n, d))
    r, w = (part.astype(np.float64) for part in schedule.transition(times[:-1], times[1:]))
    variances = _variances(schedule, times, w, variance)
    tau1 = float(w[-1]) if decoder_variance is None else as_positive(decoder_variance, "decoder_variance")
    steps = np.empty((K - 1, n), np.result_type(x0, noise))
    for k, t in enumerate(times[:-1].tolist()):
        alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
        noisy = alpha * x0 + sigma * noise[k]
        s = score_at(t)(noisy)
        if k < K - 1:
            beta_tilde = float(schedule.posterior(t, times[k + 1]).variance)
            ratio = beta_tilde / variances[k]
            ell = 0.5 * _squares(s + noise[k] / sigma)
            bracket = ratio - 1 - math.log(ratio)
            steps[k] = w[k] ** 2 / (r[k] ** 2 * variances[k]) * ell + 0.5 * d * bracket  # eq-13.7
    decoded = (noisy + w[-1] * s) / r[-1]
    L_0 = _squares(x0 - decoded) / (2 * tau1) + 0.5 * d * math.log(2 * math.pi * tau1)  # eq-13.9
    return ElboTerms(_prior_term(schedule, times[0], x0), steps, L_0)


def bits_per_dim(log_prob: Any, d: int, bin_width: float = 1.0) -> Any:
    """−log p(x)/(d log 2) − log₂ ``bin_width``: bits for each of d numbers, of data that are whole multiples
    of bin_width.

    ``log_prob`` is in nats, a number or an array, of the density of x in the units that bin_width is in: data that were
    0 … 255 and are scaled to [−1, 1] have bin_width 2/255 (or 1/127.5).
    """
    d, width = as_count(d, "d"), as_positive(bin_width, "bin_width")
    return (-as_array(log_prob, "log_prob") / (d * math.log(2)) - math.log2(width))[()]  # eq-13.14


def scores_of(model: Any) -> Any:
    """``t -> score function`` of a DiffusionScore, or of a callable as it is."""
    if isinstance(model, DiffusionScore):
        return lambda t: model.at(t).score
    if not callable(model) or isinstance(model, type):
        raise TypeError(
            f"model must be a DiffusionScore or a callable t -> score function, got {type(model).__name__}"
        )
    return model


def _prior_term(schedule: Schedule, t: Any, x0: Array) -> Array:
    """KL(N(α x₀, σ²I) ‖ N(0, π²I))."""
    alpha, sigma, prior = float(schedule.alpha(t)), float(schedule.sigma(t)), schedule.prior_std(t)
    ratio = (sigma / prior) ** 2
    return 0.5 * (
        (alpha / prior) ** 2 * _squares(x0) + x0.shape[1] * (ratio - 1 - math.log(ratio))
    )  # eq-13.6


def _variances(schedule: Schedule, times: Array, w: Array, variance: Any) -> Array:
    """τ² of each step into s > 0, (K − 1,)."""
    if isinstance(variance, str):
        if variance not in VARIANCES:
            raise ValueError(f"variance must be one of {', '.join(VARIANCES)}, or an array, got {variance!r}")
        return schedule.posterior(times[:-2], times[1:-1]).variance if variance == "posterior" else w[:-1]
    variances = as_shaped(variance, "variance", (len(w) - 1,))
    for tau2 in variances.tolist():
        as_number(tau2, "variance", above=0.0)
    return variances


def _squares(a: Array) -> Array:
    return np.einsum("nd,nd->n", a, a)
