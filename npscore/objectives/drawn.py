"""Objectives that draw their own noise and probes: the thin layer between the pure maths and ``fit``.

``npscore.objectives`` takes noise, probes and projections as arguments. Here they are drawn, from a given
Generator, in the type of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import numpy as np

from .._run.borders import as_callable, as_choice, as_count, as_positive, as_rng, as_shaped
from ..models.base import Array, ScoreModel
from .losses import LossGrad, dsm, esm, ism, ssm, ssm_vr

#: What ``fit`` and the command line can name. ESM needs the true score, so it goes in as a callable.
OBJECTIVES = ("ism", "ssm", "ssm-vr", "dsm")
PROBES = ("rademacher", "gaussian", "spherical")

Objective = Callable[[ScoreModel, Array, np.random.Generator], LossGrad]


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


def named_objective(
    name: str, *, sigma: Optional[float] = None, n_probes: int = 1, probe: str = "rademacher"
) -> Objective:
    """An objective (model, batch, rng) -> LossGrad by name: "ism", "ssm", "ssm-vr" or "dsm".

    "ssm" and "ssm-vr" draw ``n_probes`` probes a row under the law ``probe``; "dsm" draws noise of standard
    deviation ``sigma`` (required there, refused elsewhere), in the units of x.
    Raises ValueError or TypeError naming the argument.
    """
    as_choice(name, "objective", OBJECTIVES)
    as_choice(probe, "probe", PROBES)
    n_probes = as_count(n_probes, "n_probes")
    if name == "dsm":
        sigma = as_positive(sigma, "sigma")
    elif sigma is not None:
        raise ValueError(f"sigma must be None unless objective is 'dsm', got {sigma!r} with {name!r}")

    def objective(model: ScoreModel, batch: Array, rng: np.random.Generator) -> LossGrad:
        rng = as_rng(rng)
        if name == "ism":
            return ism(model, batch)
        if name == "dsm":
            noise = rng.standard_normal(batch.shape).astype(batch.dtype, copy=False)
            return dsm(model, batch, noise, sigma)
        v = draw_probes((n_probes, *batch.shape), probe, rng, batch.dtype)
        return ssm(model, batch, v) if name == "ssm" else ssm_vr(model, batch, v)

    return objective


def as_objective(objective: Any, rows: str = "batch") -> Objective:
    """A callable (model, rows, rng) -> LossGrad: TypeError for others, npscore's own ``ism`` and its kin among them."""
    signature = f"(model, {rows}, rng) -> LossGrad, or a name"
    if any(objective is own for own in (esm, ism, ssm, ssm_vr, dsm)):
        name = objective.__name__
        instead = (
            f"lambda model, {rows}, rng: ns.esm(model, {rows}, target_score)" if objective is esm else None
        )
        raise TypeError(
            f"objective must be a callable {signature}, got npscore's {name}, which takes no rng: use "
            f"{instead or repr(name.replace('_', '-'))}"
        )
    return as_callable(objective, "objective", signature)


def as_loss_grad(result: Any, shape: tuple[int, ...], *, allow_complex: bool = False) -> tuple[Any, Array]:
    """Loss and gradient of what an objective returned: TypeError or ValueError where it is not a LossGrad.

    ``shape`` is θ's. Raises NotFiniteError for a gradient that is not finite; the loss may be anything.
    """
    if not isinstance(result, tuple) or len(result) < 2:
        raise TypeError(f"objective must return a LossGrad (loss, grad, …), got {type(result).__name__}")
    loss, grad, *_ = result
    loss = as_shaped(loss, "the objective's loss", (), allow_complex=allow_complex, finite=False)
    return loss, as_shaped(grad, "the objective's grad", shape, allow_complex=allow_complex)
