"""This package with everything on: request id, access line, RED metrics, trace and error capture in one layer."""

from __future__ import annotations

import time

from tests.overhead.variants.bare import make_app
from tests.overhead.workload import Variant, log_stream

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure, instrument
from prethrift_backend.observability._queue import ExportQueue

_PAUSE_SECONDS = 0.002


def build(routes: int, sink: str, *, sampled: float, sentry_traces: bool = False) -> Variant:
    """Make the variant: JSON lines, traces by OTLP and error events to ``sink``."""
    settings = Settings(
        environment="staging",
        log_format="json",
        log_level="INFO",
        trace_sample_rate=sampled,
        otlp_endpoint=sink,
        sentry_dsn=f"{sink.replace('http://', 'http://key@')}/1",
        sentry_traces=sentry_traces,
    )
    telemetry = configure(settings, log_stream=log_stream())
    return Variant(instrument(make_app(routes), telemetry), lambda: _drain(telemetry))


def _drain(telemetry: Telemetry) -> None:
    """Wait until the spans that are queued have been sent; hurry their thread, as the peers' `force_flush` does."""
    for sink in telemetry.tracing.sinks:
        while isinstance(sink, ExportQueue) and len(sink):
            sink._wake.set()
            time.sleep(_PAUSE_SECONDS)
