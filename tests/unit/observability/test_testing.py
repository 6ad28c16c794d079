"""What users test their own promises with: a telemetry whose output stays in memory."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.trace import format_span_id, format_trace_id
from pydantic import SecretStr
from tests.support.asgi import Message, drive, http_scope
from tests.unit.observability.test_asgi import build_application

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability import (
    SEARCH_OPERATIONS,
    Redactor,
    configure,
    get_logger,
    get_tracer,
    instrument,
    testing,
)
from prethrift_backend.observability.clock import Clock, Ids
from prethrift_backend.observability.context import current_signals
from prethrift_backend.observability.redaction import REDACTED
from prethrift_backend.observability.testing import (
    CaptureError,
    CountingIds,
    FakeClock,
    SpanCollector,
    capture_telemetry,
)

LOG = get_logger("shop")
TRACER = get_tracer("shop")

LOGIN_LINE = (
    b'{"timestamp":"2026-01-02T03:04:05.000000Z","level":"info","event":"login","logger":"shop",'
    b'"service":"prethrift-backend","version":"0.1.0","environment":"development","attempt":2}\n'
)


def test_lines_are_the_bytes_that_a_stream_gets() -> None:
    """A captured line is what a real stream gets from the same call, to the byte."""
    stream = io.BytesIO()
    real = configure(Settings(log_format="json", log_level="DEBUG"), log_stream=stream, clock=FakeClock())
    LOG.info("login", attempt=2, password="hunter2")
    real.close()

    with capture_telemetry() as capture:
        LOG.info("login", attempt=2, password="hunter2")

        assert b"".join(capture.raw_lines) == stream.getvalue()
    assert b"hunter2" not in stream.getvalue()


def test_lines_are_deterministic() -> None:
    """Two runs give the same bytes: time stands still."""
    with capture_telemetry(Settings(service_version="0.1.0")) as capture:
        LOG.info("login", attempt=2)

        assert capture.raw_lines == [LOGIN_LINE]


def test_lines_are_found_by_event_and_fields() -> None:
    """One event, one value of a field, both, or everything."""
    with capture_telemetry() as capture:
        LOG.info("login", attempt=1)
        LOG.info("login", attempt=2)
        LOG.debug("logout", attempt=2)

        assert len(capture.find_lines()) == 3
        assert [line["attempt"] for line in capture.find_lines("login")] == [1, 2]
        assert [line["event"] for line in capture.find_lines(attempt=2)] == ["login", "logout"]
        assert capture.line("login", attempt=2)["level"] == "info"
        assert capture.find_lines("login", missing=None) == []


def test_a_line_that_is_missing_is_told_with_those_that_are_there() -> None:
    """The error says what was asked for and what there is."""
    with capture_telemetry() as capture:
        LOG.info("login")

        with pytest.raises(CaptureError, match=r"0 lines are 'logout' with \{\}, not 1; all events: login"):
            capture.line("logout")


def test_the_clock_moves_when_it_is_told_to() -> None:
    """A tick shows in the lines and in the spans, the SDK's own among them."""
    with capture_telemetry() as capture:
        with TRACER.start_as_current_span("slow"):
            capture.tick(1.5)
        LOG.info("later")

        assert capture.span("slow").duration_seconds == 1.5
        assert capture.line("later")["timestamp"] == "2026-01-02T03:04:06.500000Z"


def test_a_clock_that_runs_by_itself_cannot_be_moved() -> None:
    """Whoever brings a real clock keeps it."""
    with capture_telemetry(clock=Clock()) as capture, pytest.raises(TypeError, match="leave clock= out"):
        capture.tick(1)


def test_the_time_of_other_spans_is_given_back() -> None:
    """Behind the block the SDK takes its time where it took it before."""
    before = vars(sdk_trace)["time_ns"]

    with capture_telemetry():
        assert vars(sdk_trace)["time_ns"] is not before

    assert vars(sdk_trace)["time_ns"] is before


async def test_a_request_is_captured_as_a_whole() -> None:
    """One request: its line, its span and its counts have the same ids, which count from one."""
    with capture_telemetry() as capture:
        await drive(instrument(build_application(), capture.telemetry), http_scope(path="/items/5"))

        line, span = capture.line("request_completed"), capture.find_spans(kind="server")[0]
        assert line["trace_id"] == span.trace_id == f"{1:032x}"
        assert line["span_id"] == span.span_id == f"{1:016x}"
        assert line["duration_ms"] == span.duration_seconds == 0
        counted = 'http_requests_total{method="GET",endpoint="/items/{item_id}",status_code="200"}'
        assert {key: change for key, change in capture.deltas().items() if "requests_total" in key} == {counted: 1}


