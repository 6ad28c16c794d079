"""``health.md``: the endpoints, the statuses and their codes, and every field of the body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prethrift_backend.verify.health_words import described_codes, described_paths, description
from prethrift_backend.verify.reference.examples import NoExampleError
from prethrift_backend.verify.reference.markdown import block, code, page, paragraph, table, text
from prethrift_backend.verify.reference.schema import FieldRow, example_of, fields_of, resolved

_TITLE: Final = "Health"
_CONDITIONS: Final = ("allOf", "if", "not", "dependentRequired", "dependentSchemas")


def render_health(schema: Mapping[str, Any]) -> str:
    """Return ``health.md``."""
    blocks = [paragraph(text(description(schema))), *_endpoints(schema), *_statuses(schema), *_body(schema)]
    return page(_TITLE, [*blocks, *_example(schema)])


def statuses_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the values that ``status`` may have, where they are a closed list of texts."""
    properties = schema.get("properties")
    status = resolved(properties.get("status"), schema) if isinstance(properties, dict) else {}
    values = status.get("enum")
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def codes_of(schema: Mapping[str, Any]) -> dict[int, list[str]]:
    """Return the statuses that come with each status code; empty where the schema does not say."""
    properties = schema.get("properties")
    status = properties.get("status") if isinstance(properties, dict) else None
    return described_codes(status, statuses_of(schema))


def _endpoints(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "## Endpoints"
    paths = described_paths(schema)
    if not paths:
        yield "The contract names no path: which endpoints answer so is not promised."
        return
    yield "\n".join(f"- {code(path)}: GET, and HEAD without the body" for path in paths)
    yield "Any other method is answered with 405. An answer is `application/json`, and no cache keeps it."


def _statuses(schema: Mapping[str, Any]) -> Iterator[str]:
    statuses, codes = statuses_of(schema), codes_of(schema)
    if statuses:
        yield "## Statuses"
        by_status = {status: str(number) for number, given in codes.items() for status in given}
        yield table(("status", "code"), [(code(status), by_status.get(status, "not said")) for status in statuses])


def _body(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "## Body"
    rows = [_row(row) for row in fields_of(schema)]
    yield table(("field", "type", "required", "meaning"), rows) if rows else "No field is promised."
    if schema.get("additionalProperties") is False:
        yield "At the top there is no other field."
    if any(keyword in schema for keyword in _CONDITIONS):
        yield "There are conditions between fields as well; the schema has them."


def _row(row: FieldRow) -> tuple[str, str, str, str]:
    return code(row.path), row.type, "yes" if row.is_required else "no", text(row.meaning)


def _example(schema: Mapping[str, Any]) -> Iterator[str]:
    try:
        body = example_of(schema)
    except (NoExampleError, TypeError, ValueError, re.error):
        return
    yield "## Example"
    yield block(json.dumps(body, indent=2, ensure_ascii=False), "json")
