"""Queries and alerts in the form that is usual and wrong, kept so that the lint goes on finding what is wrong."""

from __future__ import annotations

from typing import Final

# Heading of docs/queries.md, expression, and the rules that are against it.
AS_GIVEN: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("Request rate", "rate(http_requests_total[5m])", ()),
    (
        "Error rate",
        'rate(http_requests_total{status_code=~"5.."}[5m]) / rate(http_requests_total[5m])',
        ("PQ001", "PQ012"),
    ),
    (
        "Latency, the 95th percentile",
        "histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m]))",
        (),
    ),
    ("Search operations by type", "rate(search_operations_total[5m])", ()),
    (
        "HighErrorRate",
        'rate(http_requests_total{status_code=~"5.."}[5m]) / rate(http_requests_total[5m]) > 0.05',
        ("PQ001", "PQ012"),
    ),
    ("DatabaseDown", 'up{job="prethrift-health"} == 0', ("PQ011",)),
    ("HighResponseTime", "histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m])) > 2", ("PQ007",)),
)
