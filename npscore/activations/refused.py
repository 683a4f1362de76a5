"""Why ReLU and the like are not offered: what each does to the objectives that differentiate the score.

With ŝ a network and φ its activation, tr J is made of φ′ and its gradient in the parameters of φ″.
"""

from __future__ import annotations

from typing import Optional

_KINKED = (
    "φ′ jumps {where}, so ŝ is not differentiable and the trace term is undefined on the kinks; {second}, so the "
    "gradient of the trace term is wrong: it misses what happens as a kink crosses the data"
)
_FLAT = "φ″ = 0 almost everywhere"
_JUMPY = "φ″ knows nothing of that jump"
_BENT = (
    "φ″ jumps {where}, so ŝ has one derivative but not two: the gradient of the trace term is discontinuous and "
    "neither complex step nor Taylor rates can vouch for it"
)
_BROKEN = (
    "φ itself jumps {where}, so ŝ is not even continuous: the integration by parts behind the trace term fails, "
    "and with φ″ = 0 almost everywhere so does its gradient"
)

_AT_0, _AT_ENDS = "at 0", "at both ends of its sloping part"
_REASONS = {
    "relu": _KINKED.format(where=_AT_0, second=_FLAT),
    "leaky_relu": _KINKED.format(where=_AT_0, second=_FLAT),
    "prelu": _KINKED.format(where=_AT_0, second=_FLAT),
    "rrelu": _KINKED.format(where=_AT_0, second=_FLAT),
    "abs": _KINKED.format(where=_AT_0, second=_FLAT),
    "relu6": _KINKED.format(where="at 0 and at 6", second=_FLAT),
    "hardtanh": _KINKED.format(where=_AT_ENDS, second=_FLAT),
    "hardsigmoid": _KINKED.format(where=_AT_ENDS, second=_FLAT),
    "softshrink": _KINKED.format(where="at both ends of its flat part", second=_FLAT),
    "hardswish": _KINKED.format(where="at −3 and at 3", second=_JUMPY),
    "selu": _KINKED.format(where="at 0 (from λα = 1.76 to λ = 1.05)", second=_JUMPY),
    "elu": _BENT.format(where="at 0 (from 1 to 0 for α = 1; for any other α already φ′ does, from α to 1)"),
    "celu": _BENT.format(where="at 0 (from 1/α to 0; φ′ is continuous for every α)"),
    "softsign": _BENT.format(where="at 0 (from 2 to −2)"),
    "hardshrink": _BROKEN.format(where="at both ends of its flat part"),
    "threshold": _BROKEN.format(where="at the threshold"),
    "step": _BROKEN.format(where=_AT_0),
}
_BY_LETTERS = {name.replace("_", ""): name for name in _REASONS}
_SMOOTH = "softplus(beta=…), silu or gelu have its shape and are smooth"
_SMOOTH_SIGMOID = "tanh, erf, isru or sigmoid have its shape and are smooth"
_SIGMOIDAL = {"hardtanh", "hardsigmoid", "softsign", "step"}


def refusal(name: str) -> Optional[str]:
    """The error message for an activation that is refused on purpose, None for any other name."""
    known = _BY_LETTERS.get(name.replace("_", ""))
    if known is None:
        return None
    instead = _SMOOTH_SIGMOID if known in _SIGMOIDAL else _SMOOTH
    return f"activation {known} is refused: {_REASONS[known]}; {instead}"
