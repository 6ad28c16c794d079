"""Rare ways in which a request, a handshake or a lifespan ends, and what is said of it all the same."""

import asyncio
import contextvars
import gc
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest
from fastapi import FastAPI
from opentelemetry.trace import INVALID_SPAN, StatusCode, get_current_span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from tests.support.asgi import Message, Recorder, drive, http_scope
from tests.support.traced_recorder import TracedRecorder

from prethrift_backend.config import Settings
from prethrift_backend.observability import bind_user, instrument
from prethrift_backend.observability._names import UNMATCHED
from prethrift_backend.observability.context import current_request, current_signals

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
TRAILED: Message = {**START, "trailers": True}
SOCKET = {**http_scope(path="/live"), "type": "websocket", "scheme": "ws"}


def fail_always(*_: object) -> NoReturn:
    """Stand in for a part that is broken."""
    raise ZeroDivisionError("broken")


def sends(*messages: Message) -> Callable[..., Any]:
    """Return an application that sends these messages, and a lifespan's none."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(dict(message))

    return app


PATH: Message = {"type": "http.response.pathsend", "path": "/pictures/1"}
PIECE: Message = {"type": "http.response.body", "body": b"one", "more_body": True}
LAST: Message = {"type": "http.response.body", "body": b"two"}
TRAILERS: Message = {"type": "http.response.trailers", "headers": []}
MORE_TRAILERS: Message = {**TRAILERS, "more_trailers": True}


@pytest.mark.parametrize(
    "messages",
    [
        (START, PATH),
        (START, {"type": "http.response.zerocopysend", "file": 3}),
        (START, {"type": "http.response.zerocopysend", "file": 3, "more_body": True}, LAST),
        (TRAILED, LAST, TRAILERS),
        (TRAILED, PIECE, LAST, MORE_TRAILERS, TRAILERS),
        (TRAILED, PATH, TRAILERS),
    ],
)
async def test_an_answer_by_an_extension_of_asgi_is_complete(recorder: Recorder, messages: tuple[Message, ...]) -> None:
    """A file that the server sends, and trailers behind the body, end an answer as a last piece does."""
    await drive(instrument(sends(*messages), recorder.telemetry), http_scope())

    (line,) = recorder.lines("request_completed")
    assert (line["status_code"], line.get("error_type")) == (200, None)


@pytest.mark.parametrize(
    "messages",
    [
        (START, PIECE),
        (TRAILED, LAST),
        (TRAILED, LAST, MORE_TRAILERS),
        (START, {"type": "http.response.zerocopysend", "file": 3, "more_body": True}),
    ],
)
async def test_an_answer_without_its_end_has_failed(recorder: Recorder, messages: tuple[Message, ...]) -> None:
    """A last piece, or trailers, that were announced and did not come are an error, whatever the status was."""
    await drive(instrument(sends(*messages), recorder.telemetry), http_scope())

    (line,) = recorder.lines("request_completed")
    assert (line["status_code"], line["sent_status_code"], line["error_type"]) == (500, 200, "incomplete_response")


async def test_a_client_that_leaves_with_a_503_in_hand_has_got_it(recorder: Recorder) -> None:
    """An error is recorded when the application returns; what the client does meanwhile is not how it ended."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": 503})
        await send(LAST)
        await receive()

    await drive(instrument(app, recorder.telemetry), http_scope(), [{"type": "http.disconnect"}])

    (line,) = recorder.lines("request_completed")
    assert (line["status_code"], line["client_disconnected"]) == (503, False)


