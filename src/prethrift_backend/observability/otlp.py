"""OTLP: how spans and metrics are spoken to a collector, and what its answer means.

Source: the OTLP specification 1.5 (opentelemetry.io/docs/specs/otlp). Sending is ours, because the published exporters
wait up to 10 seconds, do not read partial success, and cannot be stopped while they wait. So is encoding
(`_otlp_encoding`): theirs would cost more than all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan

from prethrift_backend.observability._http_poster import HttpPoster
from prethrift_backend.observability._otlp_encoding import SpanEncoder
from prethrift_backend.observability.export_protocols import Reply

TRACES_PATH: Final = "/v1/traces"
METRICS_PATH: Final = "/v1/metrics"
_PATHS: Final = (TRACES_PATH, METRICS_PATH, "/v1/logs")


class OtlpConnection(Protocol):
    """A collector, by HTTP or gRPC; used by one thread at a time."""

    def post(self, path: str, body: bytes, *, timeout_seconds: float = 2.0) -> Reply:
        """Send an encoded request of the signal whose ``path`` this is (TRACES_PATH, METRICS_PATH); never raises."""
        ...

    def close(self) -> None:
        """Give back connections; a later post opens new ones."""
        ...


class OtlpHttp:
    """A collector that speaks OTLP over HTTP with protobuf, gzipped.

    ``endpoint`` is a base URL: the path of the signal is added, unless the URL ends in one already; then it names the
    place of that signal, and the others stand beside it.
    """

    def __init__(self, endpoint: str, *, headers: Mapping[str, str] | None = None) -> None:
        self._endpoint = endpoint
        self._headers = dict(headers or {})
        self._posters: dict[str, HttpPoster] = {}

    def post(self, path: str, body: bytes, *, timeout_seconds: float = 2.0) -> Reply:
        """Send ``body``, an encoded request, to ``path`` below the endpoint; never raises."""
        poster = self._posters.get(path)
        if poster is None:
            poster = self._posters[path] = HttpPoster(signal_url(self._endpoint, path), headers=self._headers)
        return poster.post(
            body, content_type="application/x-protobuf", timeout_seconds=timeout_seconds, read=read_response
        )

    def close(self) -> None:
        """Close the connections; a later post opens new ones."""
        for poster in self._posters.values():
            poster.close()


class OtlpTraces:
    """The `Transport` of spans over any `OtlpConnection`."""

    def __init__(self, name: str, connection: OtlpConnection) -> None:
        self.name = name
        self._connection = connection
        self._encoder = SpanEncoder()

    def send(self, spans: Sequence[ReadableSpan], *, timeout_seconds: float) -> Reply:
        """Encode and send ``spans``; never raises."""
        try:
            body = self._encoder.encode(spans)
        except Exception as error:  # noqa: BLE001 - a value that OTLP cannot hold; the next batch may be good
            return Reply("failure", detail=f"could not be encoded: {type(error).__name__}")
        return self._connection.post(TRACES_PATH, body, timeout_seconds=timeout_seconds)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def encode_traces(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the request that carries ``spans``, as protobuf and not compressed."""
    return SpanEncoder().encode(spans)


def signal_url(endpoint: str, path: str) -> str:
    """Return where a signal goes: ``path`` below the base URL ``endpoint`` (OTLP exporter specification).

    An endpoint that already ends in the path of a signal stays as it is for that signal.
    """
    parts = urlsplit(endpoint)
    base = parts.path.rstrip("/")
    if base.endswith(path):
        return endpoint
    for other in _PATHS:
        base = base.removesuffix(other)
    return urlunsplit(parts._replace(path=base + path, fragment=""))


def read_response(body: bytes) -> Reply:
    """Return what a successful answer says: a collector may take a request and refuse a part of it.

    The answers of all signals have the same form on the wire. One that cannot be read is a success all the same: the
    status said so, and sending again would double what has arrived.
    """
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except Exception:  # noqa: BLE001 - protobuf's own error has no type information; see above for the rest
        return Reply("success")
    if partial.rejected_spans <= 0:
        return Reply("success", detail=partial.error_message)
    return Reply("partial", rejected=partial.rejected_spans, detail=partial.error_message)
