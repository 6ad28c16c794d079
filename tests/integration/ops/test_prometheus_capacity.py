"""The formula of series in docs/capacity.md on a real Prometheus that scrapes what the backend really shows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from tests.support.capacity import series_of_target
from tests.support.capacity_inputs import Exposed, expose, read_scrape
from tests.support.processes import LOOPBACK, ServerProcess, free_port

pytestmark = pytest.mark.usefixtures("prometheus_tools")

DEADLINE_SECONDS = 60.0
_CONFIGURATION = """\
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - {{job_name: prethrift-backend, metrics_path: /metrics, static_configs: {targets}}}
  - {{job_name: prethrift-health, metrics_path: /health, static_configs: {targets}}}
"""


@contextmanager
def _serving(exposed: Exposed) -> Iterator[str]:
    """Show what a process has shown, again and again; yield host:port."""
    bodies = {"/metrics": (exposed.metrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")}
    bodies["/health"] = (exposed.health, "text/plain; version=0.0.4; charset=utf-8")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, content_type = bodies[self.path]
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class' name
            """Say nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _scraping(folder: Path, address: str, replicas: int) -> Iterator[tuple[ServerProcess, str]]:
    """Run a Prometheus that takes the address for as many replicas; yield it and its URL."""
    targets = [{"targets": [address], "labels": {"instance": f"replica-{number}"}} for number in range(replicas)]
    path = folder / "prometheus.yml"
    path.write_text(_CONFIGURATION.format(targets=json.dumps(targets)))
    subprocess.run(["promtool", "check", "config", str(path)], check=True, capture_output=True, timeout=60)
    own = f"{LOOPBACK}:{free_port()}"
    command = ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}", "--log.level=warn"]
    with ServerProcess([*command, f"--web.listen-address={own}"], directory=folder) as process:
        process.wait_for_http(f"http://{own}/-/ready", DEADLINE_SECONDS)
        yield process, f"http://{own}"


def _value(url: str, expression: str) -> float:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, trust_env=False).raise_for_status()
    found = answer.json()["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


@pytest.mark.parametrize("replicas", [1, 4])
def test_series_grow_by_the_formula(tmp_path: Path, replicas: int) -> None:
    """Of each replica Prometheus' head has the series of both jobs, and the five that it adds to each target."""
    exposed = asyncio.run(expose(is_busy=True))
    expected = replicas * series_of_target(read_scrape(exposed))

    with _serving(exposed) as address, _scraping(tmp_path, address, replicas) as (process, url):
        process.wait_for(lambda: _value(url, "sum(up)") == 2 * replicas, DEADLINE_SECONDS, what="all targets scraped")
        process.wait_for(
            lambda: _value(url, 'count({__name__!=""})') >= expected, DEADLINE_SECONDS, what=f"{expected} series"
        )

        assert _value(url, 'count({__name__!=""})') == expected
        status = httpx.get(f"{url}/api/v1/status/tsdb", trust_env=False).json()["data"]["headStats"]
        assert status["numSeries"] == expected
