"""A draft of a JSON Schema 2020-12 from bodies that a service answered with; guesses stand in ``description``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from prethrift_backend.observability.redaction import Redactor

Schema: TypeAlias = "dict[str, Any]"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MAX_DEPTH: Final = 12  # arbitrary; deeper than any body of health
_MAX_VALUES: Final = 10
# Where a member stands for each of many things, its names are data: another check is no other schema.
_MAPS: Final = frozenset({"checks", "components", "dependencies", "entries", "results", "services"})
_STATES: Final = frozenset({"state", "status"})
_STATE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
# What is measured may have a fraction next time.
_MEASURED: Final = re.compile(
    r"(?:^|_)(?:seconds|ms|milliseconds|ratio|percent|age|duration|latency|uptime)(?:_|$)|Ms$"
)
# RFC 3339, narrower than Python's own reading.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def draft_schema(bodies: Sequence[Mapping[str, Any]], *, title: str) -> str:
    """Return the text of a schema that every body obeys; the names and types are the bodies', no value is but states.

    The bodies are JSON objects as ``json.loads`` returns them.
    """
    guessed = "guessed: drafted from answers of a running service; what was in all of them is required"
    head: Schema = {"$schema": _DIALECT, "title": title, "description": guessed}
    schema = head | _Guess(Redactor()).of(list(bodies), "", 0)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


class _Guess:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def of(self, values: Sequence[Any], name: str, depth: int) -> Schema:
        """Return a schema that all values obey; ``name`` is what they are called."""
        if depth > _MAX_DEPTH:
            return {}
        types = sorted({_type(value, name) for value in values})
        if "number" in types and "integer" in types:
            types.remove("integer")
        schema: Schema = {"type": types[0] if len(types) == 1 else types} if types else {}
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            schema |= self._text(texts, name, is_alone=types == ["string"])
        objects = [value for value in values if isinstance(value, dict)]
        if objects:
            schema |= self._object(objects, name, depth)
        items = [item for value in values if isinstance(value, list) for item in value]
        return schema | ({"items": self.of(items, name, depth + 1)} if items else {})

    def _object(self, objects: Sequence[Mapping[str, Any]], name: str, depth: int) -> Schema:
        members = [member for one in objects for member in one.values()]
        if name.lower() in _MAPS and members and all(isinstance(member, dict) for member in members):
            told = "guessed: the names are those of checks, and others may come"
            return {"description": told, "additionalProperties": self.of(members, "", depth + 1)}
        keys = {key: None for one in objects for key in one if self._redactor.is_clean(key)}
        properties = {key: self.of([one[key] for one in objects if key in one], key, depth + 1) for key in keys}
        required = [key for key in keys if all(key in one for one in objects)]
        schema: Schema = {"properties": properties} if properties else {}
        return ({"required": required} if required else {}) | schema

    def _text(self, texts: Sequence[str], name: str, *, is_alone: bool) -> Schema:
        for form, is_one in (("date-time", _is_time), ("uuid", _is_uuid)):
            if all(map(is_one, texts)):
                return {"format": form}
        if name.lower() not in _STATES or not all(map(_STATE.fullmatch, texts)):
            return {}
        states = sorted(set(texts))
        if any(self._redactor.redact({name: state}) != {name: state} for state in states):
            return {}
        if is_alone and 1 < len(states) <= _MAX_VALUES:
            return {"description": "guessed: a closed list of the states that were seen", "enum": states}
        told = f"guessed: only {states[0]!r} was seen; write the list of all states as enum"
        return {"description": told} if len(states) == 1 else {}


def _type(value: object, name: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "number" if _MEASURED.search(name) else "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _is_time(text: str) -> bool:
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text.upper()))
    except ValueError:
        return False
    return True


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None
