"""Which requests have a span, what it says, and what the spans of an application's own code are below it."""

import asyncio
import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, get_current_span
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from tests.support.asgi import Answer, Recorder, drive, http_scope
from tests.support.span_list import SpanList
from tests.support.traced_recorder import START_NS, TracedRecorder

from prethrift_backend.config import Settings
from prethrift_backend.contracts import parse_metrics
from prethrift_backend.observability import bind_user, configure, get_logger, get_tracer, instrument, mark_quiet
from prethrift_backend.observability.clock import Ids
from prethrift_backend.observability.context import current_request
from prethrift_backend.observability.redaction import STANDARD
from prethrift_backend.observability.spans import redacted_span
from prethrift_backend.observability.testing import FakeClock

TRACER = get_tracer("tests.of-the-application")


@TRACER.start_as_current_span("decorated")
async def decorated() -> bool:
    """Tell whether the span of this call is recorded."""
    return get_current_span().is_recording()


async def served(recorder: Recorder, work: Any, **scope: Any) -> Answer:
    """Serve one request by an application that answers and calls ``work`` before."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await work()
        await PlainTextResponse("ok")(scope, receive, send)

    return await drive(instrument(app, recorder.telemetry), {**http_scope(), **scope})


@given(trace_id=st.integers(1, 2**128 - 1), rate=st.floats(0, 1))
def test_a_trace_is_sampled_as_the_sdk_would(trace_id: int, rate: float) -> None:
    """Our decision is that of TraceIdRatioBased, so that services with the same rate keep the same traces."""
    settings = Settings.model_validate({"log_format": "json", "trace_sample_rate": rate})
    telemetry = configure(settings, ids=Ids(trace_id=lambda: trace_id), span_sinks=[SpanList()])

    span = telemetry.tracing.start_server_span({})

    telemetry.close()
    decision = TraceIdRatioBased(rate).should_sample(None, trace_id, "").decision
    assert span.is_sampled is (decision is Decision.RECORD_AND_SAMPLE)


async def test_times_and_ids_are_those_that_were_injected() -> None:
    """The server span and the spans below it have the clock's times and the source's ids."""
    recorder = TracedRecorder()

    async def work() -> None:
        with TRACER.start_as_current_span("child"):
            recorder.clock.tick(0.25)

    await served(recorder, work)

    child, server = recorder.sink.spans
    assert (server.start_time, server.end_time) == (START_NS, START_NS + 250_000_000)
    contexts = [span.get_span_context() for span in (server, child)]
    assert [(context.trace_id, context.span_id) for context in contexts if context] == [(1, 1), (1, 2)]
    assert child.parent is not None
    assert (child.parent.span_id, child.kind) == (1, SpanKind.INTERNAL)
    assert recorder.lines("request_completed")[0]["duration_ms"] == 250


async def test_code_can_add_to_the_span_of_its_request() -> None:
    """The current span of a sampled request is a recording one, and keeps what the application sets on it."""
    recorder = TracedRecorder()

    async def work() -> None:
        get_current_span().set_attribute("shop.basket", 3)
        bind_user("user-7")

    await served(recorder, work)

    attributes = recorder.spans[0].attributes or {}
    assert (attributes["shop.basket"], attributes["user.id"]) == (3, "user-7")


async def test_below_a_request_that_is_not_sampled_nothing_is_recorded() -> None:
    """Spans of the application cost next to nothing there, and its lines still have the ids."""
    recorder = TracedRecorder(trace_sample_rate=0)
    seen: list[bool] = []

    async def work() -> None:
        with TRACER.start_as_current_span("child") as span:
            seen.append(span.is_recording())
            get_logger("shop").info("worked")

    await served(recorder, work)

    (line,) = recorder.lines("worked")
    assert (seen, recorder.spans) == ([False], [])
    assert line["trace_id"] == recorder.lines("request_completed")[0]["trace_id"]


async def test_a_span_is_bounded() -> None:
    """Neither one long value nor ten thousand of them make a span large."""
    recorder = TracedRecorder()

    async def work() -> None:
        span = get_current_span()
        for number in range(1_000):
            span.set_attribute(f"key-{number}", number)
            span.add_event("event")
        span.set_attribute("long", "x" * 100_000)

    await served(recorder, work)

    span = recorder.sink.spans[0]
    attributes = span.attributes or {}
    assert (len(attributes) <= 64, len(span.events) <= 64) == (True, True)
    sent = redacted_span(span, redactor=STANDARD).attributes or {}
    assert [len(value) for value in (attributes["long"], sent["long"]) if isinstance(value, str)] == [5120, 4096]
    assert attributes["http.response.status_code"] == 200
    assert (span.dropped_attributes > 900, span.dropped_events > 900) == (True, True)


async def test_a_password_on_the_cut_of_a_long_text_is_hidden() -> None:
    """An address whose password ends where the text is cut is known for one: it is redacted before it is cut short."""
    recorder = TracedRecorder()
    text = f"{'x' * 4060} postgresql://app:canary-of-a-password@db/prethrift"

    async def work() -> None:
        get_current_span().set_attribute("note", text)
        raise ValueError(text)

    await served(recorder, work)

    sent = redacted_span(recorder.sink.spans[0], redactor=STANDARD)
    said = [(sent.attributes or {})["note"], (sent.events[0].attributes or {})["exception.message"]]
    assert [isinstance(one, str) and len(one) <= 4096 and "canary" not in one for one in said] == [True, True]


def _attribute() -> None:
    get_current_span().set_attribute("note", "token=canary")


def _event() -> None:
    get_current_span().add_event("noted", {"note": "token=canary"})


def _link() -> None:
    get_current_span().add_link(SpanContext(1, 1, is_remote=True), {"note": "token=canary"})


def _status() -> None:
    get_current_span().set_status(StatusCode.ERROR, "token=canary")


def _user() -> None:
    bind_user("token=canary")


_STATUS = pytest.param(_status, marks=pytest.mark.contract_unobserved("an application's own status has no error.type"))


@pytest.mark.parametrize("add", [_attribute, _event, _link, _STATUS, _user])
async def test_what_an_application_adds_is_redacted(add: Callable[[], None]) -> None:
    """A span with anything on it that the layer did not choose itself goes through the choke point."""
    recorder = TracedRecorder()

    async def work() -> None:
        add()

    await served(recorder, work)

    (raw,) = recorder.sink.spans
    assert "canary" in raw.to_json()
    assert "canary" not in redacted_span(raw, redactor=recorder.telemetry.redactor).to_json()


async def test_what_the_layer_itself_says_needs_no_redaction() -> None:
    """The span of most requests holds closed sets and ids that were looked at: it is handed on as it is."""
    recorder = TracedRecorder()

    async def work() -> None: ...

    await served(recorder, work, headers=[(b"x-request-id", b"one"), (b"x-trace-id", b"test-trace-123")])

    (raw,) = recorder.sink.spans
    assert redacted_span(raw, redactor=recorder.telemetry.redactor) is raw


@pytest.mark.parametrize(("slow_seconds", "took", "exported"), [(1, 1.5, 1), (1, 0.5, 0), (0, 99, 0)])
async def test_a_slow_request_has_its_span_although_not_sampled(
    slow_seconds: float, took: float, exported: int
) -> None:
    """From TRACE_SLOW_SECONDS on the span is built afterwards; 0 means that none is."""
    recorder = TracedRecorder(trace_sample_rate=0, trace_slow_seconds=slow_seconds)

    async def work() -> None:
        recorder.clock.tick(took)

    await served(recorder, work)

    assert len(recorder.spans) == exported
    for span in recorder.spans:
        assert (span.attributes or {})["prethrift.sampled_late"] is True
        assert (span.start_time, span.end_time) == (START_NS, START_NS + round(took * 1e9))


def _exemplars(recorder: Recorder) -> dict[str, dict[str, str]]:
    metrics = recorder.telemetry.metrics.registry.collect()
    return {sample.name: sample.exemplar.labels for metric in metrics for sample in metric.samples if sample.exemplar}


@pytest.mark.parametrize(
    ("settings", "has_exemplars"),
    [
        ({"trace_sample_rate": 1}, True),
        ({"trace_sample_rate": 0}, False),
        ({"trace_sample_rate": 0, "trace_slow_seconds": 0.1}, True),
    ],
)
async def test_exemplars_lead_to_spans_that_are_exported(settings: dict[str, Any], has_exemplars: bool) -> None:
    """Counter and histogram name the trace where it was sampled, from the start or late, and never otherwise."""
    recorder = TracedRecorder(**settings)

    async def work() -> None:
        recorder.clock.tick(0.2)

    await served(recorder, work)

    ids = {"trace_id": f"{1:032x}", "span_id": f"{1:016x}"}
    names = ("http_requests_total", "http_request_duration_seconds_bucket")
    assert _exemplars(recorder) == (dict.fromkeys(names, ids) if has_exemplars else {})


@pytest.mark.contract_unobserved("an observer is a receiver")
async def test_without_a_receiver_there_are_no_exemplars() -> None:
    """An exemplar of a span that nobody gets would lead to nothing."""
    recorder = Recorder(trace_sample_rate=1)

    async def work() -> None:
        assert get_current_span().is_recording()

    await served(recorder, work)

    assert _exemplars(recorder) == {}


async def test_below_a_probe_nothing_is_recorded() -> None:
    """A probe has no span, sampled or failed, and neither has what it does."""
    recorder = TracedRecorder()

    @mark_quiet
    async def probe() -> None:
        with TRACER.start_as_current_span("ping"):
            recorder.clock.tick(5)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["endpoint"] = probe
        await probe()
        await PlainTextResponse("down", status_code=503)(scope, receive, send)

    await drive(instrument(app, recorder.telemetry), http_scope())

    assert recorder.sink.spans == []


async def _answered_with(recorder: Recorder, task: Any) -> Answer:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok", background=BackgroundTask(task))(scope, receive, send)

    return await drive(instrument(app, recorder.telemetry), http_scope())


@pytest.mark.parametrize(("took", "is_told"), [(0.5, True), (0.009, False)])
async def test_work_after_the_answer_has_a_span_of_its_own(took: float, is_told: bool) -> None:
    """Its duration is its own, and not the request's; below ten milliseconds it is no work."""
    recorder = TracedRecorder()

    async def task() -> None:
        recorder.clock.tick(took)

    await _answered_with(recorder, task)

    server, *others = recorder.spans
    assert server.end_time == server.start_time
    assert [(span.name, span.start_time, span.end_time) for span in others] == [
        ("background", START_NS, START_NS + 500_000_000)
    ] * is_told
    assert all(span.parent == server.get_span_context() for span in others)
    assert recorder.sample("http_background_duration_seconds_count", status="success") == int(is_told)


