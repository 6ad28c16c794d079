"""Spans as an OTLP request, written straight in protobuf's wire format.

OpenTelemetry's own encoder makes an object of each attribute of each span, and takes 10 to 25 microseconds for one:
with four spans to a request, more than everything else that is done for it. Here each attribute is written once and
remembered, since most of them are the same again and again, and a span is a handful of texts joined: 2 microseconds.
What comes out is held against OpenTelemetry's encoder by the tests.

Sources: opentelemetry-proto 1.5 (trace.proto, common.proto, resource.proto); protobuf.dev/programming-guides/encoding.
The tags are (number << 3) | wire type, where 0 is a varint, 1 eight bytes, 2 a length and so many bytes, 5 four bytes.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status

from prethrift_backend.observability._pace import Pace

# Arbitrary: an application has some hundreds of recurring attributes. What differs each time (a path, an id) fills
# the rest, and is forgotten when it is full.
_MAX_REMEMBERED: Final = 2048
_MAX_REMEMBERED_TEXT: Final = 1024

# SpanFlags: whether the parent is remote is known, and whether it is.
_IS_REMOTE_KNOWN: Final = 0x100
_IS_REMOTE: Final = 0x200

_fixed64: Final = struct.Struct("<Q").pack
_fixed32: Final = struct.Struct("<I").pack
_double: Final = struct.Struct("<d").pack
_SMALL: Final = tuple(bytes((number,)) for number in range(128))


class SpanEncoder:
    """Writes requests and remembers how attributes are written; used by one thread at a time."""

    def __init__(self) -> None:
        self._remembered: dict[tuple[str, type, object], bytes] = {}

    def encode(self, spans: Sequence[ReadableSpan]) -> bytes:
        """Return an ExportTraceServiceRequest of ``spans``, grouped by resource and scope, not compressed.

        Pauses now and then, so that the event loop has its turns. Raises UnicodeEncodeError for text that UTF-8 has
        no room for, OverflowError and struct.error for numbers that are no 64 bits.
        """
        pace = Pace()
        grouped: dict[Resource, dict[InstrumentationScope | None, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        for span in spans:
            grouped[span.resource][span.instrumentation_scope].append(_field(b"\x12", self._span(span)))
            pace.breathe()
        return b"".join(_field(b"\x0a", self._of_resource(*group)) for group in grouped.items())

    def _of_resource(self, resource: Resource, scopes: Mapping[InstrumentationScope | None, list[bytes]]) -> bytes:
        own = b"".join(self._pairs(b"\x0a", resource.attributes))
        return b"".join(
            (
                _field(b"\x0a", own),
                *(_field(b"\x12", self._of_scope(scope, spans)) for scope, spans in scopes.items()),
                _text(b"\x1a", resource.schema_url),
            )
        )

    def _of_scope(self, scope: InstrumentationScope | None, spans: Iterable[bytes]) -> bytes:
        if scope is None:
            return b"".join((b"\x0a\x00", *spans))
        own = [_text(b"\x0a", scope.name), _text(b"\x12", scope.version)]
        own += self._pairs(b"\x1a", scope.attributes)
        return b"".join((_field(b"\x0a", b"".join(own)), *spans, _text(b"\x1a", scope.schema_url)))

    def _span(self, span: ReadableSpan) -> bytes:
        return b"".join(
            (
                *_identity(span.context, span.parent),
                _text(b"\x2a", span.name),
                b"\x30",
                _SMALL[span.kind.value + 1],  # OTLP begins to count at "unspecified"
                b"\x39",
                _fixed64(span.start_time or 0),
                b"\x41",
                _fixed64(span.end_time or 0),
                *self._attributes(span.attributes),
                _count(b"\x50", span.dropped_attributes),
                *(_field(b"\x5a", self._event(event)) for event in span.events),
                _count(b"\x60", span.dropped_events),
                *(_field(b"\x6a", self._link(link)) for link in span.links),
                _count(b"\x70", span.dropped_links),
                _status(span.status),
                b"\x85\x01",
                _flags(span.parent),
            )
        )

    def _event(self, event: Event) -> bytes:
        head = (b"\x09", _fixed64(event.timestamp), _text(b"\x12", event.name))
        return b"".join((*head, *self._pairs(b"\x1a", event.attributes), _count(b"\x20", event.dropped_attributes)))

    def _link(self, link: Link) -> bytes:
        context = link.context
        ids = (b"\x0a\x10", context.trace_id.to_bytes(16, "big"), b"\x12\x08", context.span_id.to_bytes(8, "big"))
        attributes = self._pairs(b"\x22", link.attributes)
        return b"".join((*ids, *attributes, _count(b"\x28", link.dropped_attributes), b"\x35", _flags(context)))

    def _attributes(self, attributes: Mapping[str, Any] | None) -> list[bytes]:
        """Return the fields of a span's own attributes, which are the ones worth remembering."""
        remembered = self._remembered
        fields: list[bytes] = []
        for key, value in (attributes or {}).items():
            kind = type(value)
            # With its type, or True would be taken for 1. A float is not remembered: 0.0 would be taken for -0.0.
            if kind is str or kind is int or kind is bool:
                fields.append(remembered.get((key, kind, value)) or self._remember(key, value))
            else:
                fields.append(_field(b"\x4a", self._pair(key, value)))
        return fields

    def _remember(self, key: str, value: str | int) -> bytes:
        field = _field(b"\x4a", self._pair(key, value))
        if len(field) <= _MAX_REMEMBERED_TEXT:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key, type(value), value] = field
        return field

    def _pairs(self, tag: bytes, attributes: Mapping[str, Any] | None) -> list[bytes]:
        return [_field(tag, self._pair(key, value)) for key, value in (attributes or {}).items()]

    def _pair(self, key: str, value: Any) -> bytes:
        return _text(b"\x0a", key) + _field(b"\x12", self._value(value))

    def _value(self, value: Any) -> bytes:
        """Return an AnyValue; what it has no type for is left empty, as None is."""
        if isinstance(value, str):
            return _field(b"\x0a", value.encode())
        if isinstance(value, bool):
            return b"\x10\x01" if value else b"\x10\x00"
        if isinstance(value, int):
            return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
        if isinstance(value, float):
            return b"\x21" + _double(value)
        return self._composite(value)

    def _composite(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return _field(b"\x3a", value)
        if isinstance(value, Mapping):
            return _field(b"\x32", b"".join(_field(b"\x0a", self._pair(key, item)) for key, item in value.items()))
        if isinstance(value, Sequence):
            return _field(b"\x2a", b"".join(_field(b"\x0a", self._value(item)) for item in value))
        return b""


def _varint(number: int) -> bytes:
    if number < 128:
        return _SMALL[number]
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _text(tag: bytes, text: str | None) -> bytes:
    return _field(tag, text.encode()) if text else b""


def _count(tag: bytes, number: int) -> bytes:
    return tag + _varint(number) if number else b""


def _identity(context: SpanContext | None, parent: SpanContext | None) -> Iterator[bytes]:
    """Yield the ids of a span; one without a context, which only a test makes, has none."""
    if context is not None:
        yield b"\x0a\x10"
        yield context.trace_id.to_bytes(16, "big")
        yield b"\x12\x08"
        yield context.span_id.to_bytes(8, "big")
        if context.trace_state:
            yield _text(b"\x1a", context.trace_state.to_header())
    if parent is not None:
        yield b"\x22\x08"
        yield parent.span_id.to_bytes(8, "big")


def _status(status: Status) -> bytes:
    if not status.description and not status.status_code.value:
        return b"\x7a\x00"
    return _field(b"\x7a", _text(b"\x12", status.description) + _count(b"\x18", status.status_code.value))


def _flags(context: SpanContext | None) -> bytes:
    return _fixed32(_IS_REMOTE_KNOWN | (_IS_REMOTE if context is not None and context.is_remote else 0))
