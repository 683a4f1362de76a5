"""What a user would write in PyTorch for the loss of a network's score, or of an energy's, and its full gradient.

Parameters are [W1, b1, W2, b2, …]; every step returns the loss and the gradients in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch.func import grad, grad_and_value, jacfwd, jvp, vmap
from torch.nn.functional import linear

Tensor = torch.Tensor
Step = Callable[[], tuple[Tensor, Sequence[Tensor]]]
Field = Callable[[Sequence[Tensor], str, Tensor], Tensor]

ACTIVATIONS = {"tanh": torch.tanh, "isru": lambda z: z * torch.rsqrt(1 + z * z)}
GRAPH_BYTES = 4 * 2**30  # rows are taken in chunks where the graph of all directions would be larger


def tensor(array: np.ndarray) -> Tensor:
    return torch.tensor(array)


def network(params: Sequence[Tensor], activation: str, x: Tensor) -> Tensor:
    phi = ACTIVATIONS[activation]
    for weight, bias in zip(params[0:-2:2], params[1:-2:2]):
        x = phi(linear(x, weight, bias))
    return linear(x, params[-2], params[-1])


def minus_gradient(params: Sequence[Tensor], activation: str, x: Tensor) -> Tensor:
    """The score of an energy, by a backward pass with ``create_graph``."""
    x = x if x.requires_grad else x.detach().requires_grad_()
    return -torch.autograd.grad(network(params, activation, x).sum(), x, create_graph=True)[0]


def functional_gradient(params: Sequence[Tensor], activation: str, x: Tensor) -> Tensor:
    """The score of an energy, of a row or of a batch, by ``torch.func``."""
    return -grad(lambda x: network(params, activation, x).sum())(x)


def backward_passes(params: Sequence[Tensor], activation: str, x: Tensor, field: Field = network) -> Tensor:
    """Exact ISM, the trace from d backward passes with ``create_graph``."""
    x = x.detach().requires_grad_()
    s = field(params, activation, x)
    rows = [torch.autograd.grad(s[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1])]
    return (0.5 * (s * s).sum(1) + torch.stack(rows).sum(0)).mean()


def functional(params: Sequence[Tensor], activation: str, x: Tensor, field: Field = network) -> Tensor:
    """Exact ISM, the trace from ``torch.func``: jacfwd under vmap."""

    def score(row: Tensor) -> tuple[Tensor, Tensor]:
        s = field(params, activation, row)
        return s, s

    J, s = vmap(jacfwd(score, has_aux=True))(x)
    return (0.5 * (s * s).sum(1) + J.diagonal(dim1=1, dim2=2).sum(1)).mean()


def sliced_backward(
    params: Sequence[Tensor], activation: str, x: Tensor, v: Tensor, field: Field = network
) -> Tensor:
    """Sliced ISM with one projection, vᵀJ from one backward pass with ``create_graph``."""
    x = x.detach().requires_grad_()
    s = field(params, activation, x)
    (vJ,) = torch.autograd.grad((s * v).sum(), x, create_graph=True)
    return (0.5 * (s * s).sum(1) + (vJ * v).sum(1)).mean()


def sliced_forward(
    params: Sequence[Tensor], activation: str, x: Tensor, v: Tensor, field: Field = network
) -> Tensor:
    """The same with J v from a forward pass of tangents."""
    s, Jv = jvp(lambda x: field(params, activation, x), (x,), (v,))
    return (0.5 * (s * s).sum(1) + (Jv * v).sum(1)).mean()


def denoising(
    params: Sequence[Tensor], activation: str, x: Tensor, noise: Tensor, sigma: float, field: Field = network
) -> Tensor:
    """DSM."""
    residual = field(params, activation, x + sigma * noise) + noise / sigma
    return 0.5 * (residual * residual).sum(1).mean()


def eager(loss: Callable[..., Tensor], params: Sequence[Tensor], activation: str, *data: Any) -> Step:
    """Loss, then ``autograd.grad`` in all parameters."""

    def step() -> tuple[Tensor, Sequence[Tensor]]:
        value = loss(params, activation, *data)
        return value.detach(), torch.autograd.grad(value, params, materialize_grads=True)

    return step


def transformed(loss: Callable[..., Tensor], params: Sequence[Tensor], activation: str, *data: Any) -> Step:
    """The same by ``torch.func.grad_and_value``."""
    leaves = tuple(p.detach() for p in params)
    both = grad_and_value(loss)

    def step() -> tuple[Tensor, Sequence[Tensor]]:
        gradients, value = both(leaves, activation, *data)
        return value, gradients

    return step


def in_chunks(make: Callable[[Tensor], Step], x: Tensor, rows: int) -> Step:
    """Loss and gradient as the sum over chunks of rows, for memory."""
    if rows >= len(x):
        return make(x)
    parts = [(len(part) / len(x), make(part)) for part in x.split(rows)]

    def step() -> tuple[Tensor, Sequence[Tensor]]:
        total, gradients = 0.0, None
        for share, part in parts:
            value, grads = part()
            total = total + share * value
            grads = [share * g for g in grads]
            gradients = grads if gradients is None else [a + b for a, b in zip(gradients, grads)]
        return total, gradients

    return step


def steps(case: Any) -> dict[str, Step]:
    """The contenders' steps by name, on this case's numbers."""
    params = [tensor(part).requires_grad_() for layer in case.model.layers for part in layer]
    x, v, noise = map(tensor, (case.x, case.v, case.noise))
    act = case.model.activation.name
    rows = max(1, min(case.n, GRAPH_BYTES * case.n // case.direction_bytes))
    is_energy = hasattr(case.model, "energy")
    field, functional_field = (minus_gradient, functional_gradient) if is_energy else (network, network)
    return {
        "PyTorch, d backward passes": in_chunks(
            lambda x: eager(backward_passes, params, act, x, field), x, rows
        ),
        "PyTorch, torch.func": in_chunks(
            lambda x: transformed(functional, params, act, x, functional_field), x, rows
        ),
        "PyTorch, sliced by a double backward": eager(sliced_backward, params, act, x, v, field),
        "PyTorch, sliced by jvp": eager(sliced_forward, params, act, x, v, functional_field),
        "PyTorch, DSM": eager(denoising, params, act, x, noise, case.sigma, field),
    }


def fit(layers: Any, batches: Iterable[np.ndarray], rates: Sequence[float]) -> dict[str, Any]:
    """The training loop one would write: exact ISM by backward passes, PyTorch's Adam in its fastest form."""
    params = [tensor(part).requires_grad_() for layer in layers for part in layer]
    optimizer = torch.optim.Adam(params, fused=True)
    for batch, rate in zip(batches, rates):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        backward_passes(params, "tanh", torch.from_numpy(batch)).backward()
        optimizer.step()
    return {"params": [p.detach() for p in params]}


FITS = {"PyTorch, eager": fit}
