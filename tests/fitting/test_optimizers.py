"""Adam, its schedule, its clipping and its average, against the formulas on paper, one number at a time."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import seeds

from npscore.fitting.optimizers import adam_init, adam_step, clip_by_norm, ema_update, learning_rate_at

TYPES = (np.float32, np.float64, np.longdouble)


def reference_adam(theta, gradients, rates, decay=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Kingma and Ba 2015, algorithm 1, for one parameter; the decay of Loshchilov and Hutter 2019, algorithm 2."""
    m = v = 0.0
    for t, (g, rate) in enumerate(zip(gradients, rates), start=1):
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * g**2
        m_hat = m / (1.0 - math.pow(beta1, t))
        v_hat = v / (1.0 - math.pow(beta2, t))
        theta = theta - rate * (m_hat / (math.sqrt(v_hat) + epsilon) + decay * theta)
    return theta


def run_adam(theta, gradients, rates, **settings):
    """All steps; gradients are (steps, p)."""
    state = adam_init(theta)
    for g, rate in zip(gradients, rates):
        theta, state = adam_step(state, theta, g, rate, **settings)
    return theta


@given(
    seeds, st.integers(1, 5), st.integers(1, 40), st.sampled_from([0.0, 0.1]), st.sampled_from([1e-8, 1e-2])
)
def test_adam_is_the_published_algorithm_parameter_by_parameter(seed, p, steps, decay, epsilon):
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(p)
    gradients = rng.standard_normal((steps, p)) * 10.0 ** rng.uniform(-3, 3, p)
    rates = rng.uniform(0.0, 0.3, steps)
    settings = {"beta1": 0.8, "beta2": 0.95, "epsilon": epsilon}
    got = run_adam(theta, gradients, rates, weight_decay=decay, **settings)
    want = [reference_adam(theta[i], gradients[:, i], rates, decay, **settings) for i in range(p)]
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)  # eq-9.8


def test_adams_defaults_are_the_papers():
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((30, 1))
    got = run_adam(np.array([0.5]), gradients, [1e-3] * 30)
    np.testing.assert_allclose(got, reference_adam(0.5, gradients[:, 0], [1e-3] * 30), rtol=1e-15)


def test_the_first_step_is_the_rate_whatever_the_gradient():
    g = np.array([1e-3, -1.0, 1e6, 0.0])
    theta, state = adam_step(adam_init(g), np.zeros(4), g, 0.1)
    np.testing.assert_allclose(theta, -0.1 * g / (np.abs(g) + 1e-8), rtol=1e-14)  # m̂ = g, √v̂ = |g|
    assert state.t == 1


@given(seeds, st.integers(-60, 60))
def test_without_epsilon_the_scale_of_the_gradient_does_not_matter(seed, power):
    gradients = np.random.default_rng(seed).standard_normal((9, 3))
    steps = [
        run_adam(np.ones(3), g, [0.1] * 9, epsilon=0.0) for g in (gradients, gradients * 2.0 ** (2 * power))
    ]
    np.testing.assert_array_equal(*steps)


def test_weight_decay_is_decoupled_it_neither_enters_the_memory_nor_is_divided_by_it():
    theta = np.array([2.0, -3.0])
    after, state = adam_step(adam_init(theta), theta, np.zeros(2), 0.1, weight_decay=0.5)
    np.testing.assert_allclose(after, theta * (1 - 0.1 * 0.5), rtol=1e-15)
    assert not state.m.any() and not state.v.any()
    coupled, _ = adam_step(adam_init(theta), theta, 0.5 * theta, 0.1)  # the variant it must not be
    assert np.abs(coupled - after).max() > 0.04


@pytest.mark.parametrize("dtype", TYPES)
def test_steps_keep_the_floating_type_and_write_to_nothing(dtype):
    arrays = [np.array([1.0, -2.0], dtype) for _ in range(4)]
    for array in arrays:
        array.setflags(write=False)
    theta, g, m, v = arrays
    state = adam_init(theta)
    assert state.m.dtype == state.v.dtype == dtype
    state = state._replace(t=3, m=m, v=np.abs(v))
    results = [
        *adam_step(state, theta, g, 0.1, weight_decay=0.1),
        clip_by_norm(g, 0.5),
        ema_update(theta, g, 0.99, 4),
    ]
    results[1:2] = results[1][1:]
    for result in results:
        assert result.dtype == dtype
        assert not any(np.shares_memory(result, array) for array in arrays)


@given(seeds, st.integers(1, 6), st.floats(1e-3, 1e3))
def test_clipping_shortens_what_is_longer_and_never_turns_it(seed, p, max_norm):
    g = np.random.default_rng(seed).standard_normal(p)
    norm = math.sqrt(math.fsum(float(a) ** 2 for a in g))
    clipped = clip_by_norm(g, max_norm)
    np.testing.assert_allclose(clipped, g * min(1.0, max_norm / norm), rtol=1e-14)


def test_clipping_leaves_what_is_just_long_enough_and_zero_alone():
    g = np.array([3.0, 4.0])
    np.testing.assert_array_equal(clip_by_norm(g, 5.0), g)
    np.testing.assert_array_equal(clip_by_norm(np.zeros(2), 1e-3), np.zeros(2))


@given(st.integers(1, 500), st.floats(1e-6, 10.0))
def test_the_cosine_starts_at_the_base_ends_at_zero_and_is_half_way_in_the_middle(steps, base):
    rates = [learning_rate_at(step, steps, base, "cosine") for step in range(steps + 1)]
    assert rates[0] == base
    assert rates[-1] == 0.0
    assert all(a > b for a, b in zip(rates, rates[1:]))
    np.testing.assert_allclose(np.add(rates, rates[::-1]), base, rtol=1e-14)  # half-turn symmetry
    for step in range(0, steps + 1, max(1, steps // 7)):
        half_angle = base * math.cos(math.pi * step / (2 * steps)) ** 2
        assert rates[step] == pytest.approx(half_angle, rel=1e-12, abs=1e-16 * base)  # eq-9.9


def test_a_constant_rate_is_constant():
    assert {learning_rate_at(step, 7, 0.3, "constant") for step in range(8)} == {0.3}


@given(st.integers(1, 60))
def test_in_the_warm_up_the_start_is_forgotten_as_a_product_of_ratios(steps):
    """∏ (1+t)/(10+t), t = 1 … T, telescopes to 10! (T+1)! / (T+10)!."""
    average = np.array([1.0])
    for t in range(1, steps + 1):
        average = ema_update(average, np.zeros(1), 0.999, t)
    factorial = math.factorial
    expected = Fraction(factorial(10) * factorial(steps + 1), factorial(steps + 10))
    assert average[0] == pytest.approx(float(expected), rel=1e-13)  # eq-9.10


def test_after_the_warm_up_the_decay_is_what_was_asked():
    last = next(t for t in range(1, 10**4) if (1 + t) / (10 + t) >= 0.99)
    for t, decay in ((last - 1, last / (9 + last)), (last, 0.99), (10 * last, 0.99)):
        assert ema_update(np.array([1.0]), np.zeros(1), 0.99, t)[0] == decay


def test_the_average_of_a_standstill_is_where_it_stands():
    theta = np.array([1.5, -2.0])
    average = theta
    for t in range(1, 30):
        average = ema_update(average, theta, 0.9, t)
    np.testing.assert_allclose(average, theta, rtol=1e-14)
