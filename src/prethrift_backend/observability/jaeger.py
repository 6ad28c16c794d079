"""Traces in Jaeger's own protocol: Thrift over HTTP, as its collector takes them at port 14268.

The schema is jaeger.thrift (jaeger-idl), told here as data: PyPI thrift encodes by it. What becomes of a span is the
OpenTelemetry specification's "OpenTelemetry to Jaeger Transformation" (specification/trace/sdk_exporters/jaeger.md)
and "Mapping to non-OTLP Formats".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from thrift.protocol.TBinaryProtocol import TBinaryProtocolAccelerated
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

from prethrift_backend.observability._http_poster import HttpPoster
from prethrift_backend.observability._pace import Pace
from prethrift_backend.observability.export_protocols import Reply

_THRIFT_PORT: Final = 14268
_THRIFT_PATH: Final = "/api/traces"
_FORMAT: Final = "format=jaeger.thrift"
_CONTENT_TYPE: Final = "application/vnd.apache.thrift.binary"

# TagType and SpanRefType of jaeger.thrift.
_STRING, _DOUBLE, _BOOL, _LONG, _BINARY = range(5)
_FOLLOWS_FROM: Final = 1

_Spec: TypeAlias = tuple[Any, ...]


def speaks_thrift(endpoint: str) -> bool:
    """Say whether a Jaeger endpoint takes Thrift, by port 14268 or path /api/traces; others take OTLP."""
    parts = urlsplit(endpoint)
    return parts.port == _THRIFT_PORT or parts.path.rstrip("/") == _THRIFT_PATH


def thrift_url(endpoint: str) -> str:
    """Return where spans are posted to: ``endpoint``, with the collector's path where it names only a host."""
    parts = urlsplit(endpoint)
    path = _THRIFT_PATH if parts.path in ("", "/") else parts.path
    query = parts.query if "format=" in parts.query else "&".join(filter(None, (parts.query, _FORMAT)))
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


# The schema. A field of a spec: id, type, attribute, then UTF8, BINARY or what the struct or list is of.


class _Struct:
    """What a protocol of thrift can write."""

    __slots__ = ()
    thrift_spec: ClassVar[_Spec]

    def write(self, protocol: TBinaryProtocolAccelerated) -> None:
        """Write the struct, by thrift's C code where it was built."""
        if protocol._fast_encode is not None:
            protocol.trans.write(protocol._fast_encode(self, [type(self), self.thrift_spec]))
        else:
            protocol.writeStruct(self, self.thrift_spec)


@dataclass(frozen=True, slots=True)
class _Tag(_Struct):
    key: str
    v_type: int
    v_str: str | None = None
    v_double: float | None = None
    v_bool: bool | None = None
    v_long: int | None = None
    v_binary: bytes | None = None

    thrift_spec: ClassVar[_Spec] = (
        None,
        (1, TType.STRING, "key", "UTF8", None),
        (2, TType.I32, "v_type", None, None),
        (3, TType.STRING, "v_str", "UTF8", None),
        (4, TType.DOUBLE, "v_double", None, None),
        (5, TType.BOOL, "v_bool", None, None),
        (6, TType.I64, "v_long", None, None),
        (7, TType.STRING, "v_binary", "BINARY", None),
    )


@dataclass(frozen=True, slots=True)
class _Log(_Struct):
    timestamp_us: int
    fields: list[_Tag]

    thrift_spec: ClassVar[_Spec] = (
        None,
        (1, TType.I64, "timestamp_us", None, None),
        (2, TType.LIST, "fields", (TType.STRUCT, [_Tag, _Tag.thrift_spec], False), None),
    )


@dataclass(frozen=True, slots=True)
class _Reference(_Struct):
    kind: int
    trace_id_low: int
    trace_id_high: int
    span_id: int

    thrift_spec: ClassVar[_Spec] = (
        None,
        (1, TType.I32, "kind", None, None),
        (2, TType.I64, "trace_id_low", None, None),
        (3, TType.I64, "trace_id_high", None, None),
        (4, TType.I64, "span_id", None, None),
    )


@dataclass(frozen=True, slots=True)
class _Span(_Struct):
    trace_id_low: int
    trace_id_high: int
    span_id: int
    parent_span_id: int
    name: str
    references: list[_Reference]
    flags: int
    start_us: int
    duration_us: int
    tags: list[_Tag]
    logs: list[_Log]

    thrift_spec: ClassVar[_Spec] = (
        None,
        (1, TType.I64, "trace_id_low", None, None),
        (2, TType.I64, "trace_id_high", None, None),
        (3, TType.I64, "span_id", None, None),
        (4, TType.I64, "parent_span_id", None, None),
        (5, TType.STRING, "name", "UTF8", None),
        (6, TType.LIST, "references", (TType.STRUCT, [_Reference, _Reference.thrift_spec], False), None),
        (7, TType.I32, "flags", None, None),
        (8, TType.I64, "start_us", None, None),
        (9, TType.I64, "duration_us", None, None),
        (10, TType.LIST, "tags", (TType.STRUCT, [_Tag, _Tag.thrift_spec], False), None),
        (11, TType.LIST, "logs", (TType.STRUCT, [_Log, _Log.thrift_spec], False), None),
    )


@dataclass(frozen=True, slots=True)
class _Process(_Struct):
    service_name: str
    tags: list[_Tag]

    thrift_spec: ClassVar[_Spec] = (
        None,
        (1, TType.STRING, "service_name", "UTF8", None),
        (2, TType.LIST, "tags", (TType.STRUCT, [_Tag, _Tag.thrift_spec], False), None),
    )


# From OpenTelemetry to the schema.


