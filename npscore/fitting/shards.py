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
    """Some of the rows, (n, d), under the name that errors give them."""

    name: str
    rows: Union[Array, Mapped]

    def blocks(self, most: int, dtype: Optional[np.dtype] = None) -> Iterator[Array]:
        """All rows in order, at most so many at a time, in this floating type (None: their own).

        Raises ValueError for a number that is not finite in it.
        """
        array = self.rows.open() if isinstance(self.rows, Mapped) else self.rows  # (n, d)
        for start in range(0, len(array), most):
            block = array[start : start + most]
            wanted = block.dtype.newbyteorder("=") if dtype is None else dtype
            with np.errstate(over="ignore"):
                block = block.astype(wanted, copy=False)
            block = as_array(block, self.name, finite=False)  # whole numbers become float64
            self._check_finite(block, start)
            yield block

    def _check_finite(self, block: Array, start: int) -> None:
        finite = np.isfinite(block)
        if not finite.all():
            row, column = (int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(
                f"{self.name} must be finite in {block.dtype}, got {block[row, column]} "
                f"at row {start + row}, column {column}"
            )


def as_shards(value: Any) -> tuple[Shard, ...]:
    """Shards of the same d from arrays, memory maps and paths of .npy files; none of their numbers is read."""
    if isinstance(value, (str, bytes, os.PathLike, np.ndarray)) or not isinstance(value, Iterable):
        raise TypeError(
            f"shards must be a list of (n, d) arrays or .npy files (one alone is [x]), got {_show(value)}"
        )
    shards: list[Shard] = []
    for index, part in enumerate(value):
        shards.append(_as_shard(part, f"shards[{index}]", shards[0].rows.shape[1] if shards else None))
    if not shards:
        raise ValueError("shards must hold at least one array or file, got none")
    return tuple(shards)


def _as_shard(part: Any, name: str, d: Optional[int]) -> Shard:
    if isinstance(part, (str, os.PathLike)):
        name = f"{name} ({os.fspath(part)})"
        part = _open(part, name)
    place = _place(part)
    array = part if place else as_array(part, name, finite=False)
    as_array(np.empty(0, array.dtype), name)  # the kind of number
    as_batch(np.broadcast_to(0.0, array.shape), name, d=d, finite=False)  # the shape
    return Shard(name, place or array)


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
