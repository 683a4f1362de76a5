"""What is in the certified cases: nothing that hides a mistake, and numbers that fit each other."""

import re
from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from support.conformance_records import DOCUMENT, NETWORK, ORDINARY, agree, decimals, exact, rows

from npscore.conformance.cases import families, load
from npscore.conformance.mistakes import CATALOGUE


def test_no_two_sizes_are_alike_none_is_small_and_d_is_odd():
    for record in ORDINARY:
        model, inputs = record["model"], record["input"]
        x = inputs.get("x") or inputs.get("x0")
        sizes = x["shape"] if x else [model["d"]] if "d" in model else [3]
        counted = [inputs[name]["shape"][0] for name in ("v", "mixture_weights") if name in inputs]
        wider = [*sizes, *model.get("sizes", ())[1:-1], *counted]
        assert len(set(wider)) == len(wider) and min(wider) >= 3 and sizes[-1] % 2 == 1, record["id"]


def test_no_number_hides_a_mistake():
    """σ, α, β away from 1; no 0 and no constant in weights, data and noise; sample weights do not sum to 1."""
    for record in ORDINARY:
        values = {name: exact(array) for name, array in record["input"].items()}
        for name in values.keys() & {"sigma", "step", "beta"}:
            assert all(abs(value - 1) >= Fraction(1, 10) for value in values[name]), (record["id"], name)
        for name in values:
            if re.fullmatch(r"[Wb]\d|x0?|z|noise|target_score|A|b|v|weights", name):
                assert 0 not in values[name] and len(set(values[name])) > 1, (record["id"], name)
        if "weights" in values:
            assert sum(values["weights"]) != 1 and len(set(values["weights"])) == len(values["weights"]), (
                record["id"]
            )


def test_traces_have_both_signs():
    for family, name in (
        ("ism", "divergence"),
        ("rational", "divergence"),
        ("ssm", "quadratic"),
        ("ssm_vr", "quadratic"),
    ):
        values = [v for r in DOCUMENT[family]["cases"] if name in r["output"] for v in decimals(r, name)]
        positive = sum(v > 0 for v in values) / len(values)
        assert 0.2 < positive < 0.8, (family, positive)


def test_every_mistake_of_the_catalogue_is_one_percent_away_in_at_least_three_cases():
    seen = Counter()
    for case in (case for family in families() if family != "invalid" for case in load(family)):
        expected = case.expected()
        for mistake in (m for m in CATALOGUE.values() if case.operation in m.operations and seen[m.id] < 3):
            seen[mistake.id] += any(
                _apart(wrong, expected[name]) for name, wrong in mistake.answer(case).items()
            )
    assert {mistake.id: seen[mistake.id] for mistake in CATALOGUE.values() if seen[mistake.id] < 3} == {}


def _apart(wrong, right):
    if wrong.shape != right.shape or not np.isfinite(wrong).all():
        return True
    return np.abs(wrong - right).max(initial=0) > 0.01 * np.abs(right).max(initial=0)


@pytest.mark.parametrize("family", [*NETWORK, "rational", "edge"])
def test_losses_are_the_sums_of_their_parts(family):
    """Σ wᵢ ℓᵢ, ½‖s‖² + tr J, ½‖s − target‖² in decimal, from published numbers alone."""
    for record in (r for r in DOCUMENT[family]["cases"] if r["operation"] in NETWORK):
        with localcontext() as context:
            context.prec = 60
            n, d = record["input"]["x"]["shape"]
            share = [Decimal(1) / n] * n
            if "weights" in record["input"]:
                share = [Decimal(w.numerator) / w.denominator for w in exact(record["input"]["weights"])]
            per_sample, scales = decimals(record, "per_sample"), record["output"]["per_sample"]["scale"]
            loss = sum(w * l for w, l in zip(share, per_sample))
            agree(decimals(record, "loss")[0], loss, sum(map(abs, per_sample)))
            for value, expected, scale in zip(per_sample, _per_sample(record, n, d), scales):
                agree(value, expected, max(scale, abs(float(expected))))


def _per_sample(record, n, d):
    score, operation = rows(decimals(record, "score"), d), record["operation"]
    if operation in ("ism", "ssm", "ssm_vr"):
        squares = decimals(record, "half_square")
        if operation != "ssm":
            for square, s in zip(squares, score):
                agree(square, sum(v * v for v in s) / 2, square)
        traces = decimals(record, "divergence") if operation == "ism" else _means(record, n)
        return [square + trace for square, trace in zip(squares, traces)]
    inputs = {
        name: [Decimal(v.numerator) / v.denominator for v in exact(a)] for name, a in record["input"].items()
    }
    if operation == "esm":
        targets, factors = rows(inputs["target_score"], d), [1] * n
    else:
        sigma = inputs["sigma"] * (n if len(inputs["sigma"]) == 1 else 1)
        targets = [[-e / s for e in noise] for noise, s in zip(rows(inputs["noise"], d), sigma)]
        factors = [s * s if record["convention"]["weighting"] == "sigma2" else 1 for s in sigma]
    return [f * sum((p - q) ** 2 for p, q in zip(s, t)) / 2 for f, s, t in zip(factors, score, targets)]


def _means(record, n):
    forms = rows(decimals(record, "quadratic"), n)
    return [sum(column) / len(forms) for column in zip(*forms)]
