"""Who a request belongs to: its ids, what a caller may decide about its trace, and where that shows."""

from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from tests.support.asgi import Answer, Message, Recorder, drive, http_scope
from tests.support.traced_recorder import TracedRecorder
from tests.unit.observability.test_asgi import build_application

from prethrift_backend.observability import EXPOSED_HEADERS, Redactor, instrument, trace_headers

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
NOT_SAMPLED = (b"traceparent", f"00-{TRACE}-{SPAN}-00".encode())
FIRST_TRACE = f"{1:032x}"

# Of `counted_ids`: the trace id 1 is sampled at every rate but 0.
ALWAYS, NEVER = 1.0, 0.0


async def leaf(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    await PlainTextResponse("ok")(scope, receive, send)


async def asked(recorder: Recorder, *headers: tuple[bytes, bytes]) -> Answer:
    """Serve one request with these headers."""
    return await drive(instrument(leaf, recorder.telemetry), http_scope(headers=headers))


def ids_of(span: ReadableSpan) -> tuple[str, str | None, bool]:
    """Return a span's trace, its parent's span, and whether it is sampled."""
    context = span.get_span_context()
    assert context is not None
    parent = None if span.parent is None else f"{span.parent.span_id:016x}"
    return f"{context.trace_id:032x}", parent, context.trace_flags.sampled


@pytest.mark.parametrize("caller", [SAMPLED, NOT_SAMPLED], ids=["sampled", "not-sampled"])
@pytest.mark.parametrize(("rate", "exported"), [(ALWAYS, 1), (NEVER, 0)])
async def test_an_untrusted_caller_is_linked_and_decides_nothing(
    caller: tuple[bytes, bytes], rate: float, exported: int
) -> None:
    """With ``link`` the trace is ours, sampled by our own rate whatever the caller says, with a link to its span."""
    recorder = TracedRecorder(trace_trust="link", trace_sample_rate=rate)

    answer = await asked(recorder, caller)

    assert answer.header(b"x-trace-id") == [FIRST_TRACE.encode()]
    assert [ids_of(span) for span in recorder.spans] == [(FIRST_TRACE, None, True)] * exported
    for span in recorder.spans:
        (link,) = span.links
        assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == (TRACE, SPAN)


@pytest.mark.parametrize("rate", [ALWAYS, NEVER])
@pytest.mark.parametrize(("caller", "exported"), [(SAMPLED, 1), (NOT_SAMPLED, 0)])
async def test_a_trusted_caller_is_the_parent_and_decides(
    caller: tuple[bytes, bytes], exported: int, rate: float
) -> None:
    """With ``parent`` the span is a child of the caller's, and the caller's decision holds whatever our rate is."""
    recorder = TracedRecorder(trace_trust="parent", trace_sample_rate=rate)

    answer = await asked(recorder, caller)

    assert answer.header(b"x-trace-id") == [TRACE.encode()]
    assert [ids_of(span) for span in recorder.spans] == [(TRACE, SPAN, True)] * exported
    assert all(not span.links for span in recorder.spans)


async def test_an_ignored_caller_leaves_no_trace() -> None:
    """With ``ignore`` neither a parent nor a link is made."""
    recorder = TracedRecorder(trace_trust="ignore")

    await asked(recorder, SAMPLED)

    (span,) = recorder.spans
    assert (ids_of(span), span.links) == ((FIRST_TRACE, None, True), ())


async def test_a_trusted_callers_tracestate_goes_on() -> None:
    """The members of other vendors are kept, in the span and for those whom we call."""
    recorder = TracedRecorder(trace_trust="parent", trace_propagate_hosts="api.example.com")
    sent: dict[str, str] = {}

    async def call(scope: Any, receive: Any, send: Any) -> None:
        sent.update(trace_headers("https://api.example.com/"))
        await leaf(scope, receive, send)

    headers = [SAMPLED, (b"tracestate", b"rojo=1"), (b"baggage", b"canary=canary")]
    await drive(instrument(call, recorder.telemetry), http_scope(headers=headers))

    assert sent == {"traceparent": f"00-{TRACE}-{1:016x}-01", "tracestate": "rojo=1"}


async def test_a_tracestate_that_holds_a_secret_is_dropped() -> None:
    """A token in a vendor's member does not even become a part of the span, and so of no call that we make."""
    recorder = TracedRecorder(trace_trust="parent")

    await asked(recorder, SAMPLED, (b"tracestate", b"rojo=eyJcanary1.eyJcanary2.canary3"))

    (span,) = recorder.sink.spans  # before the choke point, which would hide it too
    context = span.get_span_context()
    assert context is not None
    assert not context.trace_state


async def test_baggage_of_a_caller_is_nobodys() -> None:
    """Inbound baggage is not current, nor what was current outside: a library would send it to third parties."""
    recorder = TracedRecorder(trace_trust="parent")
    seen: list[Any] = []

    async def look(scope: Any, receive: Any, send: Any) -> None:
        seen.append(baggage.get_all())
        await leaf(scope, receive, send)

    token = attach(baggage.set_baggage("earlier", "canary"))
    await drive(instrument(look, recorder.telemetry), http_scope(headers=[SAMPLED, (b"baggage", b"user=canary")]))
    detach(token)

    assert [dict(found) for found in seen] == [{}]


@pytest.mark.parametrize("trust", ["link", "parent", "ignore"])
async def test_a_word_for_a_trace_can_be_searched_for(trust: str) -> None:
    """``X-Trace-Id: test-trace-123`` is on the access line and on the span, and is not taken for an id."""
    recorder = TracedRecorder(trace_trust=trust)

    answer = await asked(recorder, (b"x-trace-id", b"test-trace-123"))

    (line,) = recorder.lines("request_completed")
    (span,) = recorder.spans
    assert (line["client_trace_id"], line["trace_id"]) == ("test-trace-123", FIRST_TRACE)
    assert (span.attributes or {})["client_trace_id"] == "test-trace-123"
    assert answer.header(b"x-trace-id") == [FIRST_TRACE.encode()]


async def test_a_trusted_callers_trace_id_is_the_traces() -> None:
    """With ``parent`` an X-Trace-Id of 32 hexadecimal digits becomes the id of the trace."""
    recorder = TracedRecorder(trace_trust="parent")

    answer = await asked(recorder, (b"x-trace-id", TRACE.encode()))

    (line,) = recorder.lines("request_completed")
    assert answer.header(b"x-trace-id") == [TRACE.encode()]
    assert [ids_of(span) for span in recorder.spans] == [(TRACE, None, True)]
    assert "client_trace_id" not in line


async def test_an_untrusted_callers_trace_id_is_only_a_word() -> None:
    """With ``link`` a caller cannot choose the id, and with it whether it is sampled."""
    recorder = TracedRecorder(trace_trust="link")

    await asked(recorder, (b"x-trace-id", TRACE.encode()))

    (line,) = recorder.lines("request_completed")
    assert (line["trace_id"], line["client_trace_id"]) == (FIRST_TRACE, TRACE)


async def test_a_traceparent_goes_before_an_x_trace_id() -> None:
    """The standard's header decides; the other is kept as a word."""
    recorder = TracedRecorder(trace_trust="parent")

    await asked(recorder, SAMPLED, (b"x-trace-id", b"f" * 32))

    (line,) = recorder.lines("request_completed")
    assert (line["trace_id"], line["client_trace_id"]) == (TRACE, "f" * 32)


@pytest.mark.parametrize(
    "word", [b"eyJcanary1.eyJcanary2.canary3", b"token=canary", b"canary\r\nx: y", b"\xff" * 9, b""]
)
async def test_a_secret_or_a_control_character_is_no_word(word: bytes) -> None:
    """What may not be repeated is repeated nowhere."""
    recorder = TracedRecorder()

    await asked(recorder, (b"x-trace-id", word))

    assert "client_trace_id" not in (recorder.spans[0].attributes or {})
    assert "canary" not in recorder.text()


@pytest.mark.parametrize(("method", "path"), [("canary", "/canary"), ("GET", "/items/canary"), ("GET", "/fail")])
async def test_nothing_that_a_client_sends_is_on_a_span(method: str, path: str) -> None:
    """What a span says of a request comes from closed sets, and the text of an error is redacted."""
    recorder = TracedRecorder()
    headers = [(b"cookie", b"s=canary"), (b"authorization", b"Basic canary99"), (b"user-agent", b"canary")]
    scope = http_scope(method, path, headers=headers, query=b"token=canary&q=canary")
    app = instrument(build_application(), recorder.telemetry)

    await drive(app, {**scope, "scheme": "canary", "http_version": "canary", "client": ("canary", 1)})

    (span,) = recorder.spans
    assert "canary" not in span.to_json()
    assert "hunter2" not in span.to_json()


async def test_the_redactor_of_the_application_decides_on_ids() -> None:
    """A rule that the application adds holds for request ids and words of callers too."""
    redactor = Redactor(extra_rules=[lambda text: text.replace("canary", "")])
    recorder = Recorder(parts={"redactor": redactor})

    answer = await asked(recorder, (b"x-request-id", b"my-canary"), (b"x-trace-id", b"my-canary"))

    assert b"canary" not in answer.header(b"x-request-id")[0]
    assert "canary" not in recorder.text()


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ([], FIRST_TRACE),
        ([(b"x-request-id", b"theirs-1")], "theirs-1"),
        ([(b"x-request-id", b"not valid")], FIRST_TRACE),
        ([(b"x-request-id", b"theirs-1"), (b"x-request-id", b"theirs-2")], FIRST_TRACE),
        ([SAMPLED], "own-1"),
        ([(b"x-trace-id", TRACE.encode())], "own-1"),
    ],
)
async def test_a_request_without_an_id_has_its_traces(headers: list[tuple[bytes, bytes]], request_id: str) -> None:
    """The id is the caller's where it is valid, the trace's where that is ours, and otherwise a new one."""
    recorder = TracedRecorder(trace_trust="parent")

    answer = await asked(recorder, *headers)

    assert answer.header(b"x-request-id") == [request_id.encode()]
    assert (recorder.spans[0].attributes or {})["prethrift.request_id"] == request_id


