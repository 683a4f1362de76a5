"""Langevin as one would write it in PyTorch: eager, without gradients, in place, on all threads it takes by default."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

Tensor = torch.Tensor


def make_score(kind: str, parameters: dict[str, Any], dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The score of a case, in its precision."""
    if kind == "MLP":
        layers = [(torch.tensor(W), torch.tensor(b)) for W, b in parameters["layers"]]
        return lambda x: network(layers, x)
    given = {name: torch.tensor(value, dtype=dtype) for name, value in parameters.items()}
    if kind == "Gaussian":
        return lambda x: (given["mean"] - x) @ given["precision"]

    def mixture(x: Tensor) -> Tensor:
        to_means = given["means"][:, None] - x  # (K, n, d)
        scores = to_means @ given["precisions"]  # (K, n, d), symmetric
        log_terms = given["offsets"][:, None] - 0.5 * torch.linalg.vecdot(to_means, scores)  # (K, n)
        return (torch.softmax(log_terms, 0)[:, :, None] * scores).sum(0)

    return mixture


def network(layers: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    for W, b in layers[:-1]:
        x = torch.tanh(torch.nn.functional.linear(x, W, b))
    return torch.nn.functional.linear(x, *layers[-1])


@torch.no_grad()
def walk(
    score: Callable[[Tensor], Tensor], x: Tensor, step: float, n_steps: int, noise: Any = None
) -> Tensor:
    """The state after n_steps, with the ``noise`` (n_steps, n, d) given or its own."""
    x, z = x.clone(), torch.empty_like(x)
    for t in range(n_steps):
        z = z.normal_() if noise is None else noise[t]
        x.add_(score(x), alpha=step).add_(z, alpha=math.sqrt(2 * step))
    return x


def runs(case: Any) -> dict[str, Callable[..., Any]]:
    """By name: () -> x with its own noise, or (noise, n_steps) -> x."""
    x0 = torch.tensor(case.x0)
    score = make_score(case.kind, case.parameters, x0.dtype)

    def run(noise: Any = None, n_steps: int = case.n_steps) -> Any:
        given = None if noise is None else torch.tensor(noise)
        return walk(score, x0, case.step, n_steps, given).numpy()

    return {"PyTorch, eager": run}
