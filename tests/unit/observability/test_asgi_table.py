"""Every way in which a request or connection can end, in one table: span, metrics, line, error report, headers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from opentelemetry.sdk.trace import ReadableSpan
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from tests.support.asgi import Message, drive, http_scope
from tests.support.traced_recorder import TracedRecorder
from tests.unit.observability.test_asgi import DISCONNECT, REQUEST, build_application

from prethrift_backend.observability import instrument
from prethrift_backend.observability._names import UNMATCHED


def application() -> FastAPI:
    """Return the application of the other tests, with what only this table asks."""
    app = build_application()

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(503)

    @app.get("/cancelled")
    async def cancelled() -> None:
        raise asyncio.CancelledError

    @app.get("/background-cancelled")
    async def background_cancelled() -> PlainTextResponse:
        async def stop() -> None:
            raise asyncio.CancelledError

        return PlainTextResponse("ok", background=BackgroundTask(stop))

    @app.get("/parts")
    async def parts() -> StreamingResponse:
        async def halves() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        return StreamingResponse(halves())

    app.add_route("/unsent", _send_nothing)
    return app


class _Nothing(PlainTextResponse):
    """An answer that is never sent."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Return without a word."""


async def _send_nothing(_request: Request) -> _Nothing:
    return _Nothing()


@dataclass(frozen=True)
class Case:
    """A request, and what has to be said of it; ``status`` is the one that counts, ``sent`` the one on the wire."""

    name: str
    path: str
    status: int
    span: str
    method: str = "GET"
    sent: int | None = -1  # as `status`
    endpoint: str = ""  # as `path`
    incoming: tuple[Message, ...] = (REQUEST,)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    fail_send_after: int | None = None
    error_type: str | None = None  # of the span
    events: tuple[str, ...] = ()  # exceptions on the span
    lines: tuple[str, ...] = ("request_completed",)
    reports: tuple[tuple[str, str], ...] = ()
    answer_has_ids: bool = True

    @property
    def template(self) -> str:
        """The endpoint's label."""
        return self.endpoint or self.path

    @property
    def label(self) -> str:
        """The method's label."""
        return self.method if self.method != "BREW" else "_OTHER"


PREFLIGHT = ((b"origin", b"https://a.example"), (b"access-control-request-method", b"GET"))
ITEM = "/items/{item_id}"
FAILED = ("request_failed", "request_completed")

HTTP = [
    Case("get", "/items/5", 200, f"GET {ITEM}", endpoint=ITEM),
    Case("head", "/items/5", 200, f"HEAD {ITEM}", "HEAD", endpoint=ITEM),
    Case("preflight", "/items/5", 200, "OPTIONS", "OPTIONS", endpoint=UNMATCHED, headers=PREFLIGHT),
    Case("404", "/nowhere", 404, "GET", endpoint=UNMATCHED),
    Case("405", "/items/5", 405, f"DELETE {ITEM}", "DELETE", endpoint=ITEM),
    Case("other method", "/items/5", 405, f"HTTP {ITEM}", "BREW", endpoint=ITEM),
    Case("307", "/slash", 307, "GET", endpoint=UNMATCHED),
    Case("422", "/items/five", 422, f"GET {ITEM}", endpoint=ITEM),
    Case("503 without an exception", "/refused", 503, "GET /refused", error_type="503"),
    Case("mount", "/plain/7/leaf/a", 200, "GET /plain/{tenant}/leaf/{name}", endpoint="/plain/{tenant}/leaf/{name}"),
    Case(
        "nested routers", "/api/outer/inner/things/1", 200, "GET /api/outer/inner/things/{thing_id}",
        endpoint="/api/outer/inner/things/{thing_id}",
    ),
    Case("pieces", "/parts", 200, "GET /parts"),
    Case(
        "500", "/fail", 500, "GET /fail", error_type="ValueError", events=("ValueError",), lines=FAILED,
        reports=(("request_failed", "ValueError"),),
    ),
    Case(
        "failure in mid-stream", "/stream-fails", 500, "GET /stream-fails", sent=200, error_type="ValueError",
        events=("ValueError",), lines=FAILED, reports=(("request_failed", "ValueError"),),
    ),
    Case("no answer", "/unsent", 500, "GET /unsent", sent=None, error_type="incomplete_response", answer_has_ids=False),
    Case(
        "client gone before the headers", "/upload", 499, "POST /upload", "POST", sent=500,
        incoming=({"type": "http.request", "body": b"x", "more_body": True}, DISCONNECT),
    ),
    Case(
        "client gone after the headers", "/stream-waits", 499, "GET /stream-waits", sent=200,
        incoming=(REQUEST, DISCONNECT),
    ),
    Case(
        "client gone when sent to", "/items/5", 499, f"GET {ITEM}", endpoint=ITEM, sent=200, fail_send_after=0,
        answer_has_ids=False,
    ),
    Case(
        "cancelled by the server", "/cancelled", 503, "GET /cancelled", sent=None, error_type="CancelledError",
        answer_has_ids=False,
    ),
    Case(
        "failing background task", "/background", 200, "GET /background",
        lines=("request_completed", "background_task_failed"), reports=(("background_task_failed", "RuntimeError"),),
    ),
    Case("cancelled background task", "/background-cancelled", 200, "GET /background-cancelled"),
]  # fmt: skip


