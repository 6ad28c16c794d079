"""The ASGI layer, on a real FastAPI application driven message by message."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from tests.support.asgi import Message, Recorder, drive, http_scope

from prethrift_backend.observability import bind_user, current_request_id, instrument, mark_quiet
from prethrift_backend.observability._names import UNMATCHED
from prethrift_backend.observability.exposition import MetricsEndpoint

DISCONNECT: Message = {"type": "http.disconnect"}
REQUEST: Message = {"type": "http.request", "body": b"", "more_body": False}


def leaf(request: Request) -> PlainTextResponse:
    """Answer with the path."""
    return PlainTextResponse(request.url.path)


def bind_in_a_thread() -> None:
    """Bind a user in a synchronous dependency, which FastAPI runs in a thread."""
    bind_user("user-7")


async def quiet_leaf() -> str:
    """Answer a probe."""
    return "ok"


def fail_always(*_: object) -> None:
    """Stand in for a part of the telemetry that is broken."""
    raise ZeroDivisionError("broken")


def build_application() -> FastAPI:
    """Build an application with every kind of route that the tests ask."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])
    _add_items(app)
    _add_streams(app)
    _add_background(app)
    _add_context(app)
    app.get("/probe")(mark_quiet(quiet_leaf))
    app.include_router(_nested(), prefix="/api")
    inside = [Route("/leaf/{name}", leaf), Mount("/in", routes=[Route("/x", leaf)])]
    app.mount("/plain/{tenant:int}", Starlette(routes=inside))
    app.mount("/sub", _sub_application())
    app.add_route("/plain-route/{name}", leaf)
    return app


def _add_items(app: FastAPI) -> None:
    @app.get("/items/{item_id}")
    async def read(item_id: int) -> dict[str, int]:
        return {"item_id": item_id}

    @app.get("/text/{item_id:int}")
    async def read_text(item_id: int) -> int:
        return item_id

    @app.head("/items/{item_id}")
    async def head(item_id: int) -> PlainTextResponse:
        return PlainTextResponse("body that no client sees")

    @app.get("/slash/")
    async def slash() -> None: ...

    @app.get("/fail")
    async def fail() -> None:
        raise ValueError("password=hunter2")


def _add_streams(app: FastAPI) -> None:
    @app.get("/stream-fails")
    async def stream_fails() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            raise ValueError("in the middle")

        return StreamingResponse(parts())

    @app.get("/stream-waits")
    async def stream_waits() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            await asyncio.Event().wait()

        return StreamingResponse(parts())

    @app.post("/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())


def _add_background(app: FastAPI) -> None:
    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(break_later)
        return "ok"

    async def break_later() -> None:
        raise RuntimeError("afterwards")


def _add_context(app: FastAPI) -> None:
    @app.get("/user", dependencies=[Depends(bind_in_a_thread)])
    async def user() -> str:
        return "ok"

    @app.get("/id")
    async def own_id() -> dict[str, Any]:
        there = await asyncio.gather(asyncio.to_thread(current_request_id), asyncio.create_task(ask()))
        return {"ids": [current_request_id(), *there]}

    async def ask() -> str | None:
        return current_request_id()

    @app.get("/own-header")
    async def own_header() -> PlainTextResponse:
        return PlainTextResponse("x", headers={"X-Request-ID": "not-this-one"})


def _nested() -> APIRouter:
    inner = APIRouter(prefix="/inner")

    @inner.get("/things/{thing_id}")
    async def read(thing_id: str) -> str:
        return thing_id

    inner.routes.append(Mount("/inner/mounted/{tenant}", app=Starlette(routes=[Route("/leaf", leaf)])))

    @inner.websocket("/socket/{room}")
    async def socket(connection: WebSocket, room: str) -> None:
        await connection.accept()
        if room == "broken":
            raise ValueError("broken room")
        await connection.send_text(await connection.receive_text())
        await connection.close(4001)

    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)
    return outer


def _sub_application() -> FastAPI:
    sub = FastAPI()

    @sub.get("/deep/{name}")
    async def deep(name: str) -> str:
        return name

    sub.include_router(_nested(), prefix="/again")
    return sub


