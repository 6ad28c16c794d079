"""``health.openapi.json``: the health endpoints for programs that test or call them, as OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from prethrift_backend.verify.health_words import described_paths
from prethrift_backend.verify.reference.health import codes_of
from prethrift_backend.verify.reference.json_text import dumped
from prethrift_backend.verify.reference.markdown import MARK, code

Schema = dict[str, Any]
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_DEFINITIONS: Final = "#/$defs/"
_BODY: Final = "#/components/schemas/health"
# What a schema document says of itself has no place within another one.
_OF_DOCUMENT: Final = frozenset({"$schema", "$id", "$defs"})
_CACHE: Final = {"required": True, "schema": {"type": "string", "pattern": "no-store"}}
_RETRY: Final = {"required": True, "description": "seconds", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
_ALLOW: Final = {"required": True, "schema": {"type": "string", "pattern": "GET"}}
_MEANING: Final = {200: "Requests are served.", 503: "Send requests elsewhere."}


def render_openapi(schema: Mapping[str, Any]) -> str | None:
    """Return the OpenAPI document; None where the schema names no path or no status code."""
    paths, codes = described_paths(schema), codes_of(schema)
    if not paths or not codes:
        return None
    document = {
        "openapi": "3.1.0",
        "x-generated": MARK,
        "info": {
            "title": str(schema.get("title", "Health")),
            "version": str(schema.get("$id", "")).rpartition(":")[2] or "1",
        },
        "paths": {path: _path(path, codes) for path in paths},
        "components": {"schemas": _schemas(schema), "responses": _refusals()},
    }
    return dumped(document)


def _path(path: str, codes: Mapping[int, list[str]]) -> Schema:
    names = _PARAMETER.findall(path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    item: Schema = {"parameters": parameters} if parameters else {}
    for method in ("get", "head"):
        item[method] = {
            "operationId": f"{method}{re.sub(r'[^a-z0-9]+', '_', path)}".rstrip("_"),
            "responses": _responses(codes, has_body=method == "get", is_named=bool(names)),
        }
    return {**item, "x-other-methods": {"$ref": "#/components/responses/method_not_allowed"}}


def _responses(codes: Mapping[int, list[str]], *, has_body: bool, is_named: bool) -> Schema:
    responses: Schema = {str(number): _response(number, codes[number], has_body=has_body) for number in sorted(codes)}
    if is_named:
        responses["404"] = {"$ref": "#/components/responses/not_found"}
    return responses


def _response(number: int, statuses: list[str], *, has_body: bool) -> Schema:
    headers: Schema = {"Cache-Control": _CACHE, **({"Retry-After": _RETRY} if number == 503 else {})}
    words = f"The status is {' or '.join(code(status) for status in statuses)}."
    body = {"allOf": [{"$ref": _BODY}, {"properties": {"status": {"enum": statuses}}}]}
    content: Schema = {"content": {"application/json": {"schema": body}}} if has_body else {}
    return {"description": f"{_MEANING.get(number, '')} {words}".strip(), "headers": headers, **content}


def _refusals() -> Schema:
    return {
        "method_not_allowed": {
            "description": "The answer with 405 to every method but GET and HEAD.",
            "headers": {"Allow": _ALLOW},
        },
        "not_found": {"description": "Nothing has this name."},
    }


def _schemas(schema: Mapping[str, Any]) -> Schema:
    definitions = schema.get("$defs")
    named = definitions if isinstance(definitions, dict) else {}
    whole = {key: value for key, value in schema.items() if key not in _OF_DOCUMENT}
    return {"health": _moved(whole), **{f"health.{name}": _moved(part) for name, part in named.items()}}


def _moved(value: Any) -> Any:
    """Return a schema whose references lead to where the definitions are in this document."""
    if isinstance(value, list):
        return [_moved(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _target(part) if key == "$ref" else _moved(part) for key, part in value.items()}


def _target(reference: Any) -> Any:
    if not isinstance(reference, str):
        return _moved(reference)  # a property of this name
    if reference == "#":
        return _BODY
    return reference.replace(_DEFINITIONS, f"{_BODY}.", 1) if reference.startswith(_DEFINITIONS) else reference
