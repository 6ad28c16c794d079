"""What the backend does for its users, counted: searches and embeddings, and the proxies of the families.

Everything here looks up the current `Telemetry` when it is used, so it can be imported and called anywhere; when none
is configured it does nothing.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast

from prethrift_backend.observability import context
from prethrift_backend.observability._names import (
    EMBEDDING_COMPLETED,
    EMBEDDING_OPERATIONS_TOTAL,
    HTTP_REQUEST_DURATION_SECONDS,
    HTTP_REQUESTS_TOTAL,
    LOGGER,
    SEARCH_COMPLETED,
    SEARCH_OPERATIONS_TOTAL,
)


class Child(Protocol):
    """One series of a family; which of the methods it has depends on the family's type."""

    def inc(self, amount: float = 1) -> None:
        """Add to a counter or a gauge."""
        ...

    def set(self, value: float) -> None:
        """Set a gauge."""
        ...

    def observe(self, amount: float) -> None:
        """Add one observation to a histogram."""
        ...


class _NullChild:
    """The series that nobody reads: no telemetry is configured."""

    def inc(self, amount: float = 1) -> None:
        """Do nothing."""

    def set(self, value: float) -> None:
        """Do nothing."""

    def observe(self, amount: float) -> None:
        """Do nothing."""


_NULL: Final = _NullChild()


class FamilyProxy:
    """A metric family by name; ``labels`` finds the series in the current `Telemetry`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def labels(self, **labels: str) -> Child:
        """Return the series with these labels; one that does nothing when no telemetry is configured."""
        signals = context.current_signals()
        if signals is None:
            return _NULL
        return cast("Child", signals.metrics.family(self._name).labels(**labels))


HTTP_REQUESTS: Final = FamilyProxy(HTTP_REQUESTS_TOTAL)
HTTP_REQUEST_DURATION: Final = FamilyProxy(HTTP_REQUEST_DURATION_SECONDS)
SEARCH_OPERATIONS: Final = FamilyProxy(SEARCH_OPERATIONS_TOTAL)
EMBEDDING_OPERATIONS: Final = FamilyProxy(EMBEDDING_OPERATIONS_TOTAL)


@dataclass(frozen=True, slots=True)
class _Kind:
    family: FamilyProxy
    label: str
    event: str


_SEARCH: Final = _Kind(SEARCH_OPERATIONS, "search_type", SEARCH_COMPLETED)
_EMBEDDING: Final = _Kind(EMBEDDING_OPERATIONS, "operation_type", EMBEDDING_COMPLETED)


def _status_of(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "success"
    # GeneratorExit: the caller stopped reading a stream in the middle, which is no fault of the operation.
    return "cancelled" if issubclass(kind, asyncio.CancelledError | GeneratorExit) else "error"


class Operation:
    """One run of an operation, as ``with`` or ``async with``; counted once, at its end.

    An exception passes through. Cancellation is a status of its own: a client that went away is not a failed search.
    """

    __slots__ = ("_fields", "_kind", "_name", "_started")

    def __init__(self, kind: _Kind, name: str) -> None:
        self._kind = kind
        self._name = name
        self._fields: dict[str, Any] = {}
        self._started = 0.0

    def add(self, **fields: Any) -> None:
        """Add fields to the line that is written at the end."""
        self._fields.update(fields)

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signals = context.current_signals()
        if signals is None:
            return
        try:
            self._finish(signals, kind)
        except Exception as fault:  # noqa: BLE001 - counting a search must not fail it
            signals.fail("operation", fault)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _finish(self, signals: context.Signals, kind: type[BaseException] | None) -> None:
        status = _status_of(kind)
        self._kind.family.labels(**{self._kind.label: self._name, "status": status}).inc()
        fields = {
            **self._fields,
            self._kind.label: self._name,
            "status": status,
            "duration_ms": round((time.perf_counter() - self._started) * 1000, 3),
        }
        if status == "error" and kind is not None:
            fields["error_type"] = kind.__qualname__
        signals.logger(LOGGER).debug(self._kind.event, **fields)


def track_search_operation(name: str) -> Operation:
    """Count a search: ``text_search`` (or ``text``) and ``visual_search`` (or ``visual``)."""
    return Operation(_SEARCH, name.removesuffix("_search"))


def track_embedding_operation(name: str) -> Operation:
    """Count a call of an embedding model: ``clip`` or ``text``, with or without ``_embedding`` behind it."""
    return Operation(_EMBEDDING, name.removesuffix("_embedding"))
