"""A span is the same value from the SDK and from OTLP."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from prethrift_backend.contracts._values import VALUE_RULES
from prethrift_backend.observability.redaction import NAMED_RULES
from prethrift_backend.verify.records.values import from_otlp, from_sdk, read_line, shown

SPAN = ReadableSpan(
    "GET",
    context=SpanContext(0xA, 0xB, is_remote=False),
    parent=SpanContext(0xA, 0xC, is_remote=True),
    resource=Resource({"service.name": "shop"}),
    attributes={"text": "a", "number": 3, "share": 0.5, "yes": True},
    events=[Event("exception", {"exception.type": "E"}, timestamp=2)],
    links=[Link(SpanContext(0xD, 0xE, is_remote=True), {"why": "caller"})],
    kind=SpanKind.CLIENT,
    status=Status(StatusCode.ERROR, "x"),
    start_time=1,
    end_time=3,
    instrumentation_scope=InstrumentationScope("shop"),
)


def test_the_sdk_and_otlp_agree() -> None:
    """What a receiver gets is what was in the process."""
    assert list(from_otlp(encode_spans([SPAN]))) == [from_sdk(SPAN)]


def test_ids_and_words_are_as_contracts_have_them() -> None:
    """Ids are hexadecimal of full length; kind and status are in lower case."""
    span = from_sdk(SPAN)

    assert (span.trace_id, span.span_id, span.parent_span_id) == ("0" * 31 + "a", "0" * 15 + "b", "0" * 15 + "c")
    assert (span.kind, span.status, span.scope) == ("client", "error", "shop")
    assert (span.links[0].trace_id[-1], span.links[0].attributes) == ("d", {"why": "caller"})


def test_a_root_has_no_parent() -> None:
    """None, and not an id of zeros."""
    root = ReadableSpan("root", resource=Resource({}))

    assert from_sdk(root).parent_span_id is None
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="root", kind=99)
    (read,) = from_otlp(request)
    assert (read.parent_span_id, read.kind) == (None, "99")


def test_values_of_otlp_become_plain_ones() -> None:
    """Lists and mappings too; one that is nested without end is cut."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.attributes.append(KeyValue(key="list", value=AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)]))))
    inner = span.attributes.add(key="deep").value
    for _ in range(40):
        inner = inner.kvlist_value.values.add(key="k").value
    inner.string_value = "end"

    (read,) = from_otlp(request)

    assert read.attributes["list"] == [1]
    assert "end" not in str(read.attributes["deep"])


def test_a_line_is_an_object_or_nothing() -> None:
    """What is no JSON object in UTF-8 has no fields."""
    assert read_line(b'{"a":1}\n') == {"a": 1}
    assert [read_line(raw) for raw in (b"", b"a", b"[]", b'{"a":"\xff"}', b"[" * 5000)] == [None] * 5


def test_what_is_shown_is_short_and_without_secrets() -> None:
    """A report quotes values of a service."""
    assert shown("password=hunter2") == "'password=[redacted]'"
    assert len(shown("x" * 1000)) < 200


def test_every_rule_that_a_contract_may_name_exists() -> None:
    """NEVER-VALUE accepts no word that nothing looks for."""
    assert set(NAMED_RULES) == set(VALUE_RULES)
