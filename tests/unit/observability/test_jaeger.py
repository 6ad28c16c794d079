"""Spans in Jaeger's Thrift: what is encoded is what Jaeger's own classes decode."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest
import thrift.protocol
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from tests.support.jaeger import decode, tag_values
from thrift.protocol.TBinaryProtocol import TBinaryProtocolAccelerated

from prethrift_backend.observability.jaeger import JaegerTransport, encode_batch, speaks_thrift, thrift_url

TRACE_ID = 0xFEDC_BA98_7654_3210_8000_0000_0000_0001
SPAN_ID = 0xFFFF_FFFF_FFFF_FFFE
CONTEXT = SpanContext(TRACE_ID, SPAN_ID, is_remote=False, trace_flags=TraceFlags(1))
START_NS = 1_700_000_000_123_456_789


def _unsigned(number: int) -> int:
    return number & 0xFFFF_FFFF_FFFF_FFFF


def _span(**given: Any) -> ReadableSpan:
    fields = {"context": CONTEXT, "start_time": START_NS, "end_time": START_NS + 2_500_000, "resource": Resource({})}
    return ReadableSpan(given.pop("name", "GET /x"), **{**fields, **given})


def _decoded(span: ReadableSpan) -> Any:
    (decoded,) = decode(encode_batch([span])).spans
    return decoded


def test_ids_are_signed_halves() -> None:
    """128 bits are two signed numbers of 64, and put together they are the id again."""
    parent = SpanContext(TRACE_ID, 0x8000_0000_0000_0000, is_remote=True)

    span = _decoded(_span(parent=parent))

    assert (_unsigned(span.traceIdHigh) << 64) + _unsigned(span.traceIdLow) == TRACE_ID
    assert span.traceIdLow < 0
    assert _unsigned(span.spanId) == SPAN_ID
    assert _unsigned(span.parentSpanId) == 0x8000_0000_0000_0000


def test_root_has_no_parent() -> None:
    """Jaeger's word for no parent is 0."""
    assert _decoded(_span()).parentSpanId == 0


def test_times_are_microseconds() -> None:
    """Start and duration are cut to whole microseconds."""
    span = _decoded(_span())

    assert (span.startTime, span.duration) == (1_700_000_000_123_456, 2_500)
    assert span.flags == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (SpanKind.SERVER, "server"),
        (SpanKind.CLIENT, "client"),
        (SpanKind.PRODUCER, "producer"),
        (SpanKind.CONSUMER, "consumer"),
        (SpanKind.INTERNAL, None),
    ],
)
def test_kind_is_a_tag(kind: SpanKind, expected: str | None) -> None:
    """The specification names a value for every kind but the internal one."""
    assert tag_values(_decoded(_span(kind=kind)).tags).get("span.kind") == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status(StatusCode.UNSET), {}),
        (Status(StatusCode.OK), {"otel.status_code": "OK"}),
        (Status(StatusCode.ERROR), {"otel.status_code": "ERROR", "error": True}),
        (
            Status(StatusCode.ERROR, "no database"),
            {"otel.status_code": "ERROR", "otel.status_description": "no database", "error": True},
        ),
    ],
)
def test_status_is_tags(status: Status, expected: dict[str, object]) -> None:
    """A failed span is marked so that Jaeger shows it red; an unset status says nothing."""
    tags = tag_values(_decoded(_span(status=status)).tags)

    assert {key: tags[key] for key in tags if key.startswith(("otel.status", "error"))} == expected


def test_scope_is_tags() -> None:
    """The instrumentation scope is shown; a version that is not there is no tag."""
    named, versioned = (
        tag_values(_decoded(_span(instrumentation_scope=scope)).tags)
        for scope in (InstrumentationScope("stores"), InstrumentationScope("stores", "1.2"))
    )

    assert named == {"otel.scope.name": "stores"}
    assert versioned == {"otel.scope.name": "stores", "otel.scope.version": "1.2"}


