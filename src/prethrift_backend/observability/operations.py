"""What the backend does for its users: searches and embeddings, as spans, counts, durations and lines.

Everything here looks up the current `Telemetry` when it is used, so it can be imported and called anywhere; when none
is configured it does nothing. An application whose contract lacks one of the families goes without it.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, ParamSpec, Protocol, Self, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    get_current_span,
    set_span_in_context,
)

from prethrift_backend.observability import context
from prethrift_backend.observability._names import (
    DB_POOL_TIMEOUTS_TOTAL,
    DB_POOL_WAIT_SECONDS,
    DB_STATEMENT_DURATION_SECONDS,
    EMBEDDING_BATCH_SIZE,
    EMBEDDING_COMPLETED,
    EMBEDDING_DURATION_SECONDS,
    EMBEDDING_OPERATIONS_TOTAL,
    EMBEDDING_QUEUE_WAIT_SECONDS,
    HTTP_REQUEST_DURATION_SECONDS,
    HTTP_REQUESTS_TOTAL,
    LOGGER,
    SEARCH_COMPLETED,
    SEARCH_DURATION_SECONDS,
    SEARCH_OPERATIONS_TOTAL,
)
from prethrift_backend.observability.child_spans import OUTCOME, Attribute, exemplar_of, is_cancellation, note_end
from prethrift_backend.observability.logs import get_logger
from prethrift_backend.observability.metrics import NO_SERIES
from prethrift_backend.observability.redaction import text_of

Exemplar = dict[str, str] | None

_lines: Final = get_logger(LOGGER)

P = ParamSpec("P")
R = TypeVar("R")


class Child(Protocol):
    """One series of a family; which of the methods it has depends on the family's type."""

    def inc(self, amount: float = 1, exemplar: Exemplar = None) -> None:
        """Add to a counter or a gauge; only a counter takes an exemplar."""
        ...

    def set(self, value: float) -> None:
        """Set a gauge."""
        ...

    def observe(self, amount: float, exemplar: Exemplar = None) -> None:
        """Add one observation to a histogram."""
        ...


class FamilyProxy:
    """A metric family by name; ``labels`` finds the series in the current `Telemetry`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def labels(self, **labels: str) -> Child:
        """Return the series with these labels; one that does nothing where there is no telemetry or no such family."""
        signals = context.current_signals()
        family = None if signals is None else signals.metrics.find(self._name)
        return NO_SERIES if family is None else cast("Child", family.labels(**labels))


HTTP_REQUESTS: Final = FamilyProxy(HTTP_REQUESTS_TOTAL)
HTTP_REQUEST_DURATION: Final = FamilyProxy(HTTP_REQUEST_DURATION_SECONDS)
SEARCH_OPERATIONS: Final = FamilyProxy(SEARCH_OPERATIONS_TOTAL)
SEARCH_DURATION: Final = FamilyProxy(SEARCH_DURATION_SECONDS)
EMBEDDING_OPERATIONS: Final = FamilyProxy(EMBEDDING_OPERATIONS_TOTAL)
EMBEDDING_DURATION: Final = FamilyProxy(EMBEDDING_DURATION_SECONDS)
EMBEDDING_QUEUE_WAIT: Final = FamilyProxy(EMBEDDING_QUEUE_WAIT_SECONDS)
EMBEDDING_BATCH: Final = FamilyProxy(EMBEDDING_BATCH_SIZE)
DB_STATEMENT_DURATION: Final = FamilyProxy(DB_STATEMENT_DURATION_SECONDS)
DB_POOL_WAIT: Final = FamilyProxy(DB_POOL_WAIT_SECONDS)
DB_POOL_TIMEOUTS: Final = FamilyProxy(DB_POOL_TIMEOUTS_TOTAL)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What searches, or embeddings, have in common. ``prefix`` begins the names of the span and its attributes."""

    prefix: str
    attribute: str
    label: str
    event: str
    family: FamilyProxy
    duration: FamilyProxy


_SEARCH: Final = _Kind("search", "search.type", "search_type", SEARCH_COMPLETED, SEARCH_OPERATIONS, SEARCH_DURATION)
_EMBEDDING: Final = _Kind(
    "embedding",
    "embedding.operation",
    "operation_type",
    EMBEDDING_COMPLETED,
    EMBEDDING_OPERATIONS,
    EMBEDDING_DURATION,
)


