"""Finished spans in a list, and how a test reads them as a tree."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, SpanContext

from prethrift_backend.config import Settings
from prethrift_backend.contracts import MetricsContract
from prethrift_backend.observability import Telemetry, configure
from prethrift_backend.observability.context import RequestContext, enter_request, leave_request


@dataclass
class SpanList:
    """A receiver that keeps every span that it is given; hand it to ``configure(span_sinks=[…])``."""

    spans: list[ReadableSpan] = field(default_factory=list)

    def put(self, span: ReadableSpan) -> None:
        """Keep a span."""
        self.spans.append(span)

    def close(self, deadline: float) -> None:
        """Do nothing: nothing is to be sent."""

    @property
    def names(self) -> list[str]:
        """The names in the order in which the spans ended."""
        return [span.name for span in self.spans]

    def named(self, name: str) -> ReadableSpan:
        """Return the one span of this name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def all_named(self, name: str) -> list[ReadableSpan]:
        """Return every span of this name."""
        return [span for span in self.spans if span.name == name]

    def path(self, span: ReadableSpan) -> list[str]:
        """Return the names from the root of the span's trace down to itself."""
        by_id = {known.get_span_context().span_id: known for known in self.spans}  # type: ignore[union-attr] # finished
        names = [span.name]
        while span.parent is not None and span.parent.span_id in by_id:
            span = by_id[span.parent.span_id]
            names.insert(0, span.name)
        return names

    def paths(self) -> list[list[str]]:
        """Return the path of every span, sorted."""
        return sorted(self.path(span) for span in self.spans)


def attributes(span: ReadableSpan) -> dict[str, object]:
    """Return the attributes of a span as a plain dictionary."""
    return dict(span.attributes or {})


@contextlib.contextmanager
def traced(*, contract: MetricsContract | None = None, rate: float = 1.0) -> Iterator[Traced]:
    """Configure a strict telemetry that samples ``rate`` of all traces and keeps its spans."""
    spans = SpanList()
    settings = Settings(log_level="DEBUG", log_format="json", trace_sample_rate=rate)
    telemetry = configure(settings, contract=contract, log_stream=io.BytesIO(), strict=True, span_sinks=[spans])
    try:
        yield Traced(telemetry, spans)
    finally:
        telemetry.close()


@dataclass(frozen=True)
class Traced:
    """A telemetry and the spans that it finished."""

    telemetry: Telemetry
    spans: SpanList

    def sample(self, name: str, **labels: str) -> float | None:
        """Return the value of one sample of the registry."""
        value: float | None = self.telemetry.metrics.registry.get_sample_value(name, labels)
        return value

    def exemplars(self, family: str) -> list[dict[str, str]]:
        """Return the exemplars of a family's samples."""
        metrics = self.telemetry.metrics.registry.collect()
        samples = [sample for metric in metrics for sample in metric.samples if sample.name.startswith(family)]
        return [dict(sample.exemplar.labels) for sample in samples if sample.exemplar]

    @contextlib.contextmanager
    def request(self, *, is_sampled: bool = True) -> Iterator[RequestContext]:
        """Be in a request, below a server span that is recorded or not."""
        request = RequestContext("test", self.telemetry)
        token = enter_request(request)
        tracer = self.telemetry.tracer("test")
        span = tracer.start_span("server") if is_sampled else NonRecordingSpan(SpanContext(1, 1, is_remote=False))
        try:
            with trace.use_span(span, end_on_exit=True):
                yield request
        finally:
            leave_request(token)
