"""Promised values as JSON Schema 2020-12, and JSON documents as the reference writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from prethrift_backend.contracts import ValueType
from prethrift_backend.contracts.values import PromisedValue
from prethrift_backend.verify.reference.markdown import one_line
from prethrift_backend.verify.reference.values import requirement_words

Schema = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# What Python's regular expressions have and those of JSON Schema (ECMA 262) do not have, or read otherwise.
_PYTHON_ONLY: Final = re.compile(r"\(\?[P>#(aiLmsux-]|\\[AZ]|[*+?}]\+")
_TYPES: Final = {"int": "integer", "boolean": "boolean", "number": "number", "object": "object", "array": "array"}


def dumped(document: Mapping[str, Any]) -> str:
    """Return a JSON document as a file holds it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def schemas_of(values: Iterable[PromisedValue]) -> Schema:
    """Return the schema of each value by its name."""
    return {one.name: _described(one) for one in values}


def required_of(values: Iterable[PromisedValue]) -> list[str]:
    """Return the names of the values that are there in any case."""
    return [one.name for one in values if one.required]


def conditional(values: Sequence[PromisedValue], holds: frozenset[str] = frozenset()) -> list[Schema]:
    """Return what is required on conditions: they hold where a value is there that is required on them.

    Whoever writes ``trace_id`` is in a span, and then ``span_id`` is due as well. ``holds`` are conditions that hold
    in any case.
    """
    due: dict[frozenset[str], list[str]] = {}
    for value in values:
        if value.required_if:
            due.setdefault(frozenset(value.required_if) - holds, []).append(value.name)
    return [_clause(conditions, names, values) for conditions, names in due.items() if conditions or holds]


def _clause(conditions: frozenset[str], names: list[str], values: Sequence[PromisedValue]) -> Schema:
    signs = [[one.name for one in values if condition in one.required_if] for condition in sorted(conditions)]
    then = {"required": names}
    return {"if": {"allOf": [_any_of(one) for one in signs]}, "then": then} if signs else then


def _any_of(names: list[str]) -> Schema:
    return {"anyOf": [{"required": [name]} for name in names]}


def _described(value: PromisedValue) -> Schema:
    on_condition = requirement_words(value) if value.required_if else ""
    words = "; ".join(word for word in (one_line(value.note), on_condition) if word)
    return {**({"description": words} if words else {}), **type_schema(value.type)}


def type_schema(promised: ValueType) -> Schema:
    """Return the schema of a type; a pattern that only Python understands is left out, and said."""
    schema = _plain(promised)
    if not promised.allows_null:
        return schema
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def _plain(promised: ValueType) -> Schema:
    if promised.kind == "const":
        return {"enum": _constants(promised.values[0])}
    if promised.kind == "enum":
        return {"enum": list(promised.values)}
    if promised.kind in _TYPES:
        return {"type": _TYPES[promised.kind], **_bounds(promised)}
    if promised.kind == "date-time":
        return {"type": "string", "format": "date-time"}
    examples = {"examples": list(promised.values)} if promised.values else {}
    length = {} if promised.max_length is None else {"maxLength": promised.max_length}
    return {"type": "string", **examples, **length, **_pattern(promised.pattern)}


def _constants(text: str) -> list[object]:
    """Return every value that the contract means by this text: it does not say whether 1 is a number."""
    values: list[object] = [text]
    if text in ("true", "false"):
        values.append(text == "true")
    try:
        number = float(text)
    except ValueError:
        return values
    if str(number) == text or str(int(number)) == text:
        values.append(int(number) if str(int(number)) == text else number)
    return values


def _bounds(promised: ValueType) -> Schema:
    bounds = {"minimum": promised.minimum, "maximum": promised.maximum}
    return {key: int(bound) if bound == int(bound) else bound for key, bound in bounds.items() if bound is not None}


def _pattern(pattern: str | None) -> Schema:
    if pattern is None:
        return {}
    if _PYTHON_ONLY.search(pattern):
        return {"$comment": f"matches {one_line(pattern)}, in Python's syntax"}
    return {"pattern": f"^(?:{pattern})$"}


def any_case(words: Iterable[str]) -> str:
    """Return a pattern for a whole text that is one of ``words``, whatever its case."""
    return f"^(?:{'|'.join(''.join(map(_letter, word)) for word in words)})$"


def _letter(character: str) -> str:
    if character.isascii() and character.isalpha():
        return f"[{character.lower()}{character.upper()}]"
    return character if character == "_" or character.isdigit() else f"[{character}]"
