"""Where the rows of a fit come from, in memory or in shards, and one evaluation of an objective over all of them.

With n rows in k shards of nᵢ, the loss of all rows is Σᵢ (nᵢ/n) ℓ̄ᵢ and its gradient Σᵢ (nᵢ/n) ∇ℓ̄ᵢ, where ℓ̄ᵢ is
the loss of shard i: not the mean of the ℓ̄ᵢ, unless all shards are of one length. So θ goes to each worker, p + 1
numbers come back, and no row travels that lies in a file. Rows in memory are one shard, walked through here.

A step on W workers: c p flops a row (c = 6 or so for DSM, 11 for exact ISM), r flops a second each; θ and a gradient
of 8p bytes each through the one network link of the sender, B bytes a second; τ for the executor to hand out a job:

    T(W) = c p n / (W r) + W (16 p / B + τ)

The sum is least where its two terms are equal, at W* = √(c p n / (r (16 p / B + τ))). Where τ is negligible, W* does
not depend on p: with W workers, computing outweighs sending as long as n/W > 16 r W / (c B) rows a worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.blas import one_blas_thread
from .._run.borders import as_array, as_batch, as_shaped
from .._run.executors import submit_all
from ..datasets.rounding import unchecked_dequantise
from ..models.base import Array, ScoreModel
from ..objectives import LossGrad, Objective
from .shards import Shard

BLOCK_ROWS = 2048
ROWS_EXAMINED = 2**16


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of a fit, (n, d), with their conditions where they have any, and who evaluates an objective on them.

    Gaussian noise of standard deviation ``jitter`` (d,) is added to rows when they are handed out; None: no noise.
    """

    shards: tuple[Shard, ...]
    executor: Any = None
    block_rows: int = BLOCK_ROWS
    dtype: Optional[np.dtype] = None  # the type that rows are computed in; None: their own
    jitter: Optional[Array] = None
    in_memory: bool = False  # one shard here, whose numbers are known to be finite

    @property
    def n(self) -> int:
        """The number of rows of all shards."""
        return sum(shard.x.shape[0] for shard in self.shards)

    @property
    def d(self) -> int:
        """The number of columns."""
        return self.shards[0].x.shape[1]

    @property
    def conditional(self) -> bool:
        """Whether the rows have conditions."""
        return self.shards[0].cond is not None

    def to_examine(self) -> Array:
        """Rows to look for rounding in: all that are in memory, or the first of the first shard."""
        first = self.shards[0]
        return first.x if self.in_memory else next(first.blocks(ROWS_EXAMINED))[0]

    def batch(self, index: Array, rng: np.random.Generator) -> tuple[Array, Optional[Array]]:
        """The rows of these numbers with fresh noise, and their conditions, of rows in memory."""
        (shard,) = self.shards
        cond = None if shard.cond is None else shard.cond[index]
        x = shard.x[index]
        return x if self.jitter is None else with_jitter(x, self.jitter, rng), cond

    def evaluate(self, objective: Objective, model: ScoreModel, entropy: tuple[int, ...]) -> LossGrad:
        """The objective's loss and gradient (p,) over all rows; ``per_sample`` is None: n numbers stay where they are.

        Shard i draws noise and probes from ``stream(entropy, i)``, block after block: the same at every evaluation.
        The sum runs over blocks and then shards, in order, on whatever executor.
        """
        jobs = self.jobs(objective, model, entropy)
        if len(jobs) == 1 and self.executor is None:
            return LossGrad(*run_shard(jobs[0]), None)
        names = [shard.name for shard in self.shards]
        sent = {"objective": objective, "model": model}
        loss, grad = Sum(), Sum()
        for part_loss, part_grad in submit_all(self.executor, run_shard, jobs, names=names, sent=sent):
            loss.add(part_loss)
            grad.add(part_grad)
        return LossGrad(loss.rounded(), grad.rounded(), None)

    def jobs(self, objective: Objective, model: ScoreModel, entropy: tuple[int, ...]) -> list[ShardJob]:
        """Each shard's part of an evaluation."""
        first = ShardJob(
            objective=objective,
            model=model,
            shard=self.shards[0],
            index=0,
            entropy=entropy,
            n=self.n,
            block_rows=self.block_rows,
            dtype=self.dtype,
            jitter=self.jitter,
            floating_point_errors=np.geterr(),
        )
        return [first._replace(shard=shard, index=index) for index, shard in enumerate(self.shards)]


class ShardJob(NamedTuple):
    """One shard's part of an evaluation: all that its worker needs."""

    objective: Objective
    model: ScoreModel
    shard: Shard
    index: int  # of the shard, for its stream
    entropy: tuple[int, ...]
    n: int  # rows of all shards
    block_rows: int
    dtype: Optional[np.dtype]
    jitter: Optional[Array]
    floating_point_errors: dict[str, str]  # numpy.geterr() of the caller, for the objective


