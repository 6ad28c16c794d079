"""What the telemetry promises about sizes, about the event loop, and about its end."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

import pytest
from tests.overhead.variants.bare import make_app
from tests.overhead.workload import HEADERS, path_of_last
from tests.perf.conftest import Figures
from tests.perf.figures import bounds_over
from tests.support.asgi import Recorder, drive, http_scope
from tests.support.crowds import crowded_metrics, holds_of_scrapes
from tests.support.exporting import sample_traces, wire_bytes_per_trace
from tests.support.log_cost import access_line_microseconds
from tests.support.ports import LOOPBACK

from prethrift_backend.observability import instrument

ROOT = Path(__file__).parents[2]
SCRAPES = 5
STOPS = 3
STOP_TIMEOUT_SECONDS = 60


def _access_line_bytes(log_format: str) -> int:
    """Return the size of an access line: of the same request, with times and ids of the same length."""
    recorder = Recorder(log_format=log_format, environment="staging")
    app = instrument(make_app(1), recorder.telemetry)
    asyncio.run(drive(app, http_scope(path=path_of_last(1), headers=HEADERS)))
    return len(recorder.text())


def test_json_line_is_hardly_larger_than_its_plain_text(figures: Figures) -> None:
    """An access line as JSON takes at most 1.6 times the bytes that a person's terminal gets, colours left out."""
    sizes = {log_format: mean(_access_line_bytes(log_format) for _ in range(20)) for log_format in ("json", "console")}

    figures.take("access line as JSON", sizes["json"], "bytes")
    figures.hold(
        "access line as JSON, of its plain text", sizes["json"] / sizes["console"], "x", ("json_line", "size_ratio")
    )


def test_access_line_costs_little(figures: Figures) -> None:
    """An access line adds at most 8 µs of CPU time to a request, the thread that writes it included."""
    took = access_line_microseconds()

    figures.hold("access line, from fields to the stream", took, "µs", ("access_line", "added_us"))


def test_trace_takes_few_bytes_on_the_wire(figures: Figures) -> None:
    """A trace of four spans takes at most 250 bytes in a compressed batch; ids, times and values differ as in life."""
    size = wire_bytes_per_trace(sample_traces(512))

    figures.hold("OTLP on the wire, a trace of 4 spans", size, "bytes", ("exported_trace", "wire_bytes"))


async def test_scrape_of_many_series_does_not_hold_the_event_loop(figures: Figures) -> None:
    """While ten thousand series are scraped, nothing holds the loop for more than 5 ms."""
    registry = crowded_metrics(10_000).registry
    await holds_of_scrapes(registry)  # what is made once is made here
    longest = [(await holds_of_scrapes(registry)).longest_ms for _ in range(SCRAPES)]

    name, budget = "longest hold of the loop, 10,000 series scraped", ("scrape", "held_ms")
    figures.hold(name, median(longest), "ms", budget, bounds=bounds_over(longest))


@contextmanager
def _dead_port(*, listening: bool) -> Iterator[int]:
    """Give a port that takes connections and never answers, or one that refuses them."""
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        if listening:
            held.listen(100)
        yield held.getsockname()[1]


def _stop_seconds(port: int) -> float:
    """Return how long a process takes from the word to stop until it has ended; every receiver is at ``port``."""
    receivers = {
        "OTLP_ENDPOINT": f"http://{LOOPBACK}:{port}",
        "OTLP_METRICS_INTERVAL_SECONDS": "60",
        "JAEGER_ENDPOINT": f"http://{LOOPBACK}:{port}/api/traces",
        "SENTRY_DSN": f"http://key@{LOOPBACK}:{port}/1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.stopping"],
        cwd=ROOT,
        env={**os.environ, **receivers, "TRACE_SAMPLE_RATE": "1", "LOG_LEVEL": "CRITICAL", "LOG_FORMAT": "json"},
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stopping\n"
        began_at = time.perf_counter()
        assert process.wait(STOP_TIMEOUT_SECONDS) == 0
        return time.perf_counter() - began_at


@pytest.mark.parametrize("listening", [True, False], ids=["hang", "refuse"])
def test_process_ends_soon_when_every_collector_is_dead(listening: bool, figures: Figures) -> None:
    """Traces, metrics and error events are waiting and no receiver takes them: the process still ends within 3 s."""
    with _dead_port(listening=listening) as port:
        seconds = [_stop_seconds(port) for _ in range(STOPS)]

    how = "hangs" if listening else "refuses"
    name, budget = f"stop, every collector {how}", ("stop", "stop_seconds")
    figures.hold(name, median(seconds), "s", budget, bounds=bounds_over(seconds))
