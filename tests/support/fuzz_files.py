"""Model files damaged at random, read in a process whose memory is bounded; run as a program, it counts outcomes.

``python fuzz_files.py COUNT SEED``. Half of the files have bytes changed anywhere; in the other half members are
changed and the archive is made anew, so that checksums and directory are right and the damage gets further in.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter

import numpy as np

import npscore as ns

SEEDS = (
    "0",
    "1",
    "9" * 25,
    "-1",
    "1e999",
    "NaN",
    "null",
    "true",
    '"x"',
    "[]",
    "{}",
    "[[[[]]]]",
    '"\\ud800"',
    "0.5",
)
SPECS = (
    b"|S0",
    b"<f2",
    b"<f8",
    b"<f4",
    b"|O8",
    b"<U0",
    b"<U9",
    b">f8",
    b"<c16",
    b"|V8",
    b"<M8[s]",
    b"<i8",
    b"|b1",
)


def good_files(folder):
    """The bytes of an MLP with its units, and of an affine score."""
    units = ns.datasets.Standardisation(np.arange(3.0), np.ones(3), ["a", "b", "c"])
    for model, more in (
        (
            ns.MLP.init((3, 4, 3), "softplus(beta=2)", rng=0),
            {"standardisation": units, "info": {"curvature": 2.0}},
        ),
        (ns.LinearScore(-np.eye(2, dtype=np.longdouble), np.zeros(2, np.longdouble)), {}),
    ):
        ns.save(os.path.join(folder, "good"), model, **more)
        with open(os.path.join(folder, "good"), "rb") as file:
            yield file.read()


def anywhere(content, rng):
    """Bytes changed, cut out, doubled or swapped."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        if not data:
            break
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 30))
        kind = rng.integers(4)
        if kind == 0:
            data[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        else:
            data[at : at + length] = rng.bytes(length)
    return bytes(data)


def inside(content, rng):
    """A member changed, lost, doubled or renamed, in an archive that is right otherwise."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = int(rng.integers(len(members)))
    name, data = members[at]
    kind = rng.integers(8)
    if kind == 0 and len(members) > 1:
        del members[at]
    elif kind == 1:
        members.append((name, data))
    elif kind == 2:
        members[at] = (str(rng.choice(["", "x/", "/", "../"])) + name.removesuffix(".npy"), data)
    elif kind == 3:
        members[at] = (name, re.sub(rb"<f[0-9]+", lambda _: bytes(rng.choice(SPECS)), data, count=1))
    elif kind == 4:
        members[at] = (
            name,
            data.replace(b"(", b"(" + bytes(rng.choice([b"-1, ", b"0, ", b"9" * 18 + b", "])), 1),
        )
    elif kind == 5 and len(data) > 130:
        members[at] = (name, data[:128] + anywhere(data[128:], rng))
    elif kind == 6:
        members[at] = (name, anywhere(data, rng))
    elif name == "header.npy":
        members[at] = (name, changed_header(data, rng))
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a member twice
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in members:
                archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def changed_header(data, rng):
    """Another value at a random place of the JSON."""
    header = json.loads(str(np.load(io.BytesIO(data))))
    place = header
    while isinstance(place, dict) and place:
        key = str(rng.choice(list(place)))
        if not isinstance(place[key], dict) or rng.random() < 0.3:
            place[key] = "<here>"
            break
        place = place[key]
    text = json.dumps(header).replace('"<here>"', str(rng.choice(SEEDS)))
    stream = io.BytesIO()
    np.save(stream, np.array(text))
    return stream.getvalue()


def outcome(path):
    """ "loaded" or "refused"; whatever else is raised ends the program."""
    try:
        stored = ns.load(path)
    except (ns.FileFormatError, OSError) as error:
        assert len(str(error)) < 700 and "\n" not in str(error), error
        return "refused"
    x = np.zeros((1, stored.model.d), stored.model.dtype)
    try:
        assert stored.model.score(x).shape == x.shape
    except ValueError as error:  # a bit of a parameter's exponent may be what was damaged
        assert "x and the parameters must be of sizes" in str(error), error
    return "loaded"


def main(count, seed):
    rng, found, slowest = np.random.default_rng(seed), Counter(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        good = list(good_files(folder))
        bound_memory(512 * 2**20)
        path = os.path.join(folder, "damaged")
        for number in range(count):
            damage = inside if number % 2 else anywhere
            with open(path, "wb") as file:
                file.write(damage(good[number // 2 % len(good)], rng))
            start = time.perf_counter()
            found[damage.__name__, outcome(path)] += 1
            slowest = max(slowest, time.perf_counter() - start)
    print(json.dumps({**{" ".join(key): n for key, n in found.items()}, "slowest": slowest}))


def bound_memory(more):
    """Let this process have ``more`` bytes of address space beyond what it has now, where the system can."""
    import resource

    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
