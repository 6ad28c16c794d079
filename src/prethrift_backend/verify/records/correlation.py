"""One trace through everything: requests with a known trace and id, and where both come up again."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from prethrift_backend.verify.live.client import LiveClient
from prethrift_backend.verify.records.log_checks import ANY_LINE, LogChecks
from prethrift_backend.verify.records.options import Trust
from prethrift_backend.verify.records.span_checks import ANY_SPAN
from prethrift_backend.verify.records.values import ObservedSpan, RecordFault, shown

CORRELATION_ITEM: Final = "correlation"
"""The item of what headers and exemplars say of a trace."""

_TRACE_HEADERS: Final = ("x-trace-id", "traceresponse", "traceparent")
_REQUEST_HEADERS: Final = ("x-request-id", "request-id", "x-correlation-id")
_TRACE_ID: Final = re.compile(r"(?:^|[0-9a-f]{2}-)(?!0{32})([0-9a-f]{32})(?:$|-[0-9a-f]{16}-)")
# The labels and attributes that hold ids, whatever stands before them ("prethrift.request_id").
_TRACE_LABELS: Final = ("trace_id", "traceID", "traceId")
_REQUEST_ATTRIBUTE: Final = re.compile(r"(?i)(?:.*\.)?request[._]?id")


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request with ids of ours, and the ids that its answer named; trace and span ids are hexadecimal."""

    request_id: str
    trace_id: str
    span_id: str
    status_code: int
    answered_request_id: str | None = None
    answered_trace_id: str | None = None

    @property
    def request_ids(self) -> tuple[str, ...]:
        """The ids that records of it may have."""
        return tuple(dict.fromkeys([self.answered_request_id or self.request_id, self.request_id]))

    @property
    def own_trace_id(self) -> str:
        """The trace that the service says it is in; the one that was sent where it says nothing."""
        return self.answered_trace_id or self.trace_id

    @property
    def is_continued(self) -> bool:
        """Whether the service went on with the trace that was sent, as far as it says."""
        return self.own_trace_id == self.trace_id


def send(client: LiveClient) -> SentRequest:
    """Ask for a path that no route takes, in a sampled trace of our own."""
    trace_id, span_id, request_id = secrets.token_hex(16), secrets.token_hex(8), f"verify-{secrets.token_hex(8)}"
    headers = {"traceparent": f"00-{trace_id}-{span_id}-01", "X-Request-ID": request_id}
    answer = client.ask(f"/{request_id}", headers=headers)
    return SentRequest(
        request_id,
        trace_id,
        span_id,
        answer.status_code,
        answered_request_id=next((answer.headers[name] for name in _REQUEST_HEADERS if name in answer.headers), None),
        answered_trace_id=_answered_trace(answer.headers),
    )


def _answered_trace(headers: httpx.Headers) -> str | None:
    found = (_TRACE_ID.search(str(headers.get(name, ""))) for name in _TRACE_HEADERS)
    return next((match[1] for match in found if match is not None), None)


# The answer.


def answer_faults(sent: Iterable[SentRequest], *, trust: Trust) -> Iterator[RecordFault]:
    """Yield in which the headers of the answers break the correlation."""
    for request in sent:
        if request.answered_trace_id is None:
            expected = "traceparent, traceresponse or X-Trace-Id"
            yield RecordFault("CR001", CORRELATION_ITEM, "the answer names no trace", expected)
        elif trust == "parent" and not request.is_continued:
            message = "the answer names another trace than the one that was sent"
            yield RecordFault("CR005", CORRELATION_ITEM, message, request.trace_id, request.answered_trace_id)


# Lines.


