"""Statements as spans and figures, by events of SQLAlchemy's engine.

One layer only: the driver below is not instrumented, since each statement would then have two spans. The events of one
statement run in the task that sent it, in a greenlet that shares its context variables, so the span that is current
there is the right parent. A connection has one statement at a time, which is kept in its ``info`` meanwhile.

Names: OpenTelemetry's conventions for database client spans, as stable since 1.33, and those for PostgreSQL.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from prethrift_backend.observability.child_spans import exemplar_of, note_end, recording_span, report, start_child
from prethrift_backend.observability.context import current_request
from prethrift_backend.observability.operations import DB_STATEMENT_DURATION
from prethrift_backend.stores._sql_text import Described, describe

_KEY: Final = "prethrift.statement"
_COUNTED: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_OTHER: Final = "OTHER"


@dataclass(slots=True)
class _Running:
    """A statement that was sent and has not come back. ``context`` is SQLAlchemy's own for this execution."""

    context: object
    described: Described
    started: float
    span: Span | None

    def end(self, error: BaseException | None) -> None:
        """Count it, and end its span, if it has one."""
        operation = self.described.operation
        label = operation if operation in _COUNTED else _OTHER
        exemplar = None if self.span is None else exemplar_of(self.span)
        DB_STATEMENT_DURATION.labels(operation=label).observe(time.perf_counter() - self.started, exemplar)
        if self.span is None:
            return
        if error is not None:
            _note_error(self.span, error)
        self.span.end()


def observe_engine(engine: AsyncEngine | Engine, *, attributes: Mapping[str, str | int] | None = None) -> None:
    """Make a span of each statement below a span that is recorded, count it for its request, and observe its time.

    ``attributes`` are on each span: what `server_attributes` says of the address. Engines made of this one by
    ``execution_options`` are observed with it. Observing an engine twice is the same as once. A statement whose rows
    are streamed ends, as far as this sees, when the first of them can be read.
    """
    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    if _is_observed(target):
        return
    listener = _Listener({"db.system.name": "postgresql", **(attributes or {})})
    event.listen(target, "before_cursor_execute", listener.before)
    event.listen(target, "after_cursor_execute", listener.after)
    event.listen(target, "handle_error", listener.failed)
    event.listen(target, "checkin", listener.returned)


def _is_observed(engine: Engine) -> bool:
    # SQLAlchemy wraps listeners of some events in functions of its own; those of this one it calls as they are.
    known = engine.dispatch.after_cursor_execute
    return any(isinstance(getattr(listener, "__self__", None), _Listener) for listener in known)


class _Listener:
    """What listens to one engine. A fault of its own never reaches the statement."""

    def __init__(self, attributes: Mapping[str, str | int]) -> None:
        self._attributes = attributes

    def before(
        self, connection: Any, _cursor: object, statement: str, _parameters: object, context: Any, _many: bool
    ) -> None:
        """Note a statement that is about to be sent."""
        try:
            self._begin(connection, statement, context)
        except Exception as fault:  # noqa: BLE001 - a statement must not fail by being watched
            report(fault)

    def after(
        self, connection: Any, _cursor: object, _statement: str, _parameters: object, _context: object, _many: bool
    ) -> None:
        """End a statement that was answered."""
        self._end(connection, None)

    def failed(self, failure: ExceptionContext) -> None:
        """End a statement that failed or was cancelled: SQLAlchemy tells of either."""
        connection = failure.connection
        if connection is not None and not connection.closed and not connection.invalidated:
            self._end(connection, failure.original_exception)

    def returned(self, _connection: object, record: Any) -> None:
        """Forget what a connection may still hold when it comes back: nobody told how it ended."""
        self._end(record, None)

    def _begin(self, connection: Any, statement: str, context: object) -> None:
        known = connection.info.get(_KEY)
        if known is not None:
            if known.context is context:  # two listeners on one engine
                return
            self._end(connection, None)
        request = current_request()
        if request is not None:
            request.statements += 1
        described = describe(statement)
        span = self._start(described) if recording_span() is not None else None
        connection.info[_KEY] = _Running(context, described, time.perf_counter(), span)

    def _start(self, described: Described) -> Span | None:
        attributes: dict[str, str | bool | int | float] = {
            **self._attributes,
            "db.operation.name": described.operation,
            "db.query.text": described.text,
        }
        if described.collection is not None:
            attributes["db.collection.name"] = described.collection
        return start_child(__name__, described.summary, kind=SpanKind.CLIENT, attributes=attributes)

    def _end(self, holder: Any, error: BaseException | None) -> None:
        """End what runs on a connection, or on its record in the pool: both have the same ``info``."""
        try:
            running: _Running | None = holder.info.pop(_KEY, None)
            if running is not None:
                running.end(error)
        except Exception as fault:  # noqa: BLE001 - as above
            report(fault)


def _note_error(span: Span, error: BaseException) -> None:
    """Show the driver's own error: the class that stands for its SQLSTATE, and that state."""
    original = error.__cause__ if hasattr(error, "sqlstate") and error.__cause__ is not None else error
    sqlstate = getattr(original, "sqlstate", None)
    if sqlstate:
        span.set_attribute("db.response.status_code", str(sqlstate))
    note_end(span, error, error_type=type(original).__qualname__)