async def test_the_problem_body_of_a_500_names_the_trace() -> None:
    """Whoever sees the body can look the trace and the lines up."""
    recorder = TracedRecorder()

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("bare")

    answer = await drive(instrument(fail, recorder.telemetry), http_scope())

    assert f'"trace_id":"{FIRST_TRACE}"'.encode() in answer.body
    assert f'"request_id":"{FIRST_TRACE}"'.encode() in answer.body
    assert answer.header(b"x-trace-id") == [FIRST_TRACE.encode()]


async def test_our_headers_take_the_place_of_the_applications() -> None:
    """An X-Trace-Id or X-Request-ID of the application's own, in whatever letters, gives way."""
    recorder = TracedRecorder()

    async def own(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"X-Trace-ID", b"theirs"), (b"x-request-id", b"theirs"), (b"x-other", b"stays")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    answer = await drive(instrument(own, recorder.telemetry), http_scope())

    assert answer.headers == [
        (b"x-other", b"stays"), (b"x-request-id", FIRST_TRACE.encode()), (b"x-trace-id", FIRST_TRACE.encode())
    ]  # fmt: skip


async def test_the_denial_of_a_handshake_has_the_headers() -> None:
    """A WebSocket that is refused with an answer has both ids in it, as an accepted one has."""
    recorder = TracedRecorder()

    async def deny(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    connect: list[Message] = [{"type": "websocket.connect"}]
    answer = await drive(instrument(deny, recorder.telemetry), {**http_scope(), "type": "websocket"}, connect)

    assert (len(answer.header(b"x-request-id")), len(answer.header(b"x-trace-id"))) == (1, 1)
    assert (recorder.spans[0].attributes or {})["http.response.status_code"] == 401


async def test_a_browser_may_read_both_ids() -> None:
    """``EXPOSED_HEADERS`` is what the CORS middleware has to be told."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.add_middleware(CORSMiddleware, allow_origins=["*"], expose_headers=EXPOSED_HEADERS)
    recorder = TracedRecorder()

    answer = await drive(instrument(app, recorder.telemetry), http_scope(headers=[(b"origin", b"https://a.example")]))

    assert answer.header(b"access-control-expose-headers") == [b"X-Request-ID, X-Trace-Id"]


NAMES = st.sampled_from([b"traceparent", b"tracestate", b"x-trace-id", b"x-request-id", b"baggage", b"cookie"])


@given(
    headers=st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=8), trust=st.sampled_from(["link", "parent"])
)
async def test_hostile_identity_is_served(headers: list[tuple[bytes, bytes]], trust: str) -> None:
    """Whatever bytes identify the caller, the request has its ids, its span and its line, and nothing fails."""
    recorder = TracedRecorder(trace_trust=trust)

    answer = await asked(recorder, *headers)

    assert (answer.status, recorder.telemetry.errors) == (200, 0)
    assert len(answer.header(b"x-trace-id")[0]) == 32
    assert len(recorder.spans) == 1
    assert len(recorder.lines()) == 1