TABLE = [
    ("GET", "/items/5", 200, "/items/{item_id}"),
    ("HEAD", "/items/5", 200, "/items/{item_id}"),
    ("GET", "/text/5", 200, "/text/{item_id}"),
    ("GET", "/items/five", 422, "/items/{item_id}"),
    ("DELETE", "/items/5", 405, "/items/{item_id}"),
    ("BREW", "/items/5", 405, "/items/{item_id}"),
    ("GET", "/nowhere/at/all", 404, UNMATCHED),
    ("GET", "/slash", 307, UNMATCHED),
    ("GET", "/api/outer/inner/things/1", 200, "/api/outer/inner/things/{thing_id}"),
    ("PUT", "/api/outer/inner/things/1", 405, "/api/outer/inner/things/{thing_id}"),
    ("GET", "/api/outer/inner/mounted/acme/leaf", 200, "/api/outer/inner/mounted/{tenant}/leaf"),
    ("GET", "/plain/007/leaf/a", 200, "/plain/{tenant}/leaf/{name}"),
    ("GET", "/plain/7/in/x", 200, "/plain/{tenant}/in/x"),
    ("GET", "/plain/7/nothing", 404, "/plain/{tenant}/{path}"),
    ("GET", "/sub/deep/a", 200, "/sub/deep/{name}"),
    ("GET", "/sub/again/outer/inner/things/1", 200, "/sub/again/outer/inner/things/{thing_id}"),
    ("GET", "/sub/openapi.json", 200, "/sub/openapi.json"),
    ("GET", "/docs", 200, "/docs"),
    ("GET", "/plain-route/a", 200, "/plain-route/{name}"),
    ("GET", "/fail", 500, "/fail"),
]


@pytest.mark.parametrize(("method", "path", "status", "endpoint"), TABLE)
async def test_every_answer_is_counted_and_logged_once(
    recorder: Recorder, method: str, path: str, status: int, endpoint: str
) -> None:
    """Each answer has a request id, one access line and one count, under the whole template of its route."""
    answer = await drive(instrument(build_application(), recorder.telemetry), http_scope(method, path))

    label = method if method != "BREW" else "_OTHER"
    (line,) = recorder.lines("request_completed")
    shown = {key: line[key] for key in ("method", "endpoint", "status_code", "level", "client_disconnected")}
    assert shown == {
        "method": label, "endpoint": endpoint, "status_code": status, "level": "info", "client_disconnected": False
    }  # fmt: skip
    assert answer.status == status
    assert answer.header(b"x-request-id") == [line["request_id"].encode()]
    labels = {"method": label, "endpoint": endpoint}
    assert recorder.sample("http_requests_total", status_code=str(status), **labels) == 1
    assert recorder.sample("http_request_duration_seconds_count", **labels) == 1
    assert line["response_bytes"] == (0 if method == "HEAD" else len(answer.body))


async def test_a_preflight_is_observed(recorder: Recorder) -> None:
    """An OPTIONS request that the CORS middleware answers has its line and its request id."""
    headers = [(b"origin", b"https://a.example"), (b"access-control-request-method", b"GET")]

    answer = await drive(
        instrument(build_application(), recorder.telemetry), http_scope("OPTIONS", "/items/5", headers=headers)
    )

    assert (answer.status, len(answer.header(b"x-request-id"))) == (200, 1)
    assert [line["method"] for line in recorder.lines("request_completed")] == ["OPTIONS"]


async def test_a_plain_starlette_application_is_observed(recorder: Recorder) -> None:
    """Routes and mounts of Starlette without FastAPI give their whole template."""
    app = Starlette(routes=[Mount("/a/{x}", routes=[Mount("/b", routes=[Route("/c/{y}", leaf)])])])

    await drive(instrument(app, recorder.telemetry), http_scope(path="/a/1/b/c/2"))

    assert recorder.lines("request_completed")[0]["endpoint"] == "/a/{x}/b/c/{y}"


