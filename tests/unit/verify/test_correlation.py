"""One trace through answer, lines, spans and exemplars: where it is lost is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from tests.support.record_contracts import line, log_checks, server_span

from prethrift_backend.verify.live.client import LiveClient, LiveClock, LiveLimits
from prethrift_backend.verify.records.correlation import (
    SentRequest,
    answer_faults,
    exemplar_faults,
    exemplar_traces,
    line_faults,
    send,
    span_faults,
)
from prethrift_backend.verify.records.options import Trust
from prethrift_backend.verify.records.values import ObservedLink, ObservedSpan, read_line

SENT_TRACE, SENT_SPAN, OWN_TRACE, OTHER = "a" * 32, "b" * 16, "c" * 32, "d" * 32
CONTINUED = SentRequest("verify-1", SENT_TRACE, SENT_SPAN, 404, "verify-1", SENT_TRACE)
LINKED = replace(CONTINUED, answered_trace_id=OWN_TRACE)
RENAMED = replace(CONTINUED, answered_request_id="own-id")
SILENT = replace(CONTINUED, answered_trace_id=None, answered_request_id=None)


def _sent(answer: Callable[[httpx.Request], httpx.Response]) -> SentRequest:
    client = LiveClient(
        "http://s", LiveLimits(), LiveClock(lambda: 0.0, lambda _: None, lambda: 0.0), httpx.MockTransport(answer)
    )
    return send(client)


def test_a_request_has_ids_of_ours() -> None:
    """Trace and id are random, the trace is sampled, and the path is one that nobody serves."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404)

    sent = _sent(answer)

    assert asked[0].headers["traceparent"] == f"00-{sent.trace_id}-{sent.span_id}-01"
    assert asked[0].headers["x-request-id"] == sent.request_id
    assert asked[0].url.path == f"/{sent.request_id}"
    assert (sent.answered_trace_id, sent.own_trace_id) == (None, sent.trace_id)


@pytest.mark.parametrize(
    ("name", "value", "trace"),
    [
        ("X-Trace-Id", OWN_TRACE, OWN_TRACE),
        ("traceresponse", f"00-{OWN_TRACE}-{SENT_SPAN}-01", OWN_TRACE),
        ("traceparent", f"00-{OWN_TRACE}-{SENT_SPAN}-01", OWN_TRACE),
        ("X-Trace-Id", "0" * 32, None),
        ("X-Trace-Id", "my-trace", None),
    ],
)
def test_the_trace_of_an_answer_is_read(name: str, value: str, trace: str | None) -> None:
    """By the headers of W3C Trace Context and by the one that is common."""
    assert _sent(lambda _: httpx.Response(404, headers={name: value})).answered_trace_id == trace


@pytest.mark.parametrize(
    ("request_", "trust", "rules"),
    [
        (CONTINUED, "parent", []),
        (LINKED, "any", []),
        (LINKED, "link", []),
        (LINKED, "parent", ["CR005"]),
        (SILENT, "any", ["CR001"]),
    ],
)
def test_the_answer_names_the_trace(request_: SentRequest, trust: Trust, rules: list[str]) -> None:
    """Which trace it has to be depends on whom the service trusts."""
    assert [fault.rule for fault in answer_faults([request_], trust=trust)] == rules


@pytest.mark.parametrize(
    ("raw", "request_", "rules"),
    [
        (line("answered", request_id="verify-1", trace_id=SENT_TRACE), CONTINUED, []),
        (line("answered", request_id="verify-1", trace_id=OWN_TRACE), LINKED, []),
        (line("answered", request_id="own-id", trace_id=SENT_TRACE), RENAMED, []),
        (line("answered", request_id="verify-1", trace_id=OTHER), CONTINUED, ["CR002"]),
        (line("answered", request_id="verify-1"), CONTINUED, ["CR002"]),
        (line("answered", request_id="somebody", trace_id=SENT_TRACE), CONTINUED, ["CR002"]),
        (line("answered", request_id="somebody", trace_id=OTHER), CONTINUED, ["CR002"]),
    ],
)  # fmt: skip
def test_lines_are_in_the_trace_of_their_answer(raw: bytes, request_: SentRequest, rules: list[str]) -> None:
    """By request id the trace is known, and by trace the request id; a request without a line is lost."""
    fields = read_line(raw) or {}

    assert [fault.rule for fault in line_faults(log_checks(), [fields], [request_])] == rules


def _server(trace_id: str = SENT_TRACE, **changes: object) -> ObservedSpan:
    return server_span(trace_id=trace_id, **{"parent_span_id": SENT_SPAN, **changes})


LINK = (ObservedLink(SENT_TRACE, SENT_SPAN),)


@pytest.mark.parametrize(
    ("span", "request_", "trust", "rules"),
    [
        (_server(), CONTINUED, "any", []),
        (_server(), SILENT, "parent", []),
        (_server(OWN_TRACE, links=LINK), LINKED, "any", []),
        (_server(OWN_TRACE), LINKED, "ignore", []),
        (_server(OTHER), LINKED, "any", []),
        (_server(OWN_TRACE), LINKED, "any", ["CR003"]),
        (_server(parent_span_id=None), CONTINUED, "any", ["CR003"]),
        (_server(), LINKED, "any", ["CR003"]),
        (_server(OTHER), CONTINUED, "any", ["CR003"]),
        (_server(OTHER, attributes={"request.id": "verify-1"}), LINKED, "any", ["CR003"]),
    ],
)
def test_spans_are_in_the_trace_of_their_answer(
    span: ObservedSpan, request_: SentRequest, trust: Trust, rules: list[str]
) -> None:
    """In the trace that was sent and below its span, or in the service's own with a link to it."""
    assert [fault.rule for fault in span_faults([span], [request_], trust=trust)] == rules


OPENMETRICS = f"""\
# HELP a b {{trace_id="{OTHER}"}}
a_bucket{{le="1"}} 1 # {{trace_id="{SENT_TRACE}",span_id="{SENT_SPAN}"}} 0.5 1.0
b_bucket{{le="1"}} 1 # {{traceID="{OWN_TRACE}"}} 0.5
c_bucket{{le="1",trace_id="x"}} 1
# EOF
"""


def test_exemplars_are_read() -> None:
    """Of samples alone, by the names that client libraries have for the label."""
    assert exemplar_traces(OPENMETRICS) == {SENT_TRACE, OWN_TRACE}


def test_an_exemplar_of_another_trace_is_found() -> None:
    """One that names a request of ours is enough; where there are none, nothing is promised."""
    assert list(exemplar_faults({SENT_TRACE, OTHER}, [CONTINUED, LINKED])) == []
    assert list(exemplar_faults(set(), [CONTINUED])) == []
    assert [fault.rule for fault in exemplar_faults({OTHER}, [CONTINUED])] == ["CR004"]
