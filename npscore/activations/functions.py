"""Smooth activations φ with φ′, φ″, φ‴: accurate to a few units in the last place, tails included.

The implicit objectives differentiate a network twice in x and once in θ, so they need φ′ and φ″ (and, for
second-order checks, φ‴) to full precision where a saturated unit lives: tanh′(20) is 1.7e-17, not the 0
that 1 − tanh² gives. Each activation is one generator that yields φ, φ′, φ″, φ‴ in turn: the orders share
their work, and those not asked for are never computed. With a = |z|, the forms use only exponentials
that decay, e = exp(−a) and its like; a comment gives the derivation where the code is not the textbook line.

All are analytic on the real line and are continued from it for complex z (with `special.fold` for |z|), so
that a complex step through φ⁽ᵏ⁾ gives φ⁽ᵏ⁺¹⁾. ReLU and the like are refused: see `get`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Union

import numpy as np

from .._run.borders import as_array, as_count, as_positive, picture
from . import special
from .refused import refusal

Array = np.ndarray
Jet = Iterator[Array]


def _tanh(z: Array) -> Jet:
    # With e = exp(−2a): sech² z = 4/(eᵃ + e⁻ᵃ)² = 4e/(1 + e)², which cancels nothing; 1 − t² cancels all in the tail.
    t = np.tanh(z)
    yield t  # eq-6.1
    with np.errstate(over="ignore"):  # 2a may pass the largest float: e is 0 long before
        e = special.fold(z) if z.dtype.kind == "c" else np.abs(z)
        e *= -2.0
        np.exp(e, out=e)
    d = 1.0 + e
    d *= d
    e *= 4.0
    e /= d
    yield (s := e)  # eq-6.1: φ′ = s = sech² z = 4e/(1 + e)²
    c = t * s
    c *= -2.0
    yield c  # eq-6.1: φ″ = −2ts
    yield s * (6.0 * t * t - 2.0)  # eq-6.1: φ‴


def _softplus(z: Array, beta: float) -> Jet:
    # log(1 + e^{βz}) = βz + log(1 + e^{−βz}), so φ = max(z, 0) + log(1 + e)/β with e = exp(−βa), 0 beyond the clamp.
    a = special.fold(z)
    near = special.clamp(a, special.exp_limit(z.dtype) / beta)
    e = special.exp_minus_product(beta, near)
    yield special.positive_part(z, a) + special.log1p(e) / beta  # eq-6.2
    d = 1.0 + e
    q = e / d
    yield special.sigmoid(q, z)  # eq-6.2: φ′ = σ(βz)
    d2 = beta * q / d
    yield d2  # eq-6.2: φ″ = βσ(1 − σ)
    t = special.odd(np.tanh((0.5 * beta) * near), z)
    yield d2 * (-beta * t)  # eq-6.2: φ‴ = βφ″(1 − 2σ); β² alone may overflow where t is 0


def _sigmoid(z: Array) -> Jet:
    # q = 1/(1 + eᵃ) is the smaller of σ(z) and σ(−z) = 1 − σ(z); p = σ(1 − σ); 1 − 2σ = −tanh(z/2), exact near 0.
    _, d, q = special.logistic(special.fold(z))
    yield special.sigmoid(q, z)  # eq-6.3
    p = q / d
    yield p  # eq-6.3: φ′
    t = np.tanh(0.5 * z)
    yield -p * t  # eq-6.3: φ″ = p(1 − 2σ)
    yield p * (1.5 * t * t - 0.5)  # eq-6.3: φ‴ = p(1 − 6p)


def _silu(z: Array) -> Jet:
    # With q = σ(−a) and p = σ(1 − σ) = q/(1 + e): σ is q or 1 − q, and tanh(a/2) = 1 − 2q.
    a = special.fold(z)
    _, d, q = special.logistic(a)
    sigmoid = special.sigmoid(q, z)
    yield z * sigmoid  # eq-6.4
    p = q / d
    slope = z * p
    slope += sigmoid
    yield slope  # eq-6.4: φ′ = σ + zσ′
    yield p * (2.0 - a + 2.0 * (a * q))  # eq-6.4: φ″ = p(2 − z tanh(z/2))
    t = np.tanh(0.5 * z)
    yield p * (z * (1.5 * t * t - 0.5) - 3.0 * t)  # eq-6.4: φ‴ = zσ‴ + 3σ″


def _gelu(z: Array) -> Jet:
    # zΦ(z) = max(z, 0) − aq, q = Φ(−a) = erfc(a/√2)/2. φ′ = Φ + zn is q − an for z < 0, 1 minus that for z > 0.
    whole = special.fold(z)
    a, gaussian = special.gauss(whole, 0.5)
    q = 0.5 * special.erfc(a / np.sqrt(special.number("2", z.dtype)), gaussian)
    yield special.positive_part(z, whole) - a * q  # eq-6.5
    n = gaussian / np.sqrt(2.0 * special.number(special.PI, z.dtype))
    yield special.reflect(q - a * n, z)  # eq-6.5: φ′
    yield (2.0 - a * a) * n  # eq-6.5: φ″
    yield (a * a - 4.0) * (z * n)  # eq-6.5: φ‴


def _sin(z: Array) -> Jet:
    sin = np.sin(z)
    yield sin  # eq-6.6
    cos = np.cos(z)
    yield cos
    yield -sin
    yield -cos


def _erf(z: Array) -> Jet:
    a, gaussian = special.gauss(special.fold(z))
    yield special.erf(z, a, gaussian)  # eq-6.7
    d1 = (2.0 / np.sqrt(special.number(special.PI, z.dtype))) * gaussian
    yield d1  # eq-6.7: φ′ = (2/√π) e^{−z²}
    yield -2.0 * (z * d1)  # eq-6.7: φ″
    yield (4.0 * a * a - 2.0) * d1  # eq-6.7: φ‴


def _isru(z: Array) -> Jet:
    # Beyond the clamp φ is ±1 and φ′ = |z|⁻³ below the smallest float, while z² is still finite.
    z = special.clamp(z, special.cube_limit(z.dtype))
    w = z * z
    w += 1.0
    root = np.sqrt(w)
    phi = special.ratio_to_root(z, root)
    yield phi  # eq-6.8
    v = 1.0 / w
    d1 = v / root
    yield d1  # eq-6.8: φ′ = (1 + z²)^{−3/2}
    d2 = phi * v
    d2 *= v
    d2 *= -3.0
    yield d2  # eq-6.8: φ″ = −3z(1 + z²)^{−5/2}
    yield 3.0 * d1 * v * (4.0 * phi * phi - v)  # eq-6.8: φ‴ = (12z² − 3)(1 + z²)^{−7/2}


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


_KERNELS: dict[str, Callable[..., Jet]] = {
    "tanh": _tanh,
    "softplus": _softplus,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "gelu": _gelu,
    "sin": _sin,
    "erf": _erf,
    "isru": _isru,
    "identity": _identity,
    "square": _square,
    "cube": _cube,
}
_UFUNCS = {"tanh": np.tanh, "sin": np.sin}  # a kernel's φ that can be written over its z
_BLOCK = 2**18  # elements worked on at a time, so that a kernel's temporaries stay in the cache
NAMES: tuple[str, ...] = tuple(_KERNELS)
_PARAMETERS: dict[str, dict[str, float]] = {"softplus": {"beta": 1.0}}  # each with its default; all are > 0


@dataclass(frozen=True)
class Activation:
    """A named smooth activation φ, elementwise; equal and hashable by name and parameters.

    ``params`` holds (name, value) pairs, ``(("beta", 2.0),)`` for softplus and ``()`` for the others. Arrays may
    have any shape; float32, float64, longdouble and their complex counterparts keep their type, integers become
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
        return tuple(derivative.reshape(z.shape) for derivative in self.unchecked_jet(z.reshape(-1), order))

    def unchecked_jet(self, z: Array, order: int) -> tuple[Array, ...]:
        """`jet` of a clean (…, h) array, a block at a time where it is large, so that temporaries stay in the cache."""
        with np.errstate(under="ignore"):  # a tail that ends in 0 is the right answer
            if z.size <= _BLOCK:
                return tuple(islice(self._kernel(z), order + 1))
            flat = z.reshape(-1)
            jet = tuple(np.empty_like(flat) for _ in range(order + 1))
            for start in range(0, z.size, _BLOCK):
                block = slice(start, start + _BLOCK)
                for whole, part in zip(jet, self._kernel(flat[block])):
                    whole[block] = part
            return tuple(derivative.reshape(z.shape) for derivative in jet)

    def overwrite(self, z: Array) -> Array:
        """φ of a clean (…, h) array that is not needed any more, in its memory."""
        flat = z.reshape(-1)
        with np.errstate(under="ignore"):
            if self.name in _UFUNCS:
                _UFUNCS[self.name](flat, out=flat)
            else:
                size = max(1, _BLOCK // 4)  # nothing is kept for a derivative: what fits a nearer cache
                for start in range(0, z.size, size):
                    part = flat[start : start + size]
                    part[...] = next(self._kernel(part))
        return flat.reshape(z.shape)

    def _kernel(self, z: Array) -> Jet:
        """φ, φ′, φ″, φ‴ of z in turn, in a wider type where that of z is too narrow for the parameters."""
        kernel = _KERNELS[self.name]
        if not self.params:
            return kernel(z)
        wide = _wide_enough(z.dtype, *(value for _, value in self.params))
        if wide == z.dtype:
            return kernel(z, **dict(self.params))
        return (derivative.astype(z.dtype) for derivative in kernel(z.astype(wide), **dict(self.params)))

    def spec(self) -> str:
        """The canonical text, such as "tanh" or "softplus(beta=2.0)": ``get(a.spec()) == a``."""
        inside = ", ".join(f"{name}={value!r}" for name, value in self.params)
        return f"{self.name}({inside})" if inside else self.name


def softplus(beta: float = 1.0) -> Activation:
    """log(1 + exp(βz))/β, which tends to max(z, 0) as β grows; ValueError unless β > 0."""
    return Activation("softplus", (("beta", beta),))


def get(activation: Union[str, Activation]) -> Activation:
    """The activation of this name ("tanh"), spec ("softplus(beta=2)") or kind (an `Activation`, as it is).

    ReLU and the like raise a ValueError that says what each breaks: where φ′ jumps, ŝ is not differentiable, the
    trace term is undefined on the kinks and its gradient, which is made of φ″, misses every jump. Anything
    else unknown raises a ValueError that lists `NAMES`; what is no text or Activation, a TypeError.
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise TypeError(f"activation must be a name, a spec or an Activation, got {picture(activation)}")
    match = re.fullmatch(r"([\w-]+)\s*(?:\(([^()]*)\))?", activation.strip())
    name = match[1].lower().replace("-", "_") if match else activation
    if reason := refusal(name):
        raise ValueError(reason)
    if name not in _KERNELS:
        raise ValueError(_unknown(activation))
    return Activation(name, tuple(_parsed_params(activation, match[2] or "").items()))


def _wide_enough(dtype: np.dtype, *parameters: float) -> np.dtype:
    """``dtype``, or the next wider in which no parameter is near or past the end of the range.

    Nor is one above 2¹¹, since it multiplies exp(−βa), which is below the range where the product need not be.
    """
    exponents = [math.frexp(value)[1] for value in parameters]
    for real in (np.float32, np.float64, np.longdouble):
        wide = np.result_type(dtype, real)
        if all(30 - np.finfo(wide).maxexp <= exponent <= 11 for exponent in exponents):
            break
    return wide


def _parsed_params(spec: str, inside: str) -> dict[str, float]:
    params: dict[str, float] = {}
    for item in filter(None, map(str.strip, inside.split(","))):
        name, _, text = map(str.strip, item.partition("="))
        if name in params:
            raise ValueError(f"activation must give {name} once, got {picture(spec)}")
        try:
            params[name] = float(text)
        except ValueError:
            shown = picture(spec)
            raise ValueError(f"activation must be of the form softplus(beta=2.0), got {shown}") from None
    return params


def _checked_params(name: str, given: dict[str, float]) -> tuple[tuple[str, float], ...]:
    known = _PARAMETERS.get(name, {})
    for parameter in given:
        if parameter not in known:
            takes = ", ".join(known) or "no parameters"
            raise ValueError(f"activation {name} takes {takes}, got {picture(parameter)}")
    return tuple((key, as_positive(given.get(key, default), key)) for key, default in known.items())


def _unknown(name: str) -> str:
    return f"activation must be one of {', '.join(NAMES)}, got {picture(name)}"
