"""What a user would write in JAX for the loss of an MLP score and its full gradient, jitted.

Parameters are [W1, b1, W2, b2, …]; every step returns the loss and the gradients in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

Array = jax.Array
Step = Callable[[], tuple[Array, Sequence[Array]]]

ACTIVATIONS = {"tanh": jnp.tanh, "isru": lambda z: z * jax.lax.rsqrt(1 + z * z)}
DIRECTION_BYTES = 4 * 2**30  # rows are taken in chunks where the tangents of all directions would be larger


def network(params: Sequence[Array], activation: str, x: Array) -> Array:
    phi = ACTIVATIONS[activation]
    for weight, bias in zip(params[0:-2:2], params[1:-2:2]):
        x = phi(x @ weight.T + bias)
    return x @ params[-2].T + params[-1]


def exact(params: Sequence[Array], activation: str, x: Array) -> Array:
    """Exact ISM, the trace from jacfwd under vmap."""

    def of_row(row: Array) -> Array:
        score = lambda x: network(params, activation, x)  # noqa: E731
        s = score(row)
        return 0.5 * s @ s + jnp.trace(jax.jacfwd(score)(row))

    return jax.vmap(of_row)(x).mean()


def sliced(params: Sequence[Array], activation: str, x: Array, v: Array) -> Array:
    """Sliced ISM with one projection, J v by jvp."""
    s, Jv = jax.jvp(lambda x: network(params, activation, x), (x,), (v,))
    return (0.5 * (s * s).sum(1) + (Jv * v).sum(1)).mean()


def denoising(params: Sequence[Array], activation: str, x: Array, noise: Array, sigma: float) -> Array:
    """DSM."""
    residual = network(params, activation, x + sigma * noise) + noise / sigma
    return 0.5 * (residual * residual).sum(1).mean()


def in_chunks(loss: Callable[..., Array], chunks: int) -> Callable[..., tuple[Array, Any]]:
    """Loss and gradient as the mean over equal chunks of rows, scanned, for memory."""
    both = jax.value_and_grad(loss)

    def step(params: Any, x: Array) -> tuple[Array, Any]:
        def add(total: Any, part: Array) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, both(params, part)), None

        zero = jax.tree.map(jnp.zeros_like, (params[-1][0], params))
        total, _ = jax.lax.scan(add, zero, x.reshape(chunks, -1, x.shape[1]))
        return jax.tree.map(lambda a: a / chunks, total)

    return step if chunks > 1 else both


def chunks(case: Any) -> int:
    """A power of two that divides the batch, so that a chunk's tangents fit into DIRECTION_BYTES."""
    count = 1
    while case.direction_bytes / count > DIRECTION_BYTES and case.n % (2 * count) == 0:
        count *= 2
    return count


def compiled(function: Callable[..., Any], *arguments: Any) -> Step:
    """The function compiled for these arguments; a call waits for its result."""
    program = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(program(*arguments))


def steps(case: Any) -> dict[str, Step]:
    """The contenders' steps by name, on this case's numbers, compiled."""
    params = [jnp.asarray(part) for layer in case.model.layers for part in layer]
    x, v, noise = map(jnp.asarray, (case.x, case.v, case.noise))
    act, sigma = case.model.activation.name, case.sigma

    def both(loss: Callable[..., Array], *data: Array) -> Step:
        return compiled(jax.value_and_grad(loss), params, *data)

    return {
        "JAX, jacfwd": compiled(in_chunks(lambda p, x: exact(p, act, x), chunks(case)), params, x),
        "JAX, sliced by jvp": both(lambda p, x, v: sliced(p, act, x, v), x, v),
        "JAX, DSM": both(lambda p, x, e: denoising(p, act, x, e, sigma), x, noise),
    }
