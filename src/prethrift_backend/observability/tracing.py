"""Spans: which requests are traced, what a caller may decide about that, and where finished spans go.

The provider is the `Telemetry`'s own and never the global one, which can be set only once in a process.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer

from prethrift_backend.config import Settings
from prethrift_backend.observability.clock import Clock, Ids
from prethrift_backend.observability.exporting import SpanSink


class Tracing:
    """The spans of one application: sampling, ids, and the sinks that finished spans go to."""

    def __init__(
        self, settings: Settings, *, sinks: Sequence[SpanSink], resource: Resource, clock: Clock, ids: Ids
    ) -> None:
        self._clock = clock
        self._ids = ids
        self.sinks = tuple(sinks)
        self.provider = TracerProvider(
            resource=resource,
            sampler=ParentBased(TraceIdRatioBased(settings.trace_sample_rate)),
            shutdown_on_exit=False,
        )
        self.provider.add_span_processor(_Hand(self.sinks))
        self._tracers: dict[str, Tracer] = {}

    def tracer(self, name: str) -> Tracer:
        """Return the tracer of this instrumentation scope; the same object for the same name."""
        known = self._tracers.get(name)
        if known is None:
            known = self._tracers[name] = self.provider.get_tracer(name)
        return known


class _Hand(SpanProcessor):
    """Hand each finished span to every sink."""

    def __init__(self, sinks: Sequence[SpanSink]) -> None:
        self._sinks = tuple(sinks)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: a span counts when it is finished."""

    def on_end(self, span: ReadableSpan) -> None:
        """Put a sampled span into the queues."""
        if span.context is not None and span.context.trace_flags.sampled:
            for sink in self._sinks:
                sink.put(span)
