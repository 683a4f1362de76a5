"""The MLP's three primitives against complex step in x, against each other, and in blocks of rows."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import (
    ACTIVATIONS,
    TAME,
    cases,
    gradient_error,
    make_case,
    moved,
    network,
    seeds,
    sign_vectors,
)

import npscore as ns
from npscore import activations
from npscore.checks import complex_step_jacobian, relative_error
from npscore.models import rows
from npscore.models._network import passes as _backprop

TIGHT = 1e-12


# ---- values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation, phi", [("tanh", np.tanh), ("sin", np.sin), ("square", np.square)])
def test_the_forward_pass_is_the_one_on_paper(activation, phi):  # eq-4.1, eq-4.2, eq-4.3
    case = make_case(0, d=3, hidden=(5, 4), activation=activation)
    (W1, b1), (W2, b2), (W3, b3) = case.model.layers
    for x, s in zip(case.x, case.model.score(case.x)):  # one column vector at a time
        np.testing.assert_allclose(s, W3 @ phi(W2 @ phi(W1 @ x + b1) + b2) + b3, rtol=1e-12)


@given(case=cases())
def test_jacobian_is_the_complex_step_in_x(case):  # eq-5.1
    expected = complex_step_jacobian(case.model.score, case.x)
    assert relative_error(case.model.jacobian(case.x), expected) < TIGHT


@pytest.mark.parametrize("large", [1, 10**9])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_score_alone_is_bit_for_bit_that_of_a_pullback(activation, hidden, dtype, large, monkeypatch):
    """Though it writes each φ over its z, here in blocks of 16 numbers, with b₁ as a column of W₁ or added."""
    monkeypatch.setattr(_backprop, "LARGE", large)
    monkeypatch.setattr(activations.functions, "_BLOCK", 16)
    case = make_case(1, d=3, hidden=hidden, activation=activation, n=11)
    model = case.model.with_theta(case.model.theta.astype(dtype))
    x = case.x.astype(dtype)
    s = model.score(x)
    assert s.dtype == dtype
    np.testing.assert_array_equal(s, model.score_vjp(x)[0])
    np.testing.assert_array_equal(x, case.x.astype(dtype))


def test_a_bias_that_is_a_column_is_added_as_ever(monkeypatch):
    case = make_case(4, d=3, hidden=(8, 7), n=40)
    plain = list(_everything(case))
    monkeypatch.setattr(_backprop, "LARGE", 1)
    seen = []
    monkeypatch.setattr(np, "concatenate", lambda *a, _=np.concatenate, **k: seen.append(k) or _(*a, **k))
    for column, added in zip(_everything(case), plain):
        assert relative_error(column, added) < 1e-14
    assert {"axis": 1} in seen  # it was one


def test_one_hidden_layer_by_hand():  # eq-5.11
    """tr(W₂ diag(φ′) W₁) with numbers: φ = z², one row, z = (1, -2), φ′ = (2, -4)."""
    model = ns.MLP(
        [([[1.0, 0.0], [0.0, 2.0]], [0.5, -3.0]), ([[3.0, 1.0], [5.0, -1.0]], [7.0, 9.0])], "square"
    )
    x = np.array([[0.5, 0.5]])
    np.testing.assert_array_equal(model.score(x), [[3.0 + 4.0 + 7.0, 5.0 - 4.0 + 9.0]])
    np.testing.assert_array_equal(model.jacobian(x), [[[6.0, -8.0], [10.0, 8.0]]])
    np.testing.assert_array_equal(model.divergence(x), [14.0])
    np.testing.assert_array_equal(model.divergence_vjp(x)[1], [14.0])


@given(case=cases())
def test_divergence_is_the_trace_of_the_jacobian(case):  # eq-5.5
    trace = np.trace(case.model.jacobian(case.x), axis1=1, axis2=2)
    scale = np.abs(case.model.jacobian(case.x)).max()
    s, div, _ = case.model.divergence_vjp(case.x)
    np.testing.assert_allclose(div, trace, rtol=TIGHT, atol=TIGHT * scale)
    np.testing.assert_allclose(case.model.divergence(case.x), div, rtol=TIGHT, atol=TIGHT * scale)
    np.testing.assert_allclose(s, case.model.score(case.x), rtol=TIGHT, atol=TIGHT)


@given(case=cases())
def test_quadratic_form_is_v_jacobian_v(case):  # eq-5.2, eq-5.3, eq-5.4
    jacobian = case.model.jacobian(case.x)
    s, q, _ = case.model.quadratic_form_vjp(case.x, case.v)
    expected = np.einsum("mni,nij,mnj->mn", case.v, jacobian, case.v)
    np.testing.assert_allclose(q, expected, rtol=TIGHT, atol=TIGHT * np.abs(jacobian).max())
    one = case.model.quadratic_form_vjp(case.x, case.v[0])[1]
    assert one.shape == (len(case.x),)
    np.testing.assert_allclose(one, expected[0], rtol=TIGHT, atol=TIGHT * np.abs(jacobian).max())
    np.testing.assert_allclose(s, case.model.score(case.x), rtol=TIGHT, atol=TIGHT)


@given(case=cases())
def test_quadratic_forms_of_all_sign_vectors_average_to_the_trace(case):  # eq-7.4
    q = case.model.quadratic_form_vjp(case.x, sign_vectors(case.model.d, len(case.x)))[1]
    scale = np.abs(case.model.jacobian(case.x)).max()
    np.testing.assert_allclose(q.mean(axis=0), case.model.divergence(case.x), rtol=TIGHT, atol=TIGHT * scale)


# ---- pullbacks ---------------------------------------------------------------------------------------


@given(case=cases())
def test_pullbacks_agree_with_each_other(case):
    model, x, v = case.model, case.x, case.v
    m, n, d = v.shape
    ds, ddiv = case.target, case.noise[:, 0]
    pull_s, pull_div = model.score_vjp(x)[-1], model.divergence_vjp(x)[-1]
    pull_q = model.quadratic_form_vjp(x, v)[-1]
    score_only = pull_s(ds)
    np.testing.assert_allclose(pull_div(ds, np.zeros(n)), score_only, rtol=TIGHT, atol=TIGHT)
    np.testing.assert_allclose(pull_q(ds, np.zeros((m, n))), score_only, rtol=TIGHT, atol=TIGHT)
    # Unit vectors: the trace is the sum of their quadratic forms, and so is its pullback.
    units = np.repeat(np.eye(d)[:, None, :], n, axis=1)
    by_units = model.quadratic_form_vjp(x, units)[-1](ds, np.tile(ddiv, (d, 1)))
    assert gradient_error(model, pull_div(ds, ddiv), by_units) < TIGHT
    # The sum over probes of separate pullbacks is the pullback of all probes together.
    dq = case.rng.standard_normal((m, n))
    one_by_one = sum(model.quadratic_form_vjp(x, v[k])[-1](0 * ds, dq[k]) for k in range(m))
    assert gradient_error(model, pull_q(ds, dq) - score_only, one_by_one) < 1e-10


@given(case=cases())
def test_pullbacks_are_linear(case):
    n = len(case.x)
    pull = case.model.divergence_vjp(case.x)[-1]
    ds, dt = case.rng.standard_normal((2, n, case.model.d))
    da, db = case.rng.standard_normal((2, n))
    expected = 2.5 * pull(ds, da) - 0.5 * pull(dt, db)
    assert gradient_error(case.model, pull(2.5 * ds - 0.5 * dt, 2.5 * da - 0.5 * db), expected) < TIGHT


def test_a_pullback_sums_over_rows():
    case = make_case(1)
    whole = case.model.divergence_vjp(case.x)[-1](case.target, case.weights)
    rows = [
        case.model.divergence_vjp(case.x[i : i + 1])[-1](case.target[i : i + 1], case.weights[i : i + 1])
        for i in range(len(case.x))
    ]
    assert gradient_error(case.model, whole, sum(rows)) < TIGHT


# ---- blocks ------------------------------------------------------------------------------------------


def _everything(case):
    """Every output of every primitive, with cotangents that differ from row to row."""
    model, x, v = case.model, case.x, case.v
    yield from (model.score(x), model.divergence(x), model.jacobian(x))
    for outputs in (model.score_vjp(x), model.divergence_vjp(x), model.quadratic_form_vjp(x, v)):
        *values, pullback = outputs
        yield from values
        yield pullback(*(np.cos(value) for value in values))
    *values, pullback = model.quadratic_form_vjp(x, v[0])
    yield from (*values, pullback(*values))


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
@pytest.mark.parametrize("block_numbers", [1, 200, 1000])
def test_blocks_of_rows_change_nothing_but_rounding(hidden, block_numbers, monkeypatch):
    case = make_case(2, hidden=hidden, n=23, m=3)
    whole = list(_everything(case))
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", block_numbers)
    for in_blocks, at_once in zip(_everything(case), whole):
        assert in_blocks.shape == at_once.shape
        assert relative_error(in_blocks, at_once) < 1e-13


@pytest.mark.parametrize("hidden", [(64, 48), (24, 24, 16)])  # closed form of the trace; d directions
def test_memory_does_not_grow_with_the_batch(hidden, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", 2**15)  # 256 kB in float64
    case = make_case(3, d=5, hidden=hidden, n=20_000, m=1)
    model, x, ones = case.model, case.x, np.ones(len(case.x))

    def peak(function):
        tracemalloc.start()
        function()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    # The blocks' results, the arrays they are joined to, and the private copies of x and v.
    outputs = 2 * (x.nbytes + ones.nbytes) + 2 * x.nbytes
    unblocked = 8 * len(x) * 2 * sum(hidden)  # φ and φ′ alone
    assert outputs + 5 * 8 * 2**15 < unblocked / 4
    for run in (
        lambda: model.divergence_vjp(x)[-1](x, ones),
        lambda: model.quadratic_form_vjp(x, case.v)[-1](x, ones[None, :]),
        lambda: model.divergence(x),
    ):
        assert peak(run) < outputs + 5 * 8 * 2**15


# ---- types and immutability --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, bound", [(np.float32, 2e-5), (np.longdouble, 1e-14)])
@pytest.mark.parametrize("activation", TAME)
def test_other_floating_types_are_kept_and_agree_with_float64(activation, dtype, bound):
    case = make_case(4, hidden=(5, 4), activation=activation)
    model = case.model.with_theta(case.model.theta.astype(dtype))
    other = case._replace(model=model, x=case.x.astype(dtype), v=case.v.astype(dtype))
    assert model.dtype == dtype
    for actual, expected in zip(_everything(other), _everything(case)):
        assert actual.dtype == dtype
        assert relative_error(actual.astype(float), expected) < bound


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mixed_types_come_out_in_the_widest(activation):
    model = make_case(5, activation=activation).model
    narrow = model.with_theta(model.theta.astype(np.float32))
    x = np.array([[0.5, -1.0, 2.0]], dtype=np.float32)
    assert narrow.score(x).dtype == np.float32
    assert narrow.divergence(x.astype(float)).dtype == np.float64
    assert model.score(x).dtype == model.score([[1, 2, 3]]).dtype == np.float64


@pytest.mark.parametrize("hidden", [(), (5, 4)])
def test_nothing_is_mutated_and_nothing_aliased(hidden):
    case = make_case(6, hidden=hidden, activation="identity")
    arrays = [case.x, case.v, case.model.theta, *(part for layer in case.model.layers for part in layer)]
    before = [array.copy() for array in arrays]
    for array in (case.x, case.v):
        array.setflags(write=False)
    for output in list(_everything(case)):
        assert not any(np.shares_memory(output, array) for array in arrays)
        output[...] = np.nan  # outputs are the caller's own
    for array, saved in zip(arrays, before):
        np.testing.assert_array_equal(array, saved)


def test_theta_and_layers_are_read_only_and_copied():
    weight, bias = np.ones((2, 2)), np.ones(2)
    model = ns.MLP([(weight, bias)])
    weight[0, 0] = 5.0
    assert model.layers[0].weight[0, 0] == 1.0
    theta = np.arange(6.0)
    moved = model.with_theta(theta)
    theta[:] = -1
    np.testing.assert_array_equal(moved.theta, np.arange(6.0))
    for array in (moved.theta, *moved.layers[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0
    with pytest.raises(AttributeError):
        model.theta = np.zeros(6)
    np.testing.assert_array_equal(model.theta, np.ones(6))


# ---- layout, construction, PyTorch -------------------------------------------------------------------


@given(seed=seeds, d=st.integers(1, 4), hidden=st.lists(st.integers(1, 6), max_size=4))
def test_theta_is_each_weight_in_row_major_order_then_its_bias(seed, d, hidden):
    model = network(np.random.default_rng(seed), d, hidden)
    np.testing.assert_array_equal(
        model.theta, np.concatenate([p.ravel("C") for l in model.layers for p in l])
    )
    vector = np.arange(model.theta.size)
    parts = model.unravel(vector)
    assert [(w.shape, b.shape) for w, b in parts] == [(w.shape, b.shape) for w, b in model.layers]
    np.testing.assert_array_equal(np.concatenate([p.ravel() for layer in parts for p in layer]), vector)
    again = type(model).from_config(model.config, model.with_theta(model.theta[::-1]).theta)
    np.testing.assert_array_equal(again.theta, model.theta[::-1])
    assert again.sizes == model.sizes == (d, *hidden, d) and again.config == model.config


def test_init_is_normal_with_variance_one_over_fan_in_and_reproducible():
    model = ns.MLP.init((50, 200, 50), rng=0)
    np.testing.assert_array_equal(model.theta, ns.MLP.init((50, 200, 50), rng=np.random.default_rng(0)).theta)
    assert not np.array_equal(model.theta, ns.MLP.init((50, 200, 50), rng=1).theta)
    for (weight, bias), fan_in in zip(model.layers, (50, 200)):
        scaled = np.concatenate([weight.ravel(), bias]) * np.sqrt(fan_in)
        error = np.sqrt(2 / scaled.size)  # of a variance estimate of N(0, 1)
        assert abs(scaled.var() - 1) < 4 * error and abs(scaled.mean()) < 4 / np.sqrt(scaled.size)
        assert bias.std() > 0
    single = ns.MLP.init((3, 4, 3), rng=0, dtype=np.float32)
    np.testing.assert_array_equal(single.theta, ns.MLP.init((3, 4, 3), rng=0).theta.astype(np.float32))


@pytest.mark.parametrize("prefix", ["", "net."])
def test_a_state_dict_gives_what_pytorch_computes(prefix):
    rng = np.random.default_rng(7)
    W0, b0, W2, b2, W4, b4 = (rng.standard_normal(s) for s in [(5, 3), 5, (4, 5), 4, (3, 4), 3])
    names = ("4.weight", "0.bias", "0.weight", "2.weight", "4.bias", "2.bias")  # any order
    state = dict(zip([prefix + name for name in names], (W4, b0, W0, W2, b4, b2)))
    model = ns.MLP.from_state_dict(state, "tanh", prefix=prefix)
    x = rng.standard_normal((7, 3))
    expected = np.tanh(np.tanh(x @ W0.T + b0) @ W2.T + b2) @ W4.T + b4
    np.testing.assert_allclose(model.score(x), expected, rtol=1e-13)
    back = model.to_state_dict(prefix)
    assert back.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(back[name], value)
        assert back[name].flags.writeable and not np.shares_memory(back[name], model.theta)


def test_layers_of_a_state_dict_come_in_numerical_order():
    state = ns.MLP.init((2, *[3] * 6, 2), rng=0).to_state_dict()
    assert "12.weight" in state and sorted(state)[2] == "10.bias"  # as text, 10 would come before 2
    np.testing.assert_array_equal(
        ns.MLP.from_state_dict(state).theta, ns.MLP.init((2, *[3] * 6, 2), rng=0).theta
    )


def test_a_model_shows_what_it_is():
    assert repr(ns.MLP.init((2, 64, 64, 2), rng=0)) == "MLP(2-64-64-2, tanh, 4,482 parameters, float64)"
    assert repr(ns.LinearScore([[1.0]], [0.0])) == "LinearScore(d=1, float64)"


def test_a_pullback_does_not_see_what_becomes_of_its_inputs_afterwards():
    case = make_case(5, d=3, hidden=(4,), n=6, m=2)
    ds, dq = np.ones((6, 3)), np.ones((2, 6))
    for primitive, inputs, cotangents in (
        (case.model.score_vjp, (case.x,), (ds,)),
        (case.model.divergence_vjp, (case.x,), (ds, dq[0])),
        (case.model.quadratic_form_vjp, (case.x, case.v), (ds, dq)),
    ):
        expected = primitive(*inputs)[-1](*cotangents)
        reused = [a.copy() for a in inputs]
        pullback = primitive(*reused)[-1]
        for a in reused:
            a[...] = 0.0
        np.testing.assert_array_equal(pullback(*cotangents), expected)


@pytest.mark.parametrize(
    "copied", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy, copy.copy]
)
def test_a_pickled_model_is_the_model_and_holds_theta_once(copied):
    model = ns.MLP.init((3, 40, 30, 3), activation="softplus(beta=2)", rng=0)
    assert len(pickle.dumps(model)) < model.theta.nbytes + 2000
    other, x = copied(model), np.random.default_rng(1).standard_normal((5, 3))
    np.testing.assert_array_equal(ns.ism(other, x).grad, ns.ism(model, x).grad)
    assert not other.theta.flags.writeable
    assert all(np.shares_memory(part, other.theta) for layer in other.layers for part in layer)


def test_a_model_from_a_network_buffer_gives_the_same_bits():
    """Dask hands buffers on that begin at any byte, and of such arrays NumPy multiplies copies in another order."""
    model, x = ns.MLP.init((2, 16, 16, 2), rng=0), np.random.default_rng(1).standard_normal((1500, 2))
    assert not moved(model.theta).flags.aligned and moved(model).theta.flags.aligned
    np.testing.assert_array_equal(moved(model).score(x), model.score(x))
    np.testing.assert_array_equal(ns.ism(moved(model), x).grad, ns.ism(model, x).grad)


@pytest.mark.parametrize("method", ["score", "divergence", "score_and_divergence", "jacobian", "score_vjp"])
def test_values_beyond_the_range_are_one_error_that_names_the_argument(method):
    model = ns.MLP([(np.full((2, 2), 1e200), np.zeros(2)), (np.full((2, 2), 1e200), np.zeros(2))], "softplus")
    with pytest.raises(
        ValueError, match=r"^x and the parameters must be of sizes at which .* in float64, got x up to 1$"
    ):
        getattr(model, method)(np.ones((3, 2)))


def test_values_beyond_the_range_name_probes_and_conditions_too():
    model = ns.MLP([(np.full((2, 3), 9.0), np.zeros(2))], "tanh", condition=1)
    with pytest.raises(
        ValueError, match=r"^x, cond and the parameters must be of sizes .* x up to 1, cond up to 1e\+308$"
    ):
        model.score(np.ones((1, 2)), [1e308])
    with pytest.raises(
        ValueError, match=r"^x, v, cond and the parameters must be of sizes .* v up to 1e\+300"
    ):
        model.quadratic_form_vjp(np.ones((1, 2)), np.full((1, 2), 1e300), [0.0])
