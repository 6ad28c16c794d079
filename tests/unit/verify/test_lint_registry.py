"""A registry of prometheus_client against a metrics contract, before any traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Metric
from prometheus_client.registry import Collector

from prethrift_backend.contracts import parse_metrics
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.lint.registry import check_registry, registered_families

TEXT = """# CONTRACT metrics 1.0.0
# HELP parcels_total Sent ones.
# TYPE parcels_total counter
# LABEL parcels_total kind enum small|large
# SERIES parcels_total max=2 presence=always init=all
# HELP parcel_seconds Way of a parcel.
# TYPE parcel_seconds histogram
# BUCKETS parcel_seconds 1 10
# SERIES parcel_seconds max=5 presence=always
# HELP parcel_info What is running.
# TYPE parcel_info gauge
# LABEL parcel_info version open max=1
# EXTERNAL process_*
"""
CONTRACT = parse_metrics(TEXT, source="metrics.txt")
Make = Callable[[CollectorRegistry], object]


def _parcels(registry: CollectorRegistry, kinds: Iterable[str] = ("small", "large")) -> None:
    counter = Counter("parcels", "Sent ones.", ("kind",), registry=registry)
    for kind in kinds:
        counter.labels(kind)


def _findings(*makes: Make) -> list[Finding]:
    registry = CollectorRegistry()
    for make in makes:
        make(registry)
    return list(check_registry(CONTRACT, registered_families(registry)))


@pytest.mark.parametrize(
    "make",
    [
        _parcels,
        lambda registry: Histogram("parcel_seconds", "Way of a parcel.", buckets=(1, 10), registry=registry),
        lambda registry: Info("parcel", "What is running.", registry=registry).info({"version": "1"}),
        lambda registry: Gauge("process_x", "A library's.", registry=registry),
        lambda registry: MetricSet(CONTRACT, registry=registry),
    ],
)
def test_a_family_as_promised_is_no_finding(make: Make) -> None:
    """Type, help, labels, buckets and first series agree."""
    assert [finding for finding in _findings(make) if not finding.name.startswith("python_")] == []


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        ("CD001", lambda registry: Gauge("parcels_total", "Sent ones.", ("kind",), registry=registry)),
        ("CD002", lambda registry: Histogram("parcel_seconds", "Way.", buckets=(1, 10), registry=registry)),
        ("CD003", lambda registry: Counter("parcels", "Sent ones.", ("sort",), registry=registry)),
        ("CD003", lambda registry: Counter("parcels", "Sent ones.", registry=registry)),
        ("CD004", lambda registry: Histogram("parcel_seconds", "Way of a parcel.", buckets=(1, 5), registry=registry)),
        ("CD009", lambda registry: _parcels(registry, ("small", "large", "huge"))),
        ("CD016", lambda registry: _parcels(registry, ("small",))),
        ("CD016", lambda registry: _parcels(registry, ())),
        ("V006", lambda registry: Gauge("shelves", "Free ones.", registry=registry)),
    ],
)
def test_a_difference_is_found(rule: str, make: Make) -> None:
    """Each difference is a finding of its rule, about that family."""
    found = _findings(make)

    assert rule in [finding.rule for finding in found]
    assert all(finding.place is not None and finding.place.path == "metrics.txt" for finding in found)


class _Broken(Collector):
    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        raise OSError("no disk at postgresql://shop:hunter2@db/shop")


def test_a_collector_that_fails_is_one_clear_error() -> None:
    """What cannot be collected cannot be judged, and says so."""
    registry = CollectorRegistry()
    registry.register(_Broken())

    with pytest.raises(ContractError, match="OSError: no disk at ") as raised:
        registered_families(registry)

    assert "hunter2" not in str(raised.value)
