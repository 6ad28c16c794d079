"""What only many records together can tell: how often something comes, and in which parent a span stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from prethrift_backend.contracts import LogEvent, SpanPromise
from prethrift_backend.verify.records.log_checks import LogChecks
from prethrift_backend.verify.records.span_checks import SpanChecks, keeps
from prethrift_backend.verify.records.values import ObservedSpan, RecordFault

_OCCASIONS: Final = ("request", "connection")
_Key = tuple[str, ...]


def line_count_faults(
    checks: LogChecks, lines: Iterable[Mapping[str, object]], *, sent: Collection[str] = ()
) -> list[RecordFault]:
    """Return which events came more often, or less often, than the contract promises for each request.

    ``sent`` are the ids of requests that are over and whose lines are all there: for these an exact count is judged.
    Of other requests only a part may have been seen, and callers repeat ids: there a second line counts against the
    promise only where its trace and span are the same, too. Without a span nothing can be said.
    """
    counted: Counter[tuple[str, _Key]] = Counter()
    for fields in lines:
        event, key = checks.event_in(fields), _request_of(checks, fields, sent)
        if event is not None and key is not None:
            counted[event.name, key] += 1
    faults = [_line_fault(event, counted, sent) for event in checks.contract.events]
    return [fault for fault in faults if fault is not None]


def _request_of(checks: LogChecks, fields: Mapping[str, object], sent: Collection[str]) -> _Key | None:
    request = fields.get(checks.request_key)
    if not isinstance(request, str):
        return None
    if request in sent:
        return (request,)
    span = fields.get(checks.span_key)
    return (request, str(fields.get(checks.trace_key)), span) if isinstance(span, str) else None


def _line_fault(event: LogEvent, counted: Mapping[tuple[str, _Key], int], sent: Collection[str]) -> RecordFault | None:
    count = event.count
    if count is None or count.per not in _OCCASIONS:
        return None
    numbers = {key: number for (name, key), number in counted.items() if name == event.name}
    if count.per == "request":
        numbers |= {(request,): numbers.get((request,), 0) for request in sent}
    for key, number in numbers.items():
        is_whole = key[0] in sent and count.per == "request"
        if number > count.most or (is_whole and not keeps(count, number)):
            message = f"{number} lines {event.name!r} of one {count.per}"
            return RecordFault("LG020", event.name, message, str(count), f"{number} of {key[0]}")
    return None


def span_count_faults(
    checks: SpanChecks, spans: Iterable[ObservedSpan], *, sent: Collection[str] = ()
) -> list[RecordFault]:
    """Return which spans came more often than the contract promises for each request.

    ``sent`` are traces (hexadecimal) with one request each; elsewhere one trace may hold many, and only spans below
    one parent are counted together.
    """
    counted: Counter[tuple[str, _Key]] = Counter()
    for span in spans:
        promise = checks.promise_of(span)
        key = None if promise is None else _occasion_of(promise, span, sent)
        if promise is not None and key is not None:
            counted[promise.key, key] += 1
    return [
        RecordFault("SP020", name, f"{number} spans {name!r} of one {promise.count.per}", str(promise.count), key[0])
        for (name, key), number in counted.items()
        for promise in [checks.contract.span(name)]
        if promise.count is not None and number > promise.count.most
    ]


def _occasion_of(promise: SpanPromise, span: ObservedSpan, sent: Collection[str]) -> _Key | None:
    if promise.count is None or promise.count.per not in _OCCASIONS:
        return None
    if span.trace_id in sent:
        return (span.trace_id,)
    return None if promise.parent is None else (span.trace_id, span.parent_span_id or "")


def parent_faults(checks: SpanChecks, spans: Collection[ObservedSpan]) -> list[RecordFault]:
    """Return which spans do not stand in the parent that the contract promises, at whatever depth.

    Where a span above it was not seen, nothing can be said.
    """
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    faults = []
    for span in spans:
        promise = checks.promise_of(span)
        if promise is None or promise.parent is None:
            continue
        above = list(_above(span, by_id))
        keys = {found.key for one in above for found in [checks.promise_of(one)] if found is not None}
        is_whole = (above[-1] if above else span).parent_span_id is None
        if is_whole and promise.parent not in keys:
            message = f"a span {promise.key!r} stands in no {promise.parent!r}"
            seen = " in ".join(one.name for one in above) or "a root"
            faults.append(RecordFault("SP021", promise.key, message, promise.parent, seen))
    return faults


def _above(span: ObservedSpan, by_id: Mapping[tuple[str, str], ObservedSpan]) -> Iterator[ObservedSpan]:
    """Yield the spans above, from the nearest on, as far as they were seen; each once, should they go in a circle."""
    seen = {span.span_id}
    while span.parent_span_id is not None and span.parent_span_id not in seen:
        parent = by_id.get((span.trace_id, span.parent_span_id))
        if parent is None:
            return
        seen.add(parent.span_id)
        yield parent
        span = parent
