"""As much of JSON schema (draft 2020-12) as npscore/conformance/v1/schema.json uses; any other keyword is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
SILENT = {"$schema", "$defs", "title", "description", "additionalProperties", "prefixItems"}


def complaints(value: Any, schema: Any, root: Any, at: str = "$") -> Iterator[str]:
    """What is wrong with the value, a line each."""
    if isinstance(schema, bool):
        if not schema:
            yield f"{at}: nothing is allowed here"
        return
    for keyword, wanted in schema.items():
        if keyword not in SILENT:
            yield from KEYWORDS[keyword](value, wanted, schema, root, at)


def _ref(value, wanted, schema, root, at):
    target = root
    for part in wanted.removeprefix("#/").split("/"):
        target = target[part]
    return complaints(value, target, root, at)


def _type(value, wanted, schema, root, at):
    if not isinstance(value, TYPES[wanted]) or isinstance(value, bool):
        yield f"{at}: {value!r} is no {wanted}"


def _properties(value, wanted, schema, root, at):
    rest = schema.get("additionalProperties", True)
    for name, entry in value.items() if isinstance(value, dict) else ():
        yield from complaints(entry, wanted.get(name, rest), root, f"{at}.{name}")


def _items(value, wanted, schema, root, at):
    first = schema.get("prefixItems", ())
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        yield from complaints(entry, first[index] if index < len(first) else wanted, root, f"{at}[{index}]")


def _required(value, wanted, schema, root, at):
    for name in wanted:
        if isinstance(value, dict) and name not in value:
            yield f"{at}: {name} is missing"


def _one_of(value, wanted, schema, root, at):
    fitting = [option for option in wanted if not any(complaints(value, option, root, at))]
    if len(fitting) != 1:
        yield f"{at}: fits {len(fitting)} of {len(wanted)} alternatives, not one"


def _rule(holds):
    def check(value, wanted, schema, root, at):
        if not holds(value, wanted):
            yield f"{at}: {value!r} against {wanted!r}"

    return check


KEYWORDS = {
    "$ref": _ref,
    "type": _type,
    "properties": _properties,
    "items": _items,
    "required": _required,
    "oneOf": _one_of,
    "const": _rule(lambda value, wanted: value == wanted and type(value) is type(wanted)),
    "enum": _rule(lambda value, wanted: value in wanted),
    "pattern": _rule(lambda value, wanted: not isinstance(value, str) or re.search(wanted, value)),
    "minimum": _rule(lambda value, wanted: not isinstance(value, (int, float)) or value >= wanted),
    "maximum": _rule(lambda value, wanted: not isinstance(value, (int, float)) or value <= wanted),
    "exclusiveMinimum": _rule(lambda value, wanted: not isinstance(value, (int, float)) or value > wanted),
    "exclusiveMaximum": _rule(lambda value, wanted: not isinstance(value, (int, float)) or value < wanted),
    "minItems": _rule(lambda value, wanted: not isinstance(value, list) or len(value) >= wanted),
    "maxItems": _rule(lambda value, wanted: not isinstance(value, list) or len(value) <= wanted),
    "minLength": _rule(lambda value, wanted: not isinstance(value, str) or len(value) >= wanted),
    "minProperties": _rule(lambda value, wanted: not isinstance(value, dict) or len(value) >= wanted),
}
