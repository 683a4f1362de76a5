"""Shared settings of the test suite: Hypothesis draws the same examples in every run, with no deadline."""

import signal

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "npscore",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
# For tests that are expected to fail (test_planted_mistakes.py): the first failing example will do.
settings.register_profile(
    "unshrunk", settings.get_profile("npscore"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("npscore")

# A job that a shell starts in the background ignores Ctrl-C, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
