"""Upstreams behind an nginx, in threads of the test: one that answers and remembers, one that breaks the connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.ports import LOOPBACK


@dataclass
class Upstream:
    """Where it listens (host:port), and what it was asked; header names are in lower case."""

    address: str
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    body_bytes: list[int] = field(default_factory=list)


@contextmanager
def running_upstream(*, breaks: bool = False) -> Iterator[Upstream]:
    """Run one that answers everything with 200, or one that ends the connection when it has read the request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            upstream.asked.append((self.command, self.path, headers))
            upstream.body_bytes.append(len(body))
            if breaks:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("X-Trace-Id", "0af7651916cd43dd8448eb211c80319c")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815 - the names are the standard library's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
            """Say nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    upstream = Upstream(f"{LOOPBACK}:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.01,), name="upstream", daemon=True).start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
