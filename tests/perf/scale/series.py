"""The axis of metric series: what a scrape of them costs, and what a request costs beside them."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from tests.overhead.variants.bare import make_app
from tests.overhead.workload import path_of_last
from tests.perf.scale.driving import added_us, cpu_ms, least_opcodes, observed, request_opcodes
from tests.perf.scale.points import Point
from tests.support.crowds import holds_of_scrapes

from prethrift_backend.contracts import parse_metrics
from prethrift_backend.observability import Telemetry
from prethrift_backend.observability.exposition import render

ACCEPT: Final = "application/openmetrics-text"
_SERIES_AN_ENDPOINT: Final = 15  # one of the counter, fourteen of the histogram
_PATH: Final = path_of_last(1)
# The families of requests as the shipped contract has them, but for the bound on their number, which is far away.
_CONTRACT: Final = parse_metrics(
    """\
# CONTRACT metrics 1.0.0
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
# LABEL http_requests_total method open
# LABEL http_requests_total endpoint open
# LABEL http_requests_total status_code open
# SERIES http_requests_total max=1000000
# HELP http_request_duration_seconds Time.
# TYPE http_request_duration_seconds histogram
# LABEL http_request_duration_seconds method open
# LABEL http_request_duration_seconds endpoint open
# BUCKETS http_request_duration_seconds 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10
# SERIES http_request_duration_seconds max=1000000
""",
    source="scale.txt",
)


def measure_series(sizes: Sequence[int], with_times: bool) -> list[Point]:
    """Let an application have about so many series in its own families of requests."""
    return [_point(size, with_times) for size in sizes]


def _point(size: int, with_times: bool) -> Point:
    with observed(make_app(1), contract=_CONTRACT) as (app, telemetry):
        _fill(telemetry, size)
        registry = telemetry.metrics.registry
        bare = request_opcodes(make_app(1), _PATH)
        figures: dict[str, float] = {"added_opcodes": request_opcodes(app, _PATH) - bare}
        figures |= {"scrape_opcodes": least_opcodes(lambda: render(registry, ACCEPT), repeats=1)}
        body = render(registry, ACCEPT).body
        figures |= {"body_bytes": len(body), "gzip_bytes": len(gzip.compress(body, 4))}
    return Point(size, figures | (_times(size) if with_times else {}))


def _times(size: int) -> dict[str, float]:
    with observed(make_app(1), contract=_CONTRACT, is_clock_real=True) as (app, telemetry):
        _fill(telemetry, size)
        _, added = added_us(make_app(1), app, _PATH)
        return {"added_us": added, **_scrape_times(telemetry.metrics.registry)}


def _scrape_times(registry: CollectorRegistry) -> dict[str, float]:
    holds = asyncio.run(holds_of_scrapes(registry, times=3))
    return {"scrape_ms": cpu_ms(lambda: render(registry, ACCEPT), repeats=3), "longest_hold_ms": holds.longest_ms}


def _fill(telemetry: Telemetry, size: int) -> None:
    """Count requests of other endpoints, as the layer does."""
    requests = telemetry.metrics.counter("http_requests_total")
    durations = telemetry.metrics.histogram("http_request_duration_seconds")
    for number in range(round(size / _SERIES_AN_ENDPOINT)):
        endpoint = f"/api/items/{number}/pictures"
        requests.labels(method="GET", endpoint=endpoint, status_code="200").inc(number)
        durations.labels(method="GET", endpoint=endpoint).observe(number / 100)
