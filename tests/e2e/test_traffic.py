"""Step 1: traffic of all kinds; the dashboards show it, and the contracts hold from the process to Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.e2e.stack import Stack
from tests.support.catalogue_traffic import CatalogueTraffic
from tests.support.dashboards import DashboardQuery, Looking, dashboard_queries, empty_queries
from tests.support.verify_targets import verify
from tests.support.waiting import wait_for

SEED = 11
SCRAPE_SECONDS = 1.0
DASHBOARD_SECONDS = 60.0
SEARCHES_FAILED = 5


def test_traffic_is_seen_on_every_panel_of_every_dashboard(stack: Stack) -> None:
    """Under a mix of all kinds of requests, with a failure among them, no query of the dashboards is without data."""
    queries = empty = dashboard_queries()
    with CatalogueTraffic(stack.url, seed=SEED) as traffic:
        traffic.send_round()
        _fail_for_a_moment(stack, traffic)

        def under_traffic() -> bool:
            nonlocal empty
            traffic.send_round()
            empty = empty_queries(stack.prometheus_url, empty, _looking(stack))
            return not empty

        _wait(under_traffic, lambda: empty)
        sent = ", ".join(f"{count} times {status}" for status, count in sorted(traffic.statuses.items()))

    stack.say(f"the mix was answered with {sent}")
    stack.say(f"all {len(queries)} queries of the dashboards have data")
    assert set(traffic.statuses) >= {200, 201, 404, 422}


def test_contracts_hold_from_the_process_to_prometheus_and_alertmanager(stack: Stack) -> None:
    """`contracts verify` of a replica passes: what it says, what Prometheus has of it, and which alerts are loaded."""
    monitoring = stack.monitoring
    arrival = ("--prometheus", monitoring.prometheus_url, "--alertmanager", monitoring.alertmanager_url)
    with CatalogueTraffic(stack.replicas[0].url, seed=SEED) as traffic:
        traffic.send_round()

    done = verify(stack.replicas[0].url, *arrival, "--rules", str(monitoring.rules), "--rate", "100")

    stack.say(f"contracts verify: status {done.returncode}\n{done.stdout}{done.stderr}")
    assert done.returncode == 0


def _fail_for_a_moment(stack: Stack, traffic: CatalogueTraffic) -> None:
    """Let searches fail for the panels of failures; shorter than the three runs of a check that end readiness."""
    stack.database.stop()
    for _ in range(SEARCHES_FAILED):
        traffic.count(traffic.look_at_item())
        traffic.count(traffic.search_by_text())
    stack.database.start()


def _looking(stack: Stack) -> Looking:
    now = time.time()
    return Looking(SCRAPE_SECONDS, max(time.monotonic() - stack.started_at, SCRAPE_SECONDS), end=now)


def _wait(condition: Callable[[], bool], empty: Callable[[], list[DashboardQuery]]) -> None:
    try:
        wait_for(condition, DASHBOARD_SECONDS)
    except AssertionError as late:
        raise AssertionError("nothing is found by\n" + "\n".join(map(str, empty()))) from late
