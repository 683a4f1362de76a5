"""The members of an uncompressed ZIP archive, read without trusting anything it says of itself.

What a general reader takes, a hostile file uses: members that inflate to gigabytes, two of one name, two that share
their bytes, bytes before the first or behind the last, sizes that the file does not have. Here an archive is what
our writer makes: stored members one behind another from the first byte on, then a directory that says the same,
then the end. Sizes are compared with the file's before anything is read.
Source: PKWARE, APPNOTE.TXT, 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end), 4.5.3 (64-bit sizes).
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from typing import IO

LOCAL = struct.Struct("<4s5H3L2H")  # mark, version, flags, method, time, date, crc, packed, size, name, extra
ENTRY = struct.Struct(
    "<4s6H3L5H2L"
)  # mark, 2 versions, flags, method, time, date, crc, …, attributes, offset
END = struct.Struct("<4s4H2LH")  # mark, disks, entries, size and offset of the directory, comment
WIDE = 0xFFFFFFFF  # a 32-bit size that stands for the 64-bit one in the extra field
MOST_MEMBERS = 64


def read_stored(file: IO[bytes]) -> dict[str, bytes]:
    """The members' bytes by name, in order, each checked against its CRC; ValueError says what is wrong."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("a pipe or a device; a file is needed")
    size = status.st_size
    members: dict[str, bytes] = {}
    places = []
    while (start := file.tell()) < size:
        header = _exactly(file, 4, size)
        if header != b"PK\3\4":
            break
        fields = LOCAL.unpack(header + _exactly(file, LOCAL.size - 4, size))
        name = _exactly(file, fields[9], size)
        length = _length(fields, _exactly(file, fields[10], size))
        if name in (place[0] for place in places):
            raise ValueError(f"two members called {name.decode('ascii', 'replace')!r}")
        if len(places) == MOST_MEMBERS:
            raise ValueError(f"more than {MOST_MEMBERS} members")
        data = _exactly(file, length, size)
        if zlib.crc32(data) != fields[6]:
            raise ValueError("a member whose checksum is another")
        places.append((name, fields[6], start))
        members[name.decode("ascii")] = data
    file.seek(start)
    _check_directory(_exactly(file, size - start, size), places, start)
    return members


def _length(fields: tuple, extra: bytes) -> int:
    """The size of a stored member, from its local header or the 64-bit field beside it."""
    flags, method, packed, length = fields[2], fields[3], fields[7], fields[8]
    if method != 0 or flags != 0:
        raise ValueError("a compressed member; only stored ones are read")
    if WIDE in (packed, length):
        if len(extra) != 20 or extra[:4] != b"\1\0\x10\0":
            raise ValueError("a member without its size")
        length, packed = struct.unpack("<QQ", extra[4:])
    if packed != length:
        raise ValueError("a member of two sizes")
    return length


def _check_directory(directory: bytes, places: list[tuple[bytes, int, int]], start: int) -> None:
    """The directory behind the members must list these and no others, and nothing may follow it."""
    at = 0
    for name, crc, place in places:
        entry = directory[at : at + ENTRY.size]
        if len(entry) < ENTRY.size:
            raise ValueError("a directory that is cut off")
        fields = ENTRY.unpack(entry)
        text = directory[at + ENTRY.size : at + ENTRY.size + fields[10]]
        if fields[0] != b"PK\1\2" or text != name or fields[7] != crc or fields[16] not in (place, WIDE):
            raise ValueError("a directory that says something else than the members")
        at += ENTRY.size + fields[10] + fields[11] + fields[12]
    end = directory[at:]
    if len(end) > END.size:  # the two 64-bit records of an archive beyond 2 GB come first
        if end[:4] != b"PK\6\6" or len(end) != 56 + 20 + END.size:
            raise ValueError("members that are in no directory, or bytes behind it")
        end = end[76:]
    if len(end) != END.size or end[:4] != b"PK\5\6" or END.unpack(end)[4] != len(places):
        raise ValueError("no end of the archive")
    where = END.unpack(end)[6]
    if where not in (start, WIDE):
        raise ValueError("a directory in another place than it says")


def _exactly(file: IO[bytes], count: int, size: int) -> bytes:
    """``count`` bytes, asked for only where the file has so many."""
    if count > size - file.tell():
        raise ValueError("a size larger than the file")
    data = file.read(count)
    if len(data) != count:
        raise ValueError("a file that was cut off while it was read")
    return data
