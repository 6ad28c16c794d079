"""What /metrics serves is read by Prometheus itself, in either format, with a token and without."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.metric_contracts import use_every_family
from tests.support.prometheus import JOB, PrometheusServer
from tests.support.telemetry_server import serving
from tests.support.waiting import wait_for

from prethrift_backend.contracts import load_metrics
from prethrift_backend.observability.exposition import render
from prethrift_backend.observability.metrics import MetricSet

DEADLINE_SECONDS = 60.0
TOKEN = "a-token-for-whoever-scrapes"

pytestmark = pytest.mark.usefixtures("prometheus_tools")


def _promtool(exposition: bytes) -> subprocess.CompletedProcess[str]:
    command = ["promtool", "check", "metrics"]
    return subprocess.run(command, input=exposition.decode(), capture_output=True, text=True, timeout=60, check=False)


def test_promtool_reads_every_family() -> None:
    """The whole contract, with a series in each family, has nothing that promtool complains of."""
    metrics = MetricSet(load_metrics(), strict=True)
    use_every_family(metrics)

    checked = _promtool(render(metrics.registry, "").body)

    ours = [line for line in checked.stderr.splitlines() if not line.startswith(("process_", "python_"))]
    assert ours == []


def test_promtool_refuses_what_is_broken() -> None:
    """The check that passes above is one that can fail."""
    assert _promtool(b"http_requests_total{ 1\n").returncode != 0


def test_prometheus_with_the_token_is_served_and_one_without_is_not(tmp_path: Path) -> None:
    """METRICS_TOKEN is what Prometheus calls credentials; without it the target is down, and says 401."""
    folders = [tmp_path / name for name in ("with", "without")]
    for folder in folders:
        folder.mkdir()
    with (
        serving(METRICS_TOKEN=TOKEN) as server,
        PrometheusServer(folders[0], target=server.target, path="/metrics", token=TOKEN) as admitted,
        PrometheusServer(folders[1], target=server.target, path="/metrics") as refused,
    ):
        wait_for(lambda: list(admitted.query(f'up{{job="{JOB}"}}').values()) == [1], DEADLINE_SECONDS)
        wait_for(lambda: list(refused.query(f'up{{job="{JOB}"}}').values()) == [0], DEADLINE_SECONDS)
        (target,) = refused.targets()

    assert "401" in target["lastError"]


def test_prometheus_stores_what_was_counted(tmp_path: Path) -> None:
    """A scrape in Prometheus's own format of choice arrives whole; requests are there under their names."""
    with serving() as server, PrometheusServer(tmp_path, target=server.target, path="/metrics") as prometheus:
        server.ask(1)
        counted = 'http_requests_total{endpoint="/items/{item}"}'
        wait_for(lambda: list(prometheus.query(counted).values()) == [1], DEADLINE_SECONDS)

        assert list(prometheus.query(f'up{{job="{JOB}"}}').values()) == [1]
