"""Langevin as one would write it in JAX: one jitted ``lax.scan`` over all steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

Array = jax.Array


def make_score(kind: str, parameters: dict[str, Any], dtype: Any) -> Callable[[Array], Array]:
    """The score of a case, in its precision."""
    given = jax.tree.map(lambda value: jnp.asarray(value, dtype), parameters)
    if kind == "MLP":
        return lambda x: network(given["layers"], x)
    if kind == "Gaussian":
        return lambda x: (given["mean"] - x) @ given["precision"]

    def mixture(x: Array) -> Array:
        to_means = given["means"][:, None] - x  # (K, n, d)
        scores = to_means @ given["precisions"]  # (K, n, d), symmetric
        log_terms = given["offsets"][:, None] - 0.5 * (to_means * scores).sum(-1)  # (K, n)
        return (jax.nn.softmax(log_terms, 0)[:, :, None] * scores).sum(0)

    return mixture


def network(layers: Any, x: Array) -> Array:
    for W, b in layers[:-1]:
        x = jnp.tanh(x @ W.T + b)
    return x @ layers[-1][0].T + layers[-1][1]


def runs(case: Any) -> dict[str, Callable[..., Any]]:
    """By name: () -> x with its own noise, or (noise, n_steps) -> x."""
    dtype = case.x0.dtype
    score = make_score(case.kind, case.parameters, dtype)
    alpha, sqrt_2_alpha = dtype.type(case.step), dtype.type(np.sqrt(2 * case.step))

    def step(x: Array, z: Array) -> Array:
        return x + alpha * score(x) + sqrt_2_alpha * z

    @partial(jax.jit, static_argnums=2)
    def own(x: Array, key: Array, n_steps: int) -> Array:
        def draw_and_step(carry: Any, _: None) -> tuple[Any, None]:
            x, key = carry
            key, now = jax.random.split(key)
            return (step(x, jax.random.normal(now, x.shape, dtype)), key), None

        return jax.lax.scan(draw_and_step, (x, key), None, length=n_steps)[0][0]

    @jax.jit
    def given(x: Array, noise: Array) -> Array:
        return jax.lax.scan(lambda x, z: (step(x, z), None), x, noise)[0]

    x0 = jnp.asarray(case.x0)

    def run(noise: Any = None, n_steps: int = case.n_steps) -> Any:
        x = own(x0, jax.random.key(0), n_steps) if noise is None else given(x0, jnp.asarray(noise))
        return np.asarray(x.block_until_ready())

    return {"JAX, jitted scan": run}
