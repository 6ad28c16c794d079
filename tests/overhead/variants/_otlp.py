"""The SDK's own way to a receiver, for the peers: a batch processor and OTLP over HTTP, with gzip."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

RESOURCE = Resource({"service.name": "overhead", "deployment.environment.name": "production"})


def span_processor(sink: str) -> BatchSpanProcessor:
    """Make the processor that every peer is given."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{sink}/v1/traces", compression=Compression.Gzip))


def tracer_provider(sink: str, *, sampled: float) -> TracerProvider:
    """Make a provider that samples by trace id, as ours does."""
    provider = TracerProvider(resource=RESOURCE, sampler=ParentBased(TraceIdRatioBased(sampled)))
    provider.add_span_processor(span_processor(sink))
    return provider


def meter_provider(sink: str) -> MeterProvider:
    """Make a provider that pushes once a minute, which is the SDK's default."""
    exporter = OTLPMetricExporter(endpoint=f"{sink}/v1/metrics", compression=Compression.Gzip)
    return MeterProvider(resource=RESOURCE, metric_readers=[PeriodicExportingMetricReader(exporter)])