async def test_a_fault_is_one_error_event() -> None:
    """What nobody handled is an event on the trace of its line."""
    with capture_telemetry() as capture:
        await drive(instrument(build_application(), capture.telemetry), http_scope(path="/fail"))

        (event,) = capture.error_events
        assert event["exception"]["values"][-1]["type"]
        assert event["contexts"]["trace"]["trace_id"] == capture.line("request_failed")["trace_id"]


def test_spans_form_a_tree() -> None:
    """Parents, children and siblings, in the order in which they began."""
    with capture_telemetry() as capture:
        with TRACER.start_as_current_span("search"):
            with TRACER.start_as_current_span("embed"):
                pass
            with TRACER.start_as_current_span("rank"), TRACER.start_as_current_span("fuse"):
                pass
        with TRACER.start_as_current_span("other"):
            pass

        assert capture.span_outline() == ["search", "  embed", "  rank", "    fuse", "other"]
        (search, _other) = capture.span_tree()
        assert [node.span.parent_id for node in search.children] == [search.span.span_id] * 2


def test_a_span_is_what_the_otlp_request_holds() -> None:
    """Every field of a captured span is in the request that the real encoder makes of it."""
    with capture_telemetry() as capture:
        with TRACER.start_as_current_span("search", attributes={"search.type": "text"}) as span:
            span.add_event("cache_missed", {"size": 3})
            with pytest.raises(ValueError, match="no"), TRACER.start_as_current_span("embed"):
                raise ValueError("no")

        (request,) = capture.otlp_requests
        sent = {item.span_id.hex(): item for item in request.spans}
        for kept in capture.spans:
            item = sent[kept.span_id]
            assert (item.name, item.trace_id.hex()) == (kept.name, kept.trace_id)
            assert (item.parent_span_id.hex() or None) == kept.parent_id
            assert (item.start_time_unix_nano, item.end_time_unix_nano) == (kept.start_ns, kept.end_ns)
            assert {pair.key for pair in item.attributes} == set(kept.attributes)
            assert [event.name for event in item.events] == [event.name for event in kept.events]
            assert ("unset", "ok", "error")[item.status.code] == kept.status
        assert len(sent) == 2


def test_secrets_are_taken_out_of_spans() -> None:
    """What is captured is what leaves the process: after the redaction, by the capture's own redactor."""
    with capture_telemetry(redactor=Redactor(extra_keys=["iban"])) as capture:
        with TRACER.start_as_current_span("pay", attributes={"iban": "DE00", "db.password": "hunter2"}):
            pass

        assert dict(capture.span("pay").attributes) == {"iban": REDACTED, "db.password": REDACTED}
        assert b"DE00" not in capture.otlp_requests[0].body


def test_a_span_that_is_missing_is_told_with_those_that_are_there() -> None:
    """The error says what was asked for and what there is."""
    with capture_telemetry() as capture:
        with TRACER.start_as_current_span("search"):
            pass

        with pytest.raises(CaptureError, match=r"0 spans are 'rank' with \{\}, not 1; all spans: search"):
            capture.span("rank")


def test_changes_of_metrics_are_since_the_start_or_a_mark() -> None:
    """Only what changed is there, under the name that the exposition has."""
    series = 'search_operations_total{search_type="text",status="success"}'
    with capture_telemetry() as capture:
        SEARCH_OPERATIONS.labels(search_type="text", status="success").inc(2)
        mark = capture.mark()
        SEARCH_OPERATIONS.labels(search_type="text", status="success").inc()

        assert capture.metric("search_operations_total", search_type="text", status="success") == 3
        assert capture.metric("search_operations_total", search_type="nothing") is None
        assert capture.deltas() == {series: 3}
        assert capture.deltas(mark) == {series: 1}


def test_buckets_are_there_when_they_are_asked_for() -> None:
    """A histogram changes by count and sum; its buckets are noise to most tests."""
    with capture_telemetry() as capture:
        capture.telemetry.metrics.histogram("http_request_duration_seconds").labels(
            method="GET", endpoint="/x"
        ).observe(0.2)

        assert len(capture.deltas()) == 2
        assert len(capture.deltas(buckets=True)) > 2


def test_a_broken_contract_raises() -> None:
    """A capture is strict, so that a test finds what production would only count."""
    with capture_telemetry(), pytest.raises(ContractError, match="search_type"):
        SEARCH_OPERATIONS.labels(kind="text", status="success")


