"""Receivers that fail in every way, behind a real server: requests do not notice, the figures do, and it ends in time.

Each test runs uvicorn as a process of its own. What a process may take to end is a generous deadline here; the figure
itself is gated in tests/perf.
"""

from __future__ import annotations

import os
import sys

import pytest
from tests.support.http_receiver import Behaviour, FaultyReceiver, answer, drip, hang, raw, reject
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess
from tests.support.telemetry_server import KEY, REQUESTS, SOON_SECONDS, serving, spans_to
from tests.support.waiting import wait_for


@pytest.mark.parametrize(
    ("fault", "outcome", "said"),
    [
        (answer(429, b"slow down", retry_after="1"), "retry", "HTTP 429 slow down"),
        (answer(503, b"starting"), "retry", "HTTP 503 starting"),
        (answer(500, f"broken, and your key is {KEY}".encode()), "failure", "HTTP 500 broken"),
        (answer(302, location="http://127.0.0.1:1/elsewhere"), "failure", "HTTP 302"),
        (reject(2, "two are too old"), "partial", "two are too old"),
        (raw(b"\x00\xff what is HTTP?\r\n\r\n"), "retry", "ProtocolError"),
        (raw(b""), "retry", "ProtocolError"),
        (hang, "retry", "ReadTimeoutError"),
        (drip, "success", None),
    ],
    ids=["429", "503", "500", "redirect", "partial", "garbage", "closed", "hangs", "drips"],
)
def test_a_receiver_that_misbehaves(
    otlp_receiver: FaultyReceiver, fault: Behaviour, outcome: str, said: str | None
) -> None:
    """Requests are answered, the figures tell what happened, the log says it once, and the process ends."""
    otlp_receiver.behave(fault)
    with serving(**spans_to(otlp_receiver.endpoint)) as server:
        first = server.ask()
        server.wait(lambda: server.exports(outcome) >= 1)
        second = server.ask()
        tried = len(otlp_receiver.requests)
        server.end()

        assert first | second == {200}
        assert [line["detail"].startswith(said or "") for line in server.lines("export_failed")] == [True] * bool(said)
        assert len(otlp_receiver.requests) - tried <= 3
        assert KEY not in server.process.output
        assert server.lines("telemetry_failed") == []


def test_refused_spans_are_counted(otlp_receiver: FaultyReceiver) -> None:
    """Spans that a receiver rejects, or refuses for good, are figures at /metrics."""
    otlp_receiver.behave(reject(2, "too old"))
    with serving(**spans_to(otlp_receiver.endpoint)) as server:
        server.ask()
        server.wait(lambda: server.dropped("rejected") == 2)
        otlp_receiver.behave(answer(400))
        server.ask(5)
        server.wait(lambda: server.dropped("failed") == 10)
        server.wait(lambda: len(server.lines("spans_dropped")) >= 2)  # written by a thread of its own

        assert [line["reason"] for line in server.lines("spans_dropped")] == ["rejected", "failed"]


def test_a_receiver_that_nobody_can_reach() -> None:
    """A refused connection is tried again and again in the background, said once, and the end loses what it must."""
    with serving(**spans_to(f"http://{LOOPBACK}:{free_port()}")) as server:
        statuses = server.ask()
        server.wait(lambda: server.exports("retry") >= 2)
        server.end()

        assert statuses == {200}
        assert len(server.lines("export_failed")) == 1
        [dropped] = server.lines("spans_dropped")
        assert (dropped["reason"], dropped["count"]) == ("shutdown", 2 * REQUESTS)


def test_a_receiver_that_nobody_can_reach_by_grpc() -> None:
    """The same over gRPC."""
    with serving(**spans_to(f"http://{LOOPBACK}:{free_port()}", OTLP_PROTOCOL="grpc")) as server:
        statuses = server.ask()
        server.wait(lambda: server.exports("retry") >= 2)
        server.end()

        assert statuses == {200}
        [failed] = server.lines("export_failed")
        assert failed["detail"].startswith("UNAVAILABLE")


