"""Pushed metrics, decoded, and told as a scrape tells them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.sdk.resources import Resource
from prometheus_client import Metric
from tests.support.exporting import Watched

from prethrift_backend.observability._exposition_text import number_text
from prethrift_backend.observability.export_protocols import Reply
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.otlp_metrics import PeriodicPush, PushPlan

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Collector:
    """An `OtlpConnection` that keeps what it is given, and answers by a script, and with success after its end."""

    script: list[Reply] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    timeouts_seconds: list[float] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    is_closed: bool = False

    def post(self, path: str, body: bytes, *, timeout_seconds: float = 2.0) -> Reply:
        """Take one request."""
        self.paths.append(path)
        self.bodies.append(body)
        self.timeouts_seconds.append(timeout_seconds)
        self.replies.append(self.script.pop(0) if self.script else Reply("success"))
        return self.replies[-1]

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def requests(self) -> list[ExportMetricsServiceRequest]:
        """Return what was sent, decoded."""
        return [ExportMetricsServiceRequest.FromString(body) for body in self.bodies]


def push_to_file(metrics: MetricSet, path: str) -> None:
    """Push once, into a file: for a test that looks at another process."""
    collector = Collector()
    PeriodicPush(metrics.own_metrics, collector, Watched(), plan=PushPlan(Resource({}))).push()
    Path(path).write_bytes(collector.bodies[0])


def metrics_of(requests: Iterable[ExportMetricsServiceRequest]) -> Iterator[pb.Metric]:
    """Yield each metric of the requests; one that is divided between two of them comes twice."""
    for request in requests:
        for about in request.resource_metrics:
            for scope in about.scope_metrics:
                yield from scope.metrics


def pushed_series(requests: Iterable[ExportMetricsServiceRequest]) -> dict[Series, float]:
    """Return each value by the name and labels that a scrape shows it under."""
    found: dict[Series, float] = {}
    for metric in metrics_of(requests):
        for point in (*metric.sum.data_points, *metric.gauge.data_points):
            found[metric.name, _labels(point)] = point.as_double
        for histogram in metric.histogram.data_points:
            labels = _labels(histogram)
            bounds = [*histogram.explicit_bounds, float("inf")]
            for bound, count in zip(bounds, accumulate(histogram.bucket_counts), strict=True):
                found[f"{metric.name}_bucket", labels | {("le", number_text(bound))}] = count
            found[f"{metric.name}_count", labels] = histogram.count
            found[f"{metric.name}_sum", labels] = histogram.sum
    return found


def scraped_series(metrics: Iterable[Metric]) -> dict[Series, float]:
    """Return the same of collected or parsed metrics."""
    return {(s.name, frozenset(s.labels.items())): s.value for metric in metrics for s in metric.samples}


def _labels(point: pb.NumberDataPoint | pb.HistogramDataPoint) -> frozenset[tuple[str, str]]:
    return frozenset((attribute.key, attribute.value.string_value) for attribute in point.attributes)
