"""Health schemas with a random change, and bodies for a schema, most of them near the edge of what it allows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from random import Random
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator, FormatChecker

Schema: TypeAlias = dict[str, Any]

_TEXTS = ["", "a", "ok", "healthy", "degraded", "unhealthy", "dead", "draining", "database", "A b", "x" * 201, "é"]
_TIMES = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00", "yesterday"]
_NUMBERS = [-1, 0, 1, 3, 0.5, 1e6]
_SCALARS = [*_TEXTS, *_NUMBERS, True, None]
_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
_LIMITS = (*_BOUNDS, "pattern", "format", "type")
_NESTED = ("items", "additionalProperties", "propertyNames", "not", "if", "then")


def _subschemas(schema: object) -> Iterator[Schema]:
    """Yield every schema in a schema, the outermost first; a condition is left whole."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key in _NESTED:
        yield from _subschemas(schema.get(key))
    for key in ("properties", "$defs"):
        for part in schema.get(key, {}).values():
            yield from _subschemas(part)
    for key in ("allOf", "anyOf"):
        for part in schema.get(key, []):
            yield from _subschemas(part)


def _drop_keyword(schema: Schema, random: Random) -> None:
    keys = [key for key in schema if key not in ("$defs", "$ref", "$schema", "$id")]
    if keys:
        del schema[random.choice(keys)]


def _move_bound(schema: Schema, random: Random) -> None:
    given = [key for key in _BOUNDS if key in schema]
    key = random.choice(given or list(_BOUNDS))
    moved = schema.get(key, 1) + random.choice([-1, 1, 100])
    schema[key] = moved if key in ("minimum", "maximum") else max(0, moved)


def _change_list(schema: Schema, random: Random) -> None:
    values = schema.get("enum", ["healthy"])
    schema["enum"] = random.choice([[*values, "dead"], values[1:] or values, [*values, 3, None], values[::-1]])


def _change_type(schema: Schema, random: Random) -> None:
    types: list[object] = ["string", "number", "integer", "boolean", ["number", "null"], ["string", "object"]]
    schema["type"] = random.choice(types)


def _change_properties(schema: Schema, random: Random) -> None:
    properties = schema.setdefault("properties", {})
    if properties and random.random() < 0.5:
        name = random.choice(sorted(properties))
        del properties[name]
        schema["required"] = [other for other in schema.get("required", []) if other != name]
    else:
        properties["extra"] = random.choice([{"type": "integer"}, {"type": "string"}, {}, False])


def _change_required(schema: Schema, random: Random) -> None:
    names = schema.get("required", [])
    schema["required"] = random.choice([names[1:], [*names, "reason"], names[::-1]])


def _change_rest(schema: Schema, random: Random) -> None:
    schema["additionalProperties"] = random.choice([True, False, {"type": "number"}])


def _change_pattern(schema: Schema, random: Random) -> None:
    schema["pattern"] = random.choice(["Z$", "^[a-z]", "^.{0,3}$"])


def _change_forms(schema: Schema, random: Random) -> None:
    forms = schema.get("anyOf") or [{"type": "boolean"}]
    more: list[Schema] = [{"type": "null"}, {"maxLength": 3}]
    schema["anyOf"] = random.choice([[*forms, more[0]], forms[1:] or forms, [*forms, more[1]]])


# Each with the keyword at which it does something of interest.
_CHANGES: list[tuple[str, Callable[[Schema, Random], None]]] = [
    ("", _drop_keyword),
    ("minimum", _move_bound),
    ("maxLength", _move_bound),
    ("enum", _change_list),
    ("type", _change_type),
    ("properties", _change_properties),
    ("required", _change_required),
    ("additionalProperties", _change_rest),
    ("pattern", _change_pattern),
    ("anyOf", _change_forms),
]


def changed_schema(schema: Schema, random: Random) -> Schema:
    """Return the schema with one or two random changes."""
    changed = copy.deepcopy(schema)
    for _ in range(random.randint(1, 2)):
        keyword, change = random.choice(_CHANGES)
        places = [place for place in _subschemas(changed) if "$ref" not in place]
        fitting = [place for place in places if not keyword or keyword in place]
        change(random.choice(fitting or places), random)
    return changed


def make_body(schema: Schema, random: Random) -> Any:
    """Return a body that the schema probably allows."""
    return _value(schema, schema, random)


def _value(schema: object, root: Schema, random: Random) -> Any:
    if not isinstance(schema, dict):
        return random.choice(_SCALARS)
    if "$ref" in schema:
        return _value(root["$defs"][schema["$ref"].rpartition("/")[2]], root, random)
    if "enum" in schema or "const" in schema:
        return random.choice(schema.get("enum") or [schema["const"]])
    if schema.get("anyOf"):
        return _value({**schema, "anyOf": None, **random.choice(schema["anyOf"])}, root, random)
    types = schema.get("type", "object" if "properties" in schema else "any")
    return _of_type(types if isinstance(types, str) else random.choice(types), schema, root, random)


def _of_type(name: str, schema: Schema, root: Schema, random: Random) -> Any:
    if name == "object":
        return _object(schema, root, random)
    if name == "array":
        count = random.randint(schema.get("minItems", 0), max(schema.get("minItems", 0), 2))
        return [_value(schema.get("items"), root, random) for _ in range(count)]
    texts = _TIMES if "format" in schema else [*_TEXTS, *_TIMES[:1]]
    pools: dict[str, Sequence[Any]] = {
        "string": texts,
        "number": _NUMBERS,
        "integer": _NUMBERS,
        "boolean": [True, False],
        "null": [None],
    }
    return random.choice(_allowed(schema, pools.get(name, _SCALARS)))


def _object(schema: Schema, root: Schema, random: Random) -> dict[str, Any]:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    others = [name for name in (*properties, "extra", "Other name") if name not in required]
    chosen = [*required, *(name for name in others if random.random() < 0.3)]
    parts = {name: properties.get(name, schema.get("additionalProperties")) for name in chosen}
    return {name: _value(part, root, random) for name, part in parts.items() if part is not False}


def _allowed(schema: Schema, candidates: Sequence[Any]) -> Sequence[Any]:
    """Return the candidates that the limits of a text or number allow; all where none is."""
    limits = json.dumps({key: value for key, value in schema.items() if key in _LIMITS})
    allowed = [value for value in candidates if _is_allowed(limits, json.dumps(value))]
    return allowed or candidates


@cache
def _is_allowed(limits: str, value: str) -> bool:
    return Draft202012Validator(json.loads(limits), format_checker=FormatChecker()).is_valid(json.loads(value))
