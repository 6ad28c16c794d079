"""One layer around an ASGI application: request id, access line, metrics and errors in a single pass.

It stands outside of everything, Starlette's own error handling included, and is therefore no middleware to be added:
`instrument` wraps the application object. It always raises again what it caught, and nothing that goes wrong in here
reaches the request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Final, TypeAlias, TypeVar

import orjson

from prethrift_backend.config import Settings
from prethrift_backend.observability import context
from prethrift_backend.observability._endpoints import RoutedScope, endpoint_template
from prethrift_backend.observability._names import (
    BACKGROUND_TASK_FAILED,
    CLIENT_CLOSED_REQUEST,
    HTTP_REQUEST_DURATION_SECONDS,
    HTTP_REQUESTS_TOTAL,
    LOGGER,
    METHODS,
    OTHER_METHOD,
    REQUEST_COMPLETED,
    REQUEST_FAILED,
    REQUEST_ID_HEADER,
    WEBSOCKET_CLOSED,
    WEBSOCKET_FAILED,
)
from prethrift_backend.observability.logs import mark_reported
from prethrift_backend.observability.loop_lag import LoopWatch
from prethrift_backend.observability.redaction import redact_query
from prethrift_backend.observability.setup import Telemetry, configure

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Marked = TypeVar("Marked")

_QUIET: Final = "__prethrift_quiet__"
_SEEN: Final = "prethrift_backend.observed"
# Nothing was sent and the server stopped the request itself: what a proxy in front answers then.
_STOPPED_BY_SERVER: Final = 503


def mark_quiet(endpoint: Marked) -> Marked:
    """Mark an endpoint (function, or application that is mounted) as a probe: no INFO line, no place in RED metrics.

    The mark is on the object, so it holds wherever the endpoint is routed. TypeError where an object takes no mark:
    give it to `instrument` as ``quiet=`` then.
    """
    try:
        setattr(endpoint, _QUIET, True)
    except AttributeError as error:
        text = f"{endpoint!r} cannot be marked: it takes no attributes; hand it to instrument(..., quiet=[...])"
        raise TypeError(text) from error
    return endpoint


class Instrumented:
    """An application with the telemetry around it; every attribute is the application's own."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, *, quiet: Collection[object], owned: bool) -> None:
        self._prethrift_app = app
        self._prethrift_telemetry = telemetry
        self._prethrift_owned = owned
        # Routes cannot be hashed (Starlette gives them equality only), so what they lead to is kept.
        leads_to = (getattr(thing, "endpoint", None) or getattr(thing, "app", thing) for thing in quiet)
        self._prethrift_quiet = frozenset(leads_to)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_prethrift"):  # not set yet: copying and unpickling ask before __init__
            raise AttributeError(name)
        return getattr(self._prethrift_app, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_prethrift"):
            super().__setattr__(name, value)
        else:
            setattr(self._prethrift_app, name, value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        kind = scope["type"]
        if _SEEN in scope:  # an instrumented application that is mounted in another one
            await self._prethrift_app(scope, receive, send)
        elif kind == "http":
            await self._observe(HttpExchange, scope, receive, send)
        elif kind == "websocket":
            await self._observe(WebSocketExchange, scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self._prethrift_app(scope, receive, send)

    async def _observe(
        self, exchange_type: type[HttpExchange | WebSocketExchange], scope: Scope, receive: Receive, send: Send
    ) -> None:
        exchange = exchange_type(scope, receive, send, self._prethrift_telemetry, self._prethrift_quiet)
        token = context.enter_request(exchange.context)
        try:
            await self._prethrift_app(exchange.scope, exchange.receive, exchange.send)
        except BaseException as error:
            await exchange.raised(error)
            raise
        else:
            exchange.returned()
        finally:
            context.leave_request(token)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        # By now the server has set up its loggers, with handlers of its own.
        self._prethrift_telemetry.adopt_standard_loggers()
        try:
            with LoopWatch(self._prethrift_telemetry):
                await self._prethrift_app(scope, receive, send)
        finally:
            if self._prethrift_owned:
                await self._prethrift_telemetry.aclose()


class _Exchange:
    """What the two kinds of exchange have in common: the scope, the request id and the template."""

    __slots__ = ("_forward_receive", "_forward_send", "_quiet", "_started", "_telemetry", "context", "scope")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, telemetry: Telemetry, quiet: frozenset[object]
    ) -> None:
        self._started = time.perf_counter()
        self._telemetry = telemetry
        self._quiet = quiet
        self._forward_receive = receive
        self._forward_send = send
        self.scope = RoutedScope(scope.items())
        self.scope[_SEEN] = True
        self.context = context.RequestContext(context.accept_request_id(_read_request_id(scope)), telemetry)

    def _milliseconds_until(self, moment: float) -> float:
        return round((moment - self._started) * 1000, 3)

    def _is_quiet(self) -> bool:
        endpoint = self.scope.get("endpoint")
        return any(self._marks_quiet(thing) for thing in (endpoint, *(app for _, app, _ in self.scope.mounts)))

    def _marks_quiet(self, thing: object) -> bool:
        if getattr(thing, _QUIET, False) is True:
            return True
        try:
            return bool(self._quiet) and thing in self._quiet
        except TypeError:  # an endpoint that cannot be hashed is not in the set
            return False

    def _with_request_id(self, message: Message) -> Message:
        own = (REQUEST_ID_HEADER, self.context.request_id.encode("ascii"))
        others = [pair for pair in message.get("headers") or () if bytes(pair[0]).lower() != REQUEST_ID_HEADER]
        return {**message, "headers": [*others, own]}


def _read_request_id(scope: Scope) -> str | None:
    for name, value in scope.get("headers") or ():
        if name == REQUEST_ID_HEADER:  # servers send names in lower case, as ASGI says
            return bytes(value).decode("latin-1")
    return None


class HttpExchange(_Exchange):
    """One HTTP request and its response, watched from outside."""

    __slots__ = (
        "_body_bytes",
        "_client_gone",
        "_expects_trailers",
        "_finished",
        "_first_byte",
        "_is_recorded",
        "_last_byte",
        "_status",
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, telemetry: Telemetry, quiet: frozenset[object]
    ) -> None:
        super().__init__(scope, receive, send, telemetry, quiet)
        self._status: int | None = None
        self._first_byte: float | None = None
        self._last_byte = 0.0
        self._body_bytes = 0
        self._client_gone = False
        self._expects_trailers = False
        self._finished = False
        self._is_recorded = False

    async def receive(self) -> Message:
        """Receive for the application, and notice a client that went away before it had its answer."""
        message = await self._forward_receive()
        if message["type"] == "http.disconnect" and not self._finished:
            self._client_gone = True
        return message

    async def send(self, message: Message) -> None:
        """Send for the application: add the request id, note the first and the last byte."""
        kind = message["type"]
        if kind == "http.response.start":
            message = self._note_start(message)
        try:
            await self._forward_send(message)
        except OSError:  # what ASGI has a server raise when nobody is there to be sent to
            self._client_gone = True
            raise
        if self._is_last(kind, message):
            self._finished = True
            self._last_byte = time.perf_counter()
            # Recorded now, so that a background task of an hour does not hide the request for an hour. An error waits
            # for the exception behind it, which comes a moment later.
            if self._status is not None and self._status < 500:
                self._record(None)

    def _note_start(self, message: Message) -> Message:
        self._first_byte = time.perf_counter()
        self._status = message["status"]
        self._expects_trailers = bool(message.get("trailers", False))
        try:
            return self._with_request_id(message)
        except Exception as fault:  # noqa: BLE001 - a header that we cannot read is the application's to send
            self._telemetry.fail("response_headers", fault)
            return message

    def _is_last(self, kind: str, message: Message) -> bool:
        if kind == "http.response.body":
            self._body_bytes += len(message.get("body") or b"")
            return not message.get("more_body", False) and not self._expects_trailers
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        return kind == "http.response.pathsend" and not self._expects_trailers

    def returned(self) -> None:
        """Record what is not recorded yet: the application returned."""
        self._record(None)

    async def raised(self, error: BaseException) -> None:
        """Record a request that ended in an exception; answer it when nobody has."""
        if isinstance(error, Exception) and self._status is None and not self._client_gone:
            await self._answer_500()
        if self._client_gone and not self._is_recorded:
            mark_reported(error)  # what breaks because nobody is there is no fault; the line names its type
        elif isinstance(error, Exception):
            self._report(error)
        self._record(error)

    async def _answer_500(self) -> None:
        body = orjson.dumps(
            {
                "type": "about:blank",
                "title": "Internal Server Error",
                "status": 500,
                "request_id": self.context.request_id,
            }
        )
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        try:
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        except Exception as fault:  # noqa: BLE001 - the first exception is the one that counts
            if not self._client_gone:
                self._telemetry.fail("answer_500", fault)

    def _report(self, error: Exception) -> None:
        """Write the one ERROR line of an exception that the application did not handle."""
        try:
            event = BACKGROUND_TASK_FAILED if self._is_recorded else REQUEST_FAILED
            self._telemetry.logger(LOGGER).error(
                event, method=self._method(), endpoint=endpoint_template(self.scope), exc_info=error
            )
            mark_reported(error)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("error_line", fault)

    def _record(self, error: BaseException | None) -> None:
        if self._is_recorded:
            return
        self._is_recorded = True
        try:
            status, error_type = self._outcome(error)
            ended = self._last_byte if self._finished else time.perf_counter()
            method, endpoint = self._method(), endpoint_template(self.scope)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("outcome", fault)
            return
        is_quiet = self._is_quiet()
        if not is_quiet:
            self._count(method, endpoint, status, ended - self._started)
        self._log(method, endpoint, status, ended, error_type=error_type, is_quiet=is_quiet)

    def _method(self) -> str:
        method: str = self.scope.get("method", "")
        return method if method in METHODS else OTHER_METHOD

    def _outcome(self, error: BaseException | None) -> tuple[int, str | None]:
        """Return the status that counts and what went wrong: what was sent is not always how it ended."""
        error_type = None if error is None else type(error).__qualname__
        if self._client_gone:  # an answer that was sent after it left reached nobody
            return CLIENT_CLOSED_REQUEST, error_type
        if self._finished:
            return self._status or 500, error_type
        if isinstance(error, asyncio.CancelledError):
            return _STOPPED_BY_SERVER, "cancelled"
        return 500, error_type or "incomplete_response"

    def _count(self, method: str, endpoint: str, status: int, duration_seconds: float) -> None:
        try:
            family = self._telemetry.metrics.family
            family(HTTP_REQUESTS_TOTAL).labels(method=method, endpoint=endpoint, status_code=str(status)).inc()
            family(HTTP_REQUEST_DURATION_SECONDS).labels(method=method, endpoint=endpoint).observe(duration_seconds)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("metrics", fault)

    def _log(
        self, method: str, endpoint: str, status: int, ended: float, *, error_type: str | None, is_quiet: bool
    ) -> None:
        fields: dict[str, Any] = {
            "method": method,
            "endpoint": endpoint,
            "status_code": status,
            "duration_ms": self._milliseconds_until(ended),
            "ttfb_ms": None if self._first_byte is None else self._milliseconds_until(self._first_byte),
            "response_bytes": 0 if method == "HEAD" else self._body_bytes,
            "client_disconnected": status == CLIENT_CLOSED_REQUEST,
        }
        if self._status is not None and self._status != status:
            fields["sent_status_code"] = self._status
        if error_type is not None:
            fields["error_type"] = error_type
        try:
            if self.scope.get("query_string"):
                fields["query"] = redact_query(self.scope["query_string"])
            self._telemetry.log("debug" if is_quiet else "info", REQUEST_COMPLETED, fields)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("access_line", fault)


class WebSocketExchange(_Exchange):
    """One WebSocket connection: a request id at the handshake, one line at the end."""

    __slots__ = ("_close_code", "_is_accepted", "_received", "_sent")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, telemetry: Telemetry, quiet: frozenset[object]
    ) -> None:
        super().__init__(scope, receive, send, telemetry, quiet)
        self._is_accepted = False
        self._close_code: int | None = None
        self._received = 0
        self._sent = 0

    async def receive(self) -> Message:
        """Receive for the application; count messages, note the code of a client that leaves."""
        message = await self._forward_receive()
        if message["type"] == "websocket.receive":
            self._received += 1
        elif message["type"] == "websocket.disconnect" and self._close_code is None:
            self._close_code = message.get("code", 1005)
        return message

    async def send(self, message: Message) -> None:
        """Send for the application; the request id goes with the answer to the handshake."""
        kind = message["type"]
        if kind in {"websocket.accept", "websocket.http.response.start"}:
            self._is_accepted = kind == "websocket.accept"
            message = self._with_request_id(message)
        elif kind == "websocket.send":
            self._sent += 1
        elif kind == "websocket.close" and self._close_code is None:
            self._close_code = message.get("code", 1000)
        await self._forward_send(message)

    def returned(self) -> None:
        """Write the line of a connection that ended."""
        try:
            self._log_end(None)
        except Exception as fault:  # noqa: BLE001 - never into the connection
            self._telemetry.fail("websocket_line", fault)

    async def raised(self, error: BaseException) -> None:
        """Write the lines of a connection that ended in an exception."""
        try:
            if isinstance(error, Exception):
                self._telemetry.logger(LOGGER).error(
                    WEBSOCKET_FAILED, endpoint=endpoint_template(self.scope), exc_info=error
                )
                mark_reported(error)
            self._log_end(error)
        except Exception as fault:  # noqa: BLE001 - never into the connection
            self._telemetry.fail("websocket_line", fault)

    def _log_end(self, error: BaseException | None) -> None:
        fields: dict[str, Any] = {
            "endpoint": endpoint_template(self.scope),
            "accepted": self._is_accepted,
            # 1006: the connection ended without a close frame (RFC 6455, section 7.1.5).
            "close_code": 1006 if self._close_code is None else self._close_code,
            "duration_ms": self._milliseconds_until(time.perf_counter()),
            "messages_received": self._received,
            "messages_sent": self._sent,
        }
        if error is not None:
            fields["error_type"] = type(error).__qualname__
        logger = self._telemetry.logger(LOGGER)
        (logger.debug if self._is_quiet() else logger.info)(WEBSOCKET_CLOSED, **fields)


def instrument(
    app: ASGIApp, settings_or_telemetry: Settings | Telemetry, *, quiet: Collection[object] = ()
) -> Instrumented:
    """Wrap ``app`` in the telemetry and return it; its attributes stay reachable through the wrapper.

    Given settings, it configures a `Telemetry` of its own and closes it when the application's lifespan ends. Given a
    `Telemetry`, that stays the caller's to close. ``quiet`` holds endpoints, routes or mounted applications that are
    probes, for those that `mark_quiet` cannot mark.
    """
    if isinstance(settings_or_telemetry, Telemetry):
        return Instrumented(app, settings_or_telemetry, quiet=quiet, owned=False)
    return Instrumented(app, configure(settings_or_telemetry), quiet=quiet, owned=True)
