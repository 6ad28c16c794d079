"""The telemetry itself: what it lost, what it costs, and which contract it keeps."""

from __future__ import annotations

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.dashboards.families import Families
from prethrift_backend.verify.dashboards.model import SELECTOR, Page, Panel, Query, Row, Threshold
from prethrift_backend.verify.dashboards.pages.overview import memory


def make_page(contract: MetricsContract) -> Page:
    """Make the page.

    Raises ContractError where it asks for what the contract has not, or the contract has no budget.
    """
    families = Families(contract)
    return Page(
        "telemetry",
        "Prethrift: telemetry itself",
        "What the telemetry lost, what a scrape costs, and which contract and version are in force.",
        (
            Row("Lost", _lost(families)),
            Row("Exports", _exports(families)),
            Row("Event loop and process", _process(families)),
            Row("Scrapes and contracts", _contract(families)),
        ),
    )


def _lost(families: Families) -> tuple[Panel, ...]:
    panels = (
        families.increase("log_events_dropped_total", "instance"),
        families.increase("telemetry_errors_total", "instance"),
        families.increase("telemetry_spans_dropped_total", "exporter", "reason"),
        families.increase("contract_violations_total", "family", "label"),
    )
    return tuple(panel.marked(Threshold(1.0)).sized(6) for panel in panels)


def _exports(families: Families) -> tuple[Panel, ...]:
    return (
        families.rate("telemetry_exports_total", "exporter", "signal", "outcome", otherwise_zero=True),
        families.gauge("telemetry_queue_length", "exporter"),
        families.increase("telemetry_error_events_total", "outcome"),
    )


def _process(families: Families) -> tuple[Panel, ...]:
    return (
        families.quantiles("event_loop_lag_seconds"),
        families.heatmap("event_loop_lag_seconds"),
        families.increase("event_loop_stalls_total", "instance").marked(Threshold(1.0)),
        memory(),
        Panel(
            title="Processor time by instance",
            description="Of one processor, as prometheus_client reads it.",
            unit="percentunit",
            queries=(
                Query(
                    f"sum by (instance) (rate(process_cpu_seconds_total{{{SELECTOR}}}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            title="Time since the start by instance",
            description="A line that falls to 0 is a start.",
            unit="s",
            queries=(Query(f"time() - max by (instance) (process_start_time_seconds{{{SELECTOR}}})", "{{instance}}"),),
        ),
    )


def _contract(families: Families) -> tuple[Panel, ...]:
    budget = families.contract.budget
    if budget.series is None or budget.scrape_seconds is None:
        raise ContractError("the contract has no line BUDGET with series and scrape_seconds: the panels of it need one")
    return (
        _scrape("scrape_samples_scraped", "Series of a scrape by instance", "short", float(budget.series)),
        _scrape("scrape_duration_seconds", "Duration of a scrape by instance", "s", budget.scrape_seconds),
        families.labels("build_info", "version", "python_version"),
        families.labels("contract_info", "contract", "version", "sha256").sized(24, 6),
    )


def _scrape(series: str, title: str, unit: str, most: float) -> Panel:
    return Panel(
        title=title,
        description=f"`{series}`, which Prometheus measures; the line is the budget of the contract, {most:g}.",
        unit=unit,
        queries=(Query(f"max by (instance) ({series}{{{SELECTOR}}})", "{{instance}}"),),
        thresholds=(Threshold(most),),
    )
