"""Smooth activations φ with φ′, φ″, φ‴: accurate to a few units in the last place, tails included.

The implicit objectives differentiate a network twice in x and once in θ, so they need φ′ and φ″ (and, for
second-order checks, φ‴) to full precision where a saturated unit lives: tanh′(20) is 1.7e-17, not the 0
that 1 − tanh² gives. Each activation is one generator that yields φ, φ′, φ″, φ‴ in turn: the orders share
their work, and those not asked for are never computed. With a = |z|, the forms use only exponentials
that decay, e = exp(−a) and its like; a comment gives the derivation where the code is not the textbook line.

All are analytic on the real line and are continued from it for complex z (with `_special.fold` for |z|), so
that a complex step through φ⁽ᵏ⁾ gives φ⁽ᵏ⁺¹⁾. ReLU and its kin are refused: see `get`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Union

import numpy as np

from npscore import _special as special
from npscore._refused import refusal
from npscore._validation import as_array, as_count, as_positive

Array = np.ndarray
Jet = Iterator[Array]


def _identity(z: Array) -> Jet:
    yield z.copy()  # eq-6.9
    yield np.ones_like(z)
    yield np.zeros_like(z)
    yield np.zeros_like(z)


def _square(z: Array) -> Jet:
    yield z * z  # eq-6.9
    yield 2.0 * z
    yield np.full_like(z, 2.0)
    yield np.zeros_like(z)


def _cube(z: Array) -> Jet:
    square = z * z
    yield square * z  # eq-6.9
    yield 3.0 * square
    yield 6.0 * z
    yield np.full_like(z, 6.0)


def _sin(z: Array) -> Jet:
    yield (sin := np.sin(z))  # eq-6.6
    yield (cos := np.cos(z))
    yield -sin
    yield -cos


def _tanh(z: Array) -> Jet:
    # s = sech² z = 4/(eᵃ + e⁻ᵃ)² = 4e/(1 + e)² with e = e⁻²ᵃ: no difference of near-equals, where 1 − t² is one.
    yield (t := np.tanh(z))  # eq-6.1
    with np.errstate(over="ignore"):  # 2a may pass the largest float: e is 0 long before
        e = -2.0 * special.fold(z)
    np.exp(e, out=e)
    s = 4.0 * e
    e += 1.0
    s /= e
    s /= e
    yield s  # eq-6.1: φ′ = s
    d2 = t * s
    d2 *= -2.0
    yield d2  # eq-6.1: φ″ = −2ts
    d3 = -6.0 * s
    d3 += 4.0
    d3 *= s
    yield d3  # eq-6.1: φ‴ = s(6t² − 2) = s(4 − 6s)


def _sigmoid(z: Array) -> Jet:
    # q = 1/(1 + eᵃ) is the smaller of σ(z), σ(−z) = 1 − σ(z); p = σ(1 − σ); 1 − 2σ = −tanh(z/2), exact at 0 too.
    _, q, p = _logistic(special.fold(z))
    yield special.reflect(q, z)  # eq-6.3
    yield p  # eq-6.3: φ′ = p
    d2 = np.tanh(-0.5 * z)
    d2 *= p
    yield d2  # eq-6.3: φ″ = −p tanh(z/2)
    d3 = -6.0 * p
    d3 += 1.0
    d3 *= p
    yield d3  # eq-6.3: φ‴ = p(1 − 6p)


def _softplus(z: Array, beta: float) -> Jet:
    # log(1 + e^{βz})/β = max(z, 0) + log(1 + e^{−βa})/β: the exponential never grows. Beyond the clamp it is 0.
    a = special.fold(z)
    clamped = special.clamp(a, special.exp_limit(z.dtype) / beta)
    e = special.exp_minus_product(beta, clamped)
    value = special.log1p(e)
    value /= beta
    value += special.positive_part(z, a)
    yield value  # eq-6.2
    d = 1.0 + e
    q = np.divide(e, d, out=e)
    yield special.reflect(q, z)  # eq-6.2: φ′ = σ(βz)
    p = beta * q
    p /= d
    yield p  # eq-6.2: φ″ = βσ(1 − σ)
    d3 = special.odd(np.tanh((0.5 * beta) * clamped), z)
    d3 *= p
    d3 *= -beta
    yield d3  # eq-6.2: φ‴ = −βφ″ tanh(βz/2)


def _silu(z: Array) -> Jet:
    # zσ(z) = max(z, 0) − aq, and φ′ = σ + zσ′ is g = q − ap = p(1 + e − a) for z < 0 and 1 − g for z ≥ 0.
    a = special.fold(z)
    e, q, p = _logistic(a)
    q *= a
    value = special.positive_part(z, a)
    value -= q
    yield value  # eq-6.4
    e += 1.0
    e -= a
    e *= p
    yield special.reflect(e, z)  # eq-6.4: φ′
    q *= 2.0
    q -= a
    q += 2.0
    q *= p
    yield q  # eq-6.4: φ″ = p(2 − z tanh(z/2)) = p(2 − a + 2aq)
    d3 = -6.0 * p
    d3 += 1.0
    d3 *= z
    d3 -= 3.0 * np.tanh(0.5 * z)
    d3 *= p
    yield d3  # eq-6.4: φ‴ = p(z(1 − 6p) − 3 tanh(z/2))


def _gelu(z: Array) -> Jet:
    # zΦ(z) = max(z, 0) − aq with q = Φ(−a) = erfc(a/√2)/2; φ′ = Φ + zn is q − an for z < 0, n the density.
    whole = special.fold(z)
    a, n = special.gauss(whole, 0.5)
    q = special.erfc(a * np.sqrt(special.real_dtype(z.dtype).type(0.5)), n)
    q *= 0.5
    value = special.positive_part(z, whole)
    value -= a * q
    yield value  # eq-6.5
    n /= np.sqrt(2.0 * special.pi(z.dtype))
    q -= a * n
    yield special.reflect(q, z)  # eq-6.5: φ′
    a *= a
    d2 = 2.0 - a
    d2 *= n
    yield d2  # eq-6.5: φ″ = (2 − z²)n
    n *= z
    a -= 4.0
    a *= n
    yield a  # eq-6.5: φ‴ = (z² − 4)zn


def _erf(z: Array) -> Jet:
    a, gaussian = special.gauss(special.fold(z))
    yield special.erf(z, a, gaussian)  # eq-6.7
    gaussian *= 2.0 / np.sqrt(special.pi(z.dtype))
    yield gaussian  # eq-6.7: φ′ = (2/√π) e^{−z²}
    d2 = gaussian * z
    d2 *= -2.0
    yield d2  # eq-6.7: φ″ = −2zφ′
    a *= a
    a *= 4.0
    a -= 2.0
    a *= gaussian
    yield a  # eq-6.7: φ‴ = (4z² − 2)φ′


def _isru(z: Array) -> Jet:
    # Beyond the clamp φ = ±1 and φ′ = |z|⁻³ is below the smallest float, while z² is still finite.
    z = special.clamp(z, special.cube_limit(z.dtype))
    w = z * z
    w += 1.0
    root = np.sqrt(w)
    z /= root
    yield z  # eq-6.8
    v = np.divide(1.0, w, out=w)
    d1 = np.divide(v, root, out=root)
    yield d1  # eq-6.8: φ′ = (1 + z²)^{−3/2}
    d2 = z * v
    d2 *= v
    d2 *= -3.0
    yield d2  # eq-6.8: φ″ = −3φv² with v = 1/(1 + z²)
    d3 = -15.0 * v
    d3 += 12.0
    d3 *= v
    d3 *= d1
    yield d3  # eq-6.8: φ‴ = (12z² − 3)(1 + z²)^{−7/2} = 3φ′v(4 − 5v)


def _logistic(a: Array) -> tuple[Array, Array, Array]:
    """e = exp(−a), q = e/(1 + e) and p = e/(1 + e)², for Re a ≥ 0."""
    e = np.exp(-a)
    d = 1.0 + e
    q = e / d
    return e, q, np.divide(q, d, out=d)


_KERNELS: dict[str, Callable[..., Jet]] = {
    "tanh": _tanh,
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
    "sin": _sin,
    "erf": _erf,
    "sigmoid": _sigmoid,
    "isru": _isru,
    "identity": _identity,
    "square": _square,
    "cube": _cube,
}
NAMES: tuple[str, ...] = tuple(_KERNELS)
_PARAMETERS: dict[str, dict[str, float]] = {"softplus": {"beta": 1.0}}  # each with its default; all are > 0


@dataclass(frozen=True)
class Activation:
    """A named smooth activation φ, elementwise; equal and hashable by name and parameters.

    ``params`` holds (name, value) pairs, ``(("beta", 2.0),)`` for softplus and ``()`` for the others. Arrays may
    have any shape; float32, float64, longdouble and their complex kin keep their type, integers become
    float64, and every array that comes back is new. Use `get` or `softplus` to make one.
    """

    name: str
    params: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in _KERNELS:
            raise ValueError(_unknown(self.name))
        object.__setattr__(self, "params", _checked_params(self.name, dict(self.params)))

    def __call__(self, z: Any) -> Array:
        """φ(z), of z's shape."""
        return self.jet(z, 0)[0]

    def jet(self, z: Any, order: int) -> tuple[Array, ...]:
        """(φ, φ′, …, φ^(order)) at z, each of z's shape, for ``order`` from 0 to 3.

        Raises TypeError where z is not numeric, ValueError where the order is outside 0 … 3.
        """
        if as_count(order, "order", 0) > 3:
            raise ValueError(f"order must be a whole number from 0 to 3, got {order}")
        z = as_array(z, "z", allow_complex=True, finite=False)
        with np.errstate(under="ignore"):  # a tail that ends in 0 is the right answer
            jet = tuple(islice(_KERNELS[self.name](np.atleast_1d(z), **dict(self.params)), order + 1))
        return tuple(derivative.reshape(z.shape) for derivative in jet)

    def spec(self) -> str:
        """The canonical text, such as "tanh" or "softplus(beta=2.0)": ``get(a.spec()) == a``."""
        inside = ", ".join(f"{name}={value!r}" for name, value in self.params)
        return f"{self.name}({inside})" if inside else self.name


