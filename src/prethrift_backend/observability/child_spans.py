"""Spans of what a traced piece of work does on its way: statements, calls of other services, waits.

They exist only below a span that is recorded. Where nothing is recorded, asking for one costs a look at the current
span and nothing else, which is what nine requests of ten do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self, TypeAlias

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_span_id, format_trace_id, get_current_span

from prethrift_backend.observability import context

Attribute: TypeAlias = str | bool | int | float
Attributes: TypeAlias = Mapping[str, Attribute]

ERROR_TYPE: Final = "error.type"
OUTCOME: Final = "outcome"
CANCELLED: Final = "cancelled"

_FAILED: Final = Status(StatusCode.ERROR)


def is_cancellation(kind: type[BaseException]) -> bool:
    """Tell whether an exception of this class says that nobody wants the result any more, which is no fault."""
    # GeneratorExit: the caller stopped reading a stream in the middle.
    return issubclass(kind, asyncio.CancelledError | GeneratorExit)


def recording_span() -> Span | None:
    """Return the current span if it is recorded, otherwise None."""
    span = get_current_span()
    return span if span.is_recording() else None


def start_child(
    scope: str, name: str, *, kind: SpanKind, attributes: Attributes | None = None, started_ns: int | None = None
) -> Span | None:
    """Start a child of the current span, without making it current; None where the current span is not recorded.

    ``scope`` names the instrumentation, as a module does a logger. Whoever gets the span ends it. ``started_ns`` counts
    from the epoch; without it the child starts now.
    """
    signals = context.current_signals()
    if signals is None or recording_span() is None:
        return None
    return signals.tracer(scope).start_span(name, kind=kind, attributes=attributes, start_time=started_ns)


def exemplar_of(span: Span) -> dict[str, str] | None:
    """Return the ids that lead from a figure to ``span``; None where it is not sampled, or figures have no room."""
    signals = context.current_signals()
    ids = span.get_span_context()
    if signals is None or not ids.trace_flags.sampled or not signals.metrics.takes_exemplars:
        return None
    return {"trace_id": format_trace_id(ids.trace_id), "span_id": format_span_id(ids.span_id)}


def note_end(span: Span, error: BaseException | None, *, error_type: str | None = None) -> None:
    """Say how the work of ``span`` ended. ``error_type`` is the error's class unless something tells more.

    The text of an error is left out: it may hold what a user sent, and the log has it in its cleaned form.
    """
    if error is None:
        return
    if is_cancellation(type(error)):
        span.set_attribute(OUTCOME, CANCELLED)
        return
    span.set_attribute(ERROR_TYPE, error_type or type(error).__qualname__)
    span.set_status(_FAILED)


class ChildSpan:
    """A `start_child` for a ``with`` block, ended however the block ends; ``set`` adds attributes on the way."""

    __slots__ = ("_attributes", "_kind", "_name", "_scope", "_span")

    def __init__(self, scope: str, name: str, *, kind: SpanKind, attributes: Attributes | None = None) -> None:
        self._scope = scope
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._span: Span | None = None

    def set(self, name: str, value: Attribute) -> None:
        """Set an attribute; nothing happens where nothing is recorded."""
        if self._span is not None:
            self._span.set_attribute(name, value)

    @property
    def is_recorded(self) -> bool:
        """Tell whether attributes go anywhere: ask before computing one at some cost."""
        return self._span is not None

    def error_type(self, error: BaseException) -> str | None:  # noqa: ARG002 - for those who know more of an error
        """Return what tells more of an error than its class does, None where nothing does."""
        return None

    def __enter__(self) -> Self:
        try:
            self._span = start_child(self._scope, self._name, kind=self._kind, attributes=self._attributes)
        except Exception as fault:  # noqa: BLE001 - a span must not fail the work that it shows
            report(fault)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is None:
            return
        try:
            note_end(self._span, error, error_type=None if error is None else self.error_type(error))
            self._span.end()
        except Exception as fault:  # noqa: BLE001 - as above
            report(fault)


def report(fault: Exception) -> None:
    """Count a fault of the spans themselves; raise it under strict."""
    signals = context.current_signals()
    if signals is not None:
        signals.fail("span", fault)
