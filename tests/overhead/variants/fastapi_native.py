"""FastAPI's own telemetry: spans and metrics by OpenTelemetry. It writes no access line and knows no request id."""

from __future__ import annotations

from fastapi import FastAPI
from tests.overhead.variants._otlp import meter_provider, tracer_provider
from tests.overhead.workload import Variant, add_routes


def build(routes: int, sink: str, *, sampled: float, operation_spans: bool = True) -> Variant:
    """Make the variant; by default with the spans of dependencies, endpoint and serialization, as it comes."""
    tracers = tracer_provider(sink, sampled=sampled)
    app = FastAPI(
        telemetry={
            "tracer_provider": tracers,
            "meter_provider": meter_provider(sink),
            "logs": False,
            "operation_spans": operation_spans,
        }
    )
    add_routes(app, routes)

    def drain() -> None:
        tracers.force_flush()

    return Variant(app, drain)
