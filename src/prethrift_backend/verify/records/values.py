"""What a service says of itself, as values: a line of its log, and a finished span from wherever it was taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

from prethrift_backend.observability.redaction import redact_text

# Enough to see what is wrong; arbitrary.
_SHOWN_CHARACTERS: Final = 120
_KINDS: Final = ("internal", "internal", "server", "client", "producer", "consumer")
_STATUSES: Final = ("unset", "ok", "error")
# Receivers and exporters nest no deeper than this; what is deeper is left out. Arbitrary.
_MAX_DEPTH: Final = 16


@dataclass(frozen=True, slots=True)
class RecordFault:
    """One thing in which a line or a span breaks its contract.

    ``name`` is the event or the key of the span, or what the contract calls none; ``observed`` holds no secret.
    """

    rule: str
    name: str
    message: str
    expected: str | None = None
    observed: str | None = None


@dataclass(frozen=True, slots=True)
class ObservedEvent:
    """An event within a span."""

    name: str
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedLink:
    """A link to another span, by hexadecimal ids."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedSpan:
    """One finished span; kind and status in lower case, ids hexadecimal, ``parent_span_id`` None for a root."""

    name: str
    kind: str
    scope: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    events: tuple[ObservedEvent, ...] = ()
    links: tuple[ObservedLink, ...] = ()
    status: str = "unset"
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str | None = None
    resource: Mapping[str, object] = field(default_factory=dict)


def from_sdk(span: ReadableSpan) -> ObservedSpan:
    """Return a span of the SDK as it was observed."""
    context, scope = span.get_span_context(), span.instrumentation_scope
    return ObservedSpan(
        name=span.name,
        kind=span.kind.name.lower(),
        scope="" if scope is None else scope.name,
        attributes=dict(span.attributes or {}),
        events=tuple(ObservedEvent(event.name, dict(event.attributes or {})) for event in span.events),
        links=tuple(ObservedLink(*_ids(link.context), dict(link.attributes or {})) for link in span.links),
        status=span.status.status_code.name.lower(),
        trace_id=_ids(context)[0],
        span_id=_ids(context)[1],
        parent_span_id=None if span.parent is None else _ids(span.parent)[1],
        resource=dict(span.resource.attributes),
    )


def _ids(context: SpanContext | None) -> tuple[str, str]:
    return ("", "") if context is None else (format_trace_id(context.trace_id), format_span_id(context.span_id))


def from_otlp(request: ExportTraceServiceRequest) -> Iterator[ObservedSpan]:
    """Yield the spans of one export of OTLP, in their order."""
    return (
        _otlp_span(span, scope.scope.name, resource)
        for group in request.resource_spans
        for resource in [_otlp_values(group.resource.attributes)]
        for scope in group.scope_spans
        for span in scope.spans
    )


def _otlp_span(span: trace_pb2.Span, scope: str, resource: Mapping[str, object]) -> ObservedSpan:
    return ObservedSpan(
        name=span.name,
        kind=_named(_KINDS, span.kind),
        scope=scope,
        attributes=_otlp_values(span.attributes),
        events=tuple(ObservedEvent(event.name, _otlp_values(event.attributes)) for event in span.events),
        links=tuple(
            ObservedLink(link.trace_id.hex(), link.span_id.hex(), _otlp_values(link.attributes)) for link in span.links
        ),
        status=_named(_STATUSES, span.status.code),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex() or None,
        resource=resource,
    )


def _named(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else str(number)


def _otlp_values(pairs: Iterable[KeyValue], depth: int = 0) -> dict[str, object]:
    return {pair.key: _otlp_value(pair.value, depth) for pair in pairs}


def _otlp_value(value: AnyValue, depth: int) -> object:
    kind = value.WhichOneof("value")
    if kind is None or depth > _MAX_DEPTH:
        return None
    if kind == "array_value":
        return [_otlp_value(item, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _otlp_values(value.kvlist_value.values, depth + 1)
    plain: object = getattr(value, kind)
    return plain


def read_line(line: bytes) -> dict[str, object] | None:
    """Return the fields of one rendered line; None where it is no JSON object in UTF-8."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None


def shown(value: object) -> str:
    """Return a value for a report: as text, short and without secrets."""
    text = redact_text(repr(value)) if isinstance(value, str) else redact_text(str(value))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
