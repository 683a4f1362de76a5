"""Diffusion: one network for every noise level; schedules, forms, losses, and what follows from them exactly."""

from ..models import MODELS
from .bound import ElboTerms, bits_per_dim, elbo_terms
from .denoising import WEIGHTINGS, Denoising, NoisyDraw, weighting
from .discrete import Discrete, cosine_beta, karras_sigmas, linear_beta, scaled_linear_beta
from .embeddings import Fourier, LogSNR, Sinusoidal
from .forms import FORMS, Reading, expressed, reading
from .law import Law, law
from .likelihood import log_likelihood
from .rows import CorrectorRow, HeunRow, Row, step
from .sample import SampleResult, prior_sample, sample
from .schedule import Posterior, Schedule, Transition
from .schedules import EDM, VE, VP, Cosine, Flow, SubVP
from .score import DiffusionScore
from .tables import (
    SamplerTable,
    ancestral,
    annealed_langevin,
    ddim,
    edm,
    heun,
    predictor_corrector,
    probability_flow,
    reverse_sde,
)
from .times import LogNormal, LogUniform, Uniform

MODELS["DiffusionScore"] = DiffusionScore

__all__ = [
    "EDM",
    "FORMS",
    "VE",
    "VP",
    "WEIGHTINGS",
    "CorrectorRow",
    "Cosine",
    "Denoising",
    "DiffusionScore",
    "Discrete",
    "ElboTerms",
    "Flow",
    "Fourier",
    "HeunRow",
    "Law",
    "LogNormal",
    "LogSNR",
    "LogUniform",
    "NoisyDraw",
    "Posterior",
    "Reading",
    "Row",
    "SampleResult",
    "SamplerTable",
    "Schedule",
    "Sinusoidal",
    "SubVP",
    "Transition",
    "Uniform",
    "ancestral",
    "annealed_langevin",
    "bits_per_dim",
    "cosine_beta",
    "ddim",
    "edm",
    "elbo_terms",
    "expressed",
    "heun",
    "karras_sigmas",
    "law",
    "linear_beta",
    "log_likelihood",
    "predictor_corrector",
    "prior_sample",
    "probability_flow",
    "reading",
    "reverse_sde",
    "sample",
    "scaled_linear_beta",
    "step",
    "weighting",
]