def _shown(span: ReadableSpan) -> dict[str, Any]:
    names = ("http.request.method", "http.response.status_code", "http.route", "error.type", "prethrift.sampled_late")
    attributes = span.attributes or {}
    return {
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "events": tuple((event.attributes or {})["exception.type"] for event in span.events),
        **{name: attributes[name] for name in names if name in attributes},
    }


def _expected(case: Case, *, is_late: bool) -> dict[str, Any]:
    optional = {
        "http.route": None if case.template == UNMATCHED else case.template,
        "error.type": case.error_type,
        "prethrift.sampled_late": is_late or None,
    }
    return {
        "name": case.span,
        "kind": "SERVER",
        "status": "ERROR" if case.status >= 500 else "UNSET",
        "events": case.events,
        "http.request.method": case.label,
        "http.response.status_code": case.status,
        **{name: value for name, value in optional.items() if value is not None},
    }


@pytest.mark.parametrize("rate", [1.0, 0.0], ids=["sampled", "not-sampled"])
@pytest.mark.parametrize("case", HTTP, ids=lambda case: case.name)
async def test_everything_that_is_said_of_a_request_agrees(case: Case, rate: float) -> None:
    """One request: one span where it is sampled or failed, one count, its lines, its error report, its headers."""
    recorder = TracedRecorder(trace_sample_rate=rate)
    scope = http_scope(case.method, case.path, headers=case.headers)

    answer = await drive(
        instrument(application(), recorder.telemetry), scope, case.incoming, fail_send_after=case.fail_send_after
    )

    lines = recorder.lines()
    closing = next(line for line in lines if line["event"] == "request_completed")
    assert tuple(line["event"] for line in lines) == case.lines
    assert (closing["status_code"], closing["endpoint"], closing["method"]) == (
        case.status, case.template, case.label,
    )  # fmt: skip
    assert closing.get("sent_status_code") == (case.sent if case.sent not in {-1, None, case.status} else None)

    labels = {"method": case.label, "endpoint": case.template}
    assert recorder.sample("http_requests_total", status_code=str(case.status), **labels) == 1
    assert recorder.sample("http_request_duration_seconds_count", **labels) == 1
    assert recorder.sample("http_requests_in_progress") == 0

    assert tuple(recorder.errors.errors) == case.reports
    assert set(recorder.errors.traces) <= {closing["trace_id"]}

    exists = rate == 1.0 or case.status >= 500 or bool(case.reports)
    servers = [span for span in recorder.spans if span.kind.name == "SERVER"]
    assert [_shown(span) for span in servers] == [_expected(case, is_late=rate == 0)] * exists
    for span in servers:
        context = span.get_span_context()
        assert context is not None
        assert context.trace_flags.sampled
        assert {(line["trace_id"], line["span_id"]) for line in lines} == {
            (f"{context.trace_id:032x}", f"{context.span_id:016x}")
        }

    if case.answer_has_ids:
        assert answer.header(b"x-request-id") == [closing["request_id"].encode()]
        assert answer.header(b"x-trace-id") == [closing["trace_id"].encode()]


