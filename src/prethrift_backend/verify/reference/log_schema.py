"""``log-event.schema.json``: a line of the log, so that programs may hold lines to the contract."""

from __future__ import annotations

from typing import Any, Final

from prethrift_backend.contracts import LogEvent, LogsContract
from prethrift_backend.verify.records.log_checks import LogChecks
from prethrift_backend.verify.reference.examples import level_texts
from prethrift_backend.verify.reference.json_text import DIALECT, any_case, conditional, dumped, required_of, schemas_of
from prethrift_backend.verify.reference.markdown import MARK, one_line

Schema = dict[str, Any]
_CLEAN: Final = {"$ref": "#/$defs/clean"}


def render_log_schema(logs: LogsContract) -> str:
    """Return the JSON Schema of one line.

    A condition counts as one that holds where the line itself shows it, and that of a request in events that come once
    a request.
    """
    event_key = LogChecks(logs).event_key
    document: Schema = {
        "$comment": MARK,
        "$schema": DIALECT,
        "title": f"A line of the log, by version {logs.version} of its contract",
        "description": one_line(logs.record.note),
        "type": "object",
        "required": required_of(logs.fields),
        "properties": schemas_of(logs.fields),
        "allOf": [
            *([_CLEAN] if logs.never_keys else []),
            *conditional(logs.fields),
            *(_branch(event, event_key) for event in logs.events),
        ],
        "$defs": _definitions(logs),
    }
    return dumped({key: value for key, value in document.items() if value not in ([], "")})


def _branch(event: LogEvent, event_key: str) -> Schema:
    condition = {"required": [event_key], "properties": {event_key: {"const": event.name}}}
    return {"if": condition, "then": {"$ref": f"#/$defs/event.{event.name}"}}


def _definitions(logs: LogsContract) -> Schema:
    clean = _clean([word.name for word in logs.never_keys]) if logs.never_keys else {}
    return {**clean, **{f"event.{event.name}": _event(event, logs) for event in logs.events}}


def _event(event: LogEvent, logs: LogsContract) -> Schema:
    # Fields of every line are described above; here they only have to be known.
    known: Schema = {} if event.is_open else {one.name: True for one in logs.fields}
    schema: Schema = {
        **({"description": one_line(event.note)} if event.note else {}),
        "required": required_of(event.fields),
        "properties": {**known, **_origin(event, logs), **schemas_of(event.fields)},
        "allOf": _conditions(event, logs),
        "additionalProperties": event.is_open,
    }
    return {key: value for key, value in schema.items() if value != []}


def _conditions(event: LogEvent, logs: LogsContract) -> list[Schema]:
    is_of_request = event.count is not None and event.count.per == "request"
    if not is_of_request and not any(one.required_if for one in event.fields):
        return []  # those of every line are all
    return conditional((*logs.fields, *event.fields), frozenset({"request"} if is_of_request else ()))


def _origin(event: LogEvent, logs: LogsContract) -> Schema:
    """Return at which level and by which logger the event is, where the lines say so."""
    keys, promised = LogChecks(logs), {one.name: one.type for one in logs.fields}
    schema: Schema = {}
    if keys.level_key in promised:
        texts = level_texts(event)
        schema[keys.level_key] = {"enum": [text for text in texts if promised[keys.level_key].allows(text)] or texts}
    if keys.logger_key in promised and event.logger is not None:
        schema[keys.logger_key] = {"const": event.logger}
    return schema


def _clean(never: list[str]) -> Schema:
    """Return a schema of any value without these keys, at any depth."""
    return {
        "clean": {
            "propertyNames": {"not": {"pattern": any_case(never)}},
            "additionalProperties": _CLEAN,
            "items": _CLEAN,
        }
    }
