"""One route, or several: how often it is asked, how it answers, and how fast."""

from __future__ import annotations

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.verify.dashboards.families import Families
from prethrift_backend.verify.dashboards.model import ROUTE_SELECTOR, Page, Panel, Row, Threshold

_OBJECTIVE_SECONDS = 0.5


def make_page(contract: MetricsContract) -> Page:
    """Make the page.

    Raises ContractError where it asks for what the contract has not.
    """
    routes = Families(contract, ROUTE_SELECTOR)
    return Page(
        "endpoint",
        "Prethrift: endpoint",
        "One route or several, chosen above: how often they are asked, how they answer, and how fast.",
        (
            Row("Requests", _requests(routes)),
            Row("Duration", _durations(routes)),
            Row("All routes, during and after", _around(Families(contract))),
        ),
        has_route=True,
    )


def _requests(routes: Families) -> tuple[Panel, ...]:
    name = "http_requests_total"
    failing = routes.share(name, "HTTP requests that fail by endpoint", "endpoint", part='status_code=~"5.."')
    refused = routes.share(name, "HTTP requests that are refused by endpoint", "endpoint", part='status_code=~"4.."')
    return (
        routes.rate(name, "endpoint"),
        routes.rate(name, "status_code").stacked(),
        routes.rate(name, "method"),
        failing.marked(Threshold(0.05)).sized(12),
        refused.sized(12),
    )


def _durations(routes: Families) -> tuple[Panel, ...]:
    name = "http_request_duration_seconds"
    return (
        routes.quantiles(name),
        routes.quantiles(name, "endpoint"),
        routes.within(name, _OBJECTIVE_SECONDS, "endpoint"),
        routes.heatmap(name).sized(24, 10),
    )


def _around(families: Families) -> tuple[Panel, ...]:
    return (
        families.gauge("http_requests_in_progress", "instance").sized(12),
        families.rate("http_background_duration_seconds", "status").sized(12),
    )