@pytest.mark.parametrize("rate", [1, 0])
async def test_a_failed_background_task_is_on_the_trace_of_its_request(rate: int) -> None:
    """Sampled or not: both spans are there, its count, and the report has the request's trace."""
    recorder = TracedRecorder(trace_sample_rate=rate)

    async def task() -> None:
        raise RuntimeError("token=canary")

    await _answered_with(recorder, task)

    server, background = recorder.spans
    assert (server.name, server.status.status_code.name) == ("GET", "UNSET")
    assert (background.status.status_code.name, background.attributes or {})[0] == "ERROR"
    assert (background.attributes or {})["error.type"] == "RuntimeError"
    assert [event.name for event in background.events] == ["exception"]
    assert background.parent is not None
    assert (background.parent.trace_id, background.parent.span_id) == (1, 1)
    assert recorder.errors.errors == [("background_task_failed", "RuntimeError")]
    assert recorder.errors.traces == [f"{1:032x}"]
    assert recorder.sample("http_background_duration_seconds_count", status="error") == 1


async def test_a_cancelled_background_task_is_told_apart() -> None:
    """A task that the server stopped is neither a success nor an error, and always counts."""
    recorder = TracedRecorder()

    async def task() -> None:
        raise asyncio.CancelledError

    await _answered_with(recorder, task)

    _, background = recorder.spans
    assert (background.status.status_code.name, recorder.errors.errors) == ("UNSET", [])
    assert recorder.sample("http_background_duration_seconds_count", status="cancelled") == 1


