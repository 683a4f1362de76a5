"""Shards: the rows of a data set in parts, each in memory or in a file, and how a worker reads them block by block."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from .._run.borders import _show, as_array, as_batch

Array = np.ndarray


class Mapped(NamedTuple):
    """Where in a file an array lies: what is sent in its place."""

    path: str
    offset: int  # of the first number, in bytes
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    size: int  # of the whole file when it was first opened, in bytes

    def open(self) -> Array:
        """The array, mapped read-only: pages are read as they are touched."""
        whole = np.memmap(self.path, np.uint8, mode="r")
        if whole.size != self.size:
            raise ValueError(
                f"{self.path} must be as long as when it was first opened, {self.size} bytes, got {whole.size}"
            )
        return np.ndarray(self.shape, self.dtype, whole, self.offset, self.strides)


class Shard(NamedTuple):
    """Some of the rows, x (n, d), with their conditions (n, c) or None, under the name that errors give them."""

    name: str
    x: Union[Array, Mapped]
    cond: Union[Array, Mapped, None] = None

    def blocks(self, most: int, dtype: Optional[np.dtype] = None) -> Iterator[tuple[Array, Optional[Array]]]:
        """All rows in order, at most so many at a time, with their conditions: copies, in this floating type.

        ``dtype=None`` leaves both in their own type. Raises ValueError for a number that is not finite in it.
        """
        x, cond = _opened(self.x), _opened(self.cond)
        for start in range(0, len(x), most):
            block = slice(start, start + most)
            of_cond = None if cond is None else _copied(cond[block], dtype, f"the cond of {self.name}", start)
            yield _copied(x[block], dtype, self.name, start), of_cond


def _opened(array: Union[Array, Mapped, None]) -> Optional[Array]:
    return array.open() if isinstance(array, Mapped) else array


def _copied(block: Array, dtype: Optional[np.dtype], name: str, start: int) -> Array:
    """A copy of the rows from number ``start`` on, finite, whole numbers as float64."""
    wanted = block.dtype.newbyteorder("=") if dtype is None else dtype
    with np.errstate(over="ignore"):
        block = as_array(block.astype(wanted), name, finite=False)
    finite = np.isfinite(block)
    if not finite.all():
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} must be finite in {block.dtype}, got {block[row, column]} at row {start + row}, column {column}"
        )
    return block


def as_shards(value: Any) -> tuple[Shard, ...]:
    """Shards of the same d and c from rows or pairs (x, cond): arrays, memory maps and paths of .npy files.

    None of their numbers is read.
    """
    if isinstance(value, (str, bytes, os.PathLike, np.ndarray)) or not isinstance(value, Iterable):
        raise TypeError(
            f"shards must be a list of (n, d) arrays or .npy files (one alone is [x]), got {_show(value)}"
        )
    shards: list[Shard] = []
    for index, part in enumerate(value):
        shards.append(_as_shard(part, f"shards[{index}]", shards[0] if shards else None))
    if not shards:
        raise ValueError("shards must hold at least one array or file, got none")
    return tuple(shards)


def _as_shard(part: Any, name: str, first: Optional[Shard]) -> Shard:
    """A shard from rows or a pair (x, cond), both as wide as the first shard's."""
    x, cond = part if _is_pair(part) else (part, None)
    if first is not None and (first.cond is None) != (cond is None):
        expected = "rows alone" if first.cond is None else "a pair (x, cond)"
        raise ValueError(f"{name} must be {expected}, as shards[0] is, got {_show(part)}")
    name, x = _as_rows(x, name, d=None if first is None else first.x.shape[1])
    if cond is None:
        return Shard(name, x)
    c = None if first is None else first.cond.shape[1]
    return Shard(name, x, _as_rows(cond, f"the cond of {name}", n=x.shape[0], d=c)[1])


def _is_pair(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) == 2


def _as_rows(value: Any, name: str, **sides: Optional[int]) -> tuple[str, Union[Array, Mapped]]:
    """A name that says the file, and the rows or their place in it, of this n and d."""
    if isinstance(value, (str, os.PathLike)):
        name = f"{name} ({os.fspath(value)})"
        value = _open(value, name)
    place = _place(value)
    array = value if place else as_array(value, name, finite=False)
    as_array(np.empty(0, array.dtype), name)  # the kind of number
    as_batch(np.broadcast_to(0.0, array.shape), name, finite=False, **sides)  # the shape
    return name, place or array


def _open(path: Any, name: str) -> Array:
    """The file's array, mapped, so that only its header is read."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise ValueError(f"{name} must be an .npy file with rows of numbers ({error})") from error


def _place(array: Any) -> Optional[Mapped]:
    """Where the numbers of a memory map, or of a view of one, lie; None where no file has them."""
    root = array
    while isinstance(root, np.ndarray) and isinstance(root.base, np.ndarray):
        root = root.base
    if not (isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)):
        return None
    if root.filename is None or root.mode == "c":  # what was written to a copy-on-write map is in no file
        return None
    offset = int(root.offset) + _address(array) - _address(root)
    path = os.fspath(root.filename)
    return Mapped(path, offset, array.shape, array.strides, array.dtype, os.path.getsize(path))


def _address(array: Array) -> int:
    return array.__array_interface__["data"][0]
