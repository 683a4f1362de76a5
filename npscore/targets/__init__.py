"""Densities with exact log_prob, score, divergence of the score, samples and quadrature.

`Target` (in ``base``) says what they share and what a new one must provide.
"""

from .base import Target
from .bounded import Exponential, Uniform
from .gaussian import Gaussian
from .mixture import GaussianMixture
from .product import Product
from .quadrature import Quadrature
from .student_t import StudentT
from .truncated import TruncatedGaussian
from .univariate import Gumbel, Laplace, Logistic

__all__ = [
    "Exponential",
    "Gaussian",
    "GaussianMixture",
    "Gumbel",
    "Laplace",
    "Logistic",
    "Product",
    "Quadrature",
    "StudentT",
    "Target",
    "TruncatedGaussian",
    "Uniform",
]
