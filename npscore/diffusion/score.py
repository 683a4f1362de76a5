"""One network for every noise level: a score s(x, t) from a network of any form."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np

from .._run.borders import as_array, as_batch, as_choice, as_positive
from ..models import FixedScaling, ScaledScore, Scaling, ScoreModel, built, described
from . import discrete, embeddings, schedules
from .embeddings import Embedding, as_embedding
from .forms import FORMS, factors
from .schedule import Array, Schedule


class DiffusionScore(ScaledScore):
    """The score of x_t = α_t x₀ + σ_t ε at every t > 0, from one network F: s(x, t) = a x + b F(c x; e(t)).

    ``network`` has as many condition columns as the ``embedding`` has features, and further ones for a label.
    ``schedule`` gives α_t and σ_t. ``form`` says what F is trained to return ("score", "epsilon", "ncsnv2", "x0", "v",
    "flow", "edm"), and so a, b, c. ``embedding`` is "log_snr", ``Fourier(freqs)`` or
    ``Sinusoidal(dim)``; ``sigma_data`` is EDM's, the standard deviation of the data.

    It is a score model: its condition is t, a number or (n,), or with a label of c columns (n, 1 + c), t
    first. θ is the network's. ``at(t)`` is a plain model, which samplers and tests of targets take; ``output(x,
    t, form)`` reads any form off the network.

    Raises TypeError or ValueError for a wrong argument, for σ_t = 0 (there is no score of points), and for α_t = 0 in a
    form whose score does not depend on F there (x0, v, flow, edm).
    Derivation: chapter 12. Source: Song et al. 2021; Karras et al. 2022, §5.
    """

    def __init__(
        self,
        network: ScoreModel,
        schedule: Schedule,
        form: str = "edm",
        embedding: Union[str, Embedding] = "log_snr",
        sigma_data: float = 1.0,
    ):
        if not isinstance(schedule, Schedule):
            raise TypeError(f"schedule must be a diffusion schedule, got {type(schedule).__name__}")
        self.schedule, self.form = schedule, as_choice(form, "form", FORMS)
        self.embedding, self.sigma_data = as_embedding(embedding), as_positive(sigma_data, "sigma_data")
        condition = getattr(network, "condition", 0)
        if isinstance(network, ScoreModel) and condition < self.embedding.dim:
            raise ValueError(
                f"network must have a condition of at least {self.embedding.dim}, the embedding's "
                f"features, got {condition}: "
                f"MLP.init(sizes, condition={self.embedding.dim})"
            )
        super().__init__(network, condition - self.embedding.dim + 1)

    # ---- the condition -----------------------------------------------------------------------------

    def _conditioned(self, cond: Any, x: Array) -> Array:
        """t and label of every row, (n, 1 + c): t keeps float64, since schedules are computed there."""
        n, c = len(x), self.condition
        shapes = ((), (n,), (1,), (n, 1)) if c == 1 else ((n, c), (c,))
        given = None if cond is None else as_array(cond, "cond", allow_complex=True)
        if given is None or given.shape not in shapes:
            expected = "t, a number or (n,)," if c == 1 else f"(n, {c}) or ({c},), t first,"
            got = "None: model.at(t) is a plain model" if given is None else f"shape {given.shape}"
            raise ValueError(f"cond must be {expected} for n = {n} rows, got {got}")
        if given.shape != (n, c):
            given = np.broadcast_to(given, (n,))[:, None] if c == 1 else np.broadcast_to(given, (n, c))
        self._check_times(given[:, 0])
        return given.astype(np.promote_types(given.dtype, np.float64), copy=False)

    def _check_times(self, t: Array) -> Array:
        t = self.schedule.times(t)
        noisy = self.schedule._sigma(t).real > 0
        if not noisy.all():
            raise ValueError(f"t must be a time with noise, σ > 0, got {t[~noisy].flat[0]}")
        return t

    def _scaling(self, cond: Optional[Array], like: Array) -> Scaling:
        return self._read(cond, like, "score")

    def _read(self, cond: Array, like: Array, of: str) -> Scaling:
        """a, b, c, e with which the network gives what one of form ``of`` would return."""
        t = self.schedule._clean(cond[:, 0])
        alpha, sigma = self.schedule._alpha(t), self.schedule._sigma(t)
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = factors(self.form, of, alpha, sigma, self.sigma_data)
        lost = ~np.isfinite(numbers[0] + numbers[1]) | ((numbers[1] == 0) & (of == "score"))
        if lost.any():
            raise ValueError(
                f"t must be a time with signal, α > 0, to read {of!r} off a network of form {self.form!r}, got "
                f"{t[lost].flat[0]}: start a little below, or read model.output(x, t, {self.form!r})"
            )
        a, b, c = (_typed(number, like)[:, None] for number in numbers)
        return Scaling(a, b, c, self._features(cond, t, like))

    def _features(self, cond: Array, t: Array, like: Array) -> Array:
        """What the network is conditioned on: the embedding of t, then the label."""
        features = [_typed(self.embedding(t, self.schedule), like), _typed(cond[:, 1:], like)]
        return np.concatenate(features, axis=1) if self.condition > 1 else features[0]

    # ---- fixed conditions, other forms ---------------------------------------------------------------

    def at(self, t: Any, cond: Any = None, of: str = "score") -> FixedScaling:
        """The plain model x ↦ s(x, t): t a number, ``cond`` (c,) the label where there is one.

        ``of`` another form, the function that a network of that form would be: finite where α = 0 for the
        network's own.
        """
        as_choice(of, "of", FORMS)
        a, b, c, e = self._read(self._row(t, cond), np.empty(0, self.dtype).real, of)
        network = self._network.at(e[0])
        return FixedScaling(network, *(float(number[0, 0]) for number in (a, b, c)))

    def _row(self, t: Any, cond: Any) -> Array:
        t = as_array(t, "t")
        if t.shape != ():
            raise ValueError(f"t must be one number, got shape {t.shape}")
        label = np.empty(0) if cond is None else as_array(cond, "cond")
        if label.shape != (self.condition - 1,):
            got = "None" if cond is None else f"shape {label.shape}"
            raise ValueError(f"cond must have shape ({self.condition - 1},), the label's, got {got}")
        return self._conditioned(np.append(t, label) if self.condition > 1 else t, np.empty((1, self.d)))

    def output(self, x: Any, t: Any, form: str, cond: Any = None) -> Array:
        """What a network of ``form`` would return at x (n, d) and t, a number or (n,); ``cond`` (n, c) or (c,)
        is the label.

        The network's own form is what it returns, also where α = 0; others are read off x and that, and refused where
        that takes a division by α = 0.
        """
        as_choice(form, "form", FORMS)
        x = as_batch(x, "x", d=self.d, allow_complex=True)
        if self.condition > 1:
            t = np.broadcast_to(as_array(t, "t"), (len(x),))[:, None]
            label = np.broadcast_to(as_array(cond, "cond"), (len(x), self.condition - 1))
            t = np.concatenate([t, label], axis=1)
        a, b, c, e = self._read(self._conditioned(t, x), self._typed(x), form)
        return a * x + b * self._network.score(c * x, e)

    # ---- files ---------------------------------------------------------------------------------------

    @property
    def config(self) -> dict[str, Any]:
        return {
            "network": described(self._network),
            **self.schedule.spec(),
            "form": self.form,
            **self.embedding.spec(),
            "sigma_data": self.sigma_data,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], theta: Array) -> DiffusionScore:
        config = dict(config)
        network = built(config.pop("network"), theta)
        form, sigma_data = config.pop("form"), config.pop("sigma_data")
        embedding = {
            key: config.pop(key) for key in ("embedding", "freqs", "dim", "scale", "shift") if key in config
        }
        return cls(network, _schedule(config), form, _embedding(embedding), sigma_data)

    def __repr__(self) -> str:
        return f"DiffusionScore({self._network!r}, {self.schedule!r}, {self.form!r}, {self.embedding!r})"


def _schedule(config: dict[str, Any]) -> Schedule:
    name = config.pop("schedule")
    if name == "Discrete":
        return discrete.Discrete(**config)
    if name not in ("VP", "SubVP", "VE", "EDM", "Cosine", "Flow"):
        raise ValueError(f"schedule must be one of npscore's, got {name!r}")
    return getattr(schedules, name)(**config)


def _embedding(config: dict[str, Any]) -> Embedding:
    known = {"log_snr": embeddings.LogSNR, "fourier": embeddings.Fourier, "sinusoidal": embeddings.Sinusoidal}
    name = config.pop("embedding")
    if name not in known:
        raise ValueError(f"embedding must be one of {', '.join(known)}, got {name!r}")
    return known[name](**config)


def _typed(number: Any, like: Array) -> Array:
    """In the real type of ``like``; complex stays as it is."""
    number = np.asarray(number)
    return number if number.dtype.kind == "c" else number.astype(like.dtype, copy=False)