async def test_a_fault_is_told_of_although_its_answer_was_stopped(recorder: Recorder) -> None:
    """A server that stops while the 500 is on its way loses neither the error line nor the access line."""

    async def fail(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ValueError("broken")

    async def hang(_message: Message) -> None:
        started.set()
        await asyncio.Event().wait()

    started = asyncio.Event()
    app = instrument(fail, recorder.telemetry)
    request = asyncio.create_task(app(http_scope(), asyncio.Event().wait, hang))  # type: ignore[arg-type]  # not asked
    await started.wait()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)

    assert [line["event"] for line in recorder.lines()] == ["request_failed", "request_completed"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_request_leaves_no_span_behind(recorder: Recorder, kind: str) -> None:
    """A server may serve the next request in the same context: neither span nor request is current any more."""
    app = sends(START, LAST) if kind == "http" else sends({"type": "websocket.close"})

    await drive(instrument(app, recorder.telemetry), {**http_scope(), "type": kind})

    assert (get_current_span(), current_request()) == (INVALID_SPAN, None)


class Pending:
    """What no loop has to be there for to be waited for."""

    def __await__(self) -> Generator[None, None, NoReturn]:
        """Wait for ever."""
        while True:
            yield


def test_a_request_that_is_given_up_ends_quietly(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    """A server that stops at once leaves requests for the collector to close, wherever that runs."""

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    request = instrument(app, recorder.telemetry)(http_scope(), Pending, sends())
    contextvars.Context().run(request.send, None)
    request.close()

    (line,) = recorder.lines()
    assert (line["event"], "request_id" in line) == ("request_completed", True)
    assert (recorder.sample("http_requests_in_progress"), caplog.messages) == (0, [])


async def test_the_server_does_not_repeat_what_broke_because_the_client_left(recorder: Recorder) -> None:
    """A server writes a traceback at ERROR for whatever is raised; a client that left is no fault."""

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        raise RuntimeError("nobody is there")

    answer = await drive(instrument(app, recorder.telemetry), http_scope(), [{"type": "http.disconnect"}])
    assert answer.error is not None
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=answer.error)

    assert [(line["event"], line["status_code"]) for line in recorder.lines()] == [("request_completed", 499)]


async def test_a_user_without_text_costs_no_span() -> None:
    """Somebody else's object for a user may raise when it is asked for its text."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        bind_user(Broken())  # type: ignore[arg-type]  # what a caller does
        await send(START)
        await send(LAST)

    recorder = TracedRecorder()
    await drive(instrument(app, recorder.telemetry), http_scope())

    assert "Broken" in str((recorder.spans[0].attributes or {})["user.id"])


HANDSHAKES: list[tuple[str, tuple[Message, ...], int, str | None, bool]] = [
    ("closed", ({"type": "websocket.close"},), 403, None, False),
    (
        "denied",
        ({"type": "websocket.http.response.start", "status": 429, "headers": []},),
        429, None, False,
    ),
    (
        "denied by a fault",
        ({"type": "websocket.http.response.start", "status": 503, "headers": []},),
        503, "503", True,
    ),
    ("not answered", (), 500, "incomplete_response", True),
]  # fmt: skip


@pytest.mark.parametrize("rate", [1.0, 0.0], ids=["sampled", "not-sampled"])
@pytest.mark.parametrize(
    ("messages", "status", "error_type", "has_failed"),
    [handshake[1:] for handshake in HANDSHAKES],
    ids=[handshake[0] for handshake in HANDSHAKES],
)
async def test_a_handshake_that_came_to_nothing_has_the_status_that_was_sent(
    messages: tuple[Message, ...], status: int, error_type: str | None, has_failed: bool, rate: float
) -> None:
    """A refusal has the status of the server's answer; a 5xx among them has its span, sampled or not."""
    recorder = TracedRecorder(trace_sample_rate=rate)

    await drive(instrument(sends(*messages), recorder.telemetry), SOCKET, [{"type": "websocket.connect"}])

    (line,) = recorder.lines()
    assert (line["event"], line["accepted"]) == ("websocket_closed", False)
    assert len(recorder.spans) == (rate == 1.0 or has_failed)
    for span in recorder.spans:
        attributes = span.attributes or {}
        assert (attributes["http.response.status_code"], attributes.get("error.type")) == (status, error_type)
        assert span.status.status_code.name == ("ERROR" if has_failed else "UNSET")


@pytest.mark.parametrize(
    ("error", "incoming", "status"),
    [
        (ValueError("broken"), [], 500),
        (asyncio.CancelledError(), [], 503),
        (OSError("gone"), [{"type": "websocket.disconnect", "code": 1006}], 499),
    ],
)
async def test_a_handshake_that_broke_has_the_status_that_the_server_gives(
    error: BaseException, incoming: list[Message], status: int
) -> None:
    """What ended the application before it answered decides: a fault, the server, or a client that left."""

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        for _ in incoming:
            await receive()
        raise error

    recorder = TracedRecorder()
    await drive(instrument(app, recorder.telemetry), SOCKET, incoming)

    assert (recorder.spans[0].attributes or {})["http.response.status_code"] == status


@pytest.mark.parametrize("broken", ["endpoint_template", "is_quiet"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_route_that_cannot_be_told_costs_neither_count_nor_line(
    monkeypatch: pytest.MonkeyPatch, kind: str, broken: str
) -> None:
    """A framework that changed what it leaves in the scope is a counted fault; the request is told of all the same."""
    recorder = Recorder(strict=False)
    place = "_exchange.endpoint_template" if broken == "endpoint_template" else "_endpoints.Routed.is_quiet"
    monkeypatch.setattr(f"prethrift_backend.observability.{place}", fail_always)
    app = sends(START, LAST) if kind == "http" else sends({"type": "websocket.close"})

    answer = await drive(instrument(app, recorder.telemetry), {**http_scope(), "type": kind})

    assert (answer.error, recorder.telemetry.errors > 0) == (None, True)
    (line,) = recorder.lines("request_completed" if kind == "http" else "websocket_closed")
    assert line["endpoint"] == UNMATCHED


async def ok(_request: Request) -> PlainTextResponse:
    """Answer."""
    return PlainTextResponse("ok")


async def test_a_mount_of_routes_can_be_quiet(recorder: Recorder) -> None:
    """What such a mount leads to is a router, which has no hash."""
    probes = Mount("/probes", routes=[Route("/live", ok)])
    app = instrument(Starlette(routes=[probes, Route("/items", ok)]), recorder.telemetry, quiet=[probes])

    for path in ("/probes/live", "/items"):
        await drive(app, http_scope(path=path))

    shown = [(line["endpoint"], line["level"]) for line in recorder.lines("request_completed")]
    assert shown == [("/probes/live", "debug"), ("/items", "info")]


async def test_an_application_that_is_given_up_is_not_kept(recorder: Recorder) -> None:
    """What was learnt of an application's routes goes with it, although its own pages refer to it."""

    async def serve() -> weakref.ref[FastAPI]:
        app = FastAPI()
        app.mount("/inside", Starlette(routes=[Route("/leaf", ok)]))
        for path in ("/docs", "/inside/leaf"):
            await drive(instrument(app, recorder.telemetry), http_scope(path=path))
        return weakref.ref(app)

    given_up = await serve()
    gc.collect()

    assert given_up() is None


def _without_a_lifespan(scope: Any) -> None:
    raise ValueError(f"only HTTP, not {scope['type']}")


@pytest.mark.parametrize("refuse", [_without_a_lifespan, lambda _: None], ids=["raises", "returns"])
async def test_an_application_without_a_lifespan_keeps_its_telemetry(refuse: Callable[[Any], None]) -> None:
    """A server serves such an application all the same: its requests are observed."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            refuse(scope)
            return
        await send(START)
        await send(LAST)

    wrapped = instrument(app, Settings(log_format="json"))
    telemetry = current_signals()

    await drive(wrapped, {"type": "lifespan"})

    assert telemetry is current_signals() is not None
    await wrapped._prethrift_telemetry.aclose()
    assert current_signals() is None


@pytest.mark.parametrize(
    "messages",
    [
        ({"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}),
        ({"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.failed"}),
        ({"type": "lifespan.startup.failed"},),
        ({"type": "lifespan.startup.complete"},),
    ],
)
async def test_a_lifespan_that_ends_closes_the_telemetry(messages: tuple[Message, ...]) -> None:
    """Started or not, stopped in order or not: what `instrument` has opened is closed."""
    wrapped = instrument(sends(*messages), Settings(log_format="json"))
    assert current_signals() is not None

    await drive(wrapped, {"type": "lifespan"})

    assert current_signals() is None


async def test_a_start_that_fails_closes_the_telemetry_and_is_raised() -> None:
    """The server hears why an application could not start, and the telemetry is closed."""

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        if given_up:
            raise RuntimeError("no database")
        yield

    given_up = True
    app = Starlette(lifespan=lifespan)
    answer = await drive(
        instrument(app, Settings(log_format="json")), {"type": "lifespan"}, [{"type": "lifespan.startup"}]
    )

    assert (answer.messages[0]["type"], str(answer.error)) == ("lifespan.startup.failed", "no database")
    assert current_signals() is None


@pytest.mark.parametrize(("own", "told"), [(None, "_OTHER"), ("card_declined", "card_declined")])
async def test_a_span_that_the_application_calls_failed_says_of_what_type(own: str | None, told: str) -> None:
    """An application may set the status of its span itself: the type of the error is its own word, else _OTHER."""
    recorder = TracedRecorder(trace_sample_rate=1.0)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        span = get_current_span()
        span.set_status(StatusCode.ERROR)
        if own is not None:
            span.set_attribute("error.type", own)
        await send(dict(START))
        await send(dict(LAST))

    await drive(instrument(app, recorder.telemetry), http_scope())

    (span,) = recorder.spans
    assert (span.status.status_code, (span.attributes or {}).get("error.type")) == (StatusCode.ERROR, told)
    assert (span.attributes or {})["http.response.status_code"] == 200
