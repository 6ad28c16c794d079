"""What the tests on error events share: a telemetry whose events stay in memory, and a reader of what Sentry would get.

The receiver that misbehaves is the one of tests/support/otlp_receiver.py: what it answers does not depend on the body.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import orjson
from prometheus_client.parser import text_string_to_metric_families
from tests.support.otlp_receiver import FaultyReceiver, Request
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure
from prethrift_backend.observability.errors import CapturedEvents
from prethrift_backend.observability.setup import PartsGiven
from prethrift_backend.observability.testing import FakeClock

Raised = TypeVar("Raised", bound=BaseException)

KEY = "0123456789abcdef0123456789abcdef"
PATIENCE_SECONDS = 10.0
START_SECONDS = 60.0
SOON_SECONDS = 30.0
END_SECONDS = 10.0  # what a process may take to end; the figure itself is gated in tests/perf
ROOT = Path(__file__).parents[2]
OUTCOMES = ("sent", "suppressed", "dropped")


class Reporting:
    """A telemetry on a simulated clock, with the events that it made.

    with Reporting() as reporting:
        reporting.capture(raised(ValueError("x")))
        reporting.events[0]
    """

    def __init__(self, *, strict: bool = True, parts: PartsGiven | None = None, **settings: Any) -> None:
        self.clock = FakeClock()
        self.captured = CapturedEvents()
        self.stream = io.BytesIO()
        given: PartsGiven = {"clock": self.clock, "sentry_transport": self.captured, "log_stream": self.stream}
        given.update(parts or {})
        self.telemetry: Telemetry = configure(
            Settings.model_validate({"log_format": "json", **settings}), strict=strict, **given
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.telemetry.close()

    def capture(self, error: BaseException, *, event: str = "request_failed") -> str | None:
        """Report a fault as the ASGI layer does."""
        assert self.telemetry.reporter is not None
        return self.telemetry.reporter.capture(error, event=event, request=None)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events so far, as Sentry would have read them."""
        assert self.telemetry.reporter is not None
        assert self.telemetry.reporter.flush(time.monotonic() + PATIENCE_SECONDS)
        return self.captured.events

    @property
    def event(self) -> dict[str, Any]:
        """The one event there is."""
        (event,) = self.events
        return event

    def counts(self) -> dict[str, float]:
        """Return how many events were sent, suppressed and dropped."""
        value = self.telemetry.metrics.registry.get_sample_value
        return {name: value("telemetry_error_events_total", {"outcome": name}) or 0.0 for name in OUTCOMES}

    def lines(self) -> list[dict[str, Any]]:
        """Close the telemetry and return its log lines."""
        self.telemetry.close()
        return [orjson.loads(line) for line in self.stream.getvalue().splitlines()]


def raised(error: Raised) -> Raised:
    """Raise ``error`` and return it, with the traceback that it has then."""
    caught(lambda: _raise(error))
    return error


def _raise(error: BaseException) -> None:
    raise error


def caught(fail: Callable[[], object]) -> BaseException:
    """Return what ``fail`` raises."""
    try:
        fail()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError(f"{fail!r} raised nothing")


def exceptions_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the chain of an event; what was caught stands last."""
    values: list[dict[str, Any]] = event["exception"]["values"]
    return values


class Server:
    """The small application of tests/support/telemetry_app.py behind uvicorn, with its log and its metrics."""

    def __init__(self, process: ServerProcess, client: httpx.Client) -> None:
        self.process = process
        self.client = client

    def fail(self) -> httpx.Response:
        """Ask for the page that raises; uvicorn ends a connection on which the application has."""
        return self.client.get("/fail", headers={"connection": "close"})

    def counts(self) -> dict[str, float]:
        """Return how many events were sent, suppressed and dropped."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        return {s.labels["outcome"]: s.value for s in samples if s.name == "telemetry_error_events_total"}

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one event so far."""
        return [line for line in self.process.records if line["event"] == event]

    def end(self) -> None:
        """End it as a supervisor does; a shutdown that is not orderly, or takes too long, fails."""
        self.client.close()
        self.process.send(signal.SIGTERM)
        assert self.process.wait_for_exit(END_SECONDS) == -signal.SIGTERM
        assert "Application shutdown complete" in self.process.output


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


def dsn_of(receiver: FaultyReceiver) -> str:
    """Return the DSN that leads to a receiver on loopback."""
    return f"http://{KEY}@127.0.0.1:{receiver.port}/42"


def events_in(requests: Iterable[Request]) -> list[dict[str, Any]]:
    """Return the events of the envelopes that arrived.

    An envelope is lines of JSON: its headers, then for each item the item's headers and its payload
    (https://develop.sentry.dev/sdk/foundations/envelopes/).
    """
    events = []
    for request in requests:
        if not request.path.endswith("/envelope/"):  # spans, which go to the same project
            continue
        lines = request.body.split(b"\n")[1:]
        for headers, payload in zip(lines[::2], lines[1::2], strict=False):
            if json.loads(headers)["type"] == "event":
                events.append(json.loads(payload))
    return events
