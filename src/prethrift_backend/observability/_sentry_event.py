"""What an event for Sentry says of a fault: its chain, its request, its trace, and the log lines before it.

The forms are those of https://develop.sentry.dev/sdk/foundations/data-model/event-payloads/.
"""

from __future__ import annotations

import linecache
import os
import re
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, TypeAlias

from opentelemetry.trace import get_current_span

from prethrift_backend.observability._faults import Frame, Kind, Raised
from prethrift_backend.observability._names import LOGGER
from prethrift_backend.observability.context import RequestContext

_CONTEXT_LINES: Final = 5
_MAX_LINE: Final = 256
_MAX_TAG: Final = 200  # Sentry's own bound
# Of one log line; arbitrary, and more than any line of ours has.
_MAX_DATA: Final = 30
_MAX_DATA_TEXT: Final = 1000
# Of an event that is too large. Arbitrary: where it was caught, and what it came from.
_FRAMES_WHEN_REDUCED: Final = 20
SOURCE_LINES: Final = ("pre_context", "context_line", "post_context")
_OWN: Final = "prethrift_backend"
_LIBRARY: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_STANDARD_LIBRARY: Final = sysconfig.get_path("stdlib") + os.sep
_LEVELS: Final = {"critical": "fatal"}
# What a log line says of the process and of the request: the event says it once.
_NOT_DATA: Final = frozenset(
    {"timestamp", "level", "event", "logger", "service", "version", "environment"}
    | {"request_id", "user_id", "trace_id", "span_id"}
)


