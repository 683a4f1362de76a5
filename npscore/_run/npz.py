"""One kind of file: named arrays and a JSON header in an ``.npz``, without pickle, written atomically.

Models and checkpoints are both such files; ``format`` in the header says which, ``version`` how it is laid out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from .archive import read_stored
from .atomic import PathLike, as_path, atomic_write

Array = np.ndarray

DEEPEST = 100  # lists and objects within one another, in a header
NPY = b"\x93NUMPY\x01\x00"
#: What NumPy writes before an array: version 1.0, and of the types only numbers and text.
DESCRIPTION = re.compile(
    r"\{'descr': '([<>|](?:[fiu][1248]|f1[026]|b1|c8|c16|c24|c32|U[1-9][0-9]{0,9}))', "
    r"'fortran_order': (True|False), 'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)


class FileFormatError(ValueError):
    """A file is not what it should be: damaged, truncated, foreign, pickled, inconsistent or too new.

    The message names the file and says what is wrong with it. Nothing of the file has been executed.
    """


def write_npz(path: PathLike, format: str, version: int, header: Mapping[str, Any], **arrays: Any) -> None:
    """Write header and arrays to exactly ``path``, complete or not at all; members are stored, not compressed.

    Raises ValueError for a header that holds NaN, or lists and objects more than 100 deep.
    """
    contents = {"format": format, "version": version, "arrays": sorted(arrays), **header}
    text = json.dumps(contents, ensure_ascii=True, allow_nan=False)
    check_depth(contents)
    with atomic_write(path) as file:
        np.savez(file, header=np.array(text), **arrays)


def read_npz(path: PathLike, format: str, version: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header and the arrays, read-only, of a file written by ``write_npz``.

    The members are ``header.npy`` and one ``NAME.npy`` for each array that the header lists, no other. Nothing is
    allocated that is larger than the file itself. Raises FileFormatError for anything else, OSError
    where there is no readable file.
    """
    name = as_path(path)
    try:
        with open(name, "rb") as file:
            members = {member: _parse_array(data) for member, data in read_stored(file).items()}
        header = _parse_header(members.pop("header.npy"))
    except KeyError:
        raise FileFormatError(f"{name}: not an npscore file (no header in it)") from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise FileFormatError(f"{name}: not a readable npscore file ({_reason(error)})") from error
    found = header.get("format") if isinstance(header, dict) else None
    if found != format:
        raise FileFormatError(f"{name}: expected an {format} file, got {_short(found)}")
    written = header.get("version")
    if written != version:
        older = type(written) is int and written < version
        hint = "an older npscore wrote it" if older else "a newer npscore may be needed"
        raise FileFormatError(f"{name}: expected {format} version {version}, got {_short(written)}; {hint}")
    arrays = {member.removesuffix(".npy"): array for member, array in members.items()}
    listed = header.get("arrays")
    if listed != sorted(arrays) or sorted(members) != [f"{array}.npy" for array in listed]:
        raise FileFormatError(f"{name}: expected the arrays {_short(listed)}, got {_short(sorted(arrays))}")
    return header, arrays


def check_depth(value: Any, deepest: int = DEEPEST) -> None:
    """ValueError where lists and mappings are nested deeper than that: readers of JSON recurse only so far."""
    level = [value]
    for _ in range(deepest + 1):
        level = [item for outer in level if isinstance(outer, (list, tuple, dict)) for item in _items(outer)]
        if not level:
            return
    raise ValueError(f"lists and mappings more than {deepest} deep")


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def _parse_header(text: Array) -> Any:
    """The JSON of the member ``header.npy``, whose numbers are finite and whose nesting is bounded."""
    header = json.loads(str(text[()]), parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
    check_depth(header)
    return header


def _parse_array(data: bytes) -> Array:
    """The array of a ``.npy`` image, read-only, whose size must be exactly what its description says."""
    end = 10 + int.from_bytes(data[8:10], "little")
    description = data[10:end].decode("latin-1")
    match = DESCRIPTION.fullmatch(description)
    if data[:8] == NPY and description.startswith("{'descr': '|O'"):
        raise ValueError("it holds pickled objects, which are never loaded")
    if data[:8] != NPY or match is None:
        raise ValueError("an array that is no plain one of numbers or text")
    dtype = np.dtype(match[1])
    shape = tuple(int(side) for side in match[3].replace(",", " ").split())
    if math.prod(shape) * dtype.itemsize != len(data) - end:
        raise ValueError("an array of another size than its header says")
    order = "F" if match[2] == "True" else "C"
    return np.ndarray(shape, dtype, buffer=data, offset=end, order=order)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number beyond the range of floats")
    return number


def _whole(text: str) -> int:
    if len(text) > 4300:  # Python's own limit, where it has one: reading more takes quadratic time
        raise ValueError("a number of more than 4,300 digits")
    return int(text)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
