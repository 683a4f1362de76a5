"""Mistakes of the implicit objectives: ISM, SSM and SSM-VR."""

from __future__ import annotations

import numpy as np

from .base import IMPLICIT, SLICED, Array, entry
from .faulty_loss import Formula, Terms, objective


def _trace_as(formula: Formula) -> Formula:
    """The right square, and another formula for the trace."""
    return lambda t: t.first + formula(t)


def _over_rows(power: float) -> Formula:
    return lambda t: t.first + t.second * (1.0 if "weights" in t.arrays else float(t.n) ** power)


def _probes(change) -> dict:
    """The arguments of ``objective`` that replace the probes by a function of them."""
    return {"inputs": lambda case, arrays: {**arrays, "v": change(arrays["v"])}}


def _unit(v: Array) -> Array:
    return v / np.sqrt((v * v).sum(axis=-1, keepdims=True))


def _swapped(t: Terms) -> Array:
    if t.case.operation == "ssm":
        return 0.5 * t.square + t.second
    return 0.5 * (t.projected * t.projected).mean(axis=0) + t.second


def _other_square(t: Terms) -> Array:
    return 0.5 * (t.v * t.s * t.v * t.s).sum(axis=-1).mean(axis=0) + t.second


J_SIGN = "The trace is pushed up instead of down: the minimum is a model with the wrong sign, or none."

