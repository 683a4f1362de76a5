"""The least that a step takes in NumPy: two hidden layers of tanh, written out for one shape, into memory kept ready.

What npscore does beyond it: arguments and results are checked, weights may be given, any depth and activation are
taken by one code, new arrays come back, and tanh′ keeps its digits in the tails, which 1 − t² here does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from figures.speed._bench import Case


def step(case: Case) -> Callable[[], Any]:
    """Loss and gradients (W₁, b₁, W₂, b₂, W₃, b₃) of ISM, by (5.12), (5.14) and the backward pass (4.4)–(4.8)."""
    (W1, b1), (W2, b2), (W3, b3) = case.model.layers
    x, n = case.x, case.x.dtype.type(case.n)
    ones = np.ones(case.n, x.dtype)
    t1, s1, c1 = (np.empty((case.n, len(b1)), x.dtype) for _ in range(3))
    t2, s2, c2, half = (np.empty((case.n, len(b2)), x.dtype) for _ in range(4))
    s, ds = np.empty_like(x), np.empty_like(x)
    div, per_sample = np.empty_like(ones), np.empty_like(ones)
    P, M, dM = np.empty_like(W2), np.empty_like(W2), np.empty_like(W2)
    dW1, dW2, dW3, of_trace1, of_trace3 = map(np.empty_like, (W1, W2, W3, W1, W3))
    db1, db2, db3 = map(np.empty_like, (b1, b2, b3))

    def run() -> Any:
        for a, W, b, t, slope in ((x, W1, b1, t1, s1), (t1, W2, b2, t2, s2)):
            np.matmul(a, W.T, out=t)
            np.add(t, b, out=t)
            np.tanh(t, out=t)
            np.multiply(t, t, out=slope)
            np.subtract(1, slope, out=slope)
        np.matmul(t2, W3.T, out=s)
        np.add(s, b3, out=s)
        np.matmul(W3.T, W1.T, out=P)
        np.multiply(W2, P, out=M)
        np.matmul(s1, M.T, out=half)
        np.einsum("nh,nh->n", s2, half, out=div)
        np.einsum("nd,nd->n", s, s, out=per_sample)
        np.multiply(per_sample, 0.5, out=per_sample)
        np.add(per_sample, div, out=per_sample)
        np.matmul(s2.T, s1, out=dM)
        np.divide(dM, n, out=dM)
        for t, slope, curvature in ((t1, s1, c1), (t2, s2, c2)):
            np.multiply(t, slope, out=curvature)
            np.multiply(curvature, -2 / n, out=curvature)
        np.multiply(c2, half, out=c2)
        np.matmul(s2, M, out=half)
        np.multiply(c1, half, out=c1)
        np.divide(s, n, out=ds)
        np.matmul(ds.T, t2, out=dW3)
        np.matmul(ones, ds, out=db3)
        np.matmul(ds, W3, out=half)
        np.multiply(half, s2, out=half)
        np.add(half, c2, out=half)
        np.matmul(half.T, t1, out=dW2)
        np.matmul(ones, half, out=db2)
        np.matmul(half, W2, out=t2)
        np.multiply(t2, s1, out=t2)
        np.add(t2, c1, out=t2)
        np.matmul(t2.T, x, out=dW1)
        np.matmul(ones, t2, out=db1)
        np.multiply(dM, P, out=P)
        np.add(dW2, P, out=dW2)
        np.multiply(dM, W2, out=dM)
        np.matmul(dM.T, W3.T, out=of_trace1)
        np.add(dW1, of_trace1, out=dW1)
        np.matmul(W1.T, dM.T, out=of_trace3)
        np.add(dW3, of_trace3, out=dW3)
        return per_sample.sum() / n, (dW1, db1, dW2, db2, dW3, db3)

    return run
