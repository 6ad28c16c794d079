"""Spans as lines for a person who develops: one a span, on standard error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import IO

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from prethrift_backend.observability.export_protocols import Reply


class ConsoleTransport:
    """The `Transport` that writes spans to ``stream``, which somebody else owns."""

    name = "console"

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def send(self, spans: Sequence[ReadableSpan], *, timeout_seconds: float) -> Reply:  # noqa: ARG002 - no wait
        """Write one line a span; never raises."""
        try:
            self._stream.write("".join(f"{describe(span)}\n" for span in spans))
            self._stream.flush()
        except Exception as error:  # noqa: BLE001 - a closed terminal, a full disk
            return Reply("failure", detail=f"{type(error).__name__}")
        return Reply("success")

    def close(self) -> None:
        """Leave the stream open: it is not ours."""


def describe(span: ReadableSpan) -> str:
    """Return a span on one line: when, kind, name, how long, status, ids, attributes and events.

    Whatever a value holds, it cannot end the line or colour it.
    """
    return " ".join(_parts(span))


def _parts(span: ReadableSpan) -> Iterator[str]:
    start_ns, end_ns = span.start_time or 0, span.end_time or 0
    yield datetime.fromtimestamp(start_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
    yield span.kind.name
    yield _shown(span.name)
    yield f"{(end_ns - start_ns) / 1e6:.1f}ms"
    if span.status.status_code is not StatusCode.UNSET:
        yield span.status.status_code.name
    yield from _ids(span)
    yield from (f"{_shown(key)}={_shown(value)}" for key, value in (span.attributes or {}).items())
    yield from (f"[{_shown(event.name)}]" for event in span.events)


def _ids(span: ReadableSpan) -> Iterator[str]:
    if span.context is not None:
        yield f"trace={format_trace_id(span.context.trace_id)}"
        yield f"span={format_span_id(span.context.span_id)}"
    if span.parent is not None:
        yield f"parent={format_span_id(span.parent.span_id)}"


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else repr(text)
