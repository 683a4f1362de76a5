"""Kinetic Langevin: each scheme is its letters, its law on a Gaussian is known at every step, and chains have it."""

import numpy as np
import pytest
from support.strategies import gaussian_parameters

import npscore as ns
from npscore import checks
from npscore.samplers import kinetic_law

MEAN, COV = gaussian_parameters(3, 3)
GAUSSIAN = ns.targets.Gaussian(MEAN, COV)
SCHEMES = ["BAOAB", "OBABO", "ABOBA", "OABAO", "BAOA", "OAB", "ABO", "BAB", "AABOOBA"]
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


def curved(x):
    return np.tanh(x[:, ::-1] - 0.5) - x


def letter_by_letter(score, x, p, h, friction, z, scheme):
    """The word spelled out."""
    k = 0
    for letter in scheme:
        t = h / scheme.count(letter)
        if letter == "A":
            x = x + t * p
        elif letter == "B":
            p = p + t * score(x)
        else:
            c = np.exp(-friction * t)
            p = c * p + np.sqrt(1 - c * c) * z[k]
            k += 1
    return x, p


def phase(seed=0, n=6, d=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((n, d)), rng


@every_scheme
@pytest.mark.parametrize("friction", [0.0, 0.7, 30.0])
def test_a_step_is_its_letters_in_turn(scheme, friction):
    x, p, rng = phase()
    z = rng.standard_normal((scheme.count("O"), 6, 3))
    got = ns.kinetic_step(curved, x, p, 0.6, friction, z, scheme)
    expected = letter_by_letter(curved, x, p, 0.6, friction, z, scheme)  # eq-16.10
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)


def test_baoab_is_what_a_step_is_by_default():
    x, p, rng = phase()
    z = rng.standard_normal((1, 6, 3))
    np.testing.assert_array_equal(
        ns.kinetic_step(curved, x, p, 0.3, 1.0, z), ns.kinetic_step(curved, x, p, 0.3, 1.0, z, "BAOAB")
    )


@every_scheme
def test_a_step_shrinks_volume_by_its_friction_alone(scheme):
    """|det ∂(x', p')/∂(x, p)| = exp(−γhd): drifts and kicks keep volume, whatever the score is."""
    x, p, rng = phase()
    z = rng.standard_normal((scheme.count("O"), 6, 3))

    def flow(state):
        return np.hstack(ns.kinetic_step(curved, *np.split(state, 2, axis=1), 0.6, 0.8, z, scheme))

    jacobian = checks.complex_step_jacobian(flow, np.hstack([x, p]))
    expected = np.exp(-0.8 * 0.6 * 3) if "O" in scheme else 1.0
    np.testing.assert_allclose(np.linalg.det(jacobian), expected, rtol=1e-12)


def test_without_noise_a_step_runs_back_when_the_momenta_are_turned_round():
    x, p, _ = phase()
    none = np.empty((0, 6, 3))
    y, q = ns.kinetic_step(curved, x, p, 0.6, 0.0, none, "BAB")
    back, turned = ns.kinetic_step(curved, y, -q, 0.6, 0.0, none, "BAB")
    np.testing.assert_allclose([back, -turned], [x, p], rtol=1e-13, atol=1e-13)


# The law --------------------------------------------------------------------------------------------------


def start_law(d=3, seed=4):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((2 * d, 2 * d))
    return rng.standard_normal(2 * d), root @ root.T / (2 * d)


