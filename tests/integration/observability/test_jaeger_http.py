"""Traces of a real application at a Jaeger collector that decodes them by the classes of Thrift's own compiler."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.exporting import sample_span
from tests.support.http_receiver import FaultyReceiver, answer
from tests.support.jaeger import decode, spans_in, tag_values
from tests.support.ports import LOOPBACK, free_port
from tests.support.telemetry_app import CANARY, make_app
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure
from prethrift_backend.observability.jaeger import JaegerTransport


@pytest.fixture
def collector() -> Iterator[FaultyReceiver]:
    """Run what answers as a Jaeger collector does."""
    with FaultyReceiver() as running:
        running.behave(answer(202))
        yield running


def _configure(collector: FaultyReceiver, stream: io.BytesIO) -> Telemetry:
    values = {
        "service_name": "thrifty-shop",
        "service_version": "1.2",
        "log_format": "json",
        "jaeger_endpoint": f"{collector.endpoint}/api/traces",
        "trace_sample_rate": 1.0,
    }
    return configure(Settings.model_validate(values), log_stream=stream)


async def _serve(collector: FaultyReceiver, *paths: str) -> tuple[list[httpx.Response], str]:
    """Ask an instrumented application, close its telemetry, and return the answers and what it logged."""
    stream = io.BytesIO()
    telemetry = _configure(collector, stream)
    transport = httpx.ASGITransport(app=make_app(telemetry), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        answers = [await client.get(path) for path in paths]
    await telemetry.aclose()
    return answers, stream.getvalue().decode()


def _trace_id(span: Any) -> str:
    halves = (span.traceIdHigh, span.traceIdLow)
    return "".join(f"{half & 0xFFFF_FFFF_FFFF_FFFF:016x}" for half in halves)


async def test_trace_arrives_whole(collector: FaultyReceiver) -> None:
    """Server span and inner span are on the trace that the response names, one under the other, with their tags."""
    [response], _ = await _serve(collector, "/items/7")

    spans = {span.operationName: span for span in spans_in(collector.requests)}
    server, inner = spans["GET /items/{item}"], spans["look_up"]
    assert {_trace_id(span) for span in spans.values()} == {response.headers["x-trace-id"]}
    assert (server.parentSpanId, inner.parentSpanId) == (0, server.spanId)
    tags = tag_values(server.tags)
    assert (tags["span.kind"], tags["http.response.status_code"]) == ("server", 200)
    assert tag_values(inner.tags)["item"] == "7"
    assert server.duration >= inner.duration >= 0


async def test_process_is_the_service(collector: FaultyReceiver) -> None:
    """Jaeger shows the service by its name; the rest of the resource is in the process's tags."""
    await _serve(collector, "/items/7")

    process = decode(collector.requests[0].body).process
    assert process.serviceName == "thrifty-shop"
    assert tag_values(process.tags)["service.version"] == "1.2"


async def test_failure_is_marked_and_told_without_its_secret(collector: FaultyReceiver) -> None:
    """A request that fails is an error with the exception as a log; no secret is in the bytes."""
    await _serve(collector, "/fail", f"/items/8?token={CANARY}")

    (server,) = (span for span in spans_in(collector.requests) if span.operationName == "GET /fail")
    tags = tag_values(server.tags)
    assert (tags["error"], tags["otel.status_code"], tags["http.response.status_code"]) == (True, "ERROR", 500)
    events = [tag_values(log.fields) for log in server.logs]
    assert ("exception", "RuntimeError") in [(event["event"], event.get("exception.type")) for event in events]
    assert all(CANARY.encode() not in request.body for request in collector.requests)


async def test_request_is_that_of_the_collectors_api(collector: FaultyReceiver) -> None:
    """Path, format and content type are what Jaeger documents, and the body is not compressed."""
    await _serve(collector, "/items/7")

    request = collector.requests[0]
    assert request.path == "/api/traces?format=jaeger.thrift"
    assert request.headers["content-type"] == "application/vnd.apache.thrift.binary"
    assert "content-encoding" not in request.headers


async def test_collector_that_is_busy_gets_the_spans_later(collector: FaultyReceiver) -> None:
    """503 is tried again, and the log has one line for it and one for the recovery."""
    stream = io.BytesIO()
    collector.behave(answer(503))
    telemetry = _configure(collector, stream)
    transport = httpx.ASGITransport(app=make_app(telemetry))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        await client.get("/items/7")
    await wait_for_async(lambda: collector.requests, 20)
    collector.behave(answer(202))
    await wait_for_async(lambda: b"export_recovered" in stream.getvalue(), 20)
    await telemetry.aclose()

    assert stream.getvalue().count(b"export_failed") == 1
    assert b"spans_dropped" not in stream.getvalue()
    assert collector.requests[-1].body == collector.requests[0].body


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (202, {}, ("success", None)),
        (200, {}, ("success", None)),
        (400, {}, ("failure", None)),
        (413, {}, ("failure", None)),
        (302, {"location": "http://127.0.0.1:1/"}, ("failure", None)),
        (429, {"retry_after": "7"}, ("retry", 7.0)),
        (503, {}, ("retry", None)),
        (504, {}, ("retry", None)),
    ],
)
def test_answers_are_understood(
    collector: FaultyReceiver, status: int, headers: dict[str, str], expected: tuple[str, float | None]
) -> None:
    """What may succeed later is told from what never will."""
    collector.behave(answer(status, b"", **headers))
    transport = JaegerTransport(f"{collector.endpoint}/api/traces")

    reply = transport.send([sample_span()], timeout_seconds=5)
    transport.close()

    assert (reply.outcome, reply.retry_after_seconds) == expected


def test_collector_that_is_away_is_tried_later() -> None:
    """A connection that is refused is no reason to give spans up."""
    transport = JaegerTransport(f"http://{LOOPBACK}:{free_port()}/api/traces")

    assert transport.send([sample_span()], timeout_seconds=5).outcome == "retry"
