"""What only many records together can tell."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.record_contracts import SPAN, TRACE, line, log_checks, server_span, span_checks, work_span

from prethrift_backend.verify.records.sets import line_count_faults, parent_faults, span_count_faults
from prethrift_backend.verify.records.values import ObservedSpan, read_line


def _lines(*raw: bytes, sent: Iterable[str] = ()) -> list[tuple[str, str | None]]:
    read = [fields for fields in map(read_line, raw) if fields is not None]
    return [(fault.name, fault.observed) for fault in line_count_faults(log_checks(), read, sent=tuple(sent))]


def test_one_line_for_each_request_passes() -> None:
    """Each request that was sent has exactly what is promised, and others may be there in part."""
    lines = line("answered"), line("answered", request_id="two"), line("failed", logger="shop.http", request_id="other")

    assert _lines(*lines, sent=("one", "two")) == []


def test_a_request_without_its_line_is_found() -> None:
    """Of a request that is over the line is missing; of one that nobody sent nothing is demanded."""
    assert _lines(line("answered"), sent=("one", "two")) == [("answered", "0 of two")]
    assert _lines(line("failed", logger="shop.http", request_id="three")) == []


def test_a_second_line_is_found() -> None:
    """Once is once: by the id for a request that was sent, by id, trace and span for any other."""
    failed = line("failed", level="error", logger="shop.http", request_id="one", span_id=SPAN)
    bare = line("failed", level="error", logger="shop.http", request_id="-")

    assert _lines(line("answered"), line("answered"), sent=("one",)) == [("answered", "2 of one")]
    assert _lines(failed, failed) == [("failed", "2 of one")]
    assert _lines(failed, failed.replace(SPAN.encode(), b"0" * 16)) == []
    assert _lines(bare, bare) == []
    assert _lines(*[line("left", logger="shop.http", request_id="one", span_id=SPAN)] * 2) == [("left", "2 of one")]


def _spans(*spans: ObservedSpan, sent: Iterable[str] = ()) -> list[str]:
    return [fault.name for fault in span_count_faults(span_checks(), spans, sent=tuple(sent))]


def test_a_second_span_is_found() -> None:
    """A trace that was sent holds one request; elsewhere spans below one parent are counted."""
    again = server_span(span_id="2" * 16)

    assert _spans(server_span(), again) == []
    assert _spans(server_span(), again, sent=(TRACE,)) == ["server"]
    assert _spans(work_span(), work_span("3" * 16)) == ["work"]
    assert _spans(work_span(), work_span("3" * 16, parent_span_id="4" * 16)) == []


def test_a_span_stands_in_its_parent_at_any_depth() -> None:
    """What is between does not matter, and what was not seen cannot be judged."""
    below = work_span("2" * 16, parent_span_id="1" * 16)

    assert parent_faults(span_checks(), [server_span(), work_span(), below]) == []
    assert parent_faults(span_checks(), [work_span()]) == []


def test_a_span_outside_of_its_parent_is_found() -> None:
    """A root, or a span in other spans, is out of the trace that explains it."""
    other = ObservedSpan("other", "internal", "x", trace_id=TRACE, span_id=SPAN)
    root = work_span(parent_span_id=None)

    assert [fault.name for fault in parent_faults(span_checks(), [root])] == ["work"]
    assert [fault.observed for fault in parent_faults(span_checks(), [other, work_span()])] == ["other"]


def test_parents_in_a_circle_end() -> None:
    """Ids that were made up cannot hold the check up."""
    one, two = work_span("1" * 16, parent_span_id="2" * 16), work_span("2" * 16, parent_span_id="3" * 16)
    three = work_span("3" * 16, parent_span_id="2" * 16)

    assert parent_faults(span_checks(), [one, two, three]) == []
