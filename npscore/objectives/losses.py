"""The score-matching objectives: a value and two cotangents each, over any model's three primitives.

Every loss is the mean over the n rows of a per-sample value ℓᵢ that sums over dimensions; ``weights`` (n,)
replaces the mean by Σᵢ wᵢ ℓᵢ. The cotangents are ∂loss/∂s and ∂loss/∂(scalar of J), read off ℓ by hand;
the model's pullback does the rest. Noise and probes are arguments: drawing them is the caller's business
(``npscore.stochastic`` does it for ``fit``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Union

import numpy as np

from .._run.borders import NotFiniteError, as_array, as_batch, as_positive, as_shaped, as_weights, call_score
from ..models.base import Array, ScoreModel


class LossGrad(NamedTuple):
    """A loss, its gradient in θ and what each row contributed.

    ``loss`` is Σᵢ wᵢ ℓᵢ; ``grad`` is (p,), laid out as ``model.theta``; ``per_sample`` is ℓ, (n,), unweighted.
    """

    loss: Any
    grad: Array
    per_sample: Array


@np.errstate(over="ignore", invalid="ignore")
def esm(
    model: ScoreModel, x: Any, target_score: Union[Callable[[Array], Any], Any], weights: Any = None
) -> LossGrad:
    """Explicit score matching: the mean of ½‖s(x) - s*(x)‖², with the ½.

    x is (n, d); ``target_score`` is s*, a callable (n, d) -> (n, d) or its values (n, d). The lecture note's
    form without the ½ is twice this, and equals 2·ISM + const (2.6).
    Raises ValueError for mismatched shapes or values that are not finite. Source: Hyvärinen 2005, eq. 2.
    """
    x = as_batch(x, "x", d=_dimension(model))
    if callable(target_score):
        target = call_score(target_score, x, "target_score", finite=True)
    else:
        target = as_shaped(target_score, "target_score", x.shape)
    w, score_vjp = _weights(weights, x, model), _primitive(model, "score")

    def part(b: slice) -> LossGrad:
        s, pullback = score_vjp(x[b])
        residual = s - target[b]  # (n, d)
        per_sample = _finite(0.5 * _dots(residual, residual))  # eq-2.1
        return LossGrad(w[b] @ per_sample, pullback(w[b, None] * residual), per_sample)

    return _sum_over_blocks(part, len(x), model, "score")


@np.errstate(over="ignore", invalid="ignore")
def ism(model: ScoreModel, x: Any, weights: Any = None) -> LossGrad:
    """Implicit score matching: the mean of ½‖s(x)‖² + tr ∂s/∂x, the trace exact.

    x is (n, d). Equals ESM (with the ½) minus ½E‖∇log p‖² in expectation, under the theorem's assumptions.
    Can be negative, and is unbounded below on rounded data. Source: Hyvärinen 2005, eq. 4.
    """
    x = as_batch(x, "x", d=_dimension(model))
    w, divergence_vjp = _weights(weights, x, model), _primitive(model, "divergence")

    def part(b: slice) -> LossGrad:
        s, div, pullback = divergence_vjp(x[b])
        per_sample = _finite(0.5 * _dots(s, s) + div)  # eq-2.2
        return LossGrad(w[b] @ per_sample, pullback(w[b, None] * s, w[b]), per_sample)

    return _sum_over_blocks(part, len(x), model, "divergence")


def ism_values(model: ScoreModel, x: Any) -> Array:
    """½‖s(x)‖² + tr ∂s/∂x at each row, shape (n,), without a gradient: for held-out rows. x is (n, d)."""
    s, div, _ = model.divergence_vjp(x)
    return 0.5 * _dots(s, s) + div  # eq-2.2


@np.errstate(over="ignore", invalid="ignore")
def ssm(model: ScoreModel, x: Any, v: Any, weights: Any = None) -> LossGrad:
    """Sliced score matching: the mean of ½(vᵀs)² + vᵀ J v.

    x is (n, d); v is (n, d), or (m, n, d) for m projections a row, averaged. Equals ISM in expectation where
    E[v vᵀ] = I. Source: Song, Garg, Shi and Ermon 2019, eq. 8.
    """
    x, probes, w = _sliced_arguments(model, x, v, weights)
    quadratic_form_vjp = _primitive(model, "quadratic_form")

    def part(b: slice) -> LossGrad:
        v = probes[:, b]
        s, q, pullback = quadratic_form_vjp(x[b], v)
        vs = _dots(v, s)  # (m, n)
        per_sample = _finite((0.5 * vs * vs + q).mean(axis=0))  # eq-7.1
        share = w[b] / len(v)  # (n,)
        ds = share[:, None] * (vs[..., None] * v).sum(axis=0)
        return LossGrad(w[b] @ per_sample, pullback(ds, np.broadcast_to(share, q.shape)), per_sample)

    return _sum_over_blocks(part, len(x), model, "quadratic_form", len(probes))


@np.errstate(over="ignore", invalid="ignore")
def ssm_vr(model: ScoreModel, x: Any, v: Any, weights: Any = None) -> LossGrad:
    """Sliced score matching with reduced variance: the mean of ½‖s‖² + vᵀ J v.

    This is ISM with Hutchinson's estimate of the trace: for m probes, v of shape (m, n, d), the estimate is
    their mean. One probe is (n, d). Unbiased for ISM where E[v vᵀ] = I; with Rademacher probes all 2^d sign
    vectors give the trace exactly. Source: Song, Garg, Shi and Ermon 2019, eq. 9; Hutchinson 1989.
    """
    x, probes, w = _sliced_arguments(model, x, v, weights)
    quadratic_form_vjp = _primitive(model, "quadratic_form")

    def part(b: slice) -> LossGrad:
        s, q, pullback = quadratic_form_vjp(x[b], probes[:, b])
        per_sample = _finite(0.5 * _dots(s, s) + q.mean(axis=0))  # eq-7.2, eq-7.3
        dq = np.broadcast_to(w[b] / len(probes), q.shape)
        return LossGrad(w[b] @ per_sample, pullback(w[b, None] * s, dq), per_sample)

    return _sum_over_blocks(part, len(x), model, "quadratic_form", len(probes))


@np.errstate(over="ignore", invalid="ignore")
def dsm(model: ScoreModel, x: Any, noise: Any, sigma: Any, weights: Any = None) -> LossGrad:
    """Denoising score matching: the mean of ½‖s(x + σε) + ε/σ‖², with the ½ and no σ² weighting.

    x is (n, d); ``noise`` is ε ~ N(0, I), (n, d); ``sigma`` is one number > 0 or (n,), one per row. The
    target is -ε/σ, the score of x + σε given x; a weighting such as σ² goes into ``weights`` as σᵢ²/n.
    Raises ValueError where x + σε is not finite.
    Learns the score of the smoothed density p * N(0, σ²I). Source: Vincent 2011, eq. 9.
    """
    x = as_batch(x, "x", d=_dimension(model))
    noise = as_shaped(noise, "noise", x.shape)
    sigma = _as_sigma(sigma, len(x))
    w, score_vjp = _weights(weights, x, model), _primitive(model, "score")
    noisy, target = as_array(x + sigma * noise, "x + sigma * noise"), -noise / sigma  # (n, d) each

    def part(b: slice) -> LossGrad:
        s, pullback = score_vjp(noisy[b])
        residual = s - target[b]  # (n, d)
        per_sample = _finite(0.5 * _dots(residual, residual))  # eq-8.1
        return LossGrad(w[b] @ per_sample, pullback(w[b, None] * residual), per_sample)

    return _sum_over_blocks(part, len(x), model, "score")


def _dots(a: Array, b: Array) -> Array:
    """The dot products of rows: aᵢ·bᵢ over the last axis."""
    return np.einsum("...d,...d->...", a, b)


def _weights(weights: Any, x: Array, model: Any) -> Array:
    """w (n,), where it is the mean in the widest type of rows and parameters."""
    return as_weights(weights, len(x), np.result_type(x.dtype, getattr(model, "dtype", x.dtype)))


def _primitive(model: Any, name: str) -> Callable[..., tuple[Any, ...]]:
    """The model's primitive, past its border where it is npscore's: what an objective hands on is clean."""
    return model.unchecked(name) if isinstance(model, ScoreModel) else getattr(model, f"{name}_vjp")


def _sum_over_blocks(
    part: Callable[[slice], LossGrad], n: int, model: Any, primitive: str, probes: int = 1
) -> LossGrad:
    """A loss is a sum over rows, and so is its gradient: ``part`` of n rows, as many at a time as the model likes."""
    rows = model.rows_at_once(primitive, probes) if hasattr(model, "rows_at_once") else n
    if n <= rows:
        return _without_overflow(part(slice(None)))
    loss, grad, per_sample = part(slice(rows))
    per_sample = [per_sample]
    for start in range(rows, n, rows):
        more = part(slice(start, start + rows))
        loss, grad = loss + more.loss, grad + more.grad
        per_sample.append(more.per_sample)
    return _without_overflow(LossGrad(loss, grad, np.concatenate(per_sample)))


def _without_overflow(result: LossGrad) -> LossGrad:
    """The result, if the sums over rows stayed finite too: ``weights`` may be too large where every row is fine."""
    if not np.isfinite(result.loss):
        raise NotFiniteError(
            f"loss must be finite, got {result.loss}: the weights are too large for these rows"
        )
    as_array(result.grad, "gradient", allow_complex=True)
    return result


def _finite(per_sample: Array) -> Array:
    """The losses of the rows, none of them NaN or infinite: an overflow is an error here, not a number."""
    return as_array(per_sample, "loss per sample", allow_complex=True)


def _dimension(model: Any) -> int:
    if isinstance(model, type) or not (hasattr(model, "score_vjp") and hasattr(model, "d")):
        raise TypeError(f"model must be an npscore model with score_vjp, got {type(model).__name__}")
    return model.d


def _sliced_arguments(model: Any, x: Any, v: Any, weights: Any) -> tuple[Array, Array, Array]:
    x = as_batch(x, "x", d=_dimension(model))
    v = as_array(v, "v")
    if v.ndim not in (2, 3) or v.shape[-2:] != x.shape or v.size == 0:
        raise ValueError(
            f"v must have shape {x.shape} or (m, {x.shape[0]}, {x.shape[1]}), got shape {v.shape}"
        )
    return x, v.reshape(-1, *x.shape), _weights(weights, x, model)


def _as_sigma(sigma: Any, n: int) -> Union[float, Array]:
    """One positive float (no type of its own: float32 stays float32), or positive (n, 1)."""
    sigma = as_array(sigma, "sigma")
    if sigma.ndim == 0:
        return as_positive(sigma, "sigma")
    sigma = as_shaped(sigma, "sigma", (n,))
    if not (sigma > 0).all():
        raise ValueError(f"sigma must be > 0 in every row, got {sigma.min()} at row {int(sigma.argmin())}")
    return sigma[:, None]
