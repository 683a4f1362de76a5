"""An objective over more rows than one machine holds: a sum over shards, each walked through by a worker.

With n rows in k shards of nᵢ, the loss of all rows is Σᵢ (nᵢ/n) ℓ̄ᵢ and its gradient Σᵢ (nᵢ/n) ∇ℓ̄ᵢ, where ℓ̄ᵢ is
the loss of shard i: not the mean of the ℓ̄ᵢ, unless all shards are of one length. So θ goes to each worker, p + 1
numbers come back, and no row travels that lies in a file.

A step on W workers: c p flops a row (c = 6 or so for DSM, 11 for exact ISM), r flops a second each; θ and a gradient
of 8p bytes each through the one network link of the sender, B bytes a second; τ for the engine to hand out a job:

    T(W) = c p n / (W r) + W (16 p / B + τ)

The sum is least where its two terms are equal, at W* = √(c p n / (r (16 p / B + τ))). Without τ p cancels: at
W workers, computing outweighs sending as long as n/W > 16 r W / (c B) rows a worker.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._run.blas import one_blas_thread
from .._run.borders import as_count, as_rng, draw_entropy
from .._run.executors import as_executor, submit_all
from ..datasets.rounding import dequantise
from ..models.base import Array, ScoreModel
from ..objectives import LossGrad, Objective, as_objective, named_objective
from .shards import Shard, as_shards

BLOCK_ROWS = 2048


def sharded(
    objective: Union[str, Objective],
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
        "ism", "ssm", "ssm-vr" (``n_probes``, ``probe``), "dsm" (``sigma``), as in ``fit``, or any callable
        (model, rows, rng) -> LossGrad whose loss is the mean over its rows.
    executor
        As in ``concurrent.futures``: a pool of threads or processes, Dask's ``client.get_executor()``, mpi4py's
        ``MPIPoolExecutor``; a shard is a job. None: here, one shard after another.
    shards
        A list of parts of the data, each with its own number of rows and all with the same d: paths of .npy files or
        memory maps (``np.load(path, mmap_mode="r")``), of which only the place in the file is sent, so every
        worker must find it under the same path; or (nᵢ, d) arrays, which travel with every evaluation.

    A worker walks through its shard ``block_rows`` rows at a time and holds no more than a block's
    intermediates. The numbers are those of the objective on all rows together, to rounding: the sum runs over
    blocks and then shards, in order, in float64 at least, whoever carries it out, so any executor and any
    number of workers on machines of one kind give the same bits (with threadpoolctl installed, which keeps BLAS to
    one thread). A shard's part travels in the type of its terms.

    Noise and probes: shard i draws from its own stream ``total.streams(rng)[i]``, block after block. A seed gives
    the same ones at every evaluation. They are others than one stream over all rows would give, of the same law.

    Raises TypeError or ValueError for a wrong argument; when called, ValueError naming shard, row and column of a
    number that is not finite, and what the objective or the executor raises, as it is.
    """
    if isinstance(objective, str):
        drawn: Objective = _Named(objective, sigma, n_probes, probe)
        drawn.build()
    else:
        drawn = as_objective(objective, "rows")
        if sigma is not None:
            raise ValueError(f"sigma must be None unless objective is 'dsm', got {sigma!r} with a callable")
    rows = as_count(block_rows, "block_rows")
    return Sharded(drawn, as_executor(executor), as_shards(shards), rows)


