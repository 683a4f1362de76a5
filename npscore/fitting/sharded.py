"""An objective over more rows than one machine holds: a sum over shards, each walked through by a worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from .._run.borders import as_count, as_rng, draw_entropy
from .._run.executors import as_executor
from ..models.base import ScoreModel
from ..objectives import LossGrad, Objective, as_objective
from .rows import BLOCK_ROWS, Rows, stream
from .shards import Shard, as_shards


def sharded(
    objective: Union[str, Objective, Any],
    executor: Any,
    shards: Iterable[Any],
    *,
    sigma: Optional[float] = None,
    n_probes: int = 1,
    probe: str = "rademacher",
    block_rows: int = BLOCK_ROWS,
) -> Sharded:
    """The mean of an objective over all rows of all shards: ``total = sharded("ism", executor, shards)``.

    ``loss, grad, _ = total(model, rng=0)`` is one evaluation; ``fit(model, None, total, optimizer="lbfgs")`` fits.

    objective
        "ism", "ssm", "ssm-vr" (``n_probes``, ``probe``), "dsm" (``sigma``), as in ``fit``; an object of
        ``npscore.objectives``; or any callable (model, rows, rng) -> LossGrad whose loss is the mean over its rows.
    executor
        As in ``concurrent.futures``: a pool of threads or processes, Dask's ``client.get_executor()``, mpi4py's
        ``MPIPoolExecutor``; a shard is a job. None: here, one shard after another.
    shards
        A list of parts of the data, each with its own number of rows and all with the same d: paths of .npy files or
        memory maps (``np.load(path, mmap_mode="r")``), of which only the place in the file is sent, so every
        worker must find it under the same path; or (nᵢ, d) arrays, which travel with every evaluation. For a model
        with a condition each part is a tuple (x, cond) of two such, cond with the shape (nᵢ, c).

    A worker walks through its shard ``block_rows`` rows at a time and holds no more than a block's
    intermediates. The numbers are those of the objective on all rows together, to rounding: the sum runs over
    blocks and then shards, in order, in float64 at least, on whatever executor, so any executor and any
    number of workers on machines of one kind give the same bits (with threadpoolctl installed, which keeps BLAS to
    one thread). A shard's part travels in the type of its terms.

    Noise and probes: shard i draws from its own stream ``total.streams(rng)[i]``, block after block. A seed gives
    the same ones at every evaluation. They are others than one stream over all rows would give, of the same law.

    Raises TypeError or ValueError for a wrong argument; when called, ValueError naming shard, row and column of a
    number that is not finite, and what the objective or the executor raises, as it is.
    """
    probes = {} if (n_probes, probe) == (1, "rademacher") else {"n_probes": n_probes, "probe": probe}
    objective = as_objective(objective, rows="rows", sigma=sigma, **probes)
    block_rows = as_count(block_rows, "block_rows")
    return Sharded(objective, Rows(as_shards(shards), as_executor(executor), block_rows))


@dataclass(frozen=True, eq=False, repr=False)
class Sharded:
    """An objective with its rows: made by ``sharded``, called as ``total(model, rng=seed)``."""

    objective: Objective
    rows: Rows

    def __call__(self, model: ScoreModel, batch: None = None, rng: Any = None) -> LossGrad:
        """Loss and gradient (p,) over all rows; ``per_sample`` is None: n numbers stay where they are.

        ``batch`` must be None: the rows are the shards'. ``rng`` (a Generator, a seed, or None for fresh noise)
        seeds the shards' streams; a Generator moves on by four 32-bit words.
        """
        self.check(model)
        if batch is not None:
            raise ValueError(f"batch must be None: the shards are the rows, got {type(batch).__name__}")
        return self.rows.evaluate(self.objective, model, draw_entropy(as_rng(rng)))

    def streams(self, rng: Any = None) -> list[np.random.Generator]:
        """The random stream of each shard, at its start, that an evaluation with this ``rng`` gives it."""
        entropy = draw_entropy(as_rng(rng))
        return [stream(entropy, index) for index in range(len(self.shards))]

    def check(self, model: Any) -> None:
        """Raise TypeError or ValueError unless this is a model of the shards' d."""
        if not isinstance(model, ScoreModel):
            raise TypeError(f"model must be an npscore model, got {type(model).__name__}")
        if model.d != self.d:
            raise ValueError(f"model must have d = {self.d}, as the shards have, got d = {model.d}")

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The parts of the data."""
        return self.rows.shards

    @property
    def n(self) -> int:
        """The number of rows of all shards."""
        return self.rows.n

    @property
    def d(self) -> int:
        """The number of columns."""
        return self.rows.d

    def __repr__(self) -> str:
        spec = self.objective.spec()
        name = "callable" if spec is None else spec.get("name", spec.get("objective", "objective"))
        return f"<npscore.sharded {name}: {len(self.shards):,} shards, {self.n:,} x {self.d}>"
