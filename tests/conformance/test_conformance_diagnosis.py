"""The diagnosis names the mistakes planted in an independent implementation, and none where it is correct.

A part of independent/run.py: one seed per operation, every mistake, the types in turn.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from importlib import resources
from itertools import islice

import numpy as np
import pytest
from independent import network_mistakes as independent_network_mistakes
from independent.cases import network_cases
from independent.run import DTYPES, MAKERS, SEEDS, correct, named_rightly, plant, planted_answer, verdict_on
from independent.scores import answer
from independent.variants import VARIANTS

from npscore.conformance.grading import grade
from npscore.conformance.matching import Predictions
from npscore.conformance.mistakes import (
    CATALOGUE,
    ENTRIES,
    NETWORK,
    RIGHT,
    Decoded,
    catalogue_json,
    for_operation,
)

OPERATIONS = tuple(MAKERS)
ISM = network_cases("ism", 1)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_mistake_planted_is_detected_and_named(operation):
    seed = OPERATIONS.index(operation) % 4
    outcomes = plant(operation, seed, lambda k: [DTYPES[(k + seed) % 2]])
    assert [o.planted for o in outcomes if not o.detected] == []
    missed = [(o.planted, o.dtype, o.verdict.status, o.verdict.mistakes) for o in outcomes if not o.named]
    assert len(missed) <= 0.01 * len(outcomes), missed


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_correct_variant_raises_an_alarm(operation):
    for seed in SEEDS:
        verdicts = correct(operation, seed)
        alarms = {
            key: verdict.status for key, verdict in verdicts.items() if verdict.status not in ("pass", "gold")
        }
        assert alarms == {}
        assert len(verdicts) == len(DTYPES) * (len(VARIANTS) if operation in NETWORK else 1)


def test_there_are_at_least_500_correct_variants():
    others = len(OPERATIONS) - len(NETWORK)
    assert len(SEEDS) * len(DTYPES) * (len(NETWORK) * len(VARIANTS) + others) >= 500


def test_the_catalogue_is_complete_and_every_entry_is_planted():
    from independent import activation_mistakes as independent_activation_mistakes
    from independent import density_mistakes as independent_density_mistakes

    planted = {
        *independent_network_mistakes.PLANTED,
        *independent_activation_mistakes.PLANTED,
        *independent_density_mistakes.PLANTED,
    }
    assert planted == set(CATALOGUE) and len(CATALOGUE) == len(ENTRIES) >= 60
    for mistake in ENTRIES:
        assert mistake.operations and set(mistake.operations) <= set(OPERATIONS)
        assert all((mistake.title, mistake.wrong, mistake.effect, mistake.fix))
        assert mistake.equation in RIGHT and mistake.kind in ("mistake", "convention")


def test_what_is_said_to_concern_the_gradient_alone_has_the_right_loss():
    predictions = Predictions()
    for operation in ("ism", "dsm"):
        for case in network_cases(operation, 2)[:12]:
            for mistake in for_operation(operation):
                predicted = predictions(mistake, case)
                if mistake.gradient_only and predicted:
                    assert predicted["loss"] == pytest.approx(case.expected()["loss"], rel=1e-12), mistake.id


def test_the_published_catalogue_is_the_one_in_the_code():
    text = (resources.files("npscore.conformance") / "v1" / "mistakes.json").read_text("utf-8")
    assert text == catalogue_json()
    entries = json.loads(text)["mistakes"]
    assert [entry["id"] for entry in entries] == list(CATALOGUE)
    issue = next(entry for entry in entries if entry["id"] == "target-sign")
    assert issue["seen"] == ["torchebm issue 318 (DSM: ∇E compared with the target of a score)"]


def planted(mistake, cases, dtype="float64", change=lambda answer: answer):
    return {case.id: change(planted_answer(mistake, case, dtype)) for case in cases}


def verdict(answers, cases, dtype="float64", **more):
    return grade(answers, dtype, cases=cases, **more).verdicts[0]


def test_a_mistake_in_other_units_is_named_with_the_factor():
    doubled = planted("trace-sign", ISM, change=lambda a: {k: 2 * v for k, v in a.items()})
    found = verdict(doubled, ISM)
    assert (found.status, found.mistakes, found.findings[0].factor) == ("diagnosed", ("trace-sign",), "2")
    assert "times 2" in "\n".join(found.lines())


def test_two_mistakes_in_different_cases_are_both_named():
    weighted = [case for case in ISM if "weights" in case.arrays]
    others = [case for case in ISM if "weights" not in case.arrays]
    both = planted("sample-weights-squared", weighted) | planted("trace-doubled", others)
    found = verdict(both, ISM)
    assert set(found.mistakes) == {"sample-weights-squared", "trace-doubled"} and found.unknown is None


def test_two_mistakes_that_the_answers_cannot_tell_apart_are_both_listed():
    one_hidden = [case for case in ISM if len(case.model["sizes"]) == 3]
    found = verdict(planted("curvature-dropped-1", one_hidden), one_hidden)
    assert set(found.mistakes) == {"curvature-dropped-1", "curvature-dropped-everywhere"}
    assert "not to be told apart" in "\n".join(found.lines())


def test_fewer_than_three_cases_name_nothing():
    two = [case for case in ISM if len(case.model["sizes"]) == 4][:2]
    found = verdict(planted("trace-doubled", two), two)
    assert found.status == "unknown" and found.mistakes == ()


def test_an_unknown_mistake_is_described_and_not_named():
    answers = {case.id: answer(case) for case in ISM}
    for value in answers.values():
        value["grad.W1"] = value["grad.W1"] + 0.37 * np.sign(value["grad.W1"])
    found = verdict(answers, ISM)
    assert found.status == "unknown" and set(found.unknown.wrong) == {"grad.W1"}
    assert "loss" in found.unknown.right and "grad.b1" in found.unknown.right


def test_a_constant_that_nobody_uses_is_unknown_but_measured():
    odd = {case.id: {k: 7.3 * v for k, v in answer(case).items()} for case in ISM}
    found = verdict(odd, ISM)
    assert found.status == "unknown" and found.unknown.scale == pytest.approx(7.3, rel=1e-9)
    assert found.unknown.residual < 1e-12 and "7.3 times" in "\n".join(found.lines())


def test_a_constant_of_one_size_only_is_no_convention():
    same = [case for case in ISM if case.arrays["x"].shape == ISM[0].arrays["x"].shape]
    assert len(same) >= 3
    found = verdict(planted("twice", same), same)
    assert found.status == "unknown"


def test_a_convention_passes_only_where_it_is_declared():
    answers = planted("sum", ISM)
    assert verdict(answers, ISM).status == "convention" and not verdict(answers, ISM).fine
    declared = grade(answers, cases=ISM, declared={"ism": "sum"})
    assert declared.exit_code == 0 and declared.verdicts[0].title == "convention (declared: sum)"
    assert grade(answers, cases=ISM, declared={"*": ["twice", "sum"]}).exit_code == 0
    assert grade(answers, cases=ISM, declared={"ism": "twice"}).exit_code == 1
    assert grade(answers, cases=ISM, declared={"dsm": "sum"}).exit_code == 1


def test_a_declared_convention_hides_no_other_mistake():
    wrong = planted("trace-sign", ISM, change=lambda a: {k: 2 * v for k, v in a.items()})
    report = grade(wrong, cases=ISM, declared={"ism": "twice"})
    assert report.exit_code == 1 and "trace-sign" in report.verdicts[0].mistakes


def test_the_loss_alone_is_enough_for_a_diagnosis():
    only_loss = planted("trace-over-d", ISM, change=lambda a: {"loss": a["loss"]})
    assert verdict(only_loss, ISM).mistakes == ("trace-over-d",)


def test_naming_does_not_depend_on_which_float_was_used():
    predictions = Predictions()
    for dtype in DTYPES:
        answers = lambda c, t=dtype: planted_answer("unit-probes", c, t)  # noqa: E731
        cases = network_cases("ssm_vr", 3)
        assert named_rightly(verdict_on(cases, answers, dtype, predictions), CATALOGUE["unit-probes"])


def shipped():
    """The shipped cases by operation, invalid ones left out."""
    from npscore.conformance.cases import families, load

    groups = {}
    for family in families():
        for case in load(family) if family != "invalid" else ():
            groups.setdefault(case.operation, []).append(case)
    return groups


def test_the_shipped_cases_separate_every_mistake():
    """By 1 % of the scale, or of a block's largest number, in at least three cases of each operation."""
    for operation, cases in shipped().items():
        decoded = [Decoded(case) for case in cases]
        for mistake in for_operation(operation):
            far = (case.id for case in decoded if _distance(mistake, case) >= 0.01)
            assert len(list(islice(far, 3))) == 3, (mistake.id, operation)