async def test_breadcrumbs_are_kept_only_for_a_reporter() -> None:
    """Without somebody who wants them the last lines of a request are not kept."""
    kept: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = current_request()
        kept.append(request is not None and request.breadcrumbs is not None)
        await PlainTextResponse("ok")(scope, receive, send)

    for recorder in (Recorder(), TracedRecorder()):
        await drive(instrument(app, recorder.telemetry), http_scope())

    assert kept == [False, True]


async def test_open_requests_are_counted_at_the_scrape_without_probes() -> None:
    """A scrape sees the requests that are being served, and not itself."""
    recorder = TracedRecorder()
    seen: list[float | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/probe":
            scope["endpoint"] = mark_quiet(app)
            seen.append(recorder.sample("http_requests_in_progress"))
        else:
            await drive(outer, http_scope(path="/probe"))
        await PlainTextResponse("ok")(scope, receive, send)

    outer = instrument(app, recorder.telemetry)
    await drive(outer, http_scope())

    assert (seen, recorder.sample("http_requests_in_progress")) == ([1], 0)


async def test_a_tracer_may_be_made_before_there_is_a_telemetry() -> None:
    """It does nothing at first, and records as soon as something is configured, decorated coroutines too."""
    before = await decorated()
    recorder = TracedRecorder()

    inside = await decorated()

    recorder.telemetry.close()
    assert (before, inside, await decorated()) == (False, True, False)
    assert [span.name for span in recorder.sink.spans] == ["decorated"]


async def test_a_tracer_follows_the_application_that_serves() -> None:
    """Two applications in one process have their spans apart, by the same module's tracer."""
    first, second = TracedRecorder(), TracedRecorder()

    async def work() -> None:
        TRACER.start_span("work", kind=SpanKind.CLIENT).end()

    await served(first, work)

    assert ([span.name for span in first.sink.spans], second.sink.spans) == (["work", "GET"], [])


async def test_a_fault_in_making_the_span_does_not_reach_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is served unobserved, and the fault is counted."""
    recorder = Recorder(strict=False)
    monkeypatch.setattr(recorder.telemetry.tracing, "start_server_span", None)

    async def work() -> None: ...

    answer = await served(recorder, work)

    assert (answer.status, recorder.telemetry.errors) == (200, 1)


async def test_a_fault_in_counting_a_connection_loses_neither_span_nor_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of a connection does not depend on one another either."""
    recorder = TracedRecorder(strict=False)
    monkeypatch.setattr(recorder.telemetry.requests, "count_connection", None)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1000})

    await drive(instrument(app, recorder.telemetry), {**http_scope(), "type": "websocket"})

    assert (recorder.telemetry.errors, len(recorder.spans)) == (1, 1)
    assert len(recorder.lines("websocket_closed")) == 1


