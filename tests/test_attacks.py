"""Every argument of every public call against values that nobody meant: it works, or one error names the argument."""

import re

import pytest
from support.attacks import MORE_CALLS, ODD
from support.bad_calls import CALLS

ALL = {**CALLS, **MORE_CALLS}

#: What the caller's own function raises is the caller's.
CALLABLES = {"f", "score", "target_score", "objective", "callback"}
#: How an argument is called where it goes on to.
CALLED = {
    "law": "probe",
    "name": "objective",
    "values": "column",
    "hidden": "sizes",
    "validation": "fraction",
}
CALLED |= {"state": "layers"}
#: What is not public; where the caller's own function overflows; and what is still to be mended: a longdouble beyond
#: the model's type is cast without a look.
LEFT_OUT = {("draw_probes", "shape"), ("complex_step_jacobian", "step")}
LEFT_OUT |= {(name, "jitter") for name in ("dequantise", "fit with settings", "fit_table")}


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
