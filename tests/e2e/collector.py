"""A real collector, rotel, and what it passes on: each span of the replicas, received by a tap of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from tests.support.http_receiver import FaultyReceiver
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess
from tests.support.rotel import executable

SERVER = "server"
_START_SECONDS = 30.0
_KINDS = {number: name.removeprefix("SPAN_KIND_").lower() for name, number in SpanMessage.SpanKind.items()}


class ArrivedSpan(NamedTuple):
    """One span as it came out of the collector; ids are hexadecimal, ``kind`` is a word as in `SERVER`."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    instance_id: str


class Collector:
    """rotel in front, the tap behind it. Iterate over it for the spans that have arrived so far."""

    def __init__(self, endpoint: str, process: ServerProcess, tap: FaultyReceiver) -> None:
        self.endpoint = endpoint
        self.process = process
        self._tap = tap
        self._spans: list[ArrivedSpan] = []
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[ArrivedSpan]:
        return iter(self.spans())

    def spans(self) -> list[ArrivedSpan]:
        """Return all spans that have arrived so far, in the order of their arrival."""
        with self._lock:
            # What is parsed is let go of: a soak brings hundreds of megabytes.
            while self._tap.requests:
                request = self._tap.requests.pop(0)
                if request.path == "/v1/traces":
                    self._spans.extend(_parse(request.body))
            return list(self._spans)

    def clear(self) -> None:
        """Forget what has arrived so far."""
        self.spans()
        with self._lock:
            self._spans.clear()


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Run both; leaving the block ends them."""
    port = free_port()
    with FaultyReceiver() as tap, ServerProcess(_command(port, free_port(), tap.endpoint)) as process:
        endpoint = f"http://{LOOPBACK}:{port}"
        process.wait_for_http(f"{endpoint}/", _START_SECONDS)
        yield Collector(endpoint, process, tap)


def _command(http_port: int, grpc_port: int, tap: str) -> list[str]:
    return [
        str(executable()),
        "start",
        *("--otlp-http-endpoint", f"{LOOPBACK}:{http_port}", "--otlp-grpc-endpoint", f"{LOOPBACK}:{grpc_port}"),
        *("--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint", tap),
    ]


def _parse(body: bytes) -> Iterator[ArrivedSpan]:
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        instance_id = _text(resource_spans.resource.attributes, "service.instance.id")
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield ArrivedSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=_KINDS[span.kind],
                    instance_id=instance_id,
                )


def _text(attributes: object, name: str) -> str:
    pairs: list[KeyValue] = list(attributes)  # type: ignore[call-overload]  # protobuf's containers have no common type
    return next((pair.value.string_value for pair in pairs if pair.key == name), "")
