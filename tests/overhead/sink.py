"""A receiver of everything that a variant sends: it reads, counts, and answers 200. ``python -m tests.overhead.sink``.

It prints its port. ``GET /`` answers with what came in, by path: ``{"/v1/traces": [requests, bytes]}``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOOPBACK = "127.0.0.1"
_received: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(json.dumps(_received).encode())

    def do_POST(self) -> None:
        size = len(self._read_chunks() if "chunked" in self.headers.get("transfer-encoding", "") else self._read())
        counted = _received[self.path]
        counted[0] += 1
        counted[1] += size
        self._answer(b"")

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def main() -> None:
    """Serve on a free port of loopback until the process is ended."""
    with _Server((LOOPBACK, 0), _Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