def test_every_receiver_dead_at_once(otlp_receiver: FaultyReceiver) -> None:
    """Collectors, Jaeger and Sentry that hang or refuse share one end: it does not take the sum of their times."""
    otlp_receiver.behave(hang)
    dsn = f"http://0123456789abcdef0123456789abcdef@{LOOPBACK}:{otlp_receiver.port}/1"
    jaeger = f"http://{LOOPBACK}:{otlp_receiver.port}/api/traces"
    with serving(**spans_to(otlp_receiver.endpoint, JAEGER_ENDPOINT=jaeger, SENTRY_DSN=dsn)) as server:
        statuses = server.ask()
        server.wait(lambda: len(otlp_receiver.requests) >= 3)
        server.end()

        assert statuses == {200}
        assert {line["exporter"] for line in server.lines("spans_dropped")} == {"otlp", "jaeger", "sentry"}


def test_a_receiver_that_dies_and_comes_back(otlp_receiver: FaultyReceiver) -> None:
    """Nobody has to do anything: what waited arrives when the receiver is there again, and the log says both."""
    with serving(**spans_to(otlp_receiver.endpoint)) as server:
        server.ask(3)
        server.wait(lambda: server.exports("success") >= 1)
        otlp_receiver.stop()
        server.ask(5)
        server.wait(lambda: server.exports("retry") >= 1)
        otlp_receiver.start()
        server.wait(lambda: len(otlp_receiver.span_names) >= 2 * 8)
        server.wait(lambda: server.lines("export_recovered"))
        server.end()

        assert otlp_receiver.span_names.count("look_up") == 8
        assert len(server.lines("export_failed")) == 1
        assert len(server.lines("export_recovered")) == 1
        assert server.lines("spans_dropped") == []


def test_retry_after_is_waited_for(otlp_receiver: FaultyReceiver) -> None:
    """After a 429 that names three seconds the receiver is left alone for three."""
    otlp_receiver.behave(answer(429, retry_after="3"))
    with serving(**spans_to(otlp_receiver.endpoint)) as server:
        server.ask(1)
        wait_for(lambda: otlp_receiver.requests, SOON_SECONDS)
        otlp_receiver.behave(answer(200))
        wait_for(lambda: len(otlp_receiver.requests) >= 2, SOON_SECONDS)

        first, second = otlp_receiver.requests[:2]
        assert second.at_seconds - first.at_seconds >= 3.0
        assert first.body == second.body


def test_a_request_is_compressed_and_carries_the_key(otlp_receiver: FaultyReceiver) -> None:
    """What goes over the wire is gzipped protobuf, at the path of the signal, with the key in its header."""
    with serving(**spans_to(otlp_receiver.endpoint)) as server:
        server.ask()
        server.wait(lambda: server.exports("success") >= 1)

        request = otlp_receiver.requests[0]
        assert request.path == "/v1/traces"
        assert request.headers["content-type"] == "application/x-protobuf"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.wire_bytes < len(request.body) / 3


_ONE_SPAN = """
from prethrift_backend.config import load_settings
from prethrift_backend.observability import configure

telemetry = configure(load_settings())
with telemetry.tracer("job").start_as_current_span("nightly"):
    pass
"""


@pytest.mark.parametrize("behaviour", [answer(200), hang], ids=["answers", "hangs"])
def test_a_process_that_ends_without_closing_sends_what_it_has(
    otlp_receiver: FaultyReceiver, behaviour: Behaviour
) -> None:
    """A job that forgets to close its telemetry still sends its last spans, and ends whatever the receiver does."""
    otlp_receiver.behave(behaviour)
    environ = {**os.environ, "OTLP_ENDPOINT": otlp_receiver.endpoint, "OTLP_METRICS_INTERVAL_SECONDS": "0"}

    with ServerProcess([sys.executable, "-c", _ONE_SPAN], environ=environ) as process:
        status = process.wait_for_exit(SOON_SECONDS)

    assert status == 0
    assert otlp_receiver.span_names == ["nightly"]
