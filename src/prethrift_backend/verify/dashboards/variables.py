"""What can be chosen above a dashboard: the data source, the job, the environment, instances, and routes."""

from __future__ import annotations

from typing import Any, Final

from prethrift_backend.verify.dashboards.model import SELECTOR

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_ALL: Final = {"selected": True, "text": ["All"], "value": ["$__all"]}
_SORTED: Final = 1
_AT_EACH_CHANGE_OF_TIME: Final = 2


def variables(*, job: str, has_route: bool) -> list[dict[str, Any]]:
    """Return the variables; each narrows the choice of those behind it. ``job`` is chosen at first."""
    chosen = [
        _source(),
        {**_query("job", "Job", "build_info", "job"), "current": {"selected": True, "text": job, "value": job}},
        _several("environment", "Environment", 'build_info{job="$job"}'),
        _several("instance", "Instance", 'build_info{job="$job",environment=~"$environment"}'),
    ]
    # Not of one family: each begins with the first request, and the label is of several.
    return [*chosen, _several("route", "Route", f"{{{SELECTOR}}}", label="endpoint")] if has_route else chosen


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def _query(name: str, label: str, series: str, values_of: str) -> dict[str, Any]:
    query = f"label_values({series}, {values_of})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": _AT_EACH_CHANGE_OF_TIME,
        "sort": _SORTED,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def _several(name: str, title: str, series: str, *, label: str = "") -> dict[str, Any]:
    chosen = {"multi": True, "includeAll": True, "allValue": ".*", "current": _ALL}
    return {**_query(name, title, series, label or name), **chosen}