def test_a_capture_may_be_lenient() -> None:
    """Who tests how production behaves switches that off."""
    with capture_telemetry(strict=False) as capture:
        SEARCH_OPERATIONS.labels(kind="text", status="success").inc()

        assert capture.deltas() == {'contract_violations_total{family="search_operations_total",label="_names"}': 1}


@pytest.mark.contract_unobserved("an observer is a receiver")
def test_nothing_of_the_settings_leaves_the_process() -> None:
    """Whatever receivers the settings name, none of them is spoken to."""
    settings = Settings(
        environment="production",
        otlp_endpoint="https://collector.example",
        otlp_api_key=SecretStr("0123456789abcdef"),
        jaeger_endpoint="http://jaeger.example:14268",
        sentry_dsn=SecretStr("https://0123456789abcdef0123456789abcdef@sentry.example/1"),
        trace_console=True,
    )
    with capture_telemetry(settings) as capture:
        assert [type(sink) for sink in capture.telemetry.tracing.sinks] == [SpanCollector]
        assert capture.telemetry.settings.environment == "production"
        assert capture.telemetry.settings.sentry_dsn is None
        assert capture.telemetry._push is None


def test_settings_hold_otherwise(tmp_path: Path) -> None:
    """Level, sampling and a file are those of the settings; the lines are JSON whatever the format."""
    settings = Settings(log_level="WARNING", log_format="console", trace_sample_rate=0, log_file=tmp_path / "app.log")
    with capture_telemetry(settings) as capture:
        LOG.info("quiet")
        LOG.warning("loud")
        with TRACER.start_as_current_span("unsampled"):
            pass

        assert [line["event"] for line in capture.lines] == ["loud"]
        assert capture.spans == []
        assert capture.otlp_requests == []
    assert (tmp_path / "app.log").read_bytes() == b"".join(capture.raw_lines)


def test_what_was_captured_stays_readable() -> None:
    """Behind the block the telemetry is closed, and everything can still be asked."""
    with capture_telemetry() as capture:
        LOG.info("login")
        with TRACER.start_as_current_span("search"):
            pass

    assert capture.line("login")
    assert capture.span_outline() == ["search"]
    assert current_signals() is None
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("prethrift")] == []


@pytest.mark.parametrize("name", ["log_stream", "sentry_transport"])
def test_what_the_capture_reads_from_cannot_be_given(name: str) -> None:
    """A stream of the caller's would leave the capture without lines."""
    with pytest.raises(ValueError, match=f"{name}= cannot be given"), capture_telemetry(**{name: None}):  # type: ignore[arg-type] # on purpose
        pass


def test_own_sinks_get_spans_too() -> None:
    """A sink of the test's own stands beside the capture's."""
    own = SpanCollector()
    with capture_telemetry(span_sinks=[own]) as capture:
        with TRACER.start_as_current_span("search"):
            pass

        assert [span.name for span in own.spans()] == [span.name for span in capture.spans] == ["search"]


async def test_two_captures_do_not_meet() -> None:
    """Of two applications each speaks into its own capture."""
    connect: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
    with capture_telemetry() as first, capture_telemetry() as second:
        await drive(instrument(build_application(), first.telemetry), http_scope(path="/items/5"), connect)

        assert len(first.find_lines("request_completed")) == 1
        assert second.lines == []
        assert second.spans == []


def test_ids_count_for_each_kind() -> None:
    """Trace, span and request ids count from one, each for itself."""
    ids = CountingIds()

    assert [ids.trace_id(), ids.trace_id(), ids.span_id()] == [1, 2, 1]
    assert ids.request_id() == f"{1:032x}"
    assert len(ids.request_id()) == len(Ids().request_id())
    assert format_trace_id(1) == f"{1:032x}"
    assert format_span_id(1) == f"{1:016x}"


def test_both_readings_of_the_clock_move_together() -> None:
    """Wall clock and monotonic clock differ by the same amount, to the nanosecond."""
    clock = FakeClock()
    before = (clock.time_ns(), clock.monotonic())

    clock.tick(0.25)

    assert (clock.time_ns() - before[0], clock.monotonic() - before[1]) == (250_000_000, 0.25)


def test_time_does_not_go_back() -> None:
    """A test that ticks backwards would see what no process sees."""
    with pytest.raises(ValueError, match="time does not go back"):
        FakeClock().tick(-1)


def test_the_public_names_are_those_of_the_list() -> None:
    """A name that appears or goes is a decision: change `testing_public_names.txt` with it."""
    stored = Path(__file__).with_name("testing_public_names.txt").read_text().split()

    assert testing.__all__ == stored
    assert all(hasattr(testing, name) for name in stored)
