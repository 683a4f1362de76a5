"""The same in JAX, jitted: training, exact likelihood, Heun samples of a network in EDM's form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
Array = jax.Array
Run = Callable[[], np.ndarray]


def parameters(layers: Any) -> list[Array]:
    return [jnp.asarray(part) for layer in layers for part in layer]


def denoised(params: Sequence[Array], x: Array, sigma: Array, sigma_data: float) -> Array:
    """D(x; σ); σ is (…, 1)."""
    square = sigma * sigma + sigma_data**2
    a = jnp.concatenate([x * jax.lax.rsqrt(square), 0.25 * jnp.log(sigma)], axis=-1)
    for weight, bias in zip(params[0:-2:2], params[1:-2:2]):
        a = jax.nn.silu(a @ weight.T + bias)
    F = a @ params[-2].T + params[-1]
    return sigma_data**2 / square * x + sigma * sigma_data * jax.lax.rsqrt(square) * F


def loss(params: Sequence[Array], x: Array, t: Array, noise: Array, sigma_data: float) -> Array:
    weight = (t * t + sigma_data**2) / (t * sigma_data) ** 2
    residual = denoised(params, x + t * noise, t, sigma_data) - x
    return (weight * residual * residual).sum(axis=1).mean()


def step(
    layers: Any, x: np.ndarray, t: np.ndarray, noise: np.ndarray, sigma_data: float
) -> Callable[[], Any]:
    params, data = parameters(layers), [jnp.asarray(a) for a in (x, t[:, None].astype(x.dtype), noise)]
    program = (
        jax.jit(jax.value_and_grad(lambda p, *data: loss(p, *data, sigma_data)))
        .lower(params, *data)
        .compile()
    )
    return lambda: jax.block_until_ready(program(params, *data))


def adam(state: Any, batch: Any, rate: Any, t: Any, sigma_data: float) -> Any:
    params, m, v = state
    grads = jax.grad(lambda p: loss(p, *batch, sigma_data))(params)
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    c1, c2 = 1 - 0.9**t, 1 - 0.999**t
    params = jax.tree.map(lambda p, m, v: p - rate * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), params, m, v)
    return params, m, v


def start(layers: Any) -> Any:
    params = parameters(layers)
    zeros = [jnp.zeros_like(p) for p in params]
    return params, zeros, zeros


def fit_steps(
    layers: Any, draws: Iterable[Any], rates: Sequence[float], sigma_data: float
) -> list[np.ndarray]:
    """A Python loop over one jitted step."""
    state, one = start(layers), jax.jit(lambda *arguments: adam(*arguments, sigma_data))
    for k, ((x, t, noise), rate) in enumerate(zip(draws, rates), start=1):
        real = x.dtype.type
        state = one(state, (x, t[:, None].astype(x.dtype), noise), real(rate), real(k))
    return [np.asarray(p) for p in jax.block_until_ready(state[0])]


def fit_scan(
    layers: Any, draws: Iterable[Any], rates: Sequence[float], sigma_data: float
) -> list[np.ndarray]:
    """All steps in one program: what is random is drawn beforehand."""
    x, t, noise = (np.stack(part) for part in zip(*islice(draws, len(rates))))
    columns = ((x, t[..., None].astype(x.dtype), noise), np.asarray(rates, x.dtype))
    numbers = np.arange(1, len(rates) + 1).astype(x.dtype)

    @jax.jit
    def run(state: Any, batch: Any, rates: Array, numbers: Array) -> Any:
        def body(state: Any, row: Any) -> Any:
            return adam(state, *row, sigma_data), None

        return jax.lax.scan(body, state, (batch, rates, numbers))[0]

    state = run(start(layers), *columns, numbers)
    return [np.asarray(p) for p in jax.block_until_ready(state[0])]


def heun(layers: Any, sigmas: np.ndarray, x: np.ndarray, sigma_data: float) -> Callable[[], np.ndarray]:
    params, levels, start = parameters(layers), sigmas.tolist(), jnp.asarray(x)

    def slope(params: Any, x: Array, sigma: float) -> Array:
        column = jnp.full((len(x), 1), sigma, x.dtype)
        return (x - denoised(params, x, column, sigma_data)) / sigma

    def run(params: Any, x: Array) -> Array:
        for t, s in zip(levels, levels[1:]):
            d = slope(params, x, t)
            end = x + (s - t) * d
            x = end if s == 0 else x + 0.5 * (s - t) * (d + slope(params, end, s))
        return x

    program = jax.jit(run).lower(params, start).compile()
    return lambda: np.asarray(program(params, start))


def likelihoods(
    layers: Any, x: np.ndarray, sigmas: np.ndarray, sigma_data: float
) -> dict[str, Callable[[], np.ndarray]]:
    """log p by RK4 along the probability flow, the exact divergence by jacfwd."""
    params, rows, d = parameters(layers), jnp.asarray(x), x.shape[1]
    pairs = jnp.asarray(np.stack([sigmas[:-1], sigmas[1:]], axis=1).astype(x.dtype))

    def field(params: Any, x: Array, sigma: Array) -> tuple[Array, Array]:
        def one(row: Array) -> tuple[Array, Array]:
            v = (row - denoised(params, row, sigma[None], sigma_data)) / sigma
            return v, v

        J, v = jax.vmap(jax.jacfwd(one, has_aux=True))(x)
        return v, jnp.trace(J, axis1=1, axis2=2)

    def run(params: Any, x: Array, pairs: Array) -> Array:
        def body(state: Any, pair: Array) -> Any:
            x, total = state
            t, s = pair
            h, half = s - t, 0.5 * (t + s)
            k1, d1 = field(params, x, t)
            k2, d2 = field(params, x + 0.5 * h * k1, half)
            k3, d3 = field(params, x + 0.5 * h * k2, half)
            k4, d4 = field(params, x + h * k3, s)
            return (
                x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4),
                total + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4),
            ), None

        (x, total), _ = jax.lax.scan(body, (x, jnp.zeros(len(x), x.dtype)), pairs)
        std = float(sigmas[-1])
        return total - 0.5 * (x * x).sum(1) / std**2 - d * math.log(std * math.sqrt(2 * math.pi))

    program = jax.jit(run).lower(params, rows, pairs).compile()
    return {"JAX, exact by jacfwd": lambda: np.asarray(program(params, rows, pairs))}


FITS = {"JAX, jitted step": fit_steps, "JAX, one scan": fit_scan}
