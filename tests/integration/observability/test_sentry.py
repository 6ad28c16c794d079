"""Sentry that fails in every way, behind a real server; and one trace over event, line, header and span.

Each test of a fault runs uvicorn as a process of its own, with a receiver on loopback in Sentry's place.
"""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.support.http_receiver import Behaviour, FaultyReceiver, answer, drip, hang, raw
from tests.support.ports import LOOPBACK, free_port
from tests.support.sentry import KEY, dsn_of, events_in, exceptions_of
from tests.support.telemetry_app import CANARY, make_app
from tests.support.telemetry_server import SOON_SECONDS, Server, serving

from prethrift_backend.config import Settings
from prethrift_backend.observability.testing import capture_telemetry


@pytest.fixture(autouse=True)
def no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the spans out, which would go to the same receiver."""
    monkeypatch.setenv("SENTRY_TRACES", "false")


def _wait_for(server: Server, outcome: str, count: float) -> None:
    server.process.wait_for(
        lambda: server.error_events()[outcome] >= count, SOON_SECONDS, what=f"{count:g} events that were {outcome}"
    )


def test_a_failure_arrives_at_the_project_of_the_dsn(otlp_receiver: FaultyReceiver) -> None:
    """The envelope goes to the project's path with the key in a header, and is counted; a second failure too."""
    with serving(SENTRY_DSN=dsn_of(otlp_receiver)) as server:
        responses = [server.fail() for _ in range(2)]
        _wait_for(server, "sent", 2)
        server.end()

        events = events_in(otlp_receiver.requests)
        assert [event["contexts"]["trace"]["trace_id"] for event in events] == [
            response.headers["x-trace-id"] for response in responses
        ]
        (path,) = {request.path for request in otlp_receiver.requests}
        assert path == "/api/42/envelope/"
        assert KEY in otlp_receiver.requests[0].headers["x-sentry-auth"]
        assert otlp_receiver.requests[0].headers["content-type"] == "application/x-sentry-envelope"
        assert CANARY not in str(events)
        assert KEY not in server.process.output


@pytest.mark.parametrize(
    ("fault", "outcome", "said"),
    [
        (answer(429, b"slow down", retry_after="60"), "dropped", "HTTP 429 slow down"),
        (answer(200, x_sentry_rate_limits="60:error:organization"), "dropped", None),
        (answer(500, b"broken"), "dropped", "HTTP 500 broken"),
        (answer(413), "dropped", "HTTP 413"),
        (raw(b"what is HTTP?\r\n\r\n"), "dropped", "ProtocolError"),
        (hang, "dropped", "ReadTimeoutError"),
        (drip, "sent", None),
    ],
    ids=["429", "limits", "500", "413", "garbage", "hangs", "drips"],
)
def test_a_sentry_that_misbehaves(
    otlp_receiver: FaultyReceiver, fault: Behaviour, outcome: str, said: str | None
) -> None:
    """Requests are answered as ever, the figures tell what became of the events, the log says it once, and it ends."""
    otlp_receiver.behave(fault)
    with serving(SENTRY_DSN=dsn_of(otlp_receiver)) as server:
        first = [server.fail().status_code for _ in range(5)]
        _wait_for(server, outcome, 1)
        second = [server.fail().status_code for _ in range(5)]
        fine = server.client.get("/items/1").status_code
        server.end()

        assert (set(first + second), fine) == ({500}, 200)
        assert [line["detail"].startswith(said or "") for line in server.lines("export_failed")] == [True] * bool(said)
        assert server.lines("telemetry_failed") == []


def test_a_sentry_that_nobody_can_reach() -> None:
    """A refused connection loses the event, which is counted, and is said once."""
    with serving(SENTRY_DSN=f"http://{KEY}@{LOOPBACK}:{free_port()}/42") as server:
        statuses = {server.fail().status_code for _ in range(5)}
        _wait_for(server, "dropped", 5)
        server.end()

        assert statuses == {500}
        assert [(line["exporter"], line["signal"]) for line in server.lines("export_failed")] == [("sentry", "errors")]


def test_a_sentry_that_asks_to_be_spared_is_spared(otlp_receiver: FaultyReceiver) -> None:
    """After a 429 no event is sent until the time is over, however many there are."""
    otlp_receiver.behave(answer(429, retry_after="600"))
    with serving(SENTRY_DSN=dsn_of(otlp_receiver)) as server:
        server.fail()
        _wait_for(server, "dropped", 1)
        for _ in range(8):
            server.fail()
        _wait_for(server, "dropped", 9)

        assert len(otlp_receiver.requests) == 1


def test_a_sentry_that_comes_back_gets_events_again(otlp_receiver: FaultyReceiver) -> None:
    """What failed is not sent again; what comes later is, and the log says that it works again."""
    otlp_receiver.stop()
    with serving(SENTRY_DSN=dsn_of(otlp_receiver)) as server:
        server.fail()
        _wait_for(server, "dropped", 1)
        otlp_receiver.start()
        server.fail()
        _wait_for(server, "sent", 1)

        assert len(events_in(otlp_receiver.requests)) == 1
        assert len(server.lines("export_recovered")) == 1


def test_a_storm_reaches_sentry_as_a_handful(otlp_receiver: FaultyReceiver) -> None:
    """Of 200 identical failures ten are sent, and one for every six seconds that they took; the rest is a figure."""
    with serving(SENTRY_DSN=dsn_of(otlp_receiver)) as server:
        for _ in range(200):
            server.fail()
        server.process.wait_for(lambda: sum(server.error_events().values()) == 200, SOON_SECONDS)
        counts = server.error_events()
        server.end()

        assert 10 <= counts["sent"] <= 20
        assert counts["dropped"] == 0
        assert len(events_in(otlp_receiver.requests)) == counts["sent"]


@pytest.mark.parametrize("rate", [0.0, 1.0], ids=["unsampled", "sampled"])
async def test_event_line_header_and_span_are_one_trace(rate: float) -> None:
    """A 500 has one trace id wherever it shows, whether its trace was sampled or not."""
    with capture_telemetry(Settings(trace_sample_rate=rate)) as capture:
        transport = httpx.ASGITransport(make_app(capture.telemetry), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/fail")
        # Every question waits for threads, which would hold the event loop.
        (event,) = await asyncio.to_thread(lambda: capture.error_events)
        line = await asyncio.to_thread(capture.line, "request_failed")
        access = await asyncio.to_thread(capture.line, "request_completed")
        (span,) = capture.find_spans(kind="server")

    trace_id = response.headers["x-trace-id"]
    assert event["contexts"]["trace"]["trace_id"] == line["trace_id"] == access["trace_id"] == span.trace_id == trace_id
    assert event["contexts"]["trace"]["span_id"] == line["span_id"] == span.span_id
    assert exceptions_of(event)[-1]["type"] == "RuntimeError"
