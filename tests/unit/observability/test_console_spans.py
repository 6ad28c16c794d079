"""Spans for a person: one a line."""

import io

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from tests.support.exporting import event, sample_span

from prethrift_backend.observability.console_spans import ConsoleTransport, describe
from prethrift_backend.observability.export_protocols import Reply


def test_a_span_is_one_readable_line() -> None:
    """When, what, how long, how it ended, under which ids, with which values."""
    span = ReadableSpan(
        name="GET /items",
        context=SpanContext(0xABC, 0x1, is_remote=False),
        parent=SpanContext(0xABC, 0x2, is_remote=True),
        attributes={"http.response.status_code": 500, "http.route": "/items"},
        events=[event("exception")],
        kind=SpanKind.SERVER,
        status=Status(StatusCode.ERROR),
        start_time=1_700_000_000_000_000_000,
        end_time=1_700_000_000_012_500_000,
    )

    assert describe(span) == (
        "22:13:20.000 SERVER GET /items 12.5ms ERROR trace=00000000000000000000000000000abc span=0000000000000001 "
        "parent=0000000000000002 http.response.status_code=500 http.route=/items [exception]"
    )


def test_a_value_cannot_end_or_colour_the_line() -> None:
    """Newlines, escapes and separators that a caller sent are shown as such."""
    line = describe(sample_span("a\nb", value="\x1b[31m\u2028"))

    assert line.isprintable()
    assert r"'a\nb'" in line


def test_spans_go_to_the_stream() -> None:
    """Each batch is written and flushed."""
    stream = io.StringIO()

    reply = ConsoleTransport(stream).send([sample_span("one"), sample_span("two")], timeout_seconds=1.0)

    assert reply == Reply("success")
    assert [line.split()[2] for line in stream.getvalue().splitlines()] == ["one", "two"]


def test_a_stream_that_is_gone_is_a_failure() -> None:
    """A closed terminal costs spans, not the thread."""
    stream = io.StringIO()
    stream.close()

    assert ConsoleTransport(stream).send([sample_span()], timeout_seconds=1.0) == Reply("failure", detail="ValueError")
