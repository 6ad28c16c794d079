"""Hostile input through the whole layer: it is answered as without telemetry, and every line keeps its shape."""

import asyncio
import re
from typing import Any

import orjson
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from tests.support.asgi import Answer, Recorder, drive, http_scope
from tests.support.log_contract import broken_promises

from prethrift_backend.observability import bind_user, get_logger, instrument

LOG = get_logger("hostile")
MEGABYTE = 1024 * 1024

INJECTIONS = (
    '\n{"level":"info","event":"forged"}', "\r\nforged: 1", "\x1b[2J\x1b[31mred", "\u2028forged", "\u2029", "\x85",
    "\x00", "\x7f", "\x9b2J", "\u202eevil", "\ud800", "\udfff\ud800", "%s%d%(x)s", "{0.__class__}", "\ufeff",
    "\U0001f457",
)  # fmt: skip
HEADERS = (
    b"x-request-id", b"traceparent", b"tracestate", b"x-trace-id", b"baggage", b"cookie", b"authorization", b"host",
    b"content-type", b"content-length", b"accept", b"accept-encoding", b"user-agent", b"origin", b"forwarded",
    b"x-forwarded-for", b"referer", b"range", b"if-none-match", b"transfer-encoding", b"",
)  # fmt: skip

hostile_text = st.text(st.characters(), max_size=60) | st.sampled_from(INJECTIONS)
header = st.tuples(st.sampled_from(HEADERS) | st.binary(max_size=20).map(bytes.lower), st.binary(max_size=200))
methods = st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "get", "", "PROPFIND", "\u212a", "G\nET"]) | hostile_text
paths = st.sampled_from(["/echo", "/fail", "/items/5", "/items/x", "/mounted/x", "", "*", "//", "/../.."]) | (
    hostile_text.map(lambda text: f"/items/{text}")
)


def make_application() -> FastAPI:
    """Build an application that logs whatever it gets, as a careless one does."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/items/{item}")
    async def read(item: str) -> int:
        LOG.info(item, item=item, **{item: item})
        return 1

    @app.api_route("/echo", methods=["GET", "POST", "HEAD"])
    async def echo(request: Request) -> int:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        bind_user(headers[0][1] if headers else None)
        LOG.warning("seen", headers=headers, url=str(request.url), query=request.scope["query_string"])
        for name, value in headers:
            get_logger(name).info(value)
        return 1

    @app.get("/fail")
    async def fail(request: Request) -> None:
        raise ValueError(str(request.headers.raw))

    app.mount("/mounted", FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False}))
    return app


def outcome(answer: Answer) -> tuple[object, ...]:
    """Return what an application answered, and how it ended."""
    starts = [message["status"] for message in answer.messages if message["type"] == "http.response.start"]
    return (*starts, type(answer.error))


def serve(scope: dict[str, Any], recorder: Recorder) -> tuple[Answer, Answer]:
    """Return the answers of the same application, bare and instrumented, to the same request."""
    bare = asyncio.run(drive(make_application(), dict(scope)))
    observed = asyncio.run(drive(instrument(make_application(), recorder.telemetry), dict(scope)))
    return bare, observed


def check_lines(recorder: Recorder) -> list[dict[str, Any]]:
    """Return the lines, each of which is one, is short enough, and has what every line has."""
    raw = recorder.text()
    lines = [orjson.loads(line) for line in raw.splitlines()]
    assert len(lines) == raw.count("\n")
    assert [(line, broken) for line in raw.splitlines() if (broken := broken_promises(line.encode()))] == []
    return lines


def check(scope: dict[str, Any], **settings: Any) -> None:
    """Serve a request with and without telemetry, and hold the telemetry to its promises."""
    recorder = Recorder(log_level="DEBUG", **settings)
    bare, observed = serve(scope, recorder)
    lines = check_lines(recorder)

    assert recorder.telemetry.errors == 0
    assert outcome(observed) == outcome(bare) or bare.error is not None
    assert type(observed.error) is type(bare.error)
    (access,) = [line for line in lines if line["event"] == "request_completed" and "method" in line]
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", access["request_id"])
    assert observed.header(b"x-request-id") == [access["request_id"].encode()]


@given(st.lists(header, max_size=6), st.binary(max_size=100))
def test_any_bytes_in_any_header_and_query(headers: list[tuple[bytes, bytes]], query: bytes) -> None:
    """Whatever bytes are in names, values and the query string, the request is answered and logged as any other."""
    check(http_scope(path="/echo", headers=headers, query=query))


@given(methods, paths, st.lists(header, max_size=2))
def test_any_method_host_and_path(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever method, host and path a request names, it is answered as without telemetry."""
    scope = http_scope("GET", "/echo", headers=headers)
    check({**scope, "method": method, "path": path, "raw_path": path.encode("utf-8", "surrogatepass")})


