"""Denoising score matching: regression on the noise that was added (chapter 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from .._run.borders import as_array, as_batch, as_positive, as_shaped
from ..models import ScoreModel, dimension, sum_over_rows
from .base import Array, LossGrad, Objective


def dsm(
    model: ScoreModel,
    x: Any,
    noise: Any,
    sigma: Any,
    weights: Any = None,
    cond: Any = None,
    *,
    gradient: bool = True,
) -> LossGrad:
    """Denoising score matching: the mean of ½‖s(x + σε) + ε/σ‖², with the ½ and no σ² weighting.

    x is (n, d); ``noise`` is ε ~ N(0, I), (n, d); ``sigma`` is one number > 0 or (n,), one per row. The
    target is -ε/σ, the score of x + σε given x; a weighting such as σ² goes into ``weights`` as σᵢ²/n. ``cond`` is the
    model's condition, (n, c) or (c,). ``gradient=False`` spares the gradient.
    Raises TypeError or ValueError naming a wrong argument, and where x + σε is not finite.
    Learns the score of the smoothed density p * N(0, σ²I). Source: Vincent 2011, eq. 9.
    """
    x = as_batch(x, "x", d=dimension(model))
    noise = as_shaped(noise, "noise", x.shape)
    sigma = _as_sigma(sigma, len(x))
    with np.errstate(over="ignore", invalid="ignore"):
        noisy, target = as_array(x + sigma * noise, "x + sigma * noise"), -noise / sigma  # (n, d) each

    def terms(rows: slice, s: Array) -> tuple[Array, Array]:
        residual = s - target[rows]  # (n, d)
        return 0.5 * np.einsum("nd,nd->n", residual, residual), residual  # eq-8.1: ℓ, ∂ℓ/∂s

    primitive = ScoreModel.score_vjp
    return LossGrad(
        *sum_over_rows(model, primitive, terms, noisy, weights=weights, cond=cond, gradient=gradient)
    )


@dataclass(frozen=True)
class DSM(Objective):
    """``dsm`` as an objective, at one noise level ``sigma`` > 0 in the units of x; it draws ε ~ N(0, I)."""

    smooths = True

    sigma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", as_positive(self.sigma, "sigma"))

    def draw(self, x: Array, rng: np.random.Generator) -> Array:
        """ε (n, d) ~ N(0, I), in the type of x."""
        return rng.standard_normal(x.shape).astype(x.dtype, copy=False)

    def loss(
        self, model: ScoreModel, x: Any, draw: Any = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """`dsm` with ε = ``draw``."""
        return dsm(model, x, draw, self.sigma, weights, cond)

    def values(self, model: ScoreModel, x: Any, draw: Any = None, cond: Any = None) -> Array:
        """ℓ (n,) of `dsm`, without a gradient."""
        return dsm(model, x, draw, self.sigma, cond=cond, gradient=False).per_sample

    def spec(self) -> dict[str, Any]:
        """Its name and noise level."""
        return {"objective": "dsm", "sigma": self.sigma}


def _as_sigma(sigma: Any, n: int) -> Union[float, Array]:
    """One positive float (no type of its own: float32 stays float32), or positive (n, 1)."""
    sigma = as_array(sigma, "sigma")
    if sigma.ndim == 0:
        return as_positive(sigma, "sigma")
    sigma = as_shaped(sigma, "sigma", (n,))
    if not (sigma > 0).all():
        raise ValueError(f"sigma must be > 0 in every row, got {sigma.min()} at row {int(sigma.argmin())}")
    return sigma[:, None]
