"""Small contracts of lines and spans of another team, and records that keep them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from prethrift_backend.contracts import parse_spans
from prethrift_backend.contracts.log_parser import parse_logs
from prethrift_backend.verify.records.log_checks import LogChecks
from prethrift_backend.verify.records.span_checks import SpanChecks
from prethrift_backend.verify.records.values import ObservedEvent, ObservedSpan

LOGS = """\
# CONTRACT logs 1.0.0
RECORD json utf-8 max-bytes=400 one-per-line
FIELD * time date-time required
FIELD * level enum info|warning|error required
FIELD * event string required
FIELD * logger string required
FIELD * request_id string max=40 required-if=request
FIELD * trace_id match [0-9a-f]{32} required-if=span
FIELD * span_id match [0-9a-f]{16} required-if=span
NEVER-KEY password|set-cookie|session_id
NEVER-VALUE jwt|pem|bearer|basic|dsn-password|card-number
EVENT order_placed level=info logger=shop.orders
  total number >=0 required
EVENT order_noted level=info|warning open-fields
EVENT answered level=info logger=shop.http count=1/request
  code int 100..599 required
EVENT failed level=error logger=shop.http count<=1/request
EVENT left level=info logger=shop.http count=1/connection
"""

SPANS = """\
# CONTRACT spans 1.0.0
RECORD max-attributes=4 max-events=2 max-links=2 max-text=40
RESOURCE service.name string required
NEVER-KEY password|url.query
NEVER-VALUE bearer|card-number
SPAN server kind=server scope=shop count<=1/request
  NAME {http.method} | HTTP
  http.method enum GET|POST required
  error.type string required-if=error
  request.id match [0-9a-z]+
  STATUS unset | error
  EVENT exception count<=1
    exception.type string required
  LINK caller count<=1
SPAN work kind=internal scope=shop.* parent=server count<=1/request
  NAME work
  OPEN
"""

TRACE = "0123456789abcdef0123456789abcdef"
SPAN = "0123456789abcdef"


def log_checks(text: str = LOGS) -> LogChecks:
    """Return the checks of a log contract."""
    return LogChecks(parse_logs(text, source="logs.txt"))


def span_checks(text: str = SPANS) -> SpanChecks:
    """Return the checks of a span contract."""
    return SpanChecks(parse_spans(text, source="spans.txt"))


def line(event: str = "order_placed", **fields: Any) -> bytes:
    """Return a line that keeps the contract but for ``fields``; None takes a field away."""
    good: dict[str, Any] = {"time": "2026-01-01T00:00:00Z", "level": "info", "event": event, "logger": "shop.orders"}
    if event == "order_placed":
        good["total"] = 3.5
    if event == "answered":
        good |= {"logger": "shop.http", "code": 200, "request_id": "one"}
    whole = {name: value for name, value in (good | fields).items() if value is not None}
    return orjson.dumps(whole) + b"\n"


def server_span(**changes: Any) -> ObservedSpan:
    """Return a server span that keeps the contract but for ``changes``; ``attributes`` are put over good ones."""
    attributes = {"http.method": "GET", **changes.pop("attributes", {})}
    good = ObservedSpan(
        "GET",
        "server",
        "shop",
        attributes={name: value for name, value in attributes.items() if value is not None},
        trace_id=TRACE,
        span_id=SPAN,
        resource={"service.name": "shop"},
    )
    return replace(good, **changes)


def work_span(span_id: str = "1" * 16, **changes: Any) -> ObservedSpan:
    """Return a span that stands in the server's, but for ``changes``."""
    good = ObservedSpan(
        "work", "internal", "shop.jobs", trace_id=TRACE, parent_span_id=SPAN, resource={"service.name": "shop"}
    )
    return replace(good, span_id=span_id, **changes)


def exception(kind: str | None = "ValueError") -> ObservedEvent:
    """Return an event of an exception; None leaves its type out."""
    return ObservedEvent("exception", {} if kind is None else {"exception.type": kind})