def run_shard(job: ShardJob) -> tuple[Any, Array]:
    """Σ (b/n) ℓ̄ and Σ (b/n) ∇ℓ̄ over the blocks of b rows of a shard: a number and (p,)."""
    rng, shape = stream(job.entropy, job.index), job.model.theta.shape
    total_loss, total_grad = Sum(), Sum()
    with one_blas_thread(), np.errstate(**job.floating_point_errors):
        for x, cond in job.shard.blocks(job.block_rows, job.dtype):  # (b, d), (b, c)
            if job.jitter is not None:
                x = with_jitter(x, job.jitter, rng)
            draw = job.objective.draw(x, rng)
            loss, grad = as_loss_grad(job.objective.loss(job.model, x, draw, cond=cond), shape, complex=True)
            share = (len(x), job.n)
            total_loss.add(loss, *share)
            total_grad.add(grad, *share)
    return total_loss.rounded(), total_grad.rounded()


class Sum:
    """Σ (b/n) term, added in float64 at least and given back in the widest type of its terms."""

    def __init__(self) -> None:
        self.total: Any = 0.0
        self.dtypes: set[np.dtype] = set()

    def add(self, term: Any, b: int = 1, n: int = 1) -> None:
        """Add b/n of a number or an array."""
        term = np.asarray(term)
        self.dtypes.add(term.dtype)
        wide = np.result_type(term.dtype, np.float64)
        real = np.empty(0, wide).real.dtype.type
        self.total = self.total + real(b) / real(n) * term.astype(wide, copy=False)

    def rounded(self) -> Any:
        """The sum in the type of its terms."""
        return self.total.astype(np.result_type(*self.dtypes), copy=False)


def stream(entropy: tuple[int, ...], index: int) -> np.random.Generator:
    """The random stream of a shard: ``SeedSequence(entropy).spawn(k)[index]``, at its start."""
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(index,)))


def in_models_type(
    x: Any, cond: Any, model: ScoreModel, name: str = "x", cond_name: str = "cond"
) -> tuple[Array, Optional[Array]]:
    """Clean rows (n, d) and their conditions, from (n, c), (c,) for all rows or None, in the model's floating type.

    Whether the model takes such conditions is for it to say.
    """
    x = _clean(x, name, model.dtype, d=model.d)
    if cond is None:
        return x, None
    if as_array(cond, cond_name).ndim == 1:
        cond = np.broadcast_to(cond, (len(x), len(cond)))
    return x, _clean(cond, cond_name, model.dtype, n=len(x))


def _clean(value: Any, name: str, dtype: np.dtype, **sides: int) -> Array:
    rows = as_batch(value, name, **sides)
    if rows.dtype == dtype:
        return rows
    with np.errstate(over="ignore"):
        return as_batch(rows.astype(dtype), f"{name} in the model's {dtype}")


def as_jitter(jitter: Any, d: int, dtype: np.dtype) -> Optional[Array]:
    """Standard deviations (d,) of the noise added to the columns, from one number or (d,), each >= 0; None for 0.

    Each must be a number of the type in which rows are computed, neither 0 nor infinite there if it is not.
    """
    array = as_array(jitter, "jitter")
    if array.shape not in ((), (d,)):
        raise ValueError(f"jitter must be one number or have shape ({d},), got shape {array.shape}")
    if (array < 0).any():
        raise ValueError(f"jitter must be >= 0, got {array.min()}")
    with np.errstate(over="ignore", under="ignore"):
        typed = array.astype(dtype)
    if not (np.isfinite(typed) & ((typed > 0) == (array > 0))).all():
        raise ValueError(f"jitter must be 0 or a number that {dtype} holds, got {array.max()}")
    return np.broadcast_to(array, (d,)) if array.any() else None


def with_jitter(x: Array, jitter: Array, rng: np.random.Generator) -> Array:
    """Rows (n, d) plus Gaussian noise of these standard deviations (d,)."""
    return unchecked_dequantise(x, jitter.astype(x.dtype, copy=False), rng)


def as_loss_grad(result: Any, shape: tuple[int, ...], *, complex: bool = False) -> tuple[Any, Array]:
    """Loss and gradient of what an objective returned: TypeError or ValueError where it is not a LossGrad.

    ``shape`` is θ's. Raises NotFiniteError for a gradient that is not finite; the loss may be anything.
    """
    if not isinstance(result, tuple) or len(result) < 2:
        raise TypeError(f"objective must return a LossGrad (loss, grad, …), got {type(result).__name__}")
    loss = as_shaped(result[0], "the objective's loss", (), allow_complex=complex, finite=False)
    return loss, as_shaped(result[1], "the objective's grad", shape, allow_complex=complex)
