"""The dashboards' queries on a real Prometheus that scrapes a real backend under traffic, with the files of ops/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from tests.support.dashboards import (
    FOLDER,
    DashboardQuery,
    dashboard_queries,
    empty_queries,
    empty_variables,
    put_in_place,
)
from tests.support.environment import leaking_names
from tests.support.ops_prometheus import INSTANCE
from tests.support.waiting import wait_for
from tests.support.watched_backend import Watched, watched_backend

from prethrift_backend.config import Settings

PROVISIONING = FOLDER.parent / "provisioning"
DEADLINE_SECONDS = 90.0


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Run the backend and what watches it, without the user's own settings; the first requests fail and succeed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in leaking_names(os.environ, Settings.model_fields):
            patch.delenv(name)
        with watched_backend(tmp_path_factory.mktemp("watched")) as running:
            running.traffic.send_round()
            running.fail_for_a_moment()
            yield running


@pytest.fixture(autouse=True)
def _tools(prometheus_tools: None) -> None:
    """Fail with what to do where a named file is run without Prometheus."""


def test_every_query_of_every_panel_finds_something(watched: Watched) -> None:
    """Under traffic of all kinds no panel is empty: what counts failures that did not happen is 0."""
    empty = dashboard_queries()

    def under_traffic() -> bool:
        nonlocal empty
        watched.traffic.send_round()
        empty = empty_queries(watched.prometheus_url, empty, watched.looking())
        return not empty

    try:
        wait_for(under_traffic, DEADLINE_SECONDS)
    except AssertionError as late:
        raise AssertionError("nothing is found by\n" + "\n".join(map(str, empty))) from late
    assert set(watched.traffic.statuses) >= {200, 201, 404, 422, 503}


def test_a_query_without_a_number_is_told(watched: Watched) -> None:
    """No series, and series that are never a number; 0 is one."""
    queries = [DashboardQuery("", "", text) for text in ("nothing_here", "vector(0) / 0", "vector(0)")]

    assert empty_queries(watched.prometheus_url, queries, watched.looking()) == queries[:2]


def test_every_variable_offers_something(watched: Watched) -> None:
    """Jobs, environments, instances and routes are found as Grafana looks for them."""
    wait_for(lambda: not empty_variables(watched.prometheus_url, watched.looking()), DEADLINE_SECONDS)


def test_a_chosen_instance_and_route_narrow_the_panels(watched: Watched) -> None:
    """The queries that name a variable find something for a value that there is, and nothing for another."""
    narrowed = [query for query in dashboard_queries() if "$instance" in query.expression]
    chosen = watched.looking(instance=INSTANCE, environment="development")
    wait_for(lambda: not empty_queries(watched.prometheus_url, narrowed, chosen), DEADLINE_SECONDS)

    others = empty_queries(watched.prometheus_url, narrowed, watched.looking(instance="backend-2"))
    assert [query for query in narrowed if query not in others and "vector(0)" not in query.expression] == []


def test_an_exemplar_leads_to_its_trace(watched: Watched) -> None:
    """The label of the data source is that of the exemplars, and its value is the id of a trace."""
    (source,) = [item for item in _sources() if item["type"] == "prometheus"]
    labels = {link["name"] for link in source["jsonData"]["exemplarTraceIdDestinations"]}
    asked = [query for query in dashboard_queries() if query.has_exemplars and "http_request_" in query.expression]

    found = wait_for(lambda: _exemplars(watched, put_in_place(asked[0], watched.looking())), DEADLINE_SECONDS)

    assert labels <= set(found[0])
    assert all(len(exemplar[name]) == 32 for exemplar in found for name in labels)


def _sources() -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = yaml.safe_load((PROVISIONING / "datasources" / "datasources.yml").read_text())[
        "datasources"
    ]
    return sources


def _exemplars(watched: Watched, expression: str) -> list[dict[str, str]]:
    times = {"start": watched.begun, "end": watched.looking().end}
    answer = httpx.get(
        f"{watched.prometheus_url}/api/v1/query_exemplars", params={"query": expression, **times}, trust_env=False
    )
    answer.raise_for_status()
    return [exemplar["labels"] for series in answer.json()["data"] for exemplar in series["exemplars"]]
