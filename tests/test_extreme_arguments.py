"""Any argument may be anything: a finite result, or one TypeError or ValueError that names the argument.

Every argument of every public function about data, distances, chains, checks and laws is replaced by values of every
kind, scale and type in turn, with warnings as errors.
"""

import numpy as np
import pytest
from support.extremes import ODD, variants

import npscore as ns
from npscore import checks, datasets, diagnostics, samplers

X, Y = np.random.default_rng(0).standard_normal((2, 6, 3))
CHAINS = np.random.default_rng(1).standard_normal((8, 3, 2))
EYE, ZEROS, ONES, NAMES = np.eye(3), np.zeros(3), np.ones(5), ("a", "b", "c")
LINEAR = ns.LinearScore(-EYE, ZEROS)
UNITS = datasets.Standardisation(ZEROS, np.ones(3))
H = (0.1, 0.05)

CALLS = {
    "energy_distance": (diagnostics.energy_distance, {"x": X, "y": Y, "unbiased": False}),
    "sliced_wasserstein": (
        diagnostics.sliced_wasserstein,
        {"x": X, "y": Y, "p": 2.0, "n_projections": 4, "projections": EYE, "rng": 0},
    ),
    "split_rhat": (diagnostics.split_rhat, {"trajectory": CHAINS}),
    "effective_sample_size": (diagnostics.effective_sample_size, {"trajectory": CHAINS}),
    "rank_rhat": (diagnostics.rank_rhat, {"trajectory": CHAINS}),
    "mcse": (diagnostics.mcse, {"trajectory": CHAINS}),
    "ksd": (diagnostics.ksd, {"score": np.negative, "x": X, "c": 1.0, "beta": -0.5, "unbiased": False}),
    "ksd_test": (diagnostics.ksd_test, {"score": np.negative, "x": X, "signs": np.ones((3, 6)), "c": 1.0}),
    "langevin_law": (
        samplers.langevin_law,
        {"mean": ZEROS, "cov": EYE, "mean0": ZEROS, "cov0": EYE, "step": 0.1, "n_steps": 3},
    ),
    "kinetic_law": (
        samplers.kinetic_law,
        {
            "mean": ZEROS,
            "cov": EYE,
            "mean0": np.ones(6),
            "cov0": np.eye(6),
            "step": 0.1,
            "friction": 1.0,
            "n_steps": 3,
            "scheme": "BAOAB",
        },
    ),
    "stationary_covariance": (samplers.stationary_covariance, {"cov": EYE, "step": 0.1}),
    "complex_step_gradient": (
        checks.complex_step_gradient,
        {"f": lambda t: 0.5 * t[0], "theta": ONES, "step": 1e-30},
    ),
    "complex_step_jacobian": (checks.complex_step_jacobian, {"f": lambda x: 0.5 * x, "x": X, "step": 1e-30}),
    "taylor_rates": (
        checks.taylor_rates,
        {"f": lambda t: t[0] * 0.5, "grad": ONES, "theta": ONES, "direction": ONES, "steps": H},
    ),
    "relative_error": (checks.relative_error, {"actual": ONES, "expected": ONES}),
    "rounding_report": (datasets.rounding_report, {"values": X, "columns": NAMES}),
    "suggested_jitter": (datasets.suggested_jitter, {"values": X}),
    "warn_if_rounded": (datasets.warn_if_rounded, {"values": X, "columns": NAMES, "jitter": 0.1}),
    "dequantise": (datasets.dequantise, {"x": X, "jitter": 0.1, "rng": 0}),
    "comb_ripple": (datasets.comb_ripple, {"jitter": 0.5, "resolution": 1.0}),
    "comb_information": (datasets.comb_information, {"jitter": 0.5, "resolution": 1.0, "deviation": 3.0}),
    "train_validation_split": (datasets.train_validation_split, {"x": X, "fraction": 0.5, "rng": 0}),
    "Standardisation": (datasets.Standardisation, {"mean": ZEROS, "scale": np.ones(3), "columns": NAMES}),
    "Standardisation.fit": (datasets.Standardisation.fit, {"values": X, "columns": NAMES}),
    "forward": (UNITS.forward, {"x": X}),
    "inverse": (UNITS.inverse, {"u": X}),
    "score_to_data_units": (UNITS.score_to_data_units, {"score": X}),
    "Table": (datasets.Table, {"columns": NAMES, "values": X}),
    "population_ism": (LINEAR.population_ism, {"mean": ZEROS, "cov": EYE}),
    "population_esm": (LINEAR.population_esm, {"mean": ZEROS, "cov": EYE}),
    "population_dsm": (LINEAR.population_dsm, {"mean": ZEROS, "cov": EYE, "sigma": 0.5}),
}
ARGUMENTS = [(name, argument) for name, (_, good) in CALLS.items() for argument in good]
INFINITE = (
    "split_rhat",
    "rank_rhat",
    "ksd_test",
    "relative_error",
    "taylor_rates",
)  # inf has a meaning there


def is_finite(result):
    if isinstance(result, (tuple, list)):
        return all(is_finite(part) for part in result)
    if isinstance(result, np.ndarray) and result.dtype.kind in "fc":
        return bool(np.isfinite(result).all())
    return not isinstance(result, (float, np.floating)) or bool(np.isfinite(result))


def names_an_argument(message, good):
    """Whether it begins with arguments of the call, or with what one of them returns or a column of it."""
    said = message.split(" must")[0]
    return (
        "\n" not in message and len(message) < 400 and (any(a in said for a in good) or said[:7] == "column ")
    )


@pytest.mark.parametrize("name, argument", ARGUMENTS)
def test_an_extreme_argument_gives_a_finite_result_or_one_error_that_names_it(name, argument):
    function, good = CALLS[name]
    arrays = (
        {} if argument in ("f", "columns", "rng", "unbiased", "scheme", "score") else variants(good[argument])
    )
    for kind, value in {**ODD, **arrays}.items():
        if argument in ("f", "score") and kind == "a type":  # it can be called: what it raises is its own
            continue
        try:
            result = function(**{**good, argument: value})
            assert is_finite(result) or name in INFINITE, (kind, result)
        except (TypeError, ValueError) as error:
            assert type(error).__name__ in ("TypeError", "ValueError", "NotFiniteError"), kind
            assert names_an_argument(str(error), good), (kind, str(error))
        except datasets.RoundedDataWarning:
            assert name == "warn_if_rounded"
        except Exception as error:
            pytest.fail(f"{name}({argument}={kind}): {type(error).__name__}: {error}")
