"""Everything that a test run can exercise of a folder of contracts, by the names that reports have for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Final

from prethrift_backend.contracts import (
    Contracts,
    LogEvent,
    LogsContract,
    MetricFamily,
    MetricLabel,
    SpanPromise,
    SpansContract,
)
from prethrift_backend.contracts.values import Stability
from prethrift_backend.verify.coverage.schema import ClosedValues
from prethrift_backend.verify.findings import Place, Signal

HEALTH_ENDPOINTS: Final = ("/health", "/health/live", "/health/ready", "/health/checks/{name}", "/health/groups/{name}")
"""Those of this package."""


@dataclass(frozen=True, slots=True)
class CoverageItem:
    """One promise, or a part of one: then ``of`` names the promise.

    A setting, a value of the health schema, a field of every line and an attribute of the resource count as stable:
    their contracts know no other kind.
    """

    signal: Signal
    name: str
    _: KW_ONLY
    stability: Stability = "stable"
    place: Place | None = None
    of: str | None = None


def coverage_items(
    contracts: Contracts, *, health_endpoints: Iterable[str] = HEALTH_ENDPOINTS
) -> tuple[CoverageItem, ...]:
    """Return all items, each promise before its parts; endpoints only where there is a schema for their bodies."""
    return tuple(_items(contracts, health_endpoints))


# The names; the observer writes the same ones.


def value_name(family: str, label: str, value: str) -> str:
    """Name one value of a closed label."""
    return f'{family}{{{label}="{value}"}}'


def buckets_name(family: str) -> str:
    """Name what a histogram shows when an observation falls below its highest bound."""
    return f"{family} bucket"


def part_name(owner: str, kind: str, name: str) -> str:
    """Name a field, level, attribute, status, event or link of an event or span."""
    return f"{owner} {kind} {name}"


EVERY_LINE: Final = "every line"
RESOURCE: Final = "resource"


def _items(contracts: Contracts, health_endpoints: Iterable[str]) -> Iterator[CoverageItem]:
    for family in contracts.metrics.families:
        yield from _family(family, Place(contracts.metrics.source, family.line))
    if contracts.logs is not None:
        yield from _logs(contracts.logs)
    if contracts.spans is not None:
        yield from _spans(contracts.spans)
    if contracts.settings is not None:
        for setting in contracts.settings.settings:
            yield CoverageItem("settings", setting.name, place=Place(contracts.settings.source, setting.line))
    yield from _health(contracts, health_endpoints)


def _family(family: MetricFamily, place: Place) -> Iterator[CoverageItem]:
    yield CoverageItem("metrics", family.name, stability=family.stability, place=place)
    names = [value_name(family.name, label.name, value) for label in family.labels for value in _closed(label)]
    if family.kind == "histogram" and family.buckets:
        names.append(buckets_name(family.name))
    for name in names:
        yield CoverageItem("metrics", name, stability=family.stability, place=place, of=family.name)


def _closed(label: MetricLabel) -> tuple[str, ...]:
    return label.values if label.is_closed else ()


def _logs(contract: LogsContract) -> Iterator[CoverageItem]:
    for one in contract.fields:
        name = part_name(EVERY_LINE, "field", one.name)
        yield CoverageItem("logs", name, place=Place(contract.source, one.line), of=EVERY_LINE)
    for event in contract.events:
        place = Place(contract.source, event.line)
        yield CoverageItem("logs", event.name, stability=event.stability, place=place)
        for name in _event_parts(event):
            yield CoverageItem("logs", name, stability=event.stability, place=place, of=event.name)


def _event_parts(event: LogEvent) -> Iterator[str]:
    yield from (part_name(event.name, "level", level) for level in event.levels)
    yield from (part_name(event.name, "field", one.name) for one in event.fields)


def _spans(contract: SpansContract) -> Iterator[CoverageItem]:
    for one in contract.resource:
        name = part_name(RESOURCE, "attribute", one.name)
        yield CoverageItem("spans", name, place=Place(contract.source, one.line), of=RESOURCE)
    for span in contract.spans:
        place = Place(contract.source, span.line)
        yield CoverageItem("spans", span.key, stability=span.stability, place=place)
        for name in _span_parts(span):
            yield CoverageItem("spans", name, stability=span.stability, place=place, of=span.key)


def _span_parts(span: SpanPromise) -> Iterator[str]:
    yield from (part_name(span.key, "attribute", one.name) for one in span.attributes)
    yield from (part_name(span.key, "status", status) for status in span.statuses)
    yield from (part_name(span.key, "link", link.name) for link in span.links)
    for event in span.events:
        name = part_name(span.key, "event", event.name)
        yield name
        yield from (part_name(name, "attribute", one.name) for one in event.attributes)


def _health(contracts: Contracts, endpoints: Iterable[str]) -> Iterator[CoverageItem]:
    if contracts.health_schema is None:
        return
    place = Place(str(contracts.directory / "health.schema.json"))
    for endpoint in endpoints:
        yield CoverageItem("health", endpoint, place=place)
    for where, value in ClosedValues(contracts.health_schema).promised():
        yield CoverageItem("health", part_name(where, "value", value), place=place, of=where)
