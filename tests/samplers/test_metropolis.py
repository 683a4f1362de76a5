"""Metropolis steps against what holds for them exactly: detailed balance, reversal, volume, energies in closed form."""

import numpy as np
import pytest
from support.strategies import gaussian_parameters

import npscore as ns
from npscore import checks
from npscore.samplers.metropolis import leapfrog

T = ns.targets
MEAN, COV = gaussian_parameters(3, 3)
DENSITIES = {
    "Gaussian": T.Gaussian(MEAN, COV),
    "mixture": T.GaussianMixture([0.3, 0.7], [[-1.0, 0], [1, 1]], [np.eye(2), [[0.5, 0.2], [0.2, 0.6]]]),
    "Student's t": T.StudentT(MEAN, COV, 3.0),
    "logistic": T.Logistic(0.3, 0.7),
}
every_density = pytest.mark.parametrize("p", DENSITIES.values(), ids=DENSITIES)


def near(p, seed=0, n=7):
    """Two sets of states near each other, (n, d) each."""
    rng = np.random.default_rng(seed)
    x = p.sample(n, rng=rng)
    return x, x + 0.7 * rng.standard_normal(x.shape)


def log_q(p, y, x, alpha):
    """log q(y|x) of the Langevin proposal, by its formula, without its constant."""
    return -((y - x - alpha * p.score(x)) ** 2).sum(axis=1) / (4 * alpha)


def mala_from(p, x, y, alpha, u=0.5):
    """The MALA step that proposes y from x."""
    z = (y - x - alpha * p.score(x)) / np.sqrt(2 * alpha)
    return ns.mala_step(p.log_prob, p.score, x, alpha, z, np.full(len(x), u))


def hmc_by_loops(p, x, h, n_leapfrog, z):
    """Proposal and log ratio, leapfrog by leapfrog as in Neal (2011)."""
    y, momenta = x.copy(), z.copy()
    for _ in range(n_leapfrog):
        momenta = momenta + h / 2 * p.score(y)
        y = y + h * momenta
        momenta = momenta + h / 2 * p.score(y)

    def energy(x, z):
        return -p.log_prob(x) + (z**2).sum(axis=1) / 2

    return y, energy(x, z) - energy(y, momenta)


# The ratio ------------------------------------------------------------------------------------------------


@every_density
@pytest.mark.parametrize("alpha", [0.05, 0.8])
def test_mala_has_detailed_balance_between_any_two_states(p, alpha):
    """p(x) q(y|x) min(1, e^r) is the same from y to x, pointwise."""
    x, y = near(p)
    there, back = mala_from(p, x, y, alpha), mala_from(p, y, x, alpha)
    np.testing.assert_allclose(there.proposal, y, rtol=1e-12, atol=1e-12)
    flow = p.log_prob(x) + log_q(p, y, x, alpha) + np.minimum(0, there.log_ratio)
    flow_back = p.log_prob(y) + log_q(p, x, y, alpha) + np.minimum(0, back.log_ratio)
    np.testing.assert_allclose(flow, flow_back, rtol=1e-11, atol=1e-11)  # eq-16.1
    np.testing.assert_allclose(there.log_ratio, -back.log_ratio, rtol=1e-11, atol=1e-11)
    hastings = p.log_prob(y) - p.log_prob(x) + log_q(p, x, y, alpha) - log_q(p, y, x, alpha)
    np.testing.assert_allclose(there.log_ratio, hastings, rtol=1e-11, atol=1e-11)  # eq-16.3
    assert np.abs(hastings).max() > 0.02


@every_density
@pytest.mark.parametrize("n_leapfrog", [1, 2, 5])
def test_hmc_is_its_leapfrogs_one_by_one(p, n_leapfrog):
    x, z = near(p)
    move = ns.hmc_step(p.log_prob, p.score, x, 0.6, n_leapfrog, z, np.full(len(x), 0.5))
    proposal, log_ratio = hmc_by_loops(p, x, 0.6, n_leapfrog, z)
    np.testing.assert_allclose(move.proposal, proposal, rtol=1e-12, atol=1e-12)  # eq-16.4
    np.testing.assert_allclose(move.log_ratio, log_ratio, rtol=1e-11, atol=1e-11)  # eq-16.5
    assert np.abs(log_ratio).max() > 0.02


