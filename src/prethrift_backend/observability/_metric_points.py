"""Metrics as OTLP has them: what was counted since when, in requests of a bounded size.

The names are those of ``/metrics``, units by UCUM. A counter is a monotonic sum, a histogram has its explicit bounds;
types that no family of ours and none of the process has are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.sdk.resources import Resource
from prometheus_client import Metric
from prometheus_client.samples import Exemplar, Sample

from prethrift_backend import __version__
from prethrift_backend.observability._pace import Pace

Temporality: TypeAlias = Literal["cumulative", "delta"]
Labels: TypeAlias = tuple[tuple[str, str], ...]

# A point of a histogram is some 300 bytes: far below the 4 MB that a collector takes at most by default, and encoded
# in less than a millisecond. Arbitrary.
POINTS_A_REQUEST: Final = 1000

_SCOPE: Final = "prethrift_backend.observability"
# No "1" for what has no unit: Prometheus makes of it a ratio, and of the name another name.
_UNITS: Final[Mapping[str, str]] = {"seconds": "s", "bytes": "By"}
_TEMPORALITIES: Final[Mapping[Temporality, pb.AggregationTemporality.ValueType]] = {
    "cumulative": pb.AGGREGATION_TEMPORALITY_CUMULATIVE,
    "delta": pb.AGGREGATION_TEMPORALITY_DELTA,
}


@dataclass(frozen=True, slots=True)
class Family:
    """What the points of one metric have in common; ``bounds`` are a histogram's finite ones."""

    name: str
    description: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One series: its number, or a histogram's sum and the count of each bucket; counted since ``start_ns``."""

    family: Family
    labels: Labels
    number: float | None
    counts: tuple[float, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()
    start_ns: int = 0

    @property
    def key(self) -> tuple[str, Labels]:
        """What the series is known by."""
        return self.family.name, self.labels


# Reading.


def read_points(metrics: Iterable[Metric]) -> Iterator[Point]:
    """Yield the series of the metrics with their totals."""
    for metric in metrics:
        if metric.type == "histogram":
            yield from _histogram_points(metric)
        elif metric.type in ("counter", "gauge"):
            yield from _number_points(metric)


def _number_points(metric: Metric) -> Iterator[Point]:
    kind: Literal["counter", "gauge"] = "counter" if metric.type == "counter" else "gauge"
    name = f"{metric.name}_total" if kind == "counter" else metric.name
    family = Family(name, metric.documentation, kind, _unit(name))
    for sample in metric.samples:
        if sample.name == name:  # and not when it was made
            exemplars = () if sample.exemplar is None else (sample.exemplar,)
            yield Point(family, tuple(sample.labels.items()), float(sample.value), exemplars=exemplars)


def _histogram_points(metric: Metric) -> Iterator[Point]:
    pace, grouped = Pace(), dict[Labels, list[Sample]]()
    for sample in metric.samples:
        pace.breathe()
        grouped.setdefault(tuple(pair for pair in sample.labels.items() if pair[0] != "le"), []).append(sample)
    family: Family | None = None
    for labels, samples in grouped.items():
        buckets = [sample for sample in samples if "le" in sample.labels]
        if family is None:
            bounds = tuple(float(bucket.labels["le"]) for bucket in buckets[:-1])
            family = Family(metric.name, metric.documentation, "histogram", _unit(metric.name), bounds)
        yield Point(
            family,
            labels,
            next((float(sample.value) for sample in samples if sample.name.endswith("_sum")), None),
            counts=_each([bucket.value for bucket in buckets]),
            exemplars=tuple(bucket.exemplar for bucket in buckets if bucket.exemplar is not None),
        )


def _each(totals: Sequence[float]) -> tuple[float, ...]:
    """Return what is in each bucket: a scrape shows what is in it and in all below."""
    return tuple(total - below for total, below in zip(totals, (0.0, *totals), strict=False))


def _unit(name: str) -> str:
    return _UNITS.get(name.removesuffix("_total").rpartition("_")[2], "")


# What is new since when.


@dataclass(frozen=True, slots=True)
class _Counted:
    number: float
    counts: tuple[float, ...]
    at_ns: int


class Ledger:
    """What of each counted series is not to be sent any more, because it has arrived or was before our time.

    Cumulative points begin at ``start_ns``, delta points at what was last accepted. Gauges pass through it.
    """

    def __init__(self, temporality: Temporality, *, start_ns: int) -> None:
        self.temporality = temporality
        self._start_ns = start_ns
        self._settled: dict[tuple[str, Labels], _Counted] = {}
        self._pushed_ns = start_ns

    def settle(self, points: Iterable[Point], *, now_ns: int) -> None:
        """Take what these points have counted as the beginning."""
        for point in points:
            if point.family.kind != "gauge":
                self._settled[point.key] = _Counted(point.number or 0.0, point.counts, now_ns)

    def accept(self, points: Iterable[Point], *, now_ns: int) -> None:
        """Note that the receiver has these points, as they were read in the push of ``now_ns``."""
        if self.temporality == "delta":
            self.settle(points, now_ns=now_ns)

    def end_push(self, *, now_ns: int) -> None:
        """Note that everything of the push of ``now_ns`` has arrived; its exemplars are then not sent again."""
        self._pushed_ns = now_ns

    def measure(self, point: Point) -> Point | None:
        """Return the point as it is to be sent; None where there is nothing new in it."""
        point = replace(point, exemplars=tuple(filter(self._is_new, point.exemplars))) if point.exemplars else point
        if point.family.kind == "gauge":
            return point
        before = self._settled.get(point.key)
        if before is None:
            return replace(point, start_ns=self._start_ns)
        measured = _difference(point, before)
        if self.temporality == "delta":
            is_new = bool(measured.number) or any(measured.counts)
            return replace(measured, start_ns=before.at_ns) if is_new else None
        return replace(measured, start_ns=self._start_ns)

    def _is_new(self, exemplar: Exemplar) -> bool:
        return float(exemplar.timestamp or 0.0) * 1e9 >= self._pushed_ns


def _difference(point: Point, before: _Counted) -> Point:
    number = point.number or 0.0
    # What is read of something else may begin anew, and is then new as a whole. A histogram never does, and the sum of
    # one that observes negative values may fall.
    if point.family.kind == "counter" and number < before.number:
        return point
    return replace(
        point,
        number=None if point.number is None else number - before.number,
        counts=tuple(now - then for now, then in zip(point.counts, before.counts, strict=True)),
    )


# Writing.


def batches(points: Iterable[Point], ledger: Ledger) -> Iterator[list[tuple[Point, Point]]]:
    """Yield what is to be sent, a request at a time: each point as it was read, and as it was measured."""
    pace = Pace()
    batch: list[tuple[Point, Point]] = []
    for point in points:
        measured = ledger.measure(point)
        pace.breathe()
        if measured is not None:
            batch.append((point, measured))
        if len(batch) == POINTS_A_REQUEST:
            yield batch
            batch = []
    if batch:
        yield batch


def encode_request(points: Iterable[Point], *, resource: Resource, temporality: Temporality, now_ns: int) -> bytes:
    """Return an ExportMetricsServiceRequest; the points of one family stand together in it."""
    pace, metrics = Pace(), dict[str, pb.Metric]()
    for point in points:
        metric = metrics.get(point.family.name)
        if metric is None:
            metric = metrics[point.family.name] = _metric(point.family, temporality)
        _add(metric, point, now_ns)
        pace.breathe()
    scope = pb.ScopeMetrics(
        scope=InstrumentationScope(name=_SCOPE, version=__version__), metrics=list(metrics.values())
    )
    about = ResourceMessage(attributes=[_attribute(key, value) for key, value in resource.attributes.items()])
    request = ExportMetricsServiceRequest(resource_metrics=[pb.ResourceMetrics(resource=about, scope_metrics=[scope])])
    encoded: bytes = request.SerializeToString()
    return encoded


def _metric(family: Family, temporality: Temporality) -> pb.Metric:
    metric = pb.Metric(name=family.name, description=family.description, unit=family.unit)
    kind = _TEMPORALITIES[temporality]
    if family.kind == "counter":
        metric.sum.CopyFrom(pb.Sum(aggregation_temporality=kind, is_monotonic=True))
    elif family.kind == "histogram":
        metric.histogram.CopyFrom(pb.Histogram(aggregation_temporality=kind))
    else:
        metric.gauge.CopyFrom(pb.Gauge())
    return metric


def _add(metric: pb.Metric, point: Point, now_ns: int) -> None:
    attributes = [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in point.labels]
    exemplars = [_exemplar(exemplar) for exemplar in point.exemplars]
    if point.family.kind == "histogram":
        counts = [round(count) for count in point.counts]
        metric.histogram.data_points.add(
            attributes=attributes,
            start_time_unix_nano=point.start_ns,
            time_unix_nano=now_ns,
            count=sum(counts),
            sum=point.number,
            bucket_counts=counts,
            explicit_bounds=point.family.bounds,
            exemplars=exemplars,
        )
        return
    points = metric.sum.data_points if point.family.kind == "counter" else metric.gauge.data_points
    points.add(
        attributes=attributes,
        start_time_unix_nano=point.start_ns,
        time_unix_nano=now_ns,
        as_double=point.number or 0.0,
        exemplars=exemplars,
    )


def _exemplar(exemplar: Exemplar) -> pb.Exemplar:
    labels = dict(exemplar.labels)
    message = pb.Exemplar(as_double=exemplar.value, time_unix_nano=int(float(exemplar.timestamp or 0.0) * 1e9))
    message.trace_id = _id(labels, "trace_id", 16)
    message.span_id = _id(labels, "span_id", 8)
    message.filtered_attributes.extend(_attribute(name, value) for name, value in labels.items())
    return message


def _id(labels: dict[str, str], name: str, size_bytes: int) -> bytes:
    """Take an id out of the labels; one that is none stays there as it is."""
    try:
        found = bytes.fromhex(labels.get(name, ""))
    except ValueError:
        return b""
    if len(found) != size_bytes:
        return b""
    del labels[name]
    return found


def _attribute(key: str, value: object) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=str(value)))
