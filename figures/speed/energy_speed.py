"""An energy's exact Laplacian: time of loss and full gradient of ISM, PyTorch and JAX beside it, one thread each.

Every peer's loss and gradient are first checked against npscore's (float64 to 1e-10), then all are timed in turns; the
least time of each counts, since whatever else the machine does only adds to it. The whole run takes some minutes;
``--only SIZE …`` measures some sizes anew and keeps the others' numbers.
"""

from __future__ import annotations

import json
import os
from typing import Any

ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
os.environ.update(ONE_THREAD)  # before NumPy and the peers are loaded
if hasattr(os, "sched_setaffinity"):  # and one core, for whoever does not ask the environment
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import npscore as ns  # noqa: E402
from figures.common import options, write, write_numbers  # noqa: E402
from figures.speed._bench import (  # noqa: E402
    QUICK,
    Case,
    Pace,
    check,
    disagreement,
    interleaved,
    kind,
    load_peers,
    machine,
    once,
    our_steps,
)
from figures.speed._speed_claims import at_least, headline, pick, ratios  # noqa: E402
from figures.speed._speed_picture import draw  # noqa: E402

SIZES = {
    "2-64x64-128": (2, (64, 64), 128),
    "16-256-1024": (16, (256,), 1024),
    "64-256-1024": (64, (256,), 1024),
    "784-512-128": (784, (512,), 128),
    "16-128x128-512": (16, (128, 128), 512),
    "64-256x256-256": (64, (256, 256), 256),
}
QUICK_SIZES = {"3-8-16": (3, (8,), 16), "3-8x8-16": (3, (8, 8), 16)}
KINDS = ("float32 tanh", "float64 tanh")
PACE = Pace(rounds=15, burst=0.1, budget=8.0, once=6.0)
FASTER = "fastest exact peer / npscore"


def measure(case: Case, peers: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """Every contender's times on one case, after its numbers have been checked."""
    ours = our_steps(case)
    expected = {kind(name): step() for name, step in ours.items()}
    theirs = {name: step for peer in peers.values() for name, step in peer.steps(case).items()}
    first, errors = {}, {}
    for name, step in theirs.items():
        first[name], (loss, gradients) = once(step)
        errors[name] = check(name, disagreement(expected[kind(name)], loss, gradients), case.x.dtype)
    for name, step in {**ours, **theirs}.items():
        if first.get(name, 0.0) <= pace.once:
            first[name] = once(step)[0]  # without what only a first call does
    contenders = interleaved({**ours, **theirs}, first, pace)
    for name, error in errors.items():
        contenders[name]["disagreement"] = error
    return contenders


def measure_size(size: Any, peers: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """One architecture in both precisions."""
    d, hidden, n = size
    found = {}
    for name in KINDS:
        dtype, activation = name.split()
        found[name] = measure(
            Case.of(ns.EnergyMLP.init((d, *hidden, 1), activation, rng=1, dtype=dtype), n), peers, pace
        )
    return found


def claims(numbers: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The claims, by number."""

    def one_hidden(d: int, hidden: list[int], n: int) -> bool:
        return len(hidden) == 1

    def two_hidden(d: int, hidden: list[int], n: int) -> bool:
        return len(hidden) == 2

    return {
        "1": at_least(
            "one hidden layer: times faster than the fastest exact peer",
            pick(numbers, FASTER, one_hidden, KINDS),
            15,
        ),
        "2": at_least("two hidden layers: the same", pick(numbers, FASTER, two_hidden, KINDS), 1),
    }


def report(seconds: dict[str, Any]) -> dict[str, Any]:
    """What is written: ratios and claims first, then the seconds they come from."""
    numbers = {
        "claim": "",
        "claims": {},
        "ratios": ratios(seconds, "least"),
        "unit": "seconds per step (loss and full gradient); the least call, median and quartiles over turns",
        "machine": machine(),
        "seconds": seconds,
    }
    numbers["claims"] = claims(numbers)
    numbers["claim"] = headline(numbers["claims"])
    return numbers


def main() -> None:
    only = {"nargs": "+", "default": [], "metavar": "SIZE", "help": f"of {', '.join(SIZES)}"}
    arguments = options(__doc__, only=only)
    peers = load_peers()
    if peers.get("torch"):
        peers["torch"].torch.set_num_threads(1)
    sizes, pace = (QUICK_SIZES, QUICK) if arguments.quick else (SIZES, PACE)
    if unknown := set(arguments.only) - set(sizes):
        raise SystemExit(f"--only must name some of {', '.join(sizes)}, got {', '.join(sorted(unknown))}")
    path = arguments.out / "energy_speed.json"
    found = json.loads(path.read_text(encoding="utf-8"))["seconds"] if arguments.only else {}
    for name in arguments.only or sizes:
        found[name] = measure_size(sizes[name], peers, pace)
        found = {size: found[size] for size in sizes if size in found}
        write_numbers(report(found), arguments.out, "energy_speed")
        print(f"energy_speed: {name} measured", flush=True)
    numbers = report(found)
    write(draw(numbers, "least"), numbers, arguments.out, "energy_speed")


if __name__ == "__main__":
    main()
