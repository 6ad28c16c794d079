"""``events.md``: what every line of the log has, and every event with its fields and an example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts import LogEvent, LogsContract
from prethrift_backend.verify.reference.examples import example_line
from prethrift_backend.verify.reference.markdown import (
    alternatives,
    block,
    code,
    link,
    make_anchors,
    page,
    paragraph,
    table,
    text,
)
from prethrift_backend.verify.reference.values import how_often, never, values_table

_TITLE: Final = "Log events"
_SECTIONS: Final = ("Every line", "Never", "Events")


def render_events(logs: LogsContract) -> str:
    """Return ``events.md``."""
    anchors = make_anchors([_TITLE, *_SECTIONS, *(event.name for event in logs.events)])
    blocks = [*_every_line(logs), f"## {_SECTIONS[1]}", *_never(logs), f"## {_SECTIONS[2]}", _contents(logs, anchors)]
    for event in logs.events:
        blocks += _event(event, logs)
    return page(_TITLE, blocks)


def _every_line(logs: LogsContract) -> Iterator[str]:
    yield f"## {_SECTIONS[0]}"
    yield paragraph(text(logs.record.note))
    one = ", one a line" if logs.record.is_one_per_line else ""
    size = f", at most {logs.record.max_bytes} bytes with the line end" if logs.record.max_bytes is not None else ""
    yield f"The form: {logs.record.format}, {logs.record.encoding}{one}{size}."
    yield values_table("field", logs.fields) if logs.fields else "No field is promised for all lines."


def _never(logs: LogsContract) -> list[str]:
    return list(never(logs.never_keys, logs.never_values)) or ["Nothing is excluded."]


def _contents(logs: LogsContract, anchors: dict[str, str]) -> str:
    rows = [
        (link(code(event.name), anchors[event.name]), alternatives(event.levels), event.stability, text(event.note))
        for event in logs.events
    ]
    return table(("event", "level", "stability", "when"), rows) if rows else "There is none."


def _event(event: LogEvent, logs: LogsContract) -> Iterator[str]:
    yield f"### {code(event.name)}"
    yield paragraph(text(event.note))
    yield "\n".join(f"- {fact}" for fact in _facts(event))
    if event.fields:
        yield values_table("field", event.fields)
    line = example_line(event, logs)
    if line is not None:
        yield block(line, "json")


def _facts(event: LogEvent) -> Iterator[str]:
    yield f"level: {alternatives(event.levels)}"
    yield f"logger: {code(event.logger) if event.logger else 'any'}"
    yield f"how often: {how_often(event.count)}"
    yield f"stability: {event.stability}"
    own = "fields of its own" if event.fields else "no field of its own"
    yield f"{own} beside [those of every line](#every-line)" + ("; others may come" if event.is_open else "")
