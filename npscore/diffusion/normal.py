"""The quantiles of the standard normal law, which stratified noise levels are made of."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

#: Numerators and denominators, highest power first: in r = 0.180625 − q² for |q| = |u − ½| ≤ 0.425, and beyond in
#: r = √(−log min(u, 1 − u)), less 1.6 where r ≤ 5 and less 5 further out. Wichura 1988, AS 241 (PPND16).
CENTRE = (
    (
        2509.0809287301227,
        33430.57558358813,
        67265.7709270087,
        45921.95393154987,
        13731.69376550946,
        1971.5909503065513,
        133.14166789178438,
        3.3871328727963665,
    ),
    (
        5226.495278852854,
        28729.085735721943,
        39307.89580009271,
        21213.794301586597,
        5394.196021424751,
        687.1870074920579,
        42.31333070160091,
        1.0,
    ),
)
MIDDLE = (
    (
        0.0007745450142783414,
        0.022723844989269184,
        0.2417807251774506,
        1.2704582524523684,
        3.6478483247632045,
        5.769497221460691,
        4.630337846156546,
        1.4234371107496835,
    ),
    (
        1.0507500716444169e-09,
        0.0005475938084995345,
        0.015198666563616457,
        0.14810397642748008,
        0.6897673349851,
        1.6763848301838038,
        2.053191626637759,
        1.0,
    ),
)
TAIL = (
    (
        2.0103343992922881e-07,
        2.7115555687434876e-05,
        0.0012426609473880784,
        0.026532189526576124,
        0.29656057182850487,
        1.7848265399172913,
        5.463784911164114,
        6.657904643501103,
    ),
    (
        2.0442631033899397e-15,
        1.421511758316446e-07,
        1.8463183175100548e-05,
        0.0007868691311456133,
        0.014875361290850615,
        0.1369298809227358,
        0.599832206555888,
        1.0,
    ),
)


def normal_quantile(u: Array) -> Array:
    """Φ⁻¹(u) for u in (0, 1), float64, to a relative accuracy of 1e-15."""
    q = u - 0.5
    quantile = q * _ratio(CENTRE, 0.180625 - q * q)
    out = np.flatnonzero(np.abs(q) > 0.425)
    if out.size:
        r = np.sqrt(-np.log(np.minimum(u[out], 1.0 - u[out])))
        far = _ratio(MIDDLE, r - 1.6)
        if r.max() > 5.0:
            far = np.where(r <= 5.0, far, _ratio(TAIL, r - 5.0))
        quantile[out] = np.copysign(far, q[out])
    return quantile


def _ratio(polynomials: tuple[tuple[float, ...], tuple[float, ...]], r: Array) -> Array:
    (top, *numerator), (bottom, *denominator) = polynomials
    for a, b in zip(numerator, denominator):  # Horner's rule for both
        top, bottom = top * r + a, bottom * r + b
    return top / bottom
