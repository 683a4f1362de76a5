"""Blocks of chains and their random numbers: which rows a block holds, which stream it draws from, and how.

Which rows a block holds depends on the shape of x0 alone, and its noise on its own stream alone. So a run is the
same, bit for bit, whether its blocks are moved one after another, by threads, or by processes on other machines of
the same kind (another CPU or another BLAS rounds differently).

In float64 and longdouble a normal number is the next of ``Generator.standard_normal``. In float32 it comes from the
transform of Box & Muller (1958), for which NumPy's log, sin and cos take eight or sixteen float32 numbers at a time.
Two 32-bit words l and h, uniform on 0 … 2³² − 1, give

    r = √(−2 log((l + ½)/2³²)),  θ = 2π h/2³²,  z = r sin θ and r cos θ, independent and N(0, 1).

Both are rounded as float32 is: next to 1 the uniform number steps by 2⁻²⁴, so r below 3·10⁻⁴ is 0 (once in 3·10⁷
pairs). No number is beyond √(66 log 2) = 6.76, where a normal one is once in 7·10¹⁰.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._run.borders import Array, as_count, as_rng, draw_entropy

# A block of 2¹⁶ numbers fits a core's cache, and one of at least 128 rows leaves the work in NumPy's loops.
NUMBERS, MOST_ROWS, FEWEST_ROWS = 2**16, 4096, 128

# Numbers drawn at a time where a step takes fewer: threads wait for each other less often when calls are long.
NOISE_AHEAD = 2**18

_f = np.float32
UNIT, HALF_UNIT, TURN = _f(2.0**-32), _f(2.0**-33), _f(2 * np.pi * 2.0**-32)


@dataclass(frozen=True)
class Block:
    """A block of chains, ``rows`` of x0 with ``shape`` (b, d), and the random stream that is theirs."""

    rows: slice
    shape: tuple[int, int]
    rng: np.random.Generator

    def noise(self, dtype: Any = np.float64) -> Array:
        """The (b, d) numbers z ~ N(0, I) of the next step, in the type of the chains."""
        z = np.empty((1, *self.shape), np.dtype(dtype).newbyteorder("="))
        fill_standard_normal(self.rng, z)
        return z[0]


def langevin_blocks(n: int, d: int, *, rng: Any) -> list[Block]:
    """The blocks in which ``langevin`` takes n chains in d dimensions, with their fresh random streams.

    With r = min(4096, max(128, ⌊2¹⁶/d⌋)) rows at most in a block there are k = 1 of them for 2n ≤ r and else k =
    2⌈n/2r⌉, an even number; block i is rows ⌊in/k⌋ to ⌊(i+1)n/k⌋ − 1. One draw from ``rng`` (a Generator or a seed),
    four 32-bit words w, seeds them all: block i has the stream ``Generator(SFC64(SeedSequence(w).spawn(k)[i]))``,
    whatever kind of generator ``rng`` is. A step takes the next ``block.noise(dtype)``: in float64 and longdouble
    (b, d) numbers of ``standard_normal``, in float32 the next m = ⌈bd/2⌉ of ``bit_generator.random_raw``, as 2m
    32-bit words (of each the low half first): m times l, then m times h, which give m times r sin θ and then m
    times r cos θ, of which the last is dropped for odd bd.

    Raises TypeError or ValueError for a wrong argument.
    """
    n, d, rng = as_count(n, "n"), as_count(d, "d"), as_rng(rng)
    return make_blocks(n, d, draw_entropy(rng))


def make_blocks(n: int, d: int, entropy: tuple[int, ...], one_block: bool = False) -> list[Block]:
    """The blocks of a run, their streams ``SeedSequence(entropy).spawn(k)`` at the start."""
    most = min(MOST_ROWS, max(FEWEST_ROWS, NUMBERS // d))
    k = 1 if one_block or 2 * n <= most else 2 * -(-n // (2 * most))
    blocks = []
    for i in range(k):
        rows = slice(i * n // k, (i + 1) * n // k)
        seed = np.random.SeedSequence(entropy, spawn_key=(i,))
        blocks.append(Block(rows, (rows.stop - rows.start, d), np.random.Generator(np.random.SFC64(seed))))
    return blocks


def draw_steps(
    rng: np.random.Generator, x: Array, normals: int, uniforms: int, n_steps: int
) -> Iterator[tuple[Array, ...]]:
    """The noise of every step of a block with states x (b, d): its normal arrays (b, d), then its uniform ones (b,).

    The normal numbers of a step come first in the stream, then its uniform ones, then the next step's, however many
    steps are drawn at a time. A uniform array is 1 − ``Generator.random(b)``, so that its logarithm is finite.
    """
    ahead = 1 if uniforms else max(1, NOISE_AHEAD // max(1, normals * x.size))
    z = np.empty((min(ahead, n_steps), normals, *x.shape), x.dtype)  # (ahead, normals, b, d)
    for t in range(0, n_steps, ahead):
        drawn = z[: n_steps - t]
        fill_standard_normal(rng, drawn)
        for normal in zip(*np.moveaxis(drawn, 1, 0)) if normals else [()] * len(drawn):
            yield (*normal, *_uniform(rng, uniforms, x)) if uniforms else normal


def _uniform(rng: np.random.Generator, uniforms: int, x: Array) -> Array:
    """Numbers in (0, 1], (uniforms, b), in the type of x."""
    return (1.0 - rng.random((uniforms, len(x)))).astype(x.dtype)


def fill_standard_normal(rng: np.random.Generator, z: Array) -> None:
    """Fresh N(0, 1) numbers into z (steps, …), step after step: the same ones however many at a time."""
    if z.dtype == np.float32:
        _box_muller(rng, z.reshape(len(z), -1))
    elif z.dtype == np.float64:
        rng.standard_normal(out=z)
    else:
        z[...] = rng.standard_normal(z.shape)


def _box_muller(rng: np.random.Generator, z: Array) -> None:
    """The transform above into z (steps, size), float32, with ⌈size/2⌉ words a step."""
    half = -(-z.shape[1] // 2)
    words = rng.bit_generator.random_raw(len(z) * half).astype("<u8", copy=False)
    words = words.view("<u4").reshape(len(z), 2 * half)
    r, theta = (part.astype(np.float32) for part in (words[:, :half], words[:, half:]))  # (steps, half) each
    r *= UNIT
    r += HALF_UNIT
    np.log(r, out=r)
    r *= _f(-2)
    np.sqrt(r, out=r)
    theta *= TURN
    np.multiply(r, np.sin(theta), out=z[:, :half])
    np.cos(theta, out=theta)
    rest = z.shape[1] - half
    np.multiply(r[:, :rest], theta[:, :rest], out=z[:, half:])
