"""A service on loopback that answers as the recorded process did, and misbehaves in one way that has a name."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final, TypeAlias

import httpx
from tests.support.ports import LOOPBACK
from tests.support.recorded_service import CONTRACTS, RecordedService

# Nothing is to be spared on loopback; a machine that is busy with another change may need its time.
OPTIONS: Final = ("--rate", "2000", "--timeout", "20")


@dataclass(slots=True)
class Wire:
    """How answers go out: what of HTTP itself the service gets wrong. Paths are those that it gets wrong."""

    wait_seconds: dict[str, float] = field(default_factory=dict)
    drip_seconds: dict[str, float] = field(default_factory=dict)
    http_version: str = "HTTP/1.1"
    is_chunked: bool = False
    endless: str = ""
    cut: str = ""


@dataclass(slots=True)
class Service:
    """The recorded answers, the wire, and how the command is called."""

    recorded: RecordedService = field(default_factory=RecordedService)
    wire: Wire = field(default_factory=Wire)
    options: list[str] = field(default_factory=lambda: list(OPTIONS))
    contracts: Path = CONTRACTS
    url: str = ""

    def __post_init__(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for path in self.recorded.bodies:
            self.recorded.body(path, timestamp=now)


Fault: TypeAlias = Callable[[Service], object]


@contextmanager
def listening(service: Service) -> Iterator[Service]:
    """Serve within the block; ``url`` says where."""
    handler = type("Handler", (_Handler,), {"service": service, "protocol_version": service.wire.http_version})

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server((LOOPBACK, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        service.url = f"http://{LOOPBACK}:{server.server_address[1]}"
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Passes requests to the recorded service and its answers to the wire."""

    service: Service

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""

    def _answer(self) -> None:
        service, path = self.service, self.path.partition("?")[0]
        request = httpx.Request(self.command, f"http://{LOOPBACK}{self.path}", headers=dict(self.headers.items()))
        answer = service.recorded.answer(request)
        body = b"".join(answer.iter_raw())
        time.sleep(service.wire.wait_seconds.get(path, 0.0))
        self.send_response(answer.status_code)
        for name, value in answer.headers.multi_items():
            self.send_header(name, value)
        self._send_body(path, body)

    do_GET = do_HEAD = do_PROPFIND = do_POST = do_DELETE = _answer  # noqa: N815 - the names are the library's

    def _send_body(self, path: str, body: bytes) -> None:
        wire = self.service.wire
        is_whole = not (wire.is_chunked or wire.endless == path)
        self.send_header("transfer-encoding", "chunked") if not is_whole else self.send_header(
            "content-length", str(len(body) + (10 if wire.cut == path else 0))
        )
        self.end_headers()
        if self.command == "HEAD":
            return
        if wire.endless == path:
            self._send_for_ever()
        elif wire.is_chunked:
            self._send_in_pieces(body)
        else:
            self._drip(body, wire.drip_seconds.get(path, 0.0))

    def _drip(self, body: bytes, pause_seconds: float) -> None:
        size = len(body) if not pause_seconds else 8
        for start in range(0, len(body), max(size, 1)):
            self.wfile.write(body[start : start + size])
            self.wfile.flush()
            time.sleep(pause_seconds)

    def _send_in_pieces(self, body: bytes) -> None:
        for start in range(0, len(body), 1000):
            piece = body[start : start + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _send_for_ever(self) -> None:
        piece = b"# nothing\n" * 10_000
        try:
            while True:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        except OSError:
            self.close_connection = True
