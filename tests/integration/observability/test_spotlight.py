"""Error events in a real Spotlight, which reads them as Sentry would."""

from __future__ import annotations

from tests.support.http_receiver import FaultyReceiver
from tests.support.sentry import dsn_of, events_in, exceptions_of
from tests.support.spotlight import Spotlight
from tests.support.telemetry_app import CANARY
from tests.support.telemetry_server import SOON_SECONDS, serving


def test_a_failure_of_a_running_backend_arrives(spotlight: Spotlight) -> None:
    """An unhandled exception is one event, on the trace of the response's header and of the log line."""
    with serving(SENTRY_SPOTLIGHT=spotlight.url, SERVICE_NAME="shop", SERVICE_VERSION="1.2.3") as server:
        response = server.fail()
        event = spotlight.wait_for_event()
        server.end()

        trace_id = response.headers["x-trace-id"]
        (line,) = server.lines("request_failed")
        assert response.status_code == 500
        assert event["contexts"]["trace"]["trace_id"] == trace_id == line["trace_id"]
        assert event["contexts"]["trace"]["span_id"] == line["span_id"]
        assert event["tags"]["request_id"] == response.headers["x-request-id"] == line["request_id"]
        assert (event["release"], event["transaction"]) == ("shop@1.2.3", "GET /fail")
        assert exceptions_of(event)[-1]["type"] == "RuntimeError"
        assert CANARY not in str(event)


def test_the_command_line_shows_it(spotlight: Spotlight) -> None:
    """`spotlight tail errors` understands the event: what failed, where, on which trace."""
    with serving(SENTRY_SPOTLIGHT=spotlight.url) as server:
        response = server.fail()
        spotlight.wait_for_event()
        shown = spotlight.tail()

    assert (shown["type"], shown["exception_type"]) == ("error", "RuntimeError")
    assert shown["filename"].endswith("tests/support/telemetry_app.py")
    assert shown["function"] == "fail"
    assert shown["trace_id"] == response.headers["x-trace-id"]


def test_sentry_and_spotlight_get_the_same_event(spotlight: Spotlight, otlp_receiver: FaultyReceiver) -> None:
    """A Spotlight beside a DSN gets a copy."""
    with serving(SENTRY_SPOTLIGHT=spotlight.url, SENTRY_DSN=dsn_of(otlp_receiver)) as server:
        server.fail()
        shown = spotlight.wait_for_event()
        server.process.wait_for(lambda: events_in(otlp_receiver.requests), SOON_SECONDS)

    assert [event["event_id"] for event in events_in(otlp_receiver.requests)] == [shown["event_id"]]
