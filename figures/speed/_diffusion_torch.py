"""What a user would write in PyTorch for a network in EDM's form: training, exact likelihood, Heun samples.

Parameters are [W1, b1, W2, b2, …]; the network runs on [c x, ¼ log σ] with SiLU between the layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch.func import jacrev, vmap
from torch.nn.functional import linear, silu

Tensor = torch.Tensor
Run = Callable[[], np.ndarray]


def parameters(layers: Any) -> list[Tensor]:
    return [torch.tensor(part).requires_grad_() for layer in layers for part in layer]


def denoised(params: Sequence[Tensor], x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    """D(x; σ) = c_skip x + c_out F(c_in x; ¼ log σ); σ is (…, 1)."""
    square = sigma * sigma + sigma_data**2
    a = torch.cat([x * torch.rsqrt(square), 0.25 * torch.log(sigma)], dim=-1)
    for weight, bias in zip(params[0:-2:2], params[1:-2:2]):
        a = silu(linear(a, weight, bias))
    F = linear(a, params[-2], params[-1])
    return sigma_data**2 / square * x + sigma * sigma_data * torch.rsqrt(square) * F


def loss(params: Sequence[Tensor], x: Tensor, t: Tensor, noise: Tensor, sigma_data: float) -> Tensor:
    """EDM's: the mean of λ(σ)‖D − x‖²."""
    weight = (t * t + sigma_data**2) / (t * sigma_data) ** 2
    residual = denoised(params, x + t * noise, t, sigma_data) - x
    return (weight * residual * residual).sum(dim=1).mean()


def step(
    layers: Any, x: np.ndarray, t: np.ndarray, noise: np.ndarray, sigma_data: float
) -> Callable[[], Any]:
    params, data = parameters(layers), [torch.tensor(a) for a in (x, t[:, None].astype(x.dtype), noise)]

    def both() -> Any:
        value = loss(params, *data, sigma_data)
        return value.detach(), torch.autograd.grad(value, params)

    return both


def fit(layers: Any, draws: Iterable[Any], rates: Sequence[float], sigma_data: float) -> list[np.ndarray]:
    """The training loop one would write: PyTorch's Adam in its fastest form."""
    params = parameters(layers)
    optimizer = torch.optim.Adam(params, fused=True)
    for (x, t, noise), rate in zip(draws, rates):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        data = [torch.from_numpy(a) for a in (x, t[:, None].astype(x.dtype), noise)]
        loss(params, *data, sigma_data).backward()
        optimizer.step()
    return [p.detach().numpy() for p in params]


def heun(layers: Any, sigmas: np.ndarray, x: np.ndarray, sigma_data: float) -> Callable[[], np.ndarray]:
    """EDM's deterministic sampler."""
    params, levels, start = parameters(layers), sigmas.tolist(), torch.tensor(x)

    def slope(x: Tensor, sigma: float) -> Tensor:
        column = torch.full((len(x), 1), sigma, dtype=x.dtype)
        return (x - denoised(params, x, column, sigma_data)) / sigma

    @torch.no_grad()
    def run() -> np.ndarray:
        x = start
        for t, s in zip(levels, levels[1:]):
            d = slope(x, t)
            end = x + (s - t) * d
            x = end if s == 0 else x + 0.5 * (s - t) * (d + slope(end, s))
        return x.numpy()

    return run


def likelihoods(
    layers: Any, x: np.ndarray, sigmas: np.ndarray, sigma_data: float
) -> dict[str, Callable[[], np.ndarray]]:
    """log p by RK4 along the probability flow: the exact divergence in two ways, and one probe for it."""
    params, start = [p.detach() for p in parameters(layers)], torch.tensor(x)
    d, signs = x.shape[1], torch.tensor(np.random.default_rng(0).choice([-1.0, 1.0], x.shape).astype(x.dtype))

    def velocity(x: Tensor, sigma: float) -> Tensor:
        column = torch.full((*x.shape[:-1], 1), sigma, dtype=x.dtype)
        return (x - denoised(params, x, column, sigma_data)) / sigma

    def backward(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            v = velocity(x, sigma)
            rows = [torch.autograd.grad(v[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(d)]
        return v.detach(), torch.stack(rows).sum(0)

    def functional(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        def one(row: Tensor) -> tuple[Tensor, Tensor]:
            v = velocity(row, sigma)
            return v, v

        J, v = vmap(jacrev(one, has_aux=True))(x)
        return v, J.diagonal(dim1=1, dim2=2).sum(1)

    def probed(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            v = velocity(x, sigma)
            (vJ,) = torch.autograd.grad((v * signs).sum(), x)
        return v.detach(), (vJ * signs).sum(1)

    def run(field: Any) -> Callable[[], np.ndarray]:
        @torch.no_grad()
        def log_prob() -> np.ndarray:
            x, total = start, torch.zeros(len(start), dtype=start.dtype)
            for t, s in zip(sigmas.tolist(), sigmas.tolist()[1:]):
                h, half = s - t, 0.5 * (t + s)
                k1, d1 = field(x, t)
                k2, d2 = field(x + 0.5 * h * k1, half)
                k3, d3 = field(x + 0.5 * h * k2, half)
                k4, d4 = field(x + h * k3, s)
                x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
                total = total + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
            std = float(sigmas[-1])
            log_prior = -0.5 * (x * x).sum(1) / std**2 - d * math.log(std * math.sqrt(2 * math.pi))
            return (log_prior + total).numpy()

        return log_prob

    return {
        "PyTorch, exact by d backward passes": run(backward),
        "PyTorch, exact by torch.func": run(functional),
        "PyTorch, one probe": run(probed),
    }
