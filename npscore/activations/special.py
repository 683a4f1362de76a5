"""The few special functions that NumPy lacks, or loses digits on: exact-exponent exp, erf, erfc.

Everything here is pure NumPy, elementwise, and takes float32, float64, longdouble and their complex counterparts
at the full precision of each. Complex arguments are continued analytically from the real line, so that a
complex step passes: where a formula needs a branch it is chosen by the sign or size of the *real* part,
and on either side of it the formula is analytic. The half-line helpers (`fold` and the three that undo
it) let every formula be written for Re a ≥ 0, where nothing overflows.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

Array = np.ndarray

PI = "3.14159265358979323846264338327950288"  # more digits than any NumPy float holds
_ERF_SWITCH = 0.5  # below: Maclaurin series; above: 1 − erfc, which then loses less than one bit


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of the real part: float32, float64 or longdouble."""
    return np.finfo(dtype).dtype


def number(digits: str, dtype: np.dtype) -> np.floating:
    """A constant in the precision of ``dtype``: a real scalar also where ``dtype`` is complex."""
    return real_dtype(dtype).type(digits)


def fold(z: Array) -> Array:
    """|z| continued from the real line: z where the sign of Re z is +, −z where it is −."""
    return np.copysign(1.0, z.real) * z if z.dtype.kind == "c" else np.abs(z)


def positive_part(z: Array, a: Array) -> Array:
    """max(z, 0) for a = fold(z), continued from either half-line: (z + a)/2, which is exact."""
    return 0.5 * z + 0.5 * a if z.dtype.kind == "c" else np.maximum(z, 0.0)


def odd(g: Array, z: Array) -> Array:
    """The odd function of z that is ``g``, a function of fold(z) that is ≥ 0 for real z, where Re z > 0."""
    return np.copysign(1.0, z.real) * g if z.dtype.kind == "c" else np.copysign(g, z)


def reflect(g: Array, z: Array) -> Array:
    """The f with f(z) + f(−z) = 1 that is ``g``, a function of fold(z), where Re z < 0; keeps all digits of g."""
    sign = np.copysign(z.real.dtype.type(1.0), z.real)
    signed = sign * g
    sign += 1.0
    sign *= 0.5  # 1 where Re z > 0, else 0
    return sign - signed


def sigmoid(q: Array, z: Array) -> Array:
    """σ(z) from q = σ(−fold(z)), 0 ≤ q ≤ ½ for real z: `reflect`, in fewer passes; keeps all digits of q."""
    if z.dtype.kind == "c":
        return reflect(q, z)
    s = np.signbit(z).astype(z.dtype)
    np.subtract(1.0, s, out=s)  # 1 where z > 0, else 0
    s -= q
    return np.abs(s, out=s)


def clamp(z: Array, limit: float) -> Array:
    """z where |Re z| ≤ limit, ±limit beyond: before a power of z that must not overflow."""
    if z.dtype.kind != "c":
        return np.clip(z, -limit, limit)
    return np.where(np.abs(z.real) > limit, np.copysign(limit, z.real), z)


@cache
def exp_limit(dtype: np.dtype) -> float:
    """The x from which exp(−x) is 0 in ``dtype``, subnormals included."""
    info = np.finfo(dtype)
    return (info.nmant - info.minexp + 2) * math.log(2.0)


@cache
def cube_limit(dtype: np.dtype) -> np.floating:
    """A real z with z² finite and z⁻³ = 0 in ``dtype``, subnormals included."""
    return real_dtype(dtype).type(np.finfo(dtype).max ** 0.4)


def exp_minus_product(b: float, a: Array) -> Array:
    """exp(−b a) for b > 0 and Re a ≥ 0, with a relative error that does not grow with b a.

    Rounding x = b a costs x·eps/2 in exp(−x): 300 units in the last place at x = 700. So b is taken as 1 ≤ b < 2, its
    power of two given to a, which is exact, and split b = b₁ + b₂ and a = a₁ + a₂ with b₁, a₁ of half the digits:
    b₁a₁ is exact and the rest is small, exp(−b a) = exp(−b₁a₁) exp(−(b₂a₁ + b a₂)). Needs b a no larger than
    about `exp_limit`, and b within the range of a's type.
    """
    mantissa, exponent = math.frexp(b)
    b, a = 2.0 * mantissa, a * np.ldexp(a.real.dtype.type(1), exponent - 1)
    if b == 1.0:  # b a is exact as it is
        return np.exp(-a)
    a1 = _leading_half(a.real)
    b1 = float(_leading_half(a1.dtype.type(b)))
    return np.exp((b1 - b) * a1 - b * (a - a1)) * np.exp(-b1 * a1)


def logistic(a: Array) -> tuple[Array, Array, Array]:
    """e = exp(−a), d = 1 + e and q = e/(1 + e), for Re a ≥ 0; e/(1 + e)² is q/d."""
    e = np.exp(-a)
    d = 1.0 + e
    return e, d, e / d


