"""The receivers of traces that the settings name, each behind a queue of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan
from sentry_sdk.consts import EndpointType
from sentry_sdk.utils import Dsn

from prethrift_backend import __version__
from prethrift_backend.config import Settings
from prethrift_backend.observability._queue import ExportQueue
from prethrift_backend.observability.console_spans import ConsoleTransport
from prethrift_backend.observability.export_protocols import ExportWatch, SpanSink, Transport
from prethrift_backend.observability.jaeger import JaegerTransport, speaks_thrift
from prethrift_backend.observability.otlp import OtlpConnection, OtlpHttp, OtlpTraces
from prethrift_backend.observability.otlp_grpc import open_grpc
from prethrift_backend.observability.vendors import otlp_headers

_GRPC_PORT: Final = 4317


def make_span_sinks(
    settings: Settings, watch: ExportWatch, *, redact_span: Callable[[ReadableSpan], ReadableSpan]
) -> list[SpanSink]:
    """Make a queue for each of OTLP_ENDPOINT, JAEGER_ENDPOINT, SENTRY_DSN (with SENTRY_TRACES) and TRACE_CONSOLE.

    Raises ConfigurationError where one of them is spoken to by gRPC and the package for that is missing.
    """
    transports = list(make_transports(settings))  # all of them before the first thread: making one may fail
    queues = [ExportQueue(transport, watch, redact_span=redact_span) for transport in transports]
    for queue in queues:
        queue.start()
    return list[SpanSink](queues)


def make_transports(settings: Settings) -> Iterator[Transport]:
    """Yield how each receiver of traces that the settings name is spoken to; nothing is sent yet."""
    if settings.otlp_endpoint is not None:
        yield OtlpTraces("otlp", open_otlp(settings))
    if settings.jaeger_endpoint is not None:
        yield _jaeger(settings.jaeger_endpoint)
    if settings.sentry_dsn is not None and settings.sentry_traces:
        yield _sentry(settings.sentry_dsn.get_secret_value())
    if settings.trace_console:
        yield ConsoleTransport(sys.stderr)


def open_otlp(settings: Settings) -> OtlpConnection:
    """Make the connection to OTLP_ENDPOINT, which must be set, by HTTP or gRPC, with the headers of its vendor.

    Each caller gets one of its own: a connection is used by one thread at a time. Raises ConfigurationError where
    OTLP_PROTOCOL is grpc and its package is missing.
    """
    endpoint, headers = settings.otlp_endpoint or "", otlp_headers(settings)
    if settings.otlp_protocol == "grpc":
        return open_grpc(endpoint, headers=headers)
    return OtlpHttp(endpoint, headers=headers)


def queue_lengths(sinks: Sequence[SpanSink]) -> Mapping[tuple[str], float]:
    """Return how many spans wait for each receiver, as ``telemetry_queue_length`` shows them."""
    return {(sink.name,): float(len(sink)) for sink in sinks if isinstance(sink, ExportQueue)}


def _jaeger(endpoint: str) -> Transport:
    """Return the way to a Jaeger: its own Thrift, or OTLP, which is gRPC at the port that is OTLP's for gRPC."""
    if speaks_thrift(endpoint):
        return JaegerTransport(endpoint)
    if urlsplit(endpoint).port == _GRPC_PORT:
        return OtlpTraces("jaeger", open_grpc(endpoint, asked_by=("JAEGER_ENDPOINT", endpoint)))
    return OtlpTraces("jaeger", OtlpHttp(endpoint))


def _sentry(dsn: str) -> Transport:
    """Return the way to Sentry's own OTLP endpoint, which the DSN names; its key goes in Sentry's own header."""
    auth = Dsn(dsn).to_auth(f"prethrift-backend/{__version__}")
    url = auth.get_api_url(EndpointType.OTLP_TRACES)
    return OtlpTraces("sentry", OtlpHttp(url, headers={"x-sentry-auth": auth.to_header()}))
