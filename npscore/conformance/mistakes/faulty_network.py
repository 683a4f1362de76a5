"""A network with its whole Jacobian, and a backward pass in which single lines can be left out.

n rows, d coordinates; layer l maps h_{l-1} units to h_l. J (n, d, d) is formed in full, which suits the small
networks of the cases: any formula in s and J, right or wrong, has its gradient from two cotangents, ds (n, d) and
dJ (n, d, d).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .base import Array
from .targets import activation_of

Jets = Callable[[Array], tuple[Array, ...]]


@dataclass(frozen=True)
class Faults:
    """Lines of the backward pass that are wrong; layers count from 1."""

    no_curvature: tuple[int, ...] = ()  # φ″ dropped at these hidden layers
    no_slope: tuple[int, ...] = ()  # φ′ dropped in dz = φ′ da
    slope_at_output: bool = False  # φ′(a) for φ′(z)
    bias: float = 1.0  # factor on every db
    bias_mean: bool = False  # db a mean over rows once too often
    output_bias: float = 1.0  # factor on the last db


NO_FAULTS = Faults()


def jets_of(case: Any, arrays: dict[str, Array]) -> Jets:
    """(φ, φ′, φ″) of the case's activation."""
    activation = activation_of(case, arrays)
    return lambda z: activation.jet(z, 2)


@dataclass(frozen=True)
class Pass:
    """One forward pass: s, J and what the backward pass needs."""

    layers: Sequence[tuple[Array, Array]]
    jets: Jets
    x: Array
    last_active: bool = False  # φ after the last layer too: a mistake

    @cached_property
    def stack(self) -> list[tuple[Array, Array, Array, Any]]:
        """Per layer: input a (n, h), tangents T (n, h, d), U = W T (n, h', d), and φ's jet at z or None."""
        a, T = self.x, np.broadcast_to(np.eye(self.x.shape[1]), (*self.x.shape, self.x.shape[1]))
        out = []
        for l, (W, b) in enumerate(self.layers, 1):
            z, U = a @ W.T + b, W @ T  # eq-4.1, eq-5.2
            jet = self.jets(z) if l < len(self.layers) or self.last_active else None
            out.append((a, T, U, jet))
            a, T = (z, U) if jet is None else (jet[0], jet[1][:, :, None] * U)  # eq-4.2, eq-5.3
        out.append((a, T, None, None))
        return out

    @property
    def s(self) -> Array:
        return self.stack[-1][0]

    @property
    def J(self) -> Array:
        return self.stack[-1][1]

    def pullback(self, ds: Array, dJ: Array, faults: Faults) -> list[tuple[Array, Array]]:
        """[(dW1, db1), …] from the cotangents of s and J."""
        da, dT, grads = ds, dJ, []
        for l in range(len(self.layers), 0, -1):
            (W, _), (a, T, U, jet) = self.layers[l - 1], self.stack[l - 1]
            dz, dU = (da, dT) if jet is None else self._through(l, da, dT, U, jet, faults)
            db = dz.sum(axis=0) * faults.bias * (faults.output_bias if l == len(self.layers) else 1.0)
            db = db / len(a) if faults.bias_mean else db
            grads.append((dz.T @ a + np.einsum("nik,njk->ij", dU, T), db))  # eq-4.5, eq-5.7
            da, dT = dz @ W, W.T @ dU  # eq-4.7, eq-5.8
        return grads[::-1]

    def _through(
        self, l: int, da: Array, dT: Array, U: Array, jet: Any, faults: Faults
    ) -> tuple[Array, Array]:
        slope = self.jets(jet[0])[1] if faults.slope_at_output else jet[1]
        dz = da if l in faults.no_slope else slope * da  # eq-4.8
        if l not in faults.no_curvature:
            dz = dz + jet[2] * (dT * U).sum(axis=2)  # eq-5.10
        return dz, jet[1][:, :, None] * dT
