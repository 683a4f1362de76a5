"""Population losses of the affine score at the ends of the float range: right values or one clear error."""

import numpy as np
import pytest

import npscore as ns

ONE = ns.LinearScore([[-1.0]], [0.0])
UNIT = ([0.0], [[1.0]])


@pytest.mark.parametrize("sigma", [1e-154, 1e-150, 1e-80])
def test_dsm_with_little_noise_is_the_floor_d_over_two_sigma_squared(sigma):
    """At A = −1, b = 0 and N(0, 1): ½(1 + σ²) − 1 + 1/(2σ²)."""
    loss, grad = ONE.population_dsm(*UNIT, sigma)
    assert loss == pytest.approx(0.5 / sigma**2, rel=1e-15)
    np.testing.assert_allclose(grad, [0.0, 0.0], atol=1e-15)


@pytest.mark.parametrize("sigma", [1e75, 1e150])
def test_dsm_with_much_noise_is_ism_of_the_noise(sigma):
    loss, grad = ONE.population_dsm(*UNIT, sigma)
    assert loss == pytest.approx(0.5 * sigma**2, rel=1e-15)
    np.testing.assert_allclose(grad, [-(sigma**2), 0.0], rtol=1e-15)


@pytest.mark.parametrize(
    "dtype, sigmas", [(np.float64, (1e-200, 1e-155, 1e155, 1e300)), (np.float32, (1e-25, 1e25))]
)
def test_a_sigma_whose_square_is_no_float_is_refused(dtype, sigmas):
    model = ns.LinearScore(np.array([[-1]], dtype), np.array([0], dtype))
    for sigma in sigmas:
        with pytest.raises(
            ValueError, match=r"^sigma must be such that sigma\*\*2 and d/\(2 sigma\*\*2\) are finite"
        ):
            model.population_dsm(np.zeros(1, dtype), np.ones((1, 1), dtype), sigma)


@pytest.mark.parametrize("name", ["population_ism", "population_esm"])
def test_a_loss_that_is_no_float_is_refused(name):
    wide = ns.LinearScore([[-1e200]], [0.0])
    with pytest.raises(
        ValueError, match=r"^mean and cov must be small enough for a finite loss and gradient"
    ):
        getattr(wide, name)([1e150], [[1.0]])
    with pytest.raises(
        ValueError, match=r"^mean and cov must be small enough for a finite loss and gradient"
    ):
        getattr(wide, name)([0.0], [[1e300]])