RedactQuery: TypeAlias = Callable[[bytes], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What is known of the request in which something happened, and of its trace."""

    trace: Mapping[str, str] | None
    request_id: str | None = None
    client_trace_id: str | None = None
    method: str | None = None
    endpoint: str | None = None
    user_id: str | None = None
    query: Mapping[str, str] | None = None
    lines: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is to become an event; plain values, taken down where it happened."""

    event_id: str
    time_ns: int
    log_event: str
    is_handled: bool
    kind: Kind
    chain: tuple[Raised, ...]
    facts: RequestFacts
    suppressed: int


def facts_of(request: RequestContext | None, *, redact_query: RedactQuery) -> RequestFacts:
    """Take down what is known now; the trace is that of the current span, sampled or not."""
    if request is None:
        return RequestFacts(trace=_trace(None))
    method, endpoint = request.route() if request.route is not None else (None, None)
    return RequestFacts(
        trace=_trace(request),
        request_id=request.request_id,
        client_trace_id=request.client_trace_id,
        method=method,
        endpoint=endpoint,
        user_id=request.user_id,
        query=redact_query(request.query_string) if request.query_string else None,
        lines=tuple(request.breadcrumbs or ()),
    )


def _trace(request: RequestContext | None) -> Mapping[str, str] | None:
    ids = get_current_span().get_span_context()
    if ids.is_valid:
        return {"trace_id": f"{ids.trace_id:032x}", "span_id": f"{ids.span_id:016x}"}
    if request is not None and request.trace_id is not None and request.span_id is not None:
        return {"trace_id": request.trace_id, "span_id": request.span_id}
    return None


def timestamp_of(time_ns: int) -> str:
    """Return a moment as RFC 3339 has it, in UTC with microseconds."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event_of(fault: Fault) -> dict[str, Any]:
    """Build the event of ``fault``, not yet redacted; reads the source files that its stack names."""
    event: dict[str, Any] = {
        "event_id": fault.event_id,
        "timestamp": timestamp_of(fault.time_ns),
        "platform": "python",
        "level": "warning" if fault.kind.is_operational else "error",
        "logger": LOGGER,
        "tags": {"log_event": fault.log_event},
        "exception": {"values": _exceptions(fault)},
    }
    if fault.kind.is_operational:
        # By class and code: the text names hosts and times, which would make a group of each event.
        event["fingerprint"] = ["prethrift-operational", fault.kind.type, fault.kind.place]
    if fault.suppressed:
        event["contexts"] = {"repetition": {"suppressed_before": fault.suppressed}}
    add_facts(event, fault.facts)
    return event


def add_facts(event: dict[str, Any], facts: RequestFacts) -> None:
    """Add request, user, trace and breadcrumbs to ``event``, without taking from what it says itself."""
    if facts.trace is not None:
        event["contexts"] = {**event.get("contexts", {}), "trace": dict(facts.trace)}
    tags = {
        "request_id": facts.request_id,
        "client_trace_id": facts.client_trace_id,
        "method": facts.method,
        "endpoint": facts.endpoint,
    }
    known = {name: value[:_MAX_TAG] for name, value in tags.items() if value is not None}
    event["tags"] = {**known, **(event.get("tags") or {})}
    if facts.user_id is not None and "user" not in event:
        event["user"] = {"id": facts.user_id}
    if facts.endpoint is not None:
        event.setdefault("transaction", f"{facts.method} {facts.endpoint}")
        event.setdefault("transaction_info", {"source": "route"})
        event.setdefault("request", _request(facts))
    if facts.lines:
        said = (event.get("breadcrumbs") or {}).get("values") or []
        event["breadcrumbs"] = {"values": [*map(_breadcrumb, facts.lines), *said]}


def _request(facts: RequestFacts) -> dict[str, Any]:
    """Return what may be told of a request: neither its path, nor a header, nor its body."""
    request: dict[str, Any] = {"method": facts.method, "url": facts.endpoint}
    if facts.query:
        request["query_string"] = [list(pair) for pair in facts.query.items()]
    return request


def _breadcrumb(line: Mapping[str, Any]) -> dict[str, Any]:
    level = line.get("level", "info")
    fields = ((key, value) for key, value in line.items() if key not in _NOT_DATA)
    data = dict(islice(fields, _MAX_DATA))
    if isinstance(data.get("exception"), Mapping):  # the stack would be the event's own, a second time
        data["exception"] = {key: value for key, value in data["exception"].items() if key != "stack"}
    return {
        "type": "default",
        "category": line.get("logger", LOGGER),
        "level": _LEVELS.get(level, level),
        "message": line.get("event", ""),
        "timestamp": line.get("timestamp"),
        "data": {key: _short_value(value) for key, value in data.items()},
    }


def _short_value(value: Any) -> Any:
    """Return a value of a line, which is redacted already, as a text of a bounded length where it is too much."""
    if isinstance(value, str):
        return value[:_MAX_DATA_TEXT]
    if isinstance(value, (Mapping, list, tuple)):
        text = str(value)
        return value if len(text) <= _MAX_DATA_TEXT else text[:_MAX_DATA_TEXT]
    return value


def reduced(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``event`` without what takes the most room: breadcrumbs, lines of source, the middle of long stacks."""
    less = {key: value for key, value in event.items() if key != "breadcrumbs"}
    chain = (event.get("exception") or {}).get("values") or ()
    if chain:
        less["exception"] = {"values": [_without_source(described) for described in chain]}
    return less


def _without_source(described: Mapping[str, Any]) -> dict[str, Any]:
    frames = (described.get("stacktrace") or {}).get("frames") or []
    if not frames:
        return dict(described)
    ends = frames if len(frames) <= _FRAMES_WHEN_REDUCED else [*frames[:5], *frames[5 - _FRAMES_WHEN_REDUCED :]]
    kept = [{key: value for key, value in frame.items() if key not in SOURCE_LINES} for frame in ends]
    return {**described, "stacktrace": {"frames": kept}}


def _exceptions(fault: Fault) -> list[dict[str, Any]]:
    """Return the chain as Sentry has it: what was caught comes last, what it came from before it."""
    return [_exception(raised, place, fault) for place, raised in enumerate(fault.chain)][::-1]


def _exception(raised: Raised, place: int, fault: Fault) -> dict[str, Any]:
    mechanism: dict[str, Any] = {"type": "prethrift", "handled": fault.is_handled, "exception_id": place}
    if raised.parent is not None:
        mechanism |= {"type": "chained", "parent_id": raised.parent, "source": raised.source}
    if raised.is_group:
        mechanism["is_exception_group"] = True
    described: dict[str, Any] = {"type": raised.type, "value": raised.text, "mechanism": mechanism}
    if raised.module != "builtins":
        described["module"] = raised.module
    if raised.frames:
        described["stacktrace"] = {"frames": [_frame(frame) for frame in raised.frames]}
    return described


def _frame(frame: Frame) -> dict[str, Any]:
    described: dict[str, Any] = {
        "abs_path": frame.file,
        "filename": _short(frame),
        "function": frame.function,
        "module": frame.module,
        "lineno": frame.line,
        "in_app": _is_in_app(frame),
    }
    lines = linecache.getlines(frame.file)
    if 0 < frame.line <= len(lines):
        at = frame.line - 1
        described["pre_context"] = _cut(lines[max(0, at - _CONTEXT_LINES) : at])
        described["context_line"] = _cut([lines[at]])[0]
        described["post_context"] = _cut(lines[at + 1 : at + 1 + _CONTEXT_LINES])
    return described


def _is_in_app(frame: Frame) -> bool:
    """Return whether a frame is the application's: Sentry groups by those, and shows the innermost first."""
    if frame.module == _OWN or frame.module.startswith(f"{_OWN}."):
        return not frame.module.startswith(f"{_OWN}.observability")
    return not (_LIBRARY.search(frame.file) or frame.file.startswith((_STANDARD_LIBRARY, "<")))


def _short(frame: Frame) -> str:
    """Return the file from the folder of its top-level package on, which is the same on every machine."""
    depth = frame.module.count(".") + 1 + frame.file.endswith("__init__.py")
    return "/".join(frame.file.split("/")[-depth:])


def _cut(lines: Sequence[str]) -> list[str]:
    return [line.rstrip("\r\n")[:_MAX_LINE] for line in lines]
