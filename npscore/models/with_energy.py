"""What a score that is a gradient has beside it: the energy, and the log-density up to a constant."""

from __future__ import annotations

from typing import Any, Optional

from .._run.borders import unchecked_twin
from .base import Array
from .rows import map_in_blocks, rows_per_block


class WithEnergy:
    """Score models with an energy E, s = −∇E; a subclass gives ``_energy(x, cond)`` of clean arrays, (n,)."""

    def energy(self, x: Any, cond: Any = None) -> Array:
        """E(x), shape (n,), for x of shape (n, d): s = −∇E, the confinement included."""
        return map_in_blocks(self._energy, *self._inputs(x, cond), rows_per_block(self._numbers))

    @unchecked_twin("_log_density")
    def log_density(self, x: Any, cond: Any = None) -> Array:
        """log p(x) = −E(x) up to a constant that does not depend on x (but on cond), shape (n,)."""
        return -self.energy(x, cond)

    def _log_density(self, x: Array, cond: Optional[Array] = None) -> Array:
        return -self._energy(x, cond)

    def _energy(self, x: Array, cond: Optional[Array] = None) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _energy")
