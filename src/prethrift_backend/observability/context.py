"""What belongs to the request that is being served, and which `Telemetry` speaks for it.

What is current stands in two places only: one context variable, and the list of the telemetries that are configured.
The ASGI layer enters a `RequestContext` by token and leaves it in ``finally``. asyncio copies the variable into tasks
and threads; the object behind it is one and the same, so that a user bound in a synchronous dependency, which runs in
a thread with a copied context, still shows on the request's access line.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Final, Protocol

from opentelemetry.trace import Tracer, get_current_span
from structlog.typing import FilteringBoundLogger

from prethrift_backend.observability.metrics import MetricSet

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Signals(Protocol):
    """What the parts below `Telemetry` need of it."""

    @property
    def metrics(self) -> MetricSet:
        """The families of the application."""
        ...

    def logger(self, name: str | None) -> FilteringBoundLogger:
        """Return the logger of this name; the same object for the same name."""
        ...

    def tracer(self, name: str) -> Tracer:
        """Return the tracer of this instrumentation scope; the same object for the same name."""
        ...

    def trace_headers(self, url: str) -> dict[str, str]:
        """Return the headers that make a request to ``url`` a part of the current trace."""
        ...

    def handle_record(self, record: logging.LogRecord) -> None:
        """Take a record of the standard library through the chain."""
        ...

    def report_error(self, error: BaseException, *, event: str) -> str | None:
        """Report an error that somebody handled to Sentry, and return the id of its event."""
        ...

    def fail(self, where: str, error: Exception) -> None:
        """Count a fault of the telemetry itself, log the first of its kind, raise it under strict."""
        ...


class RequestContext:
    """The identity of one request: its id, its user when somebody bound one, and the telemetry that observes it.

    ``client_trace_id`` is a caller's X-Trace-Id that could not become the trace's id. ``statements`` counts what the
    request sent to the database. ``breadcrumbs`` holds its last log lines where an error event may want them. ``route``
    returns method and template, as far as the request has been routed; ``is_quiet`` whether a probe took it.
    ``trace_id`` and ``span_id`` are those of the server span in hexadecimal digits, formatted once for log line and
    header; None where no span is valid. ``query_string`` is raw, and only its allow-listed keys may be shown.
    """

    __slots__ = (
        "breadcrumbs",
        "client_trace_id",
        "is_quiet",
        "query_string",
        "request_id",
        "route",
        "signals",
        "span_id",
        "statements",
        "trace_id",
        "user_id",
    )

    def __init__(self, request_id: str, signals: Signals) -> None:
        self.request_id = request_id
        self.signals = signals
        self.user_id: str | None = None
        self.client_trace_id: str | None = None
        self.query_string = b""
        self.statements = 0
        self.breadcrumbs: deque[dict[str, Any]] | None = None
        self.route: Callable[[], tuple[str, str]] | None = None
        self.is_quiet: Callable[[], bool] | None = None
        self.trace_id: str | None = None
        self.span_id: str | None = None


_request: ContextVar[RequestContext | None] = ContextVar("prethrift_request", default=None)
_configured: list[Signals] = []


def is_request_id(value: str) -> bool:
    """Return whether ``value`` has the form of a request id that we repeat in logs and headers.

    A value that looks like a secret has to be refused besides: a JSON Web Token would pass the pattern.
    """
    return _REQUEST_ID.fullmatch(value) is not None


def enter_request(context: RequestContext) -> Token[RequestContext | None]:
    """Make ``context`` the current one until the token goes to `leave_request`."""
    return _request.set(context)


def leave_request(token: Token[RequestContext | None]) -> None:
    """Bring back what was current before `enter_request`."""
    _request.reset(token)


def current_request() -> RequestContext | None:
    """Return the context of the request that is being served, None outside of one."""
    return _request.get()


def current_request_id() -> str | None:
    """Return the id of the request that is being served, None outside of one."""
    context = _request.get()
    return None if context is None else context.request_id


def current_trace_id() -> str | None:
    """Return the id of the current trace as hexadecimal digits, sampled or not; None outside of one."""
    context = _request.get()
    if context is not None and context.trace_id is not None:
        return context.trace_id
    ids = get_current_span().get_span_context()
    return f"{ids.trace_id:032x}" if ids.is_valid else None


def bind_user(user_id: str | None) -> None:
    """Show ``user_id`` on every further line of this request; outside of a request nothing happens."""
    context = _request.get()
    if context is not None:
        context.user_id = user_id


def current_signals() -> Signals | None:
    """Return the telemetry of the request, otherwise the last one configured, None when there is none."""
    context = _request.get()
    if context is not None:
        return context.signals
    return _configured[-1] if _configured else None


def configured_signals() -> tuple[Signals, ...]:
    """Return the telemetries that are configured and not closed, the default of the process last."""
    return tuple(_configured)


def add_configured(signals: Signals) -> None:
    """Make ``signals`` the default of the process until it is removed."""
    _configured.append(signals)


def remove_configured(signals: Signals) -> None:
    """Take ``signals`` off the list of defaults; unknown ones are ignored."""
    if signals in _configured:
        _configured.remove(signals)