@every_density
def test_mala_is_hmc_with_one_leapfrog_and_proposes_the_langevin_step(p):
    x, z = near(p)
    u = np.linspace(0.1, 0.9, len(x))
    mala = ns.mala_step(p.log_prob, p.score, x, 0.3, z, u)
    hmc = ns.hmc_step(p.log_prob, p.score, x, np.sqrt(0.6), 1, z, u)
    np.testing.assert_allclose(mala.proposal, ns.langevin_step(p.score, x, 0.3, z), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(mala.log_ratio, hmc.log_ratio, rtol=1e-12, atol=1e-12)  # eq-16.6
    np.testing.assert_array_equal(mala.accepted, hmc.accepted)


@pytest.mark.parametrize("alpha", [0.02, 0.4, 1.3])
def test_on_a_gaussian_the_log_ratio_of_mala_is_a_quarter_alpha_times_the_change_of_the_squared_score(alpha):
    p = DENSITIES["Gaussian"]
    x, z = near(p)
    move = ns.mala_step(p.log_prob, p.score, x, alpha, z, np.full(len(x), 0.5))

    def squared(x):
        return (p.score(x) ** 2).sum(axis=1)

    expected = alpha / 4 * (squared(x) - squared(move.proposal))
    np.testing.assert_allclose(move.log_ratio, expected, rtol=1e-12, atol=1e-12)  # eq-16.8


# The leapfrog ---------------------------------------------------------------------------------------------


@every_density
def test_leapfrogs_run_back_when_the_momenta_are_turned_round(p):
    x, z = near(p)
    y, momenta, s = leapfrog(p.score, x, z, 0.4, 6, p.score(x))
    back, turned, _ = leapfrog(p.score, y, -momenta, 0.4, 6, s)
    np.testing.assert_allclose(back, x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(-turned, z, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(s, p.score(y), rtol=1e-12, atol=1e-12)


@every_density
def test_leapfrogs_keep_volume(p):
    """|det ∂(y, p')/∂(x, p)| = 1, every column by complex step."""
    x, z = near(p)

    def flow(state):
        start, momenta = np.split(state, 2, axis=1)
        return np.hstack(leapfrog(p.score, start, momenta, 0.4, 3, p.score(start))[:2])

    jacobian = checks.complex_step_jacobian(flow, np.hstack([x, z]))
    np.testing.assert_allclose(np.linalg.det(jacobian), 1.0, rtol=1e-11)
    assert np.abs(jacobian - np.eye(2 * p.d)).max() > 0.5


@pytest.mark.parametrize("h", [0.1, 0.9, 1.7])
def test_on_a_gaussian_leapfrogs_conserve_their_shadow_energy(h):
    """½p² + ½q²/λ (1 − h²/4λ), per eigenvalue λ, is what the leapfrog conserves, and not the energy itself."""
    eigenvalues = np.array([0.8, 1.0, 2.5])
    p = T.Gaussian(np.zeros(3), np.diag(eigenvalues))
    x, z = near(p)
    y, momenta, _ = leapfrog(p.score, x, z, h, 7, p.score(x))

    def shadow(q, m):
        return m**2 / 2 + q**2 / (2 * eigenvalues) * (1 - h * h / (4 * eigenvalues))

    np.testing.assert_allclose(shadow(y, momenta), shadow(x, z), rtol=1e-12, atol=1e-12)  # eq-16.7

    def energy(q, m):
        return m**2 / 2 + q**2 / (2 * eigenvalues)

    assert np.abs(energy(y, momenta) - energy(x, z)).max() > 1e-3


def test_the_jacobian_of_a_proposal_comes_by_complex_step():
    p = DENSITIES["Gaussian"]
    x, z = near(p)
    u = np.full(len(x), 0.5)

    def proposal(x):
        return ns.mala_step(p.log_prob, p.score, x, 0.3, z, u).proposal

    expected = np.eye(3) - 0.3 * p.precision
    np.testing.assert_allclose(
        checks.complex_step_jacobian(proposal, x),
        np.broadcast_to(expected, (7, 3, 3)),
        rtol=1e-13,
        atol=1e-13,
    )


# The decision ---------------------------------------------------------------------------------------------


def test_a_proposal_is_taken_where_log_u_is_below_the_log_ratio():
    p = DENSITIES["mixture"]
    x, z = near(p, n=40)
    first = ns.mala_step(p.log_prob, p.score, x, 0.8, z, np.ones(40))
    ratio = np.exp(np.minimum(first.log_ratio, 0))
    for u, expected in (
        (0.999 * ratio, np.full(40, True)),
        (np.minimum(1.001 * ratio, 1), first.log_ratio > 0),
        (np.zeros(40), np.full(40, True)),
    ):
        move = ns.mala_step(p.log_prob, p.score, x, 0.8, z, u)
        np.testing.assert_array_equal(move.accepted, expected)
        np.testing.assert_array_equal(move.x, np.where(expected[:, None], move.proposal, x))
    assert 0 < np.count_nonzero(first.log_ratio > 0) < 40


def test_what_is_known_at_the_new_state_is_what_the_next_step_needs():
    p = DENSITIES["mixture"]
    x, z = near(p, n=40)
    u, calls = np.linspace(0.02, 0.98, 40), []

    def score(x):
        calls.append(len(x))
        return p.score(x)

    move = ns.hmc_step(p.log_prob, score, x, 1.3, 3, z, u)
    assert 0 < np.count_nonzero(move.accepted) < 40 and len(calls) == 4
    np.testing.assert_array_equal(move.here.log_prob, p.log_prob(move.x))
    np.testing.assert_array_equal(move.here.score, p.score(move.x))
    told = ns.hmc_step(p.log_prob, score, move.x, 1.3, 3, z, u, move.here)
    assert len(calls) == 7
    asked = ns.hmc_step(p.log_prob, score, move.x, 1.3, 3, z, u)
    for part, same in zip((*told[:4], *told.here), (*asked[:4], *asked.here)):
        np.testing.assert_array_equal(part, same)


def test_beyond_an_edge_a_proposal_is_rejected():
    p = T.Exponential(1.0)
    x, z = np.array([[0.2], [0.2]]), np.array([[-3.0], [1.0]])
    for n_leapfrog in (1, 4):
        move = ns.hmc_step(p.log_prob, p.score, x, 0.5, n_leapfrog, z, np.array([0.0, 0.01]))
        np.testing.assert_array_equal(move.accepted, [False, True])
        assert move.log_ratio[0] == -np.inf and move.x[0] == 0.2 and np.isfinite(move.here.score).all()


def test_a_path_that_leaves_the_floats_is_rejected_and_no_function_sees_it():
    def score(x):
        assert np.isfinite(x).all()
        return np.where(x > 1, 1e200 * x**3, -x)

    def log_prob(x):
        assert np.isfinite(x).all()
        return -0.5 * (x[:, 0] ** 2)

    x, z = np.array([[0.9], [0.1]]), np.array([[4.0], [-1.0]])
    with np.errstate(over="ignore"):  # in the score itself
        move = ns.hmc_step(log_prob, score, x, 0.3, 6, z, np.array([0.5, 0.5]))
    np.testing.assert_array_equal(move.accepted, [False, True])
    assert not np.isfinite(move.proposal[0]).any() and move.log_ratio[0] == -np.inf


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_density_that_is_no_number_is_no_reason_to_move(value):
    def log_prob(x):
        return np.where(x[:, 0] > 0.5, value, -0.5 * x[:, 0] ** 2)

    move = ns.mala_step(log_prob, lambda x: -x, [[0.0]], 0.5, [[5.0]], [0.5])
    assert not move.accepted[0] and move.log_ratio[0] == -np.inf


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_type_of_x_is_kept(dtype):
    p = DENSITIES["mixture"]
    x, z = (a.astype(dtype) for a in near(p))
    wide = ns.hmc_step(p.log_prob, p.score, x.astype(np.longdouble), 0.5, 3, z, np.full(7, 0.5))
    move = ns.hmc_step(p.log_prob, p.score, x, 0.5, 3, z, np.full(7, 0.5))
    for part in (move.x, move.log_ratio, move.proposal, *move.here):
        assert part.dtype == dtype
    np.testing.assert_allclose(move.log_ratio, wide.log_ratio, rtol=0, atol=50 * np.finfo(dtype).eps)
    np.testing.assert_allclose(move.proposal, wide.proposal, rtol=0, atol=50 * np.finfo(dtype).eps)


# Wrong arguments ------------------------------------------------------------------------------------------

P = DENSITIES["mixture"]
GOOD = {
    "log_prob": P.log_prob,
    "score": P.score,
    "x": np.zeros((2, 2)),
    "step": 0.1,
    "z": np.ones((2, 2)),
    "u": [0.5, 0.5],
}


@pytest.mark.parametrize(
    "name, value, error, message",
    [
        ("log_prob", None, TypeError, r"^log_prob must be a callable \(n, d\) -> \(n,\), the log density up to a .* no "
         r"proposal can be accepted or rejected by a score alone \(langevin needs no density"),
        ("log_prob", P.score, ValueError, r"^log_prob\(x\) must have shape \(2,\), got shape \(2, 2\)"),
        ("score", None, TypeError, r"^score must be a callable"),
        ("score", P.log_prob, ValueError, r"^score\(x\) must have shape \(2, 2\), got shape \(2,\)"),
        ("x", np.zeros(2), ValueError, r"^x must have shape \(n, d\)"),
        ("step", 0.0, ValueError, r"^step must be a finite number > 0"),
        ("z", np.ones((2, 1)), ValueError, r"^z must have shape \(2, 2\), got shape \(2, 1\)"),
        ("z", 1j * np.ones((2, 2)), TypeError, r"^z must hold real numbers"),
        ("u", [0.5], ValueError, r"^u must have shape \(2,\), got shape \(1,\)"),
        ("u", [0.5, 1.5], ValueError, r"^u must be within \[0, 1\], got 1\.5"),
        ("here", 3, TypeError, r"^here must be the Move\.here of the step before, got int"),
        ("here", (np.zeros(3), np.zeros((2, 2))), ValueError, r"^here\.log_prob must have shape \(2,\)"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(name, value, error, message):
    arguments = {**GOOD, name: value}
    with pytest.raises(error, match=message):
        ns.mala_step(**arguments)
    with pytest.raises(error, match=message):
        ns.hmc_step(**arguments, n_leapfrog=2)


def test_a_step_beyond_the_range_of_the_type_is_named():
    arguments = {**GOOD, "x": np.zeros((2, 2), np.float32), "step": 1e300}
    with pytest.raises(ValueError, match=r"^step must be within the range of float32, got 1e\+"):
        ns.mala_step(**arguments)
    with pytest.raises(ValueError, match=r"^n_leapfrog must be a whole number >= 1, got 0"):
        ns.hmc_step(**GOOD, n_leapfrog=0)


def test_a_start_without_density_or_score_is_an_error():
    p = T.Exponential(1.0)
    with pytest.raises(
        ValueError, match=r"^x must have a density > 0 in every row, .* log_prob = -inf at \[-1\.0\]"
    ):
        ns.mala_step(p.log_prob, p.score, [[1.0], [-1.0]], 0.1, [[0.0], [0.0]], [0.5, 0.5])
    with pytest.raises(
        ValueError, match=r"^x must have a finite score in every row, got \[nan\] at \[0\.0\]"
    ):
        ns.mala_step(
            lambda x: -np.abs(x[:, 0]),
            lambda x: np.where(x == 0, np.nan, -np.sign(x)),
            [[0.0]],
            0.1,
            [[0.0]],
            [0.5],
        )
