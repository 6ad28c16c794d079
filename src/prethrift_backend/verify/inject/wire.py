"""The wire to a service, for what no client of HTTP would send: odd methods, half a request, one byte at a time."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urlsplit

from prethrift_backend import __version__
from prethrift_backend.verify.live.client import BODY_BYTES_MAX, tls_context
from prethrift_backend.verify.live.deadline import Deadline

# Enough at once to find a lock or a pool that is too small, few enough for any machine. Arbitrary.
_WORKERS: Final = 16
_PAUSE_SECONDS: Final = 0.02  # between two bytes of a slow client; arbitrary


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request; names and values of headers go out as they are."""

    path: str
    method: str = "GET"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def encoded(self, host: str) -> bytes:
        """Return what is sent."""
        own = {name.lower() for name, _ in self.headers}
        usual = ((b"host", host.encode()), (b"user-agent", f"prethrift-backend/{__version__}".encode()))
        sent = [*((n, v) for n, v in usual if n not in own), *self.headers, (b"connection", b"close")]
        lines = [f"{self.method} {self.path} HTTP/1.1".encode(), *(name + b": " + value for name, value in sent)]
        return b"\r\n".join(lines) + b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """One answer; ``status`` is None where the connection ended without one."""

    status: int | None
    head: str = ""
    body: bytes = b""
    seconds: float = 0.0


class Wire(Protocol):
    """Sends to one service."""

    def exchange(self, request: WireRequest) -> WireAnswer:
        """Send one request and read its answer."""
        ...

    def burst(self, requests: Sequence[WireRequest]) -> list[WireAnswer]:
        """Send requests at the same time, and return the answers in their order."""
        ...

    def slowly(self, requests: Sequence[WireRequest], meanwhile: Callable[[], None]) -> list[WireAnswer]:
        """Send requests side by side, byte by byte, and call ``meanwhile`` in the middle."""
        ...

    def abandon(self, request: WireRequest) -> None:
        """Send half a request and go."""
        ...


@dataclass(slots=True)
class SocketWire:
    """The wire of sockets, each request on a connection of its own."""

    base_url: str
    timeout_seconds: float = 5.0
    _host: str = field(init=False)

    def __post_init__(self) -> None:
        self._host = urlsplit(self.base_url).netloc

    def exchange(self, request: WireRequest) -> WireAnswer:
        """Send one request and read its answer."""
        begun = time.monotonic()
        try:
            with self._connected() as connection:
                # A server may answer, and close, before it has read everything: the answer is what counts.
                with contextlib.suppress(ConnectionError):
                    connection.sendall(request.encoded(self._host))
                return self._answer(connection, request.method, begun)
        except OSError:
            return WireAnswer(None, seconds=time.monotonic() - begun)

    def burst(self, requests: Sequence[WireRequest]) -> list[WireAnswer]:
        """Send requests at the same time, and return the answers in their order."""
        with ThreadPoolExecutor(_WORKERS) as pool:
            return list(pool.map(self.exchange, requests))

    def slowly(self, requests: Sequence[WireRequest], meanwhile: Callable[[], None]) -> list[WireAnswer]:
        """Send requests side by side, byte by byte, and call ``meanwhile`` in the middle."""
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(connection) for connection in self._opened(len(requests))]
            contents = [request.encoded(self._host) for request in requests]
            longest = max(map(len, contents))
            for position in range(longest):
                for connection, content in zip(connections, contents, strict=False):
                    with contextlib.suppress(OSError):  # a server may lose patience: that is its right
                        connection.sendall(content[position : position + 1])
                if position == longest // 2:
                    meanwhile()
                time.sleep(_PAUSE_SECONDS)
            answers = [self._answer(connection, "GET", time.monotonic()) for connection in connections]
            return [*answers, *[WireAnswer(None)] * (len(requests) - len(connections))]

    def abandon(self, request: WireRequest) -> None:
        """Send half a request and go."""
        content = request.encoded(self._host)
        with contextlib.suppress(OSError), self._connected() as connection:
            connection.sendall(content[: len(content) // 2])

    def _opened(self, count: int) -> Iterator[socket.socket]:
        """Yield connections as long as the server takes them."""
        with contextlib.suppress(OSError):
            for _ in range(count):
                yield self._connected()

    def _answer(self, connection: socket.socket, method: str, begun: float) -> WireAnswer:
        with Deadline(self.timeout_seconds) as deadline:
            deadline.hold(connection)
            answer = _answer(connection, method, begun)
        return WireAnswer(None, seconds=answer.seconds) if deadline.is_over else answer

    def _connected(self) -> socket.socket:
        parts = urlsplit(self.base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        connection = socket.create_connection((parts.hostname, port), timeout=self.timeout_seconds)
        if parts.scheme != "https":
            return connection
        return tls_context().wrap_socket(connection, server_hostname=parts.hostname)


def _answer(connection: socket.socket, method: str, begun: float) -> WireAnswer:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read(BODY_BYTES_MAX)
    except (OSError, http.client.HTTPException, ValueError):
        return WireAnswer(None, seconds=time.monotonic() - begun)
    finally:
        response.close()
    return WireAnswer(response.status, str(response.headers), body, time.monotonic() - begun)
