"""The closed values of a JSON Schema: which there are, and which of them a body has.

A place is written as one walks to it: ``status``, ``checks[].details.code``, ``checks{}.status`` where any name may
stand. Only what describes the body is walked through (properties, items, additionalProperties, references within the
schema); conditions such as ``allOf`` restrict it and add no values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_Schema = Mapping[str, Any]
_Parts = Iterator[tuple[str, _Schema, Callable[[Any], list[Any]]]]

_NOTHING: Final = object()


class ClosedValues:
    """The enums and constants of one schema."""

    def __init__(self, schema: _Schema) -> None:
        self._schema = schema

    def promised(self) -> Iterator[tuple[str, str]]:
        """Yield each place and value that the schema lists; one that refers to itself is gone through once."""
        yield from self._promised(self._schema, "", frozenset())

    def found(self, body: object) -> Iterator[tuple[str, str]]:
        """Yield each place and listed value that the body has."""
        yield from self._found(self._schema, "", body)

    def _promised(self, schema: _Schema, place: str, followed: frozenset[str]) -> Iterator[tuple[str, str]]:
        reference = schema.get("$ref")
        if reference in followed:
            return
        if reference is not None:
            followed |= {reference}
        schema = self._resolved(schema)
        for value in _listed(schema):
            yield place, _text(value)
        for step, part, _ in _parts(schema):
            yield from self._promised(part, _joined(place, step), followed)

    def _found(self, schema: _Schema, place: str, body: object) -> Iterator[tuple[str, str]]:
        schema = self._resolved(schema)
        if body in _listed(schema):
            yield place, _text(body)
        for step, part, select in _parts(schema):
            for inner in select(body):
                yield from self._found(part, _joined(place, step), inner)

    def _resolved(self, schema: _Schema) -> _Schema:
        """Follow a reference within the schema; what stands beside it is kept."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return schema
        found: Any = self._schema
        for name in filter(None, reference.removeprefix("#").split("/")):
            found = found.get(name, {}) if isinstance(found, Mapping) else {}
        return {**found, **schema} if isinstance(found, Mapping) else schema


def _listed(schema: _Schema) -> list[Any]:
    constant = schema.get("const", _NOTHING)
    return [*schema.get("enum", ()), *([] if constant is _NOTHING else [constant])]


def _parts(schema: _Schema) -> _Parts:
    properties = schema.get("properties", {})
    for name, part in properties.items():
        if isinstance(part, Mapping):
            yield f".{name}", part, _member(name)
    items, others = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, Mapping):
        yield "[]", items, lambda body: list(body) if isinstance(body, list) else []
    if isinstance(others, Mapping):
        yield "{}", others, lambda body: _others(body, properties)


def _member(name: str) -> Callable[[Any], list[Any]]:
    return lambda body: [body[name]] if isinstance(body, Mapping) and name in body else []


def _others(body: Any, properties: Mapping[str, Any]) -> list[Any]:
    return [value for name, value in body.items() if name not in properties] if isinstance(body, Mapping) else []


def _joined(place: str, step: str) -> str:
    return f"{place}{step}".removeprefix(".")


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
