"""What experts expect of a service's telemetry, and most projects get wrong: thirty points, one test each.

The points that need real parts stand in ``tests/integration/observability/test_expectations.py``; a test at the end of
that file holds that together they are all there. The details of each point have tests of their own beside the code.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest
import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from tests.support.asgi import Answer, Message, drive, http_scope
from tests.support.waiting import wait_for, wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ItemNotFoundError
from prethrift_backend.observability import (
    EXPOSED_HEADERS,
    Instrumented,
    bind_user,
    get_logger,
    get_tracer,
    instrument,
    mark_quiet,
    trace_headers,
)
from prethrift_backend.observability._exchange import Exchange
from prethrift_backend.observability.context import current_request
from prethrift_backend.observability.exposition import MetricsEndpoint, render
from prethrift_backend.observability.testing import Capture, capture_telemetry

Headers = tuple[tuple[bytes, bytes], ...]

CALLER = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}
REQUEST: Message = {"type": "http.request", "body": b"", "more_body": False}
GONE: Message = {"type": "http.disconnect"}

# In no line of source: Sentry's events show those around a fault.
SECRET = "-".join(["hunter", "2", "hunter", "2"])

log = get_logger("shop")


def settings(**given: Any) -> Settings:
    """Return settings that sample everything and write every line, but for what is given."""
    return Settings(**{"trace_sample_rate": 1.0, "log_level": "DEBUG", **given})


@pytest.fixture
def capture() -> Iterator[Capture]:
    """Capture what a telemetry says that samples everything."""
    with capture_telemetry() as made:
        yield made


def shop(capture: Capture) -> Instrumented:
    """Return an application of every kind of route, observed by ``capture``; its clock moves where the code says so."""
    app = FastAPI(telemetry=NO_TELEMETRY)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], expose_headers=EXPOSED_HEADERS)
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")

    @inner.get("/things/{thing_id}")
    async def read_thing(thing_id: int) -> int:
        return thing_id

    outer.include_router(inner)
    app.include_router(outer)
    app.mount("/old", Starlette(routes=[Route("/page/{name}", _page)]))
    app.router.routes.append(Route("/metrics", mark_quiet(MetricsEndpoint(capture.telemetry.metrics.registry))))
    for add in (_add_endings, _add_slow, _add_identity):
        add(app, capture)
    return instrument(app, capture.telemetry)


async def _page(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("old")


def _add_endings(app: FastAPI, _capture: Capture) -> None:
    @app.get("/fail")
    async def fail() -> None:
        log.info("before_the_fault", step=1)
        raise ValueError("it broke")

    @app.get("/missing")
    async def missing() -> None:
        raise ItemNotFoundError("7")

    @app.get("/stopped")
    async def stopped() -> None:
        raise asyncio.CancelledError

    @app.get("/slash/")
    async def slash() -> str:
        return "ok"


def _add_slow(app: FastAPI, capture: Capture) -> None:
    @app.get("/stream")
    async def stream(*, fails: bool = False) -> StreamingResponse:
        capture.tick(1)

        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            capture.tick(2)
            if fails:
                raise ValueError("in the middle")
            yield b"last"

        return StreamingResponse(parts())

    @app.get("/later")
    async def later(tasks: BackgroundTasks, *, fails: bool = False) -> str:
        def work() -> None:
            capture.tick(5)
            if fails:
                raise ValueError("afterwards")

        tasks.add_task(work)
        return "ok"

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)


def _add_identity(app: FastAPI, _capture: Capture) -> None:
    def bind() -> None:
        bind_user("user-7")

    @app.get("/user", dependencies=[Depends(bind)])
    async def user() -> str:
        return "ok"

    @app.get("/talk")
    async def talk() -> dict[str, str]:
        log.info("talked", password=SECRET, author="Ada")
        return trace_headers("https://api.example.com/v1")


async def ask(
    app: Instrumented, path: str, *, method: str = "GET", query: bytes = b"", headers: Headers = (), **how: Any
) -> Answer:
    """Send one request and return the answer."""
    return await drive(app, http_scope(method, path, query=query, headers=headers), **how)


def access(capture: Capture) -> dict[str, Any]:
    """Return the one access line."""
    return capture.line("request_completed")


# 1 to 11: what is counted, and when.


async def test_point_01_the_label_is_the_whole_template_and_never_the_path(capture: Capture) -> None:
    """Routers in routers and mounts give the full template; what no route takes is one constant."""
    app = shop(capture)

    for path in ("/outer/inner/things/1", "/outer/inner/things/2", "/old/page/a", "/who/knows/7", "/or/8"):
        await ask(app, path)

    counted = {key.split('endpoint="')[1].split('"')[0]: by for key, by in capture.deltas().items() if "s_total" in key}
    assert counted == {"/outer/inner/things/{thing_id}": 2, "/old/page/{name}": 1, "__unmatched__": 2}


async def test_point_02_the_route_is_resolved_once_whatever_their_number(capture: Capture) -> None:
    """Calls of this package's functions for a request are as many at 200 routes as at one."""
    assert await _calls(capture, routes=200) == await _calls(capture, routes=1) > 0