def softplus(beta: float = 1.0) -> Activation:
    """log(1 + exp(βz))/β, which tends to max(z, 0) as β grows; ValueError unless β > 0."""
    return Activation("softplus", (("beta", beta),))


def get(activation: Union[str, Activation]) -> Activation:
    """The activation of this name ("tanh"), spec ("softplus(beta=2)") or kind (an `Activation`, as it is).

    ReLU and its kin raise a ValueError that says what each breaks: where φ′ jumps, ŝ is not differentiable, the
    trace term is undefined on the kinks and its gradient, which is made of φ″, misses every jump. Anything
    else unknown raises a ValueError that lists `NAMES`; what is no text or Activation, a TypeError.
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise TypeError(f"activation must be a name, a spec or an Activation, got {activation!r}")
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", activation)
    name = match[1].lower().replace("-", "_") if match else activation
    if reason := refusal(name):
        raise ValueError(reason)
    if name not in _KERNELS:
        raise ValueError(_unknown(activation))
    return Activation(name, tuple(_parsed_params(activation, match[2] or "")))


def _parsed_params(spec: str, inside: str) -> Iterator[tuple[str, float]]:
    for item in filter(None, map(str.strip, inside.split(","))):
        name, _, text = map(str.strip, item.partition("="))
        try:
            yield name, float(text)
        except ValueError:
            raise ValueError(f"activation must be of the form softplus(beta=2.0), got {spec!r}") from None


def _checked_params(name: str, given: dict[str, float]) -> tuple[tuple[str, float], ...]:
    known = _PARAMETERS.get(name, {})
    for parameter in given:
        if parameter not in known:
            takes = ", ".join(known) or "no parameters"
            raise ValueError(f"activation {name} takes {takes}, got {parameter!r}")
    return tuple((key, as_positive(given.get(key, default), key)) for key, default in known.items())


def _unknown(name: str) -> str:
    return f"activation must be one of {', '.join(NAMES)}, got {name!r}"
