"""OTLP requests, decoded: those that a small receiver in the process got, or those that the encoder makes."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan

from prethrift_backend.observability.otlp import METRICS_PATH, TRACES_PATH, encode_traces

OtlpMessage: TypeAlias = ExportTraceServiceRequest | ExportMetricsServiceRequest

_MESSAGES: Final[Mapping[str, type[OtlpMessage]]] = {
    TRACES_PATH: ExportTraceServiceRequest,
    METRICS_PATH: ExportMetricsServiceRequest,
}


@dataclass(frozen=True, slots=True)
class OtlpRequest:
    """One request to a collector: its path, its headers with names in lower case, its bytes and what they mean."""

    path: str
    message: OtlpMessage
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def spans(self) -> list[Span]:
        """The spans of a request with traces, as protobuf messages; none in one with metrics."""
        if not isinstance(self.message, ExportTraceServiceRequest):
            return []
        scopes = (scope for resource in self.message.resource_spans for scope in resource.scope_spans)
        return [span for scope in scopes for span in scope.spans]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of a request with metrics, as protobuf messages; none in one with traces."""
        if not isinstance(self.message, ExportMetricsServiceRequest):
            return []
        scopes = (scope for resource in self.message.resource_metrics for scope in resource.scope_metrics)
        return [metric for scope in scopes for metric in scope.metrics]


def encoded_request(spans: Sequence[ReadableSpan]) -> OtlpRequest:
    """Return the request that would carry ``spans``, through the encoder that a real one goes through."""
    body = encode_traces(spans)
    return OtlpRequest(TRACES_PATH, ExportTraceServiceRequest.FromString(body), body)


class OtlpReceiver:
    """A collector on loopback that takes everything, decodes it and keeps it; a context manager.

    ``endpoint`` is what OTLP_ENDPOINT is to be; HTTP with protobuf, gzip or not.
    """

    def __init__(self) -> None:
        self._requests: list[OtlpRequest] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """Where it listens, as a URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> list[OtlpRequest]:
        """What has come so far, in order."""
        return list(self._requests)

    def span_ids(self) -> Iterator[bytes]:
        """Yield the id of every span that has come."""
        for request in self.requests:
            yield from (span.span_id for span in request.spans)

    def _take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Keep one request; return the status of the answer."""
        message_type = _MESSAGES.get(path)
        if message_type is None:
            return 404
        content = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        self._requests.append(OtlpRequest(path, message_type.FromString(content), content, headers))
        return 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                self.send_response(take(self.path, headers, body))
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")  # an empty message: all of it was taken
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Write nothing: what a test shows on standard error is its own."""

        return Handler