async def _calls(capture: Capture, *, routes: int) -> int:
    app = FastAPI(telemetry=NO_TELEMETRY)
    for number in range(routes):
        app.get(f"/r{number}/{{name}}")(_page)
    observed, path = instrument(app, capture.telemetry), f"/r{routes - 1}/x"
    await ask(observed, path)
    await ask(observed, path)
    calls = 0

    def count(frame: Any, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call" and "prethrift_backend" in frame.f_code.co_filename

    capture.flush()
    sys.setprofile(count)
    try:
        await ask(observed, path)
    finally:
        sys.setprofile(None)
    return calls


async def test_point_03_span_metric_and_line_stop_at_the_last_byte(capture: Capture) -> None:
    """Work of five seconds after the answer is in none of the three durations."""
    await ask(shop(capture), "/later")

    span = capture.span("GET /later")
    total = capture.metric("http_request_duration_seconds_sum", method="GET", endpoint="/later")
    assert (span.duration_seconds, total, access(capture)["duration_ms"]) == (0, 0, 0)


async def test_point_04_first_byte_and_last_byte_are_told_apart_and_a_broken_stream_is_an_error(
    capture: Capture,
) -> None:
    """A stream has both times; one that breaks off after its 200 counts as a 500."""
    app = shop(capture)

    await ask(app, "/stream")
    await ask(app, "/stream", query=b"fails=true")

    good, bad = capture.find_lines("request_completed")
    assert (good["ttfb_ms"], good["duration_ms"], good["status_code"]) == (1000, 3000, 200)
    assert (bad["status_code"], bad["sent_status_code"], bad["error_type"]) == (500, 200, "ValueError")
    assert capture.metric("http_time_to_first_byte_seconds_sum", endpoint="/stream") == 2
    assert [span.status for span in capture.find_spans("GET /stream")] == ["unset", "error"]


async def test_point_05_a_client_that_leaves_is_no_server_error(capture: Capture) -> None:
    """Gone before the end is 499 and no error, stopped by the server is 503, and an answer that was sent stays 200."""
    app = shop(capture)

    await ask(app, "/stream", fail_send_after=1)
    await ask(app, "/stopped")
    await ask(app, "/slash/", incoming=[REQUEST, GONE])

    gone, stopped, sent = capture.find_lines("request_completed")
    assert [line["status_code"] for line in (gone, stopped, sent)] == [499, 503, 200]
    assert [line["client_disconnected"] for line in (gone, stopped, sent)] == [True, False, False]
    assert capture.span("GET /stream").status == "unset"
    assert capture.error_events == []


async def test_point_06_background_work_has_a_span_a_duration_and_an_event_of_its_own(capture: Capture) -> None:
    """It hangs below the request's span, its failure is counted and reported on the request's trace."""
    await ask(shop(capture), "/later", query=b"fails=true")

    server, work = capture.span("GET /later"), capture.span("background")
    (event,) = capture.error_events
    assert (work.parent_id, work.status, work.duration_seconds) == (server.span_id, "error", 5)
    assert capture.metric("http_background_duration_seconds_sum", status="error") == 5
    assert event["contexts"]["trace"]["trace_id"] == server.trace_id
    assert (server.status, access(capture)["status_code"]) == ("unset", 200)


async def test_point_07_a_socket_is_one_span_and_its_messages_are_counts(capture: Capture) -> None:
    """A thousand messages: one span, ended at the close, with the code that closed it."""
    talk: list[Message] = [{"type": "websocket.receive", "text": "x"}] * 1000
    incoming: list[Message] = [{"type": "websocket.connect"}, *talk, {"type": "websocket.disconnect", "code": 1001}]

    await drive(shop(capture), {**http_scope(path="/live"), "type": "websocket", "scheme": "ws"}, incoming)

    (span,) = capture.spans
    assert span.attributes["http.route"] == "/live"
    assert capture.metric("websocket_messages_total", endpoint="/live", direction="received") == 1000
    assert capture.metric("websocket_connections_total", endpoint="/live", close_code="1001") == 1
    assert capture.metric("websocket_connections_open") == 0


async def test_point_08_no_kind_of_request_can_fail_in_the_layer(capture: Capture) -> None:
    """HEAD, preflight, 405, redirect and unknown methods through real middleware: answered as without the layer."""
    app = shop(capture)
    preflight = ((b"origin", b"https://a.example"), (b"access-control-request-method", b"GET"))
    requests: list[tuple[str, str, Headers]] = [
        ("HEAD", "/slash/", ()), ("OPTIONS", "/slash/", preflight), ("DELETE", "/slash/", ()), ("GET", "/slash", ()),
        ("BREW", "/slash/", ()),
    ]  # fmt: skip

    for method, path, headers in requests:
        observed = await ask(app, path, method=method, headers=headers)
        bare = await drive(app._prethrift_app, http_scope(method, path, headers=headers))
        assert (observed.status, observed.body) == (bare.status, bare.body), method

    assert capture.telemetry.errors == 0


BREAKABLE: dict[str, Callable[[pytest.MonkeyPatch, Any], None]] = {
    "identity": lambda patch, telemetry: patch.setattr(telemetry.tracing, "start_server_span", None),
    "headers": lambda patch, _: patch.setattr(Exchange, "_with_identity", None),
    "metrics": lambda patch, telemetry: patch.setattr(telemetry.metrics, "family", None),
    "pipeline": lambda patch, telemetry: patch.setattr(telemetry._pipeline, "write", None),
    "reporter": lambda patch, telemetry: patch.setattr(telemetry, "reporter", object()),
}


@pytest.mark.parametrize("part", BREAKABLE)
@pytest.mark.parametrize(("path", "status"), [("/slash/", 200), ("/fail", 500)])
async def test_point_09_a_broken_telemetry_fails_no_request(
    part: str, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever part of it is broken, the request is answered as before."""
    with capture_telemetry(strict=False) as capture:
        app = shop(capture)
        with monkeypatch.context() as patch:
            BREAKABLE[part](patch, capture.telemetry)

            assert (await ask(app, path)).status == status


async def test_point_10_no_client_can_make_series(capture: Capture) -> None:
    """Methods, paths, hosts and agents that nobody knows make two series, not hundreds."""
    app = shop(capture)

    for number in range(300):
        headers = ((b"host", b"h%d.example" % number), (b"user-agent", b"agent-%d" % number))
        await ask(app, f"/path/{number}", method=f"VERB{number}", headers=headers)

    series = [key for key in capture.deltas() if key.startswith("http_requests_total")]
    assert series == ['http_requests_total{method="_OTHER",endpoint="__unmatched__",status_code="404"}']


async def test_point_11_probes_are_left_out_by_route_and_not_by_address(capture: Capture) -> None:
    """A host or path that looks like a probe hides nothing; the route of the scrape is silent."""
    app = shop(capture)

    await ask(app, "/metrics")
    await ask(app, "/slash/", headers=((b"host", b"metrics.example"),), query=b"q=/metrics")

    assert [span.name for span in capture.spans] == ["GET /slash/"]
    assert [line["endpoint"] for line in capture.find_lines("request_completed", level="info")] == ["/slash/"]


# 12 to 22: identity.


@pytest.mark.parametrize("flag", [b"0", b"1"])
async def test_point_12_a_callers_traceparent_decides_nothing(flag: bytes) -> None:
    """By default in production it can neither switch tracing off nor on; it becomes a link."""
    for rate, spans in ((1.0, 1), (0.0, 0)):
        with capture_telemetry(settings(environment="staging", trace_sample_rate=rate)) as capture:
            await ask(shop(capture), "/slash/", headers=((b"traceparent", CALLER + flag),))

            assert len(capture.spans) == spans
            for span in capture.spans:
                assert (span.parent_id, span.trace_id) != ("b7ad6b7169203331", span.links[0].trace_id)
                assert span.links[0].span_id == "b7ad6b7169203331"


async def test_point_13_our_trace_goes_to_listed_hosts_only_and_baggage_to_none() -> None:
    """Headers for another service are there for a host that is listed, empty for others, without baggage."""
    with capture_telemetry(settings(trace_propagate_hosts=".internal")) as capture:
        token = attach(baggage.set_baggage("user", "ada"))
        try:
            with get_tracer("shop").start_as_current_span("call"):
                own, foreign = trace_headers("http://stock.internal/"), trace_headers("http://internal.evil.example/")
        finally:
            detach(token)

        assert own.keys() == {"traceparent"}
        assert capture.span("call").trace_id in own["traceparent"]
        assert foreign == {}


async def test_point_14_a_request_id_is_checked_repeated_and_always_there(capture: Capture) -> None:
    """A good one is repeated, a bad one is replaced and never written; 404 and 500 have one too."""
    app = shop(capture)

    good = await ask(app, "/slash/", headers=((b"x-request-id", b"abc-1"),))
    bad = await ask(app, "/fail", headers=((b"x-request-id", b"a b\n<script>"),))
    lost = await ask(app, "/nowhere")

    assert good.header(b"x-request-id") == [b"abc-1"]
    assert len(bad.header(b"x-request-id")) == len(lost.header(b"x-request-id")) == 1
    assert b"script" not in b"".join(capture.raw_lines)


async def test_point_15_x_trace_id_is_for_people(capture: Capture) -> None:
    """It is on every answer and browsers may read it; a caller's own word for its trace is kept, never a parent."""
    app = shop(capture)
    headers = ((b"x-trace-id", b"test-trace-123"), (b"origin", b"https://a.example"))

    answer = await ask(app, "/slash/", headers=headers)

    span = capture.span("GET /slash/")
    assert answer.header(b"x-trace-id") == [span.trace_id.encode()]
    assert b"X-Trace-Id" in answer.header(b"access-control-expose-headers")[0]
    assert (span.parent_id, span.attributes["client_trace_id"]) == (None, "test-trace-123")
    assert access(capture)["client_trace_id"] == "test-trace-123"


async def test_point_16_lines_have_their_trace_although_nothing_is_sampled() -> None:
    """Trace and span id are on each line of a request whose span was never recorded."""
    with capture_telemetry(settings(trace_sample_rate=0.0)) as capture:
        answer = await ask(shop(capture), "/talk")

        ids = {(line["trace_id"], line["span_id"]) for line in capture.lines}
        assert len(ids) == 1
        assert answer.header(b"x-trace-id")[0].decode() in next(iter(ids))
        assert capture.spans == []


async def test_point_17_nothing_of_a_request_is_left_in_the_context(capture: Capture) -> None:
    """After a request that failed, neither its context nor its span is current."""
    await ask(shop(capture), "/fail")

    assert current_request() is None
    assert not trace.get_current_span().get_span_context().is_valid
    capture.telemetry.logger("after").info("after_the_request")
    assert {"request_id", "trace_id", "user_id"}.isdisjoint(capture.line("after_the_request"))


async def test_point_18_a_user_bound_in_a_thread_is_on_the_line_and_the_span(capture: Capture) -> None:
    """A synchronous dependency runs in a thread, whose context is a copy; what it binds is not lost."""
    await ask(shop(capture), "/user")

    assert access(capture)["user_id"] == "user-7"
    assert capture.span("GET /user").attributes["user.id"] == "user-7"


async def test_point_20_secrets_leave_in_no_form(capture: Capture) -> None:
    """By key, by value, in the query, in an exception's text: hidden in lines, spans and events; "author" stays."""
    app = shop(capture)

    @cast("FastAPI", app).get("/leak")
    async def leak() -> None:
        trace.get_current_span().set_attribute("db.url", f"postgresql://u:{SECRET}@db/x")
        raise ValueError(f"password={SECRET} refused")

    secret = SECRET.encode()
    await ask(app, "/talk", query=b"q=dress&token=" + secret, headers=((b"authorization", b"Bearer " + secret),))
    await ask(app, "/leak", headers=((b"cookie", b"session=" + secret),))

    said = [*capture.raw_lines, repr(capture.spans).encode(), repr(capture.error_events).encode()]
    assert [part for part in said if secret in part] == []
    assert capture.line("talked")["author"] == "Ada"
    assert capture.find_lines("request_completed")[0]["query"] == {"q": "dress"}


@pytest.mark.parametrize("rate", [0.0, 1.0])
async def test_point_21_event_line_span_and_header_name_one_trace(rate: float) -> None:
    """A fault is one event, on the trace that the line, the span and the answer name; a 4xx is none."""
    with capture_telemetry(settings(trace_sample_rate=rate)) as capture:
        app = shop(capture)

        await ask(app, "/nowhere")
        answer = await ask(app, "/fail")

        (event,) = capture.error_events
        line, span = capture.line("request_failed"), capture.span("GET /fail")
        traces = {event["contexts"]["trace"]["trace_id"], line["trace_id"], span.trace_id}
        assert traces == {answer.header(b"x-trace-id")[0].decode()}


async def test_point_22_metrics_do_not_know_of_sampling_and_faults_are_kept_all_the_same() -> None:
    """At no sampling every request counts; those that failed or were slow still have their span, and only those."""
    with capture_telemetry(settings(trace_sample_rate=0.0, trace_slow_seconds=2.0)) as capture:
        app = shop(capture)

        for path in ("/slash/", "/stream", "/fail"):
            await ask(app, path)

        assert sum(by for key, by in capture.deltas().items() if key.startswith("http_requests_total")) == 3
        assert [span.name for span in capture.spans] == ["GET /stream", "GET /fail"]


# 23 to 29: what the process does for itself.


async def test_point_23_exemplars_are_in_openmetrics_and_of_sampled_traces_only(capture: Capture) -> None:
    """The exemplar of a count names the trace; text 0.0.4 has none, and a trace that is not kept is not named."""
    await ask(shop(capture), "/slash/")
    registry, trace_id = capture.telemetry.metrics.registry, capture.span("GET /slash/").trace_id.encode()

    assert trace_id in render(registry, "application/openmetrics-text").body
    assert trace_id not in render(registry, "text/plain").body

    with capture_telemetry(settings(trace_sample_rate=0.0)) as unsampled:
        await ask(shop(unsampled), "/slash/")
        assert b"trace_id" not in render(unsampled.telemetry.metrics.registry, "application/openmetrics-text").body


async def test_point_28_a_held_loop_is_measured_and_shown(capture: Capture) -> None:
    """While the application lives, the lag of its loop is measured, and what holds it for a second is a stack."""

    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        await wait_for_async(lambda: capture.metric("event_loop_lag_seconds_count"), 10, what="a measured lag")
        hold_the_loop(until=lambda: capture.metric("event_loop_stalls_total") == 1)

    await drive(instrument(application, capture.telemetry), {"type": "lifespan"})

    assert "hold_the_loop" in capture.line("event_loop_stalled")["stack"]


def hold_the_loop(*, until: Callable[[], bool]) -> None:
    """Do what no handler may: block the thread of the event loop, until it was noticed."""
    wait_for(until, 10, what="a held loop that is noticed")


async def test_point_29_two_applications_in_one_process_do_not_meet(capture: Capture) -> None:
    """Lines, spans and counts of each are its own, and no global provider is set."""
    with capture_telemetry() as other:
        await asyncio.gather(ask(shop(capture), "/slash/"), ask(shop(other), "/user"))

        for own, path in ((capture, "/slash/"), (other, "/user")):
            assert [span.name for span in own.spans] == [f"GET {path}"]
            assert access(own)["endpoint"] == path
            assert own.metric("http_requests_total", method="GET", endpoint=path, status_code="200") == 1
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    structlog.get_logger("x").info("to_the_one_that_is_left")
    assert capture.find_lines("to_the_one_that_is_left")
