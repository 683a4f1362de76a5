"""Every argument of every public call against values that nobody meant: it works, or one error names the argument."""

import re

import numpy as np
import pytest
from support.attacks import MORE_CALLS, ODD, extremes
from support.bad_calls import CALLS

from npscore import NonFiniteLossError

ALL = {**CALLS, **MORE_CALLS}

#: What the caller's own function raises is the caller's.
CALLABLES = {"f", "score", "log_prob", "target_score", "objective", "callback"}
#: How an argument is called where it goes on to.
CALLED = {
    "law": "probe",
    "name": "objective",
    "values": "column",
    "hidden": "sizes",
    "validation": "fraction",
}
CALLED |= {"state": "layers"}
#: What is not public, and where the caller's own function overflows.
LEFT_OUT = {("draw_probes", "shape"), ("complex_step_jacobian", "step")}


def problem(call, arguments, argument, value):
    """What is wrong with how the call answers the value, or None."""
    try:
        call(**{**arguments, argument: value})
    except (TypeError, ValueError) as error:
        message = str(error)
        names = (*arguments, argument, CALLED.get(argument, argument))
        if "\n" in message or len(message) > 500:
            return f"a message of {len(message)} characters: {message[:200]}"
        named = any(re.search(rf"\b{name}\b", message) for name in names)
        return None if named else f"names no argument: {message}"
    except Warning as error:  # a step too large is not wrong, but said
        return None if f"{argument} " in str(error) else f"raw {type(error).__name__}: {error}"
    except (ArithmeticError, AttributeError, LookupError, RuntimeError) as error:
        return f"raw {type(error).__name__}: {error}"
    return None


@pytest.fixture(autouse=True)
def a_folder_of_its_own(monkeypatch, tmp_path):
    """For what takes a text for a file's name."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", MORE_CALLS)
def test_the_good_arguments_are_good(name):
    call, arguments = MORE_CALLS[name]
    call(**arguments)


@pytest.mark.parametrize("name", ALL)
def test_an_odd_value_works_or_is_one_error_that_names_the_argument(name):
    call, arguments = ALL[name]
    found = {}
    for argument in arguments:
        for kind, value in ODD.items():
            if (name, argument) in LEFT_OUT or (argument in CALLABLES and kind == "a type"):
                continue
            said = problem(call, arguments, argument, value)
            if said is not None:
                found[argument, kind] = said
    assert found == {}


NUMBERS = (1.7976931348623157e308, 5e-324, *(10.0**power for power in (300, 200, 155, -155, -200, -300)))


def raw(call, arguments, argument, value):
    """The warning or error of NumPy or Python that comes through, or None."""
    try:
        call(**{**arguments, argument: value})
    except (
        TypeError,
        ValueError,
        NonFiniteLossError,
    ):  # of what was computed, where fit and the losses say so
        return None
    except Warning as error:
        ours = not re.search("encountered in|divide by zero|invalid value", str(error))
        return None if ours else f"raw {type(error).__name__}: {error}"
    except (ArithmeticError, AttributeError, LookupError, RuntimeError) as error:
        return f"raw {type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("name", ALL)
def test_the_ends_of_the_range_of_floats_are_no_raw_warning(name):
    call, arguments = ALL[name]
    found = {}
    for argument, good in arguments.items():
        if argument == "theta" or (name, argument) in LEFT_OUT:
            continue  # theta: the function that the caller gives overflows, not ours
        values = ()
        if isinstance(good, float):
            values = ((f"{value:.3g}", value) for value in NUMBERS)
        elif isinstance(good, np.ndarray):
            values = extremes(good)
        found |= {
            (argument, label): said
            for label, value in values
            if (said := raw(call, arguments, argument, value))
        }
    assert found == {}
