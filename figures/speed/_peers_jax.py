"""What a user would write in JAX for the loss of a network's score, or of an energy's, and its full gradient, jitted.

Parameters are [W1, b1, W2, b2, …]; every step returns the loss and the gradients in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

Array = jax.Array
Step = Callable[[], tuple[Array, Sequence[Array]]]
Field = Callable[[Sequence[Array], str, Array], Array]

ACTIVATIONS = {"tanh": jnp.tanh, "isru": lambda z: z * jax.lax.rsqrt(1 + z * z)}
DIRECTION_BYTES = 4 * 2**30  # rows are taken in chunks where the tangents of all directions would be larger


def network(params: Sequence[Array], activation: str, x: Array) -> Array:
    phi = ACTIVATIONS[activation]
    for weight, bias in zip(params[0:-2:2], params[1:-2:2]):
        x = phi(x @ weight.T + bias)
    return x @ params[-2].T + params[-1]


def minus_gradient(params: Sequence[Array], activation: str, x: Array) -> Array:
    """The score of an energy, of a row or of a batch."""
    return -jax.grad(lambda x: network(params, activation, x).sum())(x)


def exact(params: Sequence[Array], activation: str, x: Array, field: Field = network) -> Array:
    """Exact ISM, the trace from jacfwd under vmap."""

    def of_row(row: Array) -> Array:
        score = lambda x: field(params, activation, x)  # noqa: E731
        s = score(row)
        return 0.5 * s @ s + jnp.trace(jax.jacfwd(score)(row))

    return jax.vmap(of_row)(x).mean()


def sliced(params: Sequence[Array], activation: str, x: Array, v: Array, field: Field = network) -> Array:
    """Sliced ISM with one projection, J v by jvp."""
    s, Jv = jax.jvp(lambda x: field(params, activation, x), (x,), (v,))
    return (0.5 * (s * s).sum(1) + (Jv * v).sum(1)).mean()


def denoising(
    params: Sequence[Array], activation: str, x: Array, noise: Array, sigma: float, field: Field = network
) -> Array:
    """DSM."""
    residual = field(params, activation, x + sigma * noise) + noise / sigma
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
    field = minus_gradient if hasattr(case.model, "energy") else network

    def both(loss: Callable[..., Array], *data: Array) -> Step:
        return compiled(jax.value_and_grad(loss), params, *data)

    return {
        "JAX, jacfwd": compiled(in_chunks(lambda p, x: exact(p, act, x, field), chunks(case)), params, x),
        "JAX, sliced by jvp": both(lambda p, x, v: sliced(p, act, x, v, field), x, v),
        "JAX, DSM": both(lambda p, x, e: denoising(p, act, x, e, sigma, field), x, noise),
    }


# ---- the training loop -------------------------------------------------------------------------------


def adam(state: Any, batch: Array, rate: Any, t: Any) -> Any:
    """One step of Adam on exact ISM; ``state`` is (params, m, v)."""
    params, m, v = state
    grads = jax.grad(lambda p: exact(p, "tanh", batch))(params)
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    c1, c2 = 1 - 0.9**t, 1 - 0.999**t
    params = jax.tree.map(lambda p, m, v: p - rate * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), params, m, v)
    return params, m, v


def start(layers: Any) -> Any:
    params = [jnp.asarray(part) for layer in layers for part in layer]
    zeros = [jnp.zeros_like(p) for p in params]
    return params, zeros, zeros


def fit_steps(layers: Any, batches: Iterable[np.ndarray], rates: Sequence[float]) -> dict[str, Any]:
    """A Python loop over one jitted step."""
    state, step = start(layers), jax.jit(lambda *arguments: adam(*arguments))
    for t, (batch, rate) in enumerate(zip(batches, rates), start=1):
        state = step(state, batch, batch.dtype.type(rate), batch.dtype.type(t))
    return {"params": jax.block_until_ready(state[0])}


def fit_scan(layers: Any, batches: Iterable[np.ndarray], rates: Sequence[float]) -> dict[str, Any]:
    """All steps in one program: the batches are drawn beforehand."""
    drawn = np.stack(list(islice(batches, len(rates))))  # (steps, batch, d)
    times = np.arange(1, len(rates) + 1).astype(drawn.dtype)

    @jax.jit
    def run(state: Any, *columns: Array) -> Any:
        return jax.lax.scan(lambda state, row: (adam(state, *row), None), state, columns)[0]

    state = run(start(layers), drawn, np.asarray(rates, drawn.dtype), times)
    return {"params": jax.block_until_ready(state[0])}


FITS = {"JAX, a jitted step": fit_steps, "JAX, lax.scan over all steps": fit_scan}
