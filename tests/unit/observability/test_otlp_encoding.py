"""Our encoder of spans against OpenTelemetry's own: the same requests, whatever a span holds."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from tests.support.exporting import sample_traces

from prethrift_backend.observability._otlp_encoding import SpanEncoder

_TEXTS = st.text(max_size=20)
_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_SCALARS = st.booleans() | _INTEGERS | st.floats(allow_nan=False) | _TEXTS
_VALUES = _SCALARS | st.lists(_SCALARS, max_size=4) | st.dictionaries(_TEXTS.filter(bool), _SCALARS, max_size=3)
_ATTRIBUTES = st.dictionaries(_TEXTS.filter(bool), _VALUES, max_size=5)
_STATES = st.sampled_from([TraceState(), TraceState([("vendor", "1")]), TraceState([("a", "1"), ("b", "2")])])
_NANOSECONDS = st.integers(0, 2**64 - 1)


@st.composite
def contexts(draw: st.DrawFn) -> SpanContext:
    """Make the ids of a span."""
    return SpanContext(
        draw(st.integers(1, 2**128 - 1)),
        draw(st.integers(1, 2**64 - 1)),
        draw(st.booleans()),
        TraceFlags(draw(st.integers(0, 1))),
        draw(_STATES),
    )


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    """Make a span with anything in it that OTLP can hold."""
    return ReadableSpan(
        name=draw(_TEXTS),
        context=draw(contexts()),
        parent=draw(st.none() | contexts()),
        resource=Resource(draw(st.sampled_from([{}, {"service.name": "shop", "workers": 2}])), draw(_URLS)),
        attributes=draw(_ATTRIBUTES),
        events=[
            Event(name, attributes, at)
            for name, attributes, at in draw(st.lists(st.tuples(_TEXTS, _ATTRIBUTES, _NANOSECONDS), max_size=2))
        ],
        links=[Link(context, attributes) for context, attributes in draw(st.lists(_LINKS, max_size=2))],
        kind=draw(st.sampled_from(SpanKind)),
        status=draw(_STATUSES),
        start_time=draw(_NANOSECONDS),
        end_time=draw(_NANOSECONDS),
        instrumentation_scope=draw(_SCOPES),
    )


_URLS = st.sampled_from(["", "https://opentelemetry.io/schemas/1.40.0"])
_LINKS = st.tuples(contexts(), _ATTRIBUTES)
_STATUSES = st.one_of(
    st.just(Status()), st.just(Status(StatusCode.OK)), _TEXTS.map(lambda text: Status(StatusCode.ERROR, text))
)
_SCOPES = st.sampled_from(
    [
        None,
        InstrumentationScope("shop"),
        InstrumentationScope("shop", "1.0", "https://opentelemetry.io/schemas/1.40.0", {"a": 1}),
    ]
)


def request(*given_spans: ReadableSpan, encoder: SpanEncoder | None = None) -> ExportTraceServiceRequest:
    """Return what a receiver reads of our encoding."""
    body = (encoder or SpanEncoder()).encode(given_spans)
    read: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(body)
    return read


@given(st.lists(spans(), max_size=5))
def test_a_receiver_reads_what_it_would_read_of_the_other(given_spans: list[ReadableSpan]) -> None:
    """Message for message, what our bytes say is what OpenTelemetry's encoder says."""
    assert request(*given_spans) == encode_spans(given_spans)


@given(st.lists(spans(), min_size=1, max_size=3))
def test_what_is_remembered_changes_nothing(given_spans: list[ReadableSpan]) -> None:
    """The second time, when each attribute is known, the same bytes come out."""
    encoder = SpanEncoder()

    assert encoder.encode(given_spans) == encoder.encode(given_spans)


def test_traces_as_they_are_in_life() -> None:
    """A batch of the size of the queue's own is read the same."""
    batch = [span for trace in sample_traces(128) for span in trace]

    assert request(*batch) == encode_spans(batch)


def values(attributes: list[dict[str, Any]]) -> list[object]:
    """Return what a receiver reads of one attribute of several spans that go through one encoder."""
    encoder = SpanEncoder()
    read = []
    for each in attributes:
        [pair] = request(span(each), encoder=encoder).resource_spans[0].scope_spans[0].spans[0].attributes
        read.append(getattr(pair.value, pair.value.WhichOneof("value") or "", None))
    return read


def span(attributes: dict[str, Any]) -> ReadableSpan:
    """Return a span with these attributes."""
    return ReadableSpan(
        "name", context=SpanContext(1, 2, is_remote=False), resource=Resource({}), attributes=attributes
    )


def test_equal_values_of_different_types_stay_apart() -> None:
    """To a dictionary True, 1 and 1.0 are one key, and 0.0 and -0.0 too; to a receiver they are not."""
    read = values([{"value": value} for value in (True, 1, 1.0, True, 0, False, 0, 0.0, -0.0)])

    assert [type(value) for value in read] == [bool, int, float, bool, int, bool, int, float, float]
    assert [math.copysign(1.0, float(str(value))) for value in read[-2:]] == [1.0, -1.0]


def test_nothing_is_an_empty_value() -> None:
    """None has no type in OTLP; the key is there without a value."""
    assert values([{"value": None}]) == [None]


def test_bytes_stay_bytes() -> None:
    """A value that is no text is sent as it is."""
    assert values([{"value": b"\xff\x00"}]) == [b"\xff\x00"]


def test_memory_is_bounded() -> None:
    """Values that differ each time are forgotten when there are too many, and long ones are not kept at all."""
    encoder = SpanEncoder()
    for number in range(10_000):
        encoder.encode([span({"path": f"/items/{number}", "text": "x" * 5_000})])

    assert len(encoder._remembered) <= 2_048
    assert max(map(len, encoder._remembered.values())) <= 1_024


def test_what_was_dropped_is_told() -> None:
    """A receiver learns how much the SDK's own bounds have left out."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")
    with tracer.start_as_current_span("busy") as busy:
        for number in range(200):
            busy.set_attribute(f"key{number}", number)
            busy.add_event("step")

    assert isinstance(busy, ReadableSpan)
    [read] = request(busy).resource_spans[0].scope_spans[0].spans
    assert (read.dropped_attributes_count, read.dropped_events_count) == (72, 72)
    assert request(busy) == encode_spans([busy])


@pytest.mark.parametrize("name", ["", "plain", "größe", "\U0001f45a" * 100])
def test_texts_are_utf8(name: str) -> None:
    """Lengths are counted in bytes."""
    made = ReadableSpan(name, context=SpanContext(1, 2, is_remote=False), resource=Resource({name or "x": name}))

    assert request(made) == encode_spans([made])