def gauss(a: Array, scale: float = 1.0) -> tuple[Array, Array]:
    """(a capped, exp(−scale·a²)) for Re a ≥ 0 and scale a power of two: the cap is where exp is 0.

    a = h + l as in `exp_minus_product`: exp(−a²) = exp(−h²) exp(−l(a + h)) with h² exact.
    """
    a = clamp(a, math.sqrt(exp_limit(a.dtype) / scale))
    h = _leading_half(a.real)
    return a, np.exp(-scale * (a - h) * (a + h)) * np.exp(-scale * h * h)


def ratio_to_root(z: Array, root: Array) -> Array:
    """z/√(1 + z²) given the root; for complex z as tanh(arsinh z), whose derivative z⁻³ no z/root keeps."""
    return np.tanh(np.arcsinh(z)) if z.dtype.kind == "c" else z / root


def log1p(w: Array) -> Array:
    """log(1 + w); NumPy's complex one takes log|1 + w| and so drops a small real part."""
    if w.dtype.kind != "c":
        return np.log1p(w)
    x, y = w.real, w.imag
    out = np.empty_like(w)
    out.real = 0.5 * np.log1p(x * (x + 2.0) + y * y)
    out.imag = np.arctan2(y, x + 1.0)
    return out


def erfc(x: Array, gaussian: Array) -> Array:
    """erfc(x) for Re x ≥ 0, given ``gaussian`` = exp(−x²); relative accuracy down to underflow.

    From erfc(x) = (x/π) e^{−x²} ∫ e^{−t²}/(x² + t²) dt over the real line, by the midpoint rule with nodes
    (k + ½)h. The pole at t = ix, while it is nearer than π/h, adds exactly 2/(1 + e^{2πx/h}); what is left
    is O(e^{−π²/h²}), below eps by the choice of h. Every term is positive: nothing cancels.
    (Chiarella & Reichel 1968; Matta & Reichel 1971.)
    """
    h, rule = _midpoint_rule(real_dtype(x.dtype))
    square = x * x
    total = np.zeros_like(x)
    term = np.empty_like(x)
    for node2, weight in rule:
        np.divide(weight, np.add(square, node2, out=term), out=term)
        total += term
    reach = number(PI, x.dtype) / h
    e = np.exp(-2.0 * reach * x) * (x.real < reach)
    return (2.0 / reach) * x * gaussian * total + 2.0 * e / (1.0 + e)  # eq-6.10


def erf(z: Array, a: Array, gaussian: Array) -> Array:
    """erf(z), given a = fold(z) and ``gaussian`` = exp(−a²): odd, so found at a and given z's sign.

    1 − erfc(a) would cancel near 0; there (2/√π) Σ (−1)ⁿ a^{2n+1} / (n! (2n + 1)).
    """
    square = a * a
    near = np.zeros_like(a)
    for coefficient in _maclaurin(real_dtype(z.dtype)):
        near *= square
        near += coefficient
    near *= a
    return odd(np.where(a.real < _ERF_SWITCH, near, 1.0 - erfc(a, gaussian)), z)


def _leading_half(x: Array) -> Array:
    """x rounded to half its digits (Veltkamp 1968), so that the product of two such is exact."""
    digits = 1 - round(math.log2(float(np.finfo(x.dtype).eps)))
    shifted = x * x.dtype.type(2.0 ** ((digits + 1) // 2) + 1.0)
    return shifted - (shifted - x)


@cache
def _midpoint_rule(dtype: np.dtype) -> tuple[np.floating, list]:
    """h and the (t², e^{−t²}) of the positive nodes t, smallest weight first, for `erfc` in ``dtype``."""
    spare = 6.0  # both errors, e^{−π²/h²} and the first weight left out, are eps·e^{−6}
    decay = spare - math.log(float(np.finfo(dtype).eps))
    h = np.longdouble(PI) / np.sqrt(np.longdouble(decay))
    nodes2 = ((np.arange(math.ceil(decay / math.pi - 0.5)) + np.longdouble(0.5)) * h) ** 2
    return dtype.type(h), [(dtype.type(t2), dtype.type(np.exp(-t2))) for t2 in nodes2[::-1]]


@cache
def _maclaurin(dtype: np.dtype) -> list:
    """(2/√π)(−1)ⁿ/(n!(2n + 1)), highest first, as many as ``dtype`` can see at `_ERF_SWITCH`."""
    lead, coefficients = 2 / np.sqrt(np.longdouble(PI)), []
    for n in range(40):
        coefficients.append(dtype.type((-1) ** n * lead / (math.factorial(n) * (2 * n + 1))))
        if float(abs(coefficients[-1])) * _ERF_SWITCH ** (2 * n) < 0.01 * float(np.finfo(dtype).eps):
            break
    return coefficients[::-1]