def line_faults(
    checks: LogChecks, lines: Collection[Mapping[str, object]], sent: Iterable[SentRequest]
) -> Iterator[RecordFault]:
    """Yield in which the lines of the requests break the correlation."""
    for request in sent:
        own = [fields for fields in lines if fields.get(checks.request_key) in request.request_ids]
        for fields in own if checks.has_traces else ():
            if fields.get(checks.trace_key) != request.own_trace_id:
                message = "a line of a request is in another trace than its answer"
                yield _line_fault(checks, fields, message, request.own_trace_id, fields.get(checks.trace_key))
        in_trace = [fields for fields in lines if fields.get(checks.trace_key) == request.own_trace_id]
        for fields in in_trace:
            if fields.get(checks.request_key, request.request_id) not in request.request_ids:
                message = "a line of the trace has another request id than the one that was sent"
                yield _line_fault(checks, fields, message, request.request_id, fields.get(checks.request_key))
        if not own and not in_trace:
            yield RecordFault("CR002", ANY_LINE, "no line has the id of a request that was sent", request.request_id)


def _line_fault(
    checks: LogChecks, fields: Mapping[str, object], message: str, expected: str, observed: object
) -> RecordFault:
    event = checks.event_in(fields)
    return RecordFault("CR002", ANY_LINE if event is None else event.name, message, expected, shown(observed))


# Spans.


def span_faults(spans: Collection[ObservedSpan], sent: Sequence[SentRequest], *, trust: Trust) -> Iterator[RecordFault]:
    """Yield in which the spans of the requests break the correlation.

    A service that goes on with a sampled trace has a span of it; one that begins its own may have left it out.
    """
    found = {request: server_spans(spans, request) for request in sent}
    for request, own in found.items():
        for span in own:
            yield from _link_faults(span, request, trust)
        if not own:
            yield from _stray_faults(spans, request)
    if not any(found.values()) and any(request.is_continued for request in sent):
        message = f"no server span of {len(found)} requests in sampled traces came"
        yield RecordFault("CR003", ANY_SPAN, message, "a span in the trace that was sent")


def server_spans(spans: Iterable[ObservedSpan], request: SentRequest) -> list[ObservedSpan]:
    """Return the spans with which the service answered a request."""
    traces = (request.own_trace_id, request.trace_id)
    return [span for span in spans if span.kind == "server" and span.trace_id in traces]


def _link_faults(span: ObservedSpan, request: SentRequest, trust: Trust) -> Iterator[RecordFault]:
    if request.answered_trace_id is not None and span.trace_id != request.answered_trace_id:
        message = "the span is in another trace than its answer says"
        yield RecordFault("CR003", ANY_SPAN, message, request.answered_trace_id, span.trace_id)
    if span.trace_id == request.trace_id:
        if span.parent_span_id != request.span_id:
            message = "the span does not stand in the one that was sent"
            yield RecordFault("CR003", ANY_SPAN, message, request.span_id, span.parent_span_id)
    elif trust != "ignore" and all(link.trace_id != request.trace_id for link in span.links):
        message = "the span is neither in the trace that was sent nor has a link to it"
        yield RecordFault("CR003", ANY_SPAN, message, request.trace_id, span.trace_id)


def _stray_faults(spans: Iterable[ObservedSpan], request: SentRequest) -> Iterator[RecordFault]:
    for span in spans:
        ids = [value for name, value in span.attributes.items() if _REQUEST_ATTRIBUTE.fullmatch(name)]
        if any(value in request.request_ids for value in ids):
            message = "the span of a request is in another trace than its answer"
            yield RecordFault("CR003", ANY_SPAN, message, request.own_trace_id, span.trace_id)
            return


# Exemplars.


def exemplar_traces(text: str) -> set[str]:
    """Return the traces that the exemplars of a scrape name; ``text`` is OpenMetrics."""
    labels = "|".join(_TRACE_LABELS)
    return set(re.findall(rf'^[^#\n][^\n]* # \{{[^}}\n]*\b(?:{labels})="([^"\n]*)"', text, re.MULTILINE))


def exemplar_faults(named: Collection[str], sent: Collection[SentRequest]) -> Iterator[RecordFault]:
    """Yield a fault where there are exemplars, and none of them is of a request that was sent.

    Each keeps the last request of its bucket, which are ours where nobody else asks for what no route takes.
    """
    if named and sent and all(request.own_trace_id not in named for request in sent):
        message = f"of {len(named)} exemplars none names a trace of the requests that were sent"
        yield RecordFault("CR004", CORRELATION_ITEM, message, next(iter(sent)).own_trace_id, shown(min(named)))