def _signed(number: int) -> int:
    """Return 64 bits as Thrift has them: there are no unsigned numbers in it."""
    bits = number & 0xFFFF_FFFF_FFFF_FFFF
    return bits - (1 << 64) if bits >> 63 else bits


def _text(text: str) -> str:
    """Return text that UTF-8 has room for: a lone surrogate would lose the whole batch."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _tag(key: str, value: object) -> _Tag:
    name = _text(key)
    if isinstance(value, bool):
        return _Tag(name, _BOOL, v_bool=value)
    if isinstance(value, str):
        return _Tag(name, _STRING, v_str=_text(value))
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return _Tag(name, _LONG, v_long=value)
    if isinstance(value, float):
        return _Tag(name, _DOUBLE, v_double=value)
    if isinstance(value, bytes):
        return _Tag(name, _BINARY, v_binary=value)
    return _Tag(name, _STRING, v_str=_text(_json(value)))


def _json(value: object) -> str:
    """Return arrays, maps and everything else that Jaeger has no type for as JSON, which the specification asks for."""
    # MappingProxyType and bytes inside of arrays are not JSON's own.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _tags(attributes: Mapping[str, Any] | None) -> Iterator[_Tag]:
    return (_tag(key, value) for key, value in (attributes or {}).items())


def _count(key: str, count: int) -> Iterator[_Tag]:
    """Yield a number of things that were left out, where there are any."""
    if count:
        yield _tag(key, count)


def _span_tags(span: ReadableSpan) -> Iterator[_Tag]:
    yield from _tags(span.attributes)
    if span.kind is not SpanKind.INTERNAL:
        yield _tag("span.kind", span.kind.name.lower())
    yield from _status_tags(span)
    scope = span.instrumentation_scope
    if scope is not None:
        yield _tag("otel.scope.name", scope.name)
        if scope.version:
            yield _tag("otel.scope.version", scope.version)
    yield from _count("otel.dropped_attributes_count", span.dropped_attributes)
    yield from _count("otel.dropped_events_count", span.dropped_events)
    yield from _count("otel.dropped_links_count", span.dropped_links)


def _status_tags(span: ReadableSpan) -> Iterator[_Tag]:
    status = span.status
    if status.status_code is StatusCode.UNSET:
        return
    yield _tag("otel.status_code", status.status_code.name)
    if status.description:
        yield _tag("otel.status_description", status.description)
    if status.status_code is StatusCode.ERROR:
        yield _tag("error", True)


def _log(event: Event) -> _Log:
    """Return an event; its own attribute ``event``, where it has one, comes before its name."""
    attributes = event.attributes or {}
    named = [] if "event" in attributes else [_tag("event", event.name)]
    return _Log(event.timestamp // 1000, [*named, *_tags(attributes)])


def _link(context: SpanContext) -> _Reference:
    trace_id = context.trace_id
    return _Reference(_FOLLOWS_FROM, _signed(trace_id), _signed(trace_id >> 64), _signed(context.span_id))


def _span(span: ReadableSpan) -> _Span:
    context, start_ns = span.get_span_context(), span.start_time or 0
    if context is None:
        raise ValueError(f"span {span.name!r} has no context: only a span that was started can be sent")
    return _Span(
        trace_id_low=_signed(context.trace_id),
        trace_id_high=_signed(context.trace_id >> 64),
        span_id=_signed(context.span_id),
        parent_span_id=0 if span.parent is None else _signed(span.parent.span_id),
        name=_text(span.name),
        references=[_link(link.context) for link in span.links],
        flags=int(context.trace_flags),
        start_us=start_ns // 1000,
        duration_us=max(0, (span.end_time or start_ns) - start_ns) // 1000,
        tags=list(_span_tags(span)),
        logs=[_log(event) for event in span.events],
    )


def _process(resource: Resource) -> _Process:
    attributes = dict(resource.attributes)
    return _Process(_text(str(attributes.pop("service.name", "unknown_service"))), list(_tags(attributes)))


def encode_batch(spans: Sequence[ReadableSpan]) -> bytes:
    """Return a Batch of jaeger.thrift in Thrift's binary protocol.

    All spans are of one process, whose resource is that of the first one: a Tracing has no other.
    Raises IndexError where there are no spans.
    """
    buffer, pace = TMemoryBuffer(), Pace()
    protocol = TBinaryProtocolAccelerated(buffer)
    protocol.writeFieldBegin("process", TType.STRUCT, 1)
    _process(spans[0].resource).write(protocol)
    protocol.writeFieldBegin("spans", TType.LIST, 2)
    protocol.writeListBegin(TType.STRUCT, len(spans))
    for span in spans:
        _span(span).write(protocol)
        pace.breathe()
    protocol.writeFieldStop()
    encoded: bytes = buffer.getvalue()
    return encoded


class JaegerTransport:
    """A Jaeger collector, posted to over HTTP; ``endpoint`` is its URL, or only scheme, host and port."""

    name = "jaeger"

    def __init__(self, endpoint: str) -> None:
        self._poster = HttpPoster(thrift_url(endpoint))

    def send(self, spans: Sequence[ReadableSpan], *, timeout_seconds: float) -> Reply:
        """Encode and post the spans; never raises."""
        try:
            body = encode_batch(spans)
        except Exception as error:  # noqa: BLE001 - whatever a span holds, the queue behind it goes on
            return Reply("failure", detail=f"spans could not be encoded for Jaeger: {type(error).__name__}")
        # Jaeger's collector does not unpack what it gets at this path.
        return self._poster.post(body, content_type=_CONTENT_TYPE, compress=False, timeout_seconds=timeout_seconds)

    def close(self) -> None:
        """Close the connection."""
        self._poster.close()
