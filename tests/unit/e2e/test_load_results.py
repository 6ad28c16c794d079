"""The figures of a load, of its books, of counters and of a soak: sums that can be done by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.e2e.collector import ArrivedSpan
from tests.e2e.counters import Reading, counters, falls, requests_counted
from tests.e2e.load_results import Answer, by_second, described, failures, quantile, rate, summary
from tests.e2e.soak_samples import Sample, slope_per_minute
from tests.e2e.spans_count import AccessLine, Books

RIGHT = Answer("a", "item", 10.0, 0.0, 0.1, 200, True, "t1")
WRONG = replace(RIGHT, request_id="b", sent_at=11.5, status=502, is_right=False, trace_id="")
LINE = AccessLine("replica-1", "a", "t1", 200)
SPAN = ArrivedSpan("t1", "s1", "", "GET", "server", "i")


def test_a_quantile_is_a_value_that_was_seen() -> None:
    """Half of four values is at or below the second; of no values there is none."""
    assert quantile([4, 1, 3, 2], 0.5) == 2
    assert quantile([4, 1, 3, 2], 0.99) == 4
    assert math.isnan(quantile([], 0.5))


def test_what_failed_is_told_from_what_did_not() -> None:
    """A status that is not the kind's is a failure, and is said with its kind."""
    assert failures([RIGHT, WRONG]) == [WRONG]
    assert described([WRONG]) == "1 times item: 502"
    assert "1 failed" in summary([RIGHT, WRONG])


def test_the_rate_is_of_the_times_at_which_requests_left() -> None:
    """Three requests within one second, the first and the last included, are two a second."""
    assert rate([replace(RIGHT, sent_at=at) for at in (1.0, 1.5, 2.0)]) == 2.0


def test_each_second_has_its_own_figures() -> None:
    """Requests belong to the second in which they left; one without requests is left out."""
    seconds = by_second([RIGHT, replace(WRONG, sent_at=12.5)], 10.0)

    assert [(one.at_seconds, one.sent, one.failed) for one in seconds] == [(0, 1, 0), (2, 1, 1)]
    assert seconds[0].median_ms == pytest.approx(100.0)


def test_books_that_agree_have_nothing_left_over() -> None:
    """An answer, its line and its span leave nothing to explain."""
    books = Books([RIGHT], [LINE], [SPAN])

    left_over = (books.answers_without_line(), books.lines_without_span(), books.spans_without_line())
    assert left_over == ([], [], [])
    assert (books.repeated_lines(), books.repeated_spans()) == ([], [])


def test_books_tell_what_is_lost_and_what_came_twice() -> None:
    """A lost line, a lost span, a span of nobody, and a second one of each are all found."""
    assert Books([RIGHT], [], []).answers_without_line() == [RIGHT]
    assert Books([RIGHT], [LINE], []).lines_without_span() == [LINE]
    assert Books([], [], [SPAN]).spans_without_line() == [SPAN]
    assert Books([RIGHT], [LINE, LINE], [SPAN, SPAN]).repeated_lines() == ["a"]
    assert Books([RIGHT], [LINE, LINE], [SPAN, SPAN]).repeated_spans() == ["s1"]


def test_counters_are_read_without_what_may_fall() -> None:
    """Counters and the parts of histograms are read; gauges and times of creation are not."""
    text = (
        '# TYPE http_requests_total counter\nhttp_requests_total{method="GET"} 3\nhttp_requests_total 4\n'
        "# TYPE http_requests_created gauge\nhttp_requests_created 5\n# TYPE up gauge\nup 1\n"
        '# TYPE d histogram\nd_bucket{le="+Inf"} 2\nd_sum 1\nd_count 2\n'
    )
    values = counters(text)

    assert {name for name, _ in values} == {"http_requests_total", "d_bucket", "d_sum", "d_count"}
    assert requests_counted(values) == 7


def test_a_counter_falls_within_a_process_and_not_with_a_restart() -> None:
    """The same series smaller or gone in the same process is a fall; a new process begins anew."""
    series = ("http_requests_total", frozenset[tuple[str, str]]())
    readings = [Reading("r", 1, 1.0, {series: 5.0}), Reading("r", 2, 2.0, {series: 1.0})]

    assert falls(readings) == []
    assert len(falls([*readings, Reading("r", 2, 3.0, {series: 0.5})])) == 1
    assert len(falls([*readings, Reading("r", 2, 3.0, {})])) == 1


def test_a_slope_is_per_minute_and_not_moved_by_one_reading() -> None:
    """A gain of one MiB a second is sixty a minute, with a single reading far off as well."""
    samples = [Sample(float(at), 100.0 + at, 10, 20, 0, 0) for at in range(60)]
    samples[45] = replace(samples[45], memory_mib=5_000.0)

    assert slope_per_minute(samples, lambda sample: sample.memory_mib) == pytest.approx(60.0)
    assert slope_per_minute(samples, lambda sample: sample.threads) == 0.0


def test_a_slope_of_too_few_readings_is_refused() -> None:
    """One reading has no slope, and that is said."""
    with pytest.raises(ValueError, match="three or more"):
        slope_per_minute([Sample(0.0, 1.0, 1, 1, 0, 0)], lambda sample: sample.memory_mib)
