"""Kinetic (underdamped) Langevin: positions with momenta, by a word of drifts, kicks and noise such as BAOAB."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array, as_batch, as_number, as_positive, as_rng, as_shaped
from .._run.pictures import picture
from .metropolis import QUIET, as_beside, as_score, at_finite_rows, step_in
from .reports import Callback
from .run import evaluator, walk
from .step import Motion, Score, Step, stable_reach


class KineticResult(NamedTuple):
    """What ``kinetic`` returns; rows of what diverged are NaN."""

    x: Array  # (n, d) states after the last step
    p: Array  # (n, d) their momenta
    trajectory: Optional[Array]  # (k, n, d) recorded states, or None
    momenta: Optional[Array]  # (k, n, d) recorded momenta, or None
    diverged: Array  # (n,) bool
    n_diverged: int
    n_steps: int  # steps taken: as asked, or fewer where every chain has diverged


class Letter(NamedTuple):
    """One letter of a scheme with its numbers: a time t for A and B, for O the factors of p and of the noise."""

    name: str
    factor: Any  # t, or c = exp(-γt)
    noise: Any = None  # √(1 - c²)
    less: Any = None  # c - 1, to all digits


def kinetic_step(
    score: Score, x: Any, p: Any, step: float, friction: float, z: Any, scheme: str = "BAOAB"
) -> tuple[Array, Array]:
    """One step of kinetic Langevin from (x, p), at mass and temperature 1: the letters of ``scheme`` in turn.

    dx = p dt, dp = s(x) dt − γ p dt + √(2γ) dW is cut into three parts that can be solved exactly,

        A: x ← x + t p,    B: p ← p + t s(x),    O: p ← c p + √(1 − c²) z,  c = exp(−γ t),

    where t is ``step``, h > 0, divided by how often the letter occurs, and γ ≥ 0 is ``friction``. ``x`` and ``p`` are
    (n, d), ``z`` (k, n, d) with one array ~ N(0, I) for each of the k letters O, ``score`` any callable (n, d) ->
    (n, d) giving s = +∇log p. ``scheme`` is any word of A, B and O: BAOAB, OBABO, ABOBA … Returns (x, p) after
    the last letter, in the floating type of x; complex passes. The score is called once for each x that is kicked.

    Raises TypeError or ValueError for a wrong argument.
    Source: Leimkuhler & Matthews (2013), "Rational construction of stochastic numerical methods for molecular
    sampling", Appl. Math. Res. Express 2013(1).
    """
    x = as_batch(x, allow_complex=True)
    p = as_shaped(p, "p", x.shape, allow_complex=True)
    if p.dtype.kind == "c":
        x = x.astype(np.result_type(x, 1j), copy=False)
    letters = as_letters(scheme, as_positive(step, "step"), as_friction(friction), x.dtype)
    noises = scheme.count("O")
    z = as_beside(x, z, "z", (noises, *x.shape))
    evaluate = evaluator(as_score(score), x)
    with np.errstate(**QUIET):
        x, p, _ = kinetic_moves(evaluate, x, as_beside(x, p, "p", x.shape), None, letters, z)
    return x, p


def kinetic_moves(
    score: Callable[[Array], Array],
    x: Array,
    p: Array,
    s: Optional[Array],
    letters: Iterable[Letter],
    z: Iterable[Array],
) -> tuple[Array, Array, Optional[Array]]:
    """`kinetic_step` of clean arguments; ``s`` is the score at x where that is known, going in and coming out."""
    noise, score = iter(z), at_finite_rows(score, x)
    for letter in letters:
        if letter.name == "A":
            x, s = x + letter.factor * p, None  # eq-16.10
        elif letter.name == "B":
            s = score(x) if s is None else s
            p = p + letter.factor * s  # eq-16.10
        else:
            p = letter.factor * p + letter.noise * next(noise)  # eq-16.10
    return x, p, s


def as_letters(scheme: Any, step: float, friction: float, dtype: np.dtype) -> list[Letter]:
    """The letters of a scheme with their numbers in the type of the chains."""
    return list(_letters(as_scheme(scheme), step, friction, dtype))


def _letters(scheme: str, step: float, friction: float, dtype: np.dtype) -> Iterator[Letter]:
    real = np.empty(0, dtype).real.dtype.type
    for name in scheme:
        t = step_in(step, dtype) / real(scheme.count(name))
        if name == "O":
            with np.errstate(over="ignore", under="ignore"):
                turn = real(friction) * t
                yield Letter(name, np.exp(-turn), np.sqrt(-np.expm1(-2 * turn)), np.expm1(-turn))
        else:
            yield Letter(name, t)


def as_scheme(scheme: Any) -> str:
    """A word of A, B and O."""
    expected = "scheme must be a word of the letters A (drift), B (kick) and O (noise) such as BAOAB"
    if not isinstance(scheme, str):
        raise TypeError(f"{expected}, got {type(scheme).__name__}")
    if not scheme or set(scheme) - set("ABO"):
        raise ValueError(f"{expected}, got {picture(scheme)}")
    return scheme


def as_friction(friction: Any) -> float:
    """γ ≥ 0."""
    return as_number(friction, "friction", at_least=0.0)


@dataclass(frozen=True)
class Kinetic(Step):
    """``kinetic_step`` in a run: the same mathematics, with the score at x kept for the next step where it is known."""

    score: Score
    step: float
    friction: float
    scheme: str

    name, records = "kinetic", 2

    @property
    def normals(self) -> int:  # type: ignore[override]
        """One array for each letter O."""
        return self.scheme.count("O")

    @property
    def advice(self) -> str:  # type: ignore[override]
        """To take a smaller step than this."""
        return (
            f"step = {self.step:g} is probably too large for this score: take a smaller one (a Gaussian of "
            "covariance Σ needs step < 2 √λ_min(Σ) in the usual schemes)"
        )

    @property
    def keeps_score(self) -> bool:
        """Is the score at x known at the end of a step? Where a letter B comes after the last A."""
        return self.scheme.rfind("B") > self.scheme.rfind("A")

    def start(self, x: Array, p: Array) -> tuple[Array, Array, Array]:
        """x, its momenta, and the score there if a step ends with it known."""
        score = evaluator(self.score, x)
        with np.errstate(**QUIET):
            s = score(x) if self.keeps_score else np.zeros_like(x)
        return x, p, np.array(s)

    def motion(self, x: Array, p: Array, s: Array) -> Motion:
        """(x, p) ← the letters of the scheme in turn."""
        score = evaluator(self.score, x)
        letters = as_letters(self.scheme, self.step, self.friction, x.dtype)

        def move(t: int, *z: Array) -> None:
            known = s if self.keeps_score else None
            x[...], p[...], last = kinetic_moves(score, x, p, known, letters, z)
            if self.keeps_score:
                s[...] = last
            if not np.isfinite(p).all():
                x[~np.isfinite(p).all(axis=1)] = np.nan  # so that the runner finds it

        def reach(x0: Array, n_steps: int) -> Array:
            h = step_in(self.step, x.dtype)
            return stable_reach(n_steps * h * h * score(x0), h, n_steps)

        return Motion(move, reach)


def kinetic(
    score: Score,
    x0: Any,
    step: float,
    friction: float,
    n_steps: int,
    *,
    p0: Any = None,
    scheme: str = "BAOAB",
    rng: Any = None,
    burn_in: int = 0,
    record_every: Optional[int] = None,
    on_divergence: str = "warn",
    bound: Optional[float] = None,
    callback: Optional[Callback] = None,
    progress: Optional[bool] = None,
    workers: int = 1,
    executor: Any = None,
) -> KineticResult:
    """Runs ``kinetic_step`` on every row of x0, a chain each: Langevin with momenta, never rejecting.

    ``x0`` and the momenta ``p0`` are (n, d); without p0 they are drawn, ``rng.standard_normal((n, d))``, before
    anything else. The score is called once a step in the usual schemes: BAOAB keeps what its last kick needed for the
    first of the next step. Its law is off by O(h²) (``samplers.kinetic_law`` has it exactly on a Gaussian): BAOAB has
    the right covariance of x there at every h, and too cold momenta. The options are those of ``langevin``; a chain
    diverges where its momenta are not finite, too. Every step takes the next (b, d) normal numbers of a block's
    stream, an array for each letter O.

    Raises TypeError or ValueError for a wrong argument, ``DivergenceError`` if asked to, and what the score raises.
    Source: as ``kinetic_step``.
    """
    rng, x0 = as_rng(rng), as_batch(x0, "x0")
    kernel = Kinetic(as_score(score), as_positive(step, "step"), as_friction(friction), as_scheme(scheme))
    p0 = as_beside(x0, rng.standard_normal(x0.shape) if p0 is None else p0, "p0", x0.shape)
    walked = walk(
        kernel,
        x0,
        n_steps,
        carried=(p0,),
        rng=rng,
        burn_in=burn_in,
        record_every=record_every,
        on_divergence=on_divergence,
        bound=bound,
        callback=callback,
        progress=progress,
        workers=workers,
        executor=executor,
    )
    trajectory, momenta = (None, None) if record_every is None else walked.trajectory
    n_diverged = int(np.count_nonzero(walked.diverged))
    x, p, _ = walked.state
    return KineticResult(x, p, trajectory, momenta, walked.diverged, n_diverged, walked.n_steps)
