"""The claims on speed, each worked out from what was measured: number, bound, and whether it held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Optional

OURS, OUR_DSM, FLOOR = "npscore, exact", "npscore, DSM", "BLAS"
PRECISE = ("float32 tanh", "float32 isru", "float64 tanh", "float64 isru")
BY_HAND = "NumPy, by hand"
EXTRA_BYTES = 256 * 2**20


def shape(size: str) -> tuple[int, list[int], int]:
    """d, hidden widths and batch from a name such as 64-256x256-1024."""
    d, hidden, n = size.split("-")
    return int(d), [int(width) for width in hidden.split("x")], int(n)


def fastest(row: dict[str, Any], *words: str, of: str = "median") -> Optional[str]:
    """The fastest peer whose name holds one of these words, ``of`` "median" or "least"; None where none was timed."""
    peers = [name for name in row if "npscore" not in name and any(word in name for word in words)]
    return min(peers, key=lambda name: row[name][of], default=None)


def is_small(d: int, hidden: Sequence[int], n: int) -> bool:
    """The small step of claim 6, which is written out by hand too."""
    return (d, *hidden, n) == (2, 64, 64, 128)


EXACT = ("backward passes", "torch.func", "jacfwd")
RATIOS = {
    "fastest exact peer / npscore": EXACT,
    "npscore / PyTorch sliced": ("PyTorch, sliced",),
    "npscore / JAX sliced": ("JAX, sliced",),
    "npscore / PyTorch DSM": ("PyTorch, DSM",),
    "npscore / JAX DSM": ("JAX, DSM",),
    "npscore / its own DSM": (),
    "npscore / its BLAS products": (),
    "npscore / NumPy by hand": (),
    "fastest exact peer / NumPy by hand": EXACT,
}
NAMES = {"npscore": OURS, "its own DSM": OUR_DSM, "its BLAS products": FLOOR, "NumPy by hand": BY_HAND}


def ratios(seconds: dict[str, Any], of: str = "median") -> dict[str, Any]:
    """The quotients of medians or of the least times, by size and kind: {size: {kind: {ratio: number}}}."""
    return {
        size: {kind: row_ratios(row, of) for kind, row in kinds.items()} for size, kinds in seconds.items()
    }


def row_ratios(row: dict[str, Any], of: str) -> dict[str, Any]:
    found = {}
    for name, words in RATIOS.items():
        above, below = (NAMES.get(part) or fastest(row, *words, of=of) for part in name.split(" / "))
        if above in row and below in row:
            found[name] = row[above][of] / row[below][of]
    if fastest(row, *EXACT):
        found["fastest exact peer"] = fastest(row, *EXACT, of=of)
    return found


def pick(
    numbers: dict[str, Any], ratio: str, where: Callable[[int, list[int], int], bool], kinds: Any = PRECISE
) -> list[float]:
    """One ratio at all sizes (d, hidden, n) of a sort, and kinds."""
    table = numbers["ratios"]
    return [
        row[ratio]
        for size, rows in table.items()
        if where(*shape(size))
        for kind, row in rows.items()
        if kind in kinds and ratio in row
    ]


def at_least(what: str, values: list[float], bound: float) -> dict[str, Any]:
    """A claim on the smallest value; ``held`` is None where nothing was measured."""
    number = min(values, default=None)
    held = None if number is None else number >= bound
    return {"what": what, "number": number, "at_least": bound, "held": held}


def at_most(what: str, values: list[float], bound: float) -> dict[str, Any]:
    """A claim on the largest value."""
    number = max(values, default=None)
    held = None if number is None else number <= bound
    return {"what": what, "number": number, "at_most": bound, "held": held}


def over_dsm(numbers: dict[str, Any]) -> Iterator[float]:
    """npscore's exact step over its DSM step at every d."""
    for kind in PRECISE:
        for row in (numbers["dimensions"] or {}).get(kind, []):
            yield row[OURS]["median"] / row[OUR_DSM]["median"]


def extra_memory(numbers: dict[str, Any]) -> list[float]:
    """Peak beyond parameters and data, in bytes, of each deep case."""
    rows = (numbers["memory"] or {}).values()
    return [row["peak_bytes"] - row["parameter_bytes"] - row["data_bytes"] for row in rows]


def claims(numbers: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The claims, by number."""
    exact, sliced = "fastest exact peer / npscore", "npscore / PyTorch sliced"
    but_one = ("float32 tanh", "float32 isru", "float64 isru")

    def closed(d: int, hidden: list[int], n: int) -> bool:
        return len(hidden) <= 2

    def at(dimension: int) -> Callable[[int, list[int], int], bool]:
        return lambda d, hidden, n: d == dimension and closed(d, hidden, n)

    def wide(d: int, hidden: list[int], n: int) -> bool:
        return closed(d, hidden, n) and min(hidden) >= 256

    def deep(d: int, hidden: list[int], n: int) -> bool:
        return len(hidden) >= 3 and d >= 16

    singles, doubles = PRECISE[:2], PRECISE[2:]
    return {
        "1a": at_least("d = 64: times faster than the fastest exact peer", pick(numbers, exact, at(64)), 20),
        "1b": at_least("d = 784: times faster than it", pick(numbers, exact, at(784)), 150),
        "2": at_most(
            "one and two hidden layers, float32, and float64 with isru: time over PyTorch's sliced step",
            pick(numbers, sliced, closed, but_one),
            1,
        ),
        "2 (tanh in float64, reported)": at_most(
            "the same for float64 with tanh", pick(numbers, sliced, closed, ("float64 tanh",)), 1
        ),
        "3": at_most("exact step over our own DSM step, d from 2 to 784", list(over_dsm(numbers)), 2.5),
        "4": at_most(
            "step over its matrix products alone, 256-wide and wider",
            pick(numbers, "npscore / its BLAS products", wide),
            2.5,
        ),
        "5a": at_least(
            "three and more hidden layers, d >= 16: times faster than the fastest exact peer",
            pick(numbers, exact, deep),
            1,
        ),
        "5b": at_most("the same: peak bytes beyond parameters and data", extra_memory(numbers), EXTRA_BYTES),
        "6a": at_least(
            "(2, 64x64, 128) in float64: times faster than the fastest exact peer",
            pick(numbers, exact, is_small, doubles),
            1,
        ),
        "6b": at_least("the same in float32", pick(numbers, exact, is_small, singles), 2),
        "6b (NumPy by hand, reported)": at_least(
            "the same of a step with tanh written out for this shape alone, nothing checked, tails lost",
            pick(numbers, "fastest exact peer / NumPy by hand", is_small, singles),
            2,
        ),
    }


def headline(made: dict[str, dict[str, Any]]) -> str:
    """One sentence: how many of the claims held, and which did not."""
    held = [name for name, claim in made.items() if claim["held"]]
    failed = [name for name, claim in made.items() if claim["held"] is False]
    known = len(held) + len(failed)
    remark = f"; not {', '.join(failed)}" if failed else ""
    return f"{len(held)} of {known} claims measured here held{remark}"
