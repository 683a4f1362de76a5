"""The multivariate Student t: polynomial tails, so a score that fades instead of growing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .._run.borders import as_positive
from .._run.covariance import as_covariance
from .base import LOG_2PI, Target, as_vector, set_fields, square_norm
from .gaussian import push_forward
from .precision import Rounded, like, narrowest_type
from .quadrature import Quadrature, Rule, as_order, tensor, trapezoid
from .whitening import Whitening, whitening

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class StudentT(Target):
    """t_ν(loc, Σ) on R^d: ``loc`` (d,), ``scale_matrix`` Σ (d, d) symmetric positive definite, ``df`` ν > 0.

    With P = Σ⁻¹, y = x − μ and δ = yᵀ P y:
    log p = const − ½(ν + d) log(1 + δ/ν);  s = −(ν + d) P y/(ν + δ);
    ∇·s = −(ν + d) (ν tr P + yᵀ P (tr P · I − 2P) y)/(ν + δ)², in which the matrix is formed once: in the plane it is 0
    for P ∝ I, where tr P/(ν + δ) − 2‖P y‖²/(ν + δ)² would lose all digits far out.
    ``scale_matrix`` is not the covariance: that is Σ ν/(ν − 2), and exists for ν > 2 only. It is what
    ``scipy.stats.multivariate_t`` calls shape. As ν → ∞ all of it tends to N(loc, Σ), without loss of digits.
    """

    loc: Array
    scale_matrix: Array
    df: float
    _white: Whitening = field(init=False, repr=False)
    _log_norm: np.longdouble = field(init=False, repr=False)
    _reach: np.longdouble = field(init=False, repr=False)  # r, √ν times the largest deviation
    _inverse: Rounded = field(init=False, repr=False)  # (d, d), V = r W/√ν
    _precision: Rounded = field(init=False, repr=False)  # (d, d), A = VᵀV = r² P/ν
    _curvature: Rounded = field(init=False, repr=False)  # (d, d), A (tr A · I − 2A)

    def __post_init__(self) -> None:
        loc, df = as_vector(self.loc, "loc"), as_positive(self.df, "df")
        scale_matrix, _ = as_covariance(self.scale_matrix, "scale_matrix", loc.size)
        white, root = whitening(scale_matrix, "scale_matrix"), np.sqrt(np.longdouble(df))
        reach = root * white.scales.max()
        precision = (reach / root) ** 2 * white.precision.exact
        set_fields(
            self,
            loc=loc,
            scale_matrix=scale_matrix,
            df=df,
            _white=white,
            _log_norm=_log_gamma_ratio(df, loc.size) - 0.5 * (loc.size * LOG_2PI + white.log_det),
            _reach=reach,
            _inverse=Rounded.of(reach / root * white.inverse.exact),
            _precision=Rounded.of(precision),
            _curvature=Rounded.of(_curvature_matrix(precision)),
            _narrowest=narrowest_type([*white.scales, df, reach], loc),
        )

    @property
    def d(self) -> int:
        """The dimension."""
        return self.loc.size

    @property
    def _power(self) -> np.longdouble:
        """ν + d."""
        return np.longdouble(self.df) + self.d

    @property
    def mean(self) -> Array:
        """loc, shape ``(d,)``; ValueError for df ≤ 1, where the mean does not exist."""
        if self.df <= 1:
            raise ValueError(f"df must be > 1 for the mean to exist, got {self.df!r}")
        return self.loc

    @property
    def cov(self) -> Array:
        """Σ ν/(ν − 2), shape ``(d, d)``, ±inf beyond the float range; ValueError for df ≤ 2: then it is infinite."""
        if self.df <= 2:
            raise ValueError(f"df must be > 2 for the covariance to exist, got {self.df!r}")
        with np.errstate(over="ignore"):
            return self.scale_matrix * (self.df / (self.df - 2))

    def quadrature(self, order: int) -> Quadrature:
        """order**d nodes: x = μ + √ν L y, yₖ = sinh tₖ ∏_{j<k} cosh tⱼ, the tₖ independent (eq-1.23).

        In these variables the density is the product of cosh^{−(ν + k − 1)} tₖ, k = 1 … d: the k-th
        coordinate given those before it is again a t, with one more degree of freedom and a wider scale.
        Even moments up to the eighth are right to 1e-10 from order 60 on where they exist with a half to
        spare (df ≥ power + ½).
        """
        order = as_order(order, self.d)
        t, weights = tensor([_sech_power(self.df, k, order) for k in range(self.d)])  # (m, d), (m,)
        t[weights == 0] = 0  # below the float range: at the centre no power of such a node overflows
        widening = np.cumprod(np.cosh(t[:, :-1]), axis=1)  # ∏_{j<k} cosh tⱼ for k ≥ 2
        y = math.sqrt(self.df) * np.sinh(t)
        y[:, 1:] *= widening
        return Quadrature(push_forward(y, self.loc, self._white.factor.double), weights)  # eq-1.23

    def _log_prob(self, x: Array) -> Array:
        _, unit, total = self._in_units(x)
        log_kernel = 2 * np.log(unit / like(self._reach, x)) + np.log1p(total)  # (n,), log(1 + δ/ν)
        return like(self._log_norm, x) - 0.5 * like(self._power, x) * log_kernel

    def _score(self, x: Array) -> Array:
        v, unit, total = self._in_units(x)
        pull = v @ self._precision.like(x) / (1 + total)[:, None]  # (n, d)
        return -like(self._power, x) * (pull / unit[:, None])  # eq-1.11

    def _score_divergence(self, x: Array) -> Array:
        v, unit, total = self._in_units(x)
        ratio = like(self._reach, x) / unit  # (n,)
        traces = like(np.trace(self._precision.exact), x) * ratio * ratio
        curvature = (traces + ((v @ self._curvature.like(x)) * v).sum(axis=1)) / (1 + total) / (1 + total)
        return -like(self._power, x) * (curvature / unit / unit)  # eq-1.12

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        """x = μ + L z √(ν/u), u ~ χ²_ν; beyond the float range, likely only for df below 0.1, it is ±inf."""
        z = rng.standard_normal((n, self.d))
        # u = 2 g U^{2/ν} with g ~ Gamma(ν/2 + 1): its logarithm does not underflow, however small ν is.
        log_g = np.log(2 * rng.standard_gamma(0.5 * self.df + 1, n))
        log_u = log_g - rng.standard_exponential(n) * 2 / self.df
        centred = push_forward(z, np.zeros(self.d), self._white.factor.double)  # (n, d), L z
        with np.errstate(over="ignore"):
            return self.loc.astype(np.float64) + centred * np.exp(0.5 * (math.log(self.df) - log_u))[:, None]

    def _in_units(self, x: Array) -> tuple[Array, Array, Array]:
        """(v, m, τ) with x − μ = m v and 1 + δ/ν = (m/r)² (1 + τ), for a unit m ≥ r of each row.

        m is the largest |x − μ| where that is above r, so that squares are taken of entries of v, at most 1, and of
        nothing that may exceed the float range. v is (n, d), m and τ are (n,).
        """
        y, reach = x - like(self.loc, x), like(self._reach, x)
        unit = np.maximum(np.abs(y.real).max(axis=1), reach)
        v, ratio = y / unit[:, None], reach / unit
        return v, unit, (ratio * ratio - 1) + square_norm(v @ self._inverse.like(x).T)


def _curvature_matrix(precision: Array) -> Array:
    """P (tr P · I − 2P), in longdouble; exactly 0 for a multiple of I in the plane."""
    return np.trace(precision) * precision - 2 * (precision @ precision)


def _sech_power(df: float, k: int, order: int) -> Rule:
    """E f(t) for the density ∝ cosh^{−(ν + k)} t: the trapezoid rule in τ, t = c sinh τ.

    The range keeps the tail of the highest even moment that exists (at most the eighth) down to e^{−40},
    but stays short of where that power overflows. c puts the nodes where the mass is for moderate ν.
    """
    c = 0.3
    power = min(2 * math.ceil(df / 2 - 1), 8)  # the largest even number < ν
    decay = min(order, 40) / (df - power + k)
    arcosh = decay + math.log1p(math.sqrt(-math.expm1(-2 * decay)))  # the t with cosh t = e^decay
    reach = min(arcosh, 440 / max(power, 2))

    def log_density(tau: Array) -> Array:
        log_cosh = np.log1p(2 * np.sinh(0.5 * c * np.sinh(tau)) ** 2)
        return -(df + k) * log_cosh + np.log(np.cosh(tau))

    rule = trapezoid(log_density, -math.asinh(reach / c), math.asinh(reach / c), order)
    tau = 0.5 * (rule.nodes - rule.nodes[::-1])  # the middle one exactly 0: it is multiplied by huge cosh
    return Rule(c * np.sinh(tau), rule.weights)  # eq-1.23


def _log_gamma_ratio(df: float, d: int) -> np.longdouble:
    """log of Γ((ν + d)/2) / (Γ(ν/2) (ν/2)^{d/2}): tends to 0 as ν → ∞, where differences of lgamma lose digits.

    Whole steps are Γ(b + 1) = b Γ(b); the half step, for odd d, is a series in 1/b after moving b past 64.
    """
    a, whole = np.longdouble(df) / 2, np.arange(d // 2, dtype=np.longdouble)
    total = np.log1p(whole / a).sum()
    if d % 2 == 0:
        return total
    b = a + d // 2
    moves = np.arange(max(0, math.ceil(64 - b)), dtype=np.longdouble)
    r = 1 / (b + len(moves))
    series = r * (-1 / 8 + r**2 * (1 / 192 + r**2 * (-1 / 640 + r**2 * (17 / 14336 - r**2 * 31 / 18432))))
    return total - 0.5 * np.log(r * a) - np.log1p(0.5 / (b + moves)).sum() + series  # eq-1.28
