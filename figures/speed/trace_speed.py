"""The exact trace against what one would otherwise write: time of loss and full gradient, PyTorch and JAX beside it.

Every peer's loss and gradient are first checked against npscore's (float64 to 1e-10), then all are timed in turns.
The whole run takes about ten minutes; ``--only PART …`` measures some parts anew and keeps the others' numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from figures.common import options, write, write_numbers
from figures.speed._bench import (
    QUICK,
    Case,
    Pace,
    Step,
    check,
    disagreement,
    interleaved,
    kind,
    load_peers,
    machine,
    once,
    our_steps,
    peak_bytes,
)
from figures.speed._by_hand import step as by_hand
from figures.speed._speed_claims import BY_HAND, claims, headline, is_small, ratios
from figures.speed._speed_picture import draw

SIZES = {
    "2-64x64-128": (2, (64, 64), 128),
    "2-128x128-1024": (2, (128, 128), 1024),
    "16-256x256-1024": (16, (256, 256), 1024),
    "64-256-1024": (64, (256,), 1024),
    "64-256x256-1024": (64, (256, 256), 1024),
    "784-512x512-1024": (784, (512, 512), 1024),
    "16-128x128x128-512": (16, (128,) * 3, 512),
    "32-128x128x128x128-256": (32, (128,) * 4, 256),
}
QUICK_SIZES = {"3-8x8-16": (3, (8, 8), 16), "3-8x8x8-16": (3, (8,) * 3, 16)}
DIMENSIONS = (2, 8, 16, 64, 256, 784)
DEEP = {  # peak memory at three and more hidden layers, also where batch and d are large
    "16-128x128x128-512": (16, (128,) * 3, 512),
    "16-128x128x128-65536": (16, (128,) * 3, 65536),
    "32-128x128x128x128-256": (32, (128,) * 4, 256),
    "784-128x128x128-1024": (784, (128,) * 3, 1024),
}
QUICK_KINDS = [("float32", "tanh"), ("float64", "isru")]
QUICK_DEEP = {"3-8x8x8-16": (3, (8,) * 3, 16)}
KINDS = [("float32", "tanh"), ("float64", "tanh"), ("float32", "isru"), ("float64", "isru")]
LEFT_OUT = {  # minutes each; with tanh they are timed
    ("784-512x512-1024", "isru"): ("PyTorch, d backward passes", "PyTorch, torch.func")
}


def blas_floor(case: Case) -> Step:
    """The step's matrix products alone: forward, backward, and trace where it has a closed form (5.11)–(5.14)."""
    *hidden, (last, _) = case.model.layers
    a = [case.x, *(np.zeros((case.n, len(b)), case.x.dtype) for _, b in hidden)]
    a = [np.random.default_rng(2).standard_normal(part.shape).astype(part.dtype) for part in a]
    s, weights = case.x, [layer.weight for layer in case.model.layers]
    pairs = [(before, W.T) for before, W in zip(a, weights)]
    pairs += [(after.T, before) for before, after in zip(a, [*a[1:], s])]  # dWₗ = dzₗᵀ aₗ₋₁
    pairs += [(after, W) for after, W in zip([*a[2:], s], weights[1:])]  # da = dz W
    if len(hidden) == 2:
        first, middle = weights[:2]
        P = middle.T  # (h1, h2), the shape of W₁ W₃
        pairs += [(first, last), (a[1], middle.T), (a[2].T, a[1]), (a[2], middle)]
        pairs += [(P, last.T), (first.T, P)]
    outs = [np.empty((left.shape[0], right.shape[1]), left.dtype) for left, right in pairs]

    def step() -> None:
        for (left, right), out in zip(pairs, outs):
            np.matmul(left, right, out=out)

    return step


def measure(case: Case, peers: dict[str, Any], left_out: tuple[str, ...], pace: Pace) -> dict[str, Any]:
    """Every contender's times on one case, after its numbers have been checked."""
    ours = our_steps(case)
    expected = {kind(name): step() for name, step in ours.items()}
    theirs = {name: step for peer in peers.values() for name, step in peer.steps(case).items()}
    theirs = {name: step for name, step in theirs.items() if name not in left_out}
    if is_small(case.model.d, case.model.sizes[1:-1], case.n) and case.model.activation.spec() == "tanh":
        theirs[BY_HAND] = by_hand(case)
    steps, first, errors = {**ours, **theirs}, {}, {}
    for name, step in theirs.items():
        first[name], (loss, gradients) = once(step)
        errors[name] = check(name, disagreement(expected[kind(name)], loss, gradients), case.x.dtype)
    if len(case.model.layers) <= 3:
        steps["BLAS"] = blas_floor(case)
    for name, step in steps.items():
        if first.get(name, 0.0) <= pace.once:
            first[name] = once(step)[0]  # without what only a first call does
    contenders = interleaved(steps, first, pace)
    for name, error in errors.items():
        contenders[name]["disagreement"] = error
    return contenders


