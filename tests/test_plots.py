"""Pictures: what is drawn is what was given, every axis is labelled, and a file is written whole."""

import numpy as np
import pytest

from npscore.datasets import Table
from npscore.fitting import History
from npscore.plots import (
    draw_distances,
    draw_identity,
    draw_score_field,
    draw_training,
    new_figure,
    sample_figure,
    save_figure,
)


def labelled(axes):
    return bool(axes.get_xlabel() and axes.get_ylabel())


@pytest.mark.parametrize("d", [1, 2, 3, 7])
def test_sample_figure_shows_the_columns(d):
    values = np.random.default_rng(0).standard_normal((50, d))
    figure = sample_figure(Table(tuple(f"col{j}" for j in range(d)), values))
    shown = min(d, 5)
    texts = {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())}
    assert {f"col{j}" for j in range(shown)} <= texts
    title = figure._suptitle.get_text()  # get_suptitle is new in matplotlib 3.8
    assert "50" in title and (("first 5 of 7" in title) == (d == 7))
    if d == 2:
        np.testing.assert_array_equal(figure.axes[0].lines[0].get_xydata(), values)


def test_arrows_point_along_the_score():
    axes = new_figure(3, 3).subplots()
    draw_score_field(axes, lambda x: -x, (-1.0, 1.0), (-2.0, 2.0), arrows=5)
    (arrows,) = axes.collections
    inward = arrows.X * arrows.U + arrows.Y * arrows.V
    assert (inward <= 0).all() and (inward < 0).sum() == 24


def test_identity_line_has_slope_one_through_the_constant():
    axes = new_figure(3, 3).subplots()
    draw_identity(axes, [1.0, 2.0], [0.0, 1.0], -1.0)
    line, points = axes.lines
    (x0, y0), (x1, y1) = line.get_xydata()
    assert (y1 - y0) == pytest.approx(x1 - x0) and y0 == -1.0
    np.testing.assert_array_equal(points.get_xydata(), [[1.0, 0.0], [2.0, 1.0]])
    assert labelled(axes)


def test_training_and_distances():
    history = History(*map(np.array, ([1, 2], [3.0, 2.0], [1.0, 1.0], [0.1, 0.1], [0, 2], [4.0, 1.0])))
    axes = new_figure(3, 3).subplots()
    draw_training(axes, history, gaussian=2.0, best_step=2)
    assert labelled(axes) and any(line.get_label() == "held-out ISM" for line in axes.lines)
    axes = new_figure(3, 3).subplots()
    draw_distances(axes, {"a": 0.5, "b": 0.25})
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0.25]


def test_unknown_format_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in one of .*png.*got '.*picture.xyz'"):
        save_figure(new_figure(2, 2), tmp_path / "picture.xyz")
    assert list(tmp_path.iterdir()) == []
