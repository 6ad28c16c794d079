"""One WebSocket connection: identity at the handshake; a line, a span and the counts at its end."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from prethrift_backend.observability._exchange import (
    INCOMPLETE,
    STOPPED_BY_SERVER,
    Exchange,
    Message,
    Receive,
    Scope,
    Send,
    error_type_of,
    milliseconds,
    span_name,
)
from prethrift_backend.observability._names import CLIENT_CLOSED_REQUEST, WEBSOCKET_CLOSED, WEBSOCKET_FAILED
from prethrift_backend.observability.logs import mark_reported
from prethrift_backend.observability.setup import Telemetry

# The codes of a connection that nobody closed by a frame, and of a close frame without a code (RFC 6455, 7.4.1).
_ABNORMAL: Final = 1006
_NO_CODE: Final = 1005
_SWITCHED: Final = 101
_REFUSED: Final = 403


class Ending(NamedTuple):
    """How a connection ended; what line, metrics and span say must agree, so that they are all told by this."""

    endpoint: str
    status: int
    close_code: int
    seconds: float
    error_type: str | None
    has_failed: bool


class WebSocketExchange(Exchange):
    """One WebSocket connection, watched from outside; nothing is said of a single message."""

    __slots__ = ("_close_code", "_is_gone", "_received", "_sent", "_status")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, telemetry: Telemetry, quiet: frozenset[object]
    ) -> None:
        super().__init__(scope, receive, send, telemetry, quiet)
        self._open = telemetry.requests.open_connections
        self._status: int | None = None  # of the answer to the handshake
        self._close_code: int | None = None
        self._is_gone = False
        self._received = 0
        self._sent = 0

    async def receive(self) -> Message:
        """Receive for the application; count messages, note the code of a client that leaves."""
        message = await self._forward_receive()
        if message["type"] == "websocket.receive":
            self._received += 1
        elif message["type"] == "websocket.disconnect":
            self._is_gone = True
            self._note_close(message, _NO_CODE)
        return message

    async def send(self, message: Message) -> None:
        """Send for the application; our headers go with the answer to the handshake."""
        kind = message["type"]
        if kind == "websocket.send":
            self._sent += 1
        elif kind == "websocket.close":
            if self._status is None:
                self._status = _REFUSED  # what a server makes of it
            self._note_close(message, 1000)
        elif kind in {"websocket.accept", "websocket.http.response.start"}:
            message = self._note_answer(kind, message)
        try:
            await self._forward_send(message)
        except OSError:  # what ASGI has a server raise when nobody is there to be sent to
            self._is_gone = True
            raise

    def _note_answer(self, kind: str, message: Message) -> Message:
        self._status = _SWITCHED if kind == "websocket.accept" else message["status"]
        try:
            return self._with_identity(message)
        except Exception as fault:  # noqa: BLE001 - a header that we cannot read is the application's to send
            self._telemetry.fail("response_headers", fault)
            return message

    def _note_close(self, message: Message, default: int) -> None:
        """Note the first code; the second is the other side's answer to it."""
        code = message.get("code", default)
        if self._close_code is None:
            self._close_code = code if isinstance(code, int) and 1000 <= code <= 4999 else _ABNORMAL

    def returned(self) -> None:
        """Record a connection that ended."""
        self._record(None)

    async def raised(self, error: BaseException) -> None:
        """Record a connection that ended in an exception."""
        if self._is_gone and _is_disconnect(error):
            mark_reported(error)  # the usual way in which an application learns that the client left: no fault
            self._record(None)
            return
        if isinstance(error, Exception):
            self._note_on_span(error)
            self._report(WEBSOCKET_FAILED, error, {"endpoint": self._endpoint()})
        self._record(error)

    def _ending(self, error: BaseException | None) -> Ending:
        status, error_type = self._answer(error)
        code = _ABNORMAL if self._close_code is None else self._close_code
        has_failed = isinstance(error, Exception) or status >= 500
        return Ending(self._endpoint(), status, code, self._seconds(), error_type, has_failed)

    def _answer(self, error: BaseException | None) -> tuple[int, str | None]:
        """Return the status of the handshake, where the application gave none what the server does, and the error."""
        error_type = error_type_of(error)
        if self._status is not None:
            return self._status, error_type
        if self._is_gone:
            return CLIENT_CLOSED_REQUEST, error_type
        if isinstance(error, asyncio.CancelledError):
            return STOPPED_BY_SERVER, error_type
        return 500, error_type or INCOMPLETE

    def _record(self, error: BaseException | None) -> None:
        end = self._ending(error)
        steps = (self._log_quietly,) if self.is_quiet() else (self._end_span, self._count, self._log)
        for step in steps:
            try:
                step(end)
            except Exception as fault:  # noqa: BLE001 - never into the connection, nor into the next step
                self._telemetry.fail(f"websocket{step.__name__}", fault)

    def _end_span(self, end: Ending) -> None:
        if not (self._span.is_sampled or end.has_failed):
            return
        error_type = end.error_type or (str(end.status) if end.has_failed else None)
        attributes = self._span_attributes(end.endpoint, error_type)
        attributes["network.protocol.name"] = "websocket"
        attributes["http.response.status_code"] = end.status
        attributes["prethrift.websocket.close_code"] = end.close_code
        attributes["prethrift.websocket.messages_received"] = self._received
        attributes["prethrift.websocket.messages_sent"] = self._sent
        name = span_name("WEBSOCKET", end.endpoint)
        self._span.end(name, attributes, seconds=end.seconds, has_failed=end.has_failed)

    def _count(self, end: Ending) -> None:
        counts = self._telemetry.requests
        counts.count_connection(end.endpoint, end.close_code, end.seconds)
        counts.count_messages(end.endpoint, received=self._received, sent=self._sent)
        if self.context.statements:
            counts.observe_statements(self.context.statements)

    def _log(self, end: Ending) -> None:
        self._telemetry.log("info", WEBSOCKET_CLOSED, self._line(end), self.context)

    def _log_quietly(self, end: Ending) -> None:
        self._telemetry.log("debug", WEBSOCKET_CLOSED, self._line(end), self.context)

    def _line(self, end: Ending) -> dict[str, Any]:
        line: dict[str, Any] = {
            "endpoint": end.endpoint,
            "accepted": self._status == _SWITCHED,
            "close_code": end.close_code,
            "duration_ms": milliseconds(end.seconds),
            "messages_received": self._received,
            "messages_sent": self._sent,
        }
        if end.error_type is not None:
            line["error_type"] = end.error_type
        if self.context.client_trace_id is not None:
            line["client_trace_id"] = self.context.client_trace_id
        if self.context.statements:
            line["db_statements"] = self.context.statements
        return line


def _is_disconnect(error: BaseException) -> bool:
    # Starlette's class by its name: this package imports no web framework.
    return isinstance(error, OSError) or any(kind.__name__ == "WebSocketDisconnect" for kind in type(error).__mro__)