async def test_the_application_gets_a_plain_scope(recorder: Recorder) -> None:
    """Every route that a router asks reads the scope: a subclass of dict made each of these reads slower."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await PlainTextResponse("ok")(scope, receive, send)

    given_scope = http_scope()
    await drive(instrument(app, recorder.telemetry), given_scope)

    assert (type(seen[0]), seen[0] is given_scope) == (dict, False)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/late/leaf/a", "/late/leaf/{name}"),
        ("/a/1/b/leaf/2", "/a/{x}/b/leaf/{name}"),
        ("/a/1/nothing", "/a/{x}/{path}"),
        ("/ab/leaf/2", "/ab/leaf/{name}"),
    ],
)
async def test_mounts_are_told_apart_by_the_way_that_the_request_took(
    recorder: Recorder, path: str, endpoint: str
) -> None:
    """Mounts inside of mounts, beside one another with a common beginning, and added when requests were served."""
    inside = [Route("/leaf/{name}", leaf)]
    app = Starlette(routes=[Mount("/a/{x}", routes=[Mount("/b", routes=inside)]), Mount("/ab", routes=inside)])
    observed = instrument(app, recorder.telemetry)
    await drive(observed, http_scope(path="/ab/leaf/1"))
    app.mount("/late", Starlette(routes=inside))

    await drive(observed, http_scope(path=path))

    assert recorder.lines("request_completed")[-1]["endpoint"] == endpoint


async def test_a_mount_of_an_unknown_router_has_a_fixed_name(recorder: Recorder) -> None:
    """Where nobody says which mount it was, the client's part of the path is left out all the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope.update(app_root_path="", root_path="/canary", endpoint=quiet_leaf)
        await PlainTextResponse("ok")(scope, receive, send)

    await drive(instrument(app, recorder.telemetry), http_scope(path="/canary/x"))

    assert recorder.lines("request_completed")[0]["endpoint"] == "/{mount}/{path}"


async def test_the_prefix_of_a_proxy_is_not_part_of_the_template(recorder: Recorder) -> None:
    """A root_path that the server sets is left out of the label."""
    scope = {**http_scope(path="/gateway/sub/deep/a"), "root_path": "/gateway"}

    await drive(instrument(build_application(), recorder.telemetry), scope)

    assert recorder.lines("request_completed")[0]["endpoint"] == "/sub/deep/{name}"


@pytest.mark.parametrize("given_id", [b"abc-1.2_X", b"a" * 128])
async def test_a_valid_request_id_is_kept(recorder: Recorder, given_id: bytes) -> None:
    """The caller's request id is repeated in the header and in the line."""
    scope = http_scope(path="/items/5", headers=[(b"x-request-id", given_id)])

    answer = await drive(instrument(build_application(), recorder.telemetry), scope)

    assert answer.header(b"x-request-id") == [given_id]
    assert recorder.lines("request_completed")[0]["request_id"] == given_id.decode()


@pytest.mark.parametrize(
    "given_id", [b"", b"a" * 129, b"evil\ncanary", b"evil canary", "écanary".encode(), b"eyJcanary1.eyJcanary2.canary3"]
)
async def test_an_invalid_request_id_is_replaced(recorder: Recorder, given_id: bytes) -> None:
    """A request id that breaks the rule, or is a secret, is replaced and appears nowhere."""
    scope = http_scope(path="/items/5", headers=[(b"x-request-id", given_id)])

    answer = await drive(instrument(build_application(), recorder.telemetry), scope)

    assert re.fullmatch(rb"[0-9a-f]{32}", answer.header(b"x-request-id")[0])
    assert "canary" not in recorder.text()


async def test_the_response_header_is_set_not_appended(recorder: Recorder) -> None:
    """An X-Request-ID of the application's own gives way."""
    answer = await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/own-header"))

    assert [value == b"not-this-one" for value in answer.header(b"x-request-id")] == [False]