@dataclass(frozen=True)
class Socket:
    """A connection, and what has to be said of it."""

    name: str
    room: str
    close_code: int
    incoming: tuple[Message, ...]
    status: int = 101
    error_type: str | None = None
    received: int = 0
    sent: int = 0
    lines: tuple[str, ...] = ("websocket_closed",)
    reports: tuple[tuple[str, str], ...] = field(default=())


CONNECT: Message = {"type": "websocket.connect"}
SOCKETS = [
    Socket("closed by us", "a", 4001, (CONNECT, {"type": "websocket.receive", "text": "hi"}), received=1, sent=1),
    Socket("closed by the client", "a", 1001, (CONNECT, {"type": "websocket.disconnect", "code": 1001})),
    Socket("lost", "a", 1006, (CONNECT, {"type": "websocket.disconnect", "code": 1006})),
    Socket("nonsense for a code", "a", 1006, (CONNECT, {"type": "websocket.disconnect", "code": 77})),
    Socket(
        "failed", "broken", 1006, (CONNECT,), error_type="ValueError", lines=("websocket_failed", "websocket_closed"),
        reports=(("websocket_failed", "ValueError"),),
    ),
    Socket("refused", "nowhere/at/all", 1000, (CONNECT,), status=403),
]  # fmt: skip


@pytest.mark.parametrize("rate", [1.0, 0.0], ids=["sampled", "not-sampled"])
@pytest.mark.parametrize("case", SOCKETS, ids=lambda case: case.name)
async def test_everything_that_is_said_of_a_connection_agrees(case: Socket, rate: float) -> None:
    """One connection: one span where it is sampled or failed, its counts, its lines, its error report, its headers."""
    recorder = TracedRecorder(trace_sample_rate=rate)
    path = f"/api/outer/inner/socket/{case.room}"
    endpoint = UNMATCHED if case.status == 403 else "/api/outer/inner/socket/{room}"

    answer = await drive(
        instrument(application(), recorder.telemetry),
        {**http_scope(path=path), "type": "websocket", "scheme": "ws"},
        case.incoming,
    )

    lines = recorder.lines()
    assert tuple(line["event"] for line in lines) == case.lines
    assert (lines[-1]["close_code"], lines[-1]["accepted"]) == (case.close_code, case.status == 101)

    assert recorder.sample("websocket_connections_total", endpoint=endpoint, close_code=str(case.close_code)) == 1
    assert recorder.sample("websocket_connection_duration_seconds_count", endpoint=endpoint) == 1
    assert recorder.sample("websocket_messages_total", endpoint=endpoint, direction="received") == case.received
    assert recorder.sample("websocket_messages_total", endpoint=endpoint, direction="sent") == case.sent
    assert recorder.sample("websocket_connections_open") == 0
    assert tuple(recorder.errors.errors) == case.reports

    spans = recorder.spans
    assert len(spans) == (rate == 1.0 or case.error_type is not None)
    for span in spans:
        attributes = span.attributes or {}
        assert span.name == ("WEBSOCKET" if endpoint == UNMATCHED else f"WEBSOCKET {endpoint}")
        assert span.status.status_code.name == ("UNSET" if case.error_type is None else "ERROR")
        assert attributes.get("error.type") == case.error_type
        assert attributes["http.response.status_code"] == case.status
        assert attributes["prethrift.websocket.close_code"] == case.close_code
        assert attributes.get("prethrift.sampled_late", False) is (rate == 0)

    if case.status == 101:
        assert answer.header(b"x-request-id") == [lines[-1]["request_id"].encode()]
        assert answer.header(b"x-trace-id") == [lines[-1]["trace_id"].encode()]