def measured_map(h, friction, scheme, d=3):
    """What one step of the sampler's own code does to (x − μ, p) and to z: matrices M (2d, 2d) and N (2d, kd)."""
    k = scheme.count("O")

    def step(state, z):
        x, p = state[:, :d] + MEAN, state[:, d:]
        x, p = ns.kinetic_step(GAUSSIAN.score, x, p, h, friction, z, scheme)
        return np.hstack([x - MEAN, p])

    rest = step(np.zeros((1, 2 * d)), np.zeros((k, 1, d)))
    np.testing.assert_allclose(rest, 0, atol=1e-15)
    M = step(np.eye(2 * d), np.zeros((k, 2 * d, d))).T
    rows = k * d
    z = np.zeros((k, max(rows, 1), d))
    for i in range(rows):
        z[i // d, i, i % d] = 1.0
    N = step(np.zeros((max(rows, 1), 2 * d)), z).T[:, :rows]
    return M, N


@every_scheme
@pytest.mark.parametrize("h, friction", [(0.2, 0.1), (0.9, 1.0), (0.7, 20.0)])
def test_the_law_is_that_of_the_step_itself_iterated(scheme, h, friction):
    """The step's own matrices, read off its code on unit vectors, push mean and covariance forward."""
    M, N = measured_map(h, friction, scheme)
    mean0, cov0 = start_law()
    mean, cov = mean0.copy(), cov0.copy()
    centre = np.append(MEAN, np.zeros(3))
    for n in range(8):
        got = kinetic_law(MEAN, COV, mean0, cov0, h, friction, n, scheme)
        np.testing.assert_allclose(got.mean, mean, rtol=1e-12, atol=1e-13)  # eq-16.11
        np.testing.assert_allclose(got.cov, cov, rtol=1e-12, atol=1e-13)  # eq-16.11
        mean, cov = centre + M @ (mean - centre), M @ cov @ M.T + N @ N.T


def stationary(variance, h, friction, scheme):
    """(Var x/λ, Var p, Cov(x, p)) in one dimension after very many steps."""
    zero = np.zeros(2), np.zeros((2, 2))
    cov = kinetic_law([0.0], [[variance]], *zero, h, friction, 10**9, scheme).cov
    return cov[0, 0] / variance, cov[1, 1], cov[0, 1]


@pytest.mark.parametrize("variance", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("h", [0.2, 0.7])
@pytest.mark.parametrize("friction", [0.1, 1.0, 20.0])
def test_what_the_schemes_settle_to_is_known_in_closed_form(variance, h, friction):
    a = h * h / (4 * variance)
    expected = {
        "OBABO": (1 / (1 - a), 1, 0),
        "BAOAB": (1, 1 - a, 0),
        "ABOBA": (1, 1 / (1 - a), 0),
        "OABAO": (1 - a, 1, 0),
        "BAOA": (1, 1, h / 2),  # eq-16.12
    }
    for scheme, moments in expected.items():
        np.testing.assert_allclose(stationary(variance, h, friction, scheme), moments, rtol=1e-11, atol=1e-11)


def test_friction_shows_in_the_law_after_n_steps_and_not_in_the_stationary_one():
    """Four times the friction: lag-5 correlation of x .3859 for .6958, the same stationary variances."""

    def lag(friction):
        start = np.diag([1.0, 1 - 0.3**2 / 4])  # BAOAB's stationary law at h = 0.3
        x = [np.array([1.0, 0.0]), np.zeros((2, 2))]  # E[(x, p)₅ | x₀ = 1] is Cov(x₅, x₀)/Var x₀
        after = kinetic_law([0.0], [[1.0]], *x, 0.3, friction, 5)
        np.testing.assert_allclose(
            kinetic_law([0.0], [[1.0]], np.zeros(2), start, 0.3, friction, 5).cov, start, atol=1e-14
        )
        return after.mean[0]

    assert [round(lag(friction), 4) for friction in (1.0, 4.0)] == [0.3859, 0.6958]


@pytest.mark.parametrize("scheme", ["BAOAB", "OBABO", "ABOBA", "OABAO"])
def test_the_schemes_are_stable_below_twice_the_root_of_the_smallest_eigenvalue(scheme):
    cov = np.diag([0.25, 1.0])
    zero = np.zeros(4), np.zeros((4, 4))
    assert np.abs(kinetic_law(np.zeros(2), cov, *zero, 0.999, 1.0, 10**6, scheme).cov).max() < 1e4
    with pytest.raises(
        ValueError, match=r"^step must keep the law after 1000000 steps finite, got 1\.001: .* = 1$"
    ):
        kinetic_law(np.zeros(2), cov, *zero, 1.001, 1.0, 10**6, scheme)


def test_a_million_million_steps_are_the_diffusion_at_time_one():
    """The Ornstein-Uhlenbeck process of (x, p) at time 1, γ = 3, λ = 1: its matrix exponential."""
    drift = np.array([[0.0, 1.0], [-1.0, -3.0]])
    values, vectors = np.linalg.eig(drift)
    M = (vectors * np.exp(values)) @ np.linalg.inv(vectors)
    mean0, cov0 = np.array([0.4, -1.0]), np.array([[0.3, 0.1], [0.1, 0.2]])
    for n, h in ((10**12, 1e-12), (10**18, 1e-18)):
        for scheme in ("BAOAB", "OBABO", "BAOA"):
            law = kinetic_law([0.0], [[1.0]], mean0, cov0, h, 3.0, n, scheme)
            np.testing.assert_allclose(law.mean, M @ mean0, rtol=1e-11)
            np.testing.assert_allclose(law.cov, np.eye(2) + M @ (cov0 - np.eye(2)) @ M.T, rtol=1e-11)


@pytest.mark.parametrize("exponent", [-500, 300, 500])
def test_the_law_has_no_units_of_its_own(exponent):
    """x in units of 2^k and time in the same units, with momenta as they are: the same digits."""
    k, d = 2.0**exponent, 3
    mean0, cov0 = start_law()
    plain = kinetic_law(MEAN, COV, mean0, cov0, 0.5, 1.2, 9)
    units = np.append(np.full(d, k), np.ones(d))
    law = kinetic_law(
        MEAN * k, COV * k * k, mean0 * units, cov0 * np.outer(units, units), 0.5 * k, 1.2 / k, 9
    )
    np.testing.assert_allclose(law.mean / units, plain.mean, rtol=1e-12)
    np.testing.assert_allclose(law.cov / units / units[:, None], plain.cov, rtol=1e-10, atol=1e-13)


def test_chains_follow_the_law_within_standard_errors():
    mean0, cov0 = start_law()
    root = np.linalg.cholesky(cov0)
    n = 40_000
    start = mean0 + np.random.default_rng(0).standard_normal((n, 6)) @ root.T
    for scheme in ("BAOAB", "OBABO"):
        run = ns.kinetic(GAUSSIAN.score, start[:, :3], 0.8, 0.7, 9, p0=start[:, 3:], scheme=scheme, rng=1)
        state = np.hstack([run.x, run.p])
        law = kinetic_law(MEAN, COV, mean0, cov0, 0.8, 0.7, 9, scheme)
        scaled = (state - law.mean) / np.sqrt(np.diag(law.cov))
        assert np.abs(scaled.mean(axis=0)).max() < 4.5 / np.sqrt(n)
        correlation = law.cov / np.sqrt(np.outer(np.diag(law.cov), np.diag(law.cov)))
        standard_errors = np.sqrt((1 + correlation**2) / n)
        assert (np.abs(scaled.T @ scaled / n - correlation) < 4.5 * standard_errors).all()
        wrong = kinetic_law(MEAN, COV, mean0, cov0, 0.8, 4 * 0.7, 9, scheme)  # friction four times
        assert np.abs((state.mean(axis=0) - wrong.mean) / np.sqrt(np.diag(law.cov) / n)).max() > 20


# Wrong arguments ------------------------------------------------------------------------------------------

STEP = {"score": curved, "x": np.zeros((2, 2)), "p": np.zeros((2, 2)), "step": 0.1, "friction": 1.0,
        "z": np.zeros((1, 2, 2))}  # fmt: skip
LAW = {
    "mean": [0.0],
    "cov": [[1.0]],
    "mean0": [0.0, 0],
    "cov0": np.eye(2),
    "step": 0.1,
    "friction": 1.0,
    "n_steps": 3,
}
WORD = r"^scheme must be a word of the letters A \(drift\), B \(kick\) and O \(noise\) such as BAOAB, got "


@pytest.mark.parametrize(
    "name, value, error, message",
    [
        ("score", None, TypeError, r"^score must be a callable"),
        ("score", lambda x: x[:, 0], ValueError, r"^score\(x\) must have shape \(2, 2\), got shape \(2,\)"),
        ("p", np.zeros((2, 1)), ValueError, r"^p must have shape \(2, 2\), got shape \(2, 1\)"),
        ("z", np.zeros((2, 2, 2)), ValueError, r"^z must have shape \(1, 2, 2\), got shape \(2, 2, 2\)"),
        ("step", -1.0, ValueError, r"^step must be a finite number > 0"),
        ("friction", -1.0, ValueError, r"^friction must be a finite number >= 0, got -1\.0"),
        ("scheme", "baoab", ValueError, WORD + "'?baoab"),
        ("scheme", "", ValueError, WORD),
        ("scheme", None, TypeError, WORD + "NoneType"),
    ],
)
def test_a_wrong_argument_of_a_step_is_named(name, value, error, message):
    with pytest.raises(error, match=message):
        ns.kinetic_step(**{**STEP, name: value})


@pytest.mark.parametrize(
    "name, value, error, message",
    [
        ("mean", [0.0, 1.0], ValueError, r"^mean must have shape \(1,\)"),
        ("cov", [[-1.0]], ValueError, r"^cov must be positive definite"),
        ("mean0", [0.0], ValueError, r"^mean0 must have shape \(2,\)"),
        ("cov0", -np.eye(2), ValueError, r"^cov0 must be positive semidefinite"),
        ("n_steps", -1, ValueError, r"^n_steps must be a whole number >= 0"),
        ("scheme", "BAOAC", ValueError, WORD),
        ("friction", np.nan, ValueError, r"^friction must be a finite number >= 0"),
    ],
)
def test_a_wrong_argument_of_the_law_is_named(name, value, error, message):
    with pytest.raises(error, match=message):
        kinetic_law(**{**LAW, name: value})


def test_momenta_of_another_shape_are_named():
    with pytest.raises(ValueError, match=r"^p0 must have shape \(2, 2\), got shape \(2,\)"):
        ns.kinetic(curved, np.zeros((2, 2)), 0.1, 1.0, 3, p0=np.zeros(2))