async def test_the_request_id_follows_tasks_and_threads(recorder: Recorder) -> None:
    """Tasks, gather and threads of a request see its id; after the request it is gone."""
    scope = http_scope(path="/id", headers=[(b"x-request-id", b"one-id")])

    answer = await drive(instrument(build_application(), recorder.telemetry), scope)

    assert answer.body == b'{"ids":["one-id","one-id","one-id"]}'
    assert current_request_id() is None


async def test_a_user_bound_in_a_thread_is_on_the_line(recorder: Recorder) -> None:
    """A synchronous dependency runs in a thread, and the user that it binds still shows."""
    await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/user"))

    assert recorder.lines("request_completed")[0]["user_id"] == "user-7"


async def test_an_unhandled_exception_is_logged_once_and_raised(recorder: Recorder) -> None:
    """An exception has one ERROR line, without its secret, and reaches the server."""
    answer = await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/fail"))

    assert isinstance(answer.error, ValueError)
    assert "hunter2" not in recorder.text()
    (line,) = recorder.lines("request_failed")
    assert (line["level"], line["exception"]["type"], line["endpoint"]) == ("error", "ValueError", "/fail")
    assert [line["error_type"] for line in recorder.lines("request_completed")] == ["ValueError"]


async def test_an_exception_that_nobody_answered_is_answered(recorder: Recorder) -> None:
    """An application without an error handler still gives its client a 500 with a request id."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("bare")

    answer = await drive(instrument(app, recorder.telemetry), http_scope())

    assert isinstance(answer.error, ValueError)
    assert (answer.status, len(answer.header(b"x-request-id"))) == (500, 1)
    assert [line["status_code"] for line in recorder.lines("request_completed")] == [500]


async def test_an_application_that_sends_nothing_has_failed(recorder: Recorder) -> None:
    """An application that returns without an answer counts as 500."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        return

    await drive(instrument(app, recorder.telemetry), http_scope())

    (line,) = recorder.lines("request_completed")
    assert (line["status_code"], line["error_type"], line["ttfb_ms"]) == (500, "incomplete_response", None)


async def test_a_failure_in_the_middle_of_a_stream_is_an_error(recorder: Recorder) -> None:
    """A stream that breaks counts as 500, although 200 was sent."""
    answer = await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/stream-fails"))

    assert answer.status == 200
    (line,) = recorder.lines("request_completed")
    assert (line["status_code"], line["sent_status_code"]) == (500, 200)
    assert len(recorder.lines("request_failed")) == 1
    assert recorder.sample("http_requests_total", method="GET", endpoint="/stream-fails", status_code="500") == 1


async def test_a_client_that_leaves_before_the_answer_is_a_499(recorder: Recorder) -> None:
    """A client gone during its upload is counted as 499, without an error."""
    parts: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}, DISCONNECT]

    answer = await drive(instrument(build_application(), recorder.telemetry), http_scope("POST", "/upload"), parts)

    assert isinstance(answer.error, ClientDisconnect)
    (line,) = recorder.lines()
    assert (line["status_code"], line["client_disconnected"], line["level"]) == (499, True, "info")


async def test_a_client_that_leaves_a_stream_is_a_499(recorder: Recorder) -> None:
    """A client gone while a stream runs is counted as 499, although 200 was sent."""
    scope = http_scope(path="/stream-waits")

    await drive(instrument(build_application(), recorder.telemetry), scope, [REQUEST, DISCONNECT])

    (line,) = recorder.lines()
    assert (line["status_code"], line["sent_status_code"], line["client_disconnected"]) == (499, 200, True)


async def test_a_client_that_is_gone_when_sent_to_is_a_499(recorder: Recorder) -> None:
    """An OSError of the server's send is a client that left, not an error."""
    scope = http_scope(path="/items/5")

    await drive(instrument(build_application(), recorder.telemetry), scope, fail_send_after=0)

    assert [(line["event"], line["status_code"]) for line in recorder.lines()] == [("request_completed", 499)]


