"""What a sampler is: a description that can be sent anywhere, and the function by which it moves a block of chains.

A new sampler is one file: a frozen dataclass that subclasses `Step`, and a public function that checks its own
arguments and calls `run.walk`. For example the random walk of Metropolis et al. (1953), which keeps log p at x from
step to step and counts the moves of every chain:

    @dataclass(frozen=True)
    class Metropolis(Step):
        log_prob: Callable
        scale: float
        name, uniforms = "metropolis", 1

        def start(self, x):
            return x, self.log_prob(x), np.zeros(len(x), int)

        def motion(self, x, log_p, n_accepted):
            def move(t, z, u):
                y = x + self.scale * z
                log_q = self.log_prob(y)
                accepted = np.log(u) < log_q - log_p
                x[accepted], log_p[accepted] = y[accepted], log_q[accepted]
                n_accepted[accepted] += 1
            return Motion(move)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

import numpy as np

from .._run.borders import Array

Score = Callable[[Array], Any]
Reach = Optional[Callable[[Array, int], Array]]

FAR = 1e6  # times the largest start: further out a chain has diverged


class Motion(NamedTuple):
    """The functions that move one block of b chains, in place.

    ``move(t, *noise)`` takes step number t = 1, 2, …; the noise is as many (b, d) arrays z ~ N(0, I) as
    ``Step.normals`` says, then as many (b,) arrays uniform on (0, 1] as ``Step.uniforms`` says, all in the type of x.
    They are fresh, and the step's to write over.

    ``reach(x0, n_steps) -> (b,)``: how far a stable run may carry each chain, if that may be beyond the default bound
    10⁶ (1 + max|x0|); see `stable_reach`. It is asked at the first chain that is found there.

    ``converged() -> (b,) bool``, where ``Step.converges``, says which chains have converged. It is asked before the
    first step and after each, when chains that diverged are back at their start: here a step may evaluate what the
    next one needs. A block ends when each of its chains has converged or diverged.
    """

    move: Callable[..., None]
    reach: Reach = None
    converged: Optional[Callable[[], Array]] = None


class Step(ABC):
    """A sampler's parameters: the score, the step size. All blocks of a run share it; other processes get it pickled.

    The state of a block is a tuple of arrays with the chains along their first axis, x (b, d) first. ``start`` makes
    it and ``motion`` moves it in place. Chains do not know of each other, unless ``one_block`` keeps all of them
    together.
    """

    name: str  # of the public function, for messages
    normals = 1  # (b, d) arrays of N(0, 1) that a step takes
    uniforms = 0  # (b,) arrays of uniform numbers that a step takes
    records = 1  # how many arrays of the state are recorded, x the first; all of x's shape
    one_block = False  # are all chains to be moved together?
    converges = False  # does a motion say which chains have converged?
    advice = "take a smaller step"  # what the message of divergence advises

    @abstractmethod
    def start(self, x: Array, *carried: Array) -> tuple[Array, ...]:
        """The state at the start: x itself, which is moved in place, then what else is carried from step to step.

        ``carried`` are copies of the rows of what was given to `run.walk` beside x0, momenta for example. What
        ``start`` adds must be new arrays.
        """

    @abstractmethod
    def motion(self, *state: Any) -> Motion:
        """The functions that move this state. Scratch memory that they share is kept only while the block moves."""


def stable_reach(drift: Array, noise_scale: float, n_steps: int) -> Array:
    """How far x + drift(x) + noise may carry each chain from its start in a stable run, with room to spare, (b,).

    ``drift`` (b, d) is the one at the start, α s(x0), ``noise_scale`` the standard deviation of a step's noise in one
    coordinate, √(2α). Where p is log-concave and α < 2/λ_max(−∂s/∂x), the map x → x + α s(x) brings no two points
    further apart, so that ‖x_t − x0‖ ≤ ‖x_{t−1} − x0‖ + α ‖s(x0)‖ + ‖noise‖: at most t α ‖s(x0)‖ by the drift, and
    by the noise a random walk, √t noise_scale in a coordinate. Returned is 2 n_steps ‖drift‖ + 10⁶ noise_scale, in
    the norm √d max|·|; a chain that grows by a factor every step leaves that after a number of steps that is
    logarithmic in n_steps.
    """
    longest = np.abs(drift).max(axis=1).astype(np.float64)  # (b,)
    return 2.0 * n_steps * math.sqrt(drift.shape[1]) * longest + FAR * float(noise_scale)
