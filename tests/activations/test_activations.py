"""Activations: every order and dtype against the decimal oracle, complex steps, and what `get` accepts."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle_activations as oracle

from npscore import activations
from npscore.activations import NAMES, Activation, get, softplus

REAL = (np.float32, np.float64, np.longdouble)
COMPLEX = (np.complex64, np.complex128, np.clongdouble)
# Allowed error in eps of the dtype, relative: about twice what was measured over some thousand points.
BOUND = 6.0
STEP_BOUND = 10.0

# φ′ is about e^{−700} here in float64 and longdouble, and the smallest float in float32 (softplus: β z).
TAIL = {"tanh": 370.0, "softplus": 740.0, "sigmoid": 740.0, "silu": 740.0, "gelu": 38.0, "erf": 26.8}
TAIL32 = {"tanh": 51.0, "softplus": 103.0, "sigmoid": 103.0, "silu": 103.0, "gelu": 14.3, "erf": 10.1}
# As far out as h φ′ is still a normal float for the complex step's h = 1e-20.
STEP_TAIL = {"tanh": 300.0, "softplus": 600.0, "sigmoid": 600.0, "silu": 600.0, "gelu": 30.0, "erf": 21.0}
ROOTS = (
    0.5,
    math.sqrt(0.5),
    0.65847894846,
    0.7517915247,
    1.2784645428,
    1.3169578969,
    1.4142135624,
    2.3993572805,
)


@cache
def points(name: str, dtype: type) -> np.ndarray:
    """Both signs: tiny, O(1), near the zeros of the derivatives, and to the end of the tail; all digits used."""
    rng = np.random.default_rng(NAMES.index(name))
    tail = (TAIL32 if dtype is np.float32 else TAIL).get(name, 1e9)
    size = np.concatenate(
        [
            10.0 ** rng.uniform(-18, -2, 4),
            rng.uniform(0.0, 7.0, 12),
            np.array(ROOTS) * (1 + 1e-4 * rng.normal(size=len(ROOTS))),
            np.exp(rng.uniform(0.0, math.log(tail), 8)),
            rng.uniform(0.6, 1.0, 4) * tail,
        ]
    )
    z = (size * rng.choice([-1.0, 1.0], size.size)).astype(dtype)
    if dtype is np.longdouble:
        z *= 1 + rng.uniform(size=z.size) * np.longdouble(2.0) ** -53
    return np.append(z, dtype(0.0))


def worst(name: str, order: int, z: np.ndarray, computed: np.ndarray, beta: float = 1.0) -> float:
    return oracle.largest_error(name, order, z, np.ascontiguousarray(computed), beta)


# --- accuracy ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("name", NAMES)
def test_every_order_is_accurate_to_a_few_ulp_tails_included(name, dtype):
    z = points(name, dtype)
    for order, computed in enumerate(get(name).jet(z, 3)):
        assert computed.dtype == dtype
        assert worst(name, order, z, computed) < BOUND


@settings(deadline=None, max_examples=15)
@given(
    beta=st.floats(1e-3, 1e3),
    fractions=st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3),
    dtype=st.sampled_from(REAL),
)
def test_softplus_is_accurate_at_every_beta(beta, fractions, dtype):
    z = (np.array(fractions) * (TAIL32 if dtype is np.float32 else TAIL)["softplus"] / beta).astype(dtype)
    z = z[np.abs(z) > 1e-10 / beta]
    for order, computed in enumerate(softplus(beta).jet(z, 3)):
        assert worst("softplus", order, z, computed, beta) < BOUND


@pytest.mark.skipif(np.finfo(np.longdouble).maxexp < 2000, reason="longdouble has float64's range here")
@pytest.mark.parametrize("beta", [1.0, 2.7])
@pytest.mark.parametrize(
    ("dtype", "powers"),
    [
        (np.float32, (-300, -140, -100, -60, 9, 13, 60, 90, 115, 127, 300)),
        (np.float64, (-1022, -1000, -400, 9, 13, 400, 990, 1022)),
        (np.complex64, (-110, 110)),
        (np.complex128, (-1000, 1000)),
    ],
)
def test_softplus_at_any_power_of_two_of_beta_is_the_same_function_rescaled(dtype, powers, beta):
    """φ_{cβ}(z) = φ_β(cz)/c, and its derivatives with c⁰, c, c²: exact for c = 2^k, to the ends of every range."""
    real = np.finfo(dtype).dtype.type
    info, a = np.finfo(dtype), np.array([-200, -80, -3, -1, -0.1, 0, 0.1, 1, 3, 50, 200], np.longdouble)
    for k in powers:
        with np.errstate(over="ignore", under="ignore"):
            z = np.ldexp(a, -k).astype(real)
            z = z[np.isfinite(z) & ((np.abs(z) > info.tiny) | (z == 0))]
            jet = softplus(math.ldexp(beta, k)).jet(z.astype(dtype), 3)
            exact = softplus(beta).jet(np.ldexp(z.astype(np.longdouble), k), 3)
            for value, reference, power in zip(jet, exact, (-k, 0, k, 2 * k)):
                expected = np.ldexp(reference, power).astype(real)
                atol = 4.0 ** min(max(k, 0), 13) * info.smallest_subnormal  # e^{−βa} may be subnormal
                np.testing.assert_allclose(value.real, expected, rtol=BOUND * info.eps, atol=atol)
        assert z.size > 0


@pytest.mark.parametrize("z", [1e22, -1e300])
def test_sin_of_huge_arguments(z):
    for order, computed in enumerate(get("sin").jet(np.array([z]), 3)):
        assert worst("sin", order, np.array([z]), computed) < BOUND


@pytest.mark.parametrize("size", [1e20, 1e60, 1e70, 1e100])
def test_isru_has_algebraic_tails(size):
    z = np.array([-size, size])
    for order, computed in enumerate(get("isru").jet(z, 3)):
        assert worst("isru", order, z, computed) < BOUND


def test_the_classic_tails():
    assert get("tanh").jet(20.0, 1)[1] == pytest.approx(1.6993417021166355e-17, rel=1e-15)
    assert get("gelu")(-20.0) == pytest.approx(-5.507248237212467e-88, rel=1e-15)
    assert get("erf").jet(26.0, 1)[1] == pytest.approx(4.223631255823394e-294, rel=1e-15)


# --- the checker catches wrong rules ----------------------------------------------------------------------


def _unsplit_gauss(z):
    return np.exp(-z * z) * (2 / math.sqrt(math.pi))


def _textbook_gelu(z):
    return 0.5 * z * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))


WRONG = {
    "a factor 2.001": ("tanh", 2, lambda z: -2.001 * np.tanh(z) / np.cosh(z) ** 2),
    "a lost sign": ("sin", 2, np.sin),
    "1 − t² in the tail": ("tanh", 1, lambda z: 1 - np.tanh(z) ** 2),
    "1 − 2σ near 0": ("sigmoid", 2, lambda z: get("sigmoid").jet(z, 1)[1] * (1 - 2 / (1 + np.exp(-z)))),
    "the exponent of a rounded square": ("erf", 1, _unsplit_gauss),
    "1 + erf in the left tail": ("gelu", 0, _textbook_gelu),
    "σ″ forgotten": ("silu", 3, lambda z: z * get("sigmoid").jet(z, 3)[3]),
    "tanh for erf in gelu": (
        "gelu",
        0,
        lambda z: 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    ),
    "log(1 + e^z)": ("softplus", 0, lambda z: np.log(1 + np.exp(z))),
    "r⁵ before z": ("isru", 2, lambda z: -2.9999999999999 * z * (1 + z * z) ** -2.5),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_the_checker_rejects(mistake):
    name, order, wrong = WRONG[mistake]
    z = points(name, np.float64)
    z = z[np.abs(z) < 300.0]
    assert worst(name, order, z, wrong(z)) > 2 * BOUND


def test_the_checker_rejects_double_precision_in_a_longdouble():
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("longdouble is float64 here")
    z = points("erf", np.longdouble)
    assert worst("erf", 0, z, get("erf")(z.astype(np.float64)).astype(np.longdouble)) > 2 * BOUND


def test_the_checker_rejects_a_rounded_beta_z():
    z = -np.linspace(100.0, 200.0, 7)
    assert worst("softplus", 0, z, np.log1p(np.exp(2.7 * z)) / 2.7, beta=2.7) > 2 * BOUND


# --- complex arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("name", NAMES)
def test_the_complex_step_through_each_order_gives_the_next(name, dtype):
    real = np.finfo(dtype).dtype.type
    x = points(name, real)
    tail = min(STEP_TAIL.get(name, 1e3), 5.0 if real is np.float32 else np.inf)
    x = x[(np.abs(x) > 0.25) & (np.abs(x) < tail)]  # nearer 0 an even φ⁽ᵏ⁾ has no digits of its slope left
    h = real(1e-20)
    z = x.astype(dtype)
    z.imag = h
    jet = get(name).jet(z, 3)
    for order, value in enumerate(jet):
        assert value.dtype == dtype
        assert worst(name, order, x, value.real) < STEP_BOUND
        if order < 3:
            assert worst(name, order + 1, x, value.imag / h) < STEP_BOUND


@pytest.mark.parametrize("h", [1e-20, 1e-100, 1e-200])
@pytest.mark.parametrize("name", NAMES)
def test_the_size_of_the_step_does_not_matter(name, h):
    x = np.array([-3.1, -0.6, 0.3, 2.2])
    for order in range(3):
        value = get(name).jet(x + 1j * h, order)[order]
        assert worst(name, order + 1, x, value.imag / h) < STEP_BOUND


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("name", NAMES)
def test_the_complex_step_at_either_zero(name, zero):
    z = np.array([complex(zero, 1e-20)])
    expected = [float(value) for value in oracle.jet(name, oracle.exact(np.float64(0.0)))]
    for order, value in enumerate(get(name).jet(z, 3)):
        assert value.real[0] == pytest.approx(expected[order], rel=1e-15, abs=1e-30)
        assert value.imag[0] / 1e-20 == pytest.approx(expected[order + 1], rel=1e-15, abs=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_the_continuation_is_analytic_and_not_a_first_order_rule(name):
    x, y = np.array([-5.3, -2.4, -0.55, -0.1, 0.2, 0.45, 1.3, 4.0]), 3e-5
    for value, point in zip(get(name)(x + 1j * y), x):
        jet = oracle.jet(name, oracle.exact(np.float64(point)))
        terms = [(1j * y) ** k / math.factorial(k) * complex(jet[k]) for k in range(5)]
        assert abs(value.real - sum(terms).real) <= 1e-15 * sum(abs(term.real) for term in terms)
        assert abs(value.imag - sum(terms).imag) <= 2e-15 * sum(abs(term.imag) for term in terms)


# --- range, dtype, memory ---------------------------------------------------------------------------------

UNIT = {"tanh": 1.0, "erf": 1.0, "isru": 1.0}


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("sin", "square", "cube")])
def test_no_finite_argument_is_too_large(name, dtype):
    info = np.finfo(dtype)
    big = np.array([info.max, info.max / 3, info.max**0.5, 1e30], dtype=info.dtype)
    up = np.ones_like(big)
    with np.errstate(all="raise"):
        right, left = get(name).jet(big.astype(dtype), 3), get(name).jet(-big.astype(dtype), 3)
    if name in UNIT:
        expected = (up, 0 * up), (-up, 0 * up)
    elif name == "sigmoid":
        expected = (up, 0 * up), (0 * up, 0 * up)
    elif name == "identity":
        expected = (big, up), (-big, up)
    else:
        expected = (big, up), (0 * up, 0 * up)
    tiny = 1e-60 if name == "isru" else 0.0  # |z|⁻³ is no underflow yet at 1e30
    for jet, limits in zip((right, left), expected):
        for value, limit in zip(jet, (*limits, 0 * up, 0 * up)):
            np.testing.assert_allclose(value, limit, rtol=2 * info.eps, atol=tiny)


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_warns_from_the_smallest_to_a_large_argument(name, dtype):
    info = np.finfo(dtype)
    size = np.array([0.0, info.smallest_subnormal, info.tiny, 1e-6, 0.3, 1.0, 9.0, 30.0, 800.0, 1e5, 1e12])
    z = np.concatenate([size, -size]).astype(dtype)
    with np.errstate(all="raise"):
        for value in get(name).jet(z, 3):
            assert np.isfinite(value).all()


@pytest.mark.parametrize("name", ["square", "cube"])
def test_an_honest_overflow_is_reported(name):
    with pytest.warns(RuntimeWarning, match="overflow"):
        assert np.isinf(get(name)(1e300))


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
@pytest.mark.parametrize("name", NAMES)
def test_dtype_shape_and_memory(name, dtype):
    rng = np.random.default_rng(0)
    base = np.asfortranarray(rng.normal(size=(4, 6)).astype(dtype))
    for z in (base, base[::2, 1:], base[:0], base[0], np.array(base[1, 2])):
        z.flags.writeable = False
        before = z.copy()
        whole = get(name).jet(z, 3)
        for order in range(4):
            jet = get(name).jet(z, order)
            assert len(jet) == order + 1
            for value, same in zip(jet, whole):
                assert value.dtype == dtype and value.shape == z.shape and value.flags.writeable
                np.testing.assert_array_equal(value, same)
        arrays = (z, *whole)
        for i, one in enumerate(arrays):
            assert not any(np.shares_memory(one, other) for other in arrays[i + 1 :])
        np.testing.assert_array_equal(z, before)
        np.testing.assert_array_equal(get(name)(z), whole[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("name", NAMES)
def test_a_long_array_is_the_same_elements_worked_on_in_blocks(name, dtype):
    z = np.random.default_rng(1).normal(size=(3, activations.functions._BLOCK - 5)).astype(dtype)
    for whole, *parts in zip(get(name).jet(z, 3), *(get(name).jet(row, 3) for row in z)):
        np.testing.assert_allclose(whole, np.stack(parts), rtol=4 * np.finfo(dtype).eps)


def test_integers_and_half_precision_become_float64():
    for z in (3, [1, 2], np.arange(3, dtype=np.int8), np.ones(2, np.float16)):
        assert get("tanh")(z).dtype == np.float64
        np.testing.assert_array_equal(get("tanh")(z), np.tanh(np.asarray(z, dtype=np.float64)))


RAMPS = ("softplus", "silu", "gelu")  # z/2 and something even: φ(z) − φ(−z) = z
EVEN = (*RAMPS, "square")  # the others are odd, sigmoid but for its ½


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), name=st.sampled_from(NAMES))
def test_the_symmetry_of_each(seed, n, name):
    z = np.random.default_rng(seed).normal(size=n) * 5
    right, left = get(name).jet(z, 3), get(name).jet(-z, 3)
    parity = 1 if name in EVEN else -1
    value = parity * right[0] + (1.0 if name == "sigmoid" else -z if name in RAMPS else 0.0)
    slope = -parity * right[1] + (1.0 if name in RAMPS else 0.0)
    np.testing.assert_allclose(left[0], value, rtol=1e-15, atol=4e-16 * (1 + np.abs(z).max()))
    np.testing.assert_allclose(left[1], slope, rtol=1e-15, atol=4e-16)
    np.testing.assert_array_equal(left[2], parity * right[2])
    np.testing.assert_array_equal(left[3], -parity * right[3])


def test_neither_scipy_nor_anything_else_is_needed():
    code = (
        "import sys; sys.modules['scipy'] = None\n"
        "from npscore.activations import NAMES, get\n"
        "print(all(get(name).jet(0.5, 3) for name in NAMES))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("True", "")


# --- names, specs, refusals -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(beta=st.floats(min_value=0.0, exclude_min=True, allow_infinity=False))
def test_a_spec_round_trips_through_text(beta):
    activation = softplus(beta)
    again = get(json.loads(json.dumps(activation.spec())))
    assert again == activation and hash(again) == hash(activation)
    assert dict(again.params) == {"beta": beta}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_spec(name):
    activation = get(name)
    assert activation.name == name
    assert get(activation.spec()) == activation and get(activation) is activation
    assert pickle.loads(pickle.dumps(activation)) == activation
    assert activation == Activation(name) and activation != get("cube" if name != "cube" else "sin")


@pytest.mark.parametrize(
    "spec", ["tanh" + " " * 10**6 + "x", "tanh(" + " " * 10**6, " " * 10**6, "tanh" + " " * 10**6]
)
def test_a_long_spec_is_read_in_one_pass(spec):
    """A pattern that tried every way to share the spaces out would take hours."""
    if spec.strip() == "tanh":
        assert get(spec) == get("tanh")
    else:
        with pytest.raises(ValueError, match="activation must be one of tanh"):
            get(spec)


def test_specs_are_read_leniently_and_written_canonically():
    assert get(" Softplus ( beta = 2 ) ").spec() == "softplus(beta=2.0)"
    assert get("softplus").spec() == get("softplus()").spec() == softplus().spec() == "softplus(beta=1.0)"
    assert get("TANH").spec() == get("tanh()").spec() == "tanh"
    assert softplus(2) == get("softplus(beta=2)") != softplus(3)
    assert len({softplus(2), softplus(2.0), get("tanh"), get("tanh")}) == 2


# For each, what its message must say beside the name: the derivative that jumps, and where.
REFUSED = {
    "relu": "φ′ jumps at 0, so ŝ is not differentiable.*φ″ = 0 almost everywhere.*trace term is wrong",
    "ReLU": "φ′ jumps at 0",
    "leaky_relu": "φ″ = 0 almost everywhere",
    "LeakyReLU": "φ″ = 0 almost everywhere",
    "leaky-relu": "φ″ = 0 almost everywhere",
    "leaky_relu(0.1)": "φ″ = 0 almost everywhere",
    "prelu": "φ″ = 0 almost everywhere",
    "rrelu": "φ″ = 0 almost everywhere",
    "abs": "φ″ = 0 almost everywhere",
    "relu6": "φ′ jumps at 0 and at 6",
    "hardtanh": "φ′ jumps at both ends.*tanh, erf, isru or sigmoid",
    "hardsigmoid": "φ′ jumps at both ends",
    "hardswish": "φ′ jumps at −3 and at 3",
    "softshrink": "φ′ jumps at both ends",
    "hardshrink": "φ itself jumps",
    "threshold": "φ itself jumps",
    "step": "φ itself jumps at 0",
    "elu": "φ″ jumps at 0 .*for any other α already φ′ does",
    "celu": "φ″ jumps at 0 .*φ′ is continuous for every α",
    "selu": "φ′ jumps at 0 .*1.76 to λ = 1.05",
    "softsign": "φ″ jumps at 0 .*from 2 to −2",
}


@pytest.mark.parametrize("name", REFUSED)
def test_relu_and_its_kin_are_refused_with_the_reason(name):
    with pytest.raises(ValueError, match=f"is refused: .*{REFUSED[name]}") as caught:
        get(name)
    assert "smooth" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mish", "", "tan h", "tanh(", "softplus)", "softplus(2)(3)", "tanh′"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=r"activation must be one of tanh, softplus, .*, cube, got"):
        get(name)


@pytest.mark.parametrize("value", [None, 3, np.tanh, ["tanh"], b"tanh", Activation])
def test_what_is_no_name_is_a_type_error(value):
    with pytest.raises(TypeError, match="activation must be a name, a spec or an Activation, got"):
        get(value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: softplus(0.0), ValueError, r"beta must be a finite number > 0, got 0\.0"),
        (lambda: softplus(-1), ValueError, "beta must be a finite number > 0, got -1"),
        (lambda: softplus(math.inf), ValueError, "beta must be a finite number > 0, got inf"),
        (lambda: softplus(math.nan), ValueError, "beta must be a finite number > 0, got nan"),
        (lambda: softplus("2"), TypeError, "beta must be a finite number > 0, got str"),
        (lambda: softplus(True), TypeError, "beta must be a finite number > 0, got bool"),
        (lambda: get("softplus(beta=0)"), ValueError, "beta must be a finite number > 0"),
        (lambda: get("softplus(beta=two)"), ValueError, "of the form softplus"),
        (lambda: get("softplus(2)"), ValueError, "of the form softplus"),
        (lambda: get("softplus(gamma=2)"), ValueError, "activation softplus takes beta, got 'gamma'"),
        (lambda: get("softplus(beta=1, beta=2)"), ValueError, "activation must give beta once"),
        (lambda: get("tanh(beta=2)"), ValueError, "activation tanh takes no parameters, got 'beta'"),
        (lambda: Activation("mish"), ValueError, "activation must be one of"),
        (lambda: get("tanh").jet(0.0, 4), ValueError, "order must be a whole number from 0 to 3, got 4"),
        (lambda: get("tanh").jet(0.0, -1), ValueError, "order must be a whole number >= 0, got -1"),
        (lambda: get("tanh").jet(0.0, 1.0), TypeError, "order must be a whole number"),
        (lambda: get("tanh")("1"), TypeError, "z must hold real numbers"),
        (lambda: get("tanh")([[1.0], [1.0, 2.0]]), TypeError, "z must be a rectangular array"),
        (lambda: get("tanh")([None]), TypeError, "z must hold real numbers"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
