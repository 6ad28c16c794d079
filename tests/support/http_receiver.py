"""A receiver over HTTP on loopback, of OTLP or whatever else is posted, that misbehaves as a test tells it to."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from tests.support.ports import LOOPBACK

HELD_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    wire_bytes: int
    at_seconds: float = field(default_factory=time.monotonic)

    @property
    def span_names(self) -> list[str]:
        """The names of the spans in it; none where it is of another signal."""
        if "/v1/traces" not in self.path:
            return []
        parsed = ExportTraceServiceRequest.FromString(self.body)
        return [span.name for r in parsed.resource_spans for s in r.scope_spans for span in s.spans]


Behaviour = Callable[["_Handler"], None]


class FaultyReceiver:
    """Answers 200 to every POST until told otherwise; ``requests`` holds what arrived.

    with FaultyReceiver() as receiver:
        receiver.behave(answer(500))
        receiver.stop()      # new connections are refused
        receiver.start()     # at the same port again
    """

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.connections = 0
        self.behaviour: Behaviour = answer(200)
        self.released = threading.Event()
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """The base URL."""
        return f"http://{LOOPBACK}:{self.port}"

    def behave(self, behaviour: Behaviour) -> None:
        """Answer so from now on."""
        self.behaviour = behaviour

    def start(self) -> None:
        """Listen."""
        self.released.clear()
        self._server = _Server(self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="faulty-receiver", daemon=True).start()

    def stop(self) -> None:
        """Refuse new connections, and end those that are held."""
        self.released.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut()

    @property
    def span_names(self) -> list[str]:
        """The names of all spans that arrived, in order."""
        return [name for request in self.requests for name in request.span_names]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, receiver: FaultyReceiver) -> None:
        self.receiver = receiver
        self._connections: list[socket.socket] = []
        super().__init__((LOOPBACK, receiver.port), _Handler)

    def cut(self) -> None:
        """End every connection that was accepted, so that a client does not talk on to a server that has stopped."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        self._connections.append(connection)
        self.receiver.connections += 1
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: connections that end early are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver = self.server.receiver
        receiver.requests.append(Request(self.path, headers, body, len(raw)))
        receiver.behaviour(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing."""

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole response."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer with this status; an underscore in a header's name is a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.reply(status, named, body)


def reject(count: int, message: str) -> Behaviour:
    """Take the request and refuse some of its spans."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = count
    response.partial_success.error_message = message
    return answer(200, response.SerializeToString(), content_type="application/x-protobuf")


def hang(handler: _Handler) -> None:
    """Take the request and say nothing until the receiver stops."""
    handler.server.receiver.released.wait(HELD_SECONDS)
    handler.close_connection = True


def raw(data: bytes) -> Behaviour:
    """Answer with bytes that are no HTTP, and close."""

    def behave(handler: _Handler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return behave


def drip(handler: _Handler) -> None:
    """Begin an answer and send its body a byte at a time, for ever: each byte comes in time, the end never."""
    handler.send_response(200)
    handler.send_header("content-length", "1000000")
    handler.end_headers()
    end = time.monotonic() + HELD_SECONDS
    while time.monotonic() < end and not handler.server.receiver.released.wait(0.02):
        handler.wfile.write(b"x")
        handler.wfile.flush()
    handler.close_connection = True


def drip_head(handler: _Handler) -> None:
    """Send the head of an answer a byte at a time, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-endless: ")
    end = time.monotonic() + HELD_SECONDS
    while time.monotonic() < end and not handler.server.receiver.released.wait(0.02):
        handler.wfile.write(b"x")
        handler.wfile.flush()
    handler.close_connection = True
