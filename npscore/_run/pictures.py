"""Values as error messages show them: short, on one line, and without an error of their own."""

from __future__ import annotations

import math
import re
import reprlib
from typing import Any

PICTURE = reprlib.Repr()  # of the first few entries of a list, without making the text of them all
PICTURE.maxlist = PICTURE.maxtuple = PICTURE.maxdict = PICTURE.maxset = PICTURE.maxarray = 40
PICTURE.maxstring = PICTURE.maxlong = PICTURE.maxother = 200


def _show(value: Any) -> str:
    """A short, one-line picture of any value and its type for an error message."""
    return shortened(f"{type(value).__name__} {picture(value)}")


def picture(value: Any) -> str:
    """At most 80 characters of a value's repr, on one line, however large it is and whatever its repr does."""
    try:
        text = re.sub(r"\s*\n\s*", " ", PICTURE.repr(value))
    except Exception as error:  # an int of more digits than Python prints, or an object whose repr fails
        text = f"without a repr ({type(error).__name__})"
    return shortened(text)


def shortened(text: str, most: int = 80) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= most else text[: most - 3] + "..."


def digits_of(value: Any) -> str:
    """A whole number's digits, or how many there are of them where Python does not print so many."""
    return (
        str(value)
        if abs(value) < 10**100
        else f"one of about {math.floor(math.log10(abs(int(value))))} digits"
    )
