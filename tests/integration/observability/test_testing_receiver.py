"""The receiver of `capture_telemetry`, on loopback, spoken to by the real exporters."""

from __future__ import annotations

import gzip
import io
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.support.http_receiver import FaultyReceiver
from tests.support.sentry import dsn_of, events_in, raised

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure, get_tracer, track_search_operation
from prethrift_backend.observability.testing import CountingIds, FakeClock, OtlpReceiver, capture_telemetry

TRACER = get_tracer("shop")


def test_a_captured_span_is_what_arrives() -> None:
    """What goes over the wire is what the capture without a receiver makes: the same request, but for the batching."""
    with capture_telemetry(receive_otlp=True) as capture:
        with TRACER.start_as_current_span("pay", attributes={"amount": 3, "token": "hunter2"}):
            pass
        (arrived,) = capture.otlp_requests
        (kept,) = capture.spans

    (span,) = arrived.spans
    assert arrived.path == "/v1/traces"
    assert (span.name, span.trace_id.hex(), span.span_id.hex()) == (kept.name, kept.trace_id, kept.span_id)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (kept.start_ns, kept.end_ns)
    assert b"hunter2" not in arrived.body
    assert [pair.value.string_value for pair in span.attributes if pair.key == "token"] == [kept.attributes["token"]]


def test_metrics_arrive_when_the_telemetry_closes() -> None:
    """The registry is pushed a last time at the end, with the headers of the settings."""
    settings = Settings(otlp_headers=SecretStr("x-team=shop"), otlp_metrics_interval_seconds=60)
    with capture_telemetry(settings, receive_otlp=True) as capture, track_search_operation("text_search"):
        pass

    pushed = [request for request in capture.otlp_requests if request.metrics]
    assert "search_operations_total" in {metric.name for request in pushed for metric in request.metrics}
    assert {request.headers["x-team"] for request in pushed} == {"shop"}


def _post(url: str, body: bytes, **headers: str) -> int:
    return httpx.post(url, content=body, headers=headers, trust_env=False).status_code


def test_a_body_that_is_not_packed_is_taken_too() -> None:
    """Any OTLP over HTTP will do, packed or not."""
    with capture_telemetry() as capture, TRACER.start_as_current_span("pay"):
        pass
    body = capture.otlp_requests[0].body

    with OtlpReceiver() as receiver:
        assert _post(f"{receiver.endpoint}/v1/traces", body) == 200
        assert _post(f"{receiver.endpoint}/v1/traces", gzip.compress(body), **{"Content-Encoding": "gzip"}) == 200

        assert [[span.name for span in request.spans] for request in receiver.requests] == [["pay"], ["pay"]]


def test_another_path_is_refused() -> None:
    """What is no signal of ours is 404, so that a wrong endpoint is seen."""
    with OtlpReceiver() as receiver:
        assert _post(f"{receiver.endpoint}/v1/unknown", b"") == 404
        assert receiver.requests == []


def _fail(telemetry: Telemetry) -> None:
    with pytest.raises(ValueError, match="no such size"), TRACER.start_as_current_span("pay"):
        raise ValueError("no such size, token=hunter2hunter2")
    telemetry.report_error(raised(ValueError("no such size, token=hunter2hunter2")), event="size_refused")


def test_a_captured_event_is_what_sentry_gets(otlp_receiver: FaultyReceiver) -> None:
    """The same fault, once captured and once sent over HTTP: but for the ids of the event they are the same."""
    with capture_telemetry() as capture:
        _fail(capture.telemetry)
        (kept,) = capture.error_events

    settings = Settings(sentry_dsn=SecretStr(dsn_of(otlp_receiver)), sentry_traces=False)
    real = configure(settings, clock=FakeClock(), ids=CountingIds(), log_stream=io.BytesIO(), strict=True)
    _fail(real)
    real.close()
    (sent,) = events_in(otlp_receiver.requests)

    assert kept["exception"]["values"][-1]["type"] == "ValueError"
    assert _without_ids(sent) == _without_ids(kept)
    assert "hunter2" not in str(sent)


def _without_ids(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "event_id"}
