"""Gaussian data for diffusion: schedules with uneven times, all samplers, forms read off a denoiser, laws by kicks."""

import numpy as np

from npscore import diffusion
from npscore.diffusion import EDM, VE, VP, Cosine, Discrete, Flow, SubVP
from npscore.targets import Gaussian

D = 3
_RNG = np.random.default_rng(14)
_FACTOR = _RNG.standard_normal((D, D))
MEAN, COV = _RNG.standard_normal(D), _FACTOR @ _FACTOR.T / D + 0.2 * np.eye(D)
DATA = Gaussian(MEAN, COV)

#: Each schedule with times that are not evenly spaced; those with α = 0 at the end do not start there.
TIMES = {
    VP(0.3, 11.0): (0.9, 0.7, 0.5, 0.3, 0.2, 0.05, 0.0),
    SubVP(): (0.93, 0.6, 0.35, 0.2, 0.04, 0.0),
    VE(0.05, 9.0): (0.8, 0.55, 0.3, 0.2, 0.0),
    VE(0.04, 7.0, exact=True): (0.85, 0.6, 0.4, 0.1, 0.0),
    EDM(): (7.0, 3.0, 1.3, 0.4, 0.1, 0.0),
    Cosine(): (0.97, 0.7, 0.45, 0.3, 0.1, 0.0),
    Flow(): (0.96, 0.8, 0.5, 0.3, 0.1, 0.0),
    Discrete(np.linspace(0.01, 0.3, 12)): (12, 9, 7, 4, 1, 0),
}
CHURN = {"churn": 1.7, "s_tmin": 0.15, "s_tmax": 4.0, "s_noise": 1.1}
FORMS = ("score", "epsilon", "x0", "v", "flow")

#: Samplers by name, of (schedule, times, of).
EVERYWHERE = {
    "ancestral": lambda sch, times, of: diffusion.ancestral(sch, times, of=of),
    "ancestral forward": lambda sch, times, of: diffusion.ancestral(sch, times, "forward", of),
    "ddim": lambda sch, times, of: diffusion.ddim(sch, times, 0.0, of),
    "ddim 0.6": lambda sch, times, of: diffusion.ddim(sch, times, 0.6, of),
    "ddim 1": lambda sch, times, of: diffusion.ddim(sch, times, 1.0, of),
    "edm": lambda sch, times, of: diffusion.edm(sch, times, of=of),
}
CONTINUOUS = {
    "reverse_sde": lambda sch, times, of: diffusion.reverse_sde(sch, times, of=of),
    "reverse_sde denoise": lambda sch, times, of: diffusion.reverse_sde(sch, times, True, of),
    "probability_flow": lambda sch, times, of: diffusion.probability_flow(sch, times, of),
    "heun": lambda sch, times, of: diffusion.heun(sch, times, of),
    "edm churn": lambda sch, times, of: diffusion.edm(sch, times, of=of, **CHURN),
}
UNSCALED = {
    "annealed_langevin": lambda sch, times, of: diffusion.annealed_langevin(sch, times[:-1], 0.004, 2, of=of),
}


def samplers(schedule):
    """The samplers that a schedule has, by name."""
    plain = isinstance(schedule, Discrete)
    scaled = not isinstance(schedule, (VE, EDM))
    return {**EVERYWHERE, **({} if plain else CONTINUOUS), **({} if scaled else UNSCALED)}


#: (name of the sampler, schedule): every pair there is.
PAIRS = [(name, schedule) for schedule in TIMES for name in samplers(schedule)]
PAIR_IDS = [f"{name}-{schedule!r}" for name, schedule in PAIRS]


def table_of(name, schedule, of="score"):
    make = {**EVERYWHERE, **CONTINUOUS, **UNSCALED}[name]
    times = TIMES[schedule]
    return make(schedule, times if isinstance(schedule, Discrete) else np.array(times), of)


def marginals(schedule, t):
    return float(schedule.alpha(t)), float(schedule.sigma(t))


def forms_at(x0_at, schedule, of):
    """``t -> (x -> output)`` of a form, made from a denoiser ``x0_at(x, t)`` with no division by α."""

    def at(t):
        alpha, sigma = marginals(schedule, t)

        def output(x):
            x0 = x0_at(x, t)
            noise = (x - alpha * x0) / sigma
            return {
                "score": -noise / sigma,
                "epsilon": noise,
                "x0": x0,
                "v": alpha * noise - sigma * x0,
                "flow": noise - x0,
            }[of]

        return output

    return at


def gaussian_denoiser(schedule, mean=MEAN, cov=COV):
    """E[x₀ | x_t = x] = μ + α Σ C⁻¹ (x − α μ), C = α² Σ + σ² I."""

    def x0_at(x, t):
        alpha, sigma = marginals(schedule, t)
        gain = alpha * cov @ np.linalg.inv(alpha**2 * cov + sigma**2 * np.eye(len(mean)))
        return mean + (x - alpha * mean) @ gain.T

    return x0_at


def curved_denoiser(x, t):
    """A denoiser that is not linear, for rows written out."""
    return np.tanh(x[:, ::-1]) + 0.2 * x - 0.1 * float(t)


def kicked(step, mean, cov):
    """Mean and covariance after a step (X, Z) -> X′ that is affine in both: read off at 0 and at unit vectors."""
    d = len(mean)
    x, z = np.zeros((2, 2 * d + 1, d))
    x[1 : d + 1], z[d + 1 :] = np.eye(d), np.eye(d)
    y = step(x, z)
    M, N = (y[1 : d + 1] - y[0]).T, (y[d + 1 :] - y[0]).T
    return M @ mean + y[0], M @ cov @ M.T + N @ N.T


def diffused(schedule, data=DATA):
    """``t -> density of x_t``."""
    return lambda t: data.diffused(schedule.alpha(t), schedule.sigma(t))
