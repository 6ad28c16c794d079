"""A JSON Schema told to people: one row a field, its references followed, and a body that it allows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from prethrift_backend.verify.health_words import description
from prethrift_backend.verify.reference.examples import NoExampleError, plain_number, texts_like
from prethrift_backend.verify.reference.markdown import alternatives, code

Schema: TypeAlias = Mapping[str, Any]

# Arbitrary: a body by hand has four levels; a schema that holds itself has no end.
_DEPTH_MAX: Final = 8
_TIME: Final = "2026-01-02T03:04:05.678Z"
_FORMATS: Final = {"date-time": _TIME, "date": _TIME[:10], "uuid": "123e4567-e89b-12d3-a456-426614174000"}
_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
    ("minLength", "of length {} or more"),
    ("maxLength", "of length {} at most"),
    ("minItems", "{} or more"),
    ("maxItems", "{} at most"),
)


class FieldRow(NamedTuple):
    """A field of a body: ``checks[].name``, what it is in Markdown, whether it is always there, what it means."""

    path: str
    type: str
    is_required: bool
    meaning: str


def fields_of(schema: Schema) -> Iterator[FieldRow]:
    """Yield every field of an object, the outer ones before those within."""
    yield from _fields(schema, schema, "", 0)


def _fields(schema: object, root: Schema, path: str, depth: int) -> Iterator[FieldRow]:
    one = resolved(schema, root)
    if depth > _DEPTH_MAX:
        return
    required = _listed(one.get("required"))
    for name, part in _named(one.get("properties")).items():
        yield from _field(part, root, f"{path}{name}", depth, is_required=name in required)
    rest = one.get("additionalProperties")
    if isinstance(rest, dict):
        yield from _field(rest, root, f"{path}*", depth, is_required=False)


def _field(part: object, root: Schema, path: str, depth: int, *, is_required: bool) -> Iterator[FieldRow]:
    one = resolved(part, root)
    yield FieldRow(path, type_words(one, root), is_required, description(one))
    yield from _fields(one, root, f"{path}.", depth + 1)
    if "items" in one:
        yield from _fields(one["items"], root, f"{path}[].", depth + 1)


def resolved(schema: object, root: Schema) -> dict[str, Any]:
    """Return a schema with what its reference within the document says; what stands beside the reference wins."""
    seen: set[str] = set()
    one: dict[str, Any] = dict(schema) if isinstance(schema, dict) else {}
    while isinstance(one.get("$ref"), str) and one["$ref"] not in seen:
        target = one.pop("$ref")
        seen.add(target)
        one = {**_target(root, target), **one}
    return one


def _target(root: Schema, reference: str) -> dict[str, Any]:
    found: object = root
    for part in reference.removeprefix("#").split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return dict(found) if isinstance(found, dict) else {}


def type_words(one: Schema, root: Schema) -> str:
    """Return what a resolved schema allows, in Markdown."""
    if "const" in one:
        return code(_shown(one["const"]))
    if isinstance(one.get("enum"), list):
        return f"one of {alternatives(map(_shown, one['enum']))}"
    forms = [*_many(one.get("anyOf")), *_many(one.get("oneOf"))]
    if forms:
        return " or ".join(type_words(resolved(form, root), root) for form in forms)
    types = one.get("type", "any")
    name = " or ".join(map(str, types)) if isinstance(types, list) else str(types)
    if name == "array" and "items" in one:
        name = f"array of {type_words(resolved(one['items'], root), root)}"
    return ", ".join([name, *_limits(one)])


def _limits(one: Schema) -> Iterator[str]:
    if isinstance(one.get("format"), str):
        yield code(one["format"])
    if isinstance(one.get("pattern"), str):
        yield f"matches {code(one['pattern'])}"
    for keyword, words in _BOUNDS:
        if isinstance(one.get(keyword), int | float):
            yield words.format(plain_number(one[keyword]))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def example_of(schema: Schema) -> Any:
    """Return a body that the schema probably allows; conditions between fields are not looked at.

    Raises NoExampleError where a pattern has no example or the schema has no end.
    """
    return _example(schema, schema, 0)


def _example(schema: object, root: Schema, depth: int) -> Any:
    one = resolved(schema, root)
    if depth > _DEPTH_MAX:
        raise NoExampleError("a schema without an end")
    if "const" in one:
        return one["const"]
    if isinstance(one.get("enum"), list) and one["enum"]:
        return one["enum"][0]
    forms = [*_many(one.get("anyOf")), *_many(one.get("oneOf"))]
    if forms:
        return _example(forms[0], root, depth + 1)
    return _of_type(one, root, depth)


def _of_type(one: Schema, root: Schema, depth: int) -> Any:
    types = one.get("type", "object" if "properties" in one else "string")
    name = types[0] if isinstance(types, list) and types else types
    if name == "object":
        return _object(one, root, depth)
    if name == "array":
        return [_example(one.get("items"), root, depth + 1)] * max(1, int(one.get("minItems", 0)))
    if name in ("integer", "number"):
        return _number(one)
    return {"boolean": True, "null": None}.get(name) if name in ("boolean", "null") else _text(one)


def _object(one: Schema, root: Schema, depth: int) -> dict[str, Any]:
    named, required = _named(one.get("properties")), _listed(one.get("required"))
    chosen = {name: part for name, part in named.items() if name in required or not required}
    return {name: _example(part, root, depth + 1) for name, part in chosen.items()}


def _number(one: Schema) -> int | float:
    low, high = one.get("minimum", 0), one.get("maximum")
    value = low + 1 if high is None or low + 1 <= high else low
    return value if isinstance(value, int | float) else 1


def _text(one: Schema) -> str:
    if one.get("format") in _FORMATS:
        return _FORMATS[one["format"]]
    fewest, most = int(one.get("minLength", 0)), int(one.get("maxLength", 200))
    for text in texts_like():
        if fewest <= len(text) <= most and re.search(str(one.get("pattern", "")), text):
            return text
    raise NoExampleError(str(one.get("pattern")))


def _named(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _many(value: object) -> list[Any]:
    return _listed(value)
