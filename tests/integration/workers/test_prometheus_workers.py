"""A real Prometheus scrapes two workers under load, one of which is killed: no counter ever falls."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.support.prometheus import JOB, PrometheusServer
from tests.support.waiting import wait_for
from tests.support.workers import NOWHERE, load, serve_by_workers

DEADLINE_SECONDS = 60.0
COUNTED = f'{{job="{JOB}",__name__=~".+_(total|count|bucket|sum)"}}'

pytestmark = pytest.mark.usefixtures("prometheus_tools")


def _scrapes(prometheus: PrometheusServer) -> float:
    return sum(prometheus.query(f'count_over_time(up{{job="{JOB}"}}[10m])').values())


def _resets(prometheus: PrometheusServer) -> dict[str, float]:
    """Return how often a series of each counted family fell; all families are there."""
    names = [dict(labels)["__name__"] for labels in prometheus.query(f"group by (__name__) ({COUNTED})")]
    # One by one: what resets() gives has no name any more, and without it the families are not told apart.
    return {name: sum(prometheus.query(f'resets({name}{{job="{JOB}"}}[10m])').values()) for name in names}


def test_no_counter_falls_under_load_and_over_a_kill(tmp_path: Path) -> None:
    """Of all that is counted, in every family, Prometheus sees no reset: not when a worker dies, nor later."""
    answers: list[bool] = []
    with (
        serve_by_workers(tmp_path, NOWHERE) as workers,
        PrometheusServer(tmp_path, target=workers.target, path="/metrics") as prometheus,
        load(workers.get, answers),
    ):
        wait_for(lambda: _scrapes(prometheus) >= 3, DEADLINE_SECONDS, what="some scrapes")
        os.kill(workers.pids()[0], signal.SIGKILL)
        workers.process.wait_for(
            lambda: workers.starts() == 3 and len(workers.pids()) == 2, DEADLINE_SECONDS, what="a new worker"
        )
        before = _scrapes(prometheus)
        wait_for(lambda: _scrapes(prometheus) >= before + 3, DEADLINE_SECONDS, what="scrapes after it")
        resets = _resets(prometheus)

    assert {name: times for name, times in resets.items() if times} == {}
    assert {"http_requests_total", "http_request_duration_seconds_count", "search_duration_seconds_bucket"} <= set(
        resets
    )
    assert len(resets) > 30
