"""Metrics of a test run: which registries are watched, and what their families show to have been exercised."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

from prethrift_backend.contracts import MetricFamily, MetricsContract
from prethrift_backend.observability.context import configured_signals
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.verify.coverage.items import buckets_name, value_name

# As it was before anybody listens to it: what is read here is not a scrape.
_COLLECT: Final = CollectorRegistry.collect

_Key = tuple[str, tuple[tuple[str, str], ...]]


class FamilyReadings:
    """What the samples of a family exercise: the family, values of its closed labels, a histogram's buckets."""

    def __init__(self, contract: MetricsContract) -> None:
        self._counted = {name: family for family in contract.families for name in _counted_names(family)}
        self._gauges = {family.name: family for family in contract.families if family.kind in ("gauge", "untyped")}

    def moved(self, samples: Iterable[Sample]) -> Iterator[str]:
        """Yield what counters and histograms show that have counted something."""
        for sample in samples:
            family = self._counted.get(sample.name)
            if family is None or not sample.value > 0:
                continue
            if not sample.name.endswith("_bucket"):
                yield from _named(family, sample)
            elif float(sample.labels["le"]) < float("inf"):
                yield buckets_name(family.name)

    def read(self, samples: Iterable[Sample], *, from_reader: bool) -> Iterator[str]:
        """Yield what gauges show that are read: the label values of what is not 0, and themselves.

        A gauge that a reader fills is exercised by any value, since the reader has run; one that is set shows 0
        before anybody has set it.
        """
        for sample in samples:
            family = self._gauges.get(sample.name)
            if family is None:
                continue
            if sample.value != 0:
                yield from _named(family, sample)
            elif from_reader:
                yield family.name


def _named(family: MetricFamily, sample: Sample) -> Iterator[str]:
    yield family.name
    yield from (value_name(family.name, label, value) for label, value in sample.labels.items())


def _counted_names(family: MetricFamily) -> tuple[str, ...]:
    if family.kind == "histogram":
        return f"{family.name}_count", f"{family.name}_bucket"
    return () if family.kind == "gauge" else (family.name,)


class WatchedMetrics:
    """The metrics that are looked at: those of telemetries, and registries that are nobody's.

    A telemetry's are kept for the test that made it, so that they can be read when it is over; after that for as long
    as the telemetry is open. Most tests close theirs, and to read those of thousands of tests would take minutes.
    """

    def __init__(self, contract: MetricsContract) -> None:
        self._promised = {family.name: family for family in contract.families}
        self._sets: list[MetricSet] = []
        self._registries: list[tuple[CollectorRegistry, Mapping[_Key, float]]] = []
        self._before: dict[int, Mapping[_Key, float]] = {}  # of telemetries, by the identity of their metrics
        self._lock = threading.Lock()

    def add(self, metrics: MetricSet) -> None:
        """Watch the families that the contract has as well, with the same promise."""
        with self._lock:
            self._sets.append(metrics)

    def add_registry(self, registry: CollectorRegistry) -> None:
        """Watch a registry; what it has counted by now does not count."""
        self._registries.append((registry, _values(_samples(registry))))

    def watches(self, registry: CollectorRegistry) -> bool:
        """Say whether a scrape of this registry is one of what is watched."""
        if any(registry is own for own, _ in self._registries):
            return True
        return any(metrics.registry is registry for metrics in self._now())

    def is_read(self, registry: CollectorRegistry, metric: Metric) -> bool:
        """Say whether a reader fills the family when it is scraped, and nobody sets or counts it."""
        if type(metric) is not Metric:  # what a MetricSet counts is of a class of its own
            return False
        if not any(registry is own for own, _ in self._registries):
            return True
        # The client library has no public way from a family to what makes it.
        return not isinstance(registry._names_to_collectors.get(metric.name), MetricWrapperBase)

    def since(self, registry: CollectorRegistry, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the samples of a scrape without what the registry had counted before."""
        before = next((values for own, values in self._registries if own is registry), {})
        return _without(samples, before)

    def counted(self) -> Iterator[Sample]:
        """Yield the samples of what is counted, and not read at a scrape."""
        for metrics in self._now():
            yield from _without(self._counted_by(metrics), self._before.get(id(metrics), {}))
        for registry, before in self._registries:
            yield from _without(_samples(registry), before)

    def forget(self) -> None:
        """Let what has been counted by now count no more."""
        self._before = {id(metrics): _values(self._counted_by(metrics)) for metrics in self._now()}
        self._registries = [(registry, _values(_samples(registry))) for registry, _ in self._registries]

    def _counted_by(self, metrics: MetricSet) -> Iterator[Sample]:
        for family in metrics.contract.families:
            bound = metrics.find(family.name)
            if bound is not None and not bound.is_read and self._is_promised(family):
                yield from (sample for metric in bound.collect() for sample in metric.samples)

    def let_go(self) -> None:
        """Keep only what belongs to a telemetry that is open."""
        still_open = {id(signals.metrics) for signals in configured_signals()}
        with self._lock:
            self._sets = [metrics for metrics in self._sets if id(metrics) in still_open]
        self._before = {key: values for key, values in self._before.items() if key in still_open}

    def _now(self) -> list[MetricSet]:
        with self._lock:
            return list(self._sets)

    def _is_promised(self, family: MetricFamily) -> bool:
        """Say whether the family is the contract's: a test may have made a contract of its own."""
        return family == self._promised.get(family.name)


def _samples(registry: CollectorRegistry) -> Iterator[Sample]:
    return (sample for metric in _COLLECT(registry) for sample in metric.samples)


def _values(samples: Iterable[Sample]) -> dict[_Key, float]:
    return {_key(sample): sample.value for sample in samples}


def _without(samples: Iterable[Sample], before: Mapping[_Key, float]) -> Iterator[Sample]:
    return (one._replace(value=one.value - before.get(_key(one), 0.0)) for one in samples)


def _key(sample: Sample) -> _Key:
    return sample.name, tuple(sorted(sample.labels.items()))
