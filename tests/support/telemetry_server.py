"""The small application of `telemetry_app` behind uvicorn in a process of its own, its figures and its lines."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
SOON_SECONDS = 30.0
END_SECONDS = 10.0  # what a process may take to end; the figure itself is gated in tests/perf
REQUESTS = 20
KEY = "hcaik_canary_0123456789"
EVENT_OUTCOMES = ("sent", "suppressed", "dropped")


class Server:
    """The small application behind uvicorn, with its log and its metrics."""

    def __init__(self, process: ServerProcess, client: httpx.Client) -> None:
        self.process = process
        self.client = client

    @property
    def target(self) -> str:
        """Where it listens, as Prometheus names a target."""
        return self.client.base_url.netloc.decode()

    def ask(self, count: int = REQUESTS) -> set[int]:
        """Send requests and return the statuses of the answers."""
        return {self.client.get(f"/items/{number}").status_code for number in range(count)}

    def fail(self) -> httpx.Response:
        """Ask for the page that raises; uvicorn ends a connection on which the application has."""
        return self.client.get("/fail", headers={"connection": "close"})

    def figure(self, name: str, **labels: str) -> float:
        """Return the value of one series at /metrics, 0 where there is none."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def exports(self, outcome: str) -> float:
        """Return how many requests to the receiver ended so."""
        return self.figure("telemetry_exports_total", exporter="otlp", signal="traces", outcome=outcome)

    def dropped(self, reason: str) -> float:
        """Return how many spans reached no receiver, for this reason."""
        return self.figure("telemetry_spans_dropped_total", exporter="otlp", reason=reason)

    def error_events(self) -> dict[str, float]:
        """Return how many error events were sent, suppressed and dropped."""
        return {outcome: self.figure("telemetry_error_events_total", outcome=outcome) for outcome in EVENT_OUTCOMES}

    def wait(self, figure: Callable[[], object]) -> None:
        """Wait until a figure is above zero."""
        self.process.wait_for(figure, SOON_SECONDS)

    def end(self) -> None:
        """End it as a supervisor does: uvicorn shuts down in order, and then ends by the signal it was sent.

        A shutdown that is not orderly, or takes too long, fails.
        """
        self.client.close()
        self.process.send(signal.SIGTERM)
        assert self.process.wait_for_exit(END_SECONDS) == -signal.SIGTERM
        assert "Application shutdown complete" in self.process.output

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one event so far."""
        return [line for line in self.process.records if line["event"] == event]


def spans_to(endpoint: str, **settings: str) -> dict[str, str]:
    """Return the settings that send every span and no metrics to ``endpoint``; others beside, or in their place."""
    return {
        "OTLP_ENDPOINT": endpoint,
        "OTLP_API_KEY": KEY,
        "OTLP_METRICS_INTERVAL_SECONDS": "0",
        "TRACE_SAMPLE_RATE": "1",
        **settings,
    }


@contextmanager
def serving(**settings: str) -> Iterator[Server]:
    """Serve the application with these settings in its environment."""
    port = free_port()
    environ = {**os.environ, "LOG_FORMAT": "json", **settings}
    command = [sys.executable, "-m", "uvicorn", "--factory", "tests.support.telemetry_app:serve", "--port", str(port)]
    url = f"http://{LOOPBACK}:{port}"
    with (
        ServerProcess(command, environ=environ, directory=ROOT) as process,
        httpx.Client(base_url=url, trust_env=False, timeout=SOON_SECONDS) as client,
    ):
        process.wait_for_http(f"{url}/metrics", START_SECONDS)
        yield Server(process, client)
