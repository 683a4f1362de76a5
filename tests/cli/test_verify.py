"""``npscore verify`` passes here, and fails where it should."""

import numpy as np
import pytest

from npscore import cli, objectives
from npscore.cli import verify


def test_all_checks_pass_and_exit_0(capsys):
    assert cli.main(["verify"]) == 0
    said = capsys.readouterr().out
    assert "FAILED" not in said and said.count(" ok") >= 14


@pytest.mark.parametrize("wrong", ["trace sign", "half", "detached"])
def test_a_wrong_loss_or_gradient_is_reported_and_exits_1(wrong, monkeypatch, capsys):
    right = objectives.ism

    def ism(model, x, weights=None):
        loss, grad, per_sample = right(model, x, weights)
        w = np.full(len(x), 1 / len(x)) if weights is None else weights
        if wrong == "half":  # consistent with its gradient: only the theorem sees it
            return objectives.LossGrad(2 * loss, 2 * grad, 2 * per_sample)
        s, div, pullback = model.divergence_vjp(x)
        if wrong == "detached":
            return objectives.LossGrad(loss, pullback(w[:, None] * s, 0 * w), per_sample)
        flipped = 0.5 * (s * s).sum(axis=1) - div
        return objectives.LossGrad(w @ flipped, pullback(w[:, None] * s, -w), flipped)

    monkeypatch.setattr(verify, "ism", ism)
    assert cli.main(["verify"]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_nan_does_not_pass():
    assert not verify.Check("anything", float("nan"), 1.0).passed
