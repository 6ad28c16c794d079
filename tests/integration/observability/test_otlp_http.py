"""OTLP over HTTP, spoken to a receiver on loopback that misbehaves."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from tests.support.exporting import sample_span, sample_traces
from tests.support.http_receiver import FaultyReceiver, answer, drip, drip_head, hang, raw, reject
from tests.support.ports import LOOPBACK, free_port

from prethrift_backend.config import Settings
from prethrift_backend.observability.exporters import make_transports
from prethrift_backend.observability.otlp import METRICS_PATH, TRACES_PATH, OtlpHttp, OtlpTraces

KEY = "hcaik_canary_0123456789"


@pytest.fixture
def connection(otlp_receiver: FaultyReceiver) -> Iterator[OtlpHttp]:
    """Make a connection to the receiver, with a key."""
    made = OtlpHttp(otlp_receiver.endpoint, headers={"x-honeycomb-team": KEY})
    yield made
    made.close()


def test_each_signal_has_its_path(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """Traces and metrics go to their places below the endpoint, with the same headers."""
    connection.post(TRACES_PATH, b"")
    connection.post(METRICS_PATH, b"")

    assert [request.path for request in otlp_receiver.requests] == ["/v1/traces", "/v1/metrics"]
    assert {request.headers["x-honeycomb-team"] for request in otlp_receiver.requests} == {KEY}


def test_a_connection_is_kept(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """One request after the other goes over the same connection."""
    for _ in range(5):
        connection.post(TRACES_PATH, b"")

    assert len(otlp_receiver.requests) == 5
    assert otlp_receiver.connections == 1


def test_a_connection_that_the_receiver_has_closed_is_made_anew(
    otlp_receiver: FaultyReceiver, connection: OtlpHttp
) -> None:
    """A receiver that was restarted between two requests costs neither of them."""
    first = connection.post(TRACES_PATH, b"")
    otlp_receiver.stop()
    otlp_receiver.start()
    second = connection.post(TRACES_PATH, b"")

    assert (first.outcome, second.outcome) == ("success", "success")


def test_a_redirect_is_not_followed(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """The key goes to the host that it was set for, whatever that host says."""
    with FaultyReceiver() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            otlp_receiver.behave(answer(status, location=f"{elsewhere.endpoint}/v1/traces"))
            assert connection.post(TRACES_PATH, b"").outcome == "failure"

        assert elsewhere.requests == []


def test_an_answer_without_end_ends(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """A body that comes a byte at a time is left when the time is over; its status has said enough."""
    otlp_receiver.behave(drip)

    assert connection.post(TRACES_PATH, b"", timeout_seconds=0.2).outcome == "success"


def test_a_head_without_end_is_left(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """A receiver that sends its headers a byte at a time, each of them in time, is one that says nothing."""
    otlp_receiver.behave(drip_head)

    reply = connection.post(TRACES_PATH, b"", timeout_seconds=0.3)

    assert (reply.outcome, reply.detail.partition(":")[0]) == ("retry", "ReadTimeoutError")
    otlp_receiver.behave(answer(200))
    assert connection.post(TRACES_PATH, b"").outcome == "success"


def test_silence_is_tried_again(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """A receiver that takes the request and says nothing may have a bad moment; when to try again is the queue's."""
    otlp_receiver.behave(hang)

    assert connection.post(TRACES_PATH, b"", timeout_seconds=0.1).outcome == "retry"
    assert len(otlp_receiver.requests) == 1


def test_a_huge_answer_is_cut(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """Of a long body only the beginning is read, and less is shown."""
    otlp_receiver.behave(answer(500, b"broken " * 1_000_000))

    reply = connection.post(TRACES_PATH, b"")

    assert reply.detail.startswith("HTTP 500 broken broken")
    assert len(reply.detail) == 300


@pytest.mark.parametrize(
    "said",
    [b"", b"\x00" * 100, b"HTTP/1.1 999999 what\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\xff"],
)
def test_what_is_no_http_does_not_raise(otlp_receiver: FaultyReceiver, connection: OtlpHttp, said: bytes) -> None:
    """Whatever comes back, there is an answer, and the next request is a fresh start."""
    otlp_receiver.behave(raw(said))
    first = connection.post(TRACES_PATH, b"", timeout_seconds=1.0)
    otlp_receiver.behave(answer(200))
    second = connection.post(TRACES_PATH, b"")

    assert first.outcome in {"retry", "failure", "success"}
    assert second.outcome == "success"


def test_a_key_that_is_sent_back_is_hidden(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """A receiver that repeats the request's headers puts no key into the log."""
    otlp_receiver.behave(answer(403, f"no such key: {KEY}".encode()))

    assert connection.post(TRACES_PATH, b"").detail == "HTTP 403 no such key: [redacted]"


def test_rejected_metrics_are_read(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """Partial success is read for each signal."""
    otlp_receiver.behave(reject(3, "too many labels"))

    reply = connection.post(METRICS_PATH, b"")

    assert (reply.outcome, reply.rejected, reply.detail) == ("partial", 3, "too many labels")


def test_nobody_there_is_tried_again() -> None:
    """A refused connection and a name that does not resolve are what a restart of the receiver looks like."""
    refused = OtlpHttp(f"http://{LOOPBACK}:{free_port()}").post(TRACES_PATH, b"")
    unknown = OtlpHttp("http://collector.invalid").post(TRACES_PATH, b"")

    assert (refused.outcome, unknown.outcome) == ("retry", "retry")
    assert "Connection refused" in refused.detail


def test_what_goes_over_the_wire_is_small(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """A batch of traces of four spans costs 250 bytes a trace at most, as counted by the receiver."""
    traces = sample_traces(128)

    OtlpTraces("otlp", connection).send([span for trace in traces for span in trace], timeout_seconds=5.0)

    [request] = otlp_receiver.requests
    assert len(request.span_names) == 4 * 128
    assert request.wire_bytes / 128 <= 250


def test_sentry_gets_spans_at_its_own_place(otlp_receiver: FaultyReceiver) -> None:
    """The DSN's project is in the path, its key in Sentry's header alone."""
    dsn = f"http://0123456789abcdef0123456789abcdef@{LOOPBACK}:{otlp_receiver.port}/42"
    [transport] = make_transports(Settings(sentry_dsn=SecretStr(dsn)))

    transport.send([sample_span("GET /items")], timeout_seconds=5.0)
    transport.close()

    [request] = otlp_receiver.requests
    assert request.path == "/api/42/integration/otlp/v1/traces/"
    assert request.headers["x-sentry-auth"].startswith("Sentry sentry_key=0123456789abcdef0123456789abcdef,")
    assert request.span_names == ["GET /items"]


# From 3.12 on a fork beside threads warns; that it is survived is what is shown here.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_a_connection_of_its_own(otlp_receiver: FaultyReceiver, connection: OtlpHttp) -> None:
    """Parent and child never write into one another's requests."""
    connection.post(TRACES_PATH, b"")

    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os._exit(0 if connection.post(TRACES_PATH, b"").outcome == "success" else 1)
    status = os.waitpid(child, 0)[1]
    again = connection.post(TRACES_PATH, b"")

    assert status == 0
    assert again.outcome == "success"
    assert otlp_receiver.connections == 2
