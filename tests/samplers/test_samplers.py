"""A run is the iterated pure step, bit for bit, whatever is recorded and reported."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sampler_runs import DTYPES, both, curved, iterate, langevin, start
from support.strategies import seeds

import npscore as ns
from npscore.samplers import gradient_ascent_step

# The pure steps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_steps_are_their_formulas_in_the_type_of_x(dtype):
    x, z, a = start(0, dtype=dtype), start(1, dtype=dtype), dtype(0.25)
    after = ns.langevin_step(curved, x, 0.25, z)
    np.testing.assert_array_equal(after, x + a * curved(x) + np.sqrt(2 * a) * z)
    climbed = gradient_ascent_step(curved, x, 0.25)
    np.testing.assert_array_equal(climbed, x + a * curved(x))
    assert after.dtype == climbed.dtype == dtype


@given(seeds, st.integers(1, 4), st.floats(1e-3, 2.0))
def test_the_derivative_of_a_step_is_one_plus_alpha_times_the_jacobian(seed, d, step):
    x, z = start(seed, 4, d), start(seed + 1, 4, d)
    direction, h = start(seed + 2, 4, d), 1e-30
    jacobian_times = (1 - np.tanh(x[:, ::-1] - 0.5) ** 2) * direction[:, ::-1] - direction
    expected = direction + step * jacobian_times
    for after in (
        ns.langevin_step(curved, x + 1j * h * direction, step, z),
        gradient_ascent_step(curved, x + 1j * h * direction, step),
    ):
        np.testing.assert_allclose(after.imag / h, expected, rtol=1e-13, atol=1e-13)


def test_a_step_writes_to_nothing_and_returns_fresh_memory():
    x, z, s = start(0), start(1), start(2)
    for array in (x, z, s):
        array.flags.writeable = False
    for after in (ns.langevin_step(lambda _: s, x, 0.1, z), gradient_ascent_step(lambda _: s, x, 0.1)):
        assert not any(np.shares_memory(after, array) for array in (x, z, s))


# A run is the iterated step -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(seeds, st.integers(1, 6), st.integers(1, 4), st.integers(1, 8), st.floats(0.01, 0.5))
def test_langevin_is_the_iterated_step_bit_for_bit(dtype, seed, n, d, n_steps, step):
    x0 = start(seed, n, d, dtype)
    states = iterate(curved, x0, step, n_steps, seed)
    out = ns.langevin(curved, x0, step, n_steps, rng=seed, record_every=1)
    assert out.x.dtype == out.trajectory.dtype == states.dtype == dtype
    np.testing.assert_array_equal(out.trajectory, states)
    np.testing.assert_array_equal(out.x, states[-1])
    assert (out.n_steps, out.n_diverged, out.diverged.tolist()) == (n_steps, 0, [False] * n)


@given(st.data(), st.integers(1, 12))
def test_burn_in_and_thinning_pick_states_of_the_same_run(data, n_steps):
    burn_in = data.draw(st.integers(0, n_steps - 1))
    every = data.draw(st.integers(1, n_steps - burn_in))
    states, calls = iterate(curved, start(), 0.1, n_steps, 7), []
    out = ns.langevin(
        curved,
        start(),
        0.1,
        n_steps,
        rng=7,
        burn_in=burn_in,
        record_every=every,
        callback=lambda t, x: calls.append((t, x.copy())),
    )
    kept = [t for t in range(1, n_steps + 1) if t > burn_in and (t - burn_in) % every == 0]
    np.testing.assert_array_equal(out.trajectory, states[np.array(kept) - 1])
    np.testing.assert_array_equal(out.x, states[-1])
    assert [t for t, _ in calls] == list(range(1, n_steps + 1))
    np.testing.assert_array_equal([x for _, x in calls], states)


def test_a_seed_is_one_answer_and_another_seed_another():
    runs = [ns.langevin(curved, start(), 0.1, 9, rng=rng).x for rng in (3, 3, np.random.default_rng(3), 4)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    assert (runs[0] != runs[3]).all()
    assert (ns.langevin(curved, start(), 0.1, 9).x != ns.langevin(curved, start(), 0.1, 9).x).all()


def test_a_generator_moves_on_by_four_words_a_run():
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    runs = [ns.langevin(curved, start(), 0.1, 4, rng=rng).x for _ in range(2)]
    for x in runs:
        np.testing.assert_array_equal(x, iterate(curved, start(), 0.1, 4, same)[-1])
    assert rng.bit_generator.state == same.bit_generator.state
    assert (runs[0] != runs[1]).all()


@both
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_type_of_the_chains_is_kept_whatever_the_score_returns(run, dtype):
    x0 = start(n=200, dtype=dtype)
    for other in DTYPES:

        def score(x, other=other):
            return curved(x.astype(other))

        out = run(score, x0, 0.7, 1)
        step = iterate(score, x0, 0.7, 1, 0)[0] if run is langevin else gradient_ascent_step(score, x0, 0.7)
        np.testing.assert_array_equal(out.x, step)
        assert out.x.dtype == step.dtype == dtype
        assert run is langevin or out.score_norm.dtype == dtype


@both
def test_any_layout_of_x0_gives_the_same_chains(run):
    expected = run(curved, start()).x
    strided = np.repeat(start(), 2, axis=1)[:, ::2]
    for x0 in (np.asfortranarray(start()), strided, start().astype(">f8"), start().tolist()):
        out = run(curved, x0)
        np.testing.assert_array_equal(out.x, expected)
        assert out.x.dtype == np.float64 and out.x.dtype.isnative


@both
def test_whole_numbers_start_as_float64(run):
    whole = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(run(curved, whole).x, run(curved, whole.astype(float)).x)


class Tensor:
    """A foreign array, as a framework's tensor looks to NumPy."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)


