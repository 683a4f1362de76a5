"""Shared settings of the test suite: Hypothesis draws the same examples in every run, with no deadline."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "npscore",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("npscore")
