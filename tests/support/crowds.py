"""A set of metrics with as many series as a crowded service has, and what a scrape of it does to the event loop.

metrics = crowded_metrics(10_000)
holds = await holds_of_scrapes(metrics.registry, times=5)
holds.longest_ms
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from tests.support.loop_monitor import LoopHolds, watch_loop

from prethrift_backend.contracts import parse_metrics
from prethrift_backend.observability.exposition import MetricsEndpoint
from prethrift_backend.observability.metrics import MetricSet

_BOUNDS = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10"
_SERIES_A_HISTOGRAM = 14
CONTRACT = f"""\
# CONTRACT metrics 1.0.0
# HELP requests_total Requests.
# TYPE requests_total counter
# LABEL requests_total method open
# LABEL requests_total endpoint open
# SERIES requests_total max=1000000
# HELP request_seconds Time.
# TYPE request_seconds histogram
# LABEL request_seconds method open
# LABEL request_seconds endpoint open
# BUCKETS request_seconds {_BOUNDS}
# SERIES request_seconds max=1000000
"""


def crowded_metrics(series: int) -> MetricSet:
    """Return a set with at least ``series`` series, seven tenths of them in histograms; each has been used."""
    metrics = MetricSet(parse_metrics(CONTRACT, source="crowd.txt"))
    histograms = series * 7 // 10 // _SERIES_A_HISTOGRAM + 1
    for number in range(histograms):
        child = metrics.histogram("request_seconds").labels(method="GET", endpoint=f"/api/items/{number}/pictures")
        child.observe(number / 100)
    for number in range(series - histograms * _SERIES_A_HISTOGRAM):
        metrics.counter("requests_total").labels(method="GET", endpoint=f"/api/items/{number}").inc(number)
    return metrics


async def holds_of_scrapes(registry: CollectorRegistry, *, times: int = 1, gzipped: bool = True) -> LoopHolds:
    """Scrape through the endpoint, one scrape after the other, and return how long the loop was held meanwhile."""
    endpoint = MetricsEndpoint(registry)
    headers = [(b"accept", b"application/openmetrics-text"), (b"accept-encoding", b"gzip" if gzipped else b"identity")]

    async def receive() -> Any:
        raise AssertionError("a scrape has no body to read")

    async def send(_message: Any) -> None:
        return

    async with watch_loop() as holds:
        for _ in range(times):
            await endpoint({"type": "http", "method": "GET", "path": "/metrics", "headers": headers}, receive, send)
    return holds
