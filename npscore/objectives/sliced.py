"""Sliced score matching: the trace by random projections, plain and with reduced variance (chapter 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._run.borders import as_array, as_batch, as_choice, as_count, as_rng
from ..models import ScoreModel, dimension, sum_over_rows
from .base import Array, LossGrad, Objective

PROBES = ("rademacher", "gaussian", "spherical")


def ssm(
    model: ScoreModel, x: Any, v: Any, weights: Any = None, cond: Any = None, *, gradient: bool = True
) -> LossGrad:
    """Sliced score matching: the mean of ½(vᵀs)² + vᵀ J v.

    x is (n, d); v is (n, d), or (m, n, d) for m projections a row, averaged. ``weights`` (n,) replaces the mean over
    rows by Σᵢ wᵢ ℓᵢ; ``cond`` is the model's condition, (n, c) or (c,). ``gradient=False`` spares the gradient.
    Equals ISM in expectation where E[v vᵀ] = I.
    Raises TypeError or ValueError naming a wrong argument. Source: Song, Garg, Shi and Ermon 2019, eq. 8.
    """
    x, probes = _with_probes(model, x, v)

    def terms(rows: slice, s: Array, q: Array) -> tuple[Array, Array, float]:
        v = probes[:, rows]  # (m, n, d)
        vs = np.einsum("mnd,nd->mn", v, s)  # (m, n)
        per_sample = (0.5 * vs * vs + q).mean(axis=0)
        return per_sample, (vs[..., None] * v).sum(axis=0) / len(v), 1 / len(v)  # eq-7.1: ℓ, ∂ℓ/∂s, ∂ℓ/∂q

    primitive = ScoreModel.quadratic_form_vjp
    return LossGrad(
        *sum_over_rows(model, primitive, terms, x, probes, weights=weights, cond=cond, gradient=gradient)
    )


def ssm_vr(
    model: ScoreModel, x: Any, v: Any, weights: Any = None, cond: Any = None, *, gradient: bool = True
) -> LossGrad:
    """Sliced score matching with reduced variance: the mean of ½‖s‖² + vᵀ J v.

    This is ISM with Hutchinson's estimate of the trace: for m probes, v of shape (m, n, d), the estimate is
    their mean. One probe is (n, d). ``weights`` (n,) replaces the mean over rows by Σᵢ wᵢ ℓᵢ; ``cond`` is the model's
    condition, (n, c) or (c,). ``gradient=False`` spares the gradient. Unbiased for ISM where E[v vᵀ] = I; with
    Rademacher probes all 2^d sign vectors give the trace exactly.
    Raises TypeError or ValueError naming a wrong argument.
    Source: Song, Garg, Shi and Ermon 2019, eq. 9; Hutchinson 1989.
    """
    x, probes = _with_probes(model, x, v)

    def terms(rows: slice, s: Array, q: Array) -> tuple[Array, Array, float]:
        per_sample = 0.5 * np.einsum("nd,nd->n", s, s) + q.mean(axis=0)
        return per_sample, s, 1 / len(q)  # eq-7.2, eq-7.3: ℓ, ∂ℓ/∂s, ∂ℓ/∂q

    primitive = ScoreModel.quadratic_form_vjp
    return LossGrad(
        *sum_over_rows(model, primitive, terms, x, probes, weights=weights, cond=cond, gradient=gradient)
    )


def draw_probes(shape: tuple[int, ...], law: str, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
    """Random directions v with E[v vᵀ] = I along the last axis, of the given shape.

    ``law``: "rademacher" (signs), "gaussian" (N(0, I)), or "spherical" (uniform on the sphere of radius √d: not
    the unit sphere, whose v vᵀ averages to I/d and shrinks the trace by d).
    """
    rng = as_rng(rng)
    if as_choice(law, "probe", PROBES) == "rademacher":
        return (2 * rng.integers(0, 2, size=shape) - 1).astype(dtype)
    v = rng.standard_normal(shape)
    if law == "spherical":
        v *= np.sqrt(shape[-1]) / np.sqrt((v * v).sum(axis=-1, keepdims=True))
    return v.astype(dtype, copy=False)


@dataclass(frozen=True)
class SSM(Objective):
    """``ssm`` as an objective; it draws ``n_probes`` probes a row under the law ``probe`` (see `draw_probes`)."""

    n_probes: int = 1
    probe: str = "rademacher"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_probes", as_count(self.n_probes, "n_probes"))
        as_choice(self.probe, "probe", PROBES)

    def draw(self, x: Array, rng: np.random.Generator) -> Array:
        """Probes (m, n, d) in the type of x."""
        return draw_probes((self.n_probes, *x.shape), self.probe, rng, x.dtype)

    def loss(
        self, model: ScoreModel, x: Any, draw: Any = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """`ssm` with v = ``draw``."""
        return ssm(model, x, draw, weights, cond)

    def values(self, model: ScoreModel, x: Any, draw: Any = None, cond: Any = None) -> Array:
        """ℓ (n,) of `ssm`, without a gradient."""
        return ssm(model, x, draw, cond=cond, gradient=False).per_sample

    def spec(self) -> dict[str, Any]:
        """Its name, and number and law of the probes."""
        return {"objective": "ssm", "n_probes": self.n_probes, "probe": self.probe}


@dataclass(frozen=True)
class SSMVR(SSM):
    """``ssm_vr`` as an objective; it draws its probes as `SSM` does."""

    def loss(
        self, model: ScoreModel, x: Any, draw: Any = None, weights: Any = None, cond: Any = None
    ) -> LossGrad:
        """`ssm_vr` with v = ``draw``."""
        return ssm_vr(model, x, draw, weights, cond)

    def values(self, model: ScoreModel, x: Any, draw: Any = None, cond: Any = None) -> Array:
        """ℓ (n,) of `ssm_vr`, without a gradient."""
        return ssm_vr(model, x, draw, cond=cond, gradient=False).per_sample

    def spec(self) -> dict[str, Any]:
        """Its name, and number and law of the probes."""
        return super().spec() | {"objective": "ssm-vr"}


def _with_probes(model: Any, x: Any, v: Any) -> tuple[Array, Array]:
    """Clean x (n, d) and probes (m, n, d)."""
    x = as_batch(x, "x", d=dimension(model))
    v = as_array(v, "v")
    if v.ndim not in (2, 3) or v.shape[-2:] != x.shape or v.size == 0:
        raise ValueError(
            f"v must have shape {x.shape} or (m, {x.shape[0]}, {x.shape[1]}), got shape {v.shape}"
        )
    return x, v.reshape(-1, *x.shape)
