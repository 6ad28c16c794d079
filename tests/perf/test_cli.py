"""How long the commands that are started often take."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

import pytest
from tests.perf.conftest import Figures
from tests.perf.figures import bounds_over

COMMAND = [str(Path(sys.executable).with_name("prethrift-backend")), "health"]
STARTS = 7
BODY = b'{"status": "healthy", "checks": []}'


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Run a server that is healthy."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server.server_port
        server.shutdown()


def _ask(port: int) -> float:
    started = time.perf_counter()
    subprocess.run(COMMAND, env={**os.environ, "PORT": str(port)}, check=True, capture_output=True)
    return time.perf_counter() - started


def test_health_is_quick(port: int, figures: Figures) -> None:
    """A container's health check, from its start to its end, takes at most 0.3 seconds."""
    took = [_ask(port) for _ in range(STARTS)]

    name = "prethrift-backend health, start to exit"
    figures.take(name, median(took), "s", at_most=0.3, bounds=bounds_over(took))