def measure_size(name: str, size: Any, kinds: Any, peers: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """One architecture in all kinds: both precisions, both activations."""
    found = {}
    for dtype, activation in kinds:
        case = Case.make(*size, activation, dtype)
        found[f"{dtype} {activation}"] = measure(case, peers, LEFT_OUT.get((name, activation), ()), pace)
    return found


def measure_dimensions(dimensions: tuple[int, ...], width: int, n: int, pace: Pace) -> dict[str, Any]:
    """npscore's exact step and its DSM step side by side, as d grows: two hidden layers."""
    found: dict[str, Any] = {"d": list(dimensions), "hidden": [width, width], "batch": n}
    for dtype, activation in KINDS:
        rows = []
        for d in dimensions:
            steps = our_steps(Case.make(d, (width, width), n, activation, dtype))
            del steps["npscore, sliced"]
            first = {name: once(step)[0] for name, step in steps.items()}
            rows.append(interleaved(steps, first, pace))
        found[f"{dtype} {activation}"] = rows
    return found


def measure_memory(sizes: dict[str, Any]) -> dict[str, Any]:
    """Peak memory of a step beside that of parameters and data, float64."""
    found = {}
    for name, size in sizes.items():
        case = Case.make(*size, "tanh", "float64")
        peak = peak_bytes(our_steps(case)["npscore, exact"])
        found[name] = {
            "peak_bytes": peak,
            "parameter_bytes": case.model.theta.nbytes,
            "data_bytes": case.x.nbytes,
        }
    return found


def parts(quick: bool, peers: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Everything there is to measure, by name."""
    pace = QUICK if quick else Pace()
    kinds = QUICK_KINDS if quick else KINDS
    sizes, deep = (QUICK_SIZES, QUICK_DEEP) if quick else (SIZES, DEEP)
    dimensions = ((2, 5), 8, 16) if quick else (DIMENSIONS, 256, 1024)
    todo: dict[str, Callable[[], Any]] = {
        name: lambda name=name, size=size: measure_size(name, size, kinds, peers, pace)
        for name, size in sizes.items()
    }
    todo["dimensions"] = lambda: measure_dimensions(*dimensions, pace)
    todo["memory"] = lambda: measure_memory(deep)
    return todo


def report(found: dict[str, Any], order: list[str]) -> dict[str, Any]:
    """What is written: ratios and claims first, then the seconds they come from."""
    seconds = {name: found[name] for name in order if name in found and name not in ("dimensions", "memory")}
    numbers = {
        "claim": "",
        "claims": {},
        "ratios": ratios(seconds),
        "unit": "seconds per step (loss and full gradient); median and quartiles over turns",
        "left_out": {name: list(peers) for (name, _), peers in LEFT_OUT.items()},
        "machine": machine(),
        "seconds": seconds,
        "dimensions": found.get("dimensions"),
        "memory": found.get("memory"),
    }
    numbers["claims"] = claims(numbers)
    numbers["claim"] = headline(numbers["claims"])
    return numbers


def earlier(path: Any) -> dict[str, Any]:
    """The parts of a run before this one."""
    if not path.exists():
        return {}
    numbers = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: numbers[name] for name in ("dimensions", "memory") if numbers[name]}
    return {**numbers["seconds"], **kept}


def main() -> None:
    only = {
        "nargs": "+",
        "default": [],
        "metavar": "PART",
        "help": f"of {', '.join(SIZES)}, dimensions, memory",
    }
    arguments = options(__doc__, only=only)
    peers = load_peers()
    todo = parts(arguments.quick, peers)
    unknown = set(arguments.only) - set(todo)
    if unknown:
        raise SystemExit(f"--only must name some of {', '.join(todo)}, got {', '.join(sorted(unknown))}")
    found = earlier(arguments.out / "trace_speed.json") if arguments.only else {}
    for name in arguments.only or todo:
        found[name] = todo[name]()
        write_numbers(report(found, list(todo)), arguments.out, "trace_speed")
        print(f"trace_speed: {name} measured", flush=True)
    numbers = report(found, list(todo))
    write(draw(numbers), numbers, arguments.out, "trace_speed")


if __name__ == "__main__":
    main()
