"""Score matching in JAX, gradients by jax.grad, checked in this process: python adapter_jax.py [float32]

A worked example of ``npscore.conformance.check``: each function takes a case, ``case["x"]`` being a NumPy array, and
returns what it has. Put your losses in the place of these, and leave what you do not have out of FUNCTIONS.
"""

import sys

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
PHI = {
    "identity": lambda z, beta: z,
    **{name: lambda z, beta, k=k: z**k for name, k in (("square", 2), ("cube", 3))},
    "softplus": lambda z, beta: jnp.logaddexp(beta * z, 0) / beta,
    "gelu": lambda z, beta: jax.nn.gelu(z, approximate=False),
    "isru": lambda z, beta: z / jnp.sqrt(1 + z**2),
    "erf": lambda z, beta: jax.lax.erf(z),
    "sin": lambda z, beta: jnp.sin(z),
    **{f.__name__: lambda z, beta, f=f: f(z) for f in (jax.nn.tanh, jax.nn.sigmoid, jax.nn.silu)},
}


def network(case):
    phi, beta = PHI[case.model["activation"]], case.get("beta")

    def score(theta, x):
        for W, b in theta[:-1]:
            x = phi(W @ x + b, beta)
        return theta[-1][0] @ x + theta[-1][1]

    return score


def ism(case, s, x):
    return 0.5 * s(x) @ s(x) + jnp.trace(jax.jacfwd(s)(x))


def esm(case, s, x, target_score):
    return 0.5 * jnp.sum((s(x) - target_score) ** 2)


def dsm(case, s, x, noise, sigma):
    loss = 0.5 * jnp.sum((s(x + sigma * noise) + noise / sigma) ** 2)
    return loss * sigma**2 if case.convention["weighting"] == "sigma2" else loss


def ssm(case, s, x, v):
    values, products = zip(*(jax.jvp(s, (x,), (probe,)) for probe in v))  # v is (m, d)
    first = [vs @ vs if case.operation == "ssm_vr" else (probe @ vs) ** 2 for probe, vs in zip(v, values)]
    return jnp.mean(jnp.stack([0.5 * f + probe @ p for f, probe, p in zip(first, v, products)]))


def objective(sample, *names):
    """A function of a case, from the loss of one sample and the names of the inputs it takes."""

    def answer(case):
        score, rows = network(case), [jnp.asarray(case[name]) for name in names]
        axes = [{"v": 1, "sigma": 0 if case[n].ndim else None}.get(n, 0) for n in names]

        def loss(theta):
            one = lambda *row: sample(case, lambda x: score(theta, x), *row)  # noqa: E731
            per_sample = jax.vmap(one, axes)(*rows)
            return per_sample @ case["weights"] if "weights" in case else per_sample.mean(), per_sample

        (value, per_sample), grad = jax.value_and_grad(loss, has_aux=True)(case.layers())
        return {"loss": value, "per_sample": per_sample, "grad": grad}

    return answer


sliced, denoising = objective(ssm, "x", "v"), objective(dsm, "x", "noise", "sigma")
FUNCTIONS = {"ism": objective(ism, "x"), "esm": objective(esm, "x", "target_score")}
FUNCTIONS |= {"dsm": denoising, "ssm": sliced, "ssm_vr": sliced}

if __name__ == "__main__":
    from npscore.conformance import check

    print(check(FUNCTIONS, *sys.argv[1:]).text())
