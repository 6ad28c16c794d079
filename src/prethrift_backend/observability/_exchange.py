"""What an HTTP request and a WebSocket connection have in common: identity, context, span, and report of a fault."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import set_span_in_context

from prethrift_backend.observability import context
from prethrift_backend.observability._endpoints import Routed, endpoint_template
from prethrift_backend.observability._names import LOGGER, UNMATCHED
from prethrift_backend.observability._request_metrics import Open
from prethrift_backend.observability.logs import mark_reported
from prethrift_backend.observability.propagation import (
    REQUEST_ID_HEADER,
    TRACE_ID_HEADER,
    only_text,
    read_identity,
)
from prethrift_backend.observability.redaction import text_of
from prethrift_backend.observability.setup import Telemetry
from prethrift_backend.observability.tracing import USER_ID

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# In the scope of an exchange that is observed already.
SEEN: Final = "prethrift_backend.observed"

# The lines before a fault that its error event shows; arbitrary.
_BREADCRUMBS: Final = 20

# What the contracts allow for the name of a class and for a user; nobody's are that long.
_MAX_TEXT: Final = 200

# A server takes these from the client or from a proxy; anything else is not repeated.
_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
_PROTOCOL_VERSIONS: Final = frozenset({"1.0", "1.1", "2", "2.0", "3"})

# What a proxy in front answers where the server stopped the request before anything was sent.
STOPPED_BY_SERVER: Final = 503
# An application that ended without an answer, or in the middle of one.
INCOMPLETE: Final = "incomplete_response"

_OWN_HEADERS: Final = frozenset({REQUEST_ID_HEADER, TRACE_ID_HEADER})

# The span of a request begins a context of its own: nothing of what a caller or an earlier request of the connection
# may have left in the current one, baggage above all, goes on into it.
_EMPTY: Final = Context()


class Exchange:
    """One request or connection, watched from outside; it is entered before the application runs and left after it."""

    __slots__ = (
        "_forward_receive",
        "_forward_send",
        "_monotonic",
        "_open",
        "_request_token",
        "_routed",
        "_span",
        "_span_token",
        "_started",
        "_telemetry",
        "context",
        "scope",
    )

    _open: set[Open]  # the exchanges of this kind that are being served

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, telemetry: Telemetry, quiet: frozenset[object]
    ) -> None:
        self._monotonic = telemetry.clock.monotonic
        self._started = self._monotonic()
        self._telemetry = telemetry
        self._forward_receive = receive
        self._forward_send = send
        self.scope = dict(scope)  # a copy: a server or a test may use its own again
        self.scope[SEEN] = True
        self._routed = Routed(self.scope, quiet=quiet)
        identity = read_identity(scope.get("headers"))
        self._span = telemetry.tracing.start_server_span(identity)
        self.context = self._make_context(identity)

    def _make_context(self, identity: Mapping[bytes, Sequence[bytes]]) -> context.RequestContext:
        made = context.RequestContext(self._request_id(identity), self._telemetry)
        made.trace_id = self._span.trace_id
        made.span_id = self._span.span_id
        made.client_trace_id = self._span.client_trace_id
        # Not methods of the exchange, which holds this context: that would be a cycle for the collector to find.
        made.route = self._routed.route
        made.is_quiet = self._routed.is_quiet
        if self._telemetry.reporter is not None:
            made.breadcrumbs = deque(maxlen=_BREADCRUMBS)
            made.query_string = self.scope.get("query_string") or b""  # for the event, which redacts it
        return made

    def _request_id(self, identity: Mapping[bytes, Sequence[bytes]]) -> str:
        """Return the caller's id where we may repeat it, otherwise the trace's id where that is ours, or a new one."""
        given = only_text(identity.get(REQUEST_ID_HEADER, ())) if identity else None
        if given is not None and context.is_request_id(given) and self._telemetry.redactor.is_clean(given):
            return given
        return self._span.trace_id if self._span.is_own_trace else self._telemetry.ids.request_id()

    def is_quiet(self) -> bool:
        """Return whether a probe took it; no where that cannot be told."""
        try:
            return self._routed.is_quiet()
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("route", fault)
            return False

    def _endpoint(self) -> str:
        """Return the template of the route; a request whose route cannot be told still has its line and its count."""
        try:
            return endpoint_template(self.scope)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("route", fault)
            return UNMATCHED

    def enter(self) -> None:
        """Make request and span the current ones."""
        self._open.add(self)
        self._request_token = context.enter_request(self.context)
        self._span_token = attach(set_span_in_context(self._span.span, _EMPTY))

    def leave(self) -> None:
        """Bring back what was current before."""
        self._open.discard(self)
        try:
            context.leave_request(self._request_token)
        except ValueError:  # given up by its server, and closed by the collector: there nothing of ours is current
            return
        detach(self._span_token)

    def _seconds(self) -> float:
        return self._monotonic() - self._started

    def _with_identity(self, message: Message) -> Message:
        """Return the start of an answer with our headers set, in the place of any that are there."""
        others = [pair for pair in message.get("headers") or () if bytes(pair[0]).lower() not in _OWN_HEADERS]
        others.append((REQUEST_ID_HEADER, self.context.request_id.encode("ascii")))
        others.append((TRACE_ID_HEADER, self._span.trace_id.encode("ascii")))
        return {**message, "headers": others}

    def _note_on_span(self, error: Exception) -> None:
        try:
            self._span.note_exception(error)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("span", fault)

    def _report(self, event: str, error: Exception, fields: Mapping[str, Any]) -> None:
        """Say once that the application did not handle ``error``: an error event and an ERROR line."""
        telemetry = self._telemetry
        try:
            if telemetry.reporter is not None:  # first, so that the line below is not one of the lines before it
                telemetry.reporter.capture(error, event=event, request=self.context)
            telemetry.logger(LOGGER).error(event, exc_info=error, **fields)
            mark_reported(error)
        except Exception as fault:  # noqa: BLE001 - never into the request
            telemetry.fail("error_line", fault)

    def _span_attributes(self, endpoint: str, error_type: str | None) -> dict[str, str | bool | int | float]:
        """Return what every span of ours says; never the path or the query, which may hold secrets."""
        scope, request = self.scope, self.context
        attributes: dict[str, str | bool | int | float] = {"prethrift.request_id": request.request_id}
        if endpoint != UNMATCHED:
            attributes["http.route"] = endpoint
        if scope.get("scheme") in _SCHEMES:
            attributes["url.scheme"] = scope["scheme"]
        if scope.get("http_version") in _PROTOCOL_VERSIONS:
            attributes["network.protocol.version"] = scope["http_version"]
        if request.user_id is not None:
            attributes[USER_ID] = text_of(request.user_id)[:_MAX_TEXT]
        if request.client_trace_id is not None:
            attributes["client_trace_id"] = request.client_trace_id
        if error_type is not None:
            attributes["error.type"] = error_type
        return attributes


def span_name(method: str, endpoint: str) -> str:
    """Return the name of a span: a closed set, whatever a client sends."""
    return method if endpoint == UNMATCHED else f"{method} {endpoint}"


def error_type_of(error: BaseException | None) -> str | None:
    """Return the name of an exception's class; never its text, which may hold anything."""
    return None if error is None else type(error).__qualname__[:_MAX_TEXT]


def milliseconds(seconds: float) -> float:
    """Return a time as log lines have it."""
    return round(seconds * 1000, 3)