def test_the_score_may_return_any_foreign_array():
    wrapped = ns.langevin(lambda x: Tensor(curved(x)), start(), 0.1, 5, rng=0)
    np.testing.assert_array_equal(wrapped.x, ns.langevin(curved, start(), 0.1, 5, rng=0).x)


# No array of the caller's is written to ----------------------------------------------------------------------------


@both
def test_neither_x0_nor_what_the_score_returned_is_written_to_or_returned(run):
    x0, returned = start(), []
    x0.flags.writeable = False

    def score(x):
        returned.append((s := curved(x), s.copy()))
        s.flags.writeable = False
        return s

    out = run(score, x0)
    np.testing.assert_array_equal(x0, start())
    for s, as_it_was in returned:
        np.testing.assert_array_equal(s, as_it_was)
        assert not np.shares_memory(out.x, s)
    assert not np.shares_memory(out.x, x0)


@both
def test_a_score_that_writes_over_its_argument_or_returns_it_changes_nothing(run):
    def overwrites(x):
        s = curved(x)
        x[:] = np.nan
        return s

    def in_place(x):
        x *= -0.5
        return x

    x0 = start()
    np.testing.assert_array_equal(run(overwrites, x0).x, run(curved, start()).x)
    np.testing.assert_array_equal(run(in_place, x0).x, run(lambda x: -0.5 * x, start()).x)
    np.testing.assert_array_equal(x0, start())


@both
def test_a_target_from_outside_that_works_in_place_changes_nothing(run):
    class InPlace(ns.targets.Gaussian):
        def _score(self, x):
            x -= self.mean
            x *= -1.0
            return x

    options = {"mean": np.full(3, 0.5), "cov": np.eye(3)}
    expected = run(ns.targets.Gaussian(**options).score, start()).x
    np.testing.assert_allclose(run(InPlace(**options).score, start()).x, expected, rtol=1e-13)


def test_a_score_that_works_in_place_leaves_the_x_of_a_step_alone():
    def in_place(x):
        x *= -0.5
        return x

    x, z = start(0), start(1)
    for step, noise in ((ns.langevin_step, (z,)), (gradient_ascent_step, ())):
        after = step(in_place, x, 0.1, *noise)
        np.testing.assert_array_equal(after, step(lambda x: -0.5 * x, x, 0.1, *noise))
        np.testing.assert_array_equal(x, start(0))


# Callbacks and progress -----------------------------------------------------------------------------------


@both
def test_the_callback_cannot_write_to_the_chains(run):
    def meddle(t, x):
        x[0] = 0.0

    with pytest.raises(ValueError, match="read-only"):
        run(curved, start(), callback=meddle)


@both
def test_an_interrupt_passes_through(run):
    def interrupt(t, x):
        if t == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(curved, start(), callback=interrupt)


def test_progress_is_quiet_in_a_pipe_and_one_line_where_asked_for(capsys):
    ns.langevin(curved, start(), 0.1, 12, rng=0)
    ns.gradient_ascent(curved, start(), 0.1, 12, progress=False)
    assert capsys.readouterr() == ("", "")
    ns.langevin(curved, start(), 0.1, 12, rng=0, progress=True)
    ns.gradient_ascent(curved, start(), 0.5, 12, tol=0, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 2
    assert "langevin  12/12\n" in err and "gradient ascent  12/12  0 of 5 converged" in err
