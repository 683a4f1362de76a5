"""Is it a good fit: distances between samples; and have the chains mixed: split-R̂ and effective sample size."""

from .distances import energy_distance, sliced_wasserstein
from .mixing import effective_sample_size, split_rhat

__all__ = ["effective_sample_size", "energy_distance", "sliced_wasserstein", "split_rhat"]
