"""Rate, errors and duration of requests and connections: the families that the ASGI layer feeds.

An application with a contract of its own need not have them all: which there are is asked once, at the start. Open
requests are not counted up and down but kept, and counted at the scrape, because whether a probe took one shows only
after its routing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

from prethrift_backend.observability._names import (
    DB_STATEMENTS_PER_REQUEST,
    HTTP_BACKGROUND_DURATION_SECONDS,
    HTTP_REQUEST_DURATION_SECONDS,
    HTTP_REQUESTS_IN_PROGRESS,
    HTTP_REQUESTS_TOTAL,
    HTTP_TIME_TO_FIRST_BYTE_SECONDS,
    WEBSOCKET_CONNECTION_DURATION_SECONDS,
    WEBSOCKET_CONNECTIONS_OPEN,
    WEBSOCKET_CONNECTIONS_TOTAL,
    WEBSOCKET_MESSAGES_TOTAL,
)
from prethrift_backend.observability.metrics import BoundFamily, MetricSet

Exemplar: TypeAlias = "dict[str, str] | None"


class Open(Protocol):
    """A request or connection that is being served."""

    def is_quiet(self) -> bool:
        """Return whether a probe took it."""
        ...


class RequestMetrics:
    """What is counted of requests and connections, in the families that the contract has.

    ``open_requests`` and ``open_connections`` hold those that are being served now; the ASGI layer adds and removes.
    """

    def __init__(self, metrics: MetricSet) -> None:
        find = metrics.find
        self.open_requests: set[Open] = set()
        self.open_connections: set[Open] = set()
        self.takes_exemplars = metrics.takes_exemplars
        self._requests = find(HTTP_REQUESTS_TOTAL)
        self._durations = find(HTTP_REQUEST_DURATION_SECONDS)
        self._first_bytes = find(HTTP_TIME_TO_FIRST_BYTE_SECONDS)
        self._background = find(HTTP_BACKGROUND_DURATION_SECONDS)
        self._statements = find(DB_STATEMENTS_PER_REQUEST)
        self._connections = find(WEBSOCKET_CONNECTIONS_TOTAL)
        self._connection_durations = find(WEBSOCKET_CONNECTION_DURATION_SECONDS)
        self._messages = find(WEBSOCKET_MESSAGES_TOTAL)
        if find(HTTP_REQUESTS_IN_PROGRESS) is not None:
            metrics.observe(HTTP_REQUESTS_IN_PROGRESS, lambda: {(): _count(self.open_requests)})
        if find(WEBSOCKET_CONNECTIONS_OPEN) is not None:
            metrics.observe(WEBSOCKET_CONNECTIONS_OPEN, lambda: {(): _count(self.open_connections)})

    def count_request(self, method: str, endpoint: str, status: int, seconds: float, exemplar: Exemplar) -> None:
        """Count an answered request and its duration; an exemplar leads to its trace."""
        if self._requests is not None:
            self._requests.labels(method=method, endpoint=endpoint, status_code=str(status)).inc(1, exemplar)
        if self._durations is not None:
            self._durations.labels(method=method, endpoint=endpoint).observe(seconds, exemplar)

    def observe_first_byte(self, endpoint: str, seconds: float) -> None:
        """Observe the time to the first byte of an answer in pieces."""
        if self._first_bytes is not None:
            self._first_bytes.labels(endpoint=endpoint).observe(seconds)

    def observe_background(self, status: str, seconds: float) -> None:
        """Observe work after the last byte: success, error or cancelled."""
        if self._background is not None:
            self._background.labels(status=status).observe(seconds)

    def observe_statements(self, count: int) -> None:
        """Observe how many statements a request sent to the database."""
        if self._statements is not None:
            self._statements.labels().observe(count)

    def count_connection(self, endpoint: str, close_code: int, seconds: float) -> None:
        """Count a WebSocket connection that ended, and its duration."""
        if self._connections is not None:
            self._connections.labels(endpoint=endpoint, close_code=str(close_code)).inc()
        if self._connection_durations is not None:
            self._connection_durations.labels(endpoint=endpoint).observe(seconds)

    def count_messages(self, endpoint: str, *, received: int, sent: int) -> None:
        """Count the messages of a connection that ended."""
        family: BoundFamily[Any] | None = self._messages
        if family is not None:
            family.labels(endpoint=endpoint, direction="received").inc(received)
            family.labels(endpoint=endpoint, direction="sent").inc(sent)


def _count(served: Iterable[Open]) -> int:
    # A scrape runs in a thread of its own: the copy is made in one step of the interpreter.
    return sum(not one.is_quiet() for one in list(served))
