"""npscore's own answers to the conformance suite: a function for every operation, as any user would write it."""

import numpy as np

import npscore as ns
from npscore import targets
from npscore.samplers import gradient_ascent_step, langevin_law, stationary_covariance

ONE_DIMENSIONAL = {
    "laplace": (targets.Laplace, "loc", "scale"),
    "logistic": (targets.Logistic, "loc", "scale"),
    "gumbel": (targets.Gumbel, "loc", "scale"),
    "exponential": (targets.Exponential, "rate"),
    "uniform": (targets.Uniform, "low", "high"),
    "truncated_gaussian": (targets.TruncatedGaussian, "loc", "scale", "low", "high"),
}


def activation_of(case):
    name = case.model["activation"]
    return f"softplus(beta={float(case['beta'])!r})" if name == "softplus" else name


def model_of(case):
    return ns.MLP(case.layers(), activation_of(case))


def density_of(case):
    kind = case.model["density"]
    if kind == "gaussian":
        return targets.Gaussian(case.get("mean", np.zeros(case.model["d"])), case["cov"])
    if kind == "gaussian_mixture":
        return targets.GaussianMixture(case["mixture_weights"], case["means"], case["covs"])
    if kind == "student_t":
        return targets.StudentT(case["loc"], case["scale_matrix"], float(case["df"]))
    factors = []
    for j, name in enumerate(case.model["factors"], 1):
        factor, *parameters = ONE_DIMENSIONAL[name]
        factors.append(factor(*(float(case[f"{parameter}{j}"]) for parameter in parameters)))
    return targets.Product(factors)


def answer(model, result, x, **more):
    """Everything but the sliced parts, from a model and its ``LossGrad``."""
    return {
        "loss": result.loss,
        "per_sample": result.per_sample,
        "score": model.score(x),
        "grad": result.grad,
        **more,
    }


def esm(case):
    model, x = model_of(case), case["x"]
    return answer(model, ns.esm(model, x, case["target_score"], case.get("weights")), x)


def ism(case):
    model, x = model_of(case), case["x"]
    half_square = 0.5 * (model.score(x) ** 2).sum(axis=1)
    result = ns.ism(model, x, case.get("weights"))
    return answer(model, result, x, half_square=half_square, divergence=model.divergence(x))


def ssm(case):
    model, x, v = model_of(case), case["x"], case["v"]
    s, quadratic, _ = model.quadratic_form_vjp(x, v)
    half_square = 0.5 * ((v * s).sum(axis=-1) ** 2).mean(axis=0)
    result = ns.ssm(model, x, v, case.get("weights"))
    return answer(model, result, x, half_square=half_square, quadratic=quadratic)


def ssm_vr(case):
    model, x, v = model_of(case), case["x"], case["v"]
    s, quadratic, _ = model.quadratic_form_vjp(x, v)
    result = ns.ssm_vr(model, x, v, case.get("weights"))
    return answer(model, result, x, half_square=0.5 * (s * s).sum(axis=1), quadratic=quadratic)


def dsm(case):
    """A weighting by σ² goes into the weights, and into the losses of the rows by hand."""
    model, x, noise, sigma = model_of(case), case["x"], case["noise"], case["sigma"]
    one = x.dtype.type(1)
    factor = sigma**2 if case.convention["weighting"] == "sigma2" else one
    weights = case.get("weights", np.full(len(x), one / len(x), x.dtype)) * factor
    result = ns.dsm(model, x, noise, sigma if sigma.ndim else float(sigma), weights)
    noisy = x + sigma.reshape(-1, 1) * noise
    return answer(model, result._replace(per_sample=result.per_sample * factor), noisy)


def activation(case):
    jet = ns.activations.get(activation_of(case)).jet(case["z"], 3)
    return dict(zip(("phi", "dphi", "d2phi", "d3phi"), jet))


def density(case):
    p, x = density_of(case), case["x"]
    if case.operation == "smoothed_density":
        p = p.smoothed(float(case["sigma"]))
    return {"log_prob": p.log_prob(x), "score": p.score(x), "divergence": p.score_divergence(x)}


def population(case):
    model, sigma = ns.LinearScore(case["A"], case["b"]), [float(case["sigma"])] if "sigma" in case else []
    result = getattr(model, case.operation)(case["mean"], case["cov"], *sigma)
    return {"loss": result.loss, "grad": result.grad}


def theorem_constant(case):
    """−½ E‖∇log p‖²."""
    return {"constant": -0.5 * fisher(density_of(case))}


def fisher(p):
    """E‖∇log p‖²: in closed form where there is one, for a product by its factors, else by quadrature."""
    if isinstance(p, targets.Gaussian):
        return np.trace(p.precision)
    if isinstance(p, targets.StudentT):
        return np.trace(np.linalg.inv(p.scale_matrix)) * (p.df + p.d) / (p.df + p.d + 2)
    if isinstance(p, targets.Product):
        return sum(fisher(factor) for factor in p.factors)
    x, weights = p.quadrature(200 if p.d == 1 else 100)
    return weights @ (p.score(x) ** 2).sum(axis=1)


def gradient_ascent(case):
    score = score_of(case)
    x, step = case["x0"], float(case["step"])
    for _ in range(case.n_steps):
        x = gradient_ascent_step(score, x, step)
    whole = ns.gradient_ascent(score, case["x0"], step=step, n_steps=case.n_steps, tol=0)
    assert np.array_equal(whole.x, x)
    return {"x": x}


def langevin(case):
    score, x = score_of(case), case["x0"]
    for z in case["z"]:
        x = ns.langevin_step(score, x, float(case["step"]), z)
    return {"x": x}


def score_of(case):
    """The score that the chains of a case follow: of a network or of a density."""
    return (model_of if case.model["kind"] == "mlp" else density_of)(case).score


def law(case):
    mean, cov, step = case["mean"], case["cov"], float(case["step"])
    return langevin_law(mean, cov, case["mean0"], case["cov0"], step, case.n_steps)._asdict()


FUNCTIONS = {
    **{"esm": esm, "ism": ism, "ssm": ssm, "ssm_vr": ssm_vr, "dsm": dsm, "activation": activation},
    **dict.fromkeys(("density", "smoothed_density"), density),
    **dict.fromkeys(("population_esm", "population_ism", "population_dsm"), population),
    "gradient_ascent": gradient_ascent,
    "langevin": langevin,
    "theorem_constant": theorem_constant,
    "langevin_law": law,
    "stationary_covariance": lambda case: stationary_covariance(case["cov"], float(case["step"])),
}
