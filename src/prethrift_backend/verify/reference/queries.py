"""Queries that are right for a family: by its type, its labels and how often it is scraped."""

from __future__ import annotations

import math
from typing import Final

from prethrift_backend.contracts import MetricFamily, MetricsContract

_RANGE_SECONDS: Final = 300.0  # what dashboards look back as a rule
_SCRAPES: Final = 4  # a rate over fewer has holes when one scrape fails
_LABELS_MAX: Final = 3  # more of them, and the result is the family again
_WORDS: Final = {
    "sum": "Of all processes together",
    "max": "The highest of all processes",
    "min": "The lowest of all processes",
}


def example_queries(family: MetricFamily, metrics: MetricsContract) -> list[tuple[str, str]]:
    """Return queries, each with what it answers; none for a family of which only the name is known."""
    over = _range(metrics)
    if family.kind == "counter":
        return [("How often in a second", _by("sum", family, f"rate({family.name}[{over}])"))]
    if family.kind == "histogram":
        return _of_histogram(family, over)
    return [_of_gauge(family)] if family.kind == "gauge" else []


def _of_histogram(family: MetricFamily, over: str) -> list[tuple[str, str]]:
    sums, counts = (_by("sum", family, f"rate({family.name}_{part}[{over}])") for part in ("sum", "count"))
    buckets = _by("sum", family, f"rate({family.name}_bucket[{over}])", first=("le",))
    return [
        ("What 95 of 100 stay below", f"histogram_quantile(0.95, {buckets})"),
        ("The mean", f"{sums}\n  / {counts}"),
    ]


def _of_gauge(family: MetricFamily) -> tuple[str, str]:
    if family.name.endswith("_info"):
        return "How many processes say so", _by("count", family, family.name)
    if family.name.endswith("_timestamp_seconds"):
        return "How long ago, in seconds", f"time() - {_by(family.across, family, family.name)}"
    return _WORDS[family.across], _by(family.across, family, family.name)


def _by(function: str, family: MetricFamily, inner: str, *, first: tuple[str, ...] = ()) -> str:
    names = family.label_names if function == "count" else family.label_names[:_LABELS_MAX]
    labels = [*first, *names]
    return f"{function} by ({', '.join(labels)}) ({inner})" if labels else f"{function}({inner})"


def _range(metrics: MetricsContract) -> str:
    interval = metrics.scrape.interval_seconds if metrics.scrape is not None else 0.0
    return f"{math.ceil(max(_RANGE_SECONDS, _SCRAPES * interval) / 60)}m"
