"""How long somebody waits for a connection of the pool: for every one a figure, for a long one a span."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from opentelemetry.trace import SpanKind
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from prethrift_backend.observability.child_spans import note_end, report, start_child
from prethrift_backend.observability.operations import DB_POOL_TIMEOUTS, DB_POOL_WAIT

WAIT_SPAN: Final = "wait for database connection"
# A free connection is lent in microseconds: below this there was no wait, and a span would say so a thousand times.
_SHOWN_SECONDS: Final = 0.001


class PoolWait:
    """The wait as a ``with`` block: from asking to ``over``, which whoever asked calls when it has a connection.

    A block that ends before that was refused a connection, or given up while it waited.
    """

    __slots__ = ("_is_over", "_started", "_started_ns")

    def __enter__(self) -> Self:
        self._is_over = False
        self._started = time.perf_counter()
        self._started_ns = time.time_ns()
        return self

    def over(self) -> None:
        """Note that there is a connection now."""
        self._is_over = True
        self._end(None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_over and error is not None:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        try:
            seconds = time.perf_counter() - self._started
            self._count(seconds, error)
            if error is not None or seconds >= _SHOWN_SECONDS:
                self._show(seconds, error)
        except Exception as fault:  # noqa: BLE001 - watching a wait must not fail it
            report(fault)

    def _count(self, seconds: float, error: BaseException | None) -> None:
        if error is None:
            DB_POOL_WAIT.labels().observe(seconds)
        elif isinstance(error, PoolTimeoutError):
            DB_POOL_TIMEOUTS.labels().inc()

    def _show(self, seconds: float, error: BaseException | None) -> None:
        span = start_child(__name__, WAIT_SPAN, kind=SpanKind.INTERNAL, started_ns=self._started_ns)
        if span is not None:
            note_end(span, error, error_type="pool_timeout" if isinstance(error, PoolTimeoutError) else None)
            span.end(self._started_ns + round(seconds * 1e9))