async def test_a_disconnect_after_the_answer_changes_nothing(recorder: Recorder) -> None:
    """A server reports a disconnect after each answer; a completed one stays what it was."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)
        await receive()

    await drive(instrument(app, recorder.telemetry), http_scope(), [DISCONNECT])

    assert [line["status_code"] for line in recorder.lines()] == [200]


async def test_a_request_that_the_server_cancels_is_told_apart(recorder: Recorder) -> None:
    """A cancelled request is neither a client that left nor an exception of the application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    answer = await drive(instrument(app, recorder.telemetry), http_scope())

    assert isinstance(answer.error, asyncio.CancelledError)
    (line,) = recorder.lines()
    assert (line["status_code"], line["error_type"]) == (503, "cancelled")


async def test_a_background_task_is_outside_of_the_request(recorder: Recorder) -> None:
    """The access line is written before the background task, whose failure has a line of its own."""
    await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/background"))

    events = [(line["event"], line["level"]) for line in recorder.lines()]
    assert events == [("request_completed", "info"), ("background_task_failed", "error")]
    assert recorder.sample("http_requests_total", method="GET", endpoint="/background", status_code="200") == 1


async def test_a_quiet_route_has_no_info_line_and_no_count(recorder: Recorder) -> None:
    """A marked endpoint has a DEBUG line only and no place in the metrics."""
    await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/probe"))

    assert [line["level"] for line in recorder.lines()] == ["debug"]
    assert recorder.sample("http_requests_total", method="GET", endpoint="/probe", status_code="200") is None


@pytest.mark.parametrize("way", ["route", "mount", "named"])
async def test_a_metrics_endpoint_can_be_quiet(recorder: Recorder, way: str) -> None:
    """The metrics endpoint is quiet as a route, as a mount, and when it is named to `instrument`."""
    app = FastAPI()
    endpoint = MetricsEndpoint(recorder.telemetry.metrics.registry)
    if way != "named":
        mark_quiet(endpoint)
    if way == "mount":
        app.mount("/metrics", endpoint)
    else:
        app.router.routes.append(Route("/metrics", endpoint))
    quiet = [app.router.routes[-1]] if way == "named" else []
    path = "/metrics/" if way == "mount" else "/metrics"

    await drive(instrument(app, recorder.telemetry, quiet=quiet), http_scope(path=path))

    assert [line["level"] for line in recorder.lines()] == ["debug"]


def test_an_object_that_takes_no_mark_is_refused() -> None:
    """Marking an object without attributes says what to do instead."""
    with pytest.raises(TypeError, match="quiet="):
        mark_quiet(object())


async def test_the_query_is_reduced_to_the_allow_list(recorder: Recorder) -> None:
    """The access line shows the parameters that are allowed, and no other."""
    scope = http_scope(path="/items/5", query=b"q=dress&token=canary")

    await drive(instrument(build_application(), recorder.telemetry), scope)

    assert recorder.lines("request_completed")[0]["query"] == {"q": "dress"}


def _socket_scope(room: str) -> dict[str, Any]:
    return {**http_scope(path=f"/api/outer/inner/socket/{room}"), "type": "websocket", "scheme": "ws"}


async def test_a_websocket_has_a_request_id_and_one_line(recorder: Recorder) -> None:
    """A connection has its id at the handshake and one line at its end."""
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hi"}]

    answer = await drive(instrument(build_application(), recorder.telemetry), _socket_scope("a"), incoming)

    (line,) = recorder.lines()
    shown = {
        key: line[key] for key in ("event", "endpoint", "accepted", "close_code", "messages_received", "messages_sent")
    }
    assert shown == {
        "event": "websocket_closed", "endpoint": "/api/outer/inner/socket/{room}", "accepted": True,
        "close_code": 4001, "messages_received": 1, "messages_sent": 1,
    }  # fmt: skip
    assert answer.header(b"x-request-id") == [line["request_id"].encode()]


async def test_a_websocket_that_fails_is_logged_and_raised(recorder: Recorder) -> None:
    """An exception in a connection has one ERROR line and reaches the server."""
    answer = await drive(
        instrument(build_application(), recorder.telemetry), _socket_scope("broken"), [{"type": "websocket.connect"}]
    )

    assert isinstance(answer.error, ValueError)
    assert [(line["event"], line["level"]) for line in recorder.lines()] == [
        ("websocket_failed", "error"), ("websocket_closed", "info")
    ]  # fmt: skip