def test_resource_is_the_process() -> None:
    """service.name is the process's name, the rest its tags."""
    resource = Resource({"service.name": "prethrift", "service.version": "1.0", "host.cpus": 2})

    process = decode(encode_batch([_span(resource=resource), _span(resource=resource)])).process

    assert process.serviceName == "prethrift"
    assert tag_values(process.tags) == {"service.version": "1.0", "host.cpus": 2}


def test_events_are_logs() -> None:
    """An event is a log with its time; its name is the field ``event`` unless it brings one of its own."""
    events = [
        Event("exception", {"exception.type": "ValueError"}, timestamp=START_NS + 1_000),
        Event("hidden", {"event": "shown"}, timestamp=START_NS + 2_000),
    ]

    logs = _decoded(_span(events=events)).logs

    assert [log.timestamp for log in logs] == [START_NS // 1000 + 1, START_NS // 1000 + 2]
    assert tag_values(logs[0].fields) == {"event": "exception", "exception.type": "ValueError"}
    assert tag_values(logs[1].fields) == {"event": "shown"}


def test_links_are_references() -> None:
    """A link points to what this span follows from."""
    link = Link(SpanContext(TRACE_ID - 1, 7, is_remote=True))

    (reference,) = _decoded(_span(links=[link])).references

    assert reference.refType == 1  # FOLLOWS_FROM
    assert (_unsigned(reference.traceIdHigh) << 64) + _unsigned(reference.traceIdLow) == TRACE_ID - 1
    assert reference.spanId == 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("Käufer\u2028\x00", "Käufer\u2028\x00"),
        ("cut \ud800 here", "cut ? here"),
        (True, True),
        (3, 3),
        (-(1 << 63), -(1 << 63)),
        (1 << 63, "9223372036854775808"),
        (0.25, 0.25),
        (b"\x00\xff", b"\x00\xff"),
        (("a", "ü"), '["a","ü"]'),
        ((1, 2), "[1,2]"),
        ((True, False), "[true,false]"),
        ((), "[]"),
        (MappingProxyType({"a": (b"x",)}), '{"a":["b\'x\'"]}'),
        (None, "null"),
    ],
)
def test_tag_has_the_type_of_its_value(value: Any, expected: object) -> None:
    """Numbers and truths stay what they are, arrays are JSON text, and nothing makes a batch unreadable."""
    (tag,) = _decoded(_span(attributes={"key": value})).tags

    found = tag_values([tag])["key"]
    assert found == expected
    assert type(found) is type(expected)


_TEXTS = st.text(alphabet=st.characters(codec=None), max_size=20)
_VALUES = st.one_of(
    _TEXTS,
    st.booleans(),
    st.integers(-(1 << 80), 1 << 80),
    st.floats(allow_nan=False),
    st.lists(_TEXTS, max_size=3).map(tuple),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
)
_ATTRIBUTES = st.dictionaries(_TEXTS.filter(bool), _VALUES, max_size=4)
_CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, (1 << 128) - 1),
    st.integers(1, (1 << 64) - 1),
    st.booleans(),
    st.integers(0, 255).map(TraceFlags),
)
_SPANS = st.builds(
    lambda name, context, parent, kind, attributes, links, events: _span(
        name=name,
        context=context,
        parent=parent,
        kind=kind,
        attributes=attributes,
        links=[Link(link) for link in links],
        events=[Event(event, fields, timestamp=time) for event, fields, time in events],
    ),
    _TEXTS,
    _CONTEXTS,
    st.none() | _CONTEXTS,
    st.sampled_from(SpanKind),
    _ATTRIBUTES,
    st.lists(_CONTEXTS, max_size=3),
    st.lists(st.tuples(_TEXTS, _ATTRIBUTES, st.integers(0, 1 << 62)), max_size=3),
)


