"""The trace's fast rules against the plain one: every depth, every cut of the ring, every chunk of directions."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import ACTIVATIONS, gradient_error, make_case

import npscore as ns
from npscore.checks import complex_step_gradient, relative_error
from npscore.models._network import ring as _ring
from npscore.models._network import trace as _trace
from npscore.models._network.passes import forward

TIGHT = 1e-12
RINGS = [(5, 4, 6), (4, 6, 2, 5), (5, 2, 4, 6, 4)]  # 3, 4 and 5 hidden layers
CUTS = [(hidden, at) for hidden in RINGS for at in range(len(hidden) + 1)]


def agree(actual, expected):
    """Two traces with their pullbacks at one ddiv: values, the gradients in every W, the cotangents of every z."""
    np.testing.assert_allclose(actual[0], expected[0], rtol=TIGHT, atol=TIGHT * np.abs(expected[0]).max())
    for some, others in zip(actual[1], expected[1]):  # dW, then dz
        assert len(some) == len(others)
        for a, e in zip(some, others):
            assert a.shape == e.shape and relative_error(a, e) < TIGHT


def evaluated(rule, case, *arguments):
    run = forward(case.model.layers, case.model.activation, case.x, order=2)
    div, pullback = rule(case.model.layers, run, *arguments)
    return div, pullback(case.noise[:, 0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4), (3, 3), *RINGS])
def test_the_rule_of_every_depth_is_the_sum_over_directions(hidden, activation):  # eq-5.5, eq-5.11 to eq-5.21
    case = make_case(8, d=3, hidden=hidden, activation=activation)
    agree(evaluated(_trace.trace, case), evaluated(_trace.trace_by_directions, case))


@pytest.mark.parametrize("numbers", [1, 60, 2**20])  # one direction at a time, a few, all
@pytest.mark.parametrize("hidden, at", CUTS)
def test_every_cut_of_the_ring_is_the_sum_over_directions(hidden, at, numbers, monkeypatch):
    # eq-5.15, eq-5.17, eq-5.18, eq-5.19, eq-5.20, eq-5.21
    monkeypatch.setattr(_ring, "END_NUMBERS", numbers)
    case = make_case(9, d=7, n=4, hidden=hidden, activation="silu")
    agree(evaluated(_trace.trace_by_ring, case, at), evaluated(_trace.trace_by_directions, case))


@pytest.mark.parametrize("numbers", [60, 2**20])
@pytest.mark.parametrize("hidden, at", CUTS)
def test_the_gradient_at_every_cut_is_the_complex_step(hidden, at, numbers, monkeypatch):
    monkeypatch.setattr(_trace, "cut", lambda sizes: at)
    monkeypatch.setattr(_ring, "END_NUMBERS", numbers)
    case = make_case(10, hidden=hidden, activation="softplus")
    expected = complex_step_gradient(
        lambda theta: ns.ism(case.model.with_theta(theta), case.x, case.weights).loss, case.model.theta
    )
    assert gradient_error(case.model, ns.ism(case.model, case.x, case.weights).grad, expected) < 1e-11


def multiplications(sizes, at):
    """Per sample and from the shapes alone: the ring's matrices that do not touch the cut, times its width."""
    hidden = sizes[1:-1]
    names = ["x", *range(1, len(hidden) + 1)] if at == 0 else list(range(1, len(hidden) + 1))
    width = {"x": sizes[0], **dict(enumerate(hidden, start=1))}
    place = "x" if at == 0 else at
    ring = pairwise([*names, names[0]])
    return width[place] * sum(width[a] * width[b] for a, b in ring if place not in (a, b))


@given(hidden=st.lists(st.integers(1, 40), min_size=3, max_size=6), d=st.integers(1, 40))
def test_the_cut_is_where_multiplications_are_fewest(hidden, d):  # eq-5.16
    sizes = (d, *hidden, d)
    counts = [multiplications(sizes, at) for at in range(len(hidden) + 1)]
    assert counts[_ring.cut(sizes)] == min(counts)


def test_cuts_worked_by_hand():  # eq-5.16
    assert _ring.cut((16, 128, 128, 128, 16)) == 0  # 2·16·128² against 128³
    assert _ring.cut((100, 128, 128, 128, 100)) != 0  # 2·100·128² against 128³
    assert _ring.cut((50, 90, 90, 5, 90, 90, 50)) == 3  # the bottleneck


@pytest.mark.parametrize("sizes", [(300, 64, 64, 64, 300), (300, 100, 300), (2, 90, 80, 2)])
def test_peak_memory_is_parameters_data_and_256_MB(sizes):
    """For the ring, all directions at all rows, n·d·h numbers, would take 460 MB a layer."""
    model = ns.MLP.init(sizes, rng=0)
    x = np.random.default_rng(1).standard_normal((3_000 if sizes[0] > 2 else 150_000, sizes[0]))
    tracemalloc.start()
    ns.ism(model, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * x.nbytes + 4 * model.theta.nbytes + 256e6


@pytest.mark.parametrize("dtype, bound", [(np.float32, 2e-5), (np.longdouble, 1e-14)])
@pytest.mark.parametrize("hidden", [(6,), (6, 4), *RINGS])
def test_every_rule_keeps_the_floating_type(hidden, dtype, bound):
    """The trace and its gradient in another type: of that type, and those of float64 to its precision."""
    case = make_case(11, hidden=hidden, activation="gelu")
    other = case.model.with_theta(case.model.theta.astype(dtype)).divergence_vjp(case.x.astype(dtype))
    same = case.model.divergence_vjp(case.x)
    pulled = [pullback(np.zeros_like(s), np.cos(div).astype(div.dtype)) for s, div, pullback in (other, same)]
    for actual, expected in ((other[1], same[1]), pulled):
        assert actual.dtype == dtype
        assert relative_error(actual.astype(float), expected) < bound
    if dtype == np.longdouble and np.finfo(dtype).eps < np.finfo(float).eps:
        exact = case.model.with_theta(case.model.theta.astype(dtype)).jacobian(case.x.astype(dtype))
        np.testing.assert_allclose(other[1], np.trace(exact, axis1=1, axis2=2), rtol=1e-17)


@pytest.mark.parametrize("of_theta, of_data", [(np.float32, np.float64), (np.float64, np.longdouble)])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4), *RINGS])
def test_the_trace_is_computed_in_the_widest_type(hidden, of_theta, of_data):
    """Narrow parameters are exact in a wider type: products of weights alone must be taken there too."""
    model = ns.MLP.init((7, *hidden, 7), rng=0, dtype=of_theta)
    x = np.random.default_rng(1).standard_normal((20, 7)).astype(of_data)
    narrow, wide = (
        (div, pullback(np.zeros_like(s), np.ones(20, of_data)))
        for s, div, pullback in (
            m.divergence_vjp(x) for m in (model, model.with_theta(model.theta.astype(of_data)))
        )
    )
    for actual, expected in zip(narrow, wide):
        assert actual.dtype == of_data
        assert np.abs(actual - expected).max() <= 100 * np.finfo(of_data).eps * max(np.abs(expected).max(), 1)
