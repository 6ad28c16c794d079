"""What the tests on error events share: a telemetry whose events stay in memory, and a reader of what Sentry would get.

The receiver that misbehaves is the one of tests/support/http_receiver.py: what it answers does not depend on the body.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson
from tests.support.http_receiver import FaultyReceiver, Request
from tests.support.telemetry_server import EVENT_OUTCOMES

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure
from prethrift_backend.observability.errors import CapturedEvents
from prethrift_backend.observability.setup import PartsGiven
from prethrift_backend.observability.testing import FakeClock

Raised = TypeVar("Raised", bound=BaseException)

KEY = "0123456789abcdef0123456789abcdef"
PATIENCE_SECONDS = 10.0


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
        return {name: value("telemetry_error_events_total", {"outcome": name}) or 0.0 for name in EVENT_OUTCOMES}

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
