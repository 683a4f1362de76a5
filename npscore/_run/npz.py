"""One kind of file: named arrays and a JSON header in an ``.npz``, without pickle, written atomically.

Models and checkpoints are both such files; ``format`` in the header says which, ``version`` how it is laid out.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from .atomic import PathLike, as_path, atomic_write

Array = np.ndarray


class FileFormatError(ValueError):
    """A file is not what it should be: damaged, truncated, foreign, pickled, inconsistent or too new.

    The message names the file and says what is wrong with it. Nothing of the file has been executed.
    """


def write_npz(path: PathLike, format: str, version: int, header: Mapping[str, Any], **arrays: Any) -> None:
    """Write header and arrays to exactly ``path``, complete or not at all."""
    contents = {"format": format, "version": version, "arrays": sorted(arrays), **header}
    text = json.dumps(contents, ensure_ascii=True, allow_nan=False)
    with atomic_write(path) as file:
        np.savez(file, header=np.array(text), **arrays)


def read_npz(path: PathLike, format: str, version: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header and the arrays, read-only, of a file written by ``write_npz``.

    Raises FileFormatError for anything else, FileNotFoundError and its kin where there is no readable file.
    """
    name = as_path(path)
    with open(name, "rb") as file:
        try:
            arrays = _read_arrays(file)
            header = json.loads(str(arrays.pop("header")[()]))
        except KeyError:
            raise FileFormatError(f"{name}: not an npscore file (no header in it)") from None
        except (
            Exception
        ) as error:  # a hostile archive has many ways to fail: zipfile's, zlib's, NumPy's, json's
            raise FileFormatError(f"{name}: not a readable npscore file ({_reason(error)})") from error
    found = header.get("format") if isinstance(header, dict) else None
    if found != format:
        raise FileFormatError(f"{name}: expected an {format} file, got {found!r}")
    if header.get("version") != version:
        raise FileFormatError(
            f"{name}: expected {format} version {version}, got {header.get('version')!r}; "
            "a newer npscore may be needed"
        )
    if header.get("arrays") != sorted(arrays):  # a damaged directory can lose entries
        raise FileFormatError(f"{name}: expected the arrays {header.get('arrays')!r}, got {sorted(arrays)}")
    return header, arrays


def _read_arrays(file: IO[bytes]) -> dict[str, Array]:
    """Every array of an archive, in no more memory than the file is long.

    ``np.load`` trusts the sizes it finds: it allocates what an array's header claims, and leaves the
    checksum unread where that is less than there is.
    """
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        if sum(member.file_size for member in archive.infolist()) > size:
            raise ValueError("its parts are compressed, or claim to be larger than the file")
        # read() takes in the whole member, which is what makes zipfile compare its CRC
        return {name.removesuffix(".npy"): _parse_array(archive.read(name)) for name in archive.namelist()}


def _parse_array(data: bytes) -> Array:
    """The array of a ``.npy`` image, whose size must be exactly what its header says."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array in another version of the npy format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects, which are never loaded")
    body = stream.read()
    array = np.ndarray(shape, dtype, buffer=body, order="F" if fortran_order else "C")
    if array.shape != shape or array.nbytes != len(body):
        raise ValueError("an array of another size than its header says")
    return array


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