async def test_a_websocket_of_starlette_has_its_template(recorder: Recorder) -> None:
    """A plain Starlette application's WebSocket route gives its template, refused or not."""

    async def refuse(connection: WebSocket) -> None:
        await connection.close()

    app = Starlette(routes=[Mount("/m", routes=[WebSocketRoute("/s/{room}", refuse)])])

    await drive(
        instrument(app, recorder.telemetry), {**_socket_scope("a"), "path": "/m/s/1"}, [{"type": "websocket.connect"}]
    )

    (line,) = recorder.lines()
    assert (line["endpoint"], line["accepted"]) == ("/m/s/{room}", False)


async def test_a_fault_of_the_telemetry_does_not_reach_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the metrics is counted and logged once, and the requests are served."""
    recorder = Recorder(strict=False)
    app = instrument(build_application(), recorder.telemetry)
    monkeypatch.setattr(recorder.telemetry.requests, "count_request", fail_always)

    answers = [await drive(app, http_scope(path="/items/5")) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert recorder.telemetry.errors == 3
    assert len(recorder.lines("telemetry_failed")) == 1
    assert len(recorder.lines("request_completed")) == 3


async def test_a_fault_of_the_telemetry_is_raised_under_strict(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests see a fault in the telemetry as what it is."""
    app = instrument(build_application(), recorder.telemetry)
    monkeypatch.setattr(recorder.telemetry.requests, "count_request", fail_always)

    answer = await drive(app, http_scope(path="/items/5"))

    assert isinstance(answer.error, ZeroDivisionError)


async def test_the_wrapper_is_used_like_the_application(recorder: Recorder) -> None:
    """Attributes are read from, and written to, the application inside."""
    inner = build_application()
    app = instrument(inner, recorder.telemetry)

    app.state.colour = "blue"
    app.title = "Shop"

    assert (inner.state.colour, inner.title, app.openapi()["info"]["title"]) == ("blue", "Shop", "Shop")


async def test_an_instrumented_application_inside_another_is_observed_once(recorder: Recorder) -> None:
    """Two layers make one line."""
    app = instrument(instrument(build_application(), recorder.telemetry), recorder.telemetry)

    await drive(app, http_scope(path="/items/5"))

    assert len(recorder.lines()) == 1


async def test_two_applications_in_one_process_do_not_meet() -> None:
    """Each application's requests are counted and logged by its own telemetry, whichever came last."""
    first, second = Recorder(service_name="first"), Recorder(service_name="second")

    await drive(instrument(build_application(), first.telemetry), http_scope(path="/items/5"))

    assert [line["service"] for line in first.lines("request_completed")] == ["first"]
    assert second.lines("request_completed") == []


async def test_the_lifespan_passes_through(recorder: Recorder) -> None:
    """Start and stop of the application are its own business."""
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}

    answer = await drive(
        instrument(build_application(), recorder.telemetry),
        scope,
        [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}],
    )

    assert [message["type"] for message in answer.messages] == [
        "lifespan.startup.complete", "lifespan.shutdown.complete"
    ]  # fmt: skip


APPLICATION = build_application()
HEADERS = st.lists(st.tuples(st.binary(max_size=40) | st.just(b"x-request-id"), st.binary(max_size=200)), max_size=8)


@given(method=st.text(max_size=12), path=st.text(max_size=60), headers=HEADERS, query=st.binary(max_size=100))
async def test_no_request_makes_the_telemetry_fail(
    method: str, path: str, headers: list[tuple[bytes, bytes]], query: bytes
) -> None:
    """Random methods, paths, headers and queries are served and leave one valid line each."""
    recorder = Recorder()

    scope = http_scope(method, f"/plain-route/{path}", headers=headers, query=query)
    answer = await drive(instrument(APPLICATION, recorder.telemetry), scope)

    lines = recorder.lines("request_completed")
    assert (recorder.telemetry.errors, len(lines), len(answer.header(b"x-request-id"))) == (0, 1, 1)
