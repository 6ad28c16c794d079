"""What /metrics serves is read by Prometheus itself, in either format, with a token and without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.environment import DUMMY_AWS
from tests.support.metric_contracts import use_every_family
from tests.support.processes import ServerProcess, free_port, wait_for
from tests.support.prometheus import JOB, PrometheusServer

from prethrift_backend.contracts import load_metrics
from prethrift_backend.observability.exposition import render
from prethrift_backend.observability.metrics import MetricSet

ROOT = Path(__file__).parents[3]
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


@contextmanager
def _serving(**settings: str) -> Iterator[int]:
    """Serve the small application on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "tests.support.telemetry_app:serve", "--port", str(port)]
    environ = {"PATH": "/usr/bin:/bin", **DUMMY_AWS, **settings}
    with ServerProcess(command, environ=environ, directory=ROOT) as server:
        server.wait_for_http(f"http://127.0.0.1:{port}/items/1", DEADLINE_SECONDS)
        yield port


def test_prometheus_with_the_token_is_served_and_one_without_is_not(tmp_path: Path) -> None:
    """METRICS_TOKEN is what Prometheus calls credentials; without it the target is down, and says 401."""
    folders = [tmp_path / name for name in ("with", "without")]
    for folder in folders:
        folder.mkdir()
    with (
        _serving(METRICS_TOKEN=TOKEN) as port,
        PrometheusServer(folders[0], target=f"127.0.0.1:{port}", path="/metrics", token=TOKEN) as admitted,
        PrometheusServer(folders[1], target=f"127.0.0.1:{port}", path="/metrics") as refused,
    ):
        wait_for(lambda: list(admitted.query(f'up{{job="{JOB}"}}').values()) == [1], DEADLINE_SECONDS)
        wait_for(lambda: list(refused.query(f'up{{job="{JOB}"}}').values()) == [0], DEADLINE_SECONDS)
        (target,) = refused.targets()

    assert "401" in target["lastError"]


def test_prometheus_stores_what_was_counted(tmp_path: Path) -> None:
    """A scrape in Prometheus's own format of choice arrives whole; requests are there under their names."""
    with _serving() as port, PrometheusServer(tmp_path, target=f"127.0.0.1:{port}", path="/metrics") as prometheus:
        wait_for(lambda: list(prometheus.query(f'up{{job="{JOB}"}}').values()) == [1], DEADLINE_SECONDS)
        counted = prometheus.query('http_requests_total{endpoint="/items/{item}"}')

    assert list(counted.values()) == [1]
