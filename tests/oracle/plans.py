"""Which networks there are: operation, activation, sizes and options of every case about one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

OPERATIONS = ("esm", "ism", "ssm", "ssm_vr", "dsm")
SMOOTH = ("tanh", "softplus", "sigmoid", "silu", "sin", "isru", "erf", "gelu")
#: by hidden layers: (n, sizes, m), all of n, d, m and the widths different, at least 3, d odd
SHAPES = {
    0: [(4, (3, 3), 5), (6, (5, 5), 3), (5, (7, 7), 4)],
    1: [
        (5, (3, 7, 3), 4),
        (4, (5, 6, 5), 3),
        (7, (3, 8, 3), 5),
        (3, (5, 8, 5), 4),
        (6, (7, 4, 7), 3),
        (4, (3, 9, 3), 5),
    ],
    2: [
        (5, (3, 7, 6, 3), 4),
        (4, (5, 6, 7, 5), 3),
        (7, (3, 5, 6, 3), 4),
        (3, (5, 7, 6, 5), 4),
        (6, (3, 8, 7, 3), 4),
    ],
    3: [(4, (3, 6, 7, 8, 3), 5), (4, (5, 6, 8, 7, 5), 3), (5, (3, 8, 6, 7, 3), 4)],
    4: [(4, (3, 6, 7, 8, 9, 3), 5), (5, (3, 8, 6, 9, 7, 3), 4)],
}
COUNTS = {0: 6, 1: 24, 2: 26, 3: 8, 4: 5}
RATIONAL_SHAPES = {
    0: [(4, (3, 3), 5)],
    1: [(5, (3, 7, 3), 4), (4, (5, 6, 5), 3)],
    2: [(6, (3, 5, 4, 3), 7), (4, (3, 5, 6, 3), 7)],
    3: [(4, (3, 5, 6, 7, 3), 8)],
}


class Plan(NamedTuple):
    """What a case is about, before its numbers."""

    id: str
    operation: str
    activation: str
    n: int
    sizes: tuple[int, ...]
    m: int  # probes
    weights: bool = False
    sigma: str = "one"  # or "rows"
    weighting: str = "none"  # or "sigma2"
    probes: str = "gaussian"  # or "rademacher"
    difficulty: str = "plain"  # or exact, tail, cancelling


def plans(family: str) -> Iterator[Plan]:
    """The cases of a family in the order of their ids."""
    return _rational_plans() if family == "rational" else _smooth_plans(family)


def _smooth_plans(operation: str) -> Iterator[Plan]:
    number = 0
    for hidden, count in COUNTS.items():
        shapes, names = SHAPES[hidden], SMOOTH if hidden < 3 else SMOOTH[:6]
        for k in range(count):
            number += 1
            turn = k + k // len(shapes)  # so that options do not go round with the shapes
            special = {4: "tail", 9: "cancelling", 13: "tail", 18: "cancelling"} if 0 < hidden < 3 else {}
            yield Plan(
                f"{operation}-{number:04d}",
                operation,
                names[(k + 3 * hidden + OPERATIONS.index(operation)) % len(names)] if hidden else "identity",
                *shapes[k % len(shapes)],
                weights=turn % 3 == 1,
                sigma=("one", "rows")[turn % 2],
                weighting=("none", "none", "sigma2")[(k + turn) % 3],
                probes=("gaussian", "rademacher")[turn % 2],
                difficulty=special.get(k, "plain"),
            )


def _rational_plans() -> Iterator[Plan]:
    number = 0
    for hidden, shapes in RATIONAL_SHAPES.items():
        names = {0: ("identity",), 3: ("square",)}.get(hidden, ("square", "cube"))
        for operation in OPERATIONS:
            for activation in names:
                for n, sizes, m in shapes:
                    for k in range(2):
                        number += 1
                        yield Plan(
                            f"rational-{number:04d}",
                            operation,
                            activation,
                            n,
                            sizes,
                            m,
                            weights=(k + hidden) % 2 == 1,
                            sigma=("one", "rows")[k],
                            weighting=("none", "sigma2")[(k + number // 2) % 2],
                            probes=("gaussian", "rademacher")[k],
                            difficulty="exact",
                        )
