"""Is it a good fit: distances between samples, and from a score; have the chains mixed: R̂, sample sizes, errors."""

from .distances import energy_distance, sliced_wasserstein
from .mixing import effective_sample_size, mcse, rank_rhat, split_rhat
from .stein import KSDTest, ksd, ksd_test

__all__ = [
    "KSDTest",
    "effective_sample_size",
    "energy_distance",
    "ksd",
    "ksd_test",
    "mcse",
    "rank_rhat",
    "sliced_wasserstein",
    "split_rhat",
]