MISTAKES = [
    entry(
        "square-unhalved", IMPLICIT, "½ missing before the square only", "‖s‖² + tr J", "eq-2.2",
        objective(lambda t: 2 * t.first + t.second),
        "The minimum is half the true score: samples spread out too far by √2.", "Put the ½ before the square.",
    ),
    entry(
        "trace-sign", IMPLICIT, "trace subtracted, or an energy gradient for the score", "½‖s‖² − tr J", "eq-2.2",
        objective(lambda t: t.first - t.second), "The model learns −∇log p, an inverted energy.",
        "Add the trace; where the network gives ∇E, negate it first: s = −∇E.",
    ),
    entry(
        "trace-doubled", IMPLICIT, "trace doubled", "½‖s‖² + 2 tr J", "eq-2.2",
        objective(lambda t: t.first + 2 * t.second), "The minimum is twice the true score: samples too concentrated.",
        "One tr J to ½‖s‖².",
    ),
    entry(
        "trace-halved", IMPLICIT, "trace halved", "½‖s‖² + ½ tr J", "eq-2.2",
        objective(lambda t: t.first + 0.5 * t.second), "The minimum is half the true score.",
        "The ½ belongs to the square only.",
    ),
    entry(
        "trace-over-d", IMPLICIT, "trace averaged over dimensions", "½‖s‖² + (tr J)/d", "eq-5.5",
        objective(lambda t: t.first + t.second / t.d), "The minimum is the true score over d.",
        "Sum the diagonal; do not take its mean.",
    ),
    entry(
        "square-over-d", IMPLICIT, "square averaged over dimensions", "½‖s‖²/d + tr J", "eq-2.2",
        objective(lambda t: t.first / t.d + t.second), "The minimum is d times the true score.",
        "Sum the squares over dimensions, as the trace sums its own.",
    ),
    entry(
        "trace-missing", IMPLICIT, "no trace", "½‖s‖²", "eq-2.2", objective(lambda t: t.first),
        "The minimum is s = 0, whatever the data.", "Add tr J.",
    ),
    entry(
        "square-missing", IMPLICIT, "no square", "tr J", "eq-2.2", objective(lambda t: t.second),
        "There is no minimum: the loss falls without limit.", "Add ½‖s‖².",
    ),
    entry(
        "trace-summed-over-rows", IMPLICIT, "trace summed over rows, square averaged", "mean ½‖s‖² + Σᵢ tr Jᵢ",
        "eq-2.2",
        objective(_over_rows(1.0)), "The minimum is n times the true score, and changes with the batch.",
        "Take both terms of each row first, then the mean over rows.",
    ),
    entry(
        "trace-averaged-twice", IMPLICIT, "trace divided by n twice", "mean ½‖s‖² + mean tr J/n", "eq-2.2",
        objective(_over_rows(-1.0)), "The minimum is the true score over n, and changes with the batch.",
        "Take both terms of each row first, then the mean over rows.",
    ),
    entry(
        "trace-detached", IMPLICIT, "trace detached: gradient of the square only", "∇(½‖s‖²)", "eq-5.10",
        objective(gradient_of=lambda t: t.first), "Training shrinks s to 0 while the reported loss looks right.",
        "Differentiate through the trace: create_graph=True in PyTorch, no stop_gradient.", gradient_only=True,
    ),
    entry(
        "square-detached", IMPLICIT, "square detached: gradient of the trace only", "∇ tr J", "eq-4.4",
        objective(gradient_of=lambda t: t.second), "Training diverges while the reported loss looks right.",
        "Let the gradient flow through ½‖s‖² too.", gradient_only=True,
    ),
    entry(
        "square-gradient-doubled", IMPLICIT, "the square's gradient without its ½", "∇‖s‖² + ∇ tr J", "eq-4.4",
        objective(gradient_of=lambda t: 2 * t.first + t.second),
        "The loss is right, the minimum that training finds is half the true score.", "d(½‖s‖²) = s ds.",
        gradient_only=True,
    ),
    entry(
        "square-gradient-halved", IMPLICIT, "½ s for s in the square's gradient", "½ s ds + d tr J", "eq-4.4",
        objective(gradient_of=lambda t: 0.5 * t.first + t.second),
        "The loss is right, the minimum that training finds is twice the true score.", "d(½‖s‖²) = s ds.",
        gradient_only=True,
    ),
    entry(
        "norm-for-square", IMPLICIT[:1] + IMPLICIT[2:], "norm not squared", "½‖s‖ + tr J", "eq-2.2",
        objective(lambda t: 0.5 * np.sqrt(t.square) + t.second), "Unbounded below: nothing restrains a large score.",
        "Square the norm.",
    ),
    entry(
        "jacobian-summed", "ism", "all entries of J summed", "½‖s‖² + Σᵢⱼ Jᵢⱼ", "eq-5.5",
        objective(_trace_as(lambda t: t.J.sum(axis=(1, 2)))),
        "Off-diagonal entries enter: wrong as soon as coordinates are dependent. grad(s.sum(), x).sum() does this.",
        "One derivative per coordinate: ∂sₖ/∂xₖ, then their sum.",
    ),
    entry(
        "jacobian-diagonal-shifted", "ism", "a diagonal next to the right one", "½‖s‖² + Σₖ Jₖ,ₖ₊₁", "eq-5.5",
        objective(_trace_as(lambda t: np.trace(np.roll(t.J, -1, axis=2), axis1=1, axis2=2))),
        "Off by one in the loop over coordinates: the trace is of something else.", "∂sₖ/∂xₖ, the same k twice.",
    ),
    entry(
        "trace-first-only", "ism", "only ∂s₁/∂x₁", "½‖s‖² + J₁₁",
        "eq-5.5", objective(_trace_as(lambda t: t.J[:, 0, 0])),
        "All but the first coordinate shrink to 0.", "Sum over all coordinates.",
    ),
    entry(
        "trace-last-missing", "ism", "the last coordinate left out of the trace", "½‖s‖² + Σ_{k<d} Jₖₖ", "eq-5.5",
        objective(_trace_as(lambda t: t.trace - t.J[:, -1, -1])), "The last coordinate's score shrinks to 0.",
        "The loop ends at d.",
    ),
    entry(
        "frobenius-for-trace", "ism", "squared Frobenius norm for the trace", "½‖s‖² + ‖J‖²", "eq-5.5",
        objective(_trace_as(lambda t: (t.J * t.J).sum(axis=(1, 2)))),
        "A smoothness penalty, not score matching: s → 0.",
        "Sum the diagonal itself.",
    ),
    entry(
        "diagonal-squared", "ism", "squares of the diagonal", "½‖s‖² + Σ Jₖₖ²", "eq-5.5",
        objective(_trace_as(lambda t: np.einsum("nkk,nkk->n", t.J, t.J))),
        "Curvature of either sign is penalised: s → 0.",
        "Sum the diagonal itself.",
    ),
    entry(
        "ssm-variants-swapped", SLICED, "SSM and SSM-VR swapped", "½(vᵀs)² ↔ ½‖s‖²", "eq-7.1", objective(_swapped),
        "The same in expectation where E vvᵀ = I; other numbers, and other variance, on any finite batch.",
        "SSM projects the score before the square, SSM-VR does not.",
    ),
    entry(
        "unit-probes", SLICED, "probes scaled to length 1", "v/‖v‖", "eq-7.3", objective(**_probes(_unit)),
        "E vvᵀ = I/d: for SSM-VR the trace is over d and the minimum is the true score over d; for SSM only a "
        "factor.",
        "Use the probes as given: N(0, I) or signs, E vvᵀ = I.",
        seen=("sliced_score_estimation in ermongroup/sliced_score_matching (only a factor there; not its VR form)",),
    ),
    entry(
        "sphere-probes", SLICED, "probes scaled to length √d", "√d v/‖v‖", "eq-7.3",
        objective(**_probes(lambda v: _unit(v) * np.sqrt(v.shape[-1]))),
        "Unbiased as well, but not the probes that were given: other numbers.", "Use the probes as given.",
        seen=("noise_type='sphere' in ermongroup/sliced_score_matching, a law of its own (on purpose)",),
    ),
    entry(
        "probes-summed", SLICED, "sum over probes for their mean", "Σₘ vᵀJv", "eq-7.3",
        objective(lambda t: (len(t.v) if t.case.operation == "ssm" else 1.0) * t.first + len(t.v) * t.second),
        "The estimate of the trace grows with the number of probes; the minimum of SSM-VR with it.",
        "Divide by the number of probes.", seen=("bayesflow issue 772 (its Hutchinson trace of a Jacobian)",),
    ),
    entry(
        "quadratic-summed", "ssm", "vᵀJv summed over probes, the square averaged", "mean ½(vᵀs)² + Σₘ vᵀJv", "eq-7.1",
        objective(lambda t: t.first + len(t.v) * t.second),
        "The minimum is the true score times the number of probes.", "Average both terms over the probes.",
    ),
    entry(
        "first-probe-only", SLICED, "only the first probe used", "v₁ᵀJv₁", "eq-7.3",
        objective(**_probes(lambda v: v[:1])),
        "Unbiased, with the variance of one probe.", "Average over all the probes.",
    ),
    entry(
        "probes-shared", SLICED, "the first row's probe used for all rows", "v₁ for vᵢ", "eq-7.3",
        objective(**_probes(lambda v: np.broadcast_to(v[:, :1], v.shape))),
        "Unbiased, but the rows' errors no longer average out.", "A probe of its own for each row.",
    ),
    entry(
        "projection-summed", SLICED, "Σₖ (Jv)ₖ: the second v left out", "1ᵀJv", "eq-7.3",
        objective(_trace_as(lambda t: np.einsum("nij,mnj->mn", t.J, t.v).mean(axis=0))),
        "Its expectation is 0, not the trace: nothing but the square is trained.", "Multiply Jv by v again.",
    ),
    entry(
        "vjp-summed", SLICED, "Σₖ (vᵀJ)ₖ: the second v left out", "vᵀJ1", "eq-7.3",
        objective(_trace_as(lambda t: np.einsum("mni,nij->mn", t.v, t.J).mean(axis=0))),
        "Its expectation is 0, not the trace: nothing but the square is trained.",
        "(grad(v·s, x) * v).sum(): the second v is the one that is missing.",
    ),
    entry(
        "jv-squared", SLICED, "‖Jv‖² for vᵀJv", "vᵀJᵀJv", "eq-7.3",
        objective(_trace_as(lambda t: (np.einsum("nij,mnj->mni", t.J, t.v) ** 2).sum(axis=-1).mean(axis=0))),
        "It estimates ‖J‖², a smoothness penalty: s → 0.", "vᵀ(Jv), not (Jv)ᵀ(Jv).",
    ),
    entry(
        "diagonal-weighted", SLICED, "only the diagonal of J between the probes", "Σₖ vₖ² Jₖₖ", "eq-7.3",
        objective(_trace_as(lambda t: np.einsum("mnk,nkk->mn", t.v * t.v, t.J).mean(axis=0))),
        "Right in expectation, but it needs the whole diagonal: the cost that slicing avoids.",
        "vᵀJv by one product.",
    ),
    entry(
        "exact-trace", SLICED, "the exact trace instead of the probes", "tr J for vᵀJv", "eq-7.3",
        objective(_trace_as(lambda t: t.trace)), "Better than asked for: ISM's trace, not the given probes'.",
        "Use the probes, or answer the ism cases.",
    ),
    entry(
        "projection-elementwise", "ssm", "the square before the sum over dimensions", "½ Σₖ (vₖ sₖ)²", "eq-7.1",
        objective(_other_square), "The cross terms are lost: right in expectation, not on the given probes.",
        "Sum vₖ sₖ over k, then square.",
    ),
    entry(
        "square-after-mean", "ssm", "the square after the mean over probes", "½(mean vᵀs)²", "eq-7.1",
        objective(lambda t: 0.5 * t.projected.mean(axis=0) ** 2 + t.second),
        "The square is too small by the number of probes: the minimum is too large by it.",
        "Square each projection first.",
    ),
]  # fmt: skip
