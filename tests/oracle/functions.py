"""Route 1's activations: φ, φ′, φ″, φ‴ from the definitions, to the digits of the current decimal context.

The derivatives are the textbook ones; nothing here is believed before ``differences`` has found the same digits
from φ alone. No form subtracts nearly equal numbers for large |z|, except φ itself where the caller asks for
more digits (`functions.DIGITS_LOST`).
"""

from __future__ import annotations

from decimal import Decimal, getcontext, localcontext
from functools import lru_cache
from typing import Any

from .numbers import Jet, Sized


@lru_cache(maxsize=64)
def _pi(digits: int) -> Decimal:
    """16 arctan(1/5) − 4 arctan(1/239), Machin 1706."""

    def arctan_inverse(k: int) -> Decimal:
        power, total, n = Decimal(1) / k, Decimal(0), 1
        while total + power / n != total:
            total += power / n
            power, n = -power / (k * k), n + 2
        return total

    with localcontext() as context:
        context.prec = digits + 10
        return 16 * arctan_inverse(5) - 4 * arctan_inverse(239)


def pi() -> Decimal:
    """π to a little more than the current precision."""
    return _pi(getcontext().prec)


def erf(z: Decimal) -> Decimal:
    """(2/√π) e^{−z²} Σ z (2z²)ⁿ/(1·3·5···(2n + 1)): all terms have one sign."""
    term = total = z
    n = 0
    while total + term != total:
        n += 1
        term *= 2 * z * z / (2 * n + 1)
        total += term
    return 2 / pi().sqrt() * (-z * z).exp() * total


def sin_cos(z: Decimal) -> tuple[Decimal, Decimal]:
    """Both Taylor series, after whole turns are taken off."""
    with localcontext() as context:
        context.prec += 10 + max(0, z.adjusted())
        turn = 2 * pi()
        z -= (z / turn).to_integral_value() * turn
        sums, term, n = [Decimal(0)] * 4, Decimal(1), 0
        while abs(term) > Decimal(10) ** -context.prec or n < 8:
            sums[n % 4] += term
            n += 1
            term *= z / n
        return sums[1] - sums[3], sums[0] - sums[2]


def _logistic(z: Any) -> tuple[Any, ...]:
    q, p = 1 / (1 + (-z).exp()), 1 / (1 + z.exp())  # σ(z), σ(−z)
    d1 = q * p
    return q, d1, d1 * (p - q), d1 * (1 - 6 * d1)


def _tanh(z: Any) -> tuple[Any, ...]:
    e = (-2 * z).exp()
    _, d1, d2, d3 = _logistic(2 * z)
    return (1 - e) / (1 + e), 4 * d1, 8 * d2, 16 * d3  # tanh z = 2σ(2z) − 1


def _softplus(z: Any, beta: Any) -> tuple[Any, ...]:
    q, d1, d2, _ = _logistic(beta * z)
    return (1 + (beta * z).exp()).ln() / beta, q, beta * d1, beta * beta * d2


def _silu(z: Any) -> tuple[Any, ...]:
    q, d1, d2, d3 = _logistic(z)
    return z * q, q + z * d1, 2 * d1 + z * d2, 3 * d2 + z * d3


def _gelu(z: Any) -> tuple[Any, ...]:
    cumulative = (1 + erf(z / Decimal(2).sqrt())) / 2
    density = (-z * z / 2).exp() / (2 * pi()).sqrt()
    return z * cumulative, cumulative + z * density, (2 - z * z) * density, (z**3 - 4 * z) * density


def _sin(z: Any) -> tuple[Any, ...]:
    sin, cos = sin_cos(z)
    return sin, cos, -sin, -cos


def _erf(z: Any) -> tuple[Any, ...]:
    d1 = 2 / pi().sqrt() * (-z * z).exp()
    return erf(z), d1, -2 * z * d1, (4 * z * z - 2) * d1


def _isru(z: Any) -> tuple[Any, ...]:
    r = 1 / (1 + z * z).sqrt()
    return z * r, r**3, -3 * z * r**5, (12 * z * z - 3) * r**7


def _sized_logistic(z: Sized) -> Sized:
    return (ONE + (-z).exp()).inverse()


def _tanh_textbook(z: Sized, t: Sized) -> tuple[Sized, ...]:
    slope = ONE - t * t
    return t, slope, -(TWO * t * slope)


def _sigmoid_textbook(z: Sized, q: Sized) -> tuple[Sized, ...]:
    slope = q * (ONE - q)
    return q, slope, slope * (ONE - TWO * q)


def _softplus_textbook(z: Sized, phi: Sized, beta: Any) -> tuple[Sized, ...]:
    q = _sized_logistic(Sized(beta) * z)
    return phi, q, Sized(beta) * q * (ONE - q)


def _silu_textbook(z: Sized, phi: Sized) -> tuple[Sized, ...]:
    q = _sized_logistic(z)
    return z * q, q * (ONE + z * (ONE - q)), q * (ONE - q) * (TWO + z * (ONE - TWO * q))


def _gelu_textbook(z: Sized, phi: Sized) -> tuple[Sized, ...]:
    cumulative = (ONE + Sized(erf(z.value / Decimal(2).sqrt()))) / TWO
    density = (-(z * z) / TWO).exp() / Sized((2 * pi()).sqrt())
    return z * cumulative, cumulative + z * density, density * (TWO - z * z)


ONE, TWO = Sized(Decimal(1)), Sized(Decimal(2))
#: φ, φ′, φ″ of z and φ(z) as they are usually written, where terms cancel in that: only the sizes are used.
TEXTBOOK: dict[str, Any] = {
    "tanh": _tanh_textbook,
    "sigmoid": _sigmoid_textbook,
    "silu": _silu_textbook,
    "gelu": _gelu_textbook,
}
#: The first three work in any field.
JETS: dict[str, Any] = {
    "identity": lambda z: (z, 1 + 0 * z, 0 * z, 0 * z),
    "square": lambda z: (z * z, 2 * z, 2 + 0 * z, 0 * z),
    "cube": lambda z: (z * z * z, 3 * z * z, 6 * z, 6 + 0 * z),
    "tanh": _tanh,
    "softplus": _softplus,
    "sigmoid": _logistic,
    "silu": _silu,
    "gelu": _gelu,
    "sin": _sin,
    "erf": _erf,
    "isru": _isru,
}
RATIONAL = ("identity", "square", "cube")


def jet(name: str, beta: Any = None) -> Jet:
    """An activation by name."""
    if name == "softplus":
        return Jet(lambda z: _softplus(z, beta), lambda z, phi: _softplus_textbook(z, phi, beta))
    return Jet(JETS[name], TEXTBOOK.get(name))