def _distance(mistake, case):
    predicted, certified, scale = mistake.answer(case), case.expected(), case.scale()
    blocks = [name for name in predicted if name == "loss" or name.startswith("grad.")] or list(predicted)
    far = 0.0
    for name in blocks:
        gap = np.abs(predicted[name] - certified[name])
        of_scale = np.nan_to_num(gap / np.maximum(scale[name], 1e-300), nan=np.inf).max(initial=0.0)
        of_block = gap.max(initial=0.0) / max(np.abs(certified[name]).max(initial=0.0), 1e-300)
        far = max(far, float(of_scale), float(np.nan_to_num(of_block, nan=np.inf)))
    return far


@pytest.mark.skipif(
    "NPSCORE_FULL" not in os.environ, reason="set NPSCORE_FULL for all seeds, or run independent/run.py"
)
def test_all_seeds_and_both_types():
    from independent import run as independent_run

    assert independent_run.main() == 0


def test_a_mistake_beside_ignored_sample_weights_is_named_with_both():
    answers = {}
    for case in ISM:
        unweighted = replace(case, arrays={k: v for k, v in case.arrays.items() if k != "weights"})
        answers[case.id] = planted_answer("trace-detached", unweighted, "float64")
    found = verdict(answers, ISM)
    assert [(f.ids, f.ignoring) for f in found.findings] == [
        (("trace-detached",), False),
        (("trace-detached",), True),
    ]
    assert found.unknown is None and "sample weights and weighting ignored" in "\n".join(found.lines())
