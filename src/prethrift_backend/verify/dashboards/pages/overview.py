"""The first page: is it well, what is asked of it, what is it short of."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.verify.dashboards.families import Families
from prethrift_backend.verify.dashboards.model import SELECTOR, UP_WORDS, Page, Panel, Query, Row, Threshold

# The shares of all requests that may fail, or take longer than 0.5 s, as ops/prometheus/rules/recording.yml has them.
BUDGETS: Final = {"http_errors": 0.001, "http_slow": 0.01}
_WINDOWS: Final = ("5m", "1h", "6h", "3d")
_OF_ALL: Final = "Of all instances, whichever are chosen above: the recording rules sum them up, by environment."
_RECORDED: Final = 'job="$job",environment=~"$environment"'


def make_page(contract: MetricsContract) -> Page:
    """Make the page.

    Raises ContractError where it asks for what the contract has not.
    """
    families = Families(contract)
    return Page(
        "overview",
        "Prethrift: overview",
        "Is the backend well, what is asked of it, and what is it short of.",
        (
            Row("Now", _now(families)),
            Row("Requests", _requests(families)),
            Row("Error budgets", (_burn("http_errors", "fail"), _burn("http_slow", "take longer than 0.5 s"))),
            Row("Searches and models", _searches(families)),
            Row("Saturation", _saturation(families)),
        ),
    )


def _now(families: Families) -> tuple[Panel, ...]:
    name = "http_requests_total"
    failing = families.share(name, "HTTP requests that fail", part='status_code=~"5.."')
    panels = (
        families.rate(name),
        failing.marked(Threshold(0.01, "orange"), Threshold(0.05)),
        families.slowest("http_request_duration_seconds").marked(Threshold(0.5, "orange"), Threshold(1.0)),
        families.gauge("http_requests_in_progress"),
        replace(families.gauge("health_up"), words=UP_WORDS),
        _firing(),
    )
    return tuple(panel.as_stat() for panel in panels)


def _firing() -> Panel:
    return Panel(
        title="Alerts that fire",
        description="Alerts of ops/prometheus/rules/alerts.yml that are firing; their runbooks are in docs/runbooks.",
        unit="short",
        queries=(Query('count(ALERTS{alertstate="firing",service="prethrift"}) or vector(0)'),),
        thresholds=(Threshold(1.0),),
    )


def _requests(families: Families) -> tuple[Panel, ...]:
    recorded = tuple(
        Query(f"job:http_errors:ratio_rate{window}{{{_RECORDED}}}", f"{{{{environment}}}} over {window}")
        for window in _WINDOWS[:2]
    )
    return (
        families.rate("http_requests_total", "status_code").stacked(),
        Panel(
            title="HTTP requests that fail, by window",
            description=f"The share of requests that were answered with 5xx. {_OF_ALL}",
            unit="percentunit",
            queries=recorded,
            thresholds=(Threshold(0.05),),
        ),
        families.quantiles("http_request_duration_seconds"),
    )


def _burn(rule: str, what: str) -> Panel:
    budget = BUDGETS[rule]
    queries = (
        Query(f"job:{rule}:ratio_rate{window}{{{_RECORDED}}} / {budget:g}", f"{{{{environment}}}} {window}")
        for window in _WINDOWS
    )
    return Panel(
        title=f"Budget of requests that {what}, burn rate",
        description=f"The share of requests that {what}, in budgets of {budget:.1%} of all requests: at 1 the budget "
        f"of 30 days lasts 30 days. Above 14.4 over 1h and 5m somebody is called. {_OF_ALL}",
        unit="short",
        queries=tuple(queries),
        thresholds=(Threshold(1.0, "orange"), Threshold(14.4)),
        columns=12,
    )


def _searches(families: Families) -> tuple[Panel, ...]:
    return (
        families.rate("search_operations_total", "search_type"),
        families.quantiles("search_duration_seconds", "search_type"),
        families.quantiles("embedding_duration_seconds", "operation_type"),
    )


def _saturation(families: Families) -> tuple[Panel, ...]:
    return (
        families.gauge("db_pool_connections", "state"),
        families.quantiles("event_loop_lag_seconds", "instance"),
        memory(),
    )


def memory() -> Panel:
    """Make the panel of the processes' memory, which prometheus_client measures."""
    return Panel(
        title="Memory of the process by instance",
        description="Resident memory, as prometheus_client reads it; of several workers, the sum.",
        unit="bytes",
        queries=(Query(f"sum by (instance) (process_resident_memory_bytes{{{SELECTOR}}})", "{{instance}}"),),
    )
