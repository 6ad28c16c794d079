"""One HTTP request and its response: what is noted while it runs, and what is said of it at the end."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

import orjson

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
from prethrift_backend.observability._names import (
    BACKGROUND_TASK_FAILED,
    CLIENT_CLOSED_REQUEST,
    OTHER_METHOD,
    REQUEST_COMPLETED,
    REQUEST_FAILED,
)
from prethrift_backend.observability.logs import mark_reported
from prethrift_backend.observability.setup import Telemetry

# The second of them is an extension by which a server sends from a file.
_BODIES: Final = frozenset({"http.response.body", "http.response.zerocopysend"})
_CANCELLED: Final = "cancelled"

# Nothing tells this layer of a background task but that the application has not returned. Below this it is the way back
# through its layers, drawn out by whatever else the machine does. Arbitrary; a busy one was seen to take 5 ms.
_BACKGROUND_SECONDS: Final = 0.010


class Outcome(NamedTuple):
    """How a request ended; what line, metrics and span say must agree, so that they are all told by this."""

    method: str
    endpoint: str
    status: int
    error_type: str | None
    seconds: float

    @property
    def has_failed(self) -> bool:
        """Whether the server is to blame: a 4xx is the client's, and 499 a client that left."""
        return self.status >= 500

    @property
    def span_error_type(self) -> str | None:
        """The same in OpenTelemetry's words: a class, or a status without one; nothing for what is no error."""
        if not self.has_failed:
            return None
        return asyncio.CancelledError.__name__ if self.error_type == _CANCELLED else self.error_type or str(self.status)


