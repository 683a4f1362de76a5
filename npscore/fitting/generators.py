"""The state of a random generator in a file: JSON for any of NumPy's bit generators, and a check on the way back."""

from __future__ import annotations

from typing import Any

import numpy as np


def jsonable(state: Any) -> Any:
    """A bit generator's state for JSON: arrays (Mersenne twister, Philox) become tagged lists."""
    if isinstance(state, dict):
        return {key: jsonable(value) for key, value in state.items()}
    if isinstance(state, np.ndarray):
        return {"array": state.tolist(), "dtype": str(state.dtype)}
    return int(state) if isinstance(state, np.integer) else state


def restore(rng: np.random.Generator, state: Any) -> None:
    """Put a generator to a state that ``jsonable`` wrote; ValueError where it is none of this kind of generator."""
    here = rng.bit_generator.state
    rng.bit_generator.state = _like(here, state, "rng")


def _like(here: Any, value: Any, name: str) -> Any:
    """A value of the same kind as the generator's own: the same keys, shapes and types, and numbers in range."""
    if isinstance(here, dict):
        if not isinstance(value, dict) or set(value) != set(here):
            raise ValueError(f"{name} must hold {', '.join(here)}")
        return {key: _like(here[key], value[key], f"{name}.{key}") for key in here}
    if isinstance(here, np.ndarray):
        return _array_like(here, value, name)
    if isinstance(here, str):
        if value != here:
            raise ValueError(f"{name} must be {here}")
        return value
    # "pos" and "buffer_pos" are places in an array of the generator's, the rest numbers of 32 or 128 bits
    largest = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}
    most = largest.get(name.rpartition(".")[2], 2**128 - 1)
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number of at most {most}")
    return value


def _array_like(here: np.ndarray, value: Any, name: str) -> np.ndarray:
    if not isinstance(value, dict) or not isinstance(value.get("array"), list):
        raise ValueError(f"{name} must be an array")
    array = np.array(value["array"], dtype=object)
    if array.shape != here.shape or not all(type(number) is int for number in array):
        raise ValueError(f"{name} must hold {here.size} whole numbers")
    return array.astype(here.dtype)
