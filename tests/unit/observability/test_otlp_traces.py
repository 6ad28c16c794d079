"""OTLP requests of spans: where they go, what they cost on the wire, how the answer is read."""

from collections.abc import Sequence

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan
from tests.support.exporting import sample_span, sample_traces, wire_bytes_per_trace

from prethrift_backend.observability.export_protocols import Reply
from prethrift_backend.observability.otlp import (
    METRICS_PATH,
    TRACES_PATH,
    OtlpTraces,
    encode_traces,
    read_response,
    signal_url,
)


def decoded(body: bytes) -> list[Span]:
    """Return the spans of an encoded request."""
    request = ExportTraceServiceRequest.FromString(body)
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


@pytest.mark.parametrize(
    ("endpoint", "path", "url"),
    [
        ("http://collector:4318", TRACES_PATH, "http://collector:4318/v1/traces"),
        ("http://collector:4318/", TRACES_PATH, "http://collector:4318/v1/traces"),
        ("https://gateway.grafana.net/otlp", METRICS_PATH, "https://gateway.grafana.net/otlp/v1/metrics"),
        ("http://collector:4318/v1/traces", TRACES_PATH, "http://collector:4318/v1/traces"),
        ("http://collector:4318/v1/traces", METRICS_PATH, "http://collector:4318/v1/metrics"),
        ("http://collector:4318/v1/metrics", TRACES_PATH, "http://collector:4318/v1/traces"),
        (
            "https://host/api/1/integration/otlp/v1/traces/",
            TRACES_PATH,
            "https://host/api/1/integration/otlp/v1/traces/",
        ),
        ("http://collector:4318/in?team=a", TRACES_PATH, "http://collector:4318/in/v1/traces?team=a"),
    ],
)
def test_the_endpoint_is_a_base_url(endpoint: str, path: str, url: str) -> None:
    """The path of the signal is added unless it is there; the path of another signal gives way to it."""
    assert signal_url(endpoint, path) == url


def test_a_trace_of_four_spans_is_small_on_the_wire() -> None:
    """Batched and compressed it costs 250 bytes at most, with ids, times and values that differ as in life."""
    assert wire_bytes_per_trace(sample_traces(512)) <= 250


def test_slices_join_to_one_request() -> None:
    """More spans than one slice of encoding holds are all there, in order, each once."""
    spans = [span for trace in sample_traces(50) for span in trace]

    encoded = decoded(encode_traces(spans))

    assert [int.from_bytes(span.span_id) for span in encoded] == [
        span.context.span_id for span in spans if span.context
    ]
    assert [span.name for span in encoded] == [span.name for span in spans]


def test_a_part_may_be_refused() -> None:
    """What a collector says of spans that it did not take is read, not passed over."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 7
    answer.partial_success.error_message = "too old"

    assert read_response(answer.SerializeToString()) == Reply("partial", rejected=7, detail="too old")


def test_metrics_are_refused_in_the_same_form() -> None:
    """The answer about metrics is read by the same function: on the wire it has the same form."""
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 7

    assert read_response(answer.SerializeToString()) == Reply("partial", rejected=7)


def test_a_warning_is_no_rejection() -> None:
    """A message without rejected spans is a success with a word of advice (OTLP specification, "Partial Success")."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.error_message = "use a newer version"

    assert read_response(answer.SerializeToString()) == Reply("success", detail="use a newer version")


@pytest.mark.parametrize("body", [b"", b"OK", b"\xff\xff\xff\xff", b"<html>welcome</html>", b"{}"])
def test_an_answer_that_cannot_be_read_is_a_success(body: bytes) -> None:
    """The status said that the spans arrived: sending them again would double them."""
    assert read_response(body).outcome == "success"


def test_a_span_that_cannot_be_encoded_is_a_failure_without_its_text() -> None:
    """The transport does not raise, and does not quote what it could not send."""

    class Nowhere:
        def post(self, path: str, body: bytes, *, timeout_seconds: float = 2.0) -> Reply:
            raise AssertionError((path, body, timeout_seconds))

        def close(self) -> None:
            raise AssertionError

    broken: Sequence[ReadableSpan] = [sample_span("a \ud800 secret")]

    assert OtlpTraces("otlp", Nowhere()).send(broken, timeout_seconds=1.0) == Reply(
        "failure", detail="could not be encoded: UnicodeEncodeError"
    )