@given(st.lists(header, max_size=6))
def test_any_bytes_in_an_exception(headers: list[tuple[bytes, bytes]]) -> None:
    """An exception whose text came from the client is logged and raised as any other."""
    check(http_scope(path="/fail", headers=headers))


@given(hostile_text, hostile_text)
def test_any_text_in_a_line(event: str, value: str) -> None:
    """Event, name of a logger, name of a field, field and user of a line may be anything."""
    recorder = Recorder()

    get_logger(value).info(event, **{value: value, "deep": {value: [value, (value, value)]}})

    assert len(check_lines(recorder)) == 1


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nobody_forges_a_line(injection: str, log_format: str) -> None:
    """What a client sends cannot begin a line of its own, in neither form."""
    recorder = Recorder(log_format=log_format)
    LOG.info(injection, value=injection, **{injection or "x": injection})

    written = recorder.text()
    assert len(written.splitlines()) == 1
    assert "\x1b" not in written


@pytest.mark.parametrize("injection", INJECTIONS)
async def test_a_query_forges_no_line(recorder: Recorder, injection: str) -> None:
    """A parameter that is kept in the line is text, whatever it holds."""
    query = b"q=" + injection.encode("utf-8", "surrogatepass")
    await drive(instrument(make_application(), recorder.telemetry), http_scope(path="/items/5", query=query))

    assert len(check_lines(recorder)) == 2


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("path", ["/echo", "/fail"])
def test_a_header_of_a_megabyte(name: bytes, path: str) -> None:
    """A value of 1 MB in any header is answered, and no line becomes longer than the contract allows."""
    check(http_scope(path=path, headers=[(name, b"a=b; \xff," * (MEGABYTE // 8))]))


def test_a_path_of_a_megabyte() -> None:
    """The path itself is in no line of ours, and the application's own line is cut."""
    check(http_scope(path="/items/" + "x\u2028" * (MEGABYTE // 4), query=b"q=" + b"%00" * MEGABYTE))


def series(registry: CollectorRegistry) -> int:
    """Return how many samples a scrape of the registry has."""
    return sum(len(family.samples) for family in registry.collect())


async def test_ten_thousand_paths_and_methods_are_a_few_series() -> None:
    """Neither paths nor methods that nobody has heard of add a series after the first of them."""
    recorder = Recorder(log_level="WARNING")
    app = instrument(make_application(), recorder.telemetry)
    scopes = [{**http_scope(path=path), "method": method} for path in ("/items/x", "/x") for method in ("GET", "M")]
    for scope in scopes:
        await drive(app, dict(scope))
    before = series(recorder.telemetry.metrics.registry)

    for number in range(10_000):
        path = f"/items/{number}" if number % 2 else f"/{number}/x"
        await drive(app, {**http_scope(path=path), "method": f"M{number}" if number % 3 else "GET"})

    assert series(recorder.telemetry.metrics.registry) == before
    assert recorder.telemetry.errors == 0
    assert recorder.sample("http_requests_total", method="_OTHER", endpoint="__unmatched__", status_code="404")
