"""Differences that train the same model in other units: constants common to loss and gradient, and weightings.

The constants are functions of n and d, never fitted numbers. None of them is a mistake, but
learning rates and reported losses must be converted before they are compared with npscore's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .base import NETWORK, Answer, Mistake, Predict, changed, entry, size
from .faulty_loss import Terms, objective, right

Factor = Callable[[int, int], float]
POPULATION = ("population_esm", "population_ism", "population_dsm", "theorem_constant")


def scaled(factor: Factor, rows: bool) -> Predict:
    """Loss, per-sample loss and gradient times a constant; ``rows``: only where the loss is a mean over rows."""

    def predict(case: Any) -> Answer:
        n, d = size(case)
        if rows and (n is None or case.convention.get("reduction") == "weighted-sum"):
            return {}
        c = factor(n or 1, d)
        expected = case.expected()
        names = [name for name in expected if name in ("loss", "constant") or name.startswith("grad.")]
        names += ["per_sample"] * ("per_sample" in expected and not rows)
        return changed(case, {name: c * expected[name] for name in names})

    return predict


def sigma_weighted(factor: Factor) -> Predict:
    """σ² c(n, d) ℓ where the case asks for no weighting."""

    def formula(t: Terms) -> Any:
        weighted = t.case.convention.get("weighting") == "sigma2"
        return right(t) if weighted else t.sigma[:, 0] ** 2 * factor(t.n, t.d) * right(t)

    return objective(formula)


def _constant(
    id: str,
    title: str,
    wrong: str,
    factor: Factor,
    where: str,
    rows: bool = False,
    more: tuple[str, ...] = (),
) -> Mistake:
    return entry(
        id, (*NETWORK, *more), title, wrong, "eq-2.1", scaled(factor, rows),
        f"The same minimum in other units: learning rates and reported losses differ. {where}",
        f'Divide by that constant to compare, or declare the convention "{id}".', kind="convention",
    )  # fmt: skip


CONVENTIONS = [
    _constant(
        "twice", "the ½ is left out", "2 ℓ", lambda n, d: 2.0,
        "Common: the score-matching note that this library implements writes J_ESM without the ½, and "
        "((s − target)**2).sum(1).mean() is the shortest line of code.", more=POPULATION,
    ),
    _constant("half", "one ½ too many", "ℓ/2", lambda n, d: 0.5, "A ½ taken twice.", more=POPULATION),
    _constant("over-d", "mean over dimensions", "ℓ/d", lambda n, d: 1 / d, "0.5 * ((s − target)**2).mean().",
    more=POPULATION),
    _constant(
        "mse-mean", "mean over all entries, without the ½", "2ℓ/d", lambda n, d: 2 / d,
        'What PyTorch\'s MSELoss(reduction="mean") computes, its default.',
    ),
    _constant("times-d", "times d", "d ℓ", lambda n, d: d, "A sum over dimensions taken twice."),
    _constant("times-2d", "times 2d, no ½", "2d ℓ", lambda n, d: 2 * d, "A sum over dimensions taken twice, no ½."),
    _constant("sum", "sum over rows", "n ℓ", lambda n, d: n,
    "A sum over the batch: the step grows with the batch.", True),
    _constant(
        "mse-sum", "sum over all entries, without the ½", "2n ℓ", lambda n, d: 2 * n,
        'What PyTorch\'s MSELoss(reduction="sum") computes.', True,
    ),
    _constant("over-n", "divided by n twice", "ℓ/n", lambda n, d: 1 / n, "A mean of a mean over the batch.", True),
    _constant("times-nd", "times n d", "n d ℓ", lambda n, d: n * d, "Sums over rows and twice over dimensions.",
    True),
    _constant("over-nd", "over n d", "ℓ/(n d)", lambda n, d: 1 / (n * d),
    "Means over rows and entries, one too many.", True),
    entry(
        "sigma2-weighting", "dsm", "weighted by σ²", "σ² ℓ", "eq-8.1", sigma_weighted(lambda n, d: 1.0),
        "½‖σ s + ε‖²: with one σ only a constant; with several it balances the noise levels (Song and Ermon 2019, "
        "λ(σ) = σ²). The certified loss has no weighting in this case.",
        'Declare the convention "sigma2-weighting", or use the cases flagged sigma2-weighted.', kind="convention",
        seen=("anneal_dsm_score_estimation in ermongroup/ncsn, anneal_power=2",),
    ),
    entry(
        "noise-prediction", "dsm", "ε-prediction, summed", "2σ² ℓ = ‖σ s + ε‖²", "eq-8.1",
        sigma_weighted(lambda n, d: 2.0),
        "The loss of noise prediction with ε̂ = −σ s, no ½: DSM in other units (Ho, Jain and Abbeel 2020 train it).",
        'Declare the convention "noise-prediction".', kind="convention",
    ),
    entry(
        "noise-prediction-mean", "dsm", "ε-prediction, mean over entries", "2σ² ℓ/d", "eq-8.1",
        sigma_weighted(lambda n, d: 2.0 / d),
        "mse(ε̂, ε) over all entries with ε̂ = −σ s: DSM in other units.",
        'Declare the convention "noise-prediction-mean".', kind="convention",
    ),
]  # fmt: skip
