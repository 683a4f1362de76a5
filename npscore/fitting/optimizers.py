"""The steps of an optimiser as pure functions of flat vectors: state in, state out."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Moments(NamedTuple):
    """Adam's running means after ``t`` steps: of the gradient, m, and of its square, v; both (p,)."""

    t: int
    m: Array
    v: Array


def adam_init(theta: Array) -> Moments:
    """Adam's moments before the first step: zero."""
    return Moments(0, np.zeros_like(theta), np.zeros_like(theta))


def adam_step(
    state: Moments,
    theta: Array,
    grad: Array,
    learning_rate: float,
    *,
    weight_decay: float = 0.0,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Moments]:
    """One Adam step downhill with bias correction: the next (θ, moments); the arguments stay as they are.

    m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², θ ← θ - η (m̂/(√v̂ + ε) + λθ), with m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ).
    The decay λ is decoupled from the gradient and acts on all of θ, biases too.
    Source: Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019 for the decay.
    """
    t = state.t + 1
    m = beta1 * state.m + (1 - beta1) * grad
    v = beta2 * state.v + (1 - beta2) * (grad * grad)
    step = m / (np.sqrt(v / (1 - beta2**t)) + epsilon)
    step *= 1 / (1 - beta1**t)
    if weight_decay:
        step += weight_decay * theta
    return theta - learning_rate * step, Moments(t, m, v)  # eq-9.8


def learning_rate_at(step: int, steps: int, base: float, schedule: str) -> float:
    """The rate of step 0 … steps-1: ``base``, or falling from it to 0 along half a cosine.

    "cosine" is base · ½(1 + cos(π step/steps)) (Loshchilov and Hutter 2017, eq. 5, one cycle).
    """
    if schedule == "constant":
        return base
    return base * 0.5 * (1 + math.cos(math.pi * step / steps))  # eq-9.9


def clip_by_norm(grad: Array, max_norm: float) -> Array:
    """The gradient, scaled down to norm ``max_norm`` where it is longer."""
    norm = float(np.sqrt(grad @ grad))
    return grad if norm <= max_norm else grad * (max_norm / norm)


def ema_update(average: Array, theta: Array, decay: float, t: int) -> Array:
    """The exponential moving average after step ``t`` >= 1, with a decay that grows to ``decay``.

    average ← δ average + (1-δ) θ with δ = min(decay, (1+t)/(10+t)), so that the start is soon forgotten.
    """
    delta = min(decay, (1 + t) / (10 + t))
    return delta * average + (1 - delta) * theta  # eq-9.10
