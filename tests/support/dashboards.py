"""The dashboards of ops/grafana as a test sees them: their queries, with Grafana's variables put in place, and run.

    empty = empty_queries(prometheus_url, dashboard_queries(), Looking(scrape_seconds=0.5, seconds=30))

What Grafana does with ``$job``, ``$__rate_interval`` and the rest is done here in the same way, so that Prometheus gets
what it would get from a dashboard with the variables as they are at first.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).parents[2] / "ops" / "grafana" / "dashboards"
# As many points as a panel is wide: Grafana asks for no more.
POINTS_MAX = 800
TIMEOUT_SECONDS = 30.0
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass(frozen=True)
class DashboardQuery:
    """One query of one panel; ``variables`` is what its dashboard has chosen at first."""

    dashboard: str
    panel: str
    expression: str
    legend: str = ""
    is_instant: bool = False
    has_exemplars: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expression}"


@dataclass(frozen=True)
class Looking:
    """How a dashboard is looked at: the time that it shows, which ends at ``end``, and the scrape interval.

    ``variables`` are choices other than those at first.
    """

    scrape_seconds: float
    seconds: float
    end: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def step_seconds(self) -> float:
        """The distance of two points, which is ``$__interval``: no less than a scrape."""
        return max(self.scrape_seconds, self.seconds / POINTS_MAX)

    @property
    def own_variables(self) -> dict[str, str]:
        """Grafana's own, by its documentation of the Prometheus data source."""
        rate = max(self.step_seconds + self.scrape_seconds, 4 * self.scrape_seconds)
        return {
            "__rate_interval": _duration(rate),
            "__interval": _duration(self.step_seconds),
            "__range": _duration(self.seconds),
        }


def dashboard_queries(folder: Path = FOLDER) -> list[DashboardQuery]:
    """Return the queries of all panels of all dashboards."""
    return [query for path in sorted(folder.glob("*.json")) for query in queries_of(json.loads(path.read_text()))]


def queries_of(dashboard: Mapping[str, Any]) -> list[DashboardQuery]:
    """Return the queries of one dashboard."""
    chosen = chosen_at_first(dashboard)
    return [
        DashboardQuery(
            dashboard=dashboard["title"],
            panel=panel["title"],
            expression=target["expr"],
            legend=target["legendFormat"],
            is_instant=target["instant"],
            has_exemplars=target["exemplar"],
            variables=chosen,
        )
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def chosen_at_first(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of each variable before anybody chooses: of "All", what stands for it."""
    variables = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    return {
        variable["name"]: variable["allValue"] if variable["includeAll"] else variable["current"]["value"]
        for variable in variables
    }


def empty_variables(prometheus_url: str, looking: Looking, folder: Path = FOLDER) -> list[str]:
    """Return the variables that offer nothing to choose, each with its dashboard."""
    models = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    with httpx.Client(base_url=prometheus_url, trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        return [
            f"{model['title']}: ${variable['name']}"
            for model in models
            for variable in model["templating"]["list"]
            if variable["type"] == "query" and not _choices(client, variable, chosen_at_first(model), looking)
        ]


def _choices(
    client: httpx.Client, variable: Mapping[str, Any], chosen: Mapping[str, str], looking: Looking
) -> list[str]:
    found = _LABEL_VALUES.fullmatch(variable["query"]["query"])
    assert found is not None, variable
    series = DashboardQuery("", variable["name"], found[1], variables=chosen)
    response = client.get(f"/api/v1/label/{found[2]}/values", params={"match[]": put_in_place(series, looking)})
    response.raise_for_status()
    values: list[str] = response.json()["data"]
    return values


def put_in_place(query: DashboardQuery, looking: Looking) -> str:
    """Put a value in the place of each variable, as Grafana does.

    Raises KeyError where a variable is declared nowhere.
    """
    values = {**query.variables, **looking.variables, **looking.own_variables}
    return _VARIABLE.sub(lambda found: values[found[1]], query.expression)


def empty_queries(prometheus_url: str, queries: Iterable[DashboardQuery], looking: Looking) -> list[DashboardQuery]:
    """Return the queries that find nothing: no series, or no number at any point. A refused query raises."""
    with httpx.Client(base_url=prometheus_url, trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        return [query for query in queries if not _has_numbers(ask(client, query, looking))]


def ask(client: httpx.Client, query: DashboardQuery, looking: Looking) -> list[dict[str, Any]]:
    """Return the series that Prometheus answers a panel's query with, each with ``metric`` and ``values``."""
    end = looking.end or time.time()
    expression = put_in_place(query, looking)
    if query.is_instant:
        found = _get(client, "/api/v1/query", {"query": expression, "time": end})
        return [{"metric": series["metric"], "values": [series["value"]]} for series in found]
    steps = {"start": end - looking.seconds, "end": end, "step": looking.step_seconds}
    return _get(client, "/api/v1/query_range", {"query": expression, **steps})


def _get(client: httpx.Client, path: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    response = client.get(path, params=params)
    if response.is_error:
        raise AssertionError(f"Prometheus refuses {params['query']!r}: {response.text}")
    found: list[dict[str, Any]] = response.json()["data"]["result"]
    return found


def _has_numbers(found: Iterable[dict[str, Any]]) -> bool:
    return any(not math.isnan(float(value)) for series in found for _, value in series["values"])


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