class HttpExchange(Exchange):
    """One HTTP request and its response, watched from outside."""

    __slots__ = (
        "_body_bytes",
        "_client_gone",
        "_expects_trailers",
        "_finished",
        "_first_byte",
        "_is_in_pieces",
        "_last_byte",
        "_outcome",
        "_settled",
        "_status",
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, telemetry: Telemetry, quiet: frozenset[object]
    ) -> None:
        super().__init__(scope, receive, send, telemetry, quiet)
        self._open = telemetry.requests.open_requests
        self._status: int | None = None
        # All in seconds after the start; settled is when our own work on the last byte was done.
        self._first_byte: float | None = None
        self._last_byte = 0.0
        self._settled = 0.0
        self._body_bytes = 0
        self._is_in_pieces = False
        self._client_gone = False
        self._expects_trailers = False
        self._finished = False
        self._outcome: Outcome | None = None

    # While it runs.

    async def receive(self) -> Message:
        """Receive for the application, and notice a client that went away before it had its answer."""
        message = await self._forward_receive()
        if message["type"] == "http.disconnect" and not self._finished:
            self._client_gone = True
        return message

    async def send(self, message: Message) -> None:
        """Send for the application: add our headers, note the first and the last byte."""
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
            self._last_byte = self._settled = self._seconds()
            # Recorded now, so that a background task of an hour does not hide the request for an hour. An error waits
            # for the exception behind it, which comes a moment later.
            if self._status is not None and self._status < 500:
                self._record(None)
                self._settled = self._seconds()

    def _note_start(self, message: Message) -> Message:
        self._first_byte = self._seconds()
        self._status = message["status"]
        self._expects_trailers = bool(message.get("trailers", False))
        try:
            return self._with_identity(message)
        except Exception as fault:  # noqa: BLE001 - a header that we cannot read is the application's to send
            self._telemetry.fail("response_headers", fault)
            return message

    def _is_last(self, kind: str, message: Message) -> bool:
        if kind in _BODIES:
            self._body_bytes += len(message.get("body") or b"")
            if message.get("more_body", False):
                self._is_in_pieces = True
                return False
            return not self._expects_trailers
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        return kind == "http.response.pathsend" and not self._expects_trailers

    # At its end.

    def returned(self) -> None:
        """Record what is not recorded yet: the application returned."""
        self._record(None)
        if self._finished and self._seconds() - self._settled >= _BACKGROUND_SECONDS:
            self._note_background(None)

    async def raised(self, error: BaseException) -> None:
        """Record a request that ended in an exception; answer it when nobody has."""
        if self._outcome is not None:
            self._raised_afterwards(error)
            return
        try:
            if isinstance(error, Exception) and self._status is None and not self._client_gone:
                await self._answer_500()
        finally:  # the server may stop us in the middle of the answer
            self._note_fault(error)

    def _note_fault(self, error: BaseException) -> None:
        if self._client_gone:
            mark_reported(error)  # what breaks because nobody is there is no fault; the line names its type
        elif isinstance(error, Exception):
            self._note_on_span(error)
            self._report(REQUEST_FAILED, error, self._error_fields())
        self._record(error)

    def _raised_afterwards(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            self._report(BACKGROUND_TASK_FAILED, error, self._error_fields())
        if self._finished:
            self._note_background(error)

    def _error_fields(self) -> dict[str, Any]:
        return {"method": self._routed.method_label(), "endpoint": self._endpoint()}

    async def _answer_500(self) -> None:
        problem = {
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
            "request_id": self.context.request_id,
            "trace_id": self._span.trace_id,
        }
        body = orjson.dumps(problem)
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        try:
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        except Exception as fault:  # noqa: BLE001 - the first exception is the one that counts
            if not self._client_gone:
                self._telemetry.fail("answer_500", fault)

    def _record(self, error: BaseException | None) -> None:
        if self._outcome is not None:
            return
        try:
            outcome = self._outcome = self._judge(error)
            is_quiet = self.is_quiet()
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("outcome", fault)
            return
        if not is_quiet:
            self._end_span(outcome)  # before the counts: their exemplars lead to spans that are exported
            self._count(outcome)
        self._log(outcome, is_quiet=is_quiet)

    def _judge(self, error: BaseException | None) -> Outcome:
        status, error_type = self._ending(error)
        seconds = self._last_byte if self._finished else self._seconds()
        return Outcome(self._routed.method_label(), self._endpoint(), status, error_type, seconds)

    def _ending(self, error: BaseException | None) -> tuple[int, str | None]:
        """Return the status that counts and what went wrong: what was sent is not always how it ended."""
        error_type = error_type_of(error)
        if self._client_gone:  # an answer that was sent after it left reached nobody
            return CLIENT_CLOSED_REQUEST, error_type
        if self._finished:
            return self._status or 500, error_type
        if isinstance(error, asyncio.CancelledError):
            return STOPPED_BY_SERVER, _CANCELLED
        return 500, error_type or INCOMPLETE

    def _end_span(self, outcome: Outcome, *, is_wanted: bool = False) -> None:
        """End the span; one that was not sampled exists only where it tells of a fault or of a slow request."""
        is_slow = outcome.seconds >= self._telemetry.tracing.slow_seconds
        if not (self._span.is_sampled or outcome.has_failed or is_slow or is_wanted):
            return
        try:
            name = span_name("HTTP" if outcome.method == OTHER_METHOD else outcome.method, outcome.endpoint)
            attributes = self._span_attributes(outcome.endpoint, outcome.span_error_type)
            attributes["http.request.method"] = outcome.method
            attributes["http.response.status_code"] = outcome.status
            self._span.end(name, attributes, seconds=outcome.seconds, has_failed=outcome.has_failed)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("span", fault)

    def _count(self, outcome: Outcome) -> None:
        counts = self._telemetry.requests
        try:
            exemplar = self._span.exemplar if counts.takes_exemplars else None
            counts.count_request(outcome.method, outcome.endpoint, outcome.status, outcome.seconds, exemplar)
            if self._is_in_pieces and self._first_byte is not None:
                counts.observe_first_byte(outcome.endpoint, self._first_byte)
            if self.context.statements:
                counts.observe_statements(self.context.statements)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("metrics", fault)

    def _log(self, outcome: Outcome, *, is_quiet: bool) -> None:
        try:
            line = self._line(outcome)
            self._telemetry.log("debug" if is_quiet else "info", REQUEST_COMPLETED, line, self.context)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("access_line", fault)

    def _line(self, outcome: Outcome) -> dict[str, Any]:
        method, endpoint, status, error_type, seconds = outcome
        request = self.context
        line: dict[str, Any] = {
            "method": method,
            "endpoint": endpoint,
            "status_code": status,
            "duration_ms": milliseconds(seconds),
            "ttfb_ms": None if self._first_byte is None else milliseconds(self._first_byte),
            "response_bytes": 0 if method == "HEAD" else self._body_bytes,
            "client_disconnected": status == CLIENT_CLOSED_REQUEST,
        }
        if self._status is not None and self._status != status:
            line["sent_status_code"] = self._status
        if error_type is not None:
            line["error_type"] = error_type
        if request.client_trace_id is not None:
            line["client_trace_id"] = request.client_trace_id
        if request.statements:
            line["db_statements"] = request.statements
        if self.scope.get("query_string"):
            line["query"] = self._telemetry.redactor.redact_query(self.scope["query_string"])
        return line

    # After the answer.

    def _note_background(self, error: BaseException | None) -> None:
        """Tell of the work after the last byte: its duration, and its span where the request's is exported."""
        outcome, ended = self._outcome, self._seconds()
        if outcome is None or self.is_quiet():
            return
        failure = error if isinstance(error, Exception) else None
        if failure is not None and not self._span.has_ended:
            self._end_span(outcome, is_wanted=True)
        try:
            self._telemetry.requests.observe_background(_background_status(error), ended - self._settled)
            if self._span.has_ended:
                attributes = self._span_attributes(outcome.endpoint, error_type_of(error))
                self._span.add_background(attributes, began=self._settled, ended=ended, error=failure)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._telemetry.fail("background", fault)


def _background_status(error: BaseException | None) -> str:
    if error is None:
        return "success"
    return "error" if isinstance(error, Exception) else "cancelled"