async def test_a_fault_in_ending_the_span_loses_neither_count_nor_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Span, count and line do not depend on one another."""
    recorder = TracedRecorder(strict=False)
    monkeypatch.setattr(recorder.sink, "put", None)

    async def work() -> None: ...

    answer = await served(recorder, work)

    assert (answer.status, recorder.telemetry.errors) == (200, 1)
    assert recorder.sample("http_request_duration_seconds_count", method="GET", endpoint="__unmatched__") == 1
    assert len(recorder.lines("request_completed")) == 1


FORKED = """
    import os, sys
    from prethrift_backend.config import Settings
    from prethrift_backend.observability import configure
    telemetry = configure(Settings(log_format="json"), log_stream=open(os.devnull, "wb"))
    read, write = os.pipe()
    child = os.fork()
    span = telemetry.tracing.start_server_span({})
    instance = telemetry.tracing.provider.resource.attributes["service.instance.id"]
    if child == 0:
        os.write(write, f"{span.trace_id} {span.span_id} {instance}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    ours, theirs = {span.trace_id, span.span_id, instance}, set(os.read(read, 1000).decode().split())
    sys.exit(len(ours & theirs) or len(theirs) != 3)
"""


def _run(source: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=120)


def test_a_forked_process_has_ids_of_its_own() -> None:
    """Parent and child give different trace ids, span ids and instance ids."""
    done = _run(FORKED)

    assert done.returncode == 0, done.stderr


NATIVE = """
    import asyncio, os, sys
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from fastapi import FastAPI
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
    from prethrift_backend.config import Settings
    from prethrift_backend.observability import configure, instrument

    class Sink(list):
        put = list.append
        def close(self, deadline): ...

    ours, theirs = Sink(), InMemorySpanExporter()
    settings = Settings(log_format="json", trace_sample_rate=1)
    telemetry = configure(settings, log_stream=open(os.devnull, "wb"), span_sinks=[ours], strict=True)
    if sys.argv[1:] == ["one-provider"]:
        trace.set_tracer_provider(telemetry.tracing.provider)
    else:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(theirs))
        trace.set_tracer_provider(provider)
    inner = FastAPI()
    inner.add_middleware(OpenTelemetryMiddleware)

    @inner.get("/items/{item_id}")
    async def read(item_id: int) -> int:
        return item_id

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message): ...

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": "GET",
        "path": "/items/5", "raw_path": b"/items/5", "root_path": "", "query_string": b"", "server": ("test", 80),
        "headers": [(b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
    }
    asyncio.run(instrument(inner, telemetry)(scope, receive, send))
    foreign = [span for span in ours if "prethrift" not in span.instrumentation_scope.name]
    others = theirs.get_finished_spans() or foreign
    print("server spans:", [span.name for span in ours if span.kind.name == "SERVER"], "others:", len(others) > 1)
"""


@pytest.mark.parametrize("provider", ["their-provider", "one-provider"])
def test_there_is_one_server_span_beside_the_frameworks_own_telemetry(provider: str) -> None:
    """FastAPI's own spans and Starlette's middleware add no second one, on a provider of their own or on ours."""
    source = f"import sys\nsys.argv = ['-c', {provider!r}]\n{textwrap.dedent(NATIVE)}"

    done = _run(source)

    assert done.stdout == "server spans: ['GET /items/{item_id}'] others: True\n", done.stderr


async def test_several_workers_give_no_exemplars() -> None:
    """Where exemplars have no room in the metrics, none are made."""
    recorder = TracedRecorder()
    recorder.telemetry.requests.takes_exemplars = False

    async def work() -> None: ...

    await served(recorder, work)

    assert (_exemplars(recorder), len(recorder.spans)) == ({}, 1)


async def test_statements_are_counted_for_their_request() -> None:
    """A request that asked the database says how often, in its line and in the histogram; another says nothing."""
    recorder = TracedRecorder()

    async def ask() -> None:
        request = current_request()
        assert request is not None
        request.statements += 3

    async def ask_nothing() -> None: ...

    await served(recorder, ask)
    await served(recorder, ask_nothing)

    assert recorder.sample("db_statements_per_request_sum") == 3
    assert recorder.sample("db_statements_per_request_count") == 1
    assert [line.get("db_statements") for line in recorder.lines("request_completed")] == [3, None]


async def test_the_first_byte_counts_only_for_answers_in_pieces() -> None:
    """Of an answer in one piece the first byte says nothing that the last one does not."""
    recorder = TracedRecorder()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        recorder.clock.tick(0.02)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/pieces":
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            recorder.clock.tick(2)
        await send({"type": "http.response.body", "body": b"two"})

    for path in ("/pieces", "/whole"):
        await drive(instrument(app, recorder.telemetry), http_scope(path=path))

    labels = {"endpoint": "__unmatched__"}
    assert recorder.sample("http_time_to_first_byte_seconds_count", **labels) == 1
    assert recorder.sample("http_time_to_first_byte_seconds_sum", **labels) == pytest.approx(0.02)


OTHER_CONTRACT = """
# CONTRACT metrics 1.0.0
# HELP visits_total Visits.
# TYPE visits_total counter
# META visits_total stability=stable since=1.0.0 owner=shop
# SERIES visits_total max=1 presence=always
visits_total 1
"""


async def test_a_contract_without_our_families_is_no_fault() -> None:
    """Another application's own contract need not have any of them: spans and lines are there all the same."""
    sink, clock = SpanList(), FakeClock()
    telemetry = configure(
        Settings.model_validate({"log_format": "json", "trace_sample_rate": 1}),
        contract=parse_metrics(OTHER_CONTRACT, source="shop.txt"),
        strict=True,
        span_sinks=[sink],
        clock=clock,
        log_stream=io.BytesIO(),
    )

    async def task() -> None:
        clock.tick(1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await PlainTextResponse("ok", background=BackgroundTask(task))(scope, receive, send)

    answers = [
        await drive(instrument(app, telemetry), {**http_scope(), "type": kind}, [{"type": f"{kind}.connect"}])
        for kind in ("http", "websocket")
    ]

    telemetry.close()
    assert [answer.error for answer in answers] == [None, None]
    assert (telemetry.errors, sink.names) == (0, ["GET", "background", "WEBSOCKET"])


def test_a_word_in_the_environment_of_the_sdk_does_not_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our bounds are our own: a limit for another program that is not even a number changes nothing."""
    for name in ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"):
        monkeypatch.setenv(name, "many")

    assert TracedRecorder().telemetry.tracing.start_server_span({}).is_sampled
