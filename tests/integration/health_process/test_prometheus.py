"""A real Prometheus scrapes /health: the alert `up == 0` means unhealthy, and nothing else does."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.health_process._processes import FOREVER_SECONDS, ROOT, Steered
from tests.support.processes import free_port, wait_for
from tests.support.prometheus import JOB, PrometheusServer

DEADLINE_SECONDS = 60.0

pytestmark = pytest.mark.usefixtures("prometheus_tools")


@pytest.fixture
def steered(tmp_path: Path) -> Iterator[Steered]:
    """Start the small application, healthy."""
    steered = Steered(tmp_path, free_port(), drain_seconds=FOREVER_SECONDS)
    steered.set("start")
    with steered.process:
        steered.wait_for_all((200, None))
        yield steered


@pytest.fixture
def prometheus(steered: Steered, tmp_path: Path) -> Iterator[PrometheusServer]:
    """Let a Prometheus scrape /health of the application."""
    target = f"127.0.0.1:{steered.site.port}"
    with PrometheusServer(tmp_path, target=target, path="/health") as prometheus:
        yield prometheus


def _wait_for_up(prometheus: PrometheusServer, value: float) -> None:
    expression = f'up{{job="{JOB}"}}'
    wait_for(lambda: list(prometheus.query(expression).values()) == [value], DEADLINE_SECONDS, what=f"up == {value:g}")


def _states(prometheus: PrometheusServer) -> dict[str, str]:
    """Return the state of each check as Prometheus has stored it."""
    series = prometheus.query("health_check_state == 1")
    return {dict(labels)["check"]: dict(labels)["state"] for labels in series}


def _wait_for_states(prometheus: PrometheusServer, **states: str) -> None:
    wait_for(lambda: _states(prometheus) == states, DEADLINE_SECONDS, what=f"the states {states}")


def test_up_is_one_one_and_zero(steered: Steered, prometheus: PrometheusServer) -> None:
    """Healthy is up 1, degraded is up 1 with the state in a gauge, unhealthy is up 0 without any; and back again."""
    _wait_for_states(prometheus, database="healthy", s3="healthy")
    _wait_for_up(prometheus, 1)

    steered.set("s3-fails")
    _wait_for_states(prometheus, database="healthy", s3="unhealthy")
    _wait_for_up(prometheus, 1)

    steered.set("database-fails")
    _wait_for_up(prometheus, 0)
    (target,) = prometheus.targets()
    assert "503" in target["lastError"]
    assert _states(prometheus) == {}

    steered.clear("database-fails")
    _wait_for_up(prometheus, 1)


def test_every_gauge_of_health_is_stored(steered: Steered, prometheus: PrometheusServer) -> None:
    """What the Prometheus form of /health says, in its families and labels, is what Prometheus has."""
    url = f"http://127.0.0.1:{steered.site.port}/health"
    text = httpx.get(url, headers={"accept": "text/plain"}, trust_env=False).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    sent = {(sample.name, *sorted(sample.labels.items())) for sample in samples}

    _wait_for_up(prometheus, 1)
    added = {"job", "instance", "__name__"}
    stored = {
        (dict(labels)["__name__"], *(pair for pair in labels if pair[0] not in added))
        for labels in prometheus.query(f'{{__name__=~"health_.+",job="{JOB}"}}')
    }

    assert stored == sent
    assert len(stored) > 6


def test_a_deploy_does_not_page(steered: Steered, prometheus: PrometheusServer) -> None:
    """While the process drains its readiness is 503 and its `up` stays 1."""
    _wait_for_up(prometheus, 1)
    steered.process.send(signal.SIGTERM)
    steered.wait_for_all((503, "draining"))
    (before,) = (target["lastScrape"] for target in prometheus.targets())
    wait_for(lambda: prometheus.targets()[0]["lastScrape"] > before, DEADLINE_SECONDS, what="another scrape")

    assert prometheus.targets()[0]["health"] == "up"


def test_promtool_finds_nothing_in_the_contract() -> None:
    """The contract of the metrics is an exposition that Prometheus' own linter has no remark on."""
    with (ROOT / "contracts" / "metrics.txt").open() as contract:
        done = subprocess.run(["promtool", "check", "metrics"], stdin=contract, capture_output=True, check=False)

    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
