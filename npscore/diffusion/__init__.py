"""Diffusion: one network for every noise level; schedules, forms, losses, and what follows from them exactly."""

from ..models import MODELS
from .denoising import WEIGHTINGS, Denoising, LogNormal, LogUniform, NoisyDraw, Uniform, weighting
from .discrete import Discrete, cosine_beta, karras_sigmas, linear_beta, scaled_linear_beta
from .embeddings import Fourier, LogSNR, Sinusoidal
from .forms import FORMS, Reading, expressed, reading
from .schedules import EDM, VE, VP, Cosine, Flow, Posterior, Schedule, SubVP, Transition
from .score import DiffusionScore

MODELS["DiffusionScore"] = DiffusionScore

__all__ = [
    "EDM",
    "FORMS",
    "VE",
    "VP",
    "WEIGHTINGS",
    "Cosine",
    "Denoising",
    "DiffusionScore",
    "Discrete",
    "Flow",
    "Fourier",
    "LogNormal",
    "LogSNR",
    "LogUniform",
    "NoisyDraw",
    "Posterior",
    "Reading",
    "Schedule",
    "Sinusoidal",
    "SubVP",
    "Transition",
    "Uniform",
    "cosine_beta",
    "expressed",
    "karras_sigmas",
    "linear_beta",
    "reading",
    "scaled_linear_beta",
    "weighting",
]