def _status_of(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "success"
    return "cancelled" if is_cancellation(kind) else "error"


class Operation:
    """One run of an operation, as ``with`` or ``async with``; its span is the current one inside.

    An exception passes through. Cancellation is a status of its own: a client that went away is not a failed search.
    One object is one run, since two at the same time would share a clock and a span: entering it again raises
    RuntimeError. As a decorator of a function or coroutine function it makes a new one for each call.
    """

    __slots__ = ("_context", "_fields", "_kind", "_name", "_span", "_started", "_token")

    def __init__(self, kind: _Kind, name: str) -> None:
        self._kind = kind
        self._name = name
        self._fields: dict[str, Any] = {}
        self._started: float | None = None
        self._span: Span = INVALID_SPAN
        self._context: otel_context.Context | None = None
        self._token: Token[otel_context.Context] | None = None

    def add(self, /, **fields: Any) -> None:
        """Add fields to the line that is written at the end, and to the span as attributes of this kind."""
        self._fields.update(fields)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return ``function`` with each of its calls tracked; raise TypeError for a generator, which has no one end."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            text = f"{function!r} is a generator: it cannot be decorated; write `with` around what is done with it"
            raise TypeError(text)
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", self._around_coroutine(function))

        @functools.wraps(function)
        def tracked(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._another():
                return function(*args, **kwargs)

        return tracked

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def tracked(*args: Any, **kwargs: Any) -> Any:
            async with self._another():
                return await function(*args, **kwargs)

        return tracked

    def _another(self) -> Operation:
        return Operation(self._kind, self._name)

    def __enter__(self) -> Self:
        if self._started is not None:
            text = (
                f"this {self._kind.prefix} operation {self._name!r} was entered before: one object is one run; "
                f"call track_{self._kind.prefix}_operation({self._name!r}) for each"
            )
            raise RuntimeError(text)
        self._started = time.perf_counter()
        signals = context.current_signals()
        if signals is not None:
            try:
                self._start_span(signals)
            except Exception as fault:  # noqa: BLE001 - tracing a search must not fail it
                signals.fail("operation", fault)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signals = context.current_signals()
        if signals is None:
            return
        try:
            self._finish(kind, error)
        except Exception as fault:  # noqa: BLE001 - counting a search must not fail it
            signals.fail("operation", fault)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _start_span(self, signals: context.Signals) -> None:
        """Start a span and make it current, unless the trace that this belongs to is not sampled."""
        parent = get_current_span().get_span_context()
        if parent.is_valid and not parent.trace_flags.sampled:
            return
        attributes = {self._kind.attribute: self._name}
        self._span = signals.tracer(LOGGER).start_span(f"{self._kind.prefix} {self._name}", attributes=attributes)
        self._context = set_span_in_context(self._span)
        self._token = otel_context.attach(self._context)

    def _finish(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        seconds = time.perf_counter() - (self._started or 0.0)
        status = _status_of(kind)
        line = self._fields | {
            self._kind.label: self._name,
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
        }
        if status == "error" and kind is not None:
            line["error_type"] = kind.__qualname__
        try:
            self._count(status, seconds)
            _lines.debug(self._kind.event, **line)
        finally:
            self._end_span(status, error)

    def _count(self, status: str, seconds: float) -> None:
        self._kind.family.labels(**{self._kind.label: self._name, "status": status}).inc()
        self._kind.duration.labels(**{self._kind.label: self._name}).observe(seconds, exemplar_of(self._span))

    def _end_span(self, status: str, error: BaseException | None) -> None:
        self._leave()
        span = self._span
        if not span.is_recording():
            return
        for name, value in self._fields.items():
            if value is not None:
                span.set_attribute(f"{self._kind.prefix}.{name}", _attribute(value))
        note_end(span, error)
        span.set_attribute(OUTCOME, status)
        span.end()

    def _leave(self) -> None:
        # A stream that is closed from elsewhere ends in another context, where the token is worth nothing.
        if self._token is not None and otel_context.get_current() is self._context:
            otel_context.detach(self._token)
        self._token = None


def _attribute(value: object) -> Attribute:
    return value if isinstance(value, str | bool | int | float) else text_of(value)


def track_search_operation(name: str) -> Operation:
    """Track a search: ``text_search`` (or ``text``) and ``visual_search`` (or ``visual``)."""
    return Operation(_SEARCH, name.removesuffix("_search"))


def track_embedding_operation(name: str) -> Operation:
    """Track a call of an embedding model: ``clip`` or ``text``, with or without ``_embedding`` behind it."""
    return Operation(_EMBEDDING, name.removesuffix("_embedding"))
