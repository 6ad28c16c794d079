"""The observer of a test run: which items of the contracts were exercised, and by which test first."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from prometheus_client import CollectorRegistry, Metric

from prethrift_backend.contracts import Contracts, LogEvent, SpanPromise
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.verify.coverage.items import EVERY_LINE, RESOURCE, coverage_items, part_name
from prethrift_backend.verify.coverage.metrics import FamilyReadings, WatchedMetrics
from prethrift_backend.verify.coverage.record import CoverageRecord, TestFault, digests_of
from prethrift_backend.verify.coverage.schema import ClosedValues
from prethrift_backend.verify.findings import Signal
from prethrift_backend.verify.records.log_checks import LogChecks
from prethrift_backend.verify.records.span_checks import SpanChecks
from prethrift_backend.verify.records.values import ObservedSpan, RecordFault, from_sdk, read_line

OUTSIDE: Final = "outside of a test"
"""What stands for a test while none runs: modules are imported, fixtures of the session are made."""


class CoverageObserver:
    """Takes in what telemetries, registries, settings and health endpoints show while tests run.

    It is called on the threads of whoever shows something. What comes late, as lines do, counts for the test that runs
    then; a telemetry that a test closes has said everything by then.
    """

    def __init__(self, contracts: Contracts, *, health_endpoints: Iterable[str]) -> None:
        self._directory = contracts.directory
        items = coverage_items(contracts, health_endpoints=health_endpoints)
        self._left = {(item.signal, item.name) for item in items}
        self._exercised: dict[tuple[Signal, str], str] = {}
        self._faults: dict[tuple[str, str, str], TestFault] = {}
        self._unjudged: dict[str, None] = {}
        self._lock = threading.Lock()
        self._test = OUTSIDE
        self._is_excused = False
        self._test_count = 0
        self._readings = FamilyReadings(contracts.metrics)
        self._watched = WatchedMetrics(contracts.metrics)
        self._logs = None if contracts.logs is None else LogChecks(contracts.logs)
        self._spans = None if contracts.spans is None else SpanChecks(contracts.spans)
        self._health = None if contracts.health_schema is None else ClosedValues(contracts.health_schema)

    # The tests.

    def begin(self, test: str, *, is_excused: bool = False) -> None:
        """Note that a test begins; one that is excused breaks contracts on purpose, and counts for nothing."""
        self._test, self._is_excused = test, is_excused

    def end(self) -> None:
        """Read what the test has counted."""
        if self._is_excused:
            self._watched.forget()  # or the next test would be given it
        else:
            self._credit("metrics", self._readings.moved(self._watched.counted()))
        self._watched.let_go()
        self._test, self._is_excused = OUTSIDE, False

    def count_test(self) -> None:
        """Count a test that ran, whatever it gave."""
        self._test_count += 1

    def record(self, exit_status: int) -> CoverageRecord:
        """Return what there is so far; ``exit_status`` is pytest's."""
        with self._lock:
            exercised, faults, unjudged = dict(self._exercised), tuple(self._faults.values()), tuple(self._unjudged)
        return CoverageRecord(digests_of(self._directory), self._test_count, exit_status, exercised, faults, unjudged)

    # What is observed.

    def configured(self, metrics: MetricSet) -> None:
        """Watch the metrics of a telemetry."""
        self._watched.add(metrics)

    def watch_registry(self, registry: CollectorRegistry) -> None:
        """Watch a registry that is no telemetry's; what it has counted by now does not count."""
        self._watched.add_registry(registry)

    def scraped(self, registry: CollectorRegistry, metric: Metric) -> None:
        """Take a family that somebody reads: only so is a gauge exercised, and a counter that is read."""
        is_read = self._watched.is_read(registry, metric)
        if (metric.type == "gauge" or is_read) and self._watched.watches(registry):
            read = self._readings.read(metric.samples, from_reader=is_read)
            moved = self._readings.moved(self._watched.since(registry, metric.samples))
            self._credit("metrics", (*read, *moved))

    def line(self, line: bytes) -> None:
        """Take one rendered line."""
        with self._noting_failures("a line"):
            self._take_line(line)

    def span(self, span: ReadableSpan) -> None:
        """Take one finished span."""
        with self._noting_failures("a span"):
            self._take_span(span)

    def _take_line(self, line: bytes) -> None:
        if self._logs is None:
            return
        fields = read_line(line) or {}
        event = self._logs.event_in(fields)
        self._credit("logs", _line_parts(event, fields))
        self._blame("logs", self._logs.faults(line))

    def _take_span(self, span: ReadableSpan) -> None:
        if self._spans is None:
            return
        observed = from_sdk(span)
        promise = self._spans.promise_of(observed)
        if promise is None and not _is_own(observed, self._spans.contract.spans):
            return  # a test's own
        self._credit("spans", _span_parts(promise, observed))
        self._blame("spans", self._spans.faults(observed))

    def setting(self, name: str) -> None:
        """Note a setting that was given another value than its default."""
        self._credit("settings", (name,))

    def body(self, endpoint: str, body: object) -> None:
        """Take the body of an answer about health."""
        if self._health is not None:
            values = (part_name(place, "value", value) for place, value in self._health.found(body))
            self._credit("health", (endpoint, *values))

    @contextmanager
    def _noting_failures(self, what: str) -> Iterator[None]:
        """Keep what cannot be judged: whoever shows it drops our errors."""
        try:
            yield
        except Exception as error:
            kind = type(error).__name__
            self._unjudged[f"{what} could not be judged: {kind} in {self._test}"] = None
            raise

    def _credit(self, signal: Signal, names: Iterable[str]) -> None:
        if self._is_excused:
            return
        keys = [(signal, name) for name in names]  # before the lock is taken: it may read what others have made
        with self._lock:
            for key in keys:
                if key in self._left:
                    self._left.remove(key)
                    self._exercised[key] = self._test

    def _blame(self, signal: Signal, faults: Iterable[RecordFault]) -> None:
        if self._is_excused:
            return
        with self._lock:
            for fault in faults:
                found = TestFault(
                    self._test, fault.rule, signal, fault.name, fault.message, fault.expected, fault.observed
                )
                self._faults.setdefault((fault.rule, fault.name, fault.message), found)


def _line_parts(event: LogEvent | None, fields: Mapping[str, object]) -> Iterator[str]:
    yield from (part_name(EVERY_LINE, "field", name) for name in fields)
    if event is not None:
        yield event.name
        yield part_name(event.name, "level", str(fields.get("level")))
        yield from (part_name(event.name, "field", name) for name in fields)


def _span_parts(promise: SpanPromise | None, span: ObservedSpan) -> Iterator[str]:
    yield from (part_name(RESOURCE, "attribute", name) for name in span.resource)
    if promise is None:
        return
    yield promise.key
    yield part_name(promise.key, "status", span.status)
    yield from (part_name(promise.key, "attribute", name) for name in span.attributes)
    # A link has no name on the wire: as many of the promised ones as the span has.
    yield from (part_name(promise.key, "link", link.name) for link in promise.links[: len(span.links)])
    for event in span.events:
        name = part_name(promise.key, "event", event.name)
        yield name
        yield from (part_name(name, "attribute", attribute) for attribute in event.attributes)


def _is_own(span: ObservedSpan, promises: Iterable[SpanPromise]) -> bool:
    """Say whether a scope that the contract names has made the span."""
    return any(span.scope == promise.scope for promise in promises)