def _expected(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return str(value)
    return tuple(map(_expected, value)) if isinstance(value, tuple) else value


def _told(attributes: Mapping[str, object]) -> dict[str, object]:
    return {str(_expected(key)): _expected(value) for key, value in attributes.items()}


def _read(tags: Sequence[Any], like: Mapping[str, object]) -> dict[str, object]:
    found = tag_values(list(tags))
    return {key: tuple(json.loads(found[key])) if isinstance(like[key], tuple) else found[key] for key in like}


@given(st.lists(_SPANS, min_size=1, max_size=3), _ATTRIBUTES)
def test_any_span_comes_back(spans: list[ReadableSpan], about: dict[str, Any]) -> None:
    """Whatever a span holds, ids, name, times, attributes, links and events come out as they went in."""
    resource = Resource(about)
    for span in spans:
        span._resource = resource

    batch = decode(encode_batch(spans))

    assert len(batch.spans) == len(spans)
    for span, decoded in zip(spans, batch.spans, strict=True):
        context = span.get_span_context()
        assert context is not None
        assert (_unsigned(decoded.traceIdHigh) << 64) + _unsigned(decoded.traceIdLow) == context.trace_id
        assert _unsigned(decoded.spanId) == context.span_id
        assert _unsigned(decoded.parentSpanId) == (span.parent.span_id if span.parent else 0)
        assert decoded.operationName == _expected(span.name)
        assert [_unsigned(reference.spanId) for reference in decoded.references] == [
            link.context.span_id for link in span.links
        ]
        told = _told(dict(span.attributes or {}))
        assert _read(decoded.tags, told) == told
        for event, log in zip(span.events, decoded.logs, strict=True):
            fields = _told(dict(event.attributes or {}))
            assert _read(log.fields, fields) == fields
            assert log.timestamp == event.timestamp // 1000


def test_nan_is_a_number_too() -> None:
    """A double that is no number arrives as one."""
    (tag,) = _decoded(_span(attributes={"share": math.nan})).tags

    assert math.isnan(tag.vDouble)


def test_encoding_is_the_same_without_the_c_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where thrift was installed without its extension, the bytes are the same."""
    span = _span(attributes={"a": 1, "b": (1,), "c": "ü"}, links=[Link(CONTEXT)], events=[Event("e", timestamp=1)])
    fast = encode_batch([span])
    assert TBinaryProtocolAccelerated(None)._fast_encode is not None

    monkeypatch.setitem(sys.modules, "thrift.protocol.fastbinary", None)
    monkeypatch.delattr(thrift.protocol, "fastbinary")

    assert TBinaryProtocolAccelerated(None)._fast_encode is None
    assert encode_batch([span]) == fast


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://jaeger:14268", "http://jaeger:14268/api/traces?format=jaeger.thrift"),
        ("http://jaeger:14268/", "http://jaeger:14268/api/traces?format=jaeger.thrift"),
        ("https://jaeger/api/traces", "https://jaeger/api/traces?format=jaeger.thrift"),
        ("http://jaeger/in/api/traces?tenant=a", "http://jaeger/in/api/traces?tenant=a&format=jaeger.thrift"),
        ("http://j:14268/api/traces?format=jaeger.thrift", "http://j:14268/api/traces?format=jaeger.thrift"),
    ],
)
def test_url_has_the_path_and_the_format(endpoint: str, expected: str) -> None:
    """A host alone is enough; a path that was given stays."""
    assert thrift_url(endpoint) == expected


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://jaeger:14268", True),
        ("http://jaeger:14268/anything", True),
        ("https://jaeger.example.com/api/traces", True),
        ("http://jaeger:4318", False),
        ("http://jaeger:4317", False),
        ("http://jaeger", False),
        ("http://[::1]:14268", True),
    ],
)
def test_thrift_is_told_by_port_or_path(endpoint: str, expected: bool) -> None:
    """Port 14268 and the path of Jaeger's collector mean Thrift, everything else OTLP."""
    assert speaks_thrift(endpoint) is expected


def test_span_that_cannot_be_encoded_is_a_failure() -> None:
    """A span without a context reaches nobody, and the transport says so instead of raising."""
    reply = JaegerTransport("http://127.0.0.1:1").send([_span(context=None)], timeout_seconds=1)

    assert reply.outcome == "failure"
    assert "could not be encoded" in reply.detail