@dataclass(frozen=True, eq=False, repr=False)
class Sharded:
    """An objective with its rows: made by ``sharded``, called as ``total(model, rng=seed)``."""

    objective: Objective
    executor: Any
    shards: tuple[Shard, ...]
    block_rows: int
    dtype: Optional[np.dtype] = None  # the type that rows are computed in; None: their own
    jitter: Any = 0.0  # standard deviation(s) of noise added to the rows first

    def __call__(self, model: ScoreModel, batch: None = None, rng: Any = None) -> LossGrad:
        """Loss and gradient (p,) over all rows; ``per_sample`` is None: n numbers stay where they are.

        ``batch`` must be None: the rows are the shards'. ``rng`` (a Generator, a seed, or None for fresh noise)
        seeds the shards' streams; a Generator moves on by four 32-bit words.
        """
        self._check(model)
        if batch is not None:
            raise ValueError(f"batch must be None: the shards are the rows, got {type(batch).__name__}")
        plan = self._plan(model, draw_entropy(as_rng(rng)))
        jobs = [Job(plan, shard, index) for index, shard in enumerate(self.shards)]
        names = [shard.name for shard in self.shards]
        sent = {"objective": self.objective, "model": model}
        total_loss, total_grad = _Sum(), _Sum()
        for loss, grad in submit_all(self.executor, run_job, jobs, names=names, sent=sent):
            total_loss.add(loss)
            total_grad.add(grad)
        return LossGrad(total_loss.rounded(), total_grad.rounded(), None)

    def _plan(self, model: ScoreModel, words: tuple[int, ...]) -> Plan:
        return Plan(
            model_type=type(model),
            config=model.config,
            theta=model.theta,
            objective=self.objective,
            n=self.n,
            block_rows=self.block_rows,
            dtype=self.dtype,
            jitter=self.jitter,
            words=words,
            floating_point_errors=np.geterr(),
        )

    def streams(self, rng: Any = None) -> list[np.random.Generator]:
        """The random stream of each shard, at its start, that an evaluation with this ``rng`` gives it."""
        words = draw_entropy(as_rng(rng))
        return [_stream(words, index) for index in range(len(self.shards))]

    def prepared(self, model: ScoreModel, jitter: Any) -> Sharded:
        """The same over rows in the type of a model, with Gaussian noise added to them: what ``fit`` asks for."""
        self._check(model)
        return replace(self, dtype=model.dtype, jitter=jitter)

    def first_rows(self, most: int) -> Array:
        """The first rows of the first shard, read here."""
        return next(self.shards[0].blocks(most))

    def _check(self, model: Any) -> None:
        if not isinstance(model, ScoreModel):
            raise TypeError(f"model must be an npscore model, got {type(model).__name__}")
        if model.d != self.d:
            raise ValueError(f"model must have d = {self.d}, as the shards have, got d = {model.d}")

    @property
    def name(self) -> str:
        """The objective's name, or "callable"."""
        return self.objective.name if isinstance(self.objective, _Named) else "callable"

    @property
    def sigma(self) -> Optional[float]:
        """The noise of "dsm"."""
        return self.objective.sigma if isinstance(self.objective, _Named) else None

    @property
    def n(self) -> int:
        """The number of rows of all shards."""
        return sum(shard.rows.shape[0] for shard in self.shards)

    @property
    def d(self) -> int:
        """The number of columns."""
        return self.shards[0].rows.shape[1]

    def __repr__(self) -> str:
        return f"<npscore.sharded {self.name}: {len(self.shards):,} shards, {self.n:,} x {self.d}>"


class _Named(NamedTuple):
    """An objective of ``fit``'s that can be pickled: what it is made of."""

    name: str
    sigma: Optional[float]
    n_probes: int
    probe: str

    def build(self) -> Objective:
        return named_objective(self.name, sigma=self.sigma, n_probes=self.n_probes, probe=self.probe)

    def draw(self, x: Array, rng: np.random.Generator) -> Any:
        return self.build().draw(x, rng)

    def loss(self, model: ScoreModel, x: Array, draw: Any) -> LossGrad:
        return self.build().loss(model, x, draw)


class Plan(NamedTuple):
    """What all workers are told. The model goes as configuration and θ: its layers are views of θ."""

    model_type: type[ScoreModel]
    config: dict[str, Any]
    theta: Array  # (p,)
    objective: Objective
    n: int  # rows of all shards
    block_rows: int
    dtype: Optional[np.dtype]
    jitter: Any
    words: tuple[int, ...]
    floating_point_errors: dict[str, str]  # numpy.geterr() of the caller, for the objective


class Job(NamedTuple):
    """One shard's part of an evaluation."""

    plan: Plan
    shard: Shard
    index: int


class _Sum:
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


def run_job(job: Job) -> tuple[Any, Array]:
    """Σ (b/n) ℓ̄ and Σ (b/n) ∇ℓ̄ over the blocks of b rows of a shard: a number and (p,)."""
    plan, rng = job.plan, _stream(job.plan.words, job.index)
    total_loss, total_grad = _Sum(), _Sum()
    model = plan.model_type.from_config(plan.config, plan.theta)
    with one_blas_thread(), np.errstate(**plan.floating_point_errors):
        for rows in job.shard.blocks(plan.block_rows, plan.dtype):  # (b, d)
            if np.any(plan.jitter):
                rows = dequantise(rows, plan.jitter, rng=rng)
            loss, grad, _ = plan.objective.loss(model, rows, plan.objective.draw(rows, rng))
            share = (len(rows), plan.n)
            total_loss.add(loss, *share)
            total_grad.add(grad, *share)
    return total_loss.rounded(), total_grad.rounded()


def _stream(words: tuple[int, ...], index: int) -> np.random.Generator:
    """The stream of a shard: ``SeedSequence(words).spawn(k)[index]``, at its start."""
    return np.random.default_rng(np.random.SeedSequence(words, spawn_key=(index,)))
